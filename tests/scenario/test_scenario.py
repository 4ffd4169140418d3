"""A scenario makes the nodes of its runs."""

from collections.abc import Callable

import pytest

from quorate.kernel import Client, NodeId
from quorate.protocols.replication.abd import Abd
from quorate.scenario.adversaries import PartialBroadcast
from quorate.scenario.scenario import Scenario
from quorate.scenario.workload import Draw, Workload, append_key_value, register, unique_writes


def scenario(**fields: object) -> Scenario:
    workload = Workload(model="register", draw=register())
    return Scenario(name="some", node=Abd, workload=workload, **fields)  # type: ignore[arg-type]


def client(made: Scenario) -> Client:
    found = made.make_client(NodeId("c1"))
    assert isinstance(found, Client)
    return found


def test_clients_know_all_servers_unless_told_otherwise() -> None:
    assert client(scenario()).peers == ("n1", "n2", "n3")
    some = (NodeId("n2"), NodeId("n3"))
    assert client(scenario(client_fields={"peers": some, "retry": 0})).peers == some
    assert client(scenario(client_fields={"retry": 7})).retry == 7


def cut_short(made: Scenario) -> set[tuple[bool, bool]]:
    """Of worlds in which some stay cut off: whether links were cut by chance, by an adversary."""
    drawn = [made.conditions(seed) for seed in range(300)]
    return {
        ("partition" in world.faults, world.adversary is not None)
        for world in drawn
        if not world.whole_core
    }


def test_some_stay_cut_off_where_links_were_cut_and_nobody_else_is_missing() -> None:
    by_chance, by_an_adversary, by_both = (True, False), (False, True), (True, True)
    watched = {"adversaries": (PartialBroadcast,)}
    assert cut_short(scenario()) == {by_chance}
    assert cut_short(scenario(**watched)) == {by_chance, by_an_adversary, by_both}
    assert not cut_short(scenario(**watched, faults=frozenset({"crash", "loss"})))
    assert not cut_short(scenario(**watched, recovers=False))


@pytest.mark.parametrize("make", [register, unique_writes, append_key_value])
def test_a_workload_may_have_any_number_of_keys(make: Callable[[int], Draw]) -> None:
    drawn = {make(5)(bits << 8, 0, 0).key for bits in range(10)}
    assert drawn == {"x", "y", "z", "k4", "k5"}
    with pytest.raises(ValueError, match="one key or more, not 0"):
        make(0)
