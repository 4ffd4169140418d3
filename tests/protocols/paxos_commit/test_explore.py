"""Every state of a transaction that somebody may have to end; the shortest way to each mistake."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


def test_a_second_leader() -> None:
    """Three nodes, each resource manager and acceptor; one of them leads a higher ballot."""
    result = explore(load(Aim("paxos-commit")), crashes=0)
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (19_024, 14)


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("abort-in-ballot-0-too", "OneValuePerBallot", 7),
        ("vote-volatile", "decisions_stand", 7),
        ("vote-before-forcing", "AllVotedYes", 11),
        ("ignore-earlier-votes", "Chosen", 10),
        ("free-is-yes", "AllVotedYes", 9),
        ("vote-despite-promise", "promises_kept", 8),
        ("promise-volatile", "promises_kept", 7),
        ("votes-volatile", "Chosen", 11),
        ("promise-quorum-of-one", "Chosen", 10),
        ("vote-quorum-of-one", "Agreement", 10),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    """With one crash and one timer that fires."""
    failed = explore(load(Aim(f"paxos-commit@{mutant}"))).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)
