"""The stepping engine of a live process: it runs nodes by `kernel.step`, and nothing else does.

What a socket brought is delivered message by message. Then comes the turn: `BatchEnd` to a node
that has unsynced records, one sync for all of them, and only then the release of what rested on
them. While the disk syncs, nodes go on, and what they do is the next batch. The world is reached
through four narrow interfaces, so that the engine runs without sockets.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from quorate.errors import Mistake, one_line, place_of
from quorate.kernel.composition import ToChild, child_of
from quorate.kernel.env import CancelTimer, Complete, Effect, Env, Send, SetTimer, Store
from quorate.kernel.node import (
    BatchEnd,
    Event,
    Invoke,
    Message,
    Node,
    Operation,
    Start,
    Stored,
    Timer,
    step,
)
from quorate.kernel.values import Map, NodeId
from quorate.live.clock import Clock
from quorate.live.codec import Codec
from quorate.live.durable import Durable

NEVER = 1 << 63
FAR = 500_000_000
"""Nanoseconds ahead from which on a timer is far away."""


FREED = 500
"""How many items that a log has forgotten are let go of in a turn."""


class Network(Protocol):
    """Where messages to nodes of other processes go."""

    def send(self, source: NodeId, target: NodeId, origin: int, message: bytes) -> None:
        """Let a message leave with the next flush; it may be lost."""

    def flush(self) -> None:
        """Let what was sent leave now."""


class Disk(Protocol):
    """Where durable records go."""

    def append(self, record: bytes) -> None:
        """Write a record, with the next sync at the latest."""

    def sync(self, done: Callable[[], None]) -> None:
        """Make all that was appended so far survive a crash; then call `done`, perhaps at once.

        If that is not sure, `done` is never called, and the process ends.
        """

    def store(self, name: str, value: Any, done: Callable[[], None]) -> None:
        """Write a large value in the background; then call `done`."""


class Recorder(Protocol):
    """Keeps what happened, so that it can be run again by the same step function."""

    def added(self, node: Node) -> None:
        """A client node began to live here."""

    def stepped(
        self,
        hosted: "Hosted",
        number: int,
        event: Event,
        before: Node,
        choices: Sequence[Any],
        origin: int,
    ) -> None:
        """Step `number` has run; `hosted` holds its results, `origin` is the step that caused it.

        Raises if the step is found not to be a function of what it was given.
        """

    def synced(self, reach: int) -> None:
        """The disk holds all steps up to number `reach`."""


class Hosted:
    """A node in this process.

    Attributes:
        node: its state as it sees it itself.
        env: its window on the world, which keeps the clocks and the effects of the last step.
        durable: how its durable fields are written; None if it has none.
        on_complete: what to do when an operation of this client has ended.
        timers: when each pending timer is due, by this process's monotonic clock.
        unsynced: the first step with a durable record that no sync covers yet; 0 if there is none.
        is_syncing: whether a sync of earlier ones is under way.
        waiting: steps whose effects wait for a sync, oldest first.
    """

    __slots__ = (
        "durable", "env", "is_syncing", "node", "on_complete", "timers", "unsynced", "waiting",
    )  # fmt: skip

    def __init__(
        self, node: Node, durable: Durable[Any] | None, choose: Callable[[str, Sequence[Any]], Any]
    ) -> None:
        self.node = node
        self.env = Env(node.id, node.peers, choose)
        self.durable = durable
        self.on_complete: Callable[[str, Any], None] | None = None
        self.timers: dict[Timer, int] = {}
        self.unsynced = 0
        self.is_syncing = False
        self.waiting: deque[tuple[int, Sequence[Effect]]] = deque()


class Host:
    """All nodes of one process.

    Attributes:
        steps: the number of the last step.
        syncs: how many times the disk was synced.
        wants_turn: called when there is something to do in a turn, once until the turn has come.
        wants_waking: called with the time at which the next timer is due, when that comes nearer.
    """

    def __init__(
        self, codec: Codec, clock: Clock, network: Network, disk: Disk, steps: int = 0
    ) -> None:
        self.codec = codec
        self.clock = clock
        self.network = network
        self.disk = disk
        self.recorder: Recorder | None = None
        self.nodes: dict[NodeId, Hosted] = {}
        self.steps = steps
        self.syncs = 0
        self.wants_turn: Callable[[], None] = lambda: None
        self.wants_waking: Callable[[int], None] = lambda when: None
        self._random = random.Random()
        self._local: deque[tuple[NodeId, NodeId, Message, int]] = deque()
        self._dirty: list[Hosted] = []
        self._syncing: list[Hosted] = []
        self._outdated: list[Any] = []
        self._due: list[tuple[int, int, Hosted | None, Timer | None]] = []
        self._far: dict[int, list[tuple[int, Hosted, Timer]]] = {}
        self._reminders = 0
        self._waking = NEVER
        self._turn_is_due = False
        self._choices: list[Any] = []

    def add(self, node: Node, durable: Durable[Any] | None = None) -> Hosted:
        """Let a node live here. It does nothing before `start`, or its first event."""
        hosted = self.nodes[node.id] = Hosted(node, durable, self._choose)
        if durable is not None:
            self._outdated = durable.outdated
        if self.recorder is not None:
            self.recorder.added(node)
        return hosted

    def remove(self, hosted: Hosted) -> None:
        """Let a node without durable state go: what is under way to it is lost."""
        del self.nodes[hosted.env.id]
        hosted.timers.clear()

    # What happens to nodes

    def start(self, hosted: Hosted, recovered: bool, stored: Map[str, Any]) -> None:
        """Begin the node's incarnation."""
        self._step(hosted, Start(recovered, stored), hosted.env.id)

    def deliver(self, source: NodeId, target: NodeId, message: Message, origin: int) -> None:
        """A message has arrived; it is lost if its target does not live here, or cannot take it."""
        hosted = self.nodes.get(target)
        if hosted is None:
            return
        if type(message) in hosted.node.handlers or _has_child_for(hosted.node, message):
            self._step(hosted, message, source, origin)

    def invoke(self, hosted: Hosted, operation: Operation) -> None:
        """Let a client begin an operation; `on_complete` tells how it ended."""
        self._step(hosted, Invoke(operation), hosted.env.id)

    def wake(self) -> None:
        """Fire every timer that is due."""
        now, due = self.clock.now(), self._due
        self._waking = NEVER
        while due and due[0][0] <= now:
            when, _, hosted, timer = heappop(due)
            if hosted is None:
                self._come_near(when)
                continue
            assert timer is not None
            deadline = hosted.timers.get(timer, NEVER)
            if deadline > when:
                if deadline != NEVER:  # It was set anew, to later.
                    self._remind(deadline, hosted, timer)
                continue
            del hosted.timers[timer]
            self._step(hosted, timer, hosted.env.id)
        if due and due[0][0] < self._waking:
            self._wake_at(due[0][0])

    def turn(self) -> None:
        """End the batch, unless the disk is not done with the last one, and let messages leave."""
        self._turn_is_due = False
        local = self._local
        if self._outdated:
            del self._outdated[-FREED:]
        while local or (self._dirty and not self._syncing):
            while local:
                self.deliver(*local.popleft())
            if self._dirty and not self._syncing:
                self._end_batch()
        self.network.flush()

    def _end_batch(self) -> None:
        for hosted in tuple(self._dirty):
            self._step(hosted, BatchEnd(), hosted.env.id)
        self.network.flush()  # What may go ahead of the sync does.
        self._syncing, self._dirty = self._dirty, []
        for hosted in self._syncing:
            hosted.unsynced, hosted.is_syncing = 0, True
        reach = self.steps
        self.disk.sync(lambda: self._synced(reach))

    def _synced(self, reach: int) -> None:
        """The disk holds all steps up to `reach`: release what waited for no later one."""
        self.syncs += 1
        if self.recorder is not None:
            self.recorder.synced(reach)
        syncing, self._syncing = self._syncing, []
        for hosted in syncing:
            hosted.is_syncing = False
            waiting = hosted.waiting
            while waiting and not 0 < hosted.unsynced <= waiting[0][0]:
                self._release(hosted, *waiting.popleft())
        self._ask_for_turn()

    # One step

    def _step(self, hosted: Hosted, event: Event, sender: NodeId, origin: int = 0) -> None:
        env, before = hosted.env, hosted.node
        env.sender = sender
        env.now = self.clock.now()
        env.wall = self.clock.wall()
        effects: list[Effect] = []
        env.effects = effects
        try:
            after = step(before, event, env)
        except Exception as error:
            raise Mistake(_raised(before, event, error)) from error
        hosted.node = after
        self.steps += 1
        number = self.steps
        record = None
        if hosted.durable is not None:
            record = hosted.durable.changes(before, after)
            if record is not None:
                self.disk.append(record)
                if not hosted.unsynced:
                    hosted.unsynced = number
                    self._dirty.append(hosted)
                    self._ask_for_turn()
        if self.recorder is not None:
            self.recorder.stepped(hosted, number, event, before, self._choices, origin)
        self._choices.clear()
        self._at_once(hosted, number, effects)
        if hosted.unsynced or hosted.is_syncing:
            hosted.waiting.append((number, effects))
        else:
            self._release(hosted, number, effects)

    def _at_once(self, hosted: Hosted, number: int, effects: Sequence[Effect]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is SetTimer:
                self._set_timer(hosted, effect)  # type: ignore[arg-type]
            elif kind is CancelTimer:
                hosted.timers.pop(effect.timer, None)  # type: ignore[union-attr]
            elif kind is Send and effect.ahead:  # type: ignore[union-attr]
                self._transmit(hosted, number, effect)  # type: ignore[arg-type]

    def _release(self, hosted: Hosted, number: int, effects: Sequence[Effect]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                if not effect.ahead:  # type: ignore[union-attr]
                    self._transmit(hosted, number, effect)  # type: ignore[arg-type]
            elif kind is Store:
                self._store(hosted, effect)  # type: ignore[arg-type]
            elif kind is Complete and hosted.on_complete is not None:
                hosted.on_complete(effect.status, effect.value)  # type: ignore[union-attr]

    def _transmit(self, hosted: Hosted, number: int, send: Send) -> None:
        source, encoded = hosted.env.id, None
        for target in send.to:
            if target in self.nodes:
                self._local.append((source, target, send.message, number))
                self._ask_for_turn()
            else:
                encoded = encoded or self.codec.encode(send.message)
                self.network.send(source, target, number, encoded)
                self._ask_for_turn()

    def _store(self, hosted: Hosted, effect: Store) -> None:
        def done() -> None:
            self._step(hosted, Stored(effect.name), hosted.env.id)

        self.disk.store(effect.name, effect.value, done)

    # Time and chance

    def _set_timer(self, hosted: Hosted, effect: SetTimer) -> None:
        low, high, timer = effect.low, effect.high, effect.timer
        span = high - low
        deadline = hosted.env.now + low + (int(span * self._random.random()) if span else 0)
        known = hosted.timers.get(timer)
        hosted.timers[timer] = deadline
        if known is None or deadline < known:  # Else we are reminded early, and look again.
            self._remind(deadline, hosted, timer)

    def _remind(self, when: int, hosted: Hosted, timer: Timer) -> None:
        """Look at the timer then. Far ones wait in a row: most are cancelled long before."""
        if when - hosted.env.now > FAR:
            span = when // FAR * FAR
            row = self._far.get(span)
            if row is None:
                row = self._far[span] = []
                self._push(span, None, None)
            row.append((when, hosted, timer))
        else:
            self._push(when, hosted, timer)

    def _push(self, when: int, hosted: Hosted | None, timer: Timer | None) -> None:
        self._reminders += 1
        heappush(self._due, (when, self._reminders, hosted, timer))
        if when < self._waking:
            self._wake_at(when)

    def _come_near(self, span: int) -> None:
        for when, hosted, timer in self._far.pop(span):
            deadline = hosted.timers.get(timer, NEVER)
            if when <= deadline < NEVER:  # If it is due earlier, that is known already.
                self._push(deadline, hosted, timer)

    def _wake_at(self, when: int) -> None:
        self._waking = when
        self.wants_waking(when)

    def _ask_for_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self.wants_turn()

    def _choose(self, name: str, options: Sequence[Any]) -> Any:
        choice = options[self._random.randrange(len(options))]
        self._choices.append(choice)
        return choice


def _has_child_for(node: Node, message: object) -> bool:
    """Whether the message is for a child, of a child perhaps, that handles such ones."""
    while type(message) is ToChild:
        try:
            node, message = child_of(node, message.child), message.message
        except LookupError:
            return False
        if type(message) in node.handlers:
            return True
    return False


def _raised(node: Node, event: Event, error: Exception) -> str:
    """A handler that raises ends the member: what it has done until then is on its disk."""
    what = f"{node.id} raised {type(error).__name__} at {type(event).__name__}"
    return f"{what}: {one_line(error)} ({place_of(error)}); mend {type(node).__name__}"
