"""Counterexamples as schedules, forks, several processes, and one class for every judge."""

from functools import partial
from pathlib import Path

import pytest

from quorate.bench.oracles import lamport_mutex, two_phase
from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Limits, Result, explore
from quorate.explore.exhaustive.fork import fork_at
from quorate.explore.exhaustive.ready import How, make_ready
from quorate.explore.replay import replay
from quorate.scenario.fault import Crash, Restart
from quorate.scenario.schedule import format_schedule, parse_schedule
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.verdict import Verdict

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "raft" / "forgotten-vote.schedule"


def again(result: Result) -> None:
    """The counterexample replays from its text, and fails by the same property."""
    assert result.schedule is not None
    text = format_schedule(result.schedule)
    replayed = replay(parse_schedule(text, "counterexample"))
    assert replayed.is_same_failure, replayed.sentence()
    assert not replayed.partings


@pytest.mark.parametrize(
    ("name", "changes", "violates"),
    [
        ("paxos@ignore-earlier-votes", {}, "Chosen"),
        ("paxos@vote-despite-promise", {}, "PromiseKept"),
        ("paxos@vote-quorum-of-one", {}, "agreement"),
        ("paxos@promise-volatile", {"crashes": 1}, "PromiseKept"),
        ("abd@no-write-back", {}, "linearizability"),
    ],
)
def test_a_counterexample_replays_as_a_schedule(
    name: str, changes: dict[str, int], violates: str
) -> None:
    result = explore(load(Aim(name)), **changes)
    assert result.violates == violates
    again(result)


def test_a_crash_in_a_counterexample_is_cut_where_it_was() -> None:
    result = explore(load(Aim("paxos@promise-volatile")), crashes=1)
    assert result.schedule is not None
    order = result.schedule.order
    assert order is not None
    crashes = [event for event in order if isinstance(event, Crash)]
    assert len(crashes) == 1
    restart = order[order.index(crashes[0]) + 1]
    assert restart == Restart(crashes[0].node)


def test_every_judge_loads_the_identical_class() -> None:
    """Hunt's world and exploration run the very same class object: no second world."""
    scenario = load(Aim("raft"))
    world = World(scenario, Tape(1))
    ready = make_ready(scenario, How())
    kinds = {type(machine.fresh) for machine in ready.space.moves.machines[:3]}
    assert kinds == {type(world.hosts[id].fresh) for id in world.servers} == {scenario.node}
    assert ready.scenario.monitors is scenario.monitors
    assert ready.scenario.properties is scenario.properties


# Forks


def test_the_neighbourhood_of_a_run() -> None:
    """Just before the vote is forgotten, a crash is enough."""
    fork = fork_at(f"{EXAMPLE}@8")
    result = explore(fork.scenario, fork=fork)
    assert result.violates == "one_vote_per_term"
    again(result)
    assert result.schedule is not None
    assert result.schedule.configuration == "default"


def test_without_crashes_the_neighbourhood_is_clean() -> None:
    fork = fork_at(f"{EXAMPLE}@fire n1 ElectionTimeout #0")
    result = explore(fork.scenario, fork=fork, limits=Limits(depth=4), crashes=0, timers=0)
    assert result.violates == ""
    assert result.stopped == "depth 4"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("x.txt@3", "--from takes FILE.schedule@EVENT"),
        ("missing.schedule@3", "missing.schedule"),
        (f"{EXAMPLE}@99999", "there is no event @99999"),
        (f"{EXAMPLE}@deliver n9→n1 Vote #0", "never came up"),
        (f"{EXAMPLE}@nonsense", "expected a label"),
    ],
)
def test_forks_that_make_no_sense(place: str, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        fork_at(place)


# Several processes


def test_several_processes_find_the_same_states() -> None:
    for loader in (partial(lamport_mutex.processes, 2, 4), partial(two_phase.managers, 3)):
        alone = explore(loader())
        together = explore(loader(), jobs=2, loader=loader)
        assert together.verdict is Verdict.PASS
        assert together.jobs == 2
        assert together.progress.states == alone.progress.states
        assert together.progress.transitions == alone.progress.transitions
        assert together.progress.depth == alone.progress.depth


def test_several_processes_find_as_short_a_counterexample() -> None:
    scenario = load(Aim("paxos@vote-quorum-of-one"))
    alone, together = explore(scenario), explore(scenario, jobs=2)
    assert together.violates == alone.violates == "agreement"
    assert together.failed is not None
    assert alone.failed is not None
    assert together.failed.transitions == alone.failed.transitions
    again(together)


def test_several_processes_keep_limits_and_reductions() -> None:
    loader = partial(two_phase.managers, 5)
    orbits = explore(loader(), jobs=2, loader=loader, reduce=("symmetry",))
    assert orbits.progress.states == 314
    stopped = explore(loader(), jobs=2, loader=loader, limits=Limits(depth=4))
    assert stopped.stopped == "depth 4"
    assert stopped.verdict is Verdict.UNKNOWN
    with pytest.raises(Mistake, match="takes one process"):
        explore(loader(), jobs=2, loader=loader, liveness=True)
