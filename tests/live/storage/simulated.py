"""A disk in memory that crashes at any call, and then forgets what it was never told to keep.

Files are what the kernel sees of them, and what the disk holds, in sectors of 512 bytes. A write
changes the first; `fdatasync` brings the second up to it, sector by sector. Names are likewise: a
directory as it is seen, and as it was last synced, with the changes since. At a power cut each
sector that was written but not synced becomes any of the contents that it has had since, and each
change of a name happens or does not. A sync that fails forgets what it should have written: the
kernel then marks the pages as clean (Rebello et al., "Can Applications Recover from fsync
Failures?", USENIX ATC 2020).
"""

import errno
from collections.abc import Callable
from pathlib import Path

from quorate.live.storage.offsets import OFFSETS

SECTOR = 512

Draw = Callable[[int], int]
"""Any number below the given one."""


class Crash(BaseException):
    """The process is no more."""


class _File:
    """What the kernel sees, what the disk holds, and what each unsynced sector has been since."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.held = bytearray()
        self.versions: dict[int, list[bytes]] = {}

    def write(self, data: bytes, offset: int) -> None:
        end = offset + len(data)
        self.seen.extend(bytes(max(0, end - len(self.seen))))
        for sector in range(offset // SECTOR, -(-end // SECTOR)):
            start = sector * SECTOR
            low, high = max(start, offset), min(start + SECTOR, end)
            self.seen[low:high] = data[low - offset : high - offset]
            version = bytes(self.seen[start : start + SECTOR])
            self.versions.setdefault(sector, []).append(version)

    def keep(self, choose: Callable[[list[bytes]], bytes | None]) -> None:
        """Bring the disk up to one of each sector's versions, or to none."""
        for sector, versions in sorted(self.versions.items()):
            version = choose(versions)
            if version is not None:
                start = sector * SECTOR
                self.held.extend(bytes(max(0, start + len(version) - len(self.held))))
                self.held[start : start + len(version)] = version
        self.versions.clear()


Change = tuple[str | None, str, _File | None]
"""Of a directory: a name that goes, or none; a name, and its file, or None if it goes too."""


class _Names:
    """The names in a directory: as they are seen, as they were synced, and what changed since."""

    def __init__(self) -> None:
        self.seen: dict[str, _File] = {}
        self.held: dict[str, _File] = {}
        self.changes: list[Change] = []

    def change(self, change: Change) -> None:
        self.changes.append(change)
        _apply(self.seen, change)


def _apply(names: dict[str, _File], change: Change) -> None:
    gone, name, file = change
    if gone is not None:
        names.pop(gone, None)
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


class SimulatedDisk:
    """`Files` in memory. It crashes in the call numbered `crash_at`, which may have had effect."""

    def __init__(self) -> None:
        self.calls = 0
        self.log: list[str] = []
        """The calls that change or keep something, since the disk was made."""
        self.crash_at: int | None = None
        self.failing: set[str] = set()
        """The calls that fail from now on."""
        self._directories: dict[Path, _Names] = {}
        self._open: dict[int, _File] = {}
        self._locked: dict[int, Path] = {}
        self._shared: dict[Path, bytearray] = {}
        self._handles = 10
        self._salts = 0

    # Files

    def make_directory(self, directory: Path) -> None:
        self._directories.setdefault(directory, _Names())

    def list(self, directory: Path) -> list[str]:
        return sorted(self._directories[directory].seen)

    def create(self, path: Path) -> int:
        self._begin("create", path)
        names = self._directories[path.parent]
        if path.name in names.seen:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        file = _File()
        names.change((None, path.name, file))
        self._end()
        return self._opened(file)

    def open(self, path: Path) -> int:
        return self._opened(self.file(path))

    def _opened(self, file: _File) -> int:
        self._handles += 1
        self._open[self._handles] = file
        return self._handles

    def read(self, path: Path) -> bytes:
        return bytes(self.file(path).seen)

    def pwrite(self, handle: int, data: bytes | bytearray, offset: int) -> None:
        file = self._open[handle]
        self._begin("pwrite")
        file.write(bytes(data), offset)
        self._end()

    def fdatasync(self, handle: int) -> None:
        file = self._open[handle]
        if "fdatasync" in self.failing:
            file.versions.clear()
        self._begin("fdatasync")
        file.keep(lambda versions: versions[-1])
        self._end()

    def close(self, handle: int) -> None:
        self._open.pop(handle, None)
        self._locked.pop(handle, None)

    def rename(self, old: Path, new: Path) -> None:
        self._begin("rename", new)
        self._directories[new.parent].change((old.name, new.name, self.file(old)))
        self._end()

    def unlink(self, path: Path) -> None:
        self._begin("unlink", path)
        self.file(path)
        self._directories[path.parent].change((None, path.name, None))
        self._end()

    def sync_directory(self, directory: Path) -> None:
        self._begin("sync_directory")
        names = self._directories[directory]
        names.held = dict(names.seen)
        names.changes.clear()
        self._end()

    def lock(self, path: Path) -> int:
        if path in self._locked.values():
            raise BlockingIOError
        self._handles += 1
        self._locked[self._handles] = path
        return self._handles

    def share(self, path: Path, words: int) -> "memoryview[int]":
        return memoryview(self._shared.setdefault(path, bytearray(8 * words))).cast("Q")

    def salt(self) -> bytes:
        self._salts += 1
        return self._salts.to_bytes(8, "big")

    def _begin(self, call: str, path: Path | None = None) -> None:
        if call in self.failing:
            raise OSError(errno.EIO, "Input/output error")
        self.log.append(call if path is None else f"{call} {path.name}")

    def _end(self) -> None:
        """A crash in a call comes after its effect; before it is after that of the call before."""
        self.calls += 1
        if self.calls == self.crash_at:
            self.crash_at = None
            raise Crash

    # What happens to the disk

    def file(self, path: Path) -> _File:
        """The file of a name, as it is seen."""
        try:
            return self._directories[path.parent].seen[path.name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path)) from None

    def kill(self) -> None:
        """The process ends, and the kernel keeps all that it wrote."""
        self._open.clear()
        self._locked.clear()

    def cut_power(self, draw: Draw) -> None:
        """The machine ends."""
        self.kill()

        def choose(versions: list[bytes]) -> bytes | None:
            number = draw(len(versions) + 1)
            return versions[number - 1] if number else None

        for names in self._directories.values():
            files = [*names.held.values(), *(file for _, _, file in names.changes if file)]
            for change in names.changes:
                if draw(2):
                    _apply(names.held, change)
            names.seen = dict(names.held)
            names.changes.clear()
            for file in dict.fromkeys(files):
                file.keep(choose)
                file.seen[:] = file.held

    def flip(self, path: Path, bit: int) -> None:
        """A bit of a file rots."""
        file = self.file(path)
        for content in (file.seen, file.held):
            content[bit // 8] ^= 1 << bit % 8

    def offsets(self, directory: Path) -> bytes:
        """What was told of the offsets, as a supervisor reads it."""
        return bytes(self._shared[directory / OFFSETS])

    def ends(self, path: Path) -> tuple[int, int]:
        """Up to where a file that begins as zeros is synced, and written: to the last one bit."""
        file = self.file(path)
        return len(file.held.rstrip(b"\0")), len(file.seen.rstrip(b"\0"))
