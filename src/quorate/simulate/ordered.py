"""Runs in which the order is given and the times follow from it.

An ordered schedule lists every event, first to last. Each event happens as early as its own bounds
allow, but not before the one listed ahead of it: a message at any time after it was sent, a timer
within the bounds that it was set with. An order in which some timer would have had to fire earlier
than it is listed is one that no timing allows; the run goes on all the same, and says so.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from quorate.scenario.fault import Fault
from quorate.scenario.notation import format_fault, format_label, parse_fault
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Label, Tape
from quorate.simulate.host import Due, Pending
from quorate.simulate.world import NEVER, World
from quorate.trace.record import Flight, Record

Event = Label | Fault
AGAIN = " again"
CALM: Label = ("calm", 0)


def order_of(records: Sequence[Record], faults: dict[Label, list[Fault]]) -> list[Event]:
    """The order of a run: the label of each event, and each fault where it struck."""
    order: list[Event] = []
    calmed = -1
    for record in records:
        if (record.series, record.ordinal) == CALM:
            calmed = record.id
        elif record.kind == "fault":
            fault = parse_fault(record.detail)
            # What the calm itself mends is not told again.
            if calmed < 0 or record.cause != calmed or fault in faults.get(CALM, ()):
                order.append(fault)
            continue
        if record.kind != "start":
            order.append((record.series, record.ordinal))
    return order


class _Limit(msgspec.Struct):
    """Event `end` must come at least `low`, at most `high` nanoseconds after event `start`."""

    name: str
    start: int
    end: int
    low: int
    high: int


class OrderedWorld(World):
    """A world that takes its order from a list; `misfits` also tells which events could not happen.

    Attributes:
        impossible: the first reason why no timing allows the order; "" if one does.
    """

    def __init__(
        self, scenario: Scenario, tape: Tape, order: Sequence[Event], times: Sequence[int] = ()
    ) -> None:
        super().__init__(scenario, tape)
        self._order = order
        self._times = times
        self._passed: list[int] = []
        self._limits: list[_Limit] = []
        self._running: list[tuple[Pending, int]] = []
        self._late: dict[int, Pending] = {}  # Whose node was paused: they may fire later.
        self.impossible = ""

    def _loop(self) -> None:
        for index, event in enumerate(self._order):
            if self._times:
                self.time = max(self.time, self._times[index])
            if not isinstance(event, tuple):
                if not self.faults.strike(event, len(self.records) - 1):
                    self.misfits.append(f"{format_fault(event)}: it makes no sense here")
            elif event == CALM:
                self._heal(None)
            else:
                self._happen(event, index)
            self._passed.append(self.time)
            self._note_timers(index)
            if self.violation is not None:
                return
            if self.steps > self.scenario.steps:
                self.exhausted = True
                return

    def _happen(self, label: Label, index: int) -> None:
        entry = self._find(label)
        if entry is None:
            self.misfits.append(f"{format_label(label)}: nothing of that name is to come here")
            return
        if self.scenario.ordered_links and (first := self._overtaken(entry)):
            self.misfits.append(
                f"{format_label(label)}: its link keeps order, and {first} is first"
            )
            return
        time, _, action, subject = entry
        if entry in self._heap:
            self._heap.remove(entry)
        self.time = max(self.time, _earliest(subject, time))
        for pending, since in self._running:
            if pending is subject:
                low = pending.low - self._at(since)
                high = NEVER if id(pending) in self._late else pending.high - self._at(since)
                self._limits.append(_Limit(format_label(label), since, index, low, high))
                self._running.remove((pending, since))
                break
        action(subject)

    def _at(self, index: int) -> int:
        return self._passed[index] if index >= 0 else 0

    def _note_timers(self, index: int) -> None:
        """A timer that is still set had to wait for all that has happened so far."""
        known = {id(pending) for pending, _ in self._running}
        still = []
        for pending, since in self._running:
            name = f"{pending.series.name} #{pending.ordinal}"
            if pending.host.paused:
                self._late[id(pending)] = pending
            if id(pending) not in self._late:
                high = pending.high - self._at(since)
                self._limits.append(_Limit(name, since, index, 0, high))
            if self._is_set(pending):
                still.append((pending, since))
        for host in self.hosts.values():
            still += [(p, index) for p in host.timers.values() if id(p) not in known]
        self._running = still

    def feasible(self) -> list[int] | None:
        """Times that keep every limit, or None, and then `impossible` says which one cannot be.

        Limits are differences of two times, so the least solution is a longest path; if there is
        none, some event is pushed ahead without end.
        """
        times = list(self._passed)
        for _ in range(2 * len(times) + 2):
            broken = None
            for index in range(1, len(times)):
                times[index] = max(times[index], times[index - 1])
            for limit in self._limits:
                start = times[limit.start] if limit.start >= 0 else 0
                times[limit.end] = max(times[limit.end], start + limit.low)
                if times[limit.end] > start + limit.high:
                    broken = limit
                    if limit.start < 0:
                        break
                    times[limit.start] = times[limit.end] - limit.high
            if broken is None:
                return times
            if times[-1] > 10 * self.scenario.duration:
                break
        assert broken is not None
        event = self._order[broken.end]
        what = format_label(event) if isinstance(event, tuple) else format_fault(event)
        self.impossible = f"{broken.name} would have had to fire before {what}"
        return None

    def _find(self, label: Label) -> tuple[int, int, Any, Any] | None:
        """What is pending under a label; a message may arrive twice."""
        series, ordinal = label
        for entry in self._heap:
            subject = entry[3]
            if subject is None or (isinstance(subject, Pending) and not self._is_set(subject)):
                continue
            if subject.ordinal == ordinal and _series(subject) == series:
                return entry
        if series.startswith("deliver"):
            return self._duplicate(series, ordinal)
        for host in self.hosts.values():
            for pending in host.timers.values():
                if pending.ordinal == ordinal and pending.series.name == series:
                    return pending.due, pending.place, self._fire, pending
        return None

    def _overtaken(self, entry: tuple[int, int, Any, Any]) -> str:
        """A message that was sent before this one on the same link, and is still under way."""
        _, place, _, subject = entry
        for _, other, _, flight in sorted(self._heap, key=lambda pending: pending[1]):
            if other >= place or not isinstance(subject, Flight):
                return ""
            if not isinstance(flight, Flight) or flight.lost:
                continue
            if (flight.source, flight.target) == (subject.source, subject.target):
                return format_label((flight.series, flight.ordinal))
        return ""

    def _duplicate(self, series: str, ordinal: int) -> tuple[int, int, Any, Any] | None:
        original = series.removesuffix(AGAIN)
        for record in reversed(self.records):
            for flight in record.flights:
                if flight.series == original and flight.ordinal == ordinal:
                    copy = Flight(
                        f"{original}{AGAIN}", ordinal, flight.origin, flight.source,
                        flight.target, flight.message, flight.sent,
                    )  # fmt: skip
                    record.flights.append(copy)
                    return self.time, 0, self._deliver, copy
        return None

    def _is_set(self, pending: Pending) -> bool:
        return pending.host.timers.get(pending.timer) is pending


def run_ordered(scenario: Scenario, tape: Tape, order: Sequence[Event]) -> OrderedWorld:
    """Run an order to its end or to the first violation, at times that fit it if there are any."""
    world = OrderedWorld(scenario, tape, order)
    world.run()
    times = world.feasible()
    if times is None or times == world._passed:
        return world
    again = OrderedWorld(scenario, copy_of(tape), order[: len(times)], times)
    again.run()
    return again


def copy_of(tape: Tape) -> Tape:
    """The same decisions, for another run: a tape that has been run holds that run's series."""
    return Tape(tape.seed, tape.entries(), tape.faults(), tape.configuration)


def _earliest(subject: Any, time: int) -> int:
    if isinstance(subject, Flight):
        return subject.sent
    if isinstance(subject, Pending | Due):
        return subject.low
    return time


def _series(subject: Any) -> str:
    return subject.series if isinstance(subject, Flight) else subject.series.name
