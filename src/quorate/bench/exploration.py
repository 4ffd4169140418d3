"""The explorer: published numbers of states, its speed on classes as shipped, and its memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import comb
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from msgspec.structs import replace

from quorate.bench.judged_runs import resident
from quorate.bench.options import Options, Tell, silent
from quorate.bench.oracles import lamport_mutex, registers, two_phase
from quorate.bench.report import Goal, Measure, Row, figure, samples
from quorate.bench.timing import cpu_seconds, in_turns
from quorate.explore import exhaustive
from quorate.explore.catalogue import CATALOGUE, Aim, load
from quorate.explore.exhaustive import Limits, Progress, Result
from quorate.kernel import NodeId, Operation
from quorate.scenario.exploration import Script
from quorate.scenario.scenario import Scenario
from quorate.verdict import Verdict

STATERIGHT = "Stateright, as published: ~1.2 M states/s on all cores (another machine)"
SHIPPED = ("paxos", "abd", "raft")
RATE_GOAL = 500_000
TOGETHER_GOAL = 0.8
BYTES_GOAL = 120
SET_HAS_DOUBLED = 2_600_000
"""States just after the set of the visited has doubled its table, which is then at its emptiest."""


class Oracle(NamedTuple):
    """A model whose number of states is published, and how soon it should be found."""

    what: str
    make: Callable[[], Scenario]
    states: int
    seconds: float


class Reduced(NamedTuple):
    """A model, and how many states it has without and with a reduction."""

    what: str
    make: Callable[[], Scenario]
    reduce: str
    plain: int | None
    states: int
    seconds: float | None = None


ORACLES = (
    Oracle("Stateright's Paxos", lambda: registers.servers(registers.Paxos, 3, 2), 16_668, 2.0),
    Oracle("TLA+ Lamport mutex", lambda: lamport_mutex.processes(3, 6), 724_274, 60.0),
    Oracle("two-phase commit of 5, a crash at any cut", lambda: shipped_commit(5), 401_787, 60.0),
)
QUICK = (
    ORACLES[0],
    Oracle("TLA+ Lamport mutex to 3", lambda: lamport_mutex.processes(3, 3), 10_209, 2.0),
    Oracle("two-phase commit of 2, a crash at any cut", lambda: shipped_commit(2), 549, 2.0),
)


def managers(count: int, *, beside: bool = True, seconds: float | None = None) -> Reduced:
    """TLA+ two-phase commit: 4^N + 2^N + 6^N states, C(N+3,3) + (N+1) + C(N+5,5) orbits."""
    return Reduced(
        f"TLA+ two-phase commit of {count}",
        lambda: two_phase.managers(count),
        "symmetry",
        4**count + 2**count + 6**count if beside else None,
        comb(count + 3, 3) + count + 1 + comb(count + 5, 5),
        seconds,
    )


def awake(count: int) -> Reduced:
    """The same with sleep sets, which visit all states."""
    states = 4**count + 2**count + 6**count
    what = f"TLA+ two-phase commit of {count}"
    return Reduced(what, partial(two_phase.managers, count), "sleep", states, states)


REDUCTIONS = (
    managers(5),
    awake(5),
    managers(7),
    awake(7),
    managers(10, beside=False, seconds=1.0),
)


def shipped_commit(participants: int) -> Scenario:
    """One transaction of two-phase commit as the catalogue has it, presuming abort."""
    scenario = load(Aim("two-phase-commit"))
    fields = next(c.fields for c in scenario.configurations if c.name == "presumed abort")
    assert scenario.exploration is not None
    exploration = replace(
        scenario.exploration,
        nodes=1 + participants,
        fields={**fields, "willing": (True, False)},
        scripts=(Script((Operation("commit", "t"),), {"server": NodeId("n1")}),),
        crashes=1,
        timers=0,
    )
    return replace(scenario, exploration=exploration)


def explore(options: Options) -> Row:
    """All of it; what takes millions of states only without `quick`."""
    few = options.quick
    parts = [
        measure_oracles(QUICK if few else ORACLES, options.tell),
        measure_rates(SHIPPED, 20_000 if few else 300_000, options.tell),
        measure_together("paxos", 2_000 if few else None, 1 if few else 3, options.tell),
        measure_reductions(REDUCTIONS[:2] if few else REDUCTIONS, options.tell),
        measure_states(60_000 if few else SET_HAS_DOUBLED, options.tell),
    ]
    if options.long:
        parts.append(measure_millions(9, options.tell))
    return Row(
        name="explore",
        measures=tuple(measure for part in parts for measure in part.measures),
        notes=tuple(note for part in parts for note in part.notes),
        wrong=tuple(text for part in parts for text in part.wrong),
    )


def _timed(scenario: Scenario, **how: Any) -> tuple[Result, float]:
    """What an exploration on one core comes to, and how long it keeps that busy."""
    results: list[Result] = []
    seconds = cpu_seconds(lambda: results.append(exhaustive.explore(scenario, **how)))
    return results[0], seconds


def _wrong(what: str, result: Result, states: int) -> tuple[str, ...]:
    found = result.progress.states
    if result.verdict is Verdict.PASS and result.is_exhausted and found == states:
        return ()
    return (f"{what}: {result.verdict.value} with {found:,} states, not {states:,}",)


# Published numbers


def measure_oracles(oracles: Sequence[Oracle], tell: Tell = silent) -> Row:
    """Each model exhausted, on one core."""
    measures, wrong = [], list[str]()
    for what, make, states, bound in oracles:
        tell(f"{what}: {states:,} states")
        result, seconds = _timed(make())
        wrong += _wrong(what, result, states)
        goal = Goal(f"less than {bound:g} s", seconds, bound, at_least=False)
        measures.append(
            Measure(what=f"{what}: {states:,} states", ours=samples("s", [seconds]), goals=(goal,))
        )
    return Row(name="explore", measures=tuple(measures), wrong=tuple(wrong))


# Speed


def measure_rates(names: Sequence[str], states: int, tell: Tell = silent) -> Row:
    """Transitions per second of the catalogue's classes, explored as their scenarios say."""
    measures, notes, wrong = [], list[str](), list[str]()
    for name in names:
        scenario = load(Aim(name))
        if name not in CATALOGUE or scenario.exploration is None:
            notes.append(f"{name}: its scenario declares no exploration yet")
            continue
        tell(f"{name}: {states:,} states")
        result, seconds = _timed(scenario, limits=Limits(states=states))
        progress = result.progress
        rate = progress.transitions / seconds
        measures.append(
            Measure(
                what=f"{name} as shipped, on one core",
                ours=samples("transitions/s", [rate]),
                peer=STATERIGHT,
                goals=(Goal("at least 500 k transitions/s", rate, RATE_GOAL),),
            )
        )
        notes.append(
            f"{name}: {progress.transitions:,} transitions to {progress.states:,} states, "
            f"{figure(progress.states / seconds)} states/s; {result.handlers:,} handlers ran"
        )
        if result.violates:
            wrong.append(f"{name} violates {result.violates}")
    return Row(name="explore", measures=tuple(measures), notes=tuple(notes), wrong=tuple(wrong))


