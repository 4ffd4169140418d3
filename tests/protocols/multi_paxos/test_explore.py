"""Every state of two commands under two ballots; and how short a way leads to each mistake."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


def test_two_slots_and_two_ballots() -> None:
    """Among the states are holes, no-ops in them, and a replica that needs the whole state."""
    result = explore(load(Aim("multi-paxos")))
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (250_682, 21)


def test_one_slot_has_no_holes() -> None:
    """With one slot it is Paxos."""
    result = explore(load(Aim("multi-paxos")), slots=1)
    assert result.violates == "decided_beyond_a_hole"
    assert result.is_exhausted
    assert (result.progress.states, result.progress.depth) == (36_304, 17)


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("vote-despite-promise", "Chosen", 15),
        ("ignore-earlier-votes", "Chosen", 12),
        ("adopt-lowest-vote", "Chosen", 17),
        ("watermark-ignored", "Chosen", 14),
        ("votes-forgotten-in-a-hole", "Chosen", 16),
        ("holes-taken-for-no-ops", "OneStatePerSlot", 14),
        ("begin-in-a-hole", "Chosen", 15),
        ("slot-used-twice", "OneCommandPerBallot", 11),
        ("ballot-used-twice", "OneCommandPerBallot", 18),
        ("phase-1-quorum-of-one", "Chosen", 13),
        ("phase-2-quorum-of-one", "Chosen", 14),
        ("promise-volatile", "ballots_grow", 6),
        ("votes-volatile", "Chosen", 14),
        ("store-volatile", "OneStatePerSlot", 11),
        ("state-without-sessions", "OneStatePerSlot", 16),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    """A mutant's bounds say what it takes besides two commands and two timers."""
    scenario = load(Aim(f"multi-paxos@{mutant}"))
    (bounds,) = (dict[str, Any](m.bounds) for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, **bounds).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)
