"""What the store holds, as an immutable value; `Draft` makes the next one."""

from binascii import crc_hqx

import msgspec

from quorate.kernel import Map, Set
from quorate.systems.kv.agenda import Agenda

SLOTS = 16384
LARGE = 64
"""A hash of more fields is large."""


class Text(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A string. A number or truth value that a generic write stored stays what it is.

    Attributes:
        version: of the store when the key was last changed; WATCH compares it.
    """

    value: bytes | int | bool
    version: int


class Hash(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A hash: never empty."""

    fields: Map[bytes, bytes]
    version: int


Entry = Text | Hash


def is_large(entry: Entry | None) -> bool:
    """Whether it is a hash of many fields."""
    return type(entry) is Hash and len(entry.fields) > LARGE


class Content(msgspec.Struct, frozen=True, gc=False):
    """The keys with their values, and when they expire.

    Attributes:
        expiries: by key, the milliseconds since 1970 from which on it is expired.
        agenda: the same in order of time.
        slots: the keys once more, sorted, by the checksum that Redis Cluster uses. A key never
            changes its slot: so SCAN, which walks through them, misses none that is always there.
        large: the keys of hashes that do not fit into one part of a snapshot.
    """

    entries: Map[bytes, Entry] = Map()
    expiries: Map[bytes, int] = Map()
    agenda: Agenda = ()
    slots: Map[int, tuple[bytes, ...]] = Map()
    large: Set[bytes] = Set()


def slot_of(key: bytes) -> int:
    """The slot of a key: CRC16 (XMODEM), of all its bytes."""
    return crc_hqx(key, 0) % SLOTS


def as_bytes(value: bytes | int | bool) -> bytes:
    """A string's value as Redis's clients see it."""
    if isinstance(value, bytes):
        return value
    return (b"true" if value else b"false") if isinstance(value, bool) else b"%d" % value
