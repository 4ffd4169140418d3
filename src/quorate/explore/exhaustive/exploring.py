"""Exploring a scenario: from its bounds to a verdict that says what it covers."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from quorate.check.models import Model, model_named
from quorate.errors import Mistake
from quorate.explore.exhaustive.counterexample import schedule_of
from quorate.explore.exhaustive.fork import Fork, begin
from quorate.explore.exhaustive.memory import Memories
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.search import Failed, Limits, Progress, Search, check_limits
from quorate.explore.exhaustive.space import SPACES, Space
from quorate.explore.exhaustive.symmetry import Symmetric
from quorate.explore.report import mutant_of
from quorate.kernel.node import step
from quorate.kernel.properties import PropertyKind
from quorate.scenario.exploration import NETWORKS, Exploration
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import Schedule
from quorate.simulate.self_check import checked_step
from quorate.verdict import Verdict

REDUCTIONS = ("symmetry",)
"""What lets fewer states be visited; see docs/exploring.md for what each is sound for."""


class Result(msgspec.Struct, kw_only=True):
    """What an exploration has covered, and what it found.

    Attributes:
        scenario: the scenario in the configuration that was explored.
        exploration: its bounds.
        progress: unique states, transitions, depth, time and memory.
        failed: the first property that failed, with a path to it; the shortest one if the search
            was breadth first.
        unreached: the `sometimes` properties that held nowhere.
        stopped: why there may be more states; "" if the space is exhausted within its bounds.
        undecided: histories that the checker could not judge within its budget.
        reductions: what was used to visit fewer states.
        moves: everything that the nodes did.
        visited: the fingerprints of all states, which are the same in every process.
        fenced: where liveness was judged, how many states lie at the edge of the bounds.
    """

    scenario: Scenario
    exploration: Exploration
    progress: Progress
    failed: Failed | None
    unreached: list[str]
    stopped: str
    undecided: int
    moves: Moves
    visited: Collection[int]
    fenced: int | None = None
    reductions: tuple[str, ...] = ()
    fork: Fork | None = None

    def schedule(self) -> Schedule:
        """The failure as a schedule: the order of events that leads to it."""
        assert self.failed is not None
        if self.fork is None:
            return schedule_of(self.scenario, self.failed, self.moves)
        return schedule_of(self.fork.scenario, self.failed, self.moves, self.fork.prefix)

    @property
    def steps(self) -> int:
        """Handlers that really ran; all other transitions were looked up."""
        return self.moves.steps

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
    fork: Fork | None = None,
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
        fork: where to begin, if not at the beginning.
        report: told now and then how far the search has come.
        changes: other values for fields of `Exploration`, and by name for its `bounds`.

    Raises Mistake for bounds that make no sense, and for nodes that cannot be explored.
    """
    limits = limits or Limits()
    check_limits(limits)
    exploration = changed(fork.exploration if fork else exploration_of(scenario), changes)
    explored = scenario.explored(exploration)
    model = model_of(scenario, exploration)
    space_kind = SPACES[exploration.network]
    moves = Moves(
        explored,
        exploration,
        checked_step if self_check else step,
        keeps_history=model is not None,
        keeps_no_ops=keeps_no_ops or exploration.network == "fifo",
        messages_add_up=space_kind.messages_add_up and exploration.channel is None,
    )
    timers = -1 if exploration.timers is None else exploration.timers
    memories = Memories(exploration.crashes, timers, explored.monitors, model)
    plain = space_kind(moves, memories, exploration)
    if fork is not None:
        begin(fork, plain, moves, memories)
    space = reduced(plain, explored, exploration, reduce)
    search = Search(space, limits, exploration.ends)
    search.run(report)
    hopes = [p.name for p in explored.properties or () if p.kind is PropertyKind.SOMETIMES]
    return Result(
        scenario=explored,
        exploration=exploration,
        progress=search.progress,
        failed=search.failed,
        unreached=[name for name in hopes if name not in search.reached],
        stopped=search.stopped,
        undecided=memories.undecided,
        moves=moves,
        visited=search.visited,
        fenced=search.graph.fenced if search.graph else None,
        reductions=tuple(reduce),
        fork=fork,
    )


def exploration_of(scenario: Scenario) -> Exploration:
    """What of a scenario is explored: its own bounds, or those that its mutant needs."""
    exploration = scenario.exploration or Exploration(nodes=scenario.nodes)
    mutant = mutant_of(scenario)
    return changed(exploration, dict(mutant.bounds)) if mutant else exploration


def reduced(
    space: Space, scenario: Scenario, exploration: Exploration, names: Sequence[str]
) -> Space | Symmetric:
    """The space with these reductions. Raises Mistake for one that is not sound here."""
    for name in names:
        if name not in REDUCTIONS:
            raise Mistake(f"no reduction is called {name!r}; there are {', '.join(REDUCTIONS)}")
    if "symmetry" not in names:
        return space
    if exploration.interchangeable is None:
        raise Mistake(f"{scenario.name} declares no interchangeable nodes: leave out symmetry")
    ids = tuple(exploration.interchangeable(scenario.servers()))
    for script in exploration.scripts:
        for name, value in script.fields.items():
            if value in ids:
                raise Mistake(f"a client's {name} is {value}, so {value} is not interchangeable")
    return Symmetric(space, ids)


def model_of(scenario: Scenario, exploration: Exploration) -> Model | None:
    """The model that judges the clients' history, if it is judged."""
    workload = scenario.workload
    if workload is None or not workload.model or not exploration.scripts:
        return None
    if not exploration.linearizable:
        return None
    model = workload.model
    return model if isinstance(model, Model) else model_named(model)


def changed(exploration: Exploration, changes: dict[str, Any]) -> Exploration:
    """The exploration with other bounds. Raises Mistake for a name or a value without meaning."""
    own = {name: value for name, value in changes.items() if name in exploration.__struct_fields__}
    named = {name: value for name, value in changes.items() if name not in own}
    for name in named:
        if name not in exploration.bounds:
            known = ", ".join(exploration.bounds) or "none"
            raise Mistake(f"the scenario declares no bound {name!r}; it has {known}")
    if named:
        own["bounds"] = {**exploration.bounds, **named}
    made = msgspec.structs.replace(exploration, **own)
    _check(made)
    return made


def _check(exploration: Exploration) -> None:
    network = exploration.network
    if network not in NETWORKS:
        raise Mistake(f"no network is called {network!r}; there are {', '.join(NETWORKS)}")
    if network == "set" and exploration.duplicate:
        raise Mistake("on the network `set` every message may arrive again; leave out duplicate")
    if network == "rpc" and exploration.duplicate:
        raise Mistake("on the network `rpc` a call is one step: it cannot be duplicated")
    numbers = (exploration.crashes, exploration.timers or 0, exploration.channel or 0)
    if min(numbers) < 0 or exploration.nodes < 1:
        raise Mistake("bounds are whole numbers from 0 on, and there must be a node")
