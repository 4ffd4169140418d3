"""Every state of two proposers among three acceptors; and how short a way leads to each mistake."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


def test_two_proposers() -> None:
    """Whoever asks whom, and in whatever order messages arrive, one value is decided."""
    result = explore(load(Aim("paxos")))
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (293_462, 22)


def test_within_one_round_nobody_duels() -> None:
    """A proposer that has promised another's ballot would have to go to the next round."""
    result = explore(load(Aim("paxos")), ballots=1)
    assert result.violates == "duel"
    assert (result.progress.states, result.progress.depth) == (27_498, 20)


@pytest.mark.parametrize("mutant", ["adopt-any-vote", "adopt-lowest-vote"])
def test_which_vote_is_adopted_matters_from_the_third_ballot_on(mutant: str) -> None:
    """With two ballots only one value can have votes by the time that somebody looks back."""
    result = explore(load(Aim(f"paxos@{mutant}")), ballots=1, timers=0)
    assert result.failed is None
    assert result.progress.states == 27_498


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("vote-despite-promise", "PromiseKept", 11),
        ("ignore-earlier-votes", "Chosen", 13),
        ("adopt-any-vote", "Chosen", 15),
        ("adopt-lowest-vote", "Chosen", 15),
        ("propose-twice-in-a-ballot", "OneValuePerBallot", 12),
        ("propose-after-restart", "Validity", 8),
        ("count-stale-promises", "Chosen", 14),
        ("promise-quorum-of-one", "Chosen", 11),
        ("vote-quorum-of-one", "agreement", 11),
        ("promise-volatile", "PromiseKept", 8),
        ("vote-volatile", "Chosen", 13),
        ("ballot-volatile", "OneValuePerBallot", 17),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    """A mutant's bounds say what it takes besides two proposers, each of whom tries once."""
    scenario = load(Aim(f"paxos@{mutant}"))
    (bounds,) = (dict[str, Any](m.bounds) for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, **bounds).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)


def test_a_vote_in_the_promised_ballot_itself_is_needed() -> None:
    """Without it nothing bad happens, and nothing good either."""
    result = explore(load(Aim("paxos@vote-only-above-promise")))
    assert result.violates == "decision"
    assert result.is_exhausted
