"""What clients ask for, and when. Their operations are decisions on the tape like any other.

Slot k of a client's series `invoke c1` holds a time and an operation, or nothing, which is the
quiet default: a schedule names the operations that matter, and no others happen.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from quorate.kernel.env import ms
from quorate.kernel.node import Operation

Invocation = tuple[int, Operation]
"""When at the earliest (virtual nanoseconds; later if the client is still busy), and what."""

Draw = Callable[[int, int, int], Operation]
"""(64 random bits, client index, slot) -> operation. Must depend on nothing else."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of all clients.

    Attributes:
        model: the sequential specification that judges the history: a name that
            `quorate check --model` takes, or a `quorate.check.Model` of your own; empty if the
            history is not to be judged.
        draw: makes an operation.
        interval: nanoseconds from one slot of a client to the next.
        spread: how much later than its slot an operation may begin; the whole interval if None.
            Small ones make all clients ask at about the same time.
        slots: operations per client and run.
    """

    model: Any
    draw: Draw
    interval: int = ms(30)
    spread: int | None = None
    slots: int = 100

    def domain(self, client: int) -> "InvocationDomain":
        """The values of `invoke cN` decisions."""
        return InvocationDomain(self, client)


class InvocationDomain:
    """A client's slots in order; see `Workload`."""

    default = None

    def __init__(self, workload: Workload, client: int) -> None:
        self._workload = workload
        self._client = client
        self._slot = 0

    def sample(self, bits: int) -> Invocation:
        """The next slot: values are sampled in the order of their ordinals."""
        slot = self._slot
        self._slot += 1
        interval, spread = self._workload.interval, self._workload.spread
        jitter = (bits & 0xFFFF) * (interval if spread is None else spread) >> 16
        return slot * interval + jitter, self._workload.draw(bits >> 16, self._client, slot)


KEYS = ("x", "y", "z")


def _names(keys: int) -> tuple[str, ...]:
    """So many keys. Raises ValueError for none."""
    if keys < 1:
        raise ValueError(f"a workload has one key or more, not {keys}")
    return (*KEYS, *(f"k{number}" for number in range(len(KEYS) + 1, keys + 1)))[:keys]


def register(keys: int = 1, *, compare_and_set: bool = True, values: int = 5) -> Draw:
    """Reads, writes and (if wanted) compare-and-sets of small numbers, on so many registers."""
    names = _names(keys)

    def draw(bits: int, client: int, slot: int) -> Operation:
        key = names[(bits >> 8) % keys]
        old, new = (bits >> 16) % values, (bits >> 24) % values
        kind = bits % (3 if compare_and_set else 2)
        if kind == 0:
            return Operation("read", key)
        if kind == 1:
            return Operation("write", key, new)
        return Operation("cas", key, (old, new))

    return draw


def unique_writes(keys: int = 1) -> Draw:
    """Reads and writes in which no two writes carry the same value, so reads tell them apart."""
    names = _names(keys)

    def draw(bits: int, client: int, slot: int) -> Operation:
        key = names[(bits >> 8) % keys]
        if bits % 2:
            return Operation("write", key, client * 1000 + slot + 1)
        return Operation("read", key)

    return draw


ACQUIRE, RELEASE = Operation("acquire"), Operation("release")


def turns(bits: int, client: int, slot: int) -> Operation:
    """Acquire and release, in turns."""
    return RELEASE if slot % 2 else ACQUIRE


def append_key_value(keys: int = 3) -> Draw:
    """Gets, puts and appends of unique words: a lost, doubled or reordered append shows.

    And a few compare-and-sets, the one kind of write whose result tells something.
    """
    names = _names(keys)

    def draw(bits: int, client: int, slot: int) -> Operation:
        key = names[(bits >> 8) % keys]
        word = f"{'abcdefgh'[client % 8]}{slot} "
        kind = bits % 8
        if kind < 3:
            return Operation("append", key, word)
        if kind < 4:
            return Operation("cas", key, (None, word))
        if kind < 7:
            return Operation("get", key)
        return Operation("put", key, word)

    return draw