# Two processes


def measure_together(name: str, states: int | None, rounds: int, tell: Tell = silent) -> Row:
    """Two processes of one search, beside two searches that know nothing of each other.

    The goal is what the two have left of a core each: half of the time that two searches take
    together, which is what the machine allows, by the time that one search by both takes.
    """
    tell(f"{name}: two processes")
    taken = in_turns(
        rounds,
        lambda: _states_each_second(_together(name, states)),
        lambda: _states_each_second(_beside_each_other(name, states)),
    )
    ours, theirs = taken
    shares = [one / other for one, other in zip(ours, theirs, strict=True)]
    goal = Goal("at least 0.8 of the two", median(shares), TOGETHER_GOAL)
    measure = Measure(
        what=f"{name} as shipped, by two processes",
        ours=samples("states/s", ours),
        peer="two searches at once, both counted",
        theirs=samples("states/s", theirs),
        goals=(goal,),
    )
    return Row(name="explore", measures=(measure,))


def _states_each_second(work: Callable[[], int]) -> float:
    started = perf_counter()
    return work() / (perf_counter() - started)


def _together(name: str, states: int | None) -> Callable[[], int]:
    limits = Limits(states=states)
    return lambda: exhaustive.explore(load(Aim(name)), jobs=2, limits=limits).progress.states


def _beside_each_other(name: str, states: int | None) -> Callable[[], int]:
    def work() -> int:
        with ProcessPoolExecutor(2, get_context("spawn")) as workers:
            return sum(workers.map(count_states, (name, name), (states, states)))

    return work


def count_states(name: str, states: int | None) -> int:
    """What a worker does: one search of its own."""
    return exhaustive.explore(load(Aim(name)), limits=Limits(states=states)).progress.states


