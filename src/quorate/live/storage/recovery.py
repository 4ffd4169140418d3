"""What a journal's directory holds after a crash, or why it must not be used.

A crash may leave the last batch in any shape: it was written, and its sync never returned. Nothing
else can have been torn. So a bad record is a torn end only in the last segment, and only if no
whole record beyond it says that it had been synced; all else is damage, and is refused. To cut the
log at the first bad record, as many do, turns a flipped bit into the loss of what was promised.

Detection ends with the last batch. If nothing was written after its sync, a flipped bit in it looks
like a torn write, and it is dropped. `Journal.attest` writes what then tells the difference. That
the last segment was removed, with all that is in it, is not seen either.
"""

import re
from pathlib import Path

import msgspec

from quorate.errors import Mistake
from quorate.live.storage.files import Files
from quorate.live.storage.segment import (
    HEADER_SIZE,
    MARK,
    RECORD,
    RESTORE,
    Header,
    Record,
    decode_header,
    scan,
    was_synced,
)

_NAME = re.compile(r"segment-(\d{10})")


def segment_name(number: int) -> str:
    """The name of a segment's file."""
    return f"segment-{number:010d}"


class Last(msgspec.Struct, frozen=True):
    """The segment to go on in."""

    header: Header
    end: int
    """Where its records end, in bytes."""


class Recovered(msgspec.Struct, frozen=True):
    """What a directory holds."""

    last: Last | None
    """None if nothing was ever kept here."""
    sequence: int
    """The sequence number of the last record."""
    checkpoint: bytes | None
    records: list[bytes]
    """Those after the checkpoint."""
    bytes_since_checkpoint: int
    is_attested: bool
    """Whether the last record is a mark, after which no damage passes for a torn end."""
    oldest: int
    """The number of the first segment that is needed."""
    obsolete: list[str]
    """Names of the files that a checkpoint has made needless."""


class _Segment(msgspec.Struct, frozen=True):
    """A segment as it was read."""

    path: Path
    header: Header
    data: bytes


def recover(files: Files, directory: Path, identity: bytes) -> Recovered:
    """Read a directory, and make what was read last. A `Mistake` says what is damaged."""
    names = files.list(directory)
    numbers = sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
    if not numbers:
        return Recovered(None, 0, None, [], 0, True, 1, [])
    chain = _chain(files, directory, identity, numbers)
    records = list[Record]()
    used = 0
    for segment, after in zip(chain, [*chain[1:], None], strict=True):
        found, end = scan(segment.data, segment.header)
        records += found
        used += end - HEADER_SIZE
        _refuse_damage(segment, len(found), end, after)
        if after is None:
            _settle(files, segment, found, end)
    checkpoint = records[0].payload if chain[0].header.is_checkpoint else None
    header = chain[-1].header
    return Recovered(
        last=Last(header, end),
        sequence=records[-1].sequence if records else header.first - 1,
        checkpoint=checkpoint,
        records=[record.payload for record in records if record.kind == RECORD],
        bytes_since_checkpoint=used - len(checkpoint or b""),
        is_attested=not records or records[-1].kind == MARK,
        oldest=chain[0].header.number,
        obsolete=[segment_name(n) for n in numbers if n < chain[0].header.number],
    )


def _chain(files: Files, directory: Path, identity: bytes, numbers: list[int]) -> list[_Segment]:
    """The segments from the one that the newest checkpoint begins, in order."""
    chain = list[_Segment]()
    for number in range(numbers[-1], 0, -1):
        path = directory / segment_name(number)
        if number not in numbers:
            raise Mistake(f"{path}: missing, and later segments rest on it; {RESTORE}")
        data = files.read(path)
        header = decode_header(path, data, identity)
        if header.number != number or (chain and header.salt != chain[0].header.salt):
            raise Mistake(f"{path}: comes from elsewhere, by what its header says; {RESTORE}")
        chain.insert(0, _Segment(path, header, data))
        if header.is_checkpoint:
            break
    return chain


def _refuse_damage(segment: _Segment, count: int, end: int, after: _Segment | None) -> None:
    """Raise a `Mistake` if what ends the segment's records cannot be a torn write."""
    header = segment.header
    sequence = header.first + count
    if after is None:
        is_torn = not was_synced(segment.data, end, sequence, header.seed())
    else:
        is_torn = after.header.first == sequence  # Or nothing at all: the records end here.
    lost = f"record {sequence}"
    if header.is_checkpoint and count == 0:
        is_torn, lost = False, "the checkpoint"  # It was synced before the file had its name.
    if not is_torn:
        raise Mistake(
            f"{segment.path}: {lost}, at byte {end}, had been synced and is damaged; {RESTORE}"
        )


def _settle(files: Files, segment: _Segment, found: list[Record], end: int) -> None:
    """Write again what no later record calls synced, and zeros from there to the segment's end.

    The last batch may be in the kernel's memory only; or, after a sync that failed, be there and
    count as clean, so that another sync alone would write nothing. The same holds for the zeros
    over a torn end. What the member is told now it may pass on, so it has to last.
    """
    header = segment.header
    named = header.first - 1 + header.is_checkpoint  # Synced before the segment had its name.
    attested = max(named, *(record.synced for record in found), 0)
    start = next((record.offset for record in found if record.sequence > attested), end)
    handle = files.open(segment.path)
    try:
        files.pwrite(handle, segment.data[start:end] + bytes(len(segment.data) - end), start)
        files.fdatasync(handle)
    finally:
        files.close(handle)
