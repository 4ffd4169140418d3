"""From a failing run to the few decisions that it rests on.

Every decision is tried at its quiet default, many at once and then fewer (delta debugging: Zeller
and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002), and
every fault is tried away, and tried sooner. What is kept fails still, by the same property.
"""

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

import msgspec

from quorate.explore.outcome import (
    LINEARIZABILITY,
    PROGRESS,
    Outcome,
    judge,
    judge_world,
)
from quorate.explore.replay import causes_of
from quorate.kernel.env import ms
from quorate.scenario.conditions import LOST
from quorate.scenario.fault import Fault
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import Schedule
from quorate.scenario.tape import Label, Tape
from quorate.simulate.world import World
from quorate.trace.causality import causal_past

Unit = tuple[Label, Any, bool]
"""A decision or a fault that may go: its label, its value, and whether it is a fault."""

Progress = Callable[[int, int], None]
"""Called after each attempt with how many attempts were made and how many decisions are left."""


class Shrunk(msgspec.Struct):
    """What is left of a failing run.

    Attributes:
        tape: what is left; running it fails.
        outcome: that run.
        seed: where it comes from, if from a seed: not always the one that was asked about.
        attempts: how many runs it took.
        is_minimal: whether every single decision left was tried away in vain; if not, the budget
            ended first.
    """

    tape: Tape
    outcome: Outcome
    seed: int | None
    attempts: int
    is_minimal: bool


def shrink(
    scenario: Scenario,
    found: Outcome,
    seconds: float = 20.0,
    progress: Progress | None = None,
    more_seeds: Iterable[int] = (),
) -> Shrunk:
    """Shrink a failing run within a budget of wall-clock seconds.

    A failure in a wild world can be hard to tell from the noise around it. If a few seconds do not
    leave few decisions, other runs of `more_seeds` that fail by the same property get as many, for
    a while, but no more than half of the budget; the rest goes to the simplest. An interrupt
    (Ctrl-C) ends it with what is left until then.
    """
    started = monotonic()
    end = started + seconds
    turn = min(TURN_SECONDS, seconds / 3)
    simplest = _Shrinker(scenario, found, progress)
    try:
        simplest.shrink(monotonic() + turn)
        for seed in more_seeds:
            is_fair = simplest.is_minimal and simplest.size <= 2 * FEW
            patience = FAIR_SECONDS if is_fair else PATIENCE_SECONDS
            if simplest.is_done() or monotonic() > started + min(patience, seconds / 2):
                break
            outcome = judge(scenario, Tape(seed))
            if outcome.violation and outcome.violation.property == simplest.violated:
                other = _Shrinker(scenario, outcome, progress)
                other.shrink(monotonic() + turn)
                simplest = min(simplest, other, key=lambda shrinker: shrinker.size)
        if not simplest.is_minimal:
            simplest.shrink(end)
    except KeyboardInterrupt:
        simplest.is_minimal = False
    return simplest.result()


TURN_SECONDS = 3.0
"""What one failure may take before another is looked at."""
PATIENCE_SECONDS = 15.0
"""How long others are looked at while the simplest so far is large, or is not shrunk yet."""
FAIR_SECONDS = 6.0
"""As long as that if it is neither."""
FEW = 12
"""So few decisions are what a reader can take in."""


