"""What all readers share: lines of bounded length, and the rules that every history keeps."""

from collections.abc import Iterator
from typing import BinaryIO

from quorate.check.history import NO_EVENT, History, Value
from quorate.errors import Mistake

LONGEST_LINE = 1 << 24
"""In bytes. A longer line is a mistake, not a history."""
_EVENT_BYTES = 300
_STATUSES = frozenset({"ok", "fail", "info"})


class Full(Exception):
    """The history takes all the memory that it may."""


class Recorder:
    """Builds the history of one file, and says in which line it is wrong."""

    def __init__(self, path: str, memory_bytes: int) -> None:
        self.history = History(path)
        self.path = path
        self._memory_bytes = memory_bytes
        self._free = memory_bytes

    def wrong(self, line: int, what: str) -> Mistake:
        """The mistake to raise about a line."""
        return Mistake(f"{self.path}:{line}: {what}")

    def cut_short(self) -> None:
        """Note that the memory allowed is used up, and how much was read."""
        self.history.cut_short = (
            f"the rest of {self.path} was not read: its first {len(self.history)} events take the "
            f"{self._memory_bytes} bytes that were allowed"
        )

    def record(
        self,
        line: int,
        size: int,
        event_type: str,
        process: int,
        f: str,
        key: str | None,
        value: Value,
        time_ns: int = 0,
        event: int = NO_EVENT,
    ) -> None:
        """Add one event that took `size` bytes of the file. Raises Full or Mistake."""
        self._free -= _EVENT_BYTES + size
        if self._free < 0:
            raise Full
        if event_type == "invoke":
            self.history.invoke(process, f, key, value, time_ns, event, line)
            return
        if event_type not in _STATUSES:
            raise self.wrong(line, f"{event_type!r} is not invoke, ok, fail or info.")
        begun = self.history.pending(process)
        if begun is not None and (begun.f != f or begun.key != key):
            raise self.wrong(
                line,
                f"process {process} completes {_named(f, key)}, but the operation that it has "
                f"open is {_named(begun.f, begun.key)} (line {begun.invoke_line}).",
            )
        self.history.complete(process, event_type, value, time_ns, event, line)  # type: ignore[arg-type]

    def lines(self, stream: BinaryIO) -> Iterator[tuple[int, str]]:
        """Yield (number, text) of every line, with its line end if it has one."""
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise self.wrong(number, f"the line is longer than {LONGEST_LINE} bytes.")
            if b"\0" in line:
                raise self.wrong(number, "this is binary data, not a history.")
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                raise self.wrong(number, "this is not text in UTF-8.") from None
            yield number, text


def _named(f: str, key: str | None) -> str:
    return repr(f) if key is None else f"{f!r} of key {key!r}"
