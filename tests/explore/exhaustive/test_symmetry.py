"""The symmetry reduction against the unreduced search, orbit by orbit."""

from itertools import permutations

import msgspec
import pytest

from quorate.bench.oracles import paxos, two_phase
from quorate.explore.exhaustive import explore
from quorate.explore.exhaustive.ready import How, make_ready
from quorate.explore.exhaustive.space import Space, State
from quorate.explore.exhaustive.symmetry import Symmetric, renamed
from quorate.kernel import NodeId
from quorate.kernel.canonical import fingerprint
from quorate.scenario.scenario import Scenario


def states(space: Space) -> list[State]:
    """Every state, found by asking for successors."""
    known = {print_: state for print_, state, _ in space.roots()}
    pending = list(known.items())
    for print_, state in pending:
        for after, way in space.successors(print_, state):
            if after not in known:
                known[after] = space.apply(state, way)
                pending.append((after, known[after]))
    return list(known.values())


def orbits(scenario: Scenario, ids: tuple[NodeId, ...]) -> int:
    """How many states there are up to renaming, found by renaming every one in every way."""
    ready = make_ready(scenario, How())
    assert isinstance(ready.space, Space)
    symmetric = Symmetric(ready.space, ids)
    mappings = [dict(zip(ids, order, strict=True)) for order in permutations(ids)]
    found = set()
    for state in states(ready.space):
        values = [symmetric._value(part) for part in symmetric._parts(state)]
        found.add(
            min(
                tuple(sorted(fingerprint(renamed(value, mapping)) for value in values))
                for mapping in mappings
            )
        )
    return len(found)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 12), (2, 34), (3, 80), (4, 166), (5, 314), (6, 553)]
)
def test_two_phase_commit_has_its_closed_form(count: int, expected: int) -> None:
    """C(N+3,3) + (N+1) + C(N+5,5) orbits: what one participant says of others is nothing."""
    result = explore(two_phase.managers(count), reduce=("symmetry",))
    assert result.progress.states == expected
    assert result.is_exhausted
    assert result.reductions == ("symmetry",)


def test_every_orbit_is_visited_once() -> None:
    scenario = two_phase.managers(3)
    assert orbits(scenario, scenario.servers()[1:]) == 80


@pytest.mark.parametrize(("values", "ballots"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_acceptors_are_interchangeable(values: int, ballots: int) -> None:
    plain = paxos.paxos(3, values, ballots)
    ids = plain.servers()[ballots:]
    exploration = msgspec.structs.replace(plain.exploration, interchangeable=lambda _: ids)
    scenario = msgspec.structs.replace(plain, exploration=exploration)
    result = explore(scenario, reduce=("symmetry",))
    assert result.progress.states == orbits(plain, ids)
    assert result.progress.states < explore(plain).progress.states


def test_nodes_that_know_each_other_are_renamed_all_the_same() -> None:
    """Where one says something of another, views do not suffice, and the least renaming counts."""
    from tests.explore.exhaustive.systems import Gossip, scenario

    plain = scenario(Gossip, nodes=3, timers=None, interchangeable=lambda ids: ids)
    ids = plain.servers()
    result = explore(plain, reduce=("symmetry",))
    full = explore(plain)
    assert result.progress.states == orbits(plain, ids)
    assert result.progress.states < full.progress.states / 4
