"""Every state of one slot among four acceptors; the shortest ways to mistakes about quorums."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.protocols.consensus.flexible_paxos import Grid
from quorate.verdict import Verdict


def test_quorums_of_half() -> None:
    """|Q1| + |Q2| = 3 + 2 > 4."""
    result = explore(load(Aim("flexible-paxos")))
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (113_421, 20)


def test_quorums_of_a_grid() -> None:
    """Two and two are not more than four, and yet a column meets every row."""
    fields = {"quorums": Grid(2), "keep": 1}
    result = explore(load(Aim("flexible-paxos")), fields=fields, timers=1)
    assert result.failed is None
    assert result.is_exhausted


@pytest.mark.parametrize(
    ("mutant", "length"),
    [
        ("ignore-earlier-votes", 15),
        ("watermark-ignored", 17),
        ("quorums-side-by-side", 15),
        ("both-quorums-small", 15),
        ("one-vote-short", 16),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, length: int) -> None:
    """With quorums of half of the acceptors."""
    scenario = load(Aim(f"flexible-paxos@{mutant}"))
    (bounds,) = (dict[str, Any](m.bounds) for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, **bounds).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == ("Chosen", length)


@pytest.mark.parametrize(("mutant", "length"), [("", 0), ("@majority-for-any-size", 16)])
def test_a_majority_does_not_replace_a_leader_who_needs_nobody(mutant: str, length: int) -> None:
    """With |Q2| = 1 of 4 all others must have promised, too."""
    scenario = load(Aim(f"flexible-paxos{mutant}"))
    (single,) = (c for c in scenario.configurations if c.name == "single")
    failed = explore(scenario, fields={**single.fields, "keep": 1}).failed
    assert (len(failed.path) if failed else 0) == length
