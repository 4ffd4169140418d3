"""A power cut, played on the files of a member that was killed.

A kill loses nothing that was written, as the kernel has it. What a power cut would have lost is
only what no sync had returned for, so that is what is taken away here: the offsets tell how much.

    for cut in cut(directory, choose):
        print(cut.name, cut.dropped)
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from quorate.errors import Mistake
from quorate.live.storage.offsets import OFFSETS, Extent, State, extents

SECTOR = 512
"""Bytes that a disk writes together."""

Choose = Callable[[int, int], int]
"""A number from the first to the second, both included: the only chance there is."""


class Cut(msgspec.Struct, frozen=True):
    """What became of one file."""

    name: str
    synced: int
    written: int
    kept: int
    """It was kept up to here, but for a hole."""
    dropped: int
    """Bytes that had been written and are gone; 0 tells that the cut changed nothing."""
    is_removed: bool = False
    """Its name had not been synced, and is gone too."""


def cut(directory: Path, choose: Choose) -> list[Cut]:
    """Take from the files in one directory what a power cut may take, and tell what it was.

    The member must be dead, and the machine must have run since. What comes last in a file may be
    lost from any byte on, and before it any sectors in a row. A file whose name was not synced may
    be gone. Not played: names that come back, as those of deleted segments and of replaced values.
    Raises `Mistake` if the directory tells no offsets.
    """
    path = directory / OFFSETS
    try:
        told = extents(path, path.read_bytes())
        return [
            _cut(directory / extent.name, extent, choose)
            for extent in told
            if (directory / extent.name).is_file()
        ]
    except OSError as error:
        raise Mistake(f"{path}: cannot cut its files: {error}") from error


def _cut(path: Path, extent: Extent, choose: Choose) -> Cut:
    if extent.state == State.CREATED and choose(0, 1) == 0:
        path.unlink()
        return Cut(extent.name, 0, extent.written, 0, extent.written, is_removed=True)
    with path.open("r+b") as file:
        file.seek(extent.synced)
        # Told before it is written: the write may not have begun.
        unsynced = bytearray(file.read(extent.written - extent.synced).rstrip(b"\0"))
        length = len(unsynced)
        kept = choose(0, length) if length else 0
        unsynced[kept:] = bytes(length - kept)
        hole = _hole(extent.synced, kept, choose)
        lost = len(unsynced[hole].strip(b"\0"))
        unsynced[hole] = bytes(len(unsynced[hole]))
        file.seek(extent.synced)
        file.write(unsynced)
        file.flush()
        os.fsync(file.fileno())
    return Cut(
        extent.name, extent.synced, extent.written, extent.synced + kept, length - kept + lost
    )


def _hole(start: int, kept: int, choose: Choose) -> slice:
    """Sectors that were not written though later ones were, as offsets from `start`.

    A sector that holds synced bytes too is written whole or not, like any other; only the bytes
    that were not synced go back to what they were, which is zeros.
    """
    sectors = range(start // SECTOR, (start + kept) // SECTOR)  # The last is cut as it is.
    if not sectors:
        return slice(0, 0)
    first = choose(sectors[0], sectors[-1] + 1)
    last = choose(first, sectors[-1] + 1)
    return slice(max(0, first * SECTOR - start), max(0, last * SECTOR - start))
