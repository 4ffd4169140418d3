"""`quorate explore`: every state of a small configuration, or a shortest way to a failure."""

import difflib
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

from quorate.cli.aim import name_of
from quorate.cli.failure import failure_entry, tell_failure
from quorate.cli.files import write_page, write_text
from quorate.cli.screen import Screen, command
from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Limits, Progress, Result, explore
from quorate.explore.exhaustive.fork import Fork, fork_at
from quorate.explore.exhaustive.ready import exploration_of
from quorate.explore.replay import Replayed, replay
from quorate.explore.report import claim
from quorate.scenario.schedule import SUFFIX, format_schedule, parse_schedule

FORK_SECONDS = 60.0
"""How long the neighbourhood of a run is searched unless told otherwise."""
FLAGS = (
    "nodes",
    "liveness",
    "network",
    "drop",
    "duplicate",
    "newest_only",
    "crashes",
    "timing",
    "timers",
    "channel",
)
"""Options that are fields of `Exploration`."""
SWITCHES = ("no-ops", "self-check", "keep-going")


def main(options: Namespace) -> int:
    """Explore, and say what was covered, or how it fails."""
    screen = Screen(options.json)
    fork = _fork(options, screen)
    if not fork and not options.name:
        raise Mistake("explore what? Give a NAME (quorate list), or --from FILE.schedule@EVENT")
    name = fork.scenario.name if fork else name_of(options, screen)
    result = _explore(screen, name, options, fork)
    entry = _tell_failure(screen, result, options) if result.failed else None
    _tell_bound(screen, result)
    begin = ("--from", options.start) if fork else (name,)
    again = command("explore", *begin, *_words(options))
    screen.say(f"again    {again}")
    screen.json(_answer(result, entry, again))
    return result.verdict.exit_code


def _fork(options: Namespace, screen: Screen) -> Fork | None:
    """The middle of a run to begin at, if --from names one."""
    if not options.start:
        return None
    if options.name or options.mutant:
        raise Mistake("--from takes the protocol from its schedule: leave out NAME and --mutant")
    fork = fork_at(options.start)
    options.seconds = options.seconds or FORK_SECONDS
    screen.note(f"exploring {fork.scenario.name} from {options.start}")
    return fork


def _explore(screen: Screen, name: str, options: Namespace, fork: Fork | None) -> Result:
    changes = {flag: getattr(options, flag) for flag in FLAGS if getattr(options, flag) is not None}
    if changes.get("timers") == -1:
        changes["timers"] = None
    scenario = fork.scenario if fork else load(Aim(name))
    exploration = fork.exploration if fork else exploration_of(scenario)
    _expect_declared(options, name, list(exploration.bounds))
    limits = Limits(
        states=options.states,
        depth=options.depth,
        seconds=options.seconds,
        memory_bytes=options.memory << 20 if options.memory else None,
        is_breadth_first=options.search == "breadth",
        keeps_going=options.keep_going,
    )
    with screen.progress(name, options.states) as bar:

        def report(now: Progress) -> None:
            rate = now.states / max(now.seconds, 0.001)
            bar(
                now.states,
                f"{now.states:,} states, {now.transitions:,} transitions, depth {now.depth}, "
                f"frontier {now.frontier:,}, {rate:,.0f}/s, {now.peak_bytes >> 20:,} MiB",
            )

        return explore(
            scenario,
            fork=fork,
            only=tuple(options.property),
            jobs=options.jobs,
            limits=limits,
            self_check=options.self_check,
            keeps_no_ops=options.no_ops,
            reduce=tuple(options.reduce.split(",")) if options.reduce else (),
            report=report,
            **changes,
            **options.bounds,
        )


def _expect_declared(options: Namespace, name: str, declared: list[str]) -> None:
    """Refuse a flag that is no option, and no bound that the scenario declares."""
    own = [f"--{bound.replace('_', '-')}" for bound in declared]
    for bound in options.bounds:
        if bound not in declared:
            flag = f"--{bound.replace('_', '-')}"
            near = difflib.get_close_matches(flag, [*own, *options.flags], n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(own) or 'none'}"
            raise Mistake(
                f"{name} declares no bound {flag}, and explore has no such option; {hint}"
            )


def _tell_failure(screen: Screen, result: Result, options: Namespace) -> dict[str, Any]:
    """The failure as a hunt would tell it, from the schedule that replays it."""
    assert result.failed is not None
    assert result.schedule is not None
    text = format_schedule(
        result.schedule, ("Found by exploration: the order of events; their times follow.",)
    )
    replayed = _again(text, result)
    violated = result.schedule.violates
    stem = re.sub(r"[^\w@.-]+", "-", f"{Path(result.scenario.name).name}-{violated}")
    path = Path(options.out) / f"{stem}{SUFFIX}"
    write_text(path, [text])
    shortest = "a shortest way: " if options.search == "breadth" else ""
    screen.say(f"{shortest}{result.failed.transitions} transitions", "bold")
    trace = tell_failure(screen, replayed, text, path)
    if options.html:
        screen.say(f"page     {write_page(options.html, trace)}")
    screen.say()
    return {
        **failure_entry(replayed, path, None),
        "transitions": result.failed.transitions,
    }


