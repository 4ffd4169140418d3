"""Where clients connect: each connection is a node, and every reply the end of its operation.

A connection has one operation under way. What it sends meanwhile waits, and becomes one operation
if the front can make it one; past `WAITING` commands we stop reading until some are answered.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from quorate.kernel.values import NodeId
from quorate.live.host import Host, Hosted
from quorate.scenario.system import Command, Front
from quorate.wire.resp import Failure, Parser, encode_reply

WAITING = 10_000


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, door: "Door") -> None:
        self._door = door
        self._parser = Parser()
        self._waiting: list[Command] = []
        self._hosted: Hosted | None = None
        self._transport: asyncio.Transport | None = None
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._door.admits():
            self._transport.write(encode_reply(Failure("ERR max number of clients reached"), 2))
            self._transport.close()
            return
        self._hosted = self._door.enter(self)
        self._hosted.on_complete = self._complete
        self._parser.restricted = not self._door.front.is_trusted(self._hosted.node)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._hosted is not None:
            self._door.leave(self, self._hosted)
            self._hosted = None

    def data_received(self, data: bytes) -> None:
        if self._hosted is None:
            return
        self._waiting += self._parser.feed(data)
        if len(self._waiting) > WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._go_on()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def _go_on(self) -> None:
        hosted = self._hosted
        if hosted is None or self._is_busy:
            return
        if self._waiting:
            operation, count = self._door.front.operation(
                self._waiting, self._door.host.clock.wall()
            )
            was_paused = len(self._waiting) > WAITING
            del self._waiting[:count]
            if was_paused and len(self._waiting) <= WAITING and self._transport is not None:
                self._transport.resume_reading()
            self._is_busy = True
            self._door.commands += count
            self._door.host.invoke(hosted, operation)
        elif self._parser.failure is not None and self._transport is not None:
            self._transport.write(encode_reply(self._parser.failure, 2))
            self._transport.close()

    def _complete(self, status: str, value: Any) -> None:
        hosted = self._hosted
        self._is_busy = False
        if self._transport is None or hosted is None:
            return
        front = self._door.front
        self._transport.write(front.reply(hosted.node, status, value))
        self._parser.restricted = not front.is_trusted(hosted.node)
        if front.is_over(hosted.node, status):
            self._transport.close()
        elif self._waiting or self._parser.failure:
            self._door.soon(self._go_on)


class Door:
    """All client connections of a member.

    Attributes:
        commands: how many commands clients have asked for.
    """

    def __init__(self, host: Host, front: Front, member: str, incarnation: int, most: int) -> None:
        self.host = host
        self.front = front
        self.commands = 0
        self.connections: set[Connection] = set()
        self.peers: tuple[NodeId, ...] = ()
        self.soon: Callable[[Callable[[], None]], Any] = lambda call: call()
        self._name = f"{member}.{incarnation}"
        self._count = 0
        self._most = most

    def admits(self) -> bool:
        """Whether there is room for one more."""
        return len(self.connections) < self._most

    def enter(self, connection: Connection) -> Hosted:
        """A new connection, with a client node of its own. No other ever has the same id."""
        self._count += 1
        self.connections.add(connection)
        return self.host.add(self.front.client(NodeId(f"c{self._count}@{self._name}"), self.peers))

    def leave(self, connection: Connection, hosted: Hosted) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.host.remove(hosted)


def member_of(id: NodeId) -> str:
    """The member in whose process a node lives: `c7@n2.3` lives in that of n2, and so does n2."""
    return id.rpartition("@")[2].partition(".")[0]
