"""Replicas of Viewstamped Replication under the hand of a test."""

from quorate.kernel import Event, Message, NodeId, Operation, Request, Timer
from quorate.kernel.env import Effect, Send
from quorate.protocols.consensus.vr import Vr
from quorate.protocols.consensus.vr_state import (
    NORMAL,
    CommitTimeout,
    DoViewChange,
    Entry,
    StartView,
    StartViewChange,
    ViewTimeout,
)
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
ALICE, BOB = NodeId("alice"), NodeId("bob")


def append(number: int, text: str) -> Request:
    """The request of a client to add to the text at x."""
    return Request(number, Operation("append", "x", text))


def entry(text: str, number: int = 1, client: NodeId = ALICE) -> Entry:
    """The same in a log."""
    return Entry(client, number, Operation("append", "x", text))


class Cluster(Story[Vr]):
    """Replicas n1, n2, ...; n1 is the primary of view 0, n2 that of view 1, and so on."""

    def __init__(self, size: int = 3, kind: type[Vr] = Vr) -> None:
        super().__init__(kind, size)
        self.lines.clear()

    def says(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Message]:
        """What a replica sends because of one event; it does not leave."""
        effects = self.act(id, event, sender)
        self.queue.clear()
        return [effect.message for effect in effects if isinstance(effect, Send)]

    def ask(self, text: str, number: int = 1, client: NodeId = ALICE, to: NodeId = N1) -> None:
        """A client asks a replica to append."""
        self.act(to, append(number, text), client)

    def write(self, text: str, number: int = 1, client: NodeId = ALICE, to: NodeId = N1) -> None:
        """The same, and all that follows from it, with a reminder of what is committed."""
        self.ask(text, number, client, to)
        self.deliver()
        self.fire(to, CommitTimeout())
        self.deliver()

    def change_view(self, *ids: NodeId) -> None:
        """Let these replicas, a quorum, change to the next view among themselves."""
        self.fire(ids[0], ViewTimeout())
        while self.queue:
            source, target, message = self.queue[0]
            is_about_it = isinstance(message, StartViewChange | DoViewChange | StartView)
            if is_about_it and {source, target} <= {*ids}:
                self.deliver_next()
            else:
                self.queue.popleft()

    def read(self, id: NodeId) -> object:
        """The text at x, as a replica has executed it."""
        return self.nodes[id].store.values.get("x")

    def fire(self, id: NodeId, timer: Timer) -> list[Effect]:
        """Let a timer expire; a mutant's timers are of classes of its own."""
        pending = [own for own in self.timers[id] if type(own).__name__ == type(timer).__name__]
        return super().fire(id, pending[0])

    def _take(
        self, kind: type[Message], source: str, targets: tuple[str, ...]
    ) -> list[tuple[NodeId, NodeId, Message]]:
        kinds = {type(message) for _, _, message in self.queue}
        own = [other for other in kinds if other.__name__ == kind.__name__]
        return super()._take(own[0] if own else kind, source, targets)

    def views(self) -> list[tuple[str, int]]:
        """Status and view of every replica."""
        return [(node.status, node.view) for node in self.nodes.values()]

    def all_normal(self, view: int) -> bool:
        """Whether all are normal in this view."""
        return self.views() == [(NORMAL, view)] * len(self.ids)
