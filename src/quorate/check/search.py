"""The search for one order of operations that explains a history.

Wing & Gong, "Testing and verifying atomic objects" (JPDC 1993), with Lowe's memory of failed
configurations, "Testing for linearizability" (CCPE 2017): grow an order from the front, always
with an operation that no other unplaced one precedes in real time; undo and try the next when
stuck; never visit the same (placed operations, state) twice.

On top of that, none of which changes a verdict:

- Operations are numbered by completion. The unplaced one that completes first is tried first,
  so operations are placed as late as possible, and a configuration is that number, a small
  bitmask of those placed ahead of it, and the state.
- A pure operation (one that leaves the state as it is) is placed as soon as it is possible:
  no later place is better.
- A state that a later operation still has to see is not left if nothing can bring it back in
  time.
- A write that nobody can have seen is placed just before the next overwriting write.
- An operation whose place the answers of others tell is possible in one state only.
- Of operations that are alike, the one that completes first goes first. Operations with unknown
  outcome come last, and a configuration that used a superset of them is not visited again.
"""

from bisect import bisect_left
from typing import TypeAlias

from quorate.check.foresight import Foresight
from quorate.check.history import Operation
from quorate.check.part import ANY, NO, SAME, SOME, Makers, Part

Configuration: TypeAlias = tuple[int, int, int, int]
"""(r, ahead, used, state): all operations below r are placed; bit d of `ahead` says that r + d
is; bit u of `used` says that the u-th of unknown outcome is; and the state they lead to."""
Frame: TypeAlias = tuple[Configuration, list[int] | None, int]
"""A configuration, the moves not yet tried there (None: only the first was), the move made."""
FAILED_BYTES = 350
"""What one remembered configuration takes, rounded up from measurements."""


def _newly_placed(earlier: tuple[int, int], later: tuple[int, int]) -> list[int]:
    """The operations placed in (r, ahead) `later` and not yet in `earlier`."""
    (r, ahead), (end, further) = earlier, later
    new = [number for number in range(r, end) if not ahead >> (number - r) & 1]
    for d in range(further.bit_length()):
        number = end + d
        if further >> d & 1 and not ahead >> (number - r) & 1:
            new.append(number)
    return new


