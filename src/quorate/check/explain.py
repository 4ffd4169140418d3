"""Why a history is not linearizable: the shortest story that still cannot be true.

The history is cut at the first completion at which no order exists, and operations are then left
out for as long as the rest has no order either. An operation is left out only together with
every other whose answer may have come from it (`Model.watches`), so that what remains fails
because the whole does, and not because a write that somebody read was taken away.
"""

from bisect import bisect_left
from collections.abc import Sequence
from time import monotonic

import msgspec

from quorate.check.history import NEVER, NO_EVENT, History, Operation
from quorate.check.models import SAME_STATE, SOME_STATE, UNKNOWN, Effect, Mark, Model, Seen, State
from quorate.check.part import OutOfRoom, Part, Room
from quorate.check.search import Search
from quorate.check.story import sentence, timeline

STEPS = 300_000
"""What an explanation may cost in all: placements tried, and operations laid out."""
SECONDS = 5.0
"""What it may last. Then the shortest story found so far is told."""
STRIDE = 2_000
"""Steps between two looks at the clock."""
MEMORY_BYTES = 1 << 28
_FOREVER = 1 << 62


class Explanation(msgspec.Struct, frozen=True):
    """Why one key's operations, or a whole history's, cannot be put in order.

    `impossible` is the operation that cannot be placed: the history is still linearizable just
    before it completes. `prefix` is an order of the operations up to there (empty if none was
    found within the budget), and `prefix_events` counts the events of the key up to there.
    `smallest` are operations that fail by themselves, in the order of their invocations; those
    that complete after `impossible` appear as not completed. `is_minimal` tells whether leaving
    out any more of them was tried in vain, or the budget ended first.
    """

    key: str | None
    sentence: str
    impossible: Operation
    prefix: tuple[Operation, ...]
    prefix_events: int
    smallest: tuple[Operation, ...]
    is_minimal: bool
    source: str | None = None

    def trace_events(self) -> tuple[int, ...]:
        """The ids of the trace records behind `smallest`, in the order of the history."""
        ids = [(op.invoked, op.invoke_event) for op in self.smallest]
        ids += [(op.completed, op.complete_event) for op in self.smallest if op.completed != NEVER]
        return tuple(event for _, event in sorted(ids) if event != NO_EVENT)

    def render(self) -> str:
        """The explanation as text, with a timeline of `smallest`."""
        what = "not linearizable" if self.key is None else f"key {self.key}: not linearizable"
        lines = [what, self.sentence, ""]
        if self.impossible.complete_line:
            where = self.source or "the history"
            lines.append(f"Up to {where}:{self.impossible.complete_line} there is an order.")
        number = len(self.smallest)
        count = f"{number} operations" if number != 1 else "1 operation"
        least = "Shortest" if self.is_minimal else "Shortened"
        lines.append(f"{least} failing history ({count}, time runs to the right):")
        return "\n".join([*lines, "", *timeline(self.smallest, self.impossible), ""])


def explain(
    operations: Sequence[Operation],
    model: Model,
    history: History,
    key: str | None,
    steps: int = STEPS,
) -> Explanation:
    """Explain `operations`, those of one part of `history`, which are not linearizable."""
    judge = _Judge(model, history, steps)
    cut, ends = _first_impossible(operations, judge)
    impossible = next(op for op in operations if op.completed == ends)
    before = _until(operations, ends - 1)
    order = judge.order(before)
    smallest, is_minimal = _shorten(cut, impossible, model, judge)
    events = sum(op.invoked < ends for op in operations)
    events += sum(NEVER < op.completed < ends for op in operations)
    return Explanation(
        key,
        sentence(smallest, cut, impossible, model, key),
        impossible,
        tuple(order or ()),
        events,
        tuple(smallest),
        is_minimal,
        history.source,
    )


