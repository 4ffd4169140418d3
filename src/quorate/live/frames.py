"""What travels between processes, sans-IO: length-prefixed, checksummed frames, and the hello.

    u32 length of all that follows     u32 CRC-32 of all that follows the checksum
    u8 kind     u16 length of the route     u32 sequence     u64 origin     route     payload

The route is an array of the sending and the receiving node, encoded once for each pair; the origin
is the number of the step, in the sender's process, that sent the message. The sequence counts the
messages of a connection from 1, so that none is taken twice, whatever stands between. All numbers
are big-endian. A stream begins with a hello in each direction; until it has been heard, a frame may
be no longer than `HELLO_BYTES`.
"""

from struct import Struct
from typing import Literal
from zlib import crc32

import msgspec

from quorate.errors import one_line
from quorate.kernel.values import NodeId
from quorate.wire.malformed import MALFORMED

VERSION = 1
"""Of frames and hellos. A member speaks all versions from `OLDEST` to this one."""
OLDEST = 1
HELLO_BYTES = 4096
LONGEST = 1 << 30
"""The longest frame between members, in bytes: many entries of a log, or parts of a snapshot."""

HELLO, WELCOME, REFUSAL, MESSAGE, ASK, ANSWER = range(6)
"""Kinds of frames: the dialler's hello, the two answers to it; a message of a node; and what an
operator asks a member, and is answered."""

_PREFIX = Struct(">II")
_HEAD = Struct(">BHIQ")
_OVERHEAD = _PREFIX.size + _HEAD.size
_ROUTES = 4096


class Garbled(Exception):
    """The stream is no stream of frames; the text says why. Nothing after it can be trusted."""


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who speaks: `member` of `cluster` in its `incarnation`; or an operator, who is no member."""

    magic: Literal["quorate"]
    oldest: int
    newest: int
    cluster: str
    member: str
    incarnation: int
    role: Literal["member", "operator"]


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame, checked; its payload is yet to be decoded."""

    kind: int
    source: NodeId
    target: NodeId
    sequence: int
    origin: int
    payload: memoryview


Route = tuple[NodeId, NodeId]
NOWHERE: Route = (NodeId(""), NodeId(""))


def route_bytes(source: str, target: str) -> bytes:
    """The route of a frame from one node to another."""
    return msgspec.msgpack.encode((str(source), str(target)))


_NO_ROUTE = route_bytes("", "")


def frame_head(
    kind: int, payload: bytes, route: bytes = _NO_ROUTE, origin: int = 0, sequence: int = 0
) -> bytes:
    """All of a frame but its payload, which follows: a broadcast encodes that only once."""
    head = _HEAD.pack(kind, len(route), sequence, origin) + route
    checksum = crc32(payload, crc32(head))
    return _PREFIX.pack(4 + len(head) + len(payload), checksum) + head


def frame(kind: int, payload: bytes) -> bytes:
    """A frame that no node sends to another."""
    return frame_head(kind, payload) + payload


class Unframer:
    """Bytes in, in any pieces; frames out. Holds at most one frame that is not complete.

    Attributes:
        longest: the longest frame that is accepted: small until the hello has been heard.
    """

    def __init__(self, longest: int = HELLO_BYTES) -> None:
        self.longest = longest
        self._rest = b""
        self._routes: dict[bytes, Route] = {_NO_ROUTE: NOWHERE}
        self._route = msgspec.msgpack.Decoder(tuple[str, str])
        self._pieces: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are now complete. Raises Garbled, and then is of no further use."""
        if self._missing > len(data):  # Collect a long frame without copying what is there.
            self._missing -= len(data)
            self._pieces.append(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
        frames, at, end = [], 0, len(data)
        while end - at >= _OVERHEAD:
            length, checksum = _PREFIX.unpack_from(data, at)
            if length > self.longest:
                raise Garbled(f"a frame of {length} bytes; at most {self.longest} are accepted")
            stop = at + 4 + length
            if stop > end:
                break
            frames.append(self._frame(data, at, stop, checksum))
            at = stop
        self._missing = 0
        if at < end:
            if end - at >= 4:
                self._missing = 4 + int.from_bytes(data[at : at + 4], "big") - (end - at)
                if self._missing > self.longest:
                    raise Garbled(f"a frame of more than {self.longest} bytes")
            self._pieces.append(data[at:])
        return frames

    def _frame(self, data: bytes, at: int, stop: int, checksum: int) -> Frame:
        start = at + _PREFIX.size
        view = memoryview(data)
        if stop - at < _OVERHEAD or crc32(view[start:stop]) != checksum:
            raise Garbled("a frame does not match its checksum")
        kind, route_length, sequence, origin = _HEAD.unpack_from(data, start)
        start += _HEAD.size
        payload = start + route_length
        if payload > stop:
            raise Garbled("a frame is shorter than its route")
        if kind > ANSWER:
            raise Garbled(f"a frame of the unknown kind {kind}")
        route = data[start:payload]
        source, target = self._routes.get(route) or self._learn(route)
        return Frame(kind, source, target, sequence, origin, view[payload:stop])

    def _learn(self, route: bytes) -> Route:
        try:
            source, target = self._route.decode(route)
        except MALFORMED as error:
            raise Garbled(f"a frame has no route: {one_line(error)}") from error
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        learnt = self._routes[route] = (NodeId(source), NodeId(target))
        return learnt


def agreed_version(theirs: Hello) -> int | None:
    """The newest version that both sides speak; None if there is none."""
    newest = min(theirs.newest, VERSION)
    return newest if newest >= max(theirs.oldest, OLDEST) else None
