"""Exploring a scenario: from its bounds to a verdict that says what it covers."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive.counterexample import schedule_of
from quorate.explore.exhaustive.fork import Fork
from quorate.explore.exhaustive.growth import growing
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.parallel import Load, Told, search_together
from quorate.explore.exhaustive.progress import Failed, Limits, Progress
from quorate.explore.exhaustive.ready import How, Ready, make_ready
from quorate.explore.exhaustive.search import Search
from quorate.explore.exhaustive.sleep import SleepSearch
from quorate.kernel.properties import PropertyKind
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import Schedule
from quorate.verdict import Verdict


class Result(msgspec.Struct, kw_only=True):
    """What an exploration has covered, and what it found.

    Attributes:
        scenario: the scenario in the configuration that was explored.
        exploration: its bounds.
        progress: unique states, transitions, depth, time and memory.
        failed: the first property that failed, with a path to it; the shortest one if the search
            was breadth first.
        schedule: that path, as a schedule that replays it.
        unreached: the `sometimes` properties that held nowhere.
        stopped: why there may be more states; "" if the space is exhausted within its bounds.
        growing: if it was stopped, what only grew on the ways to the last states: perhaps it has no
            bound.
        undecided: histories that the checker could not judge within its budget.
        handlers: steps that really ran; all other transitions were looked up.
        reductions: what was used to visit fewer states.
        jobs: how many processes took part.
        moves: every local state, message and move that was met, and
        visited: the fingerprints of all states, the same in every process; if one process searched.
        fenced: where liveness was judged, how many states lie at the edge of the bounds.
        fork: where it began, if not at the beginning.
    """

    scenario: Scenario
    exploration: Exploration
    progress: Progress
    failed: Failed | None
    schedule: Schedule | None
    unreached: list[str]
    stopped: str
    undecided: int
    handlers: int
    growing: Sequence[str] = ()
    reductions: tuple[str, ...] = ()
    jobs: int = 1
    moves: Moves | None = None
    visited: Collection[int] = ()
    fenced: int | None = None
    fork: Fork | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether every state within the bounds was visited."""
        return not self.stopped and self.failed is None

    @property
    def violates(self) -> str:
        """The property that does not hold, or ""."""
        if self.failed is not None:
            return self.failed.property
        return self.unreached[0] if self.unreached and not self.stopped else ""

    @property
    def verdict(self) -> Verdict:
        """A property that is never reached fails an exhausted space, and no other."""
        if self.violates:
            return Verdict.FAIL
        return Verdict.UNKNOWN if self.stopped or self.undecided else Verdict.PASS


def explore(
    scenario: Scenario,
    *,
    limits: Limits | None = None,
    self_check: bool = False,
    keeps_no_ops: bool = False,
    reduce: Sequence[str] = (),
    only: Sequence[str] = (),
    fork: Fork | None = None,
    jobs: int = 1,
    loader: Load | None = None,
    report: Callable[[Progress], None] | None = None,
    **changes: Any,
) -> Result:
    """Visit every state of a scenario within its bounds, until a property fails.

    Args:
        scenario: its `exploration` says what is explored.
        limits: when to stop although there is more.
        self_check: whether to run every step twice, and refuse nodes that are no pure functions.
        keeps_no_ops: whether a message that changes nothing may arrive all the same, and is gone.
        reduce: names of `REDUCTIONS` that let fewer states be visited.
        only: names of the properties and monitors that judge; all, if there are none.
        fork: where to begin, if not at the beginning.
        jobs: how many processes search together.
        loader: how each of these gets the scenario; by its name, unless given.
        report: told now and then how far the search has come.
        changes: other values for fields of `Exploration`, and by name for its `bounds`.

    Raises Mistake for bounds that make no sense, and for nodes that cannot be explored.
    """
    how = How(
        limits=limits or Limits(),
        self_check=self_check,
        keeps_no_ops=keeps_no_ops,
        reduce=tuple(reduce),
        only=tuple(only),
        changes=changes,
    )
    ready = make_ready(scenario, how, fork)
    if fork is not None:
        fork = msgspec.structs.replace(fork, scenario=fork.scenario.judged_by(how.only))
    if jobs == 1:
        return _alone(ready, how, fork, report)
    if fork is not None:
        raise Mistake("the neighbourhood of a run is searched by one process: leave out --jobs")
    if ready.exploration.liveness:
        raise Mistake("liveness takes one process: --jobs 1")
    told = search_together(loader or partial(load, Aim(scenario.name)), how, jobs, report)
    return _result(ready, how, told, jobs=jobs)


def _alone(
    ready: Ready, how: How, fork: Fork | None, report: Callable[[Progress], None] | None
) -> Result:
    kind = SleepSearch if "sleep" in how.reduce else Search
    search = kind(ready.space, how.limits, ready.exploration)
    search.run(report)
    schedule = None
    if search.failed is not None:
        moves = ready.space.moves
        if fork is None:
            schedule = schedule_of(ready.scenario, search.failed, moves)
        else:
            schedule = schedule_of(fork.scenario, search.failed, moves, fork.prefix)
        schedule.only = how.only
    told = Told(
        search.progress,
        search.failed,
        schedule,
        frozenset(search.reached),
        search.stopped,
        ready.space.memories.undecided,
        ready.space.moves.steps,
    )
    result = _result(ready, how, told)
    result.moves, result.visited, result.fork = ready.space.moves, search.visited, fork
    result.fenced = search.graph.fenced if search.graph else None
    result.growing = growing(search) if search.stopped else ()
    return result


def _result(ready: Ready, how: How, told: Told, jobs: int = 1) -> Result:
    claims = ready.scenario.properties or ()
    hopes = [claim.name for claim in claims if claim.kind is PropertyKind.SOMETIMES]
    hopes = [name for name in hopes if name not in ready.exploration.out_of_reach]
    return Result(
        scenario=ready.scenario,
        exploration=ready.exploration,
        progress=told.progress,
        failed=told.failed,
        schedule=told.schedule,
        unreached=[name for name in hopes if name not in told.reached],
        stopped=told.stopped,
        undecided=told.undecided,
        handlers=told.handlers,
        reductions=how.reduce,
        jobs=jobs,
    )
