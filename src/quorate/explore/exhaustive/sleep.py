"""Sleep sets: of two orders of independent moves, one is enough.

Moves of different nodes that remember nothing together lead to the same state in either order. A
state is therefore entered with a set of moves that sleep: what they lead to is reached elsewhere,
after a move that was tried before. All states are still visited, and so are all steps; only fewer
transitions are made. Source: Patrice Godefroid, "Partial-Order Methods for the Verification of
Concurrent Systems", LNCS 1032, 1996, chapter 5; for states that are met again, its section 5.3.
"""

from collections.abc import Iterable

from quorate.explore.exhaustive.search import Search
from quorate.explore.exhaustive.space import State
from quorate.explore.exhaustive.way import Move, Way

AWAKE: frozenset[int] = frozenset()


class SleepSearch(Search):
    """A search that makes one of several equivalent orders.

    What sleeps at a state shrinks when the state is met again with less asleep; moves that should
    have been made by then are made now.
    """

    def _prepare(self) -> None:
        self.visited = {}
        self._asleep: dict[int, frozenset[int]] = {}
        self._expanded = bytearray()
        self._woken: dict[int, frozenset[int]] = {}
        self._known: dict[int, Move] = {}

    def _expand(self, number: int, depth: int, print_: int, state: State) -> None:
        if self._is_too_deep(depth):
            return
        asleep = self._asleep.get(print_, AWAKE)
        woken = self._woken.pop(print_, None)
        found = self.space.successors(print_, state)
        self._expanded[number] = True
        made: list[Move] = []
        for place, (after, way) in enumerate(found):
            move = self._move(way)
            if move.index in asleep or (woken is not None and move.index not in woken):
                continue
            self.progress.transitions += 1
            self._go(number, place, depth + 1, after, state, way, self._left(asleep, made, move))
            made.append(move)
        if self._ends is not None and woken is None:
            self._judge_rest(number, state, found)

    def _go(
        self,
        number: int,
        place: int,
        depth: int,
        after: int,
        state: State,
        way: Way,
        asleep: frozenset[int],
    ) -> None:
        """Take one way, with what sleeps where it leads."""
        assert isinstance(self.visited, dict)
        seen = self.visited.get(after)
        if seen is None:
            self._remember(after, asleep)
            self._enter(number, place, depth, after, self.space.apply(state, way), (way,))
            return
        known = self._asleep.get(after, AWAKE)
        if known <= asleep:
            return
        self._remember(after, known & asleep)
        if self._expanded[seen]:
            self._woken[after] = self._woken.get(after, AWAKE) | (known - asleep)
            self._frontier.append((seen, depth, after, self.space.apply(state, way)))

    def _mark(self, print_: int, number: int) -> None:
        super()._mark(print_, number)
        self._expanded.append(False)

    def _remember(self, print_: int, asleep: frozenset[int]) -> None:
        if asleep:
            self._asleep[print_] = asleep
        else:
            self._asleep.pop(print_, None)

    def _left(self, asleep: Iterable[int], made: Iterable[Move], move: Move) -> frozenset[int]:
        """What sleeps after a move: all that slept or was made before it, and is independent."""
        known = self._known
        left = [at for at in asleep if _is_independent(known[at], move)]
        left += [other.index for other in made if _is_independent(other, move)]
        return frozenset(left)

    def _move(self, way: Way) -> Move:
        (move,) = way.moves
        self._known[move.index] = move
        return move


def _is_independent(one: Move, other: Move) -> bool:
    """Whether both orders lead to the same state, and neither move hinders the other."""
    return one.slot != other.slot and not (one.remembers and other.remembers)
