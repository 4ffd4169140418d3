"""Processes that run Zab, under the hand of a test."""

from quorate.kernel import Event, Log, Message, NodeId, Operation, Request
from quorate.kernel.env import Send
from quorate.protocols.consensus.zab import Zab
from quorate.protocols.consensus.zab_state import (
    HeartbeatTimeout,
    Timeout,
    Transaction,
    Zxid,
)
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
ALICE, BOB = NodeId("alice"), NodeId("bob")


def append(number: int, text: str) -> Request:
    """The request of a client to add to the text at x."""
    return Request(number, Operation("append", "x", text))


def transaction(zxid: Zxid, text: str, number: int = 1, client: NodeId = ALICE) -> Transaction:
    """The same in a history."""
    return Transaction(zxid, client, number, Operation("append", "x", text))


class Cluster(Story[Zab]):
    """Processes n1, n2, ...; tests say who leads, and when."""

    def __init__(self, size: int = 3) -> None:
        super().__init__(Zab, size)
        self.lines.clear()

    def set(self, id: NodeId, entries: tuple[Transaction, ...] = (), **fields: object) -> None:
        """Put a process, and its disk, into a state of the test's choice."""
        node = self.nodes[id].__copy__()  # type: ignore[attr-defined]  # absent from its stubs
        node.history = Log(entries, start=1)
        for name, value in fields.items():
            setattr(node, name, value)
        self.nodes[id] = self.disks[id] = node

    def says(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Message]:
        """What a process sends because of one event; it does not leave."""
        effects = self.act(id, event, sender)
        self.queue.clear()
        return [effect.message for effect in effects if isinstance(effect, Send)]

    def lead(self, id: NodeId) -> None:
        """Let a process lead, and all that follows from it among those that can hear it."""
        self.fire(id, Timeout())
        self.deliver()

    def ask(self, text: str, number: int = 1, client: NodeId = ALICE, to: NodeId = N1) -> None:
        """A client asks a process to append."""
        self.act(to, append(number, text), client)

    def beat(self, id: NodeId) -> None:
        """Let a leader's heartbeat be heard and answered."""
        self.fire(id, HeartbeatTimeout())
        self.deliver()

    def read(self, id: NodeId) -> object:
        """The text at x, as a process has delivered it."""
        return self.nodes[id].store.values.get("x")
