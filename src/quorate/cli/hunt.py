"""`quorate hunt`: many seeds over all cores; what fails is shrunk, told and kept."""

import re
from argparse import Namespace
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import msgspec

from quorate.cli.aim import aim_of, command_for, fresh_seed, tell_execution
from quorate.cli.failure import failure_entry, tell_failure
from quorate.cli.files import write_page, write_text
from quorate.cli.screen import Bar, Screen, command, in_words
from quorate.errors import Mistake
from quorate.explore.catalogue import Aim
from quorate.explore.hunt import Failure, Found, Tally, hunt, shrink_seed
from quorate.explore.replay import Replayed, replay
from quorate.scenario.schedule import SUFFIX, parse_schedule

SEEDS = 1000
"""How many seeds unless told otherwise."""
STATE_SUFFIX = ".hunt"


class _State(msgspec.Struct, forbid_unknown_fields=True):
    """What an interrupted hunt leaves behind."""

    quorate: Literal["hunt"]
    version: Literal[1]
    tally: Tally


def main(options: Namespace) -> int:
    """Hunt, and say what was found, or how much was tried in vain."""
    screen = Screen(options.json)
    tally = _begin(options, screen)
    screen.note(f"hunting {tally.aim.name} from seed {tally.first + tally.runs}")
    started = monotonic()
    try:
        run_campaign(screen, tally, options)
    except Mistake:
        if tally.runs:
            screen.note(f"go on    {_keep_state(tally, options)}")
        raise
    seconds = monotonic() - started
    entries = [
        tell_found(screen, tally.aim, failure, options, is_first=index == 0)
        for index, failure in enumerate(_one_of_each(tally.failures))
    ]
    tell_bound(screen, tally, seconds)
    resume = _keep_state(tally, options) if tally.interrupted else None
    if resume:
        screen.say(f"go on    {resume}", "bold")
    screen.json(
        {
            "command": "hunt",
            "scenario": tally.aim.name,
            "verdict": tally.verdict().value,
            "first_seed": tally.first,
            "runs": tally.runs,
            "steps": tally.steps,
            "seconds": round(seconds, 3),
            "counters": tally.counters,
            "shortfalls": tally.shortfalls(),
            "failing_runs": len(tally.failures),
            "failures": entries,
            "go_on": resume,
        }
    )
    return tally.verdict().exit_code


def _begin(options: Namespace, screen: Screen) -> Tally:
    if options.resume:
        tally = read_state(Path(options.resume))
        if options.name and options.name != tally.aim.name:
            raise Mistake(f"{options.resume} is about {tally.aim.name}, not {options.name}")
        tell_execution(tally.aim.name, screen)
        return tally
    if not options.name:
        raise Mistake("hunt what? Give a NAME (quorate list), or --resume FILE")
    seed = fresh_seed() if options.seed is None else options.seed
    return Tally(aim_of(options, screen), seed)


def run_campaign(screen: Screen, tally: Tally, options: Namespace) -> None:
    """Hunt with a progress bar."""
    seconds = options.minutes * 60 if options.minutes else None
    seeds = None if seconds else max((options.seeds or SEEDS) - tally.runs, 0)
    before, started = tally.runs, monotonic()
    with screen.progress(tally.aim.name, seconds or seeds) as bar:

        def progress(now: Tally) -> None:
            took = max(monotonic() - started, 0.001)
            runs = now.runs - before
            failed = f", {len(now.failures)} failed" if now.failures else ""
            steps = now.steps * runs / max(now.runs, 1)
            bar(
                took if seconds else runs,
                f"{now.runs:,} runs{failed}, {runs / took:,.0f}/s, {steps / took:,.0f} steps/s",
            )

        hunt(
            tally,
            seeds=seeds,
            seconds=seconds,
            jobs=options.jobs,
            keep_going=options.keep_going,
            progress=progress,
        )


def _one_of_each(failures: list[Failure]) -> list[Failure]:
    """The first failing seed for each property."""
    first: dict[str, Failure] = {}
    for failure in failures:
        first.setdefault(failure.property, failure)
    return list(first.values())


