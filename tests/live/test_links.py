"""A connection between members: introduced, refused, and no message taken twice."""

import asyncio

import msgspec
import pytest

from quorate.live.frames import HELLO, MESSAGE, REFUSAL, WELCOME, Frame, Unframer, frame, frame_head
from quorate.live.links import Inbound, own_hello


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


class Side:
    """Our side of one inbound connection."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.notes: list[str] = []
        hello = own_hello("c", "n1", 1)
        self.inbound = Inbound(hello, lambda: frozenset({"n1", "n2"}), self._take, self._note)
        self.wire = Wire()
        self.inbound.connection_made(self.wire)

    def _take(self, inbound: Inbound, frames: list[Frame]) -> None:
        self.taken += [bytes(one.payload) for one in frames]

    def _note(self, why: str) -> None:
        self.notes.append(why)

    def answers(self) -> list[int]:
        """The kinds of the frames that came back."""
        return [one.kind for one in Unframer().feed(self.wire.written)]


def hello(cluster: str = "c", member: str = "n2") -> bytes:
    """A member's introduction."""
    return frame(HELLO, msgspec.msgpack.encode(own_hello(cluster, member, 1)))


def message(text: bytes, sequence: int) -> bytes:
    """A message with its place in the row."""
    return frame_head(MESSAGE, text, sequence=sequence) + text


def test_a_message_that_comes_again_is_not_taken_again() -> None:
    async def scene() -> Side:
        side = Side()
        rows = [(b"a", 1), (b"b", 2), (b"b", 2), (b"a", 1), (b"d", 4)]
        side.inbound.data_received(hello() + b"".join(message(*row) for row in rows))
        return side

    side = asyncio.run(scene())
    assert side.answers() == [WELCOME]
    assert side.taken == [b"a", b"b", b"d"]


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (hello(cluster="other"), "of cluster c, not of 'other'"),
        (hello(member="n9"), "'n9' is no member"),
        (message(b"x", 1), "the first frame is no hello"),
        (frame(HELLO, b"\xc1"), "the first frame is no hello"),
        (b"\x00" * 40, "checksum"),
    ],
)
def test_a_stranger_is_refused_in_one_line(first: bytes, why: str) -> None:
    async def scene() -> Side:
        side = Side()
        side.inbound.data_received(first)
        side.inbound.data_received(message(b"x", 1))
        return side

    side = asyncio.run(scene())
    assert side.answers() == [REFUSAL]
    assert side.wire.is_closed
    assert side.taken == []
    assert len(side.notes) == 1
    assert why in side.notes[0]
