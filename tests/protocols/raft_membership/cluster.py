"""A Raft cluster that an operator changes, under the hand of a test."""

from msgspec.structs import replace

from quorate.kernel import Message, NodeId, Operation, Request
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_state import Config
from tests.protocols.raft.cluster import N1, Cluster

OLGA = NodeId("olga")
BARE = Config(pre_vote=False, check_quorum=False, batching=False, snapshot_every=0)
"""With the no-op, without which a new leader may not change anything for long."""


class Members(Cluster):
    """Servers of which the first few, `initial`, belong to the cluster at first."""

    def __init__(self, size: int, initial: int = 0, config: Config = BARE) -> None:
        super().__init__(size, replace(config, initial=initial))

    def ask_for(self, f: str, server: object = None, *, of: NodeId = N1, number: int = 1) -> None:
        """The operator asks a server for a change, and all that can follow from it follows."""
        value = server if isinstance(server, tuple) else None
        key = server if isinstance(server, str) else None
        self.send(OLGA, of, Request(number, Operation(f, key, value), once=False))
        self.deliver()

    def told(self) -> list[Message]:
        """What the operator has been told since it was last asked."""
        return self.answered(OLGA)

    def configuration(self, id: NodeId) -> Configuration:
        """The one that a server uses."""
        return self.nodes[id].configuration

    def voters(self, id: NodeId) -> tuple[NodeId, ...]:
        """Who votes, as a server sees it."""
        return self.configuration(id).voters
