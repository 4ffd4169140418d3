"""Many seeds over all cores, until one fails or enough have been tried.

The work goes to any `concurrent.futures.Executor`, so more machines are a matter of which executor
is passed. Tasks and results are plain data.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from time import monotonic
from typing import Any, TypeVar

import msgspec

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.interrupts import interrupts_wait
from quorate.explore.outcome import judge, judge_world
from quorate.explore.report import steps_led_to
from quorate.explore.resources import SHARE, available, limit_memory
from quorate.explore.shrink import Progress as ShrinkProgress
from quorate.explore.shrink import schedule_of, shrink
from quorate.kernel.properties import PropertyKind
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import format_schedule
from quorate.scenario.tape import Tape
from quorate.simulate.world import collector_at_rest
from quorate.verdict import Verdict

T = TypeVar("T")

CHUNK = 4
"""Seeds in one task: large enough to outweigh its passage, small enough to stop soon."""


class Failure(msgspec.Struct, frozen=True):
    """A seed whose run failed."""

    seed: int
    property: str
    message: str


class Tally(msgspec.Struct):
    """What a campaign has done so far; it can be written to a file and gone on with.

    Attributes:
        first: the first seed; `runs` seeds from there on were tried, but for those in `failures`
            that ended a task early.
        counters: the sum of what happened in all runs.
        unknown: how many runs could not be judged, by reason.
        interrupted: whether Ctrl-C ended it before its bound.
    """

    aim: Aim
    first: int
    runs: int = 0
    steps: int = 0
    counters: dict[str, int] = {}
    unknown: dict[str, int] = {}
    failures: list[Failure] = []
    interrupted: bool = False

    def add(self, other: "Tally") -> None:
        """Take in what another task has done."""
        self.runs += other.runs
        self.steps += other.steps
        self.counters = _sum(self.counters, other.counters)
        self.unknown = _sum(self.unknown, other.unknown)
        self.failures = sorted([*self.failures, *other.failures], key=lambda f: f.seed)

    def shortfalls(self) -> list[str]:
        """Why a campaign without failure is still no `pass`: one sentence each."""
        if not self.runs:
            return ["no run was finished"]
        if self.interrupted:
            return [f"interrupted after {self.runs} runs"]
        scenario = load(self.aim)
        lines = [f"{count} runs could not be judged: {r}" for r, count in self.unknown.items()]
        for claim in scenario.properties or ():
            is_reached = self.counters.get(f"reached {claim.name}", 0) > 0
            if claim.kind is PropertyKind.SOMETIMES and not is_reached:
                lines.append(f"never reached: {claim.name}. {claim.doc}".rstrip())
        if self.aim.faults is None:
            for name, minimum in scenario.minima.items():
                reached = self.counters.get(name, 0)
                if reached < minimum * self.runs // 100:
                    rate = reached * 100 / self.runs
                    lines.append(f"{name}: {rate:.1f} in 100 runs, at least {minimum} are needed")
        return lines

    def verdict(self) -> Verdict:
        """The verdict on the whole campaign."""
        if self.failures:
            return Verdict.FAIL
        return Verdict.UNKNOWN if self.shortfalls() else Verdict.PASS


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    total = Counter(first)
    total.update(second)  # Addition would forget what is zero.
    return dict(total)


class Found(msgspec.Struct, frozen=True):
    """A failure that was shrunk.

    Attributes:
        schedule: what is left, as the text of a schedule file.
        decisions: how many decisions in it differ from the default.
        causal_steps: how many steps are in the failure's causal past.
        attempts, seconds: what shrinking took.
        is_minimal: whether no single decision more can go.
    """

    failure: Failure
    schedule: str
    decisions: int
    causal_steps: int
    attempts: int
    seconds: float
    is_minimal: bool


Progress = Callable[[Tally], None]


def hunt(
    tally: Tally,
    *,
    seeds: int | None = None,
    seconds: float | None = None,
    executor: Executor | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    progress: Progress | None = None,
) -> Tally:
    """Go on with a campaign for so many seeds more, or so many seconds.

    Ends at the first failure unless `keep_going`. An interrupt (Ctrl-C) ends it too: what was done
    until then is in `tally`, which is also what is returned.
    """
    load(tally.aim)  # A mistake in the name should be told here, not by a worker.
    tally.interrupted = False
    deadline = None if seconds is None else monotonic() + seconds
    stop = None if seeds is None else tally.first + tally.runs + seeds
    with _executor(executor, jobs) as pool:
        _campaign(tally, pool, stop, deadline, jobs or cores(), keep_going, progress)
    return tally


def _campaign(
    tally: Tally,
    pool: Executor,
    stop: int | None,
    deadline: float | None,
    jobs: int,
    keep_going: bool,
    progress: Progress | None,
) -> None:
    next_seed = tally.first + tally.runs
    running: dict[Future[Tally], int] = {}
    try:
        while True:
            is_over = deadline is not None and monotonic() >= deadline
            is_over |= bool(tally.failures) and not keep_going
            while not is_over and len(running) < 2 * jobs and (stop is None or next_seed < stop):
                count = CHUNK if stop is None else min(CHUNK, stop - next_seed)
                task = (tally.aim, next_seed, count, keep_going, next_seed == tally.first)
                running[pool.submit(try_seeds, *task)] = next_seed
                next_seed += count
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                tally.add(future.result())
                del running[future]
            if progress is not None:
                progress(tally)
            if tally.failures and not keep_going:
                for future in running:
                    future.cancel()
                running = {f: seed for f, seed in running.items() if not f.cancelled()}
    except BrokenProcessPool as error:
        tally.interrupted = True
        raise _died(tally, range(min(running.values()), next_seed)) from error
    except KeyboardInterrupt:
        tally.interrupted = True
        for future in running:
            if not future.cancel():  # Its seeds come before those of all that were cancelled.
                tally.add(future.result())


def _died(tally: Tally, seeds: range) -> Mistake:
    return Mistake(
        f"a worker process died after {tally.runs} runs, in one of the seeds {seeds[0]} to "
        f"{seeds[-1]}: it was ended by the system, or by the node itself"
    )


def try_seeds(aim: Aim, first: int, count: int, keep_going: bool, checked: bool = False) -> Tally:
    """What a worker does: run and judge some seeds. `checked` asks to check the first one's steps.

    Raises Mistake for a node that is no function of its input, if that was checked.
    """
    scenario = load(aim)
    tally = Tally(aim, first)
    counters: Counter[str] = Counter()
    with collector_at_rest():
        seeds = range(first, first + count)
        _try(scenario, tally, seeds, counters, keep_going, first if checked else None)
    tally.counters = dict(counters)
    return tally


def _try(
    scenario: Scenario,
    tally: Tally,
    seeds: range,
    counters: Counter[str],
    keep_going: bool,
    checked: int | None,
) -> None:
    for seed in seeds:
        self_check = seed % SELF_CHECK_EVERY == 0 or seed == checked
        outcome = judge(scenario, Tape(seed), self_check=self_check)
        tally.runs += 1
        tally.steps += outcome.world.steps
        counters.update(outcome.counters)
        if outcome.violation is not None:
            violation = outcome.violation
            tally.failures.append(Failure(seed, violation.property, violation.message))
            if not keep_going:
                break
        elif outcome.verdict is Verdict.UNKNOWN:
            tally.unknown[outcome.reason] = tally.unknown.get(outcome.reason, 0) + 1


SELF_CHECK_EVERY = 500
"""Every such seed runs each step twice, to name a node that is no function of its input."""


def shrink_seed(
    aim: Aim, seed: int, seconds: float, progress: ShrinkProgress | None = None
) -> Found:
    """Run a failing seed again and shrink it, within a budget of wall-clock seconds.

    If a seed after it fails by the same property with less around it, that one is told instead.
    """
    started = monotonic()
    scenario = load(aim)
    outcome = judge(scenario, Tape(seed))
    if outcome.violation is None:
        raise Mistake(f"seed {seed} of {aim.name} does not fail")
    with collector_at_rest():
        left = shrink(scenario, outcome, seconds, progress, range(seed + 1, seed + 1000))
    told = judge_world(left.outcome.world, explained=True)
    schedule = schedule_of(told, seed=left.seed, nodes=aim.nodes)
    violation = told.violation
    assert violation is not None
    return Found(
        Failure(left.seed or seed, violation.property, violation.message),
        format_schedule(schedule, (violation.message,)),
        schedule.decisions(),
        steps_led_to(told),
        left.attempts,
        monotonic() - started,
        left.is_minimal,
    )


def cores() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _executor(given: Executor | None, jobs: int | None) -> Iterator[Executor]:
    """The executor that was given, or processes of our own."""
    if given is not None:
        yield given
        return
    with workers(jobs) as pool:
        yield pool


@contextmanager
def workers(jobs: int | None) -> Iterator[ProcessPoolExecutor]:
    """So many processes, started afresh on every platform.

    They leave Ctrl-C to this process, which collects their results, from their very beginning. Each
    has its part of the memory that is free: a node that wants more gets an error, and is told.
    """
    context: Any = get_context("spawn")
    count = jobs or cores()
    share = int(available() * SHARE) // count
    with ProcessPoolExecutor(count, context, initializer=begin_work, initargs=(share,)) as pool:
        resource_tracker.ensure_running()  # It would let interrupts through when it starts.
        with interrupts_wait():
            for _ in range(count):
                pool.submit(ignore_interrupts)  # Starts a process, which inherits the deafness.
        yield pool


class SerialExecutor(Executor):
    """Does the work here and now: for scenarios that no other process can load by name."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it; what it raises is raised at once."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def begin_work(memory_bytes: int) -> None:
    """What a worker does first: leave Ctrl-C alone, and take no more memory than its part."""
    ignore_interrupts()
    limit_memory(memory_bytes)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that collects the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
