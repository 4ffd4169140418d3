"""What is left of a failure is small, fails by the same property, and survives small edits."""

import itertools
from statistics import median
from typing import Any

import msgspec
import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.hunt import SerialExecutor, Tally, hunt, shrink_seed
from quorate.explore.outcome import Outcome, judge
from quorate.explore.replay import ordered, replay
from quorate.explore.shrink import _Shrinker, schedule_of, shrink
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import Schedule, format_schedule, parse_schedule
from quorate.scenario.tape import Tape
from quorate.trace import trace_hash
from tests.explore.protocols import LOCK, LOCK_NAME, Write, with_metrics

MUTANTS = ("paxos@vote-despite-promise", "paxos@ignore-earlier-votes", "abd@timestamps-shared")


def failing(name: str, first: int = 0) -> Outcome:
    """The first failing run of a name."""
    scenario = load(Aim(name))
    runs = (judge(scenario, Tape(seed)) for seed in itertools.count(first))
    return next(run for run in itertools.islice(runs, 500) if run.violation)


def shrunk(name: str, first: int = 0) -> Schedule:
    outcome = failing(name, first)
    left = shrink(load(Aim(name)), outcome, 20.0)
    assert left.is_minimal
    return schedule_of(left.outcome, seed=outcome.world.tape.seed, nodes=0)


def test_the_lock_fails_by_one_or_two_decisions() -> None:
    """One lost message is enough, or two nodes that want the lock at the same moment."""
    sizes = [shrunk(LOCK_NAME, first).decisions() for first in range(0, 1000, 100)]
    assert median(sizes) <= 2
    assert max(sizes) <= 4


@pytest.mark.parametrize("name", [LOCK_NAME, *MUTANTS])
def test_nothing_that_is_left_can_go(name: str) -> None:
    schedule = shrunk(name)
    assert replay(schedule, explained=False).is_same_failure
    for label in schedule.entries:
        rest = {other: value for other, value in schedule.entries.items() if other != label}
        assert not _fails(msgspec.structs.replace(schedule, entries=rest)), label
    for label, faults in schedule.faults.items():
        for fault in faults:
            others = {**schedule.faults, label: [other for other in faults if other is not fault]}
            assert not _fails(msgspec.structs.replace(schedule, faults=others)), fault


def _fails(schedule: Schedule) -> bool:
    return replay(schedule, explained=False).is_same_failure


@pytest.mark.parametrize("name", [LOCK_NAME, *MUTANTS])
def test_the_text_alone_fails_even_without_its_seed(name: str) -> None:
    schedule = shrunk(name)
    text = format_schedule(schedule)
    again = parse_schedule(text.replace(f"seed {schedule.seed}\n", ""), "x")
    assert again.seed is None
    first, second = replay(schedule), replay(again)
    assert second.is_same_failure
    assert not second.partings
    assert trace_hash(first.outcome.world.records) == trace_hash(second.outcome.world.records)


@pytest.mark.parametrize("name", [LOCK_NAME, *MUTANTS])
def test_it_fails_as_an_ordered_run_too(name: str) -> None:
    first = replay(shrunk(name))
    text = format_schedule(ordered(first))
    second = replay(parse_schedule(text, "x"))
    assert second.is_same_failure
    assert not second.partings


def test_it_fails_after_a_timer_was_added_that_only_counts(write: Write) -> None:
    schedule = shrunk(LOCK_NAME)
    schedule.scenario = write(with_metrics(LOCK.read_text("utf-8")), "Lock", "lock_with_metrics")
    replayed = replay(schedule)
    assert any(record.series.endswith("Report") for record in replayed.outcome.world.records)
    assert replayed.is_same_failure
    assert not replayed.partings


LATE = """quorate schedule 1
scenario raft@vote-not-durable
violates one_vote_per_term

after fire n1 HeartbeatTimeout #0: crash n1
after deliver n1→n2 AppendEntries #2: restart n1
"""


def test_faults_are_let_strike_as_soon_as_they_do_harm() -> None:
    late = replay(parse_schedule(LATE, "late"))
    assert late.is_same_failure
    assert not late.partings
    left = shrink(load(Aim("raft@vote-not-durable")), late.outcome)
    (label, faults), *more = left.tape.faults().items()
    assert label == ("deliver n1→n1 RequestVote", 1)  # When it votes for itself.
    assert [type(fault).__name__ for fault in faults] == ["Crash", "Restart"]
    assert not more
    assert len(left.outcome.world.records) * 2 < len(late.outcome.world.records)


SEEN = "abd@no-write-back"
"""It fails by what clients saw, which is judged when the run has ended."""


def test_what_clients_saw_shrinks_in_shorter_runs_and_fails_in_whole_ones() -> None:
    outcome = failing(SEEN)
    left = shrink(load(Aim(SEEN)), outcome, 5.0)
    assert left.outcome.violation
    assert left.outcome.violation.property == "linearizability"
    assert len(left.outcome.world.tape.entries()) * 2 < len(outcome.world.tape.entries())
    assert _fails(schedule_of(left.outcome, seed=None, nodes=0))


def test_what_fails_in_shorter_runs_alone_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may break later in the run: then the failure as it was found is told."""
    scenario, outcome = load(Aim(SEEN)), failing(SEEN)
    tried = _Shrinker._run

    def run(self: _Shrinker, tried_in: Scenario, *rest: Any) -> Outcome | None:
        return None if tried_in is scenario else tried(self, tried_in, *rest)

    monkeypatch.setattr(_Shrinker, "_run", run)
    left = shrink(scenario, outcome, 2.0)
    assert not left.is_minimal
    assert left.outcome.world.tape.entries() == outcome.world.tape.entries()
    assert _fails(schedule_of(left.outcome, seed=None, nodes=0))


def test_a_budget_ends_shrinking_with_what_is_left_so_far() -> None:
    outcome = failing("paxos@ignore-earlier-votes")
    left = shrink(load(Aim("paxos@ignore-earlier-votes")), outcome, 0.0)
    assert not left.is_minimal
    assert left.outcome.violation
    assert _fails(schedule_of(left.outcome, seed=1, nodes=0))


def test_an_interrupt_does_the_same() -> None:
    outcome = failing("paxos@ignore-earlier-votes")

    def interrupt(attempts: int, left: int) -> None:
        if attempts == 5:
            raise KeyboardInterrupt

    left = shrink(load(Aim("paxos@ignore-earlier-votes")), outcome, 20.0, interrupt)
    assert not left.is_minimal
    assert left.attempts == 5
    assert _fails(schedule_of(left.outcome, seed=1, nodes=0))


def test_a_run_of_another_size_is_shrunk_at_that_size() -> None:
    aim = Aim(LOCK_NAME, nodes=5)
    tally = hunt(Tally(aim, 0), seeds=200, executor=SerialExecutor(), jobs=1)
    found = shrink_seed(aim, tally.failures[0].seed, 20.0)
    schedule = parse_schedule(found.schedule, "x")
    assert schedule.nodes == 5
    assert len(replay(schedule).outcome.world.servers) == 5
    assert found.decisions == schedule.decisions()
