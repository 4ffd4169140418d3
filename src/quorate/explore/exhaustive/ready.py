"""From a scenario, and what was asked of it, to a space that can be searched."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from quorate.check.models import Model, model_named
from quorate.errors import Mistake
from quorate.explore.exhaustive.fork import Fork, begin
from quorate.explore.exhaustive.memory import Memories
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.progress import Limits, check_limits
from quorate.explore.exhaustive.space import SPACES, Space, messages_add_up
from quorate.explore.exhaustive.symmetry import Symmetric
from quorate.explore.report import mutant_of
from quorate.scenario.exploration import NETWORKS, TIMINGS, Exploration
from quorate.scenario.scenario import Scenario
from quorate.simulate.self_check import checked_at_first, checked_step

REDUCTIONS = ("symmetry", "sleep")
"""What lets fewer states be visited, or transitions be made; see docs/exploring.md for what each
is sound for."""

CHECKED = 200
"""So many steps are run twice in any case, to refuse a node that is no function of its input."""


class How(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked: see `explore`. Plain data, for any process to take up."""

    limits: Limits = Limits()
    self_check: bool = False
    keeps_no_ops: bool = False
    reduce: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    changes: Mapping[str, Any] = {}


class Ready(NamedTuple):
    """What is to be searched: the scenario in the one configuration, its bounds, and its space."""

    scenario: Scenario
    exploration: Exploration
    space: Space | Symmetric


def make_ready(scenario: Scenario, how: How, fork: Fork | None = None) -> Ready:
    """The space of a scenario. Raises Mistake for bounds that make no sense."""
    check_limits(how.limits)
    exploration = changed(fork.exploration if fork else exploration_of(scenario), how.changes)
    if fork is not None and exploration.timing == "synchronous":
        raise Mistake("what might have come next in a run has no times: leave out synchronous")
    explored = scenario.explored(exploration).judged_by(how.only)
    model = model_of(scenario, exploration)
    kind = SPACES[exploration.network]
    moves = Moves(
        explored,
        exploration,
        checked_step if how.self_check else checked_at_first(CHECKED),
        keeps_history=model is not None,
        keeps_no_ops=how.keeps_no_ops or exploration.network == "fifo",
        messages_add_up=messages_add_up(kind, exploration),
    )
    timers = -1 if exploration.timers is None else exploration.timers
    memories = Memories(exploration.crashes, timers, explored.monitors, model)
    space = kind(moves, memories, exploration)
    if fork is not None:
        begin(fork, space, moves, memories)
    return Ready(explored, exploration, reduced(space, explored, exploration, how.reduce))


def exploration_of(scenario: Scenario) -> Exploration:
    """What of a scenario is explored: its own bounds, or those that its mutant needs."""
    exploration = scenario.exploration or Exploration(nodes=scenario.nodes)
    mutant = mutant_of(scenario)
    return changed(exploration, mutant.bounds) if mutant else exploration


def changed(exploration: Exploration, changes: Mapping[str, Any]) -> Exploration:
    """The exploration with other bounds. Raises Mistake for a name or a value without meaning."""
    own = {name: value for name, value in changes.items() if name in exploration.__struct_fields__}
    named = {name: value for name, value in changes.items() if name not in own}
    for name in named:
        if name not in exploration.bounds:
            known = ", ".join(exploration.bounds) or "none"
            raise Mistake(f"the scenario declares no bound {name!r}; it has {known}")
    if named:
        own["bounds"] = {**exploration.bounds, **named}
    for name in own:
        if isinstance(getattr(exploration, name), bool):
            own[name] = bool(own[name])  # The bounds of mutants are numbers.
    made = msgspec.structs.replace(exploration, **own)
    _check(made)
    return made


def _check(exploration: Exploration) -> None:
    network = exploration.network
    if network not in NETWORKS:
        raise Mistake(f"no network is called {network!r}; there are {', '.join(NETWORKS)}")
    if exploration.timing not in TIMINGS:
        raise Mistake(f"no timing is {exploration.timing!r}; there are {', '.join(TIMINGS)}")
    if network == "set" and exploration.timing == "synchronous":
        raise Mistake("on the network `set` messages are always under way: time would never pass")
    if network == "set" and exploration.duplicate:
        raise Mistake("on the network `set` every message may arrive again; leave out duplicate")
    if network == "rpc" and exploration.duplicate:
        raise Mistake("on the network `rpc` a call is one step: it cannot be duplicated")
    if exploration.newest_only and network not in ("multiset", "rpc"):
        raise Mistake(f"on the network {network} messages are not replaced: leave out newest_only")
    numbers = (exploration.crashes, exploration.timers or 0, exploration.channel or 0)
    if min(numbers) < 0 or exploration.nodes < 1:
        raise Mistake("bounds are whole numbers from 0 on, and there must be a node")


def model_of(scenario: Scenario, exploration: Exploration) -> Model | None:
    """The model that judges the clients' history, if it is judged."""
    workload = scenario.workload
    if workload is None or not workload.model or not exploration.scripts:
        return None
    if not exploration.linearizable:
        return None
    model = workload.model
    return model if isinstance(model, Model) else model_named(model)


def reduced(
    space: Space, scenario: Scenario, exploration: Exploration, names: Sequence[str]
) -> Space | Symmetric:
    """The space with these reductions. Raises Mistake for one that is not sound here."""
    for name in names:
        if name not in REDUCTIONS:
            raise Mistake(f"no reduction is called {name!r}; there are {', '.join(REDUCTIONS)}")
    if "sleep" in names:
        _check_sleep(exploration, names)
    if "symmetry" not in names:
        return space
    if exploration.crashes:
        raise Mistake(
            "symmetry is not sound with crashes: one that falls between two sends cuts them in the "
            "order of names; choose one of the two"
        )
    if exploration.interchangeable is None:
        raise Mistake(f"{scenario.name} declares no interchangeable nodes: leave out symmetry")
    ids = tuple(exploration.interchangeable(scenario.servers()))
    for script in exploration.scripts:
        for name, value in script.fields.items():
            if value in ids:
                raise Mistake(f"a client's {name} is {value}, so {value} is not interchangeable")
    return Symmetric(space, ids)


def _check_sleep(exploration: Exploration, names: Sequence[str]) -> None:
    """Refuse sleep sets where moves of different nodes are not independent, or names change."""
    why = ""
    if "symmetry" in names:
        why = "moves have other names in the state that stands for an orbit; choose one of the two"
    elif exploration.liveness:
        why = "liveness looks at all transitions"
    elif exploration.timing == "synchronous":
        why = "time passes for all nodes at once"
    elif exploration.network == "rpc":
        why = "on the network rpc a call is a step of two nodes"
    elif exploration.channel is not None or exploration.newest_only:
        why = "where messages hinder or replace each other, no two moves are independent"
    if why:
        raise Mistake(f"sleep is not sound here: {why}")
