"""Every state of small systems: how many there are, and how soon broken ones fail."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.kernel import NodeId
from quorate.scenario.exploration import Script
from quorate.scenario.workload import ACQUIRE, RELEASE
from quorate.verdict import Verdict


def client(server: str, times: int = 1) -> Script:
    """Acquires and releases through this server, so many times."""
    return Script((ACQUIRE, RELEASE) * times, {"server": NodeId(server)})


ONE_EACH = (client("n1"), client("n2"))
TWO_EACH = (client("n1", 2), client("n2", 2))
ONE_KEEPS_IT = (client("n1"), *(Script((ACQUIRE,), {"server": NodeId(n)}) for n in ("n2", "n3")))


@pytest.mark.parametrize(
    ("states", "bounds"),
    [
        (566, {"nodes": 2, "scripts": ONE_EACH}),
        (10_113, {"nodes": 3, "scripts": ONE_EACH}),
        (7_217, {"nodes": 3, "scripts": ONE_EACH, "fields": {"spare_acknowledgements": True}}),
        (21_564, {"nodes": 2, "scripts": TWO_EACH, "eager": True}),
    ],
)
def test_all_states(states: int, bounds: dict[str, Any]) -> None:
    """Nothing fails, everybody is served from every state, and all that should happen does."""
    result = explore(load(Aim("lamport-mutex")), liveness=True, **{"eager": False, **bounds})
    assert result.verdict is Verdict.PASS
    assert result.progress.states == states


def test_a_link_carries_four_messages_at_most() -> None:
    """So a bound of four excludes nothing: an acknowledgement, and a release between requests."""
    counts = [
        explore(
            load(Aim("lamport-mutex")), nodes=2, scripts=TWO_EACH, eager=True, channel=channel
        ).progress.states
        for channel in (3, 4)
    ]
    assert counts == [21_504, 21_564]


@pytest.mark.parametrize(
    ("mutant", "claim", "steps", "bounds"),
    [
        ("enter-unheard", "mutual_exclusion", 4, {}),
        ("enter-when-one-is-heard", "mutual_exclusion", 8, {"nodes": 3}),
        ("enter-when-heard-at-all", "mutual_exclusion", 13, {"scripts": TWO_EACH}),
        ("enter-out-of-turn", "mutual_exclusion", 8, {}),
        ("ties-unbroken", "mutual_exclusion", 8, {}),
        ("request-not-queued", "mutual_exclusion", 8, {}),
        ("no-acknowledgement", "deadlock", 6, {}),
        ("spare-too-much", "deadlock", 6, {"fields": {"spare_acknowledgements": True}}),
        ("release-forgets-none", "deadlock", 13, {}),
        ("clock-not-advanced-by-messages", "clock_condition", 4, {}),
        ("clock-does-not-tick", "clock_condition", 2, {}),
        ("release-forgets-all", "mutual_exclusion", 15, {"nodes": 3, "scripts": ONE_KEEPS_IT}),
    ],
)
def test_mutants(mutant: str, claim: str, steps: int, bounds: dict[str, Any]) -> None:
    """The shortest way to the failure, where it takes the fewest nodes and operations."""
    eager = "scripts" in bounds and bounds.get("nodes") == 3
    small = {"nodes": 2, "scripts": ONE_EACH, "eager": eager, **bounds}
    result = explore(load(Aim(f"lamport-mutex@{mutant}")), **small)
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == (claim, steps)


def test_without_order_on_links_two_enter() -> None:
    """Eight steps: an acknowledgement overtakes the request that was sent before it."""
    result = explore(
        load(Aim("lamport-mutex")), nodes=2, scripts=ONE_EACH, eager=False, network="multiset"
    )
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == ("GrantedInOrder", 8)


def test_what_breaks_nothing_is_not_reported() -> None:
    """A message of the very time of the request is as good as a later one."""
    scenario = load(Aim("lamport-mutex@enter-when-heard-at-that-time"))
    result = explore(scenario, nodes=3, scripts=ONE_EACH)
    assert result.verdict is Verdict.PASS
