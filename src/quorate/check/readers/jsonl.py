"""Quorate's own histories: JSON Lines, one header and then one event a line.

{"quorate":"history","version":1}
{"type":"invoke","process":0,"f":"write","key":"x","value":3,"time_ns":120,"event":7}
{"type":"ok","process":0,"f":"write","key":"x","value":3,"time_ns":180,"event":9}
"""

from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from quorate.check.history import NO_EVENT, History, Value
from quorate.check.readers.recorder import Recorder
from quorate.errors import Mistake

VERSION = 1


class _Header(msgspec.Struct, frozen=True):
    quorate: str
    version: int


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    type: Literal["invoke", "ok", "fail", "info"]
    process: int
    f: str
    key: str | None = None
    value: object = None
    time_ns: int = 0
    event: int = NO_EVENT


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_line = msgspec.json.Decoder(_Line).decode


def write_history(history: History, path: str | Path) -> None:
    """Write `history` to the file at `path`. Raises Mistake if the file cannot be written."""
    encode = msgspec.json.encode
    try:
        with open(path, "wb") as stream:
            stream.write(encode(_Header("history", VERSION)) + b"\n")
            for event in history.events():
                line = _Line(
                    event.type,
                    event.process,
                    event.f,
                    event.key,
                    event.value,
                    event.time_ns,
                    event.event,
                )
                stream.write(encode(line) + b"\n")
    except OSError as error:
        raise Mistake(f"cannot write {path}: {error.strerror}") from None


def read_jsonl(stream: BinaryIO, recorder: Recorder) -> None:
    """Read the header, and then the events."""
    header_read = False
    for number, text in recorder.lines(stream):
        if not text.strip():
            continue
        if not header_read:
            _check_header(number, text, recorder)
            header_read = True
            continue
        try:
            line = _decode_line(text)
            value = _frozen(line.value, number, recorder)
        except (msgspec.DecodeError, RecursionError) as error:
            raise recorder.wrong(number, f"malformed or cut off: {error}.") from None
        recorder.record(
            number,
            len(text),
            line.type,
            line.process,
            line.f,
            line.key,
            value,
            line.time_ns,
            line.event,
        )


def _check_header(number: int, text: str, recorder: Recorder) -> None:
    try:
        header = _decode_header(text)
    except (msgspec.DecodeError, RecursionError):
        header = None
    if header is None or header.quorate != "history":
        raise recorder.wrong(
            number, f'expected the header {{"quorate":"history","version":{VERSION}}} first.'
        )
    if header.version != VERSION:
        raise recorder.wrong(
            number, f"this is version {header.version}; this Quorate reads version {VERSION}."
        )


def _frozen(value: object, number: int, recorder: Recorder) -> Value:
    if isinstance(value, list):
        return tuple(_frozen(item, number, recorder) for item in value)
    if value is None or isinstance(value, str | int):
        return value
    raise recorder.wrong(
        number, f"{value!r} is not a string, integer, boolean, null or list of these."
    )
