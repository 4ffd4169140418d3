"""A small deterministic world for tests that tell a protocol's story step by step.

Messages arrive in the order in which they were sent, timers fire when told, disks sync after each
step. Tests cut links, hold disks back, and crash nodes by hand.
"""

from collections import deque
from typing import Any, Generic, TypeVar

from quorate.kernel import (
    BatchEnd,
    Env,
    Event,
    Map,
    Message,
    Node,
    NodeId,
    Start,
    Stored,
    Timer,
    step,
)
from quorate.kernel.env import CancelTimer, Effect, Send, SetTimer, Store
from quorate.kernel.node import durable_fields, recover

NodeT = TypeVar("NodeT", bound=Node)


class Network(Generic[NodeT]):
    """Nodes n1, n2, ... of one class.

    Attributes:
        nodes: the state of each node, as it sees itself; tests may replace it.
        disks: what would be left of each node after a crash.
        timers: the pending timers of each node, with their bounds.
        queue: messages under way, as (source, target, message).
        sent: all messages that have ever left.
        answers: what has arrived at addresses that are no node's.
        cuts: directed links that carry nothing; messages on them are lost.
        slow: nodes whose disk syncs, and whose batch ends, only by `sync`.
        now, wall: what every node's clocks show; they move by hand.
    """

    def __init__(self, kind: type[NodeT], size: int, **fields: Any) -> None:
        ids = tuple(NodeId(f"n{number}") for number in range(1, size + 1))
        self.ids = ids
        self.fresh = {id: kind(id=id, peers=ids, **fields) for id in ids}
        self.nodes = dict(self.fresh)
        self.disks = dict(self.fresh)
        self.stored: dict[NodeId, Map[str, Any]] = {id: Map() for id in ids}
        self.timers: dict[NodeId, dict[Timer, tuple[int, int]]] = {id: {} for id in ids}
        self.queue: deque[tuple[NodeId, NodeId, Message]] = deque()
        self.sent: list[tuple[NodeId, NodeId, Message]] = []
        self.answers: dict[NodeId, list[Message]] = {}
        self.cuts: set[tuple[NodeId, NodeId]] = set()
        self.slow: set[NodeId] = set()
        self.now = self.wall = 0
        self._held: dict[NodeId, list[Effect]] = {id: [] for id in ids}
        for id in ids:
            self.act(id, Start())

    def act(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Effect]:
        """Let a node handle an event; return its effects, which are carried out."""
        before = self.nodes[id]
        env = Env(id, self.ids, lambda name, options: options[0])
        env.sender, env.now, env.wall = sender or id, self.now, self.wall
        after = self.nodes[id] = step(before, event, env)
        for effect in env.effects:
            if isinstance(effect, SetTimer):
                self.timers[id][effect.timer] = (effect.low, effect.high)
            elif isinstance(effect, CancelTimer):
                self.timers[id].pop(effect.timer, None)
            elif isinstance(effect, Send) and effect.ahead:
                self._leave(id, effect)
            else:
                self._held[id].append(effect)
        if id not in self.slow and not isinstance(event, BatchEnd):
            names = durable_fields(type(after))
            self.sync(id, batch=any(getattr(after, n) is not getattr(before, n) for n in names))
        return env.effects

    def sync(self, id: NodeId, *, batch: bool = True) -> None:
        """End the node's batch, sync its disk, and let go what has waited for that."""
        if batch:
            self.act(id, BatchEnd())
        self.disks[id] = self.nodes[id]
        held, self._held[id] = self._held[id], []
        for effect in held:
            if isinstance(effect, Send):
                self._leave(id, effect)
            elif isinstance(effect, Store):
                self.stored[id] = self.stored[id].set(effect.name, effect.value)
                self.act(id, Stored(effect.name))

    def _leave(self, source: NodeId, send: Send) -> None:
        flights = [(source, target, send.message) for target in send.to]
        self.queue.extend(flights)
        self.sent.extend(flights)

    def fire(self, id: NodeId, timer: Timer) -> list[Effect]:
        """Let a pending timer of the node expire."""
        del self.timers[id][timer]
        return self.act(id, timer)

    def send(self, source: NodeId, target: NodeId, message: Message) -> None:
        """Put a message on its way."""
        self.queue.append((source, target, message))

    def deliver(self, limit: int = 10_000) -> None:
        """Deliver messages, and those that they bring forth, until none is under way."""
        for _ in range(limit):
            if not self.queue:
                return
            self.deliver_next()
        raise AssertionError(f"still busy after {limit} messages")

    def deliver_next(self) -> None:
        """Deliver the message that left first."""
        source, target, message = self.queue.popleft()
        if (source, target) in self.cuts:
            return
        if target in self.nodes:
            self.act(target, message, source)
        else:
            self.answers.setdefault(target, []).append(message)

    def isolate(self, *ids: NodeId) -> None:
        """Cut all links between these nodes and the others."""
        others = [id for id in self.ids if id not in ids]
        self.cuts |= {link for a in ids for b in others for link in ((a, b), (b, a))}

    def heal(self) -> None:
        """Mend all links."""
        self.cuts.clear()

    def crash(self, id: NodeId, restart: bool = True) -> None:
        """Lose what is not on the node's disk, and begin its next incarnation."""
        self.nodes[id] = self.disks[id] = recover(self.fresh[id], self.disks[id])
        self._held[id].clear()
        self.timers[id].clear()
        if restart:
            self.act(id, Start(True, self.stored[id]))
