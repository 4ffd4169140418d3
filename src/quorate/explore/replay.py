"""A schedule, run again: does it still fail, and if it no longer fits, where did it part?"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import DEADLOCK, LINEARIZABILITY, Outcome, judge_world
from quorate.explore.report import steps_led_to
from quorate.kernel.env import Env
from quorate.kernel.node import Event, Node, step
from quorate.kernel.properties import PropertyKind
from quorate.scenario.exploration import Exploration
from quorate.scenario.notation import format_duration, format_label, parse_label
from quorate.scenario.scenario import EXPLORED, Scenario
from quorate.scenario.schedule import Schedule
from quorate.scenario.tape import Label
from quorate.simulate.ordered import order_of, run_ordered
from quorate.simulate.world import RunStep, World
from quorate.trace.record import Record, Violation
from quorate.verdict import Verdict


class Parting(msgspec.Struct, frozen=True):
    """One place where the run could not follow the schedule.

    `event` is the label of the event at which that showed, "" if it cannot be told.
    """

    event: str
    text: str


class Replayed(msgspec.Struct):
    """A schedule, and what became of it."""

    schedule: Schedule
    outcome: Outcome
    partings: list[Parting]

    @property
    def verdict(self) -> Verdict:
        """Whether it fails; a schedule that was not followed, and did not fail, says nothing.

        That few clients asked for anything is as it should be: the rest was shrunk away.
        """
        outcome = self.outcome
        if outcome.violation is not None:
            return Verdict.FAIL
        history_decides = self.schedule.violates == LINEARIZABILITY
        if self.partings or outcome.world.exhausted or (history_decides and outcome.reason):
            return Verdict.UNKNOWN
        return Verdict.PASS

    @property
    def is_same_failure(self) -> bool:
        """Whether it fails, and by the property that the schedule names."""
        violation = self.outcome.violation
        return violation is not None and violation.property == self.schedule.violates

    def causal_steps(self) -> int:
        """How many steps are in the failure's causal past."""
        return steps_led_to(self.outcome)

    def sentence(self) -> str:
        """What came of it, in one sentence."""
        violation, named = self.outcome.violation, self.schedule.violates
        if violation is not None:
            if not named or self.is_same_failure:
                return f"it {'still ' if named else ''}violates {violation.property}"
            return f"it violates {violation.property} now, not {named}"
        what = "it does not fail" if not named else f"it no longer violates {named}"
        if self.partings:
            first = self.partings[0]
            at = f"it parted at {first.event}: " if first.event else ""
            return f"{what}, but it does not fit any more: {at}{first.text}"
        if self.verdict is Verdict.UNKNOWN:
            return f"{what}, but nothing is certain: {self.outcome.reason}"
        return what


def scenario_of(schedule: Schedule) -> Scenario:
    """The scenario that a schedule is for. Raises Mistake if there is none."""
    scenario = load(Aim(schedule.scenario, nodes=schedule.nodes)).judged_by(schedule.only)
    if schedule.configuration != EXPLORED:
        return scenario
    exploration = scenario.exploration or Exploration()
    nodes = schedule.nodes or exploration.nodes
    return scenario.explored(msgspec.structs.replace(exploration, nodes=nodes))


def replay(
    schedule: Schedule,
    *,
    scenario: Scenario | None = None,
    explained: bool = True,
    run_step: RunStep = step,
) -> Replayed:
    """Run a schedule and judge the run. `run_step` runs each step, as `kernel.step` does."""
    known = scenario or scenario_of(schedule)
    if schedule.order is not None:
        return _replay_ordered(schedule, known, explained)
    watch = _Watch(run_step)
    world = watch.world = World(known, schedule.tape(), watch.step)
    world.run()
    watch.look()
    outcome = judge_world(world, explained=explained)
    return Replayed(schedule, outcome, _partings(schedule, world, watch.misfits))


def _replay_ordered(schedule: Schedule, scenario: Scenario, explained: bool) -> Replayed:
    assert schedule.order is not None
    world = run_ordered(scenario, schedule.tape(), schedule.order)
    texts = [*world.misfits, *([world.impossible] if world.impossible else [])]
    outcome = judge_world(world, explained=explained)
    if outcome.violation is None:
        outcome.violation = _at_its_end(schedule, scenario, world)
        if outcome.violation is not None:
            outcome.verdict = Verdict.FAIL
    return Replayed(schedule, outcome, [Parting("", text) for text in texts])


