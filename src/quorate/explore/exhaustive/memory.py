"""What a state remembers besides its nodes and messages: budgets, monitors and the history.

Two states with equal nodes are different states if a monitor has seen different things, or if the
clients have: what may fail later depends on it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from quorate.check.history import History
from quorate.check.linearizability import check_history
from quorate.check.models import Model
from quorate.explore.exhaustive.way import Happening, Move
from quorate.explore.outcome import BUDGET, LINEARIZABILITY, status_of
from quorate.kernel.canonical import fingerprint, same
from quorate.kernel.node import Event, Node, Operation
from quorate.kernel.properties import Monitor
from quorate.simulate.judge import holds
from quorate.verdict import Verdict

SPENT = -1
"""Instead of a memory: a budget does not allow the move."""


class _Entry(NamedTuple):
    """One memory: the budgets left (-1 for no limit), and numbers of interned parts."""

    crashes: int
    timers: int
    monitors: tuple[int, ...]
    history: int


class Memories:
    """Interns memories, and knows how a move changes each.

    Attributes:
        prints: the fingerprint of each memory, as a number.
        failures: the property that failed on the way to a memory, or None.
        undecided: how many histories could not be judged within the checker's budget.
    """

    def __init__(
        self, crashes: int, timers: int, monitors: Sequence[type[Monitor]], model: Model | None
    ) -> None:
        self.prints: list[int] = []
        self.failures: list[str | None] = []
        self._kinds = [_Watching(kind) for kind in monitors]
        self._histories = _Histories(model)
        self._entries: list[_Entry] = []
        self._known: dict[tuple[_Entry, str | None], int] = {}
        self._after: dict[tuple[int, int], int] = {}
        first = _Entry(crashes, timers, (0,) * len(self._kinds), 0)
        self.first = self._intern(first, None)

    @property
    def undecided(self) -> int:
        """How many histories could not be judged within the checker's budget."""
        return self._histories.undecided

    def after(self, memory: int, move: Move) -> int:
        """The memory after a move, or `SPENT`."""
        key = (memory, move.index)
        known = self._after.get(key)
        if known is None:
            known = self._after[key] = self._next(self._entries[memory], move)
        return known

    def has_no_timers_left(self, memory: int) -> bool:
        """Whether the budget of timers is spent."""
        return self._entries[memory].timers == 0

    def value(self, memory: int) -> tuple[Any, ...]:
        """All that is remembered, as a value."""
        entry = self._entries[memory]
        watching = zip(self._kinds, entry.monitors, strict=True)
        monitors = tuple(kind.states[at] for kind, at in watching)
        seen = self._histories.seen[entry.history]
        return entry.crashes, entry.timers, monitors, seen, self.failures[memory]

    def resume(self, monitors: Sequence[Monitor], happenings: Sequence[Happening]) -> int:
        """The memory of a run so far, with all budgets left."""
        first = self._entries[self.first]
        pairs = zip(self._kinds, monitors, strict=True)
        watching = tuple(kind.number_of(monitor) for kind, monitor in pairs)
        history, _ = self._histories.after(0, tuple(happenings))
        return self._intern(_Entry(first.crashes, first.timers, watching, history), None)

    def through(self, memory: int, moves: Sequence[Move]) -> int:
        """The memory after these moves, with the first failure on the way; or `SPENT`."""
        failure: str | None = None
        for move in moves:
            if move.remembers:
                memory = self.after(memory, move)
                if memory == SPENT:
                    return SPENT
                failure = failure or self.failures[memory]
        if failure is not None and failure != self.failures[memory]:
            return self._intern(self._entries[memory], failure)
        return memory

    def _next(self, entry: _Entry, move: Move) -> int:
        crashes = entry.crashes - (move.crash is not None)
        timers = entry.timers - (move.is_timer and entry.timers >= 0)
        if crashes < 0 or (move.is_timer and timers < 0 <= entry.timers):
            return SPENT
        failure = move.failure
        monitors = list(entry.monitors)
        for woken in move.woken:
            kind = self._kinds[woken]
            monitors[woken], is_kept = kind.after(monitors[woken], move)
            if not is_kept and failure is None:
                failure = kind.name
        history = entry.history
        if move.happenings:
            history, is_right = self._histories.after(history, move.happenings)
            if not is_right and failure is None:
                failure = LINEARIZABILITY
        return self._intern(_Entry(crashes, timers, tuple(monitors), history), failure)

    def _intern(self, entry: _Entry, failure: str | None) -> int:
        known = self._known.get((entry, failure))
        if known is None:
            known = self._known[entry, failure] = len(self._entries)
            self._entries.append(entry)
            self.failures.append(failure)
            parts = [kind.prints[at] for kind, at in zip(self._kinds, entry.monitors, strict=True)]
            parts.append(self._histories.prints[entry.history])
            told = (entry.crashes, entry.timers, *parts, failure)
            self.prints.append(int.from_bytes(fingerprint(told), "big"))
        return known


