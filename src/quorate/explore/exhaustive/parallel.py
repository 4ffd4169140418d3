"""One search by several processes: the same unique states, and counterexamples as short.

Level by level, each process expands its own states. A new fingerprint is put before its arbiter,
the process that its value names; the arbiter remembers it, and says whose the state is now: of
several that have reached it, the one with fewest so far. So no state ever leaves its process, each
is expanded once, and the processes have equally much to do.
"""

import pickle
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from quorate.errors import Mistake
from quorate.explore.exhaustive.progress import Failed, Progress, Report
from quorate.explore.exhaustive.ready import How, make_ready
from quorate.explore.exhaustive.share import Share
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import Schedule
from quorate.simulate.world import collector_at_rest

Load = Callable[[], Scenario]
MOST_JOBS = 64


class Told(NamedTuple):
    """What there is to say about a search, whoever made it; see `Result`."""

    progress: Progress
    failed: Failed | None
    schedule: Schedule | None
    reached: frozenset[str]
    stopped: str
    undecided: int
    handlers: int


def search_together(
    load: Load, how: How, jobs: int, report: Callable[[Progress], None] | None
) -> Told:
    """Search with several processes, each of which loads the scenario for itself."""
    limits = how.limits
    if not 1 < jobs <= MOST_JOBS:
        raise Mistake(f"--jobs is 1 to {MOST_JOBS}, not {jobs}")
    if not limits.is_breadth_first or limits.keeps_going:
        raise Mistake("depth-first search and counting on take one process: --jobs 1")
    if "sleep" in how.reduce:
        raise Mistake("sleep sets take one process: --jobs 1")
    together = _Together(load, how, jobs)
    try:
        return together.run(report)
    except KeyboardInterrupt:
        return together.told("interrupted")
    finally:
        together.end()


class _Together:
    """The processes of one search, and the talk between them."""

    def __init__(self, load: Load, how: How, jobs: int) -> None:
        self._began = monotonic()
        self._limits, self._only = how.limits, how.only
        self._reports: list[Report] = []
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        everybody = range(jobs)
        self._ways = [(s, t) for s in everybody for t in everybody if s != t]
        share = _divided(how, jobs)
        context = get_context("spawn")
        for me in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, load, share, me, jobs), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, report: Callable[[Progress], None] | None) -> Told:
        """Level by level, to the end, a limit or a failure."""
        self._gather()
        while True:
            progress = self._progress()
            if report is not None:
                report(progress)
            stopped = self._over(progress)
            if stopped or not progress.frontier or any(each.found for each in self._reports):
                return self.told(stopped)
            self._level()

    def _level(self) -> None:
        """What each asks is carried to the arbiters, and their answers back, unopened."""
        for _ in ("questions", "answers"):
            told = {
                (source, target): self._pipes[source].recv_bytes() for source, target in self._ways
            }
            for (_, target), data in told.items():
                self._pipes[target].send_bytes(data)
        self._gather()

    def _gather(self) -> None:
        found = []
        for pipe in self._pipes:
            answer = pipe.recv()
            if isinstance(answer, str):
                raise Mistake(answer)
            found.append(answer)
        self._reports = found

    def _progress(self) -> Progress:
        reports = self._reports
        again = len(reports) - 1  # All but one have counted the common beginning once too often.
        return Progress(
            sum(each.progress.states - each.common_states for each in reports)
            + sum(each.common_states for each in reports[:1]),
            sum(each.progress.transitions for each in reports)
            - again * max((each.common_transitions for each in reports), default=0),
            max((each.progress.depth for each in reports), default=0),
            sum(each.progress.frontier for each in reports),
            monotonic() - self._began,
            sum(each.progress.peak_bytes for each in reports),
        )

    def _over(self, progress: Progress) -> str:
        limits = self._limits
        if limits.states is not None and progress.states >= limits.states:
            return f"{progress.states:,} states"
        if limits.seconds is not None and progress.seconds >= limits.seconds:
            return f"{limits.seconds:g} s"
        return next((each.stopped for each in self._reports if each.stopped), "")

    def told(self, stopped: str) -> Told:
        """What all of them have done."""
        reports = self._reports
        found = [each.found for each in reports if each.found is not None]
        first = min(found, key=lambda failure: failure.transitions, default=None)
        return Told(
            self._progress(),
            Failed(first.property, (), first.transitions) if first else None,
            msgspec.structs.replace(first.schedule, only=self._only) if first else None,
            frozenset().union(*(each.reached for each in reports)),
            stopped,
            sum(each.undecided for each in reports),
            sum(each.handlers for each in reports),
        )

    def end(self) -> None:
        """Leave no process behind."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def _divided(how: How, jobs: int) -> How:
    """What each process may use."""
    memory = how.limits.memory_bytes
    if memory is None:
        return how
    limits = msgspec.structs.replace(how.limits, memory_bytes=memory // jobs)
    return msgspec.structs.replace(how, limits=limits)


def _work(pipe: Connection, load: Load, how: How, me: int, jobs: int) -> None:
    """One process: everything it does is asked for by the pipe, and answered there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever started us ends us.
    try:
        share = Share(make_ready(load(), how), how.limits, me, jobs)
        all_ = range(jobs)
        others = [one for one in all_ if one != me]
        with collector_at_rest():
            share.sow()
            pipe.send(share.report())
            while True:
                asks = share.expand()
                for you in others:
                    pipe.send_bytes(pickle.dumps(asks[you]))
                asks = [asks[me] if one == me else pickle.loads(pipe.recv_bytes()) for one in all_]
                answers = share.arbitrate(asks)
                for you in others:
                    pipe.send_bytes(answers[you])
                share.claim([answers[me] if one == me else pipe.recv_bytes() for one in all_])
                pipe.send(share.report())
    except (EOFError, BrokenPipeError):
        return
    except Mistake as mistake:
        pipe.send(str(mistake))