class Search:
    """A search that can be run in slices; `steps` counts the placements tried."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.steps = 0
        self.found: bool | None = None
        self._at: Configuration | None = (0, 0, 0, part.initial)
        self._limit = 0
        self._began = False
        self.patience = 2 * part.count + 200
        self._foresight: Foresight | None = None
        self._unseen = part.called_unseen
        self._frames: list[Frame] = []
        self._failed: dict[tuple[int, int, int], tuple[int, ...]] = {}
        self._makers: dict[int, Makers] = {}
        self._setters: dict[int, Makers] | None = None
        self._needy: dict[int, list[int]] = {}

    def run(self, steps: int) -> bool | None:
        """Search for about `steps` more; True: an order exists, False: none does, None: go on."""
        self.found = self._run(steps)
        return self.found

    def _run(self, steps: int) -> bool | None:
        self._limit = self.steps + steps
        at = self._at or self._undo()
        self._at = None
        while at is not None:
            at = self._advance(at)
            if at is None:
                at = self._undo()
            elif at[0] == self.part.count:
                self._at = at
                return True
            if self.steps >= self._limit:
                self._at = at
                return None
        return None if self._frames else False

    def order(self) -> list[Operation]:
        """The order that was found, once `run` has said True."""
        part = self.part
        found: list[int] = []
        placed = (0, 0)
        steps: list[tuple[Configuration, int | None]] = [(at, move) for at, _, move in self._frames]
        steps.append(((part.count, 0, 0, 0), None))
        earlier: Configuration | None = None
        move: int | None = None
        for at, following in steps:
            new = _newly_placed(placed, (at[0], at[1]))
            if earlier is not None and move is not None:
                new = self._around(earlier, move, new)
            found += new
            placed, earlier, move = (at[0], at[1]), at, following
        return [part.operations[number] for number in found]

    def _around(self, at: Configuration, move: int, new: list[int]) -> list[int]:
        """Order what one move placed: what it had to follow, itself, and what came after."""
        part = self.part
        r, _, _, state = at
        moved = r + move if move >= 0 else part.count + ~move
        early = [n for n in new if n != moved and self._is_early(n, r, state)]
        hidden = [n for n in new if n != moved and part.after[part.code[n]] != SAME]
        late = [n for n in new if n != moved and n not in early and n not in hidden]
        return [*early, *hidden, moved, *late]

    def _is_early(self, number: int, r: int, state: int) -> bool:
        part = self.part
        code = part.code[number]
        pure = part.after[code] == SAME
        return pure and bool(part.called[r] >> (number - r) & 1) and self._after(code, state) != NO

    def _advance(self, at: Configuration) -> Configuration | None:
        """Place operation after operation, each time the first choice, until one is hopeless."""
        part = self.part
        count, codes, nexts, after = part.count, part.code, part.next_state, part.after
        field, failed, frames, limit = part.field, self._failed, self._frames, self._limit
        r, ahead, used, state = at
        taken = self.steps
        while taken < limit:
            while ahead & 1:
                ahead >>= 1
                r += 1
            if r == count:
                break
            taken += 1
            code = codes[r]
            here = state & field[code]
            there = nexts[code].get(here)
            if there is None:
                there = part.step(code, here)
            if there == here and after[code] == SAME:
                ahead |= 1
                continue
            at = r, ahead, used, state
            self.steps = taken
            if failed and self._has_failed(at):
                return None
            if there == NO:
                frames.append((at, self._moves(at), 0))
                return None
            frames.append((at, None, 0))
            moved = self._move(at, 0)
            if moved is None:
                return None
            r, ahead, used, state = moved
        self.steps = taken
        return r, ahead, used, state

    def _undo(self) -> Configuration | None:
        """Undo moves until another can be made instead; None if none is left or steps are out."""
        frames = self._frames
        if not self._began:
            self._began = True
            if not self._can_begin():
                frames.clear()
        elif self._foresight is None and self.steps > self.patience:
            self._foresight = Foresight(self.part)
            self._unseen = self._foresight.unseen
        while frames:
            if self.steps >= self._limit:
                return None
            at, moves, _ = frames.pop()
            if moves is None:
                moves = self._moves(at)
            while moves:
                move = moves.pop()
                self.steps += 1
                moved = self._move(at, move)
                if moved is not None:
                    frames.append((at, moves, move))
                    return moved
            self._remember_failed(at)
        return None

    def _moves(self, at: Configuration) -> list[int]:
        """Every move but the first, the most promising last.

        A move is how far an operation is ahead of r, or ~u for the u-th of unknown outcome.
        """
        part = self.part
        r, ahead, used, state = at
        codes = part.code
        wanted = part.before[codes[r]]
        seen = {codes[r]}
        late: list[int] = []
        soon: list[int] = []
        rest = part.called[r] & ~part.called_pure[r] & ~ahead & ~1
        while rest:
            bit = rest & -rest
            rest ^= bit
            ahead_by = bit.bit_length() - 1
            code = codes[r + ahead_by]
            if code not in seen:
                seen.add(code)
                there = self._after(code, state)
                if there != NO:
                    (soon if there == wanted else late).append(ahead_by)
        unlikely: list[int] = []
        if self._foresight is not None:
            used |= self._foresight.useless
        for u in range(part.called_unknown[r]):
            code = codes[part.count + u]
            if not used >> u & 1 and code not in seen:
                seen.add(code)
                if self._after(code, state) not in (NO, state & part.field[code]):
                    unlikely.append(~u)
        return unlikely[::-1] + late[::-1] + soon[::-1]

    def _after(self, code: int, state: int) -> int:
        here = state & self.part.field[code]
        there = self.part.next_state[code].get(here)
        return self.part.step(code, here) if there is None else there

    def _move(self, at: Configuration, move: int) -> Configuration | None:
        """Place one operation, and all that is then best placed before it; None if hopeless."""
        part = self.part
        r, ahead, used, state = at
        code = part.code[r + move if move >= 0 else part.count + ~move]
        here = state & part.field[code]
        there = part.next_state[code][here]
        if move >= 0:
            ahead |= 1 << move
        else:
            used |= 1 << ~move
        if there != here:
            if part.guarded:
                ahead |= self._possible_now(r, ahead, here, code)
            need = part.needs.get(here)
            if need:
                first, mask = need
                left = (mask >> (r - first) if r >= first else mask << (first - r)) & ~ahead
                now = left & part.called_pure[r]
                ahead |= now
                left ^= now
                if left and not part.reaches(there, here):
                    low = (left & -left).bit_length() - 1
                    if not self._returns(here, r + low, r, ahead, used):
                        return None
            if part.grows and not self._can_grow(there, code, r, ahead, used):
                return None
            if self._foresight is not None and not self._is_foreseen(
                here, there, (r, ahead, used, state), part.field[code]
            ):
                return None
            state ^= here ^ there
        if part.before[code] == ANY and part.after[code] >= 0:
            ahead |= self._unseen[r]
        return r, ahead, used, state

    def _possible_now(self, r: int, ahead: int, here: int, moving: int) -> int:
        """The mask of pure operations, of no certain state, that can be placed in this one."""
        part = self.part
        mask = 0
        rest = part.called_pure[r] & ~ahead
        while rest:
            bit = rest & -rest
            rest ^= bit
            code = part.code[r + bit.bit_length() - 1]
            same_field = part.field[code] == part.field[moving]
            if same_field and part.before[code] == SOME and self._after(code, here) == here:
                mask |= bit
        return mask

    def _can_grow(self, state: int, code: int, r: int, ahead: int, used: int) -> bool:
        """Whether the next operation of the field that needs one certain state may yet see it."""
        part = self.part
        field = part.field[code]
        needy = self._needy.get(field)
        if needy is None:
            needy = self._needy[field] = [
                i
                for i, other in enumerate(part.code[: part.count])
                if part.before[other] >= 0 and part.field[other] == field
            ]
        for place in range(bisect_left(needy, r), len(needy)):
            i = needy[place]
            if not ahead >> (i - r) & 1:
                wanted = part.before[part.code[i]]
                return part.reaches(state, wanted) or self._returns(wanted, i, r, ahead, used)
        return True

    def _returns(self, state: int, needed_by: int, r: int, ahead: int, used: int) -> bool:
        """Whether an unplaced operation can bring `state` back before `needed_by` is placed."""
        makers = self._makers.get(state)
        if makers is None:
            makers = self._makers[state] = self._find_makers(state)
        return self.part.is_left(makers, needed_by, r, ahead, used)

    def _is_foreseen(self, here: int, there: int, at: Configuration, field: int) -> bool:
        """Whether a step of one field does not cut off what must still come; asked when stuck."""
        r, ahead, used, _ = at
        part, foresight = self.part, self._foresight
        assert foresight is not None
        if foresight.has_order:
            return foresight.keeps_order((here, there), field, r, ahead, used)
        return not part.grows or all(
            self._returns(part.before[part.code[number]], number, r, ahead, used)
            for number in foresight.endangered(here, there, r, ahead)
        )

    def _find_makers(self, state: int) -> Makers:
        """The operations that leave `state` behind, or a state that may grow to it."""
        part = self.part
        if self._setters is None:
            self._setters = {}
            for number, code in enumerate(part.code):
                after = part.after[code]
                if after >= 0:
                    known, unknown = self._setters.setdefault(after, ([], []))
                    if number < part.count:
                        known.append(number)
                    else:
                        unknown.append(number - part.count)
        if not part.grows:
            return self._setters.get(state, ([], []))
        found: Makers = ([], [])
        for after, (known, unknown) in self._setters.items():
            if part.reaches(after, state):
                found[0].extend(known)
                found[1].extend(unknown)
        return sorted(found[0]), sorted(found[1])

    def _can_begin(self) -> bool:
        """Whether each state that is needed is there at first or made in time: a quick refusal."""
        part = self.part
        for state, (first, _) in part.needs.items():
            code = part.code[first]
            begin = part.initial & part.field[code]
            if not part.reaches(begin, state) and not self._returns(state, first, 0, 0, 0):
                return False
        return True

    def _has_failed(self, at: Configuration) -> bool:
        r, ahead, used, state = at
        earlier = self._failed.get((r, ahead, state))
        return earlier is not None and any(other & used == other for other in earlier)

    def _remember_failed(self, at: Configuration) -> None:
        r, ahead, used, state = at
        earlier = self._failed.get((r, ahead, state), ())
        self._failed[r, ahead, state] = (
            *(other for other in earlier if other & used != used),
            used,
        )
        part = self.part
        part.take(FAILED_BYTES + (ahead.bit_length() + used.bit_length() + state.bit_length()) // 8)
