"""Every state of a transaction as crashes interrupt it; and without synchrony, a mistake."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


@pytest.mark.parametrize(
    ("nodes", "crashes", "states", "depth"),
    [(3, 1, 2_172, 24), (3, 2, 29_154, 29), (4, 1, 25_658, 33)],
)
def test_crashes(nodes: int, crashes: int, states: int, depth: int) -> None:
    """Whoever crashes, and wherever: those who are up end the transaction, and alike."""
    scenario = load(Aim("three-phase-commit"))
    result = explore(scenario, nodes=nodes, crashes=crashes, liveness=True)
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (states, depth)


@pytest.mark.parametrize(
    ("claim", "timers", "length"), [("nonblocking", 1, 11), ("Agreement", 3, 13)]
)
def test_outside_its_model(claim: str, timers: int, length: int) -> None:
    """Positive control: without a bound on delays, silence tells nothing, and it is wrong."""
    scenario = load(Aim("three-phase-commit"))
    failed = explore(
        scenario, timing="asynchronous", crashes=0, timers=timers, only=(claim,)
    ).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)


@pytest.mark.parametrize(
    ("mutant", "claim", "transitions"),
    [
        ("two-phases", "nonblocking", 6),
        ("first-ack-commits", "nonblocking", 8),
        ("silence-is-yes", "AllVotedYes", 8),
        ("no-is-ignored", "Agreement", 8),
        ("precommit-before-forcing", "Agreement", 15),
        ("decide-alone", "Agreement", 15),
        ("backup-aborts", "Agreement", 15),
        ("backup-commits-at-once", "nonblocking", 13),
        ("backup-commits-what-none-could", "AllVotedYes", 10),
        ("coordinator-recovers-alone", "Agreement", 15),
        ("vote-again", "decisions_stand", 4),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, transitions: int) -> None:
    scenario = load(Aim(f"three-phase-commit@{mutant}"))
    bounds = next(m.bounds for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, **dict[str, Any](bounds)).failed
    assert failed is not None
    assert (failed.property, failed.transitions) == (claim, transitions)


@pytest.mark.parametrize("mutant", ["impatient", "no-inquiry"])
def test_who_never_decides(mutant: str) -> None:
    scenario = load(Aim(f"three-phase-commit@{mutant}"))
    result = explore(scenario, crashes=1, liveness=True)
    assert result.violates == "all_decide"


def test_nobody_takes_over() -> None:
    """A mutant that is only too careful: what it never reaches tells it."""
    result = explore(load(Aim("three-phase-commit@no-one-takes-over")), crashes=1)
    assert result.is_exhausted
    assert result.unreached == ["a_backup_commits", "a_backup_aborts"]


def test_a_backup_that_ignores_commits_breaks_nothing() -> None:
    scenario = load(Aim("three-phase-commit@backup-ignores-commits"))
    assert explore(scenario).verdict is Verdict.PASS
