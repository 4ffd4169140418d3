"""Where clients connect: each connection is a node, and every reply the end of its operation.

A connection has one operation under way. What it sends meanwhile waits, and becomes one operation
if the front can make it one; past `WAITING` commands we stop reading until some are answered.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from quorate.kernel.values import NodeId
from quorate.live.host import Host, Hosted
from quorate.live.watch import Arrival, Watch
from quorate.scenario.system import Command, Conversation, Front
from quorate.wire.resp import Failure, Parser, encode_reply

WAITING = 10_000
VALUE_BYTES = 4 << 20
"""The longest argument of a command, and so the longest value."""
COMMAND_BYTES = 8 << 20
"""The longest command. Entries of the log and parts of snapshots travel many in one frame."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, door: "Door") -> None:
        self._door = door
        self._parser = Parser(max_bulk=VALUE_BYTES, max_pending=COMMAND_BYTES)
        self._waiting: list[Command] = []
        self._hosted: Hosted | None = None
        self._talk: Conversation | None = None
        self._transport: asyncio.Transport | None = None
        self._is_busy = False
        self._is_full = False
        self._taken = 0
        self._peer = ("", 0)
        self._arrived = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._door.admits():
            self._transport.write(encode_reply(Failure("ERR max number of clients reached")))
            self._transport.close()
            return
        host, port, *_ = self._peer = transport.get_extra_info("peername") or ("", 0)
        self._hosted, self._talk = self._door.enter(self, f"{host}:{port}")
        self._hosted.on_complete = self._complete
        self._parser.restricted = not self._talk.is_trusted

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._hosted is not None and self._talk is not None:
            self._talk.close()
            self._door.leave(self, self._hosted)
            self._hosted = None

    def data_received(self, data: bytes) -> None:
        if self._door.watch is not None and not self._waiting:
            self._arrived = time.time_ns()
        self._waiting += self._parser.feed(data)
        if len(self._waiting) > WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._go_on()

    def pause_writing(self) -> None:
        """The client does not take its replies: it gets no more of them until it does."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._go_on()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def _go_on(self) -> None:
        """Begin the next operation, if there is something to do."""
        hosted, talk, transport = self._hosted, self._talk, self._transport
        if hosted is None or talk is None or transport is None:
            return
        if self._is_busy or self._is_full:
            return
        if self._waiting:
            operation, count = talk.take(self._waiting, self._door.host.clock.wall())
            if len(self._waiting) > WAITING >= len(self._waiting) - count:
                transport.resume_reading()
            if self._door.watch is not None:
                taken = self._waiting[:count]
                self._door.watch.arrived(Arrival(self._arrived, *self._peer[:2], taken))
            del self._waiting[:count]
            self._door.commands += count
            self._taken = count
            self._is_busy = True
            self._door.host.invoke(hosted, operation)
        elif self._parser.failure is not None:
            transport.write(encode_reply(self._parser.failure))
            transport.close()

    def _complete(self, status: str, value: Any) -> None:
        """The operation has ended: as an effect of the node's step, and of nothing else."""
        self._is_busy = False
        self._door.outcomes[status] += self._taken
        if self._transport is None or self._talk is None:
            return
        self._transport.write(self._talk.finish(status, value))
        self._parser.restricted = not self._talk.is_trusted
        if self._talk.is_over:
            self._transport.close()
        elif self._waiting or self._parser.failure is not None:
            self._door.soon(self._go_on)


class Door:
    """All client connections of a member.

    Attributes:
        commands: how many commands were begun, as part of some operation.
        outcomes: how many have ended with ok, fail or info.
        watch: who is to know of operations, so that spans come of them.
    """

    def __init__(self, host: Host, front: Front, member: str, incarnation: int, most: int) -> None:
        self.host = host
        self.commands = 0
        self.outcomes: Counter[str] = Counter()
        self.connections: set[Connection] = set()
        self.peers: tuple[NodeId, ...] = ()
        self.watch: Watch | None = None
        self.soon: Callable[[Callable[[], None]], Any] = lambda call: call()
        self._front = front
        self._name = f"{member}.{incarnation}"
        self._count = 0
        self._most = most

    def admits(self) -> bool:
        """Whether there is room for one more."""
        return len(self.connections) < self._most

    def enter(self, connection: Connection, address: str) -> tuple[Hosted, Conversation]:
        """A new connection, with a client node of its own. No other ever has the same id."""
        self._count += 1
        self.connections.add(connection)
        node = self._front.client(NodeId(f"c{self._count}@{self._name}"), self.peers)
        return self.host.add(node), self._front.open(address, self.host.clock.wall())

    def leave(self, connection: Connection, hosted: Hosted) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.host.remove(hosted)
        if self.watch is not None:
            self.watch.left(hosted.env.id)


def member_of(id: NodeId) -> str:
    """The member in whose process a node lives: `c7@n2.3` lives in that of n2, and so does n2."""
    return id.rpartition("@")[2].partition(".")[0]
