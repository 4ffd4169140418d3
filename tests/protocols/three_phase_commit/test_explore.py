"""Every state of a transaction without timeouts; and what becomes of it if these come too early."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


@pytest.mark.parametrize(("nodes", "states", "depth"), [(3, 678, 16), (4, 10_318, 22)])
def test_a_crash(nodes: int, states: int, depth: int) -> None:
    """Anybody may crash at any point; nobody notices, and nothing bad happens."""
    result = explore(load(Aim("three-phase-commit")), nodes=nodes)
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (states, depth)


@pytest.mark.parametrize(
    ("claim", "timers", "length"), [("nonblocking", 1, 11), ("Agreement", 3, 13)]
)
def test_outside_its_model(claim: str, timers: int, length: int) -> None:
    """Positive control: without a bound on delays, silence tells nothing, and it is wrong."""
    scenario = load(Aim("three-phase-commit"))
    failed = explore(scenario, nodes=3, crashes=0, timers=timers, only=(claim,)).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("two-phases", "nonblocking", 10),
        ("first-ack-commits", "nonblocking", 12),
        ("vote-again", "decisions_stand", 8),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    scenario = load(Aim(f"three-phase-commit@{mutant}"))
    bounds = next(m.bounds for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, nodes=3, **dict[str, Any](bounds)).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)
