"""Words and pictures for a history that cannot be true."""

from collections.abc import Sequence

from quorate.check.history import Operation
from quorate.check.models import ANY_STATE, SAME_STATE, SOME_STATE, UNKNOWN, Effect, Mark, Model

LONGEST_VALUE = 28
WIDEST_TIMELINE = 60


def sentence(
    smallest: Sequence[Operation],
    operations: Sequence[Operation],
    impossible: Operation,
    model: Model,
    key: str | None,
) -> str:
    """Say in one sentence why `smallest` has no order.

    `operations` are all that had begun when `impossible` completed.
    """
    teller = _Teller(operations, model, key)
    completed = [op for op in smallest if op.status == "ok" and op is not impossible]
    for reader in (impossible, *reversed(completed)):
        told = (
            teller.unwritten(reader)
            or teller.appended(reader, smallest)
            or teller.held(reader, smallest)
            or teller.stale(reader, completed)
        )
        if told:
            return told
    if len(smallest) == 1:
        return f"{teller.name(impossible)} is an answer that nothing in the history can have made."
    return (
        f"no order of these {len(smallest)} operations gives each the answer that it got; "
        f"{teller.name(impossible)} is the first that cannot be placed."
    )


class _Teller:
    def __init__(self, operations: Sequence[Operation], model: Model, key: str | None) -> None:
        self.operations = operations
        self.model = model
        self.of_key = "" if key is None else f" of {key}"

    def name(self, op: Operation) -> str:
        return f"process {op.process}'s {label(op)}{self.of_key}"

    def _effect(self, op: Operation) -> Effect:
        return self.model.effect(op.f, op.value, op.result if op.status == "ok" else UNKNOWN)

    def _saw(self, op: Operation) -> str:
        """`process 3's read of x returned 4`, or the like."""
        effect = self._effect(op)
        if effect.after is SAME_STATE:
            return f"process {op.process}'s {op.f}{self.of_key} returned {_short(op.result)}"
        return f"process {op.process}'s {op.f}{self.of_key} found {_short(effect.before)}"

    def _writers(self, state: object) -> list[Operation]:
        return [op for op in self.operations if self._effect(op).after == state]

    def _is_set_outright(self) -> bool:
        """Whether every change sets the state without regard to what it was."""
        return all(self._effect(op).after is not SOME_STATE for op in self.operations)

    def unwritten(self, op: Operation) -> str:
        needed = self._effect(op).before
        if isinstance(needed, Mark) or needed == self.model.initial or not self._is_set_outright():
            return ""
        if self._writers(needed):
            return ""
        return f"{self._saw(op)}, but nothing had written {_short(needed)} when it completed."

    def appended(self, op: Operation, smallest: Sequence[Operation]) -> str:
        """An append that is not in what was read after it, or stands in the wrong place."""
        needed = self._effect(op).before
        if isinstance(needed, Mark) or any(other.f not in _APPENDING for other in smallest):
            return ""
        text = "" if needed is None else str(needed)
        appends = [other for other in smallest if other.f == "append" and other.status == "ok"]
        for other in appends:
            if other.completed < op.invoked and str(other.value) not in text:
                return (
                    f"{self._saw(op)}, but {label(other)} had completed before it began and is "
                    "not in it."
                )
        for first in appends:
            for second in appends:
                if first.completed < second.invoked and _stands_before(second, first, text):
                    return (
                        f"{self._saw(op)}, where {label(second)} stands before {label(first)}, "
                        "which had completed before the other began."
                    )
        return ""

    def held(self, op: Operation, smallest: Sequence[Operation]) -> str:
        """A lock that was taken twice, or given back twice."""
        if op.f not in ("acquire", "release"):
            return ""
        earlier = [
            before for before in smallest if before.status == "ok" and before.completed < op.invoked
        ]
        if len(earlier) != 1 or len(smallest) != 2 or earlier[0].f != op.f:
            return ""
        undo = "release" if op.f == "acquire" else "acquire"
        return (
            f"{self.name(op)} was granted, but {self.name(earlier[0])} had completed before it "
            f"began, and there was no {undo} between them."
        )

    def stale(self, op: Operation, completed: Sequence[Operation]) -> str:
        """A state that was seen after it had been overwritten for good."""
        needed = self._effect(op).before
        if isinstance(needed, Mark) or not self._is_set_outright():
            return ""
        writers = self._writers(needed)
        for other in completed:
            before, after = self._effect(other)
            later = other.completed < op.invoked
            settled = all(
                writer.status == "ok" and writer.completed < other.invoked for writer in writers
            )
            if not later or not settled:
                continue
            again = f"nothing wrote {_short(needed)} again"
            if after not in (SAME_STATE, SOME_STATE, needed):
                return (
                    f"{self._saw(op)}, but {label(other)} had completed before it began "
                    f"and {again}."
                )
            if after is SAME_STATE and before not in (ANY_STATE, SOME_STATE, needed):
                return f"{self._saw(op)}, but before it began {self._saw(other)}, and {again}."
        return ""


def label(op: Operation) -> str:
    """An operation in a few words: `write 4`, `read → 4`, `cas 3 → 4`."""
    if op.f == "cas" and isinstance(op.value, tuple) and len(op.value) == 2:
        words = f"cas {_short(op.value[0])} to {_short(op.value[1])}"
        return f"{words} → False" if op.result is False and op.status == "ok" else words
    words = op.f if op.value is None else f"{op.f} {_short(op.value)}"
    answers = op.f in _ANSWERING or op.result not in (None, op.value)
    return f"{words} → {_short(op.result)}" if answers and op.status == "ok" else words


_ANSWERING = frozenset({"read", "get", "contains", "dequeue"})
_APPENDING = frozenset({"append", "get", "read"})


def _stands_before(first: Operation, second: Operation, text: str) -> bool:
    one, other = str(first.value), str(second.value)
    return text.count(one) == text.count(other) == 1 and text.index(one) < text.index(other)


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, frozenset) else f"{{{_members(value)}}}"
    if len(text) <= LONGEST_VALUE:
        return text
    half = LONGEST_VALUE // 2 - 1
    return f"{text[:half]}…{text[-half:]}"


def _members(value: frozenset[object]) -> str:
    return ", ".join(sorted(map(repr, value)))


def timeline(operations: Sequence[Operation], impossible: Operation) -> list[str]:
    """Draw one row for each operation: `|---|` from invocation to completion.

    `|--->` may take effect at any later time. Equal columns are equal events, not equal times.
    """
    ends = [op.completed for op in operations if op.status == "ok"]
    events = sorted([op.invoked for op in operations] + ends)
    unit = max(1, min(5, WIDEST_TIMELINE // max(len(events), 1)))
    column = {event: place * unit for place, event in enumerate(events)}
    right = len(events) * unit
    names = [f"process {op.process}" for op in operations]
    labels = [label(op) for op in operations]
    name_width = max(map(len, names), default=0)
    label_width = max(map(len, labels), default=0)
    rows = []
    for op, name, words in zip(operations, names, labels, strict=True):
        start = column[op.invoked]
        if op.status != "ok":
            bar = "|" + "-" * (right - start - 1) + ">"
        else:
            bar = "|" + "-" * (column[op.completed] - start - 1) + "|"
        mark = "  ✗" if op.invoked == impossible.invoked else ""
        rows.append(f"  {name:<{name_width}}  {words:<{label_width}}  {' ' * start}{bar}{mark}")
    return rows
