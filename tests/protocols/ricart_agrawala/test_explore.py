"""Every state of small systems: how many there are, and how soon broken ones fail."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.kernel import NodeId
from quorate.scenario.exploration import Script
from quorate.scenario.workload import ACQUIRE, RELEASE


def client(server: str, times: int = 1) -> Script:
    """Enters and leaves through this server, so many times."""
    return Script((ACQUIRE, RELEASE) * times, {"server": NodeId(server)})


ONE_EACH = (client("n1"), client("n2"))
TWO_EACH = (client("n1", 2), client("n2", 2))
THREE = (*ONE_EACH, client("n3"))
KEEP: dict[str, Any] = {"fields": {"keep_permissions": True}}
ASK: dict[str, Any] = {"fields": {}}


@pytest.mark.parametrize(
    ("states", "bounds"),
    [
        (24_446, {"scripts": THREE, **ASK}),
        (6_144, {"nodes": 2, "scripts": TWO_EACH, **ASK}),
        (24_446, {"scripts": THREE, **KEEP}),
        (5_957, {"nodes": 2, "scripts": TWO_EACH, **KEEP}),
    ],
)
def test_all_states(states: int, bounds: dict[str, Any]) -> None:
    """Nothing fails, everybody enters from every state, and all that should happen does."""
    result = explore(load(Aim("ricart-agrawala")), liveness=True, **{"eager": False, **bounds})
    assert result.failed is None
    assert result.unreached == ([] if bounds["fields"] else ["permission_kept"])
    assert (result.is_exhausted, result.progress.states) == (True, states)


@pytest.mark.parametrize(
    ("mutant", "claim", "steps", "bounds"),
    [
        ("tie-gives-way", "mutual_exclusion", 8, ASK),
        ("tie-defers", "deadlock", 6, ASK),
        ("later-requests-first", "mutual_exclusion", 8, ASK),
        ("give-way-while-waiting", "mutual_exclusion", 8, ASK),
        ("compare-with-a-fresh-number", "mutual_exclusion", 8, KEEP),
        ("highest-not-followed", "mutual_exclusion", 8, ASK),
        ("number-not-above", "mutual_exclusion", 8, ASK),
        ("deferred-never-answered", "deadlock", 11, ASK),
        ("one-permission-short", "mutual_exclusion", 4, ASK),
        ("permissions-last", "OrderOfRequests", 25, {"scripts": TWO_EACH, **ASK}),
        ("given-but-kept", "permission_is_exclusive", 11, {"scripts": TWO_EACH, **KEEP}),
        ("deferred-but-kept", "permission_is_exclusive", 11, {"scripts": TWO_EACH, **KEEP}),
        ("deferred-answered-twice", "permission_is_exclusive", 32, {"scripts": TWO_EACH, **ASK}),
    ],
)
def test_mutants(mutant: str, claim: str, steps: int, bounds: dict[str, Any]) -> None:
    """The shortest way to the failure, where it takes the fewest nodes and operations."""
    small = {"nodes": 2, "scripts": ONE_EACH, "eager": False, **bounds}
    result = explore(load(Aim(f"ricart-agrawala@{mutant}")), **small)
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == (claim, steps)


def test_what_is_given_away_must_be_asked_back() -> None:
    """Three nodes are the fewest in which a node waits that has kept a permission."""
    scenario = load(Aim("ricart-agrawala@given-and-not-asked-back"))
    assert explore(scenario, nodes=2, scripts=TWO_EACH).failed is None
    assert explore(scenario).violates == "deadlock"
