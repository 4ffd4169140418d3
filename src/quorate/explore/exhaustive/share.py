"""One process's share of a search by several, and its part of the arbitration; see `parallel`."""

from collections.abc import Sequence

from quorate.explore.exhaustive.counterexample import schedule_of
from quorate.explore.exhaustive.progress import Found, Limits, Report
from quorate.explore.exhaustive.ready import Ready
from quorate.explore.exhaustive.search import Search
from quorate.explore.exhaustive.space import State
from quorate.explore.exhaustive.way import Way

SEEDLINGS = 64
"""Each process begins with about so many states of its own."""

Candidate = tuple[int, int, int, State, Way]
"""A new state: number of the one before, place among its ways, depth; the one before, the way."""


class Share(Search):
    """One process's share of a search, and its part of the arbitration."""

    def __init__(self, ready: Ready, limits: Limits, me: int, jobs: int) -> None:
        super().__init__(ready.space, limits, ready.exploration)
        self._ready = ready
        self._me, self._jobs = me, jobs
        self._candidates: dict[int, Candidate] = {}
        self._asked: list[list[int]] = []
        self._recent: set[int] = set()
        self._remembered: set[int] = set()
        self._common = (0, 0)
        self._is_sown = False

    def sow(self) -> None:
        """Search alone, as everybody does, until there is enough for all; then take one's share."""
        self._begin()
        frontier = self._frontier
        while 0 < len(frontier) < SEEDLINGS * self._jobs and not self.failed:
            depth = frontier[0][1]
            while frontier and frontier[0][1] == depth:
                self._expand_first()
        self._common = (self.progress.states, self.progress.transitions)
        mine = [item for at, item in enumerate(frontier) if at % self._jobs == self._me]
        frontier.clear()
        frontier.extend(mine)
        self._recent = set(self.visited)
        self._remembered = {print_ for print_ in self.visited if print_ % self._jobs == self._me}
        self.visited.clear()
        self._is_sown = True

    def expand(self) -> list[list[int]]:
        """Expand the level; the new fingerprints, by their arbiters."""
        level, self._frontier = self._frontier, type(self._frontier)()
        candidates, recent = self._candidates, self._recent
        for count, (number, depth, print_, state) in enumerate(level):
            if self._is_too_deep(depth):
                break
            if count % 2_000 == 0:
                self._look()
                self.stopped = self._over()
                if self.stopped:
                    break
            found = self.space.successors(print_, state)
            self.progress.transitions += len(found)
            for place, (after, way) in enumerate(found):
                if after not in recent:
                    recent.add(after)
                    candidates[after] = (number, place, depth + 1, state, way)
            if self._ends is not None:
                self._judge_rest(number, state, found)
        self._asked = [[] for _ in range(self._jobs)]
        for print_ in candidates:
            self._asked[print_ % self._jobs].append(print_)
        return self._asked

    def arbitrate(self, asked: Sequence[Sequence[int]]) -> list[bytes]:
        """For each process and each of its fingerprints, whether the state is its own now."""
        remembered, owners, loads = self._remembered, dict[int, int](), [0] * self._jobs
        for process, prints in enumerate(asked):
            for print_ in prints:
                if print_ in remembered:
                    continue
                owner = owners.get(print_)
                if owner is None:
                    owners[print_] = process
                    loads[process] += 1
                elif loads[process] < loads[owner]:
                    owners[print_] = process
                    loads[process] += 1
                    loads[owner] -= 1
        remembered.update(owners)
        return [
            bytes([owners.get(print_) == process for print_ in prints])
            for process, prints in enumerate(asked)
        ]

    def claim(self, answers: Sequence[bytes]) -> None:
        """Take what is one's own."""
        for prints, won in zip(self._asked, answers, strict=True):
            for print_, is_mine in zip(prints, won, strict=True):
                if is_mine:
                    parent, place, depth, state, way = self._candidates[print_]
                    made = self.space.apply(state, way)
                    self._enter(parent, place, depth, print_, made, (way,))
        self._recent = set(self._candidates)
        self._candidates.clear()

    def report(self) -> Report:
        """What was done so far."""
        self._look()
        found = None
        if self.failed is not None:
            schedule = schedule_of(self._ready.scenario, self.failed, self.space.moves)
            found = Found(self.failed.property, schedule, self.failed.transitions)
        return Report(
            self.progress, *self._common, found, frozenset(self.reached), self.stopped,
            self._memories.undecided, self._moves.steps,
        )  # fmt: skip

    def _mark(self, print_: int, number: int) -> None:
        if not self._is_sown:
            super()._mark(print_, number)