class _Judge:
    """Answers whether operations have an order, for as long as its steps last."""

    def __init__(self, model: Model, history: History, steps: int) -> None:
        self.model = model
        self.history = history
        self.left = steps
        self._deadline = monotonic() + SECONDS

    def order(self, operations: Sequence[Operation]) -> list[Operation] | None:
        search = self._search(operations)
        return search.order() if search is not None and search.found else None

    def fails(self, operations: Sequence[Operation]) -> bool:
        """True if they certainly have no order."""
        search = self._search(operations)
        return search is not None and search.found is False

    def _search(self, operations: Sequence[Operation]) -> Search | None:
        self.left -= len(operations)
        if monotonic() > self._deadline:
            self.left = 0
        if self.left <= 0:
            return None
        try:
            part = Part(operations, self.model, self.history.place, Room(MEMORY_BYTES))
            search = Search(part)
            enough = max(self.left // 4, 1000)
            while search.found is None and search.steps < enough and monotonic() < self._deadline:
                search.run(min(STRIDE, enough - search.steps))
        except OutOfRoom:
            return None
        self.left -= search.steps
        return search


def _until(operations: Sequence[Operation], end: int) -> list[Operation]:
    """The operations as they stood after event `end`."""
    return [
        op
        if op.completed <= end
        else msgspec.structs.replace(
            op, status="info", result=None, completed=NEVER, complete_event=NO_EVENT
        )
        for op in operations
        if op.invoked <= end
    ]


def _first_impossible(
    operations: Sequence[Operation], judge: _Judge
) -> tuple[list[Operation], int]:
    """The shortest prefix that is known to fail, and the completion at which it ends."""
    ends = sorted(op.completed for op in operations if op.status == "ok")
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if judge.fails(_until(operations, ends[middle])):
            high = middle
        else:
            low = middle + 1
    return _until(operations, ends[high]), ends[high]


def _shorten(
    operations: Sequence[Operation], impossible: Operation, model: Model, judge: _Judge
) -> tuple[list[Operation], bool]:
    """Leave out operations, first many at a time, while the rest still has no order."""
    rest = list(operations)
    witnesses = _Witnesses(model, operations)
    size = max(len(rest) // 2, 1)
    while True:
        changed = False
        start = 0
        while start < len(rest):
            gone = witnesses.closure(rest[start : start + size], rest)
            kept = [op for op in rest if op.invoked not in gone]
            judge.left -= len(rest)
            if judge.left <= 0:
                return rest, False
            told = impossible.invoked not in gone and witnesses.keep_writers(kept)
            if told and judge.fails(kept):
                rest = kept
                changed = True
            else:
                start += size
        if size == 1 and not changed:
            return rest, True
        size = max(size // 2, 1)


class _Witnesses:
    """Which operations may owe their answers to which others."""

    def __init__(self, model: Model, operations: Sequence[Operation]) -> None:
        self.model = model
        self._known: dict[tuple[Seen, Seen], bool] = {}
        self._last_writers = self._find_last_writers(operations)

    def closure(self, block: Sequence[Operation], rest: Sequence[Operation]) -> set[int]:
        """Where `block` begins, and all in `rest` that its absence could make impossible.

        An operation owes nothing to another if, between the two, a third certainly set the state
        anew: then whatever order there is without the other, there is with it, and conversely.
        """
        gone = {op.invoked for op in block}
        last: dict[Seen, int] = {}
        fresh = list(block)
        while fresh:
            for op in fresh:
                seen = _seen(op)
                after = self._effect(seen).after
                if after is not SAME_STATE:
                    # What an operation added to a state, only the story as a whole can show.
                    end = _FOREVER if after is SOME_STATE else _end(op)
                    last[seen] = max(last.get(seen, 0), end)
            left = [op for op in rest if op.invoked not in gone]
            shield = _Shield([op for op in left if self._sets(op)])
            fresh = [
                op
                for op in left
                if any(
                    self._watches(_seen(op), other) and not shield.covers(end, op.invoked)
                    for other, end in last.items()
                )
            ]
            gone |= {op.invoked for op in fresh}
        return gone

    def keep_writers(self, rest: Sequence[Operation]) -> bool:
        """Whether the last writer of each state that is seen is still there, if there was one."""
        there = {op.invoked for op in rest}
        return all(self._last_writers.get(op.invoked, op.invoked) in there for op in rest)

    def _find_last_writers(self, operations: Sequence[Operation]) -> dict[int, int]:
        """For operations that need one state: where the last that could write it is invoked."""
        writers: dict[State | Mark, list[int]] = {}
        for op in operations:
            writers.setdefault(self._effect(_seen(op)).after, []).append(op.invoked)
        found: dict[int, int] = {}
        for op in operations:
            needed = self._effect(_seen(op)).before
            begins = writers.get(needed, [])
            place = bisect_left(begins, _end(op))
            if place and not isinstance(needed, Mark):
                found[op.invoked] = begins[place - 1]
        return found

    def _effect(self, op: Seen) -> Effect:
        return self.model.effect(*op)

    def _sets(self, op: Operation) -> bool:
        return op.status == "ok" and not isinstance(self._effect(_seen(op)).after, Mark)

    def _watches(self, observer: Seen, other: Seen) -> bool:
        pair = (observer, other)
        if pair not in self._known:
            self._known[pair] = self.model.watches(observer, other)
        return self._known[pair]


class _Shield:
    """Operations that set the state: has one of them run, whole, between two moments?"""

    def __init__(self, setting: Sequence[Operation]) -> None:
        self._begins = [op.invoked for op in setting]
        ends = [op.completed for op in setting]
        for place in range(len(ends) - 2, -1, -1):
            ends[place] = min(ends[place], ends[place + 1])
        self._first_end = ends

    def covers(self, after: int, before: int) -> bool:
        place = bisect_left(self._begins, after)
        return place < len(self._begins) and self._first_end[place] < before


def _end(op: Operation) -> int:
    """The last moment at which it can have taken effect."""
    return op.completed if op.status == "ok" else _FOREVER


def _seen(op: Operation) -> Seen:
    return Seen(op.f, op.value, op.result if op.status == "ok" else UNKNOWN)
