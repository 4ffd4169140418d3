"""Large values under a name: written aside, synced, and then put in place of the value before.

    header  magic, version, checksum; the identity of the member, and the name
    chunk   length, checksum over its number, its length and its bytes; then the bytes
    end     a chunk of no bytes, so that a file that was cut short is seen

A crash leaves the value before or the new one, whole. A file that was not yet in place is removed
when the directory is opened.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote
from zlib import crc32

from quorate.errors import Mistake
from quorate.live.storage.files import PACE_BYTES, Files, StorageFailed
from quorate.live.storage.offsets import SLOTS, Offsets, State

VERSION = 1
NAME_BYTES = 100
"""How long a name may be in its file's name, where capitals and signs take three each."""

_MAGIC = b"QUORATEB"
_PREFIX = struct.Struct("<8sIIHH")
"""Magic, version, checksum of the rest, and the lengths of the identity and the name."""
_CHUNK = struct.Struct("<II")
_END = ".blob"
_NEW = ".new"


class Blobs:
    """The values of one member, in a directory of their own.

    A value may be written in a thread, or in a forked child; the last write that ends wins, so a
    name's writes have to be queued. The member's lock is that of its journal.
    """

    def __init__(self, files: Files, directory: Path, identity: bytes) -> None:
        """Remove what a crash left incomplete; what is in place then lasts."""
        self._files, self._directory, self._identity = files, directory, identity
        try:
            files.make_directory(directory)
            for name in files.list(directory):
                if name.endswith(_NEW):
                    files.unlink(directory / name)
            files.sync_directory(directory)
            self._offsets = Offsets(files, directory)
        except OSError as error:
            raise StorageFailed(f"{directory}: {error}") from error

    def names(self) -> list[str]:
        """The names that have a value, in order."""
        try:
            listed = self._files.list(self._directory)
        except OSError as error:
            raise StorageFailed(f"{self._directory}: {error}") from error
        return sorted(_name(file) for file in listed if file.endswith(_END))

    def size(self, name: str) -> int:
        """About how many bytes the value of that name takes; 0 if there is none."""
        try:
            return self._path(name).stat().st_size
        except OSError:
            return 0

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Store a value, which lasts when this returns. Raises `StorageFailed`."""
        path = self._path(name)
        new = path.with_name(f"{path.name}.{self._files.salt().hex()}{_NEW}")
        try:
            is_first = path.name not in self._files.list(self._directory)
            handle = self._files.create(new)
            try:
                end = self._write(handle, name, chunks)
                self._files.fdatasync(handle)
            except BaseException:
                self._files.close(handle)
                self._files.unlink(new)
                raise
            self._files.close(handle)
            self._put(new, path, is_first, end)
        except OSError as error:
            raise StorageFailed(f"{path}: {error}") from error

    def _write(self, handle: int, name: str, chunks: Iterable[bytes]) -> int:
        """Write all of a file; return where it ends."""
        header = self._header(name)
        self._files.pwrite(handle, header, 0)
        offset = len(header)
        synced = 0
        pieces = (chunk for chunk in chunks if chunk)
        for piece in _sealed(pieces, crc32(header)):
            self._files.pwrite(handle, piece, offset)
            offset += len(piece)
            if offset - synced >= PACE_BYTES:
                self._files.fdatasync(handle)
                synced = offset
        return offset

    def _put(self, new: Path, path: Path, is_first: bool, end: int) -> None:
        """Rename, so that it lasts. A value that is replaced cannot be brought back by a cut."""
        slot = crc32(path.name.encode()) % SLOTS
        if is_first:
            self._offsets.announce(slot, path.name, State.CREATED, end)
        self._files.rename(new, path)
        self._files.sync_directory(self._directory)
        self._offsets.announce(slot, path.name, State.NAMED, end)

    def read(self, name: str) -> bytes | None:
        """The value, or None if there is none. A `Mistake` tells of one that is damaged."""
        path = self._path(name)
        try:
            data = self._files.read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailed(f"{path}: {error}") from error
        header = self._header(name)
        if data[: len(header)] != header:
            raise Mistake(f"{path}: {self._wrong(data)}")
        return b"".join(_opened(path, data, len(header)))

    def _header(self, name: str) -> bytes:
        text = name.encode()
        rest = struct.pack("<HH", len(self._identity), len(text)) + self._identity + text
        checksum = crc32(rest, VERSION)
        fields = (_MAGIC, VERSION, checksum, len(self._identity), len(text))
        return _PREFIX.pack(*fields) + self._identity + text

    def _wrong(self, data: bytes) -> str:
        """Why the header that was read is not the one that was expected."""
        if len(data) < _PREFIX.size or data[:8] != _MAGIC:
            return f"is no stored value, at byte 0; {_RESTORE}"
        _, version, checksum, owner_length, name_length = _PREFIX.unpack_from(data)
        if version != VERSION:
            return f"format {version} is not known here, only {VERSION}; upgrade"
        end = _PREFIX.size + owner_length
        if checksum != crc32(data[16 : end + name_length], VERSION):
            return f"the header at byte 0 is damaged; {_RESTORE}"
        owner = data[_PREFIX.size : end]
        if owner == self._identity:
            return f"holds the value of another name; {_RESTORE}"
        shown = owner.decode(errors="backslashreplace")
        return f"belongs to {shown!r}; give each member a directory of its own"

    def _path(self, name: str) -> Path:
        file = _file(name)
        if not name or len(file) > NAME_BYTES:
            raise Mistake(f"cannot store {name!r}: a name has 1 to {NAME_BYTES} bytes in its file")
        return self._directory / (file + _END)


_RESTORE = "restore it from a copy, or let the member join anew from an empty directory"


def _sealed(chunks: Iterable[bytes], seed: int) -> Iterator[bytes]:
    """Chunks as they are written, and the end."""
    number = 0
    for number, chunk in enumerate(chunks, 1):
        yield _CHUNK.pack(len(chunk), _checksum(number, chunk, seed)) + chunk
    yield _CHUNK.pack(0, _checksum(number + 1, b"", seed))


def _checksum(number: int, chunk: bytes, seed: int) -> int:
    return crc32(chunk, crc32(_CHUNK.pack(number, len(chunk)), seed))


def _opened(path: Path, data: bytes, offset: int) -> Iterator[bytes]:
    """The chunks behind a header, each of them checked."""
    seed = crc32(data[:offset])
    number = 1
    while offset + _CHUNK.size <= len(data):
        length, checksum = _CHUNK.unpack_from(data, offset)
        chunk = data[offset + _CHUNK.size : offset + _CHUNK.size + length]
        if len(chunk) != length or checksum != _checksum(number, chunk, seed):
            break
        offset += _CHUNK.size + length
        if not length and offset == len(data):
            return
        yield chunk
        number += 1
    raise Mistake(f"{path}: damaged at byte {offset}, chunk {number}; {_RESTORE}")


_ESCAPED = re.compile(rb"[^a-z0-9_-]")


def _file(name: str) -> str:
    """A name as part of a file's, also where capitals do not count or a dot is special."""
    return _ESCAPED.sub(lambda sign: b"%%%02x" % sign[0][0], name.encode()).decode("ascii")


def _name(file: str) -> str:
    return unquote(file.removesuffix(_END), errors="backslashreplace")
