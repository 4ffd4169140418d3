"""What a state remembers besides its nodes and messages: budgets, monitors and the history.

Two states with equal nodes are different states if a monitor has seen different things, or if the
clients have: what may fail later depends on it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from quorate.check.models import Model
from quorate.explore.exhaustive.histories import Histories
from quorate.explore.exhaustive.way import Happening, Move
from quorate.explore.outcome import LINEARIZABILITY
from quorate.kernel.canonical import fingerprint, same
from quorate.kernel.node import Event, Node
from quorate.kernel.properties import Monitor
from quorate.simulate.judge import holds

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
        self._histories = Histories(model)
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