# Reductions


def measure_reductions(models: Sequence[Reduced], tell: Tell = silent) -> Row:
    """How many states and transitions are left, beside the search that leaves out nothing."""
    measures, notes, wrong = [], list[str](), list[str]()
    for what, make, reduce, plain, states, bound in models:
        words = f"{what}, by {reduce}"
        tell(words)
        result, seconds = _timed(make(), reduce=(reduce,))
        wrong += _wrong(words, result, states)
        unit = "transitions" if reduce == "sleep" else "states"
        left, took = getattr(result.progress, unit), f"{figure(seconds)} s"
        theirs = None
        if plain is not None:
            whole, longer = _timed(make())
            wrong += _wrong(what, whole, plain)
            theirs = samples(unit, [getattr(whole.progress, unit)])
            took += f", without {figure(longer)} s"
        notes.append(f"{words}: {took}")
        goals = [Goal(f"less than {bound:g} s", seconds, bound, at_least=False)] if bound else []
        measures.append(
            Measure(
                what=words,
                ours=samples(unit, [left]),
                peer="nothing left out" if theirs else "",
                theirs=theirs,
                goals=tuple(goals),
            )
        )
    return Row(name="explore", measures=tuple(measures), notes=tuple(notes), wrong=tuple(wrong))


# Memory


class Held(NamedTuple):
    """What a search held at its end: bytes more than at its beginning, states, and frontier."""

    bytes: int
    states: int
    frontier: int


def measure_states(states: int, tell: Tell = silent) -> Row:
    """Resident memory that grows with the visited states, and what the frontier adds to it.

    Depth first the frontier is next to nothing, so all that grows is what is kept of a visited
    state: its fingerprint, and by which way it was reached. Breadth first the rest is the frontier.
    """
    if resident() == 0:
        return Row(name="explore", notes=("this platform does not tell what a process holds",))
    tell(f"memory of {states:,} states")
    deep, wide = (_in_a_process(states, breadth) for breadth in (False, True))
    each = deep.bytes / deep.states
    rest = (wide.bytes - each * wide.states) / max(wide.frontier, 1)
    goal = Goal("at most 120 bytes", each, BYTES_GOAL, at_least=False)
    return Row(
        name="explore",
        measures=(
            Measure(
                what="a visited state with its parent",
                ours=samples("bytes", [each]),
                goals=(goal,),
            ),
            Measure(what="a state in the frontier, besides", ours=samples("bytes", [rest])),
        ),
        notes=(
            f"resident memory over {deep.states:,} states, {deep.frontier:,} of them in the "
            f"frontier; breadth first {wide.states:,} and {wide.frontier:,}",
        ),
    )


def _in_a_process(states: int, is_breadth_first: bool) -> Held:
    """In one of its own, whose memory holds nothing else."""
    context: Any = get_context("spawn")
    with ProcessPoolExecutor(1, context) as worker:
        return worker.submit(search_and_look, states, is_breadth_first).result()


def search_and_look(states: int, is_breadth_first: bool) -> Held:
    """What a worker does: visit so many states, and look at what that takes."""
    held: list[tuple[int, int, int]] = []

    def look(now: Progress) -> None:
        held.append((resident(), now.states, now.frontier))

    limits = Limits(states=states, is_breadth_first=is_breadth_first)
    exhaustive.explore(two_phase.managers(9), limits=limits, report=look)
    first, (last, visited, frontier) = held[0][0], held[-1]
    return Held(last - first, visited, frontier)


def measure_millions(count: int, tell: Tell = silent) -> Row:
    """Ten million states and more, to the end."""
    what, make, _, states, *_ = managers(count)
    assert states is not None

    def report(now: Progress) -> None:
        tell(f"{what}: {now.states:,} of {states:,} states, {now.peak_bytes >> 20:,} MiB")

    result, seconds = _timed(make(), report=report)
    progress = result.progress
    each = progress.peak_bytes / progress.states
    return Row(
        name="explore",
        measures=(
            Measure(what=f"{states:,} states on one core", ours=samples("s", [seconds])),
            Measure(
                what="at its peak, the frontier included", ours=samples("bytes a state", [each])
            ),
        ),
        notes=(
            f"{what}: {progress.transitions:,} transitions, "
            f"{figure(progress.transitions / seconds)} a second; {progress.peak_bytes >> 20:,} MiB",
        ),
        wrong=_wrong(what, result, states),
    )
