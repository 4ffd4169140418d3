"""Mutants of Raft, Paxos and ABD: how soon each is found and shrunk, and to how little."""

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from time import monotonic
from typing import Any

import msgspec

from quorate.bench.options import Options, Tell, silent
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.explore.catalogue import Aim, load
from quorate.explore.hunt import Found, Tally, hunt, ignore_interrupts, shrink_seed
from quorate.scenario.mutant import Mutant

JOBS = 2
SECONDS = 60.0
MEDIAN_SECONDS = 5.0
MEDIAN_DECISIONS = 10
PROTOCOLS = ("raft", "paxos", "abd")


class _Trial(msgspec.Struct, frozen=True):
    """One mutant, and what became of it within its time."""

    name: str
    seconds: float
    found: Found | None


def mutants(options: Options) -> Row:
    """Every mutant that the default campaign must find; with `quick` two of each protocol."""
    aims = [
        Aim(f"{name}@{mutant.name}")
        for name in PROTOCOLS
        for mutant in _required(name)[: 2 if options.quick else None]
    ]
    return measure_mutants(aims, options.seed, options.tell)


def _required(name: str) -> list[Mutant]:
    """Without those that break nothing, or need more than the default campaign."""
    known = load(Aim(name)).mutants
    return [mutant for mutant in known if not mutant.needs and not mutant.equivalent]


def measure_mutants(aims: Sequence[Aim], first: int, tell: Tell = silent) -> Row:
    """Hunt each on two cores, from the same fresh seed, and shrink what was found."""
    trials: list[_Trial] = []
    context: Any = get_context("spawn")
    with ProcessPoolExecutor(JOBS, context, initializer=ignore_interrupts) as pool:
        for aim in aims:
            trials.append(_try(aim, first, pool))
            last = trials[-1]
            size = f"{last.found.decisions} decisions" if last.found else "not found"
            tell(f"{len(trials)}/{len(aims)} {last.name}: {last.seconds:.1f} s, {size}")
    return _row(trials, first)


def _try(aim: Aim, first: int, pool: Executor) -> _Trial:
    started = monotonic()
    tally = hunt(Tally(aim, first), seconds=SECONDS, executor=pool, jobs=JOBS)
    if not tally.failures:
        return _Trial(aim.name, monotonic() - started, None)
    left = max(SECONDS - (monotonic() - started), 1.0)
    found = shrink_seed(aim, tally.failures[0].seed, left)
    return _Trial(aim.name, monotonic() - started, found)


def _row(trials: Sequence[_Trial], first: int) -> Row:
    seconds = [trial.seconds for trial in trials]
    found = [trial.found for trial in trials if trial.found is not None]
    decisions = [result.decisions for result in found]
    everyone = f"each of {len(trials)} mutants found and shrunk"
    measures = [
        Measure(
            what=everyone,
            ours=samples("s", seconds),
            goals=(
                Goal("all of them found", len(found), len(trials)),
                Goal("all in less than 60 s", max(seconds), SECONDS, at_least=False),
                Goal("median less than 5 s", median(seconds), MEDIAN_SECONDS, at_least=False),
            ),
        )
    ]
    if decisions:
        goal = Goal(
            "median at most 10 decisions", median(decisions), MEDIAN_DECISIONS, at_least=False
        )
        size = samples("decisions", decisions)
        measures.append(Measure(what="what is left of a failure", ours=size, goals=(goal,)))
    steps = [result.causal_steps for result in found]
    if steps:
        size = samples("steps", steps)
        measures.append(Measure(what="steps in a failure's causal past", ours=size))
    return Row(name="mutants", measures=tuple(measures), notes=_notes(trials, first))


def _notes(trials: Sequence[_Trial], first: int) -> tuple[str, ...]:
    notes = [f"on {JOBS} cores, from seed {first}"]
    for trial in sorted(trials, key=lambda trial: -trial.seconds)[:5]:
        what = "not found"
        if trial.found is not None:
            found = trial.found
            rest = "" if found.is_minimal else ", not minimal yet"
            what = f"{found.failure.property}, {found.decisions} decisions{rest}"
        notes.append(f"slow: {trial.name}: {trial.seconds:.1f} s: {what}")
    large = [t for t in trials if t.found is not None and t.found.decisions > MEDIAN_DECISIONS]
    notes += (f"large: {t.name}: {t.found.decisions} decisions" for t in large if t.found)
    return tuple(notes)
