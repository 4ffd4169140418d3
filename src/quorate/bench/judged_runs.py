"""Judged runs of Raft: how many in a second, and whether memory stays flat over many.

A judged run is 5 nodes, 5 virtual seconds, heartbeats of 50 ms, elections of 150 to 300 ms, all
faults, trace and tape on, judged by its properties and for linearizability.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from quorate.bench.options import Options, Tell, silent
from quorate.bench.report import Goal, Measure, Row, figure, samples
from quorate.bench.timing import bare_loop, cpu_seconds, in_turns
from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.scenario.tape import Tape
from quorate.simulate.world import collector_at_rest
from quorate.verdict import Verdict

AIM = Aim("raft")
STEPS_GOAL = 100_000
RUNS_GOAL = 50
LEAST_STEPS = 2_500
LEAST_OPERATIONS = 150
LOOP = "bare heapq loop: pop, call, push"
LOOP_WHERE_GOALS_WERE_SET = 2.1e6
"""Events/s of the yardstick on the machine for which the goals were set."""
SIMLOOP = "simloop, as published: 54 judged seeds/s on 8 jobs (another machine)"
PAGE = 4096
MEBIBYTE = 1 << 20
WARM = 2
"""The tenth after which memory should be flat: caches have filled by then."""


def simulate(options: Options) -> Row:
    """Judged runs on one core."""
    if options.quick:
        return measure_runs(range(12), rounds=3, loop_events=100_000)
    return measure_runs(range(60), rounds=7, loop_events=500_000)


def measure_runs(seeds: Sequence[int], rounds: int, loop_events: int) -> Row:
    """Judge these seeds in each round, and take the yardstick between them."""
    campaign = _Campaign(seeds)
    campaign.judge()  # Imports and caches are paid for once.
    rates, loop = in_turns(rounds, campaign.runs_per_second, lambda: bare_loop(loop_events))
    steps, operations = campaign.steps / len(seeds), campaign.operations / len(seeds)
    ours = samples("steps/s", [rate * steps for rate in rates])
    yardstick = samples("events/s", loop)
    return Row(
        name="simulate",
        measures=(
            Measure(
                what="handler steps on one core",
                ours=ours,
                peer=LOOP,
                theirs=yardstick,
                goals=(Goal("at least 100 k steps/s", ours.median, STEPS_GOAL),),
            ),
            Measure(
                what="judged runs on one core",
                ours=samples("runs/s", rates),
                peer=SIMLOOP,
                goals=(Goal("at least 50 runs/s", samples("", rates).median, RUNS_GOAL),),
            ),
            Measure(
                what="handler steps in a run, on average",
                ours=samples("", [steps]),
                goals=(Goal("at least 2 500", steps, LEAST_STEPS),),
            ),
            Measure(
                what="completed client operations in a run",
                ours=samples("", [operations]),
                goals=(Goal("at least 150", operations, LEAST_OPERATIONS),),
            ),
        ),
        notes=(_where_goals_were_set(ours.median, steps, yardstick.median),),
        wrong=campaign.wrong(),
    )


def _where_goals_were_set(steps_rate: float, steps: float, loop_rate: float) -> str:
    scale = LOOP_WHERE_GOALS_WERE_SET / loop_rate
    return (
        "on a machine whose bare loop does 2.1 M events/s, where the goals were set, this would be "
        f"{figure(steps_rate * scale)} steps/s and {figure(steps_rate / steps * scale)} runs/s"
    )


class _Campaign:
    """Some seeds, judged over and over."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._seeds = seeds
        self._verdicts: dict[int, str] = {}
        self.steps = 0
        self.operations = 0

    def judge(self) -> None:
        self.steps = self.operations = 0
        scenario = load(AIM)
        with collector_at_rest():
            for seed in self._seeds:
                outcome = judge(scenario, Tape(seed))
                self.steps += outcome.world.steps
                self.operations += outcome.counters.get("operations ok", 0)
                self._verdicts[seed] = outcome.verdict.value

    def runs_per_second(self) -> float:
        return len(self._seeds) / cpu_seconds(self.judge)

    def wrong(self) -> tuple[str, ...]:
        passes = Verdict.PASS.value
        return tuple(f"raft, seed {s}: {v}" for s, v in self._verdicts.items() if v != passes)


# Memory


def memory(options: Options) -> Row:
    """What a process holds while it judges one run after another."""
    return measure_memory(300 if options.quick else 10_000, options.seed, options.tell)


def measure_memory(runs: int, first: int, tell: Tell = silent) -> Row:
    """Judge so many runs in one fresh process, and look at each tenth."""
    if resident() == 0:
        return Row(name="memory", skipped="this platform does not tell what a process holds")
    context: Any = get_context("spawn")
    seeds = [first + runs * tenth // 10 for tenth in range(11)]
    held: list[float] = []
    with ProcessPoolExecutor(1, context) as worker:
        for tenth in range(10):
            held.append(worker.submit(judge_and_look, seeds[tenth], seeds[tenth + 1]).result())
            tell(f"{seeds[tenth + 1] - first:,} of {runs:,} runs, {held[-1]:.1f} MiB")
    growth = held[-1] / held[WARM]
    goal = Goal("after the last tenth at most 1.1 times the third", growth, 1.1, at_least=False)
    course = " ".join(f"{value:.1f}" for value in held)
    return Row(
        name="memory",
        measures=(
            Measure(
                what=f"resident memory over {runs:,} judged runs",
                ours=samples("MiB", held),
                goals=(goal,),
            ),
        ),
        notes=(f"MiB after each tenth: {course}",),
    )


def judge_and_look(first: int, stop: int) -> float:
    """What a worker does: judge these seeds; the MiB that it holds then."""
    scenario = load(AIM)
    for seed in range(first, stop):
        judge(scenario, Tape(seed))
    return resident() / MEBIBYTE


def resident() -> int:
    """Bytes of memory that this process holds (its peak where nothing else is told), or 0."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * PAGE
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