def tell_found(
    screen: Screen,
    aim: Aim,
    failure: Failure,
    options: Namespace,
    *,
    is_first: bool = True,
    with_story: bool = False,
) -> dict[str, Any]:
    """Shrink a failure, keep it as a file, and tell it: in full if it is the first."""
    screen.note(f"seed {failure.seed} violates {failure.property}; shrinking it")
    with screen.progress("shrinking", None) as bar:
        found = shrink_seed(aim, failure.seed, options.shrink_seconds, _shrink_progress(bar))
    replayed = _again(found)
    path = Path(options.out) / schedule_name(aim.name, found.failure)
    write_text(path, [found.schedule])
    if is_first:
        trace = tell_failure(
            screen,
            replayed,
            found.schedule,
            path,
            is_minimal=found.is_minimal,
            with_story=with_story,
        )
        if options.html:
            screen.say(f"page     {write_page(options.html, trace)}")
        screen.say()
    else:
        words = f"{found.failure.property}: {found.decisions} decisions"
        screen.say(f"also     {words}: {command('replay', str(path))}")
    return {
        **failure_entry(replayed, path, found.is_minimal),
        "attempts": found.attempts,
        "shrink_seconds": round(found.seconds, 3),
    }


def _shrink_progress(bar: Bar) -> Any:
    return lambda attempts, left: bar(0, f"{attempts} runs, {left} decisions left")


def _again(found: Found) -> Replayed:
    """The failure, from the text alone: what is told is what the file does."""
    schedule = parse_schedule(found.schedule, "the shrunk schedule")
    replayed = replay(schedule)
    assert replayed.is_same_failure, "the shrunk schedule does not fail when it is read again"
    return replayed


def schedule_name(name: str, failure: Failure) -> str:
    """`raft@votes-twice-ElectionSafety-17.schedule`."""
    path, colon, rest = name.rpartition(":")
    plain = f"{Path(path).stem}-{rest}" if colon else name
    stem = re.sub(r"[^\w@.-]+", "-", f"{plain}-{failure.property}-{failure.seed}")
    return stem + SUFFIX


def tell_bound(screen: Screen, tally: Tally, seconds: float) -> None:
    """What was tried: a verdict claims no more than this."""
    verdict, counters = tally.verdict(), tally.counters
    last = tally.first + max(tally.runs, 1) - 1
    rate = f"{tally.steps:,} handler steps in {seconds:.1f} s"
    screen.say(f"verdict  {verdict.value}", "bold")
    screen.say(f"bound    {tally.runs:,} runs, seeds {tally.first} to {last}; {rate}")
    if tally.failures:
        screen.say(f"failed   {len(tally.failures)} of these runs")
    screen.say(f"clients  {in_words(counters, 'operations ') or 'none'}")
    screen.say(f"faults   {in_words(counters, 'fault ') or 'none'}")
    shown = ("operations ", "fault ", "reached ", "steps")
    others = {name: n for name, n in counters.items() if not name.startswith(shown)}
    screen.say(f"also     {in_words(others) or 'nothing'}")
    screen.say(f"reached  {in_words(counters, 'reached ') or 'nothing'} (in so many runs)")
    if not tally.failures:
        for line in tally.shortfalls():
            screen.say(f"unknown  {line}", "yellow")
    again = command_for("hunt", tally.aim, "--seed", str(tally.first), "--seeds", str(tally.runs))
    if not tally.interrupted:
        screen.say(f"again    {again}")


# Interrupted hunts


def _keep_state(tally: Tally, options: Namespace) -> str:
    """Write what was done so far; returns the command that goes on."""
    name = schedule_name(tally.aim.name, Failure(tally.first, "hunt", "")).removesuffix(SUFFIX)
    path = Path(options.resume or Path(options.out) / f"{name}{STATE_SUFFIX}")
    write_text(path, [msgspec.json.encode(_State("hunt", 1, tally)).decode() + "\n"])
    words = ["hunt", "--resume", str(path)]
    if options.minutes:
        words += ["--minutes", f"{options.minutes:g}"]
    elif options.seeds:
        words += ["--seeds", str(options.seeds)]
    return command(*words)


def read_state(path: Path) -> Tally:
    """The campaign in a state file. Raises Mistake if there is none in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State).tally
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Mistake(f"{path}: not the state of a hunt: {error}") from error
