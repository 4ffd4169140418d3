"""The search: every state within the bounds, each visited once, until a property fails.

Breadth first, so that the first counterexample is a shortest one; or depth first. A visited state
is kept as its fingerprint, the number of the state that it was reached from, and which of that
one's successors it is: a path is found again by walking it.
"""

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from quorate.explore.exhaustive.claims import Claim
from quorate.explore.exhaustive.liveness import Graph
from quorate.explore.exhaustive.memory import Memories
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.progress import Failed, Limits, Progress
from quorate.explore.exhaustive.space import Space, State
from quorate.explore.exhaustive.symmetry import Symmetric
from quorate.explore.exhaustive.way import Way
from quorate.explore.outcome import DEADLOCK
from quorate.explore.resources import Room
from quorate.scenario.exploration import Exploration
from quorate.simulate.world import collector_at_rest

ROOT = 0xFFFF_FFFF
"""Instead of the number of the state before: there is none."""
STRIDE = 2_000
"""States between two looks at the clock and at the memory."""


Item = tuple[int, int, int, State]
"""A state to expand: its number, its depth, its fingerprint."""


class Search:
    """One search.

    Attributes:
        progress: how far it has come.
        failed: the first property that failed.
        stopped: why there may be more states than were visited; "" if the space is exhausted.
        reached: the `sometimes` properties that held somewhere.
        visited: the fingerprints of all visited states; with their numbers where liveness is
            judged, which costs more memory.
        graph: all transitions, where liveness is judged.
    """

    def __init__(self, space: Space | Symmetric, limits: Limits, exploration: Exploration) -> None:
        self.space = space
        self.progress = Progress()
        self.failed: Failed | None = None
        self.stopped = ""
        self.reached: set[str] = set()
        self.graph = Graph(space.moves.eventually) if exploration.liveness else None
        self.visited: set[int] | dict[int, int] = {} if self.graph else set()
        self._limits = limits
        self._ends = exploration.ends
        self._moves: Moves = space.moves
        self._memories: Memories = space.memories
        self._hoped = set(range(len(self._moves.sometimes)))
        self._parents = array("I")
        self._places = array("H")
        self._roots: list[tuple[int, State, tuple[Way, ...]]] = []
        self._frontier: deque[Item] = deque()
        self._room = Room(limits.memory_bytes)
        self._began = monotonic()
        self._prepare()

    def _prepare(self) -> None:
        """What a special search needs besides."""

    def run(self, report: Callable[[Progress], None] | None = None) -> None:
        """Search to the end, a limit or a failure. An interrupt (Ctrl-C) stops it too."""
        try:
            with collector_at_rest():
                self._begin()
                self._loop(report)
                self._judge_liveness()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except MemoryError:
            self.stopped = "the machine has no more memory"
        self._look()

    def _begin(self) -> None:
        for print_, state, path in self.space.roots():
            if print_ not in self.visited:
                self._roots.append((print_, state, path))
                self._enter(ROOT, len(self._roots) - 1, 0, print_, state, path)

    def _loop(self, report: Callable[[Progress], None] | None) -> None:
        frontier, limits = self._frontier, self._limits
        pop = frontier.popleft if limits.is_breadth_first else frontier.pop
        due = 0
        while frontier:
            if self.progress.states >= due:
                due = self.progress.states + STRIDE
                if limits.states is not None:
                    due = min(due, limits.states)
                self._look()
                if report is not None:
                    report(self.progress)
                self.stopped = self._over()
            if self.stopped or (self.failed and not limits.keeps_going):
                return
            self._expand(*pop())

    def _expand_first(self) -> None:
        self._expand(*self._frontier.popleft())

    def _expand(self, number: int, depth: int, print_: int, state: State) -> None:
        """Visit the successors of a state that are new."""
        if self._is_too_deep(depth):
            return
        visited = self.visited
        found = self.space.successors(print_, state)
        self.progress.transitions += len(found)
        for place, (after, way) in enumerate(found):
            if after not in visited:
                made = self.space.apply(state, way)
                self._enter(number, place, depth + 1, after, made, (way,))
        if self._ends is not None:
            self._judge_rest(number, state, found)
        if self.graph is not None:
            self._keep(self.graph, number, state, found)

    def _is_too_deep(self, depth: int) -> bool:
        limit = self._limits.depth
        if limit is None or depth < limit:
            return False
        self.stopped = f"depth {limit}"
        return True

    def _enter(
        self, parent: int, place: int, depth: int, print_: int, state: State, ways: Sequence[Way]
    ) -> None:
        """Visit a new state."""
        number = self.progress.states
        self.progress.states = number + 1
        self._mark(print_, number)
        self._parents.append(parent)
        self._places.append(place)
        self._frontier.append((number, depth, print_, state))
        if depth > self.progress.depth:
            self.progress.depth = depth
        if self.graph is not None:
            servers = state[0][: self._moves.servers]
            self.graph.enter([c.holds(servers, self._moves.locals) for c in self.graph.claims])
        broken = self._broken(state, ways) if depth else self._broken_at_root(state)
        if broken is not None and self.failed is None:
            self._fail(broken, number)

    def _mark(self, print_: int, number: int) -> None:
        """Remember that the state of this fingerprint is visited."""
        if isinstance(self.visited, set):
            self.visited.add(print_)
        else:
            self.visited[print_] = number

    def _broken(self, state: State, ways: Sequence[Way]) -> str | None:
        locals_, _, memory = state
        failure = self._memories.failures[memory]
        if failure is not None:
            return failure
        servers = locals_[: self._moves.servers]
        for way in ways:
            for at in way.judged:
                claim = self._moves.always[at]
                if not claim.holds(servers, self._moves.locals):
                    return claim.name
            for at in way.hoped:
                if at in self._hoped:
                    self._hope(at, self._moves.sometimes[at], servers)
        return None

    def _broken_at_root(self, state: State) -> str | None:
        """As `_broken`, where there was nothing before."""
        every = range(len(self._moves.always)), range(len(self._moves.sometimes))
        return self._broken(state, (Way((), 0, False, tuple(every[0]), tuple(every[1])),))

    def _hope(self, at: int, claim: Claim, servers: Sequence[int]) -> None:
        if claim.holds(servers, self._moves.locals):
            self._hoped.remove(at)
            self.reached.add(claim.name)

    def _judge_rest(self, number: int, state: State, found: Sequence[tuple[int, Way]]) -> None:
        """Where nothing but faults can happen any more, the servers must be done."""
        if not all(_is_fault(way) for _, way in found):
            return
        if self.is_fenced(state):
            return
        nodes = [self._moves.locals[local].node for local in state[0][: self._moves.servers]]
        assert self._ends is not None
        if not self._ends(nodes) and self.failed is None:
            self._fail(DEADLOCK, number)

    def _keep(self, graph: Graph, number: int, state: State, found: Sequence[Any]) -> None:
        """Keep where a state leads to without further faults."""
        assert isinstance(self.visited, dict)
        ways = [(after, way) for after, way in found if not _is_fault(way)]
        targets = [self.visited[after] for after, _ in ways]
        graph.expand(number, targets, is_fenced=self.is_fenced(state))

    def _judge_liveness(self) -> None:
        if self.graph is None or self.failed or self.stopped:
            return
        doomed = self.graph.doomed()
        if doomed is not None:
            claim, number = doomed
            self._fail(claim, number)

    def is_fenced(self, state: State) -> bool:
        """Whether a bound is why something cannot happen here."""
        locals_, _, memory = state
        is_spent = self._memories.has_no_timers_left(memory)
        servers = locals_[: self._moves.servers]
        if is_spent and any(self._moves.locals[local].timers for local in servers):
            return True
        return self.space.is_fenced(state)

    def _fail(self, claim: str, number: int) -> None:
        path = self.path(number)
        count = sum(not way.moves[0].is_start for way in path)
        self.failed = Failed(claim, path, count)

    # Paths

    def waiting(self) -> list[int]:
        """The numbers of the states that are still to be expanded."""
        return [number for number, *_ in self._frontier]

    def path(self, number: int) -> tuple[Way, ...]:
        """The ways that lead from the beginning to a visited state."""
        places: list[int] = []
        while self._parents[number] != ROOT:
            places.append(self._places[number])
            number = self._parents[number]
        print_, state, begun = self._roots[self._places[number]]
        path = list(begun)
        for place in reversed(places):
            print_, way = self.space.successors(print_, state)[place]
            state = self.space.apply(state, way)
            path.append(way)
        return tuple(path)

    # Limits

    def _look(self) -> None:
        progress = self.progress
        progress.frontier = len(self._frontier)
        progress.seconds = monotonic() - self._began
        progress.peak_bytes = max(progress.peak_bytes, self._room.used())

    def _over(self) -> str:
        """Which limit has been reached, if one has."""
        limits, progress = self._limits, self.progress
        if limits.states is not None and progress.states >= limits.states:
            return f"{progress.states:,} states"
        if limits.seconds is not None and progress.seconds >= limits.seconds:
            return f"{limits.seconds:g} s"
        return self._room.over()


def _is_fault(way: Way) -> bool:
    return way.moves[0].kind in ("crash", "lose")
