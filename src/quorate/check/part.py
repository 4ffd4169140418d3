"""One independent part of a history, laid out in arrays for the search.

Operations that completed ok are numbered 0, 1, ... in the order of their completions; those of
unknown outcome follow, in the order of their invocations. Like operations share a code, states
are small numbers, and what the model says of a code in a state is asked once.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from sys import getsizeof
from typing import TypeAlias

from quorate.check.history import Operation, Value
from quorate.check.models import (
    ANY_STATE,
    IMPOSSIBLE,
    SAME_STATE,
    SOME_STATE,
    UNKNOWN,
    Mark,
    Model,
    Seen,
    State,
)
from quorate.errors import Mistake

ANY, SOME, SAME = -1, -2, -3
"""The states ANY_STATE, SOME_STATE and SAME_STATE as numbers."""
Place: TypeAlias = Callable[[Operation], str]
"""Where an operation was recorded, for a message."""
Makers: TypeAlias = tuple[list[int], list[int]]
"""Numbers of operations, in order, and of those of unknown outcome."""
NO = -1
"""The next state of an operation that is not possible."""
OPERATION_BYTES = 1000
"""What one operation takes here, rounded up from measurements."""
_FIELD_BITS = 32
_END = 1 << 62


class OutOfRoom(Exception):
    """The memory that a check may take is used up."""


class Room:
    """The memory that all parts of one check share: an estimate, in bytes, rounded up."""

    __slots__ = ("free",)

    def __init__(self, free: int) -> None:
        self.free = free


class Part:
    """The operations of one key, or those of a history that is not split by key.

    A state is a number. Where there are many keys, each has a field of bits in it, and `field` is
    the mask of a code's key. `before`, `after` and `next_state` of a code are about its own field.

    `called[r]` has bit d set if operation r + d was invoked before operation r completed, and so
    may be placed before it; `called_pure` and `called_unseen` are those of them that are pure,
    and the writes that nobody can have seen. `called_unknown[r]` counts the operations of unknown
    outcome that were invoked by then. `needs[state]` is (first, mask): bit d is set if operation
    first + d is possible in no other state of its field.
    """

    def __init__(
        self, operations: Sequence[Operation], model: Model, place: Place, room: Room
    ) -> None:
        self.model = model
        self.bytes = 0
        self._place = place
        self._room = room
        self.take(OPERATION_BYTES * len(operations))
        self.initial = 0
        self.field: list[int] = []
        self.before: list[int] = []
        self.after: list[int] = []
        self.next_state: list[dict[int, int]] = []
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._codes: dict[tuple[str | None, str, Value, Value | Mark], int] = {}
        self._examples: list[Operation] = []
        self._results: list[Value | Mark] = []
        self._shifts: dict[str | None, int] = {}
        self._shift: list[int] = []
        self._reaches: dict[tuple[int, int], bool] = {}
        self._used: frozenset[tuple[str, Value]] | None = None

        ok = [op for op in operations if op.status == "ok"]
        codes = [self._code_of(op, op.result) for op in ok]
        unknown = [op for op in operations if op.status == "info"]
        unknown_codes = [self._code_of(op, UNKNOWN) for op in unknown]
        self._pin(codes + unknown_codes)
        completed = [op.completed for op in ok]
        order = sorted(range(len(ok)), key=completed.__getitem__)
        self.count = len(ok)
        self.operations = [ok[position] for position in order]
        self.code = [codes[position] for position in order]
        self.needs = self._find_needs()
        self._add_unknown(unknown, unknown_codes)
        self.is_single = len(self._shifts) <= 1
        self.called: list[int] = []
        self.called_pure: list[int] = []
        self.called_unseen: list[int] = []
        self.called_unknown: list[int] = []
        self._lay_out(ok, codes, order)

    def take(self, count: int) -> None:
        """Account for `count` more bytes. Raises OutOfRoom."""
        self.bytes += count
        self._room.free -= count
        if self._room.free < 0:
            raise OutOfRoom

    def give_back(self) -> None:
        """Account for this part being forgotten."""
        self._room.free += self.bytes
        self.bytes = 0

    def _code_of(self, op: Operation, result: Value | Mark) -> int:
        key = (op.key, op.f, op.value, result)
        try:
            code = self._codes.get(key)
        except TypeError:
            where = self._place(op)
            raise Mistake(f"{where}: {op.f!r} has a value that is not plain data") from None
        if code is None:
            code = self._codes[key] = len(self._examples)
            self._add_code(op, result)
        return code

    def _add_code(self, op: Operation, result: Value | Mark) -> None:
        model = self.model
        shift = self._shifts.get(op.key)
        if shift is None:
            shift = self._shifts[op.key] = _FIELD_BITS * len(self._shifts)
            self.initial |= self._number(model.initial) << shift
        try:
            before, after = model.effect(op.f, op.value, result)
        except Mistake as mistake:
            raise Mistake(f"{self._place(op)}: {mistake}") from None
        self._examples.append(op)
        self._results.append(result)
        self._shift.append(shift)
        self.field.append(((1 << _FIELD_BITS) - 1) << shift)
        self.before.append(
            ANY
            if before is ANY_STATE
            else SOME
            if before is SOME_STATE
            else self._number(before) << shift
        )
        self.after.append(
            SAME
            if after is SAME_STATE
            else SOME
            if after is SOME_STATE
            else self._number(after) << shift
        )
        self.next_state.append({})

    def _pin(self, codes: Iterable[int]) -> None:
        """Hold operations to the one state that they must have found, where answers tell it."""
        if type(self.model).pinned is Model.pinned:
            return
        count = Counter(codes)
        by_key: dict[int, dict[Seen, int]] = {}
        seen = self.seen()
        for code, shift in enumerate(self._shift):
            by_key.setdefault(shift, {})[seen[code]] = code
        for shift, code_of in by_key.items():
            times = {what: count[code] for what, code in code_of.items()}
            for what, state in self.model.pinned(times).items():
                code = code_of[what]
                self.before[code] = self._number(state) << shift
                self.after[code] = self.step(code, self.before[code])

    def _number(self, state: State) -> int:
        """Number states from 1: a field that is 0 would look the same in every place."""
        number = self._numbers.get(state)
        if number is None:
            self._states.append(state)
            number = self._numbers[state] = len(self._states)
            self.take(getsizeof(state) + 150)
        return number

    def step(self, code: int, state: int) -> int:
        """Ask the model, and remember: the field's state after `code`, or NO."""
        shift = self._shift[code]
        op = self._examples[code]
        before = self._states[(state >> shift) - 1]
        next_state = NO
        if self.before[code] in (ANY, SOME, state):
            try:
                after = self.model.step(before, op.f, op.value, self._results[code])
            except Mistake as mistake:
                raise Mistake(f"{self._place(op)}: {mistake}") from None
            if after is not IMPOSSIBLE:
                next_state = self._number(after) << shift
        self.next_state[code][state] = next_state
        self.take(100)
        return next_state

    def reaches(self, before: int, after: int) -> bool:
        """Whether a field may come from `before` to `after` by operations that grow it."""
        if before == after or not self.grows:
            return before == after
        pair = before, after
        known = self._reaches.get(pair)
        if known is None:
            known = self._reaches[pair] = self._ask_reaches(before, after)
        return known

    def _ask_reaches(self, before: int, after: int) -> bool:
        if (before.bit_length() - 1) // _FIELD_BITS != (after.bit_length() - 1) // _FIELD_BITS:
            return False  # Another key's.
        if self._used is None:
            self._used = frozenset((op.f, op.value) for op in self._examples)
        self.take(150)
        return self.model.reaches(self.state(before), self.state(after), self._used)

    def is_left(self, makers: Makers, needed_by: int, r: int, ahead: int, used: int) -> bool:
        """Whether one of `makers` is unplaced and can be placed before `needed_by`."""
        known, unknown = makers
        called = self.called[needed_by]
        for place in range(bisect_left(known, r), len(known)):
            i = known[place]
            if i < needed_by:
                if not ahead >> (i - r) & 1:
                    return True
            elif i > needed_by:
                behind = i - needed_by
                if called >> behind & 1 and not ahead >> (i - r) & 1:
                    return True
                if behind >= called.bit_length():
                    break
        return any(not used >> u & 1 for u in unknown if u < self.called_unknown[needed_by])

    def seen(self) -> list[Seen]:
        """What each code stands for."""
        pairs = zip(self._examples, self._results, strict=True)
        return [Seen(op.f, op.value, result) for op, result in pairs]

    def state(self, field_state: int) -> State:
        """The model's state that the number of a field's state stands for."""
        shift = (field_state.bit_length() - 1) // _FIELD_BITS * _FIELD_BITS
        return self._states[(field_state >> shift) - 1]

    def _find_needs(self) -> dict[int, tuple[int, int]]:
        needs: dict[int, tuple[int, int]] = {}
        before = self.before
        for number, code in enumerate(self.code):
            state = before[code]
            if state >= 0:
                first, mask = needs.get(state, (number, 0))
                needs[state] = first, mask | 1 << (number - first)
        return needs

    def _add_unknown(self, unknown: list[Operation], codes: list[int]) -> None:
        """Add the operations of unknown outcome, without those that nobody can have seen."""
        self.grows = SOME in self.after
        # A state must be seen by `needs` alone, or no write can be called unseen.
        self.exact = not self.grows and SOME not in self.before
        self.guarded = (SOME, SAME) in zip(self.before, self.after, strict=True)
        self._wanted = set(self.needs)
        tried = [(op, code) for op, code in zip(unknown, codes, strict=True) if self._acts(code)]
        size = -1
        while self.exact and size != len(self._wanted):
            size = len(self._wanted)
            self._wanted |= {self.before[code] for _, code in tried if self._seen(code)}
        for op, code in tried:
            if not self.exact or self._seen(code):
                self.operations.append(op)
                self.code.append(code)

    def _acts(self, code: int) -> bool:
        return self.after[code] != SAME

    def _seen(self, code: int) -> bool:
        return self.after[code] in self._wanted

    def _lay_out(self, ok: list[Operation], codes: list[int], order: list[int]) -> None:
        """Fill the `called` lists, walking through invocations and completions in time."""
        number = [0] * len(order)
        for r, position in enumerate(order):
            number[position] = r
        pure = [after == SAME for after in self.after]
        unseen = self._unseen()
        calls = [
            (op.invoked, n, pure[code], code in unseen)
            for op, n, code in zip(ok, number, codes, strict=True)
        ]
        calls.append((_END, 0, False, False))
        following = iter(calls)
        invoked, n, is_pure, is_unseen = next(following)
        window = pure_window = unseen_window = 0
        for r, op in enumerate(self.operations[: self.count]):
            completed = op.completed
            while invoked < completed:
                bit = 1 << (n - r)
                window |= bit
                if is_pure:
                    pure_window |= bit
                elif is_unseen:
                    unseen_window |= bit
                invoked, n, is_pure, is_unseen = next(following)
            self.called.append(window)
            self.called_pure.append(pure_window)
            self.called_unseen.append(unseen_window)
            window >>= 1
            pure_window >>= 1
            unseen_window >>= 1
        self._count_unknown()

    def _count_unknown(self) -> None:
        unknown = [op.invoked for op in self.operations[self.count :]]
        called = 0
        for op in self.operations[: self.count]:
            while called < len(unknown) and unknown[called] < op.completed:
                called += 1
            self.called_unknown.append(called)

    def _unseen(self) -> set[int]:
        if not self.exact or not self.is_single:
            return set()
        return {
            code
            for code, (before, after) in enumerate(zip(self.before, self.after, strict=True))
            if before == ANY and after >= 0 and after not in self._wanted
        }
