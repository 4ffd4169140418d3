"""A member that does nothing by itself: an operator takes every step, as a schedule has it.

Frames arrive over real links and wait; timers are set and never fire; records stand in line for the
disk. A command then delivers one message, fires one timer, ends a batch, or syncs the steps up to
one of them, at the clock readings and with the choices that it tells. The node is stepped by the
same engine as ever, and the answer tells the fingerprint of the state that came of it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from quorate.kernel.canonical import fingerprint
from quorate.kernel.env import Store
from quorate.kernel.node import BatchEnd, Message, Operation, Stored, Timer
from quorate.kernel.values import Map, NodeId
from quorate.live.administration import Answer
from quorate.live.clock import Clock
from quorate.live.codec import Undecodable
from quorate.live.host import Disk, Host, Hosted
from quorate.live.member import Member
from quorate.wire.malformed import MALFORMED


class SetClock(Clock):
    """Shows what it was last set to."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = (0, 0)

    def now(self) -> int:
        """The monotonic reading."""
        return self.readings[0]

    def wall(self) -> int:
        """The reading of the wall clock."""
        return self.readings[1]


class Command(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an operator wants to happen to a node, as JSON with bytes in hexadecimal.

    Attributes:
        do: start, deliver, fire, batch, sync, stored, invoke; or keep: write, and sync, the first
            `count` of the records that stand in line, as a crash may.
        node: to which node.
        now, wall: what its clocks show.
        choices: what chance answers, encoded.
        event: the message or timer, encoded; `source` and `origin` tell which message.
        again: the message has been delivered once before.
        reach: the step up to which to sync.
        name: the value that was stored.
    """

    do: str
    node: str
    now: int = 0
    wall: int = 0
    choices: str = ""
    event: str = ""
    source: str = ""
    origin: int = 0
    again: bool = False
    reach: int = 0
    count: int = 0
    name: str = ""


Key = tuple[str, str, int, bytes]


class StepwiseHost(Host):
    """An engine that waits to be told."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._line = _Line(self, self.disk)
        self.disk = self._line
        self.clock = SetClock()
        self._held: list[Key] = []
        self._delivered: set[Key] = set()
        self._stores: dict[str, Any] = {}
        self._given: list[Any] = []
        self.first: tuple[bool, Map[str, Any]] = (False, Map())

    def deliver(self, source: NodeId, target: NodeId, message: Message, origin: int) -> None:
        """Let the message wait."""
        self._held.append((source, target, origin, self.codec.encode(message)))

    def turn(self) -> None:
        """Let what was sent leave: also what a node sent to itself, which survives it elsewhere."""
        self._turn_is_due = False
        while self._local:
            source, target, message, origin = self._local.popleft()
            self.network.send(source, target, origin, self.codec.encode(message))
        self.network.flush()

    def wake(self) -> None:
        """Timers fire when they are told to."""

    def do(self, command: Command) -> dict[str, Any]:
        """Carry a command out. The answer tells the step's number and the state's fingerprint.

        It is `missing` if what it is about is not there (yet), `wrong` if it can never be.
        """
        hosted = self.nodes.get(NodeId(command.node))
        if hosted is None:
            return {"wrong": f"no node {command.node} lives here"}
        assert isinstance(self.clock, SetClock)
        self.clock.readings = (command.now, command.wall)
        action = _ACTIONS.get(command.do)
        if action is None:
            return {"wrong": f"nobody can {command.do}"}
        try:
            self._given = list(self.codec.plain(bytes.fromhex(command.choices) or b"\x90"))
            missing = action(self, hosted, command)
        except (Undecodable, ValueError, StopIteration) as error:
            return {"wrong": str(error)}
        self.turn()
        if missing:
            return {"missing": missing}
        state = fingerprint(hosted.node).hex()
        return {"number": self.steps, "state": state, "left": len(self._given)}

    def _start(self, hosted: Hosted, command: Command) -> str:
        self.start(hosted, *self.first)
        return ""

    def _deliver_held(self, hosted: Hosted, command: Command) -> str:
        data = bytes.fromhex(command.event)
        key = (command.source, command.node, command.origin, data)
        if key in self._held:
            self._held.remove(key)
            self._delivered.add(key)
        elif not (command.again and key in self._delivered):
            return "the message has not arrived"
        self._step(hosted, self.codec.message(data), NodeId(command.source), command.origin)
        return ""

    def _fire(self, hosted: Hosted, command: Command) -> str:
        timer = self.codec.event(type(hosted.node), bytes.fromhex(command.event))
        if not isinstance(timer, Timer) or timer not in hosted.timers:
            return "the timer is not set"
        del hosted.timers[timer]
        self._step(hosted, timer, hosted.env.id)
        return ""

    def _batch(self, hosted: Hosted, command: Command) -> str:
        self._step(hosted, BatchEnd(), hosted.env.id)
        return ""

    def _sync(self, hosted: Hosted, command: Command) -> str:
        limit = self._line.sync_up_to(command.reach)
        waiting = hosted.waiting
        while waiting and (limit is None or waiting[0][0] < limit):
            self._release(hosted, *waiting.popleft())
        hosted.unsynced = limit or 0
        return ""

    def _keep(self, hosted: Hosted, command: Command) -> str:
        self._line.keep(command.count)
        return ""

    def _stored(self, hosted: Hosted, command: Command) -> str:
        if command.name not in self._stores:
            return "nothing of that name is being stored"
        value = self._stores.pop(command.name)
        self._line.write(command.name, value)
        self._step(hosted, Stored(command.name), hosted.env.id)
        return ""

    def _invoke_told(self, hosted: Hosted, command: Command) -> str:
        operation = self.codec.plain(bytes.fromhex(command.event))
        if not isinstance(operation, Operation):
            return "this is no operation"
        self.invoke(hosted, operation)
        return ""

    def _store(self, hosted: Hosted, effect: Store) -> None:
        self._stores[effect.name] = effect.value

    def _choose(self, name: str, options: Sequence[Any]) -> Any:
        if not self._given:
            raise ValueError(f"chance is asked for {name}, and no answer was told")
        wanted = self._given.pop(0)
        for option in options:
            if option == wanted:
                self._choices.append(option)
                return option
        raise ValueError(f"{name} cannot be {wanted}")


class _Line:
    """Where durable records stand in line for the disk."""

    def __init__(self, host: Host, disk: Disk) -> None:
        self._host = host
        self._disk = disk
        self._records: list[tuple[int, bytes]] = []

    def append(self, record: bytes) -> None:
        """Let the record of the step that is running stand in line."""
        self._records.append((self._host.steps, record))

    def sync(self, done: Any) -> None:
        """Only `sync_up_to` does."""

    def sync_up_to(self, reach: int) -> int | None:
        """Make the records of steps up to `reach` last; the first step that still waits."""
        self.keep(sum(number <= reach for number, _ in self._records))
        return self._records[0][0] if self._records else None

    def keep(self, count: int) -> None:
        """Make the first records last."""
        for _, record in self._records[:count]:
            self._disk.append(record)
        self._disk.sync_now()  # type: ignore[attr-defined]
        del self._records[:count]

    def store(self, name: str, value: Any, done: Any) -> None:
        """Nothing is written before it is told."""

    def write(self, name: str, value: Any) -> None:
        """Write a value now."""
        self._disk.write(name, value)  # type: ignore[attr-defined]


_ACTIONS: dict[str, Any] = {
    "start": StepwiseHost._start,
    "deliver": StepwiseHost._deliver_held,
    "fire": StepwiseHost._fire,
    "batch": StepwiseHost._batch,
    "sync": StepwiseHost._sync,
    "keep": StepwiseHost._keep,
    "stored": StepwiseHost._stored,
    "invoke": StepwiseHost._invoke_told,
}


class StepwiseMember(Member):
    """A member whose every step an operator takes."""

    host_kind: ClassVar[type[Host]] = StepwiseHost

    def begin(self) -> None:
        """The incarnation begins when it is told to."""
        assert isinstance(self.host, StepwiseHost)
        self.host.first = (self.disk.incarnation > 1, self.disk.stored)

    def answer(self, data: bytes, answer: Answer) -> None:
        """Carry out a command, or answer a question."""
        assert isinstance(self.host, StepwiseHost)
        try:
            command = msgspec.json.decode(data, type=Command)
        except MALFORMED:
            if b'"fields"' in data:
                answer(self._fields())
            else:
                super().answer(data, answer)
        else:
            answer(self.host.do(command))

    def _fields(self) -> dict[str, Any]:
        """The fingerprint of each field of the server."""
        node = self.server.node
        return {name: fingerprint(getattr(node, name)).hex() for name in node.__struct_fields__}
