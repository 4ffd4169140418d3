"""A recorded run replays exactly from its own decisions, without the seed."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World

SEEDS = 200
STRIDE = 20


def run(scenario: Scenario, tape: Tape) -> World:
    world = World(scenario, tape)
    world.run()
    return world


def recorded(world: World) -> Tape:
    """The run's tape without its seed: every decision and every fault spelled out."""
    tape = world.tape
    return Tape(None, tape.entries(), tape.faults(), world.configuration.name)


def summary(world: World) -> list[tuple[Any, ...]]:
    """All that a run did, apart from what it is called."""
    return [
        (r.time, r.node, r.incarnation, r.kind, r.label, r.event, r.cause, r.released, r.detail)
        for r in world.records
    ]


@pytest.mark.parametrize("first", range(0, SEEDS, STRIDE))
@pytest.mark.parametrize("name", ["abd", "paxos"])
def test_a_run_and_the_replay_of_its_tape_are_identical(name: str, first: int) -> None:
    scenario = load(Aim(name))
    for seed in range(first, first + STRIDE):
        original = run(scenario, Tape(seed))
        replay = run(scenario, recorded(original))
        assert summary(replay) == summary(original), f"{name}, seed {seed}"
        assert replay.clients.operations == original.clients.operations
        assert replay.violation == original.violation


def test_a_failing_run_fails_again() -> None:
    scenario = load(Aim("paxos@ignore-earlier-votes"))
    failures = 0
    for seed in range(20):
        original = run(scenario, Tape(seed))
        assert run(scenario, recorded(original)).violation == original.violation
        failures += original.violation is not None
    assert failures > 3


def test_a_seed_decides_everything() -> None:
    scenario = load(Aim("paxos"))
    assert summary(run(scenario, Tape(7))) == summary(run(scenario, Tape(7)))
    assert summary(run(scenario, Tape(7))) != summary(run(scenario, Tape(8)))


@pytest.mark.parametrize("lose", ["entry", "fault"])
def test_a_replay_that_lacks_a_decision_is_another_run(lose: str) -> None:
    """Sabotage: the comparison above notices what a tape leaves out."""
    scenario = load(Aim("abd"))
    original = next(
        world
        for world in (run(scenario, Tape(seed)) for seed in range(50))
        if world.tape.has_faults and world.tape.entries()
    )
    entries, faults = original.tape.entries(), original.tape.faults()
    if lose == "entry":
        del entries[next(label for label in entries if label[0].startswith("invoke"))]
    else:
        faults.clear()
    replay = run(scenario, Tape(None, entries, faults, original.configuration.name))
    assert summary(replay) != summary(original)
