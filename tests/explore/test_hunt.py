"""Campaigns: what they count, how they end, and that they can be gone on with."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load, provide
from quorate.explore.hunt import SerialExecutor, Tally, hunt, shrink_seed, try_seeds
from quorate.verdict import Verdict
from tests.explore.protocols import LOCK_NAME, Write, clock

LOCK = Aim(LOCK_NAME)
QUIET = Aim("paxos", faults=())


def serial(tally: Tally, **options: Any) -> Tally:
    return hunt(tally, executor=SerialExecutor(), jobs=1, **options)


def test_a_campaign_ends_at_the_first_failure() -> None:
    tally = serial(Tally(LOCK, 100), seeds=200)
    assert tally.verdict() is Verdict.FAIL
    assert tally.verdict().exit_code == 1
    assert tally.runs < 200
    assert {failure.property for failure in tally.failures} == {"one_holder"}


def test_keep_going_tries_every_seed() -> None:
    tally = serial(Tally(LOCK, 100), seeds=30, keep_going=True)
    assert tally.runs == 30
    assert len(tally.failures) > 1
    assert [f.seed for f in tally.failures] == sorted({f.seed for f in tally.failures})


def test_processes_find_what_one_process_finds() -> None:
    alone = serial(Tally(LOCK, 500), seeds=10, keep_going=True)
    many = hunt(Tally(LOCK, 500), seeds=10, jobs=2, keep_going=True)
    assert many == alone


def test_a_campaign_goes_on_where_it_ended() -> None:
    whole = serial(Tally(LOCK, 7), seeds=24, keep_going=True)
    part = serial(Tally(LOCK, 7), seeds=10, keep_going=True)
    kept = msgspec.json.decode(msgspec.json.encode(part), type=Tally)
    assert serial(kept, seeds=14, keep_going=True) == whole


class _Interrupted(SerialExecutor):
    """Ctrl-C comes with the third task."""

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        if self.tasks == 3:
            raise KeyboardInterrupt
        return super().submit(fn, *args, **kwargs)


def test_an_interrupt_keeps_what_was_done() -> None:
    tally = hunt(Tally(QUIET, 3), seeds=100, executor=_Interrupted(), jobs=2, keep_going=True)
    assert tally.interrupted
    assert tally.runs == 8
    assert tally.verdict() is Verdict.UNKNOWN
    assert tally.shortfalls() == ["interrupted after 8 runs"]
    assert not serial(tally, seeds=4).interrupted
    assert tally == serial(Tally(QUIET, 3), seeds=12)


def test_time_ends_a_campaign_too() -> None:
    tally = serial(Tally(QUIET, 3), seconds=0.0)
    assert tally.runs == 0
    assert tally.verdict() is Verdict.UNKNOWN


def test_what_was_never_reached_makes_a_campaign_unknown(write: Write) -> None:
    claim = '''
@sometimes
def late(nodes):
    """Some node ticks a thousand times."""
    return any(node.ticks > 1000 for node in nodes)
'''
    tally = serial(Tally(Aim(write(clock("self.ticks += 1", claim))), 0), seeds=4)
    assert tally.verdict() is Verdict.UNKNOWN
    assert tally.shortfalls() == ["never reached: late. Some node ticks a thousand times."]


def test_a_node_that_storms_for_ever_is_given_up_as_unknown(write: Write) -> None:
    calm = load(Aim(write(clock("env.after(ms(0), Tick())"))))
    tally = serial(
        Tally(Aim(provide(msgspec.structs.replace(calm, steps=500), "storm")), 0), seeds=1
    )
    assert tally.verdict() is Verdict.UNKNOWN
    assert "given up after" in tally.shortfalls()[0]


def test_the_first_seed_is_always_checked_twice(write: Write) -> None:
    """Else a short hunt would call a node right that is no function of its input."""
    name = write(clock("self.ticks = time.time_ns()"))
    with pytest.raises(Mistake, match=r"fire n1 Tick #0 .*Clock\.ticks differs"):
        serial(Tally(Aim(name), 3), seeds=1)


def test_a_seed_that_does_not_fail_cannot_be_shrunk() -> None:
    with pytest.raises(Mistake, match="does not fail"):
        shrink_seed(QUIET, 1, 1.0)


def test_a_task_ends_at_its_first_failure_unless_told_otherwise() -> None:
    failing = serial(Tally(LOCK, 100), seeds=200).failures[0].seed
    assert try_seeds(LOCK, failing, 5, False).runs == 1
    assert try_seeds(LOCK, failing, 5, True).runs == 5


def test_no_seed_depends_on_its_neighbours() -> None:
    both = try_seeds(LOCK, 40, 2, True)
    first, second = try_seeds(LOCK, 40, 1, True), try_seeds(LOCK, 41, 1, True)
    first.add(second)
    assert first == both
