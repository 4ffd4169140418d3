"""Frames over TCP: each member dials every other one, and sends to it on that connection alone.

A link holds at most `QUEUE_BYTES` that its peer has not taken. What is more, and what is sent
while the peer cannot be reached, is lost: protocols send again, and old messages are of no use.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

import msgspec

from quorate.errors import one_line
from quorate.kernel.values import NodeId
from quorate.live.config import Address
from quorate.live.frames import (
    HELLO,
    LONGEST,
    MESSAGE,
    OLDEST,
    REFUSAL,
    VERSION,
    WELCOME,
    Frame,
    Garbled,
    Hello,
    Unframer,
    agreed_version,
    frame,
    frame_head,
    route_bytes,
)
from quorate.wire.malformed import MALFORMED

QUEUE_BYTES = 64 * 1024 * 1024
QUESTION_BYTES = 1 << 20
"""The longest frame that an operator may send: without TLS, any stranger may claim to be one."""
HELLO_SECONDS = 5.0
DEAD_SECONDS = 10
"""A peer that acknowledges nothing of what we sent for so long is given up."""
_BACKOFF = (0.02, 1.0)  # seconds until the next attempt: the first, and the most

_encode = msgspec.msgpack.encode
_hello = msgspec.msgpack.Decoder(Hello)


def own_hello(cluster: str, member: str, incarnation: int) -> Hello:
    """How a member introduces itself; an operator has no name and no incarnation."""
    role = "member" if member else "operator"
    return Hello("quorate", OLDEST, VERSION, cluster, member, incarnation, cast(Any, role))


class Link(asyncio.Protocol):
    """Our side of the way to one other member.

    Attributes:
        is_open: whether the peer has welcomed us, and what we send is under way.
        sent: how many messages the system has taken.
        lost: how many messages have been lost because it was not open, or was full.
        refusal: why the peer last refused us; "" if it did not.
        trouble: why it could not be reached at the last attempt; "" once it could.
        changed: called when the peer has welcomed us, or is gone, and when what is in the way of
            that is another thing than before.
    """

    def __init__(
        self, hello: Hello, peer: str, address: Address, tls: ssl.SSLContext | None
    ) -> None:
        self.peer = peer
        self.address = address
        self.is_open = False
        self.sent = 0
        self.lost = 0
        self.refusal = ""
        self.trouble = ""
        self.changed: Callable[[Link], None] = lambda link: None
        self._hello = hello
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._queue: list[bytes] = []
        self._sequence = 0
        self._routes: dict[tuple[str, str], bytes] = {}
        self._unframer = Unframer()
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Dial, and dial again whenever the connection is lost."""
        self._task = asyncio.get_running_loop().create_task(self._keep_dialling())

    async def stop(self) -> None:
        """Hang up for good."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def send(self, source: NodeId, target: NodeId, origin: int, message: bytes) -> None:
        """Let a message leave with the next flush."""
        if not self.is_open:
            self.lost += 1
            return
        route = self._routes.get((source, target))
        if route is None:
            if len(self._routes) > 10_000:
                self._routes.clear()
            route = self._routes[source, target] = route_bytes(source, target)
        self._sequence += 1
        self._queue.append(frame_head(MESSAGE, message, route, origin, self._sequence))
        self._queue.append(message)

    def flush(self) -> None:
        """Hand what was sent to the system."""
        queue = self._queue
        if not queue:
            return
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > QUEUE_BYTES:
            self.lost += len(queue) // 2
        else:
            transport.write(b"".join(queue))
            self.sent += len(queue) // 2
        queue.clear()

    async def _keep_dialling(self) -> None:
        wait = _BACKOFF[0]
        while True:
            self._closed.clear()
            self._unframer = Unframer()
            try:
                await asyncio.wait_for(self._dial(), HELLO_SECONDS)
            except (TimeoutError, OSError) as error:
                self._fail(error)
            else:
                await self._closed.wait()
                if not self.refusal:
                    wait = _BACKOFF[0]
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, _BACKOFF[1])

    async def _dial(self) -> None:
        (host, port), tls = self.address, self._tls
        name = host if tls else None
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, host, port, ssl=tls, server_hostname=name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _notice_death(self._transport)
        self._transport.set_write_buffer_limits(high=QUEUE_BYTES)
        self._transport.write(frame(HELLO, _encode(self._hello)))
        self._sequence = 0

    def data_received(self, data: bytes) -> None:
        """The peer only ever answers our hello."""
        assert self._transport is not None
        try:
            answers = self._unframer.feed(data)
        except Garbled as error:
            self.refusal = f"it answers in garbage: {error}"
            self._transport.abort()
            return
        for answer in answers:
            if answer.kind == WELCOME:
                self.is_open, self.refusal, self.trouble = True, "", ""
                self.changed(self)
            elif answer.kind == REFUSAL:
                why = bytes(answer.payload).decode("utf-8", "replace")
                self._transport.abort()
                if why != self.refusal:
                    self.refusal = why
                    self.changed(self)

    def connection_lost(self, error: Exception | None) -> None:
        was_open, self.is_open = self.is_open, False
        self._transport = None
        self._queue.clear()
        self._closed.set()
        if was_open:
            self.changed(self)
        elif error is not None:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        why = str(error) or "it does not answer"
        if why != self.trouble:
            self.trouble, self.refusal = why, ""
            self.changed(self)


class Inbound(asyncio.Protocol):
    """A connection that somebody has made to us: another member, an operator, or a stranger.

    `receive` is called with the frames of one read, in their order, once the hello is accepted;
    `note` with the peer's address, and why it is let go.
    """

    def __init__(
        self,
        hello: Hello,
        members: Callable[[], frozenset[str]],
        receive: Callable[["Inbound", list[Frame]], None],
        note: Callable[[str], None],
    ) -> None:
        self.theirs: Hello | None = None
        self.transport: asyncio.Transport | None = None
        self._hello = hello
        self._members = members
        self._receive = receive
        self._note = note
        self._unframer = Unframer()
        self._sequence = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        _notice_death(self.transport)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HELLO_SECONDS, self._refuse, "no hello within 5 seconds")

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._deadline is not None:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        if self.transport is None:
            return
        try:
            frames = self._unframer.feed(data)
            if self.theirs is None and frames:
                self._introduce(frames.pop(0))
            frames = self._fresh(frames)
            if frames and self.transport is not None:
                self._receive(self, frames)
        except Garbled as error:
            self._refuse(str(error))

    def _fresh(self, frames: list[Frame]) -> list[Frame]:
        """Without the messages that have come before: a request may be one that must not repeat."""
        fresh = []
        for one in frames:
            if one.kind != MESSAGE:
                fresh.append(one)
            elif one.sequence > self._sequence:
                self._sequence = one.sequence
                fresh.append(one)
        return fresh

    def answer(self, kind: int, payload: bytes) -> None:
        """Send one frame back."""
        if self.transport is not None:
            self.transport.write(frame(kind, payload))

    def _introduce(self, first: Frame) -> None:
        if first.kind != HELLO:
            raise Garbled("the first frame is no hello")
        try:
            theirs = _hello.decode(first.payload)
        except MALFORMED as error:
            raise Garbled(f"the first frame is no hello: {one_line(error)}") from error
        why = self._objection(theirs)
        if why:
            self._refuse(why)
            return
        self.theirs = theirs
        self._unframer.longest = LONGEST if theirs.role == "member" else QUESTION_BYTES
        if self._deadline is not None:
            self._deadline.cancel()
        self.answer(WELCOME, _encode(self._hello))

    def _objection(self, theirs: Hello) -> str:
        ours = self._hello
        if agreed_version(theirs) is None:
            return (
                f"this is {ours.member}, which speaks versions {ours.oldest} to {ours.newest}, "
                f"not {theirs.oldest} to {theirs.newest}: upgrade one of the two"
            )
        if theirs.cluster != ours.cluster:
            return f"this is {ours.member} of cluster {ours.cluster}, not of {theirs.cluster!r:.80}"
        if theirs.role == "member" and theirs.member not in self._members():
            return f"this is {ours.member}; {theirs.member!r:.80} is no member of {ours.cluster}"
        return ""

    def _refuse(self, why: str) -> None:
        if self.transport is None:
            return
        peer = self.transport.get_extra_info("peername") or ("", 0)
        self._note(f"{peer[0]}:{peer[1]}: {why}")
        self.answer(REFUSAL, why.encode())
        self.transport.close()
        self.transport = None


def _notice_death(transport: asyncio.Transport) -> None:
    """Let the system give up a peer that is gone without a word, where it can."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
