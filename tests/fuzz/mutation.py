"""Inputs that are almost as they should be: a seed, with parts of it cut out or put in."""

import random
from collections.abc import Iterable, Sequence

Edit = tuple[int, int, bytes]
"""Where, how many bytes go, and what comes."""

MARKS = (
    b"\0",
    b"\xff",
    b"\r\n",
    b"\n",
    b" ",
    b'"',
    b"-1",
    b"99999999999999999999",
    b"\xdd\xff\xff",
)
"""What many formats treat as special."""


def edited(seed: bytes, edits: Iterable[Edit]) -> bytes:
    """The seed after the edits; places beyond its end count from its start again."""
    data = bytearray(seed)
    for place, gone, come in edits:
        start = place % (len(data) + 1)
        data[start : start + gone] = come
    return bytes(data)


def drawn(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """An input made of the seeds."""
    seed = chance.choice(seeds)
    return edited(seed, [_edit(chance, seeds) for _ in range(chance.choice((0, 1, 1, 2, 4, 9)))])


def _edit(chance: random.Random, seeds: Sequence[bytes]) -> Edit:
    place, gone = chance.randrange(1 << 16), chance.choice((0, 0, 1, 1, 2, 4, 40))
    kind = chance.randrange(5)
    if kind == 0:
        return place, gone, b""
    if kind == 1:
        return place, gone, chance.choice(MARKS)
    if kind == 2:  # A part of another one.
        other = chance.choice(seeds)
        start = chance.randrange(len(other) + 1)
        return place, gone, other[start : start + chance.randrange(1, 60)]
    if kind == 3:
        return place, 1, bytes((chance.randrange(256),))
    return place, gone, chance.randbytes(chance.randrange(1, 6)) * chance.choice((1, 1, 1, 200))
