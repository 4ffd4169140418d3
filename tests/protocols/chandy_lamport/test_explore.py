"""Every state of small systems: how many there are, and how soon broken ones fail."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.kernel import NodeId, Operation
from quorate.protocols.snapshots.chandy_lamport_scenario import AUDIT
from quorate.scenario.exploration import Script

NEXT = Operation("transfer", None, (0, 1))


def client(server: str, *operations: Operation) -> Script:
    return Script(operations, {"server": NodeId(server)})


MEANWHILE = (client("n1", AUDIT), client("n2", NEXT, NEXT))
TWICE = (client("n1", AUDIT), client("n1", AUDIT), client("n2", NEXT))
AROUND = (client("n1", NEXT), client("n2", AUDIT))
RING: dict[str, Any] = {"fields": {"ring": True}}


@pytest.mark.parametrize(
    ("states", "unreached", "bounds"),
    [
        (592, ["snapshots_overlap"], {"nodes": 2, "scripts": MEANWHILE}),
        (2_929, [], {"nodes": 2, "scripts": TWICE}),
        (1_042, ["snapshots_overlap"], {"nodes": 3, "scripts": AROUND}),
        (15_371, ["snapshots_overlap"],
         {"nodes": 3, "scripts": (*AROUND, client("n2", NEXT), client("n3", NEXT)), "eager": True,
          **RING}),
    ],
)  # fmt: skip
def test_all_states(states: int, unreached: list[str], bounds: dict[str, Any]) -> None:
    """No snapshot is wrong, and from every state all of them can end."""
    result = explore(load(Aim("chandy-lamport")), liveness=True, **{"eager": False, **bounds})
    assert result.failed is None
    assert result.unreached == unreached
    assert (result.is_exhausted, result.progress.states) == (True, states)


@pytest.mark.parametrize(
    ("mutant", "claim", "steps", "bounds"),
    [
        ("state-recorded-late", "conserved", 9, {}),
        ("channels-not-recorded", "consistent", 9, {}),
        ("initiator-records-no-channel", "consistent", 9, {}),
        ("last-message-counts", "consistent", 13, {}),
        ("first-channel-not-empty", "deadlock", 13, {}),
        ("markers-not-passed-on", "deadlock", 12, {}),
        ("reports-of-a-majority", "conserved", 5, {}),
        ("recorded-beyond-the-marker", "consistent", 14, {"nodes": 3, "scripts": AROUND}),
        ("second-marker-closes-all", "consistent", 14, {"nodes": 3, "scripts": AROUND}),
        ("marker-along-one-channel", "deadlock", 8, {"nodes": 3, "scripts": AROUND}),
        ("one-snapshot-records", "consistent", 15, {"scripts": TWICE}),
        ("snapshots-not-numbered", "deadlock", 14, {"scripts": TWICE}),
    ],
)
def test_mutants(mutant: str, claim: str, steps: int, bounds: dict[str, Any]) -> None:
    """The shortest way to the failure, where it takes the fewest processes and operations."""
    small = {"nodes": 2, "scripts": MEANWHILE, "eager": False, **bounds}
    result = explore(load(Aim(f"chandy-lamport@{mutant}")), **small)
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == (claim, steps)


@pytest.mark.parametrize("mutant", ["first-marker-closes-all", "snapshots-share-a-recording"])
def test_three_processes_and_two_snapshots(mutant: str) -> None:
    """What takes the whole default exploration to be noticed."""
    assert explore(load(Aim(f"chandy-lamport@{mutant}"))).violates in ("consistent", "deadlock")


def test_without_order_in_channels_a_token_is_lost() -> None:
    """A marker overtakes the token that was sent before it."""
    scenario = load(Aim("chandy-lamport"))
    scripts = (client("n1", NEXT, AUDIT),)
    result = explore(scenario, nodes=2, scripts=scripts, eager=False, network="multiset")
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == ("consistent", 9)
    assert explore(scenario, nodes=2, scripts=scripts, eager=False).failed is None
