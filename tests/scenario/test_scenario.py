"""A scenario makes the nodes of its runs."""

from quorate.kernel import Client, NodeId
from quorate.protocols.replication.abd import Abd
from quorate.scenario.scenario import Scenario
from quorate.scenario.workload import Workload, register


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
