"""What lies ahead of a hard search: looked for only once the search has had to turn back often."""

from bisect import bisect_left

from quorate.check.models import Model
from quorate.check.part import ANY, SAME, Part

LARGEST_TABLE = 1_000_000
"""How many pairs of operations may be compared to find those that nobody can have seen."""
FARTHEST = 32
"""How many operations that a move endangers are looked at."""


class Foresight:
    """Facts about a part that rule out configurations early.

    `unseen[r]` is as `Part.called_unseen[r]`, for models whose operations build on each other.
    `useless` has bit u set if nobody can have seen the u-th operation of unknown outcome.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.useless = 0
        self.unseen = part.called_unseen
        self._reach: dict[int, int] = {}
        self._answers: dict[tuple[int, str, object], list[int]] = {}
        self._causes: dict[tuple[int, str, object], int] = {}
        self._unknown: dict[tuple[int, str], list[int]] = {}
        self.has_order = type(part.model).implies is not Model.implies
        if part.grows and part.is_single:
            self._find_unseen()
        if self.has_order:
            self._index_answers()

    def _find_unseen(self) -> None:
        """Find free operations that no other watches: they may hide before an overwriting one."""
        part = self.part
        model = part.model
        seen = part.seen()
        acting = [code for code in range(len(seen)) if part.after[code] != SAME]
        if len(acting) * len(seen) > LARGEST_TABLE:
            return
        unseen = {
            code
            for code in acting
            if not any(model.watches(observer, seen[code]) for observer in seen)
        }
        everywhere = 0
        for number, code in enumerate(part.code):
            if code in unseen:
                if number >= part.count:
                    self.useless |= 1 << (number - part.count)
                elif part.before[code] == ANY:
                    everywhere |= 1 << number
        self.unseen = [called & (everywhere >> r) for r, called in enumerate(part.called)]

    def endangered(self, here: int, there: int, r: int, ahead: int) -> list[int]:
        """The unplaced operations that may follow `here` by growth, and not `there`: the first."""
        lost = (self._reachable(here) & ~self._reachable(there)) >> r & ~ahead
        found: list[int] = []
        while lost and len(found) < FARTHEST:
            bit = lost & -lost
            lost ^= bit
            found.append(r + bit.bit_length() - 1)
        return found

    def _reachable(self, state: int) -> int:
        mask = self._reach.get(state)
        if mask is None:
            part = self.part
            mask = 0
            for needed, (first, numbers) in part.needs.items():
                if part.reaches(state, needed):
                    mask |= numbers << first
            part.take(150 + mask.bit_length() // 8)
            self._reach[state] = mask
        return mask

    def _index_answers(self) -> None:
        part = self.part
        seen = part.seen()
        for number, code in enumerate(part.code):
            field, op = part.field[code], seen[code]
            cause = field, op.f, op.value
            self._causes[cause] = self._causes.get(cause, 0) + 1
            if number < part.count:
                self._answers.setdefault((field, op.f, op.result), []).append(number)
            else:
                self._unknown.setdefault((field, op.f), []).append(number - part.count)

    def keeps_order(self, step: tuple[int, int], field: int, r: int, ahead: int, used: int) -> bool:
        """Whether what a step from one state to another implies can still come true."""
        part = self.part
        here, there = step
        needed_by = -1
        from_unknown = 0
        for cause, first, second in part.model.implies(part.state(here), part.state(there)):
            if needed_by < 0:
                needed_by = self._next((field, *second), r, ahead)
                if needed_by < 0:
                    return True
            if self._next((field, *first), r, ahead) < 0:
                from_unknown += 1
            elif self._causes.get((field, *cause), 0) == 1:
                # That answer is this cause's own, so no other operation will do.
                known = self._answers[(field, *first)]
                if not part.is_left((known, []), needed_by, r, ahead, used):
                    return False
            unknown = self._unknown.get((field, first[0]), [])
            in_time = sum(u < part.called_unknown[needed_by] and not used >> u & 1 for u in unknown)
            if from_unknown > in_time:
                return False
        return True

    def _next(self, answer: tuple[int, str, object], r: int, ahead: int) -> int:
        """The first unplaced operation with that answer, or -1."""
        numbers = self._answers.get(answer, [])
        for place in range(bisect_left(numbers, r), len(numbers)):
            if not ahead >> (numbers[place] - r) & 1:
                return numbers[place]
        return -1
