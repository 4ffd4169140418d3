"""A Raft cluster under the hand of a test."""

from collections.abc import Sequence

from quorate.kernel import Log, Map, Message, NodeId, Operation, Request, Response
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    LEADER,
    Config,
    ElectionTimeout,
    HeartbeatTimeout,
)
from quorate.protocols.machines.key_value import Value
from tests.protocols.network import Network

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
ALICE, BOB, CAROL = NodeId("alice"), NodeId("bob"), NodeId("carol")
PLAIN = Config(pre_vote=False, check_quorum=False, no_op=False, batching=False, snapshot_every=0)


class Cluster(Network[Raft]):
    """Servers n1, n2, ...; tests say when timers fire, and what clients ask."""

    def __init__(self, size: int = 3, config: Config = PLAIN, **fields: object) -> None:
        super().__init__(Raft, size, config=config, **fields)

    def set(self, id: NodeId, **fields: object) -> None:
        """Put a server, and its disk, into a state of the test's choice."""
        node = self.nodes[id].__copy__()  # type: ignore[attr-defined]  # absent from its stubs
        for name, value in fields.items():
            setattr(node, name, value)
        self.nodes[id] = self.disks[id] = node

    def set_log(self, id: NodeId, terms: Sequence[int], current_term: int = 0) -> None:
        """Give a server a log of entries with these terms."""
        log = Log([Entry(term) for term in terms], start=1)
        self.set(id, log=log, current_term=max([current_term, *terms]))

    def terms(self, id: NodeId) -> list[int]:
        """The terms of the entries in a server's log."""
        return [entry.term for entry in self.nodes[id].log]

    def time_out(self, id: NodeId, *, deliver: bool = True) -> None:
        """Let a server's election timeout elapse, both parts of it if it has heard a leader."""
        if self.nodes[id].leader not in (None, id):
            self.fire(id, ElectionTimeout())
        self.fire(id, ElectionTimeout())
        if deliver:
            self.deliver()

    def elect(self, id: NodeId) -> None:
        """Make a server the leader, as no other is heard any more."""
        for other in self.ids:
            if self.nodes[other].role != LEADER:
                self.set(other, leader=None)
        self.time_out(id)
        assert self.nodes[id].role == LEADER

    def heartbeat(self, id: NodeId) -> None:
        """Let a leader send a round of heartbeats, and the followers answer it."""
        self.fire(id, HeartbeatTimeout())
        self.deliver()

    def ask(self, client: NodeId, number: int, f: str, value: object = None) -> Request:
        """The request of a client about the key x."""
        return Request(number, Operation(f, "x", value))

    def put(self, client: NodeId, number: int, value: object, to: NodeId = N1) -> None:
        """A client's write, and all that follows from it."""
        self.send(client, to, self.ask(client, number, "put", value))
        self.deliver()

    def answered(self, client: NodeId) -> list[Message]:
        """What the client has been sent since it was last looked at."""
        return self.answers.pop(client, [])

    def values(self, id: NodeId) -> Map[str | None, Value]:
        """The content of a server's store."""
        return self.nodes[id].state.machine.values


def ok(number: int, value: object = None) -> list[Message]:
    """What `answered` gives for one request that was executed."""
    return [Response(number, value)]