class _Shrinker:
    def __init__(
        self,
        scenario: Scenario,
        found: Outcome,
        progress: Progress | None,
    ) -> None:
        assert found.violation is not None
        self.violated = found.violation.property
        self._seed = found.world.tape.seed
        self._scenario = scenario
        self._deadline = 0.0
        self.is_minimal = False
        self._progress = progress
        self._attempts = 0
        self._configuration = found.world.configuration.name
        if self.violated == LINEARIZABILITY:
            found = judge_world(found.world, explained=True)
        self._found = found
        self._seen_at = _seen_at(found)
        self._best = found
        self._units: list[Unit] = []
        self._keep(found)

    @property
    def size(self) -> int:
        """How many decisions are left."""
        return len(self._units)

    def is_done(self) -> bool:
        """Whether nothing more can go, and few decisions are left."""
        return self.is_minimal and self.size <= FEW

    def shrink(self, deadline: float) -> None:
        """Whole kinds of decisions at once, then delta debugging within each, while time lasts."""
        self._deadline = deadline
        self._to_first_configuration()
        self._without(self._without_consequence())
        self._kind_by_kind()
        size, moved = len(self._units) + 1, False
        while (moved or len(self._units) < size) and not self._is_over():
            size = len(self._units)
            for belongs in KINDS:
                self._reduce(belongs)
            self._kind_by_kind()
            moved = self._let_faults_strike_earlier()
        self.is_minimal = not self._is_over()

    def result(self) -> Shrunk:
        """What is left. If something else fails in runs of full length, that is all there was."""
        if self._seen_at is not None:
            whole = self._run(self._scenario, self._units, self._configuration)
            if whole is None:
                self._configuration, self.is_minimal = self._found.world.configuration.name, False
            self._keep(whole or self._found)
        tape = _tape(self._units, self._configuration)
        return Shrunk(tape, self._best, self._seed, self._attempts, self.is_minimal)

    def _kind_by_kind(self) -> None:
        for belongs in KINDS:
            self._without([unit for unit in self._units if belongs(unit)])
        self._without(self._idle_timers())

    def _without_consequence(self) -> list[Unit]:
        """Decisions about events that are not in the failure's causal past."""
        records = self._best.world.records
        assert self._best.violation is not None
        violation = self._best.violation
        ends = [violation.record, *violation.witnesses]
        if self._best.explanation is not None:
            ends += self._best.explanation.trace_events()
        past = set[int]().union(*(causal_past(records, end) for end in ends))
        labels = {(records[id].series.removesuffix(" again"), records[id].ordinal) for id in past}
        return [unit for unit in self._units if unit[0] not in labels]

    def _idle_timers(self) -> list[Unit]:
        """Durations of timers that were cancelled, replaced or lost before they fired."""
        fired = {(r.series, r.ordinal) for r in self._best.world.records if r.kind == "fire"}
        return [u for u in self._units if u[0][0].startswith("fire") and u[0] not in fired]

    def _to_first_configuration(self) -> None:
        first = self._scenario.configurations[0].name
        if self._configuration != first:
            outcome = self._try(self._units, first)
            if outcome is not None:
                self._configuration = first
                self._keep(outcome)

    def _reduce(self, belongs: Callable[[Unit], bool]) -> None:
        """Delta debugging among the units of one kind."""
        pieces = 2
        while not self._is_over():
            mine = [unit for unit in self._units if belongs(unit)]
            if not mine:
                return
            length = max(1, len(mine) // pieces)
            gone = False
            for start in range(0, len(mine), length):
                chunk = mine[start : start + length]
                gone |= self._without(chunk)
                if self._is_over():
                    return
            if length == 1 and not gone:
                return
            if not gone or pieces < len(mine):
                pieces = min(2 * pieces, len(mine))

    def _let_faults_strike_earlier(self) -> bool:
        """Less happens around faults that strike sooner: each alone, then those at one event."""
        moved = False
        for unit in [unit for unit in self._units if unit[2]]:
            moved |= self._strike_earlier([unit])
        together: dict[Label, list[Unit]] = {}
        for unit in self._units:
            if unit[2]:
                together.setdefault(unit[0], []).append(unit)
        for units in together.values():
            moved |= len(units) > 1 and self._strike_earlier(units)
        return moved

    def _strike_earlier(self, units: list[Unit]) -> bool:
        """Move faults of one event to the soonest one, found by halving, that still fails."""
        moved, labels = False, self._labels_before(units[0][0])
        low, high = 0, len(labels)
        while low < high and not self._is_over():
            middle = (low + high) // 2
            there = [(labels[middle], fault, True) for _, fault, _ in units]
            if self._moved(units, there):
                units, high, moved = there, middle, True
            else:
                low = middle + 1
        return moved

    def _labels_before(self, label: Label) -> list[Label]:
        """The events before that one in the failure's causal past, first to last."""
        records = self._best.world.records
        assert self._best.violation is not None
        past = causal_past(records, self._best.violation.record)
        labels = [(records[id].series, records[id].ordinal) for id in sorted(past)]
        return labels[: labels.index(label)] if label in labels else []

    def _moved(self, units: list[Unit], there: list[Unit]) -> bool:
        """Exchange these faults for those; keep it if the failure comes no later."""
        rest = [unit for unit in self._units if unit not in units]
        if len(rest) + len(units) != len(self._units):
            return False  # They are gone by now.
        outcome = self._try([*rest, *there], self._configuration)
        if outcome is None or len(outcome.world.records) > len(self._best.world.records):
            return False
        self._keep(outcome)
        return True

    def _without(self, units: Sequence[Unit]) -> bool:
        """Try the run without these; keep it if it still fails."""
        removed = {(unit[0], unit[2], id(unit[1])) for unit in units}
        rest = [u for u in self._units if (u[0], u[2], id(u[1])) not in removed]
        if len(rest) == len(self._units) or self._is_over():
            return False
        outcome = self._try(rest, self._configuration)
        if outcome is None:
            return False
        self._keep(outcome)
        return True

    def _try(self, units: Sequence[Unit], configuration: str) -> Outcome | None:
        self._attempts += 1
        outcome = self._run(self._bounded(), units, configuration)
        if self._progress is not None:
            self._progress(self._attempts, len(self._units))
        return outcome

    def _run(self, scenario: Scenario, units: Sequence[Unit], configuration: str) -> Outcome | None:
        world = World(scenario, _tape(units, configuration))
        world.run()
        if world.violation is None and self.violated not in (LINEARIZABILITY, PROGRESS):
            return None
        outcome = judge_world(world)
        violation = outcome.violation
        return outcome if violation and violation.property == self.violated else None

    def _bounded(self) -> Scenario:
        """No attempt runs much longer than the failure needs."""
        scenario, world = self._scenario, self._best.world
        failed_at = self._seen_at if world.violation is None else world.records[-1].time
        if failed_at is None or failed_at >= scenario.heal:
            return scenario
        return msgspec.structs.replace(scenario, duration=failed_at + ms(100))

    def _keep(self, outcome: Outcome) -> None:
        """What has not come up in the run is no part of it any more."""
        tape = outcome.world.tape
        units: list[Unit] = [(label, value, False) for label, value in tape.entries().items()]
        reached = {(record.series, record.ordinal) for record in outcome.world.records}
        units += [
            (label, fault, True)
            for label, faults in tape.faults().items()
            for fault in faults
            if label in reached
        ]
        self._best, self._units = outcome, units  # Together: an interrupt may come at any time.

    def _is_over(self) -> bool:
        return monotonic() >= self._deadline


def _seen_at(outcome: Outcome) -> int | None:
    """When clients have seen what cannot be; None if it is not they who tell."""
    if outcome.explanation is None or outcome.violation is None:
        return None
    return outcome.world.records[outcome.violation.record].time


def _is_pace(unit: Unit) -> bool:
    return unit[0][0].startswith(("batch", "sync", "store"))


def _is_delay(unit: Unit) -> bool:
    return unit[0][0].startswith("deliver") and isinstance(unit[1], int) and unit[1] != LOST


KINDS: tuple[Callable[[Unit], bool], ...] = (
    _is_pace,
    _is_delay,
    lambda unit: unit[0][0].startswith("fire"),
    lambda unit: unit[0][0].startswith("choose"),
    lambda unit: unit[2],
    lambda unit: unit[0][0].startswith("invoke"),
    lambda unit: unit[0][0].startswith("deliver"),
)
"""The kinds of units, in the order in which they are best done without."""


def _tape(units: Sequence[Unit], configuration: str) -> Tape:
    entries: dict[Label, Any] = {}
    faults: dict[Label, list[Fault]] = {}
    for label, value, is_fault in units:
        if is_fault:
            faults.setdefault(label, []).append(value)
        else:
            entries[label] = value
    return Tape(None, entries, faults, configuration)


def schedule_of(outcome: Outcome, *, seed: int | None, nodes: int) -> Schedule:
    """A run as a schedule, whether it was shrunk or not."""
    world = outcome.world
    entries = world.tape.entries()
    return Schedule(
        scenario=world.scenario.name,
        nodes=nodes,
        configuration=world.configuration.name,
        violates=outcome.violation.property if outcome.violation else "",
        seed=seed,
        entries=entries,
        faults=world.tape.faults(),
        causes=causes_of(world.records, entries),
    )
