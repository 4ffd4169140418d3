"""One number for a whole run: two runs with the same hash took the same steps."""

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any

import msgspec

from quorate.kernel.canonical import Collection
from quorate.kernel.node import Node
from quorate.trace.record import Record

CHUNK = 256


def trace_hash(records: Sequence[Record]) -> str:
    """A digest of every step's place, time, label, cause, event and choices, and of final states.

    Versions, paths and wall time have no part in it, nor has the process that computes it.
    """
    digest = blake2b(digest_size=16)
    for start in range(0, len(records), CHUNK):
        digest.update(_encode([_row(record) for record in records[start : start + CHUNK]]))
    last: dict[tuple[str, int], Node | None] = {}
    for record in records:
        if record.after is not None:
            last[record.node, record.incarnation] = record.after
    digest.update(_encode([msgspec.structs.astuple(node) for node in last.values() if node]))
    return digest.hexdigest()


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.time, record.kind, record.node, record.incarnation, record.series, record.ordinal,
        record.cause, record.released, record.choices, record.detail, len(record.flights),
        record.event,
    )  # fmt: skip


def _plain(value: Any) -> object:
    """What msgpack cannot spell itself."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Collection):
        return [type(value).__name__, *value.canonical_parts()]
    if isinstance(value, Enum):
        return value.name
    raise TypeError(f"{type(value).__name__} is not a canonical value")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
