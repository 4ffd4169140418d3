"""Histories: what clients asked of a system, and what it answered, in order.

A history is an ordered list of events. An operation begins with an `invoke` and ends with at
most one completion:

    ok    it took effect, and returned the completion's value;
    fail  it certainly did not take effect;
    info  nobody knows: it may have taken effect at any moment after its invocation, or may
          still do so at any later time. An operation that never completes is the same.

The vocabulary is Jepsen's (https://jepsen.io).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from quorate.errors import Mistake

Value: TypeAlias = str | int | bool | tuple["Value", ...] | None
"""What an operation takes and returns: plain data, compared by `==` (so True is 1)."""

Status: TypeAlias = Literal["ok", "fail", "info"]
EventType: TypeAlias = Literal["invoke", "ok", "fail", "info"]

NEVER = -1
"""The completion index of an operation that has not completed."""
NO_EVENT = -1
"""The trace event of a history that came from no trace."""


class Operation(msgspec.Struct, gc=False):
    """One operation of one client: its invocation, and its completion if it has one.

    `invoked` and `completed` are positions in the history's order of events; `invoke_event` and
    `complete_event` are ids of trace records; lines are those of the file it was read from,
    counted from 1, or 0.
    """

    process: int
    f: str
    key: str | None
    value: Value
    invoked: int
    invoke_ns: int = 0
    invoke_event: int = NO_EVENT
    invoke_line: int = 0
    status: Status = "info"
    result: Value = None
    completed: int = NEVER
    complete_ns: int = 0
    complete_event: int = NO_EVENT
    complete_line: int = 0


class Event(NamedTuple):
    """One line of a history."""

    type: EventType
    process: int
    f: str
    key: str | None
    value: Value
    time_ns: int
    event: int
    line: int


class History:
    """A history being recorded, or read.

    `operations` are in the order of their invocations. `source` names the file it came from.
    `cut_short` says why the rest of it was not read, or is None.
    """

    __slots__ = ("_open", "cut_short", "length", "operations", "source")

    def __init__(self, source: str | None = None) -> None:
        self.operations: list[Operation] = []
        self.source = source
        self.cut_short: str | None = None
        self.length = 0
        self._open: dict[int, Operation] = {}

    def __len__(self) -> int:
        """How many events it holds."""
        return self.length

    def invoke(
        self,
        process: int,
        f: str,
        key: str | None,
        value: Value,
        time_ns: int = 0,
        event: int = NO_EVENT,
        line: int = 0,
    ) -> None:
        """Record that `process` begins an operation. Raises Mistake if it has one open."""
        if process in self._open:
            raise Mistake(self._two_open(process, f, event, line))
        operation = Operation(process, f, key, value, self.length, time_ns, event, line)
        self._open[process] = operation
        self.operations.append(operation)
        self.length += 1

    def complete(
        self,
        process: int,
        status: Status,
        value: Value = None,
        time_ns: int = 0,
        event: int = NO_EVENT,
        line: int = 0,
    ) -> None:
        """Record how the open operation of `process` ended. Raises Mistake if none is open."""
        operation = self._open.pop(process, None)
        if operation is None:
            raise Mistake(
                f"{self._place(event, line)}: process {process} completes with {status!r} but has "
                "no operation open; each completion needs an invoke before it."
            )
        operation.status = status
        operation.result = value
        operation.completed = self.length
        operation.complete_ns = time_ns
        operation.complete_event = event
        operation.complete_line = line
        self.length += 1

    def pending(self, process: int) -> Operation | None:
        """The operation that `process` has open, if any."""
        return self._open.get(process)

    def events(self) -> Iterator[Event]:
        """Every event, in order."""
        slots: list[Event | None] = [None] * self.length
        for op in self.operations:
            slots[op.invoked] = Event(
                "invoke",
                op.process,
                op.f,
                op.key,
                op.value,
                op.invoke_ns,
                op.invoke_event,
                op.invoke_line,
            )
            if op.completed != NEVER:
                slots[op.completed] = Event(
                    op.status,
                    op.process,
                    op.f,
                    op.key,
                    op.result,
                    op.complete_ns,
                    op.complete_event,
                    op.complete_line,
                )
        return (event for event in slots if event is not None)

    def place(self, operation: Operation) -> str:
        """Where an operation begins, for a message: `file:line`, or its trace event."""
        return self._place(operation.invoke_event, operation.invoke_line)

    def _place(self, event: int, line: int) -> str:
        if line:
            return f"{self.source or 'history'}:{line}"
        if event != NO_EVENT:
            return f"history, trace event {event}"
        return f"history, event {self.length}"

    def _two_open(self, process: int, f: str, event: int, line: int) -> str:
        first = self._open[process]
        return (
            f"{self._place(event, line)}: process {process} invokes {f!r} while its {first.f!r} "
            f"({self.place(first)}) is still open; a process does one operation at a time."
        )
