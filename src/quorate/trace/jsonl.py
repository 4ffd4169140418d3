"""Trace files: JSON Lines. A header, one line for each step, and a last line that counts them.

    {"quorate":"trace","version":1,"scenario":"raft","nodes":["n1","n2","n3"],...}
    {"id":0,"time":0,"kind":"start","node":"n1","label":"start n1 #0",...}
    {"quorate":"end","steps":1}

A file is written line by line, so that it needs no memory, and distrusted until it is read.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, TypeVar

import msgspec

from quorate.errors import Mistake
from quorate.trace.trace import Header, Step, Trace, Value

T = TypeVar("T")

VERSION = 1
LINE_BYTES = 64 * 1024 * 1024
DEPTH = 100
"""How deeply values may be nested."""
_END = b'{"quorate":"end"'


class _FirstLine(Header, kw_only=True):
    """The header as it stands in the file."""

    quorate: Literal["trace"]
    version: int


class _LastLine(msgspec.Struct):
    """How many steps the file holds: without it, the file has been cut short."""

    quorate: Literal["end"]
    steps: int


def lines(header: Header, steps: Iterable[Step]) -> Iterator[bytes]:
    """The lines of a trace file, each with its newline."""
    encode = msgspec.json.Encoder().encode
    yield encode({"quorate": "trace", "version": VERSION, **msgspec.to_builtins(header)}) + b"\n"
    count = 0
    for step in steps:
        yield encode(step) + b"\n"
        count += 1
    yield encode(_LastLine("end", count)) + b"\n"


def write_trace(path: str | os.PathLike[str], header: Header, steps: Iterable[Step]) -> None:
    """Write a trace file, step by step."""
    try:
        with Path(path).open("wb") as file:
            file.writelines(lines(header, steps))
    except OSError as error:
        raise Mistake(f"{path}: cannot write the trace: {error.strerror}") from error


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace file. Raises Mistake, with the line, for anything that is not one."""
    try:
        with Path(path).open("rb") as file:
            return _Reader(str(path), file).read()
    except OSError as error:
        raise Mistake(f"{path}: cannot read the trace: {error.strerror}") from error


class _Reader:
    """Reads one file; `line` is the number of the line that it is at."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._line = 0

    def read(self) -> Trace:
        first = self._decode(msgspec.json.Decoder(_FirstLine), self._next())
        if first.version != VERSION:
            self._refuse(f"a trace of version {first.version}; this Quorate reads {VERSION}")
        trace = Trace(_header(first), [])
        lanes = frozenset(trace.lanes)
        if len(lanes) < len(trace.lanes):
            self._refuse("two nodes have the same id")
        steps = msgspec.json.Decoder(Step)
        line = self._next()
        while not line.startswith(_END):
            step = self._decode(steps, line)
            self._check(step, len(trace.steps), lanes)
            trace.steps.append(step)
            line = self._next()
        last = self._decode(msgspec.json.Decoder(_LastLine), line)
        if last.steps != len(trace.steps):
            self._refuse(f"{last.steps} steps were written, {len(trace.steps)} are here")
        self._check_references(trace)
        return trace

    def _next(self) -> bytes:
        self._line += 1
        line = self._file.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            if len(line) == LINE_BYTES:
                self._refuse(f"the line is longer than {LINE_BYTES} bytes")
            self._refuse("the trace is cut short here; record it again")
        return line

    def _decode(self, decoder: "msgspec.json.Decoder[T]", line: bytes) -> T:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._refuse(f"this is no line of a trace: {error}")
        except RecursionError:
            self._refuse("values are nested too deeply")

    def _check(self, step: Step, id: int, lanes: frozenset[str]) -> None:
        if step.id != id:
            self._refuse(f"step {id} should stand here, not step {step.id}")
        if step.cause >= id:
            self._refuse(f"step {id} has a later cause, {step.cause}")
        addresses = {step.node, step.source, *(sending.to for sending in step.sends)}
        addresses.update(*step.links)
        unknown = sorted(addresses - lanes - {""})
        if unknown:
            self._refuse(f"the header names no node {unknown[0]!r}")
        if not (step.node or step.kind == "fault") or not (step.source or step.kind != "deliver"):
            self._refuse(f"step {id} does not say which node took it, or which one sent to it")
        if any(path.count(".") > DEPTH for path in step.changes):
            self._refuse("a changed field is nested too deeply")
        values: list[Value] = [step.fields, step.choices]
        values += [msgspec.structs.astuple(change) for change in step.changes.values()]
        for effects in (step.sends, step.timers, step.cancelled):
            values += [effect.fields for effect in effects]
        values += [completion.value for completion in step.completed]
        if not all(_is_sound(value, DEPTH) for value in values):
            self._refuse("a value is nested too deeply or misspelled")

    def _check_references(self, trace: Trace) -> None:
        """What refers ahead can be checked only once all is read."""
        count = len(trace.steps)
        for step in trace.steps:
            for sending in step.sends:
                arrival = sending.arrival
                if arrival >= 0 and not (
                    step.id < arrival < count and trace.steps[arrival].node == sending.to
                ):
                    self._line = step.id + 2
                    self._refuse(f"{sending.type} does not arrive at {sending.to} in {arrival}")
        self._line = 1
        header = trace.header
        operations = header.explanation.operations if header.explanation else []
        ids = [id for operation in operations for id in (operation.invoke, operation.complete)]
        ids += [header.violation.record] if header.violation else []
        if not all(-1 <= id < count for id in ids):
            self._refuse(f"the header names a step that is not among these {count}")

    def _refuse(self, why: str) -> NoReturn:
        raise Mistake(f"{self._path}:{self._line}: {why}")


def _header(first: _FirstLine) -> Header:
    return Header(**{name: getattr(first, name) for name in Header.__struct_fields__})


def _is_sound(value: Value, depth: int) -> bool:
    """Whether what looks like a collection is one, and nothing is nested too deeply."""
    if depth == 0:
        return False
    if isinstance(value, dict):
        lists = [value[key] for key in ("$map", "$set", "$log") if key in value]
        return (
            all(isinstance(items, list) for items in lists)
            and all(isinstance(p, list) and len(p) == 2 for p in value.get("$map", ()))
            and isinstance(value.get("start", 0), int if "$log" in value else object)
            and isinstance(value.get("$", ""), str)
            and all(_is_sound(item, depth - 1) for item in value.values())
        )
    if isinstance(value, list | tuple):
        return all(_is_sound(item, depth - 1) for item in value)
    return True
