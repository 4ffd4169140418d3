"""Reading histories that were recorded in files, and writing Quorate's own.

Formats: `jepsen-log` (lines of a Jepsen log), `edn` (Jepsen's history.edn), `kv` (one map a line
with a `:key`, as key-value tests write them) and `quorate` (JSON Lines). Files are read as a
stream, and trusted in nothing.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from quorate.check.history import History
from quorate.check.readers.edn import read_edn
from quorate.check.readers.jsonl import read_jsonl, write_history
from quorate.check.readers.lines import is_jepsen_line, is_kv_line, read_jepsen_log, read_kv
from quorate.check.readers.recorder import Full, Recorder
from quorate.errors import Mistake

__all__ = ["FORMATS", "MEMORY_BYTES", "read_history", "write_history"]

Reader: TypeAlias = Callable[[BinaryIO, Recorder], None]

_READERS: Final[dict[str, Reader]] = {
    "jepsen-log": read_jepsen_log,
    "edn": read_edn,
    "kv": read_kv,
    "quorate": read_jsonl,
}
FORMATS: Final = tuple(_READERS)
"""The names of the formats."""
MEMORY_BYTES: Final = 1 << 29
"""What a history may take unless told otherwise; the rest of a longer one is not read."""
_PEEK_BYTES = 1 << 16


def read_history(
    path: str | Path, format_name: str | None = None, memory_bytes: int = MEMORY_BYTES
) -> History:
    """Read the history in the file at `path`; the format is told by its content unless named.

    Past `memory_bytes` reading stops, and `History.cut_short` says so. Raises Mistake, with file
    and line, for a file that is missing, binary, truncated or malformed.
    """
    if format_name is not None and format_name not in _READERS:
        raise Mistake(f"no format is named {format_name!r}; known are {', '.join(FORMATS)}.")
    recorder = Recorder(str(path), memory_bytes)
    try:
        with open(path, "rb") as stream:
            name = format_name or _detect(str(path), stream.read(_PEEK_BYTES))
            stream.seek(0)
            _READERS[name](stream, recorder)
    except Full:
        recorder.cut_short()
    except OSError as error:
        raise Mistake(f"cannot read {path}: {error.strerror}") from None
    return recorder.history


def _detect(path: str, start: bytes) -> str:
    text = start.decode("utf-8", errors="replace")
    if "\0" in text:
        raise Mistake(f"{path}:1: this is a binary file, not a history.")
    lines: Iterable[str] = (line.strip() for line in text.splitlines())
    for line in lines:
        if not line:
            continue
        if line.startswith('{"'):
            return "quorate"
        if is_kv_line(line):
            return "kv"
        if line[0] in "{[(#;":
            return "edn"
        if is_jepsen_line(line):
            return "jepsen-log"
    if not text.strip():
        return "quorate"
    raise Mistake(
        f"{path}:1: cannot tell what format this is; name it, one of {', '.join(FORMATS)}."
    )
