"""How the journal's files are written: a header, records, then zeros to the end.

    header  512 bytes: magic, version, checksum; then number, first sequence number, size, whether
            a checkpoint begins it, salt, identity
    record  checksum, mark and kind, length, sequence number, synced-through; then the payload

A record's checksum covers all of it, begun from the salt: no client can forge a record within a
value. *Synced-through* is the last sequence number that was known to be on the disk when the record
was written. It is what tells a torn end from a corrupt middle: a record that a later one calls
synced cannot have been torn (Alagappan et al., "Protocol-Aware Recovery", FAST 2018, section 3.3).
"""

import re
import struct
from pathlib import Path
from zlib import crc32

import msgspec

from quorate.errors import Mistake

VERSION = 1
HEADER_SIZE = 512
"""One sector of the disk."""

IDENTITY_LIMIT = 400
PAYLOAD_LIMIT = 1 << 30
"""Bytes."""

RECORD = b"QRr\x01"
CHECKPOINT = b"QRr\x02"
MARK = b"QRr\x03"
"""A mark says nothing but what is synced."""

REST = struct.Struct("<4sIQQ")
"""A record's head after its checksum: mark and kind, length, sequence, synced-through."""
HEAD_SIZE = 4 + REST.size

_MARKS = re.compile(rb"QRr[\x01\x02\x03]")
_MAGIC = b"QUORATEJ"
_PREFIX = struct.Struct("<8sII")
"""Magic, version and the checksum of version and body keep their places in every version."""
_BODY = struct.Struct("<QQQ?8sH")


class Header(msgspec.Struct, frozen=True):
    """What a segment says of itself."""

    number: int
    first: int
    """The sequence number of its first record; all before it had been synced."""
    size: int
    """Bytes of the whole file."""
    is_checkpoint: bool
    """Its first record is a checkpoint: earlier segments are not needed."""
    salt: bytes
    identity: bytes

    def encode(self) -> bytes:
        """The first bytes of the file."""
        fields = (self.number, self.first, self.size, self.is_checkpoint, self.salt)
        body = _BODY.pack(*fields, len(self.identity)) + self.identity
        body = body.ljust(HEADER_SIZE - _PREFIX.size, b"\0")
        return _PREFIX.pack(_MAGIC, VERSION, _header_checksum(VERSION, body)) + body

    def seed(self) -> int:
        """Where the checksums of records begin."""
        return crc32(self.identity, crc32(self.salt))


def _header_checksum(version: int, body: bytes) -> int:
    return crc32(body, crc32(version.to_bytes(4, "little")))


def decode_header(path: Path, data: bytes, identity: bytes) -> Header:
    """The header of a file that must belong to `identity`, or a `Mistake`."""
    if len(data) < HEADER_SIZE:
        raise Mistake(f"{path}: {len(data)} bytes are no segment; {RESTORE}")
    magic, version, checksum = _PREFIX.unpack_from(data)
    body = data[_PREFIX.size : HEADER_SIZE]
    if magic != _MAGIC or checksum != _header_checksum(version, body):
        raise Mistake(f"{path}: the header at byte 0 is damaged; {RESTORE}")
    if version != VERSION:
        raise Mistake(f"{path}: format {version} is not known here, only {VERSION}; upgrade")
    number, first, size, is_checkpoint, salt, length = _BODY.unpack_from(body)
    header = Header(
        number, first, size, is_checkpoint, salt, body[_BODY.size : _BODY.size + length]
    )
    if header.identity != identity:
        raise Mistake(
            f"{path}: belongs to {_shown(header.identity)}, not to {_shown(identity)}; "
            "give each member a directory of its own"
        )
    if size != len(data):
        raise Mistake(f"{path}: has {len(data)} bytes, not {size}; {RESTORE}")
    return header


RESTORE = "restore it from a copy, or let the member join anew from an empty directory"


def _shown(identity: bytes) -> str:
    return repr(identity.decode(errors="backslashreplace"))


class Record(msgspec.Struct, frozen=True):
    """A record that is whole, and where it stands in its file."""

    kind: bytes
    sequence: int
    synced: int
    payload: bytes
    offset: int
    end: int


def encode_record(kind: bytes, sequence: int, synced: int, payload: bytes, seed: int) -> bytes:
    """A record as it is written."""
    rest = REST.pack(kind, len(payload), sequence, synced)
    return crc32(payload, crc32(rest, seed)).to_bytes(4, "little") + rest + payload


def decode_record(data: bytes, offset: int, seed: int) -> Record | None:
    """The record at an offset, if a whole one stands there."""
    start = offset + HEAD_SIZE
    if offset < 0 or start > len(data):
        return None
    kind, length, sequence, synced = REST.unpack_from(data, offset + 4)
    end = start + length
    if not _MARKS.match(kind) or end > len(data):
        return None
    payload = data[start:end]
    checksum = crc32(payload, crc32(data[offset + 4 : start], seed))
    if checksum.to_bytes(4, "little") != data[offset : offset + 4]:
        return None
    return Record(kind, sequence, synced, payload, offset, end)


def scan(data: bytes, header: Header) -> tuple[list[Record], int]:
    """The records from the start of a segment, and the offset at which they end."""
    records = list[Record]()
    seed, sequence, offset = header.seed(), header.first, HEADER_SIZE
    while True:
        record = decode_record(data, offset, seed)
        if record is None or record.sequence != sequence:
            return records, offset
        records.append(record)
        sequence, offset = sequence + 1, record.end


def was_synced(data: bytes, offset: int, sequence: int, seed: int) -> bool:
    """Whether a whole record beyond `offset` says that this sequence number had been synced.

    Where this finds nothing, what stands at `offset` may be of the last batch, whose sync never
    returned; or nothing has been written since it did return.
    """
    for mark in _MARKS.finditer(data, offset):
        # Records between there and here have at least a head each.
        nearest = sequence + 1 + (mark.start() - offset) // HEAD_SIZE
        record = decode_record(data, mark.start() - 4, seed)
        if record is not None and sequence <= record.synced < record.sequence <= nearest:
            return True
    return False
