"""`quorate replay FILE --on live`: a schedule on real processes."""

import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

from quorate.cli.aim import tell_execution
from quorate.cli.screen import Screen, command
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.explore.reactions import react
from quorate.explore.replay import Replayed, replay
from quorate.explore.stepwise import play_live
from quorate.scenario.schedule import read_schedule
from quorate.verdict import Verdict


def play_on_live(path: Path, options: Namespace, screen: Screen) -> int:
    """Play a schedule on a live cluster, and say whether it does what the simulator does."""
    if options.html or options.trace or options.shiviz or options.history:
        raise Mistake("the live run has the trace of the simulated one: ask replay without --on")
    schedule = read_schedule(path)
    tell_execution(schedule.scenario, screen)
    replayed = replay(schedule)
    if not options.step:
        return _react(path, replayed, screen)
    world, violation = replayed.outcome.world, replayed.outcome.violation
    screen.say(f"{options.file}: {replayed.sentence()}, in the simulator", "bold")
    directory = Path(tempfile.mkdtemp(prefix="quorate-step-"))
    with screen.progress("playing live", len(world.records)) as bar:
        run = play_live(replayed, directory, lambda count: bar(count, f"event {count:,}"))
    if run.parted:
        verdict = Verdict.UNKNOWN
        screen.say(f"the live cluster parted from it at {run.parted}", "yellow")
        screen.say(f"its members' directories are kept: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
        verdict = replayed.verdict
        count = len(world.servers)
        screen.say(f"{count} processes took the same {run.steps:,} steps, to the same states each")
        if violation is not None:
            screen.say(f"so the live cluster violates {violation.property}, too", "bold")
    if run.unplayed:
        screen.say(f"{run.unplayed} faults of links and clocks are played by the order alone")
    screen.say(f"verdict  {verdict.value}", "bold")
    screen.json(
        {
            "command": "replay",
            "on": "live",
            "scenario": schedule.scenario,
            "verdict": verdict.value,
            "events": run.events,
            "steps": run.steps,
            "parted": run.parted,
            "violation": violation.property if violation else None,
        }
    )
    return verdict.exit_code


def _react(path: Path, replayed: Replayed, screen: Screen) -> int:
    """Play the faults alone, on a cluster that runs by its own clock."""
    name = replayed.schedule.scenario
    world = replayed.outcome.world
    system = system_of(name, world.configuration.name, len(world.servers))
    screen.say(f"{path}: {replayed.sentence()}, in the simulator", "bold")
    directory = Path(tempfile.mkdtemp(prefix="quorate-react-"))
    run = react(replayed, system, directory)
    screen.say(f"{run.struck} of {run.planned} faults struck, each after the event that it follows")
    if run.unplayed:
        screen.say(f"{run.unplayed} faults have no means on a live cluster here")
    violation = run.violation
    if run.parted:
        screen.say(f"conformance: {run.parted}", "red")
    if violation is not None:
        screen.say(f"{violation.property}: {violation.message}", "red")
        verdict = Verdict.FAIL
    elif run.parted:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.UNKNOWN if run.struck < run.planned else Verdict.PASS
    if verdict is Verdict.UNKNOWN:
        screen.say("the others follow events that did not come: --step brings them about")
    screen.say(f"recorded {command('replay', str(directory))}")
    screen.say(f"verdict  {verdict.value}: {run.steps:,} live steps, run again and judged", "bold")
    screen.json(
        {
            "command": "replay",
            "on": "live",
            "scenario": name,
            "verdict": verdict.value,
            "struck": run.struck,
            "planned": run.planned,
            "steps": run.steps,
            "violation": violation.property if violation else None,
            "recorded": str(directory),
        }
    )
    return verdict.exit_code
