"""Is a history linearizable? Split by key, searched in turns, within a budget.

A history is linearizable if every operation can be given one moment between its invocation and
its completion such that a single copy of the object, doing the operations at these moments, would
have answered the same (Herlihy & Wing, "Linearizability: a correctness condition for concurrent
objects", TOPLAS 1990). Their locality theorem (section 3.1) lets each key be judged alone.
"""

from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from quorate.check.explain import Explanation, explain
from quorate.check.history import History, Operation
from quorate.check.models import Model
from quorate.check.part import OutOfRoom, Part, Room
from quorate.check.search import Search
from quorate.errors import Mistake
from quorate.verdict import Verdict, worst

FIRST_TURN = 4_000
"""Steps of a part's first turn, besides one for each operation. Each next turn is 4 times that."""
STRIDE = 5_000
"""Steps between two looks at the clock."""


class Budget(NamedTuple):
    """What one check may use. Past it the verdict is `unknown`.

    A step is one attempt to place an operation, 1 to 10 microseconds. `seconds` is None where
    the verdict must be a function of the history alone.
    """

    steps: int = 20_000_000
    seconds: float | None = 60.0
    memory_bytes: int = 1 << 30


class PartResult(NamedTuple):
    """The verdict of one key, or of the whole history if it was not split (then None).

    `reason` says why a verdict is unknown, and is empty otherwise.
    """

    key: str | None
    verdict: Verdict
    operations: int
    steps: int
    reason: str


class Result(NamedTuple):
    """What a check found. `explanation` is there if it failed, unless it was not asked for."""

    verdict: Verdict
    parts: tuple[PartResult, ...]
    steps: int
    reason: str
    explanation: Explanation | None


def check_history(
    history: History,
    model: Model,
    budget: Budget | None = None,
    *,
    split: bool = True,
    explained: bool = True,
) -> Result:
    """Judge whether `history` is linearizable with respect to `model`.

    `split` judges each key alone, which gives the same verdict sooner. Raises Mistake for an
    operation that the model does not know or whose value is malformed.
    """
    budget = budget or Budget()
    check = _Check(history, model, budget, split)
    check.run()
    parts = tuple(turn.result() for turn in check.turns)
    failed = next((turn for turn in check.turns if turn.verdict is Verdict.FAIL), None)
    explanation = None
    if failed is not None and explained:
        explanation = explain(failed.operations, model, history, failed.key)
    verdict, reason = _overall(history, parts)
    return Result(verdict, parts, check.steps, reason, explanation)


def _overall(history: History, parts: Sequence[PartResult]) -> tuple[Verdict, str]:
    verdict = worst(part.verdict for part in parts)
    if verdict is Verdict.FAIL:
        return verdict, ""
    if not any(op.status == "ok" for op in history.operations):
        return Verdict.UNKNOWN, "no operation completed, so there is nothing to judge"
    if verdict is Verdict.UNKNOWN:
        return verdict, next(part.reason for part in parts if part.reason)
    if history.cut_short is not None:
        return Verdict.UNKNOWN, f"the part that was read passes, but {history.cut_short}"
    return verdict, ""


class _Turn:
    """One part on its way to a verdict."""

    def __init__(self, key: str | None, operations: list[Operation]) -> None:
        self.key = key
        self.operations = operations
        self.search: Search | None = None
        self.verdict: Verdict | None = None
        self.steps = 0
        self.reason = ""

    def result(self) -> PartResult:
        verdict = self.verdict or Verdict.UNKNOWN
        return PartResult(self.key, verdict, len(self.operations), self.steps, self.reason)

    def end(self, verdict: Verdict, reason: str = "") -> None:
        self.verdict = verdict
        self.reason = reason
        self.forget()

    def forget(self) -> None:
        if self.search is not None:
            self.search.part.give_back()
            self.search = None


class _Check:
    """All parts of one history, searched in turns that grow, so that none starves another."""

    def __init__(self, history: History, model: Model, budget: Budget, split: bool) -> None:
        self.history = history
        self.model = model
        self.budget = budget
        self.steps = 0
        self.room = Room(budget.memory_bytes)
        self.deadline = None if budget.seconds is None else monotonic() + budget.seconds
        self.turns = [_Turn(key, ops) for key, ops in _parts(history, model, split).items()]

    def run(self) -> None:
        waiting = sorted(self.turns, key=lambda turn: len(turn.operations))
        allowed = FIRST_TURN
        while waiting:
            for turn in waiting:
                if turn.verdict is None:
                    self._take_turn(turn, allowed + len(turn.operations))
                if turn.verdict is Verdict.FAIL:
                    return self._end(waiting, "another part had failed already")
                if self._is_over():
                    return self._end(waiting, self._is_over())
            waiting = [turn for turn in waiting if turn.verdict is None]
            allowed *= 4
        return None

    def _end(self, waiting: list[_Turn], reason: str) -> None:
        for turn in waiting:
            if turn.verdict is None:
                turn.end(Verdict.UNKNOWN, reason)

    def _is_over(self) -> str:
        """Why there is no time left, or the empty string."""
        if self.steps >= self.budget.steps:
            return f"the budget of {self.budget.steps} steps was used up"
        if self.deadline is not None and monotonic() >= self.deadline:
            return f"the budget of {self.budget.seconds:g} s was used up"
        return ""

    def _take_turn(self, turn: _Turn, steps: int) -> None:
        free = self.room.free
        try:
            self._search(turn, steps)
        except OutOfRoom:
            self._make_room(turn, free)

    def _search(self, turn: _Turn, steps: int) -> None:
        if turn.search is None:
            turn.search = Search(Part(turn.operations, self.model, self.history.place, self.room))
        search = turn.search
        while steps > 0 and not self._is_over():
            before = search.steps
            try:
                found = search.run(min(steps, STRIDE, self.budget.steps - self.steps))
            finally:
                taken = search.steps - before
                self.steps += taken
                turn.steps += taken
            steps -= taken
            if found is not None:
                turn.end(Verdict.PASS if found else Verdict.FAIL)
                return

    def _make_room(self, turn: _Turn, free: int) -> None:
        """Give up the largest part: one hard part must not hide a failure in another."""
        used = free + (turn.search.part.bytes if turn.search else 0)
        turn.forget()
        held = {other: other.search.part.bytes for other in self.turns if other.search}
        largest = max(held, key=held.__getitem__, default=turn)
        if held.get(largest, 0) <= used:
            largest = turn
        megabytes = self.budget.memory_bytes >> 20
        largest.end(Verdict.UNKNOWN, f"the budget of {megabytes} MB was used up")
        self.room.free = self.budget.memory_bytes - sum(held.values()) + held.get(largest, 0)


def _parts(history: History, model: Model, split: bool) -> dict[str | None, list[Operation]]:
    """The operations that may have taken effect, by key."""
    known = model.operations
    parts: dict[str | None, list[Operation]] = {}
    for op in history.operations:
        if op.f not in known:
            names = ", ".join(sorted(known))
            raise Mistake(f"{history.place(op)}: unknown operation {op.f!r}; known are {names}.")
        if op.status != "fail":
            key = op.key if split else None
            part = parts.get(key)
            if part is None:
                part = parts[key] = []
            part.append(op)
    return parts
