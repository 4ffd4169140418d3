"""Every state of a transaction under each presumption; the shortest way to each mistake."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Result, explore
from quorate.kernel import NodeId, Operation
from quorate.scenario.exploration import Script
from quorate.verdict import Verdict

COMMIT = (Script((Operation("commit", "t"),), {"server": NodeId("n1")}),)


def explored(presumption: str, mutant: str = "", **changes: Any) -> Result:
    """One transaction, and nobody who looks at it, under one of the presumptions."""
    scenario = load(Aim(f"two-phase-commit{mutant}"))
    [fields] = [c.fields for c in scenario.configurations if c.name == f"presumed {presumption}"]
    fields = {**fields, "willing": (True, False)}
    return explore(scenario, scripts=COMMIT, fields=fields, **changes)


@pytest.mark.parametrize(
    ("presumption", "states", "depth"),
    [("nothing", 7_037, 17), ("abort", 3_076, 17), ("commit", 6_471, 15)],
)
def test_each_presumption(presumption: str, states: int, depth: int) -> None:
    """Two participants, a crash of anybody at any point, and a timer that fires."""
    result = explored(presumption, timers=1)
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (states, depth)


def test_five_participants_and_a_crash() -> None:
    """Exhausted, at every cut of every step."""
    result = explored("abort", nodes=6, timers=0)
    assert result.verdict is Verdict.PASS
    assert result.is_exhausted
    assert (result.progress.states, result.progress.depth) == (401_787, 32)


def test_five_participants_are_interchangeable() -> None:
    """Without crashes: nothing ever compares their names."""
    plain = explored("abort", nodes=6, timers=0, crashes=0)
    orbits = explored("abort", nodes=6, timers=0, crashes=0, reduce=("symmetry",))
    assert plain.verdict is orbits.verdict is Verdict.PASS
    assert orbits.progress.states < plain.progress.states / 10


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("majority-commits", "AllVotedYes", 12),
        ("no-is-ignored", "Agreement", 11),
        ("prepared-volatile", "AllVotedYes", 11),
        ("no-collecting-record", "AllVotedYes", 10),
        ("collecting-commits", "commits_are_prepared", 7),
        ("presume-while-voting", "Agreement", 14),
        ("silence-is-yes", "commits_are_prepared", 8),
        ("commit-before-forcing", "coordinator_agrees", 11),
        ("doubt-aborts", "Agreement", 12),
        ("vote-again", "decisions_stand", 8),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    """Under presumed commit; a mutant's bounds say what else it takes."""
    bounds = next(m.bounds for m in load(Aim("two-phase-commit")).mutants if m.name == mutant)
    failed = explored("commit", f"@{mutant}", **dict[str, Any](bounds)).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)


@pytest.mark.parametrize(
    ("mutant", "length"),
    [("forget-at-first-ack", 15), ("decision-volatile", 14), ("forget-commit", 14)],
)
def test_a_decision_forgotten_takes_two_participants(mutant: str, length: int) -> None:
    """Under presumed abort; with one participant nobody is left to differ."""
    failed = explored("abort", f"@{mutant}", timers=1).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == ("Agreement", length)
    assert explored("abort", f"@{mutant}", nodes=2, timers=1).failed is None


def test_a_no_that_is_forgotten() -> None:
    """It takes a second Prepare, and a coordinator that has forgotten the transaction."""
    failed = explore(load(Aim("two-phase-commit@no-unforced"))).failed
    assert failed is not None
    assert (failed.property, failed.transitions) == ("Agreement", 10)


def test_who_looks_sees_locks_that_are_freed_too_early() -> None:
    failed = explore(load(Aim("two-phase-commit@locks-freed-when-prepared")), timers=0).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == ("linearizability", 15)
