"""`quorate demo`: the main job, once: find, shrink and show a failure; then try the real thing."""

from argparse import Namespace
from pathlib import Path
from time import monotonic

from quorate.cli.aim import fresh_seed
from quorate.cli.hunt import run_campaign, tell_bound, tell_found
from quorate.cli.screen import Screen
from quorate.explore.catalogue import Aim, load
from quorate.explore.hunt import Tally
from quorate.explore.report import mutant_of
from quorate.verdict import Verdict

LIMIT_MINUTES = 2.0
"""How long the broken Raft is hunted at the most."""
SHRINK_SECONDS = 20.0


def main(options: Namespace) -> int:
    """0 if the broken Raft was found out and the real one was not faulted."""
    screen = Screen(options.json)
    broken = Tally(Aim(f"raft@{options.mutant}"), fresh_seed())
    mutant = mutant_of(load(broken.aim))
    assert mutant is not None
    screen.say(f"1. A Raft with one rule broken: {mutant.rule} ({mutant.section}).\n", "bold")
    started = monotonic()
    run_campaign(screen, broken, _hunt_options(LIMIT_MINUTES, options.out))
    entry = None
    if broken.interrupted:
        raise KeyboardInterrupt
    if broken.failures:
        found = broken.failures[0]
        seconds = monotonic() - started
        screen.say(f"Run {broken.runs:,} fails, after {seconds:.1f} s. Shrunk:\n")
        page = str(Path(options.out) / "demo.html")
        shown = _hunt_options(LIMIT_MINUTES, options.out, page)
        entry = tell_found(screen, broken.aim, found, shown, with_story=True)
    else:
        screen.say("Nothing was found this time, which is rare; try again.\n")
    real = Tally(Aim("raft"), fresh_seed())
    screen.say(f"2. The real Raft, for {options.seconds:g} s.\n", "bold")
    started = monotonic()
    run_campaign(screen, real, _hunt_options(options.seconds / 60, options.out))
    tell_bound(screen, real, monotonic() - started)
    screen.json(
        {
            "command": "demo",
            "failure": entry,
            "real": {"verdict": real.verdict().value, "runs": real.runs, "steps": real.steps},
        }
    )
    is_shown = entry is not None and real.verdict() is not Verdict.FAIL
    return 0 if is_shown else 1


def _hunt_options(minutes: float, out: str, page: str | None = None) -> Namespace:
    return Namespace(
        minutes=minutes, seeds=None, resume=None, jobs=None, keep_going=False, out=out, html=page,
        shrink_seconds=SHRINK_SECONDS,
    )  # fmt: skip
