"""Frames: any chunking yields the same ones, and whatever is no frame is refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.live import frames as f

FRAMES = st.lists(
    st.tuples(st.integers(0, f.ANSWER), st.binary(max_size=60), st.integers(0, 2**64 - 1)),
    max_size=6,
)


def spelled(items: list[tuple[int, bytes, int]]) -> bytes:
    """The frames of a stream, one after the other."""
    route = f.route_bytes("n1", "c3@n2.1")
    return b"".join(f.frame_head(kind, data, route, at) + data for kind, data, at in items)


@given(FRAMES, st.lists(st.integers(0, 500), max_size=6))
def test_any_chunking_yields_the_same_frames(
    items: list[tuple[int, bytes, int]], cuts: list[int]
) -> None:
    stream = spelled(items)
    unframer = f.Unframer(f.LONGEST)
    found = []
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    for start, stop in itertools.pairwise(places):
        for frame in unframer.feed(stream[start:stop]):
            assert (frame.source, frame.target) == ("n1", "c3@n2.1")
            found.append((frame.kind, bytes(frame.payload), frame.origin))
    assert found == items


@given(FRAMES.filter(bool), st.data())
def test_a_flipped_bit_is_never_taken_for_a_frame(
    items: list[tuple[int, bytes, int]], data: st.DataObject
) -> None:
    stream = bytearray(spelled(items))
    bit = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    try:
        found = [
            (frame.kind, bytes(frame.payload), frame.origin)
            for frame in f.Unframer(f.LONGEST).feed(bytes(stream))
        ]
    except f.Garbled:
        return
    assert len(found) < len(items)  # Its length grew: it waits for more.
    assert found == items[: len(found)]


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_garbage_raises_nothing_but_garbled(pieces: list[bytes]) -> None:
    unframer = f.Unframer()
    try:
        for piece in pieces:
            unframer.feed(piece)
    except f.Garbled:
        pass


def test_a_long_frame_is_refused_by_its_prefix_alone() -> None:
    with pytest.raises(f.Garbled, match="at most 4096"):
        f.Unframer().feed(f.frame(f.HELLO, b"x" * 5000)[:30])
    with pytest.raises(f.Garbled):
        f.Unframer().feed(b"\xff\xff\xff\xff")
    with pytest.raises(f.Garbled):
        f.Unframer().feed(b"\x00\x00\x00\x00" + b"\x00" * 40)


def test_versions_are_agreed_on_or_not() -> None:
    hello = f.Hello("quorate", 1, 9, "c", "n1", 1, "member")
    assert f.agreed_version(hello) == f.VERSION
    newer = f.Hello("quorate", f.VERSION + 1, f.VERSION + 2, "c", "n1", 1, "member")
    assert f.agreed_version(newer) is None


def test_a_route_that_is_no_text_is_garbage() -> None:
    bad = f.frame_head(f.MESSAGE, b"", b"\x92\xa1\xe7\xa0")
    with pytest.raises(f.Garbled, match="no route"):
        f.Unframer(f.LONGEST).feed(bad)
