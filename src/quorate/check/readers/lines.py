"""The two formats with one event a line: Jepsen's log, and key-value text."""

import re
from typing import BinaryIO

from quorate.check.history import Value
from quorate.check.readers.edn import parse_value
from quorate.check.readers.recorder import Recorder

# INFO  jepsen.util - 0	:invoke	:cas	[3 0]
_JEPSEN = re.compile(
    r"(?:.*[-\s])?(\d{1,18}|:?nemesis)\s+:(invoke|ok|fail|info)\s+:([^\s:]+)\s+(\S.*)$"
)
_LOGGED = re.compile(r"(?:\S+ )*(?:INFO|WARN|ERROR|DEBUG|TRACE)\s")
_JEPSEN_VALUE = re.compile(r"nil|-?\d{1,18}")
# {:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}
_KV = re.compile(
    r'\{:process (\d{1,18}), :type :(\w+), :f :(\w+), :key "([^"\\]*)", '
    r':value (nil|"([^"\\]*)")\}$'
)


def is_jepsen_line(line: str) -> bool:
    """Whether a line is an event of a Jepsen log, or at least of some log."""
    return bool(_JEPSEN.match(line) or _LOGGED.match(line))


def is_kv_line(line: str) -> bool:
    """Whether a line is an event of a key-value text."""
    return bool(_KV.match(line))


def read_jepsen_log(stream: BinaryIO, recorder: Recorder) -> None:
    """Read the lines of `jepsen.util`; those of other loggers and of the nemesis are skipped."""
    for number, line in recorder.lines(stream):
        text = line.rstrip()
        event = _JEPSEN.match(text)
        if event is None:
            of_another = _LOGGED.match(text) and "jepsen.util" not in text and line.endswith("\n")
            if text and not of_another:
                raise recorder.wrong(
                    number,
                    "expected `process :type :f value`, as in `0 :invoke :read nil`; the line is "
                    "malformed or cut off.",
                )
            continue
        if not line.endswith("\n"):
            raise recorder.wrong(
                number,
                "the last line has no end and may be cut off; if it is whole, add a newline.",
            )
        process, event_type, f, words = event.groups()
        if process.isdigit():
            value = _jepsen_value(words, number, recorder)
            recorder.record(number, len(line), event_type, int(process), f, None, value)


def _jepsen_value(words: str, number: int, recorder: Recorder) -> Value:
    if _JEPSEN_VALUE.fullmatch(words):
        return None if words == "nil" else int(words)
    return parse_value(words, number, recorder)


def read_kv(stream: BinaryIO, recorder: Recorder) -> None:
    """Read one map a line, its fields in the order that the format has them."""
    for number, line in recorder.lines(stream):
        text = line.strip()
        event = _KV.match(text)
        if event is None:
            if text:
                raise recorder.wrong(
                    number,
                    'expected `{:process 0, :type :invoke, :f :get, :key "k", :value nil}`; the '
                    "line is malformed or cut off.",
                )
            continue
        process, event_type, f, key, _, value = event.groups()
        recorder.record(number, len(line), event_type, int(process), f, key, value)