class _Watching:
    """The states of one monitor."""

    def __init__(self, kind: type[Monitor]) -> None:
        self.name = kind.__name__
        first = kind()
        self.states: list[Monitor] = [first]
        self.prints: list[bytes] = [fingerprint(first)]
        self._known: dict[bytes, int] = {self.prints[0]: 0}
        self._after: dict[tuple[int, int], tuple[int, bool]] = {}

    def after(self, state: int, move: Move) -> tuple[int, bool]:
        """Its state after a move, and whether its claim held."""
        key = (state, move.index)
        known = self._after.get(key)
        if known is None:
            known = self._after[key] = self._watch(state, move)
        return known

    def _watch(self, state: int, move: Move) -> tuple[int, bool]:
        monitor: Monitor = self.states[state].__copy__()  # type: ignore[attr-defined]
        is_kept = True
        for before, event, after in move.steps:
            if wakes(type(monitor), before, event, after):
                is_kept = is_kept and holds(self.name, monitor.watch, before, event, after)
        return self.number_of(monitor), is_kept

    def number_of(self, monitor: Monitor) -> int:
        """The number of a monitor's state."""
        print_ = fingerprint(monitor)
        known = self._known.get(print_)
        if known is None:
            known = self._known[print_] = len(self.states)
            self.states.append(monitor)
            self.prints.append(print_)
        return known


def wakes(kind: type[Monitor], before: Node, event: Event, after: Node) -> bool:
    """Whether a step changes a field that the monitor reads; a recovery always wakes it."""
    if getattr(event, "recovered", False):
        return True
    return not all(same(getattr(before, name), getattr(after, name)) for name in kind.reads)


class Asked(msgspec.Struct, frozen=True):
    """One operation of a history, with what is known of its order.

    `preceded_by` counts, for each client, its operations that had completed when this one began.
    """

    operation: Operation
    preceded_by: tuple[int, ...]
    status: str = ""
    result: Any = None


Seen = tuple[tuple[Asked, ...], ...]
"""A history by client: all that an order of events says about which operation precedes which."""


class _Histories:
    """Histories that differ only in the order of events that say nothing are one."""

    def __init__(self, model: Model | None) -> None:
        self._model = model
        self.seen: list[Seen] = [()]
        self._events: list[tuple[Happening, ...]] = [()]
        self._is_right = [True]
        self.prints: list[bytes] = [fingerprint(())]
        self._known: dict[bytes, int] = {self.prints[0]: 0}
        self._after: dict[tuple[int, tuple[Happening, ...]], int] = {}
        self.undecided = 0

    def after(self, history: int, happenings: tuple[Happening, ...]) -> tuple[int, bool]:
        """The history with these events at its end, and whether it is linearizable."""
        if self._model is None:
            return history, True
        key = (history, happenings)
        known = self._after.get(key)
        if known is None:
            known = self._after[key] = self._add(history, happenings)
        return known, self._is_right[known]

    def _add(self, history: int, happenings: tuple[Happening, ...]) -> int:
        seen = self.seen[history]
        for happening in happenings:
            seen = _with(seen, happening)
        print_ = fingerprint(seen)
        known = self._known.get(print_)
        if known is None:
            known = self._known[print_] = len(self.seen)
            events = (*self._events[history], *happenings)
            self.seen.append(seen)
            self.prints.append(print_)
            self._events.append(events)
            ended = any(happening.operation is None for happening in happenings)
            self._is_right.append(not ended or self._judge(events))
        return known

    def _judge(self, events: tuple[Happening, ...]) -> bool:
        assert self._model is not None
        history = history_of(events)
        result = check_history(history, self._model, BUDGET, explained=False)
        is_empty = not any(operation.status == "ok" for operation in history.operations)
        self.undecided += result.verdict is Verdict.UNKNOWN and not is_empty
        return result.verdict is not Verdict.FAIL


def _with(seen: Seen, happening: Happening) -> Seen:
    client = happening.client
    rows = [*seen, *[()] * (client + 1 - len(seen))]
    own = rows[client]
    if happening.operation is not None:
        counts = [sum(asked.status in ("ok", "fail") for asked in row) for row in rows]
        while counts and not counts[-1]:
            counts.pop()  # Clients that have not begun yet change nothing.
        rows[client] = (*own, Asked(happening.operation, tuple(counts)))
    else:
        assert own, f"client {client} completes an operation that it never began"
        ended = msgspec.structs.replace(own[-1], status=happening.status, result=happening.result)
        rows[client] = (*own[:-1], ended)
    return tuple(rows)


def history_of(events: Sequence[Happening]) -> History:
    """The events as a history for the checker; a client goes on as another one after an info."""
    history, clients = History(), 1 + max((event.client for event in events), default=0)
    infos = dict.fromkeys(range(clients), 0)
    for client, operation, status, result in events:
        process = client + clients * infos[client]
        if operation is not None:
            history.invoke(process, operation.f, operation.key, operation.value)
        else:
            history.complete(process, status_of(status), result)
            infos[client] += status == "info"
    return history
