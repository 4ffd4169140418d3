"""The few calls on the operating system that storage is made of, and nothing else.

`RealFiles` carries them out. Tests put a disk in its place that crashes at any call and forgets
what it was never told to sync, so whatever storage does must go through here.
"""

import mmap
import os
import sys
from pathlib import Path
from typing import Protocol

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PACE_BYTES = 1 << 20
"""What is written beside the journal is synced so much at a time: its syncs wait for no more."""
ZEROS = bytes(PACE_BYTES)
"""Files are filled with zeros in pieces of this size."""

_OPEN = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class StorageFailed(Exception):
    """The disk refused a call, told in one line. The member must stop.

    After a failed sync the kernel may have marked as clean what never reached the disk, so a later
    sync that succeeds says nothing of it; only recovery, which writes it again, can go on.
    """


class Faults(Protocol):
    """Failures played on a real disk."""

    def before(self, call: str, path: Path) -> None:
        """Asked before each `pwrite` and `fdatasync`; may wait, or raise an `OSError`."""


class Files(Protocol):
    """Each call raises `OSError` if it fails. Files are open by number, as in the kernel.

    A write lasts once `fdatasync` has returned, a name once `sync_directory` has.
    """

    def make_directory(self, directory: Path) -> None:
        """Make it, and those above it, unless they exist; their names last."""

    def list(self, directory: Path) -> list[str]:
        """The names in a directory, in order."""

    def create(self, path: Path) -> int:
        """Open a new empty file; one of this name must not exist."""

    def open(self, path: Path) -> int:
        """Open a file to write in it."""

    def read(self, path: Path) -> bytes:
        """All of a file."""

    def pwrite(self, handle: int, data: bytes | bytearray, offset: int) -> None:
        """Write all of `data` at an offset, in one call where the kernel takes it at once."""

    def fdatasync(self, handle: int) -> None:
        """Wait until the disk holds the file's data and whatever is needed to read it."""

    def close(self, handle: int) -> None:
        """Close a file."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a closed file another name, in place of a file that had it."""

    def unlink(self, path: Path) -> None:
        """Remove a file."""

    def sync_directory(self, directory: Path) -> None:
        """Wait until the disk holds the names in a directory."""

    def lock(self, path: Path) -> int:
        """Open and lock a file, until it is closed or the process ends.

        Raises `BlockingIOError` if another has locked it.
        """

    def share(self, path: Path, words: int) -> "memoryview[int]":
        """A file of 64-bit words, mapped: what is stored there outlives the process at once."""

    def salt(self) -> bytes:
        """Eight bytes that nobody guesses."""


class RealFiles(Files):
    """The operating system's files."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults
        self._paths: dict[int, Path] = {}

    def make_directory(self, directory: Path) -> None:
        if not directory.is_dir():
            self.make_directory(directory.absolute().parent)
            directory.mkdir(exist_ok=True)
            self.sync_directory(directory.absolute().parent)

    def list(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))

    def create(self, path: Path) -> int:
        return self._opened(path, _OPEN | os.O_CREAT | os.O_EXCL)

    def open(self, path: Path) -> int:
        return self._opened(path, _OPEN)

    def _opened(self, path: Path, flags: int) -> int:
        handle = os.open(path, flags, 0o644)
        self._paths[handle] = path
        return handle

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def pwrite(self, handle: int, data: bytes | bytearray, offset: int) -> None:
        if self._faults is not None:
            self._faults.before("pwrite", self._paths[handle])
        written = _pwrite(handle, data, offset)
        if written < len(data):  # A disk that is nearly full takes a part, and refuses the next.
            with memoryview(data) as view:
                while written < len(data):
                    written += _pwrite(handle, view[written:], offset + written)

    def fdatasync(self, handle: int) -> None:
        if self._faults is not None:
            self._faults.before("fdatasync", self._paths[handle])
        _fdatasync(handle)

    def close(self, handle: int) -> None:
        self._paths.pop(handle, None)
        os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, directory: Path) -> None:
        if sys.platform != "win32":  # Where directories cannot be opened, NTFS logs names itself.
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def lock(self, path: Path) -> int:
        handle = self._opened(path, _OPEN | os.O_CREAT)
        try:
            _lock(handle)
        except OSError:
            self.close(handle)
            raise
        return handle

    def share(self, path: Path, words: int) -> "memoryview[int]":
        handle = os.open(path, _OPEN | os.O_CREAT, 0o644)
        try:
            if os.fstat(handle).st_size != 8 * words:
                os.ftruncate(handle, 8 * words)
            # A store of a word is one instruction: no kill leaves half of it.
            return memoryview(mmap.mmap(handle, 8 * words)).cast("Q")
        finally:
            os.close(handle)

    def salt(self) -> bytes:
        return os.urandom(8)


if sys.platform == "win32":

    def _pwrite(handle: int, data: bytes | bytearray | memoryview, offset: int) -> int:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.write(handle, data)

    def _fdatasync(handle: int) -> None:
        os.fsync(handle)

    def _lock(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from error

else:
    _pwrite = os.pwrite

    if sys.platform == "darwin":

        def _fdatasync(handle: int) -> None:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # fsync stops at the drive's own cache.

    else:
        _fdatasync = os.fdatasync

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
