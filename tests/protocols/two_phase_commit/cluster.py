"""A coordinator n1 and its subordinates, with a client of theirs; and what each of them writes."""

from collections import Counter
from typing import Any

from quorate.kernel import Event, NodeId, Operation, Request
from quorate.kernel.env import Effect, Send
from quorate.kernel.node import durable_fields
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.two_phase_commit import TwoPhaseCommit
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
CLIENT, LOOKER = NodeId("c1"), NodeId("c2")


def commit(network: Network[TwoPhaseCommit], node: NodeId = N1) -> list[Effect]:
    """A client asks for transaction t."""
    return network.act(node, Request(1, Operation("commit", "t")), CLIENT)


def look(network: Network[TwoPhaseCommit], node: NodeId) -> list[Effect]:
    """A client looks whether transaction t has changed the node's data."""
    return network.act(node, Request(1, Operation("look", "t")), LOOKER)


def states(network: Network[TwoPhaseCommit]) -> list[State | None]:
    """How far each subordinate is with the transaction."""
    return [network.nodes[id].log.get("t") for id in network.ids[1:]]


def unwilling(network: Network[TwoPhaseCommit], *ids: NodeId) -> None:
    """Let these vote no."""
    for id in ids:
        network.nodes[id].willing = (False,)


class Cluster(Story[TwoPhaseCommit]):
    """Writes down what happens; counts what each node writes, and what of that is forced.

    A write is forced if something that the same step sends has to wait for it.
    """

    def __init__(self, size: int = 3, **fields: Any) -> None:
        self.writes: Counter[NodeId] = Counter()
        self.forced: Counter[NodeId] = Counter()
        super().__init__(TwoPhaseCommit, size, **fields)

    def act(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Effect]:
        before = self.nodes[id]
        effects = super().act(id, event, sender)
        names = durable_fields(TwoPhaseCommit)
        if any(getattr(before, name) is not getattr(self.nodes[id], name) for name in names):
            self.writes[id] += 1
            self.forced[id] += any(isinstance(e, Send) and not e.ahead for e in effects)
        return effects

    def cost(self, id: NodeId) -> tuple[int, int, int]:
        """Records that the node has written, those of them forced, and messages it has sent."""
        messages = sum(source == id and target in self.ids for source, target, _ in self.sent)
        return self.writes[id], self.forced[id], messages
