"""`quorate replay`: a schedule file, played again."""

from argparse import Namespace
from pathlib import Path

from quorate.cli.aim import tell_execution
from quorate.cli.failure import failure_entry, size, tell_trace
from quorate.cli.files import write_files, write_text
from quorate.cli.screen import Screen, command
from quorate.explore.replay import Replayed, ordered, replay
from quorate.explore.report import claim, trace_of
from quorate.scenario.schedule import Schedule, format_schedule, read_schedule


def main(options: Namespace) -> int:
    """Play a schedule, and say whether it still fails; or what a live cluster has recorded."""
    screen = Screen(options.json)
    path = Path(options.file)
    if path.is_dir():
        from quorate.cli.recorded import replay_recorded

        return replay_recorded(path, options, screen)
    if options.on == "live":
        from quorate.cli.on_live import play_on_live

        return play_on_live(path, options, screen)
    return _replay(path, options, screen)


def _replay(path: Path, options: Namespace, screen: Screen) -> int:
    schedule = read_schedule(path)
    tell_execution(schedule.scenario, screen)
    replayed = _debugged(schedule, options.pdb, screen) if options.pdb else replay(schedule)
    outcome = replayed.outcome
    text, again = path.read_text(encoding="utf-8"), command("replay", str(path))
    decisions = schedule.decisions()
    trace = trace_of(outcome, seed=schedule.seed, schedule=text, decisions=decisions, replay=again)
    screen.say(f"{path}: {replayed.sentence()}", "bold")
    if outcome.violation is not None:
        screen.say(claim(outcome.world.scenario, outcome.violation.property))
        screen.say(size(schedule, replayed.causal_steps(), is_minimal=None))
    screen.say()
    tell_partings(screen, replayed)
    tell_trace(screen, trace, outcome)
    if outcome.explanation is not None:
        screen.say(outcome.explanation.render())
    written = write_files(options, trace, outcome)
    written |= _export_ordered(options.export_ordered, replayed)
    for kind, file in written.items():
        screen.say(f"{kind:<8} {file}")
    screen.say(f"verdict  {replayed.verdict.value}", "bold")
    screen.json(
        {
            "command": "replay",
            "scenario": schedule.scenario,
            "verdict": replayed.verdict.value,
            "sentence": replayed.sentence(),
            "is_same_failure": replayed.is_same_failure,
            "partings": replayed.partings,
            "failure": failure_entry(replayed, path, None) if outcome.violation else None,
            "files": written,
        }
    )
    return replayed.verdict.exit_code


def _export_ordered(path: str | None, replayed: Replayed) -> dict[str, str]:
    if not path:
        return {}
    text = format_schedule(ordered(replayed), ("The order of events; their times follow.",))
    return {"ordered": write_text(path, [text])}


def tell_partings(screen: Screen, replayed: Replayed) -> None:
    """Every line of the schedule that the run could not follow."""
    if not replayed.partings:
        return
    first = replayed.partings[0]
    at = f", at {first.event}" if first.event else ""
    screen.say(f"The run parted from the schedule{at}:", "yellow")
    for parting in replayed.partings:
        screen.say(f"  {parting.text}")
    screen.say()


def _debugged(schedule: Schedule, event: str, screen: Screen) -> Replayed:
    from quorate.cli.debugger import replay_to

    return replay_to(schedule, event, screen)
