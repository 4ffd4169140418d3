"""`quorate run`: one simulated run, judged."""

from argparse import Namespace

from quorate.cli.aim import aim_of, command_for, fresh_seed
from quorate.cli.failure import tell_trace
from quorate.cli.files import write_files
from quorate.cli.screen import Screen, in_words
from quorate.explore.catalogue import load
from quorate.explore.outcome import Outcome, judge
from quorate.explore.report import claim, trace_of
from quorate.scenario.tape import Tape


def main(options: Namespace) -> int:
    """Run a seed, and say what came of it."""
    screen = Screen(options.json)
    aim = aim_of(options, screen)
    seed = fresh_seed() if options.seed is None else options.seed
    outcome = judge(load(aim), Tape(seed), explained=True, self_check=True)
    again = command_for("run", aim, "--seed", str(seed))
    trace = trace_of(outcome, seed=seed, replay=again)
    violation = outcome.violation
    if violation is not None:
        told = claim(outcome.world.scenario, violation.property)
        screen.say(f"{aim.name} violates {violation.property}: {told}\n", "bold red")
        tell_trace(screen, trace, outcome, with_story=True)
        if outcome.explanation is not None:
            screen.say(outcome.explanation.render())
    _tell_bound(screen, outcome, seed)
    written = write_files(options, trace, outcome)
    for kind, path in written.items():
        screen.say(f"{kind:<8} {path}")
    screen.say(f"again    {again}", "bold")
    shrink = command_for("hunt", aim, "--seed", str(seed), "--seeds", "1")
    if violation is not None:
        screen.say(f"shrink   {shrink}", "bold")
    screen.json(
        {
            "command": "run",
            "scenario": aim.name,
            "seed": seed,
            "verdict": outcome.verdict.value,
            "reason": outcome.reason,
            "property": violation.property if violation else None,
            "message": violation.message if violation else None,
            "configuration": outcome.world.configuration.name,
            "counters": dict(outcome.counters),
            "files": written,
            "replay": again,
        }
    )
    return outcome.verdict.exit_code


def _tell_bound(screen: Screen, outcome: Outcome, seed: int) -> None:
    """What was tried, so that the verdict claims no more."""
    world, counters = outcome.world, outcome.counters
    reason = f": {outcome.reason}" if outcome.reason else ""
    screen.say(f"verdict  {outcome.verdict.value}{reason}", "bold")
    screen.say(f"bound    one run of seed {seed}, {world.steps:,} handler steps")
    screen.say(f"setting  {len(world.servers)} servers, configuration {world.configuration.name}")
    screen.say(f"clients  {in_words(counters, 'operations ') or 'none'}")
    screen.say(f"faults   {in_words(counters, 'fault ') or 'none'}")
    shown = ("operations ", "fault ", "steps")
    others = {name: n for name, n in counters.items() if not name.startswith(shown)}
    screen.say(f"also     {in_words(others) or 'nothing'}")
