"""How far each file is written and synced, in shared memory that outlives a killed process.

A kill loses nothing that a process wrote, a power cut does; the offsets let a supervisor play the
second after the first (`power_cut`). They are told *before* a write and *after* a sync, so what
lies between them may or may not be on the disk, and what lies below was. Recovery never reads them:
after a real power cut the file itself may be old.
"""

import struct
from enum import IntEnum
from pathlib import Path

import msgspec

from quorate.errors import Mistake
from quorate.live.storage.files import Files

OFFSETS = "offsets"
"""The file's name, in the directory of the files that it tells of."""

SLOTS = 2
"""A journal has two files at once whose fate is open: the last one, and the one that follows it."""

_WORDS = 32
_NAME_BYTES = 128
_SLOT = struct.Struct(f"@QQQQ{_NAME_BYTES}s{8 * (_WORDS - 4) - _NAME_BYTES}x")
_WRITTEN, _SYNCED, _STATE, _LENGTH, _NAME = range(5)


class State(IntEnum):
    """How sure a file's name is."""

    FREE = 0
    CREATED = 1
    """The directory has not been synced since: after a power cut the file may not exist."""
    NAMED = 2


class Extent(msgspec.Struct, frozen=True):
    """What is told of one file, in bytes from its start."""

    name: str
    state: State
    synced: int
    written: int


class Offsets:
    """The slots that one process writes."""

    def __init__(self, files: Files, directory: Path) -> None:
        self._words = files.share(directory / OFFSETS, _WORDS * SLOTS)

    def announce(self, slot: int, name: str, state: State, end: int) -> None:
        """Tell of a file whose bytes up to `end` are synced."""
        start = slot * _WORDS
        words, text = self._words, name.encode()
        assert len(text) <= _NAME_BYTES
        words[start + _STATE] = State.FREE  # Until all of it is told.
        for at in range(0, _NAME_BYTES, 8):
            (word,) = struct.unpack("@Q", text[at : at + 8].ljust(8, b"\0"))
            words[start + _NAME + at // 8] = word
        words[start + _LENGTH] = len(text)
        words[start + _WRITTEN] = words[start + _SYNCED] = end
        words[start + _STATE] = state

    def writing(self, slot: int, end: int) -> None:
        """The file is about to be written up to here."""
        self._words[slot * _WORDS + _WRITTEN] = end

    def synced(self, slot: int, end: int) -> None:
        """The file has been synced up to here."""
        self._words[slot * _WORDS + _SYNCED] = end

    def close(self) -> None:
        """Let the memory go."""
        self._words.release()


def extents(path: Path, data: bytes) -> list[Extent]:
    """What an `offsets` file tells, or a `Mistake`."""
    if len(data) != _SLOT.size * SLOTS:
        raise Mistake(f"{path}: {len(data)} bytes are no offsets; was this a member's directory?")
    told = []
    for written, synced, state, length, name in _SLOT.iter_unpack(data):
        if state == State.FREE:
            continue
        text = name[:length].decode("utf-8", "replace")
        if state not in tuple(State) or synced > written or not text or {*text} & {*"/\\\0\ufffd"}:
            raise Mistake(f"{path}: damaged; restart the member to have it written anew")
        told.append(Extent(text, State(state), synced, written))
    return told