def _again(text: str, result: Result) -> Replayed:
    """The failure, from the text alone."""
    scenario = result.fork.scenario if result.fork else result.scenario
    replayed = replay(parse_schedule(text, "the schedule"), scenario=scenario)
    assert result.failed is not None
    if not replayed.is_same_failure:
        raise Mistake(
            f"the exploration found that {result.failed.property} fails, but its replay says "
            f"otherwise ({replayed.sentence()}); please report this"
        )
    return replayed


def _tell_bound(screen: Screen, result: Result) -> None:
    """What was covered: a verdict claims no more than this."""
    progress, exploration = result.progress, result.exploration
    screen.say(f"verdict  {result.verdict.value}", "bold")
    ended = f"stopped: {result.stopped}" if result.stopped else "exhausted"
    if result.failed is not None:
        ended = "stopped at the first failure"
    rate = progress.states / max(progress.seconds, 0.001)
    screen.say(
        f"states   {progress.states:,} unique, {progress.transitions:,} transitions, "
        f"depth {progress.depth}; {ended}"
    )
    screen.say(f"bound    {', '.join(exploration.in_words())}")
    features = ", ".join(f"{name}={value!r}" for name, value in exploration.fields.items())
    screen.say(f"setting  {features or 'as the class declares'}")
    screen.say(
        f"effort   {progress.seconds:.1f} s, {rate:,.0f} states/s, {result.handlers:,} handlers "
        f"ran, {progress.peak_bytes >> 20:,} MiB, {progress.frontier:,} states left to expand"
    )
    if result.jobs > 1:
        screen.say(f"jobs     {result.jobs} processes")
    screen.say(f"reduced  by {', '.join(result.reductions) or 'nothing'}")
    if result.fenced is not None:
        screen.say(
            "liveness no further faults, and what can happen again and again does happen; "
            f"{result.fenced:,} states at the edge of the bounds count as able"
        )
    if result.growing:
        words = ", ".join(result.growing)
        screen.say(f"growing  {words}; what has no bound makes a space without end", "yellow")
    if exploration.out_of_reach:
        screen.say(f"beyond   not reached by this setting: {', '.join(exploration.out_of_reach)}")
    for name in result.unreached:
        word = "fail" if result.verdict.value == "fail" and not result.failed else "unknown"
        told = claim(result.scenario, name)
        screen.say(f"{word:<8} never reached: {name}. {told}", "yellow")
    if result.undecided:
        screen.say(f"unknown  {result.undecided} histories were too hard to judge", "yellow")


def _words(options: Namespace) -> list[str]:
    words: list[str] = []
    for flag in (*FLAGS, "depth", "states"):
        value = getattr(options, flag)
        if value is True:
            words.append(f"--{flag.replace('_', '-')}")
        elif value is not None:
            words += [f"--{flag}", "all" if value == -1 else str(value)]
    words += [f"--{flag}" for flag in SWITCHES if _is_set(options, flag)]
    words += [word for name in options.property for word in ("--property", name)]
    words += ["--reduce", options.reduce] if options.reduce else []
    words += [word for name, value in options.bounds.items() for word in (f"--{name}", str(value))]
    words += ["--jobs", str(options.jobs)] if options.jobs > 1 else []
    words += ["--search", "depth"] if options.search == "depth" else []
    words += ["--seconds", f"{options.seconds:g}"] if options.seconds else []
    return words + (["--memory", str(options.memory)] if options.memory else [])


def _is_set(options: Namespace, flag: str) -> bool:
    return bool(getattr(options, flag.replace("-", "_")))


def _answer(result: Result, entry: dict[str, Any] | None, again: str) -> dict[str, Any]:
    return {
        "command": "explore",
        "scenario": result.scenario.name,
        "verdict": result.verdict.value,
        "violates": result.violates or None,
        "is_exhausted": result.is_exhausted,
        "stopped": result.stopped,
        "growing": list(result.growing),
        "states": result.progress.states,
        "transitions": result.progress.transitions,
        "depth": result.progress.depth,
        "frontier": result.progress.frontier,
        "seconds": round(result.progress.seconds, 3),
        "peak_bytes": result.progress.peak_bytes,
        "handlers": result.handlers,
        "bounds": result.exploration.in_words(),
        "reductions": list(result.reductions),
        "unreached": result.unreached,
        "failure": entry,
        "again": again,
    }
