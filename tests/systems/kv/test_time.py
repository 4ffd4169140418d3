"""Whose clock counts: the leader's, and nobody else's."""

from quorate.kernel import Message, NodeId, Operation, Request, Response, ms
from quorate.protocols.consensus.raft_sessions import StateMachine
from quorate.protocols.consensus.raft_state import Config
from quorate.systems.kv.store import Store
from tests.protocols.raft.cluster import ALICE, N1, N2, Cluster

AHEAD = 10**12
"""What a client's member takes for the time, in milliseconds."""


def led(config: Config) -> Cluster:
    cluster = Cluster(3, config, state=StateMachine(machine=Store()))
    cluster.elect(N1)
    cluster.wall = ms(5000)
    return cluster


def asked(cluster: Cluster, *commands: str, f: str = "", to: NodeId = N1) -> list[Message]:
    """The answers to one operation, whose client sees a clock that is far ahead."""
    words = tuple(tuple(word.encode() for word in command.split()) for command in commands)
    operation = Operation("commands", None, (AHEAD, words))
    if f:
        operation = Operation(f, "me", (1, operation) if f == "once" else operation)
    cluster.send(ALICE, to, Request(1, operation, once=False))
    cluster.deliver()
    cluster.heartbeat(N1)
    return cluster.answered(ALICE)


def test_a_key_expires_by_the_clock_of_the_leader() -> None:
    for f in ("", "once"):
        cluster = led(Config(snapshot_every=0))
        assert asked(cluster, "SET k v PX 100", f=f) == [Response(1, ("OK",))]
        cluster.wall += ms(99)
        assert asked(cluster, "GET k", "PTTL k") == [Response(1, (b"v", 1))]
        cluster.wall += ms(1)
        assert asked(cluster, "GET k") == [Response(1, (None,))]
        clocks = {node.state.machine.keyspace.clock for node in cluster.nodes.values()}
        assert clocks == {5100}


def test_reads_by_a_lease_go_by_the_clock_of_the_leader() -> None:
    cluster = led(Config(snapshot_every=0, lease_reads=True, stale_reads=True))
    assert asked(cluster, "SET k v PX 100") == [Response(1, ("OK",))]
    for f in ("lease", "linearizable"):
        assert asked(cluster, "GET k", f=f) == [Response(1, (b"v",))]
    cluster.wall += ms(100)
    assert asked(cluster, "GET k", f="lease") == [Response(1, (None,))]


def test_a_time_that_goes_back_is_not_believed() -> None:
    cluster = led(Config(snapshot_every=0))
    asked(cluster, "SET k v PX 100")
    cluster.wall -= ms(4000)
    cluster.elect(N2)
    assert asked(cluster, "PTTL k", to=N2) == [Response(1, (100,))]