def _at_its_end(schedule: Schedule, scenario: Scenario, world: World) -> Violation | None:
    """What an exploration says of the state where its path ends: that there is no way on.

    A replay can only show the state; that nothing better can come is the exploration's word.
    """
    nodes, last = [world.hosts[id].released for id in world.servers], len(world.records) - 1
    ends = scenario.exploration.ends if scenario.exploration else None
    if schedule.violates == DEADLOCK and ends is not None and not ends(nodes):
        return Violation(
            DEADLOCK, last, "Nothing can happen any more, and the servers are not done."
        )
    for claim in scenario.properties or ():
        is_meant = claim.kind is PropertyKind.EVENTUALLY and claim.name == schedule.violates
        if is_meant and not claim.check(nodes):
            return Violation(claim.name, last, f"{claim.doc} From here on it cannot come true.")
    return None


def ordered(replayed: Replayed) -> Schedule:
    """The same run as an order of events, from which the times follow."""
    world = replayed.outcome.world
    entries = {
        label: value
        for label, value in world.tape.entries().items()
        if label[0].startswith(("choose", "invoke"))
    }
    order = order_of(world.records, world.tape.faults())
    return msgspec.structs.replace(
        replayed.schedule, entries=entries, faults={}, causes={}, order=order
    )


class _Watch:
    """Notes at which record each misfit of the tape showed."""

    world: World

    def __init__(self, run_step: RunStep) -> None:
        self._run_step = run_step
        self._last = -1
        self.misfits: list[tuple[int, str]] = []

    def step(self, node: Node, event: Event, env: Env) -> Node:
        self.look()
        self._last = len(self.world.records)
        return self._run_step(node, event, env)

    def look(self) -> None:
        """What is new came with the step before."""
        for text in self.world.misfits[len(self.misfits) :]:
            self.misfits.append((self._last, text))


# Where a run and its schedule part


class _Came(NamedTuple):
    """A label that came up: at which record, and by which one."""

    record: int
    cause: str


def _partings(schedule: Schedule, world: World, misfits: list[tuple[int, str]]) -> list[Parting]:
    """All of them, in the order in which they showed; what never came up at all is last."""
    records = world.records
    places = {(record.series, record.ordinal): record.id for record in records}
    found = list(misfits)
    came = _came(records) if schedule.causes else {}
    for label, cause in schedule.causes.items():
        if label in came and came[label].cause != cause:
            text = f"{format_label(label)} was caused by {came[label].cause}, not by {cause}"
            found.append((came[label].record, text))
    never = len(records)
    causes = {format_label(label): id for label, id in places.items()}
    for label in world.tape.unmatched(places.__contains__):
        at = causes.get(schedule.causes.get(label, ""), never)
        found.append((at, f"{format_label(label)} never came up{_instead(label, world, places)}"))
    found.sort(key=lambda parting: parting[0])
    return [Parting(_event(records, at), text) for at, text in found]


def _event(records: list[Record], at: int) -> str:
    """`deliver n1→n2 Vote #0 (@17, 12.5ms)`."""
    if not 0 <= at < len(records):
        return ""
    return f"{records[at].label} (@{at}, {format_duration(records[at].time)})"


def _came(records: list[Record]) -> dict[Label, _Came]:
    """Every message and timer of the run, with its cause."""
    came: dict[Label, _Came] = {}
    for record in records:
        if record.kind == "fire":
            cause = records[record.cause].label
            came[record.series, record.ordinal] = _Came(record.id, cause)
        for flight in record.flights:
            at = flight.fate if flight.fate >= 0 else record.id
            came[flight.series, flight.ordinal] = _Came(at, record.label)
    return came


def causes_of(records: list[Record], labels: Mapping[Label, object]) -> dict[Label, str]:
    """By what each of these decisions came up, for those that messages and timers are about."""
    return {label: found.cause for label, found in _came(records).items() if label in labels}


def _instead(label: Label, world: World, places: Mapping[Label, int]) -> str:
    """What came up that is like it, so that a misspelt line is soon mended."""
    name, _ = label
    series = world.tape.series.get(name)
    count = series.count if series else sum(other == name for other, _ in places)
    if count:
        return f": there were only {count} of these, from #0 on"
    names = sorted({*world.tape.series, *(other for other, _ in places)})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; the nearest that did is {near[0]}" if near else ""


def find_event(event: str, records: Sequence[Record], option: str) -> int:
    """The record that a person names by its number, as @17, or by its label. Raises Mistake."""
    match = re.fullmatch(r"@(\d{1,9})", event.strip())
    if match is not None:
        id = int(match[1])
        if id >= len(records):
            raise Mistake(f"{option}: there is no event @{id}; the last is @{len(records) - 1}")
        return id
    try:
        label = parse_label(event)
    except ValueError as error:
        raise Mistake(f"{option}: {error}, or a number such as @17") from error
    for record in records:
        if (record.series, record.ordinal) == label:
            return record.id
    raise Mistake(f"{option}: {format_label(label)} never came up in this run")
