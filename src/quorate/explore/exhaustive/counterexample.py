"""A path of an exploration, played in the simulated world: the same story, page and schedule.

The world runs the same nodes; each move names the event that is pending there. What comes out is a
schedule that gives the order of events, and replays like any other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.progress import Failed
from quorate.explore.exhaustive.way import Move
from quorate.kernel.node import Operation
from quorate.kernel.values import NodeId
from quorate.scenario.fault import Crash, Fault, Restart
from quorate.scenario.scenario import EXPLORED, Scenario
from quorate.scenario.schedule import Schedule
from quorate.scenario.tape import Label, Tape
from quorate.simulate.host import Due, Host
from quorate.simulate.ordered import AGAIN, OrderedWorld
from quorate.simulate.world import FRACTION, World
from quorate.trace.record import Flight

Event = Label | Fault


class Prefix(msgspec.Struct, frozen=True):
    """What happens before a path begins: events and faults, decisions, and the configuration."""

    order: tuple[Event, ...] = ()
    entries: dict[Label, Any] = {}
    configuration: str = EXPLORED


BEGINNING = Prefix()


def schedule_of(
    scenario: Scenario, failed: Failed, moves: Moves, prefix: Prefix = BEGINNING
) -> Schedule:
    """The failure that an exploration of these moves has found, as a schedule that replays it.

    Inside a call, which is one transition, another property may have failed before.
    """
    path = [move for way in failed.path for move in way.moves]
    follower = Follower(scenario, path, moves, prefix)
    follower.run()
    return Schedule(
        scenario=scenario.name,
        nodes=scenario.nodes,
        configuration=prefix.configuration,
        violates=follower.violation.property if follower.violation else failed.property,
        entries=follower.entries(),
        order=follower.order,
    )


class Follower(OrderedWorld):
    """A world in which moves happen one after the other.

    Attributes:
        order: what has happened, by the labels of the tape.
        seen: what `look` made of the world after the prefix, mended and synced.
    """

    def __init__(
        self,
        scenario: Scenario,
        path: Sequence[Move],
        moves: Moves | None,
        prefix: Prefix,
        look: Callable[[World], Any] | None = None,
    ) -> None:
        self.order: list[Event] = []
        self.seen: Any = None
        self._moves = moves
        self._path = path
        self._prefix = prefix
        self._look = look
        self._answers = deque(choice for move in path for choice in move.choices)
        self._follows = not prefix.order
        entries = {**prefix.entries, **_invocations(scenario, path, prefix)}
        super().__init__(scenario, Tape(None, entries, {}, prefix.configuration), ())

    def entries(self) -> dict[Label, Any]:
        """The decisions that an order does not tell: choices, and what clients asked."""
        return {
            label: value
            for label, value in self.tape.entries().items()
            if label[0].startswith(("choose", "invoke"))
        }

    def _loop(self) -> None:
        for event in self._prefix.order:
            if self.violation is None:
                self._let(event) if isinstance(event, tuple) else self._strike(event)
        if self._prefix.order:
            for fault in self.faults.remedies():
                self._strike(fault)
        for id in self.servers:
            self._sync(self.hosts[id])
        self._follows = True
        if self._look is not None and self.violation is None:
            self.seen = self._look(self)
        for move in self._path:
            is_over = move.kind == "lose" or self.violation is not None
            if not is_over and (not move.is_start or move.also is not None):
                self._follow(move)

    def _follow(self, move: Move) -> None:
        assert self._moves is not None
        host = self.hosts[self._moves.machines[move.slot].id]
        if move.kind == "ignore":
            self._let(self._arriving(move.takes))
        elif move.kind == "restart":
            self._strike(Restart(host.id))
            self._sync(host)
        elif move.kind != "wait":
            self._play(host, move)

    def _play(self, host: Host, move: Move) -> None:
        assert self._moves is not None
        if not move.is_start:
            self._step(host, move)
        if move.crash is not None and self.violation is None:
            sends = None if move.crash.of is None else move.crash.sends
            self._strike(Crash(host.id, 0, sends))
            if self._moves.locals[move.after].up:
                self._strike(Restart(host.id))
                self._sync(host)
        if move.also is not None and self.violation is None:
            self._let(self._label("invoke", host, move))

    def _step(self, host: Host, move: Move) -> None:
        """Let the event happen, and what a crash does not cut off of its sync."""
        kind = move.crash.of if move.crash else move.kind
        if kind is not None:
            self._let(self._label(kind, host, move))
        is_lost = move.crash is not None and not move.crash.is_kept
        if not is_lost and self.violation is None:
            self._sync(host)

    def _sync(self, host: Host) -> None:
        """End the node's batch and sync its disk, if it has written anything."""
        while host.unsynced and self.violation is None:
            self._let(self._due(host, _ends_step))

    def _let(self, label: Label) -> None:
        self.order.append(label)
        self._happen(label, len(self.order) - 1)
        self._passed.append(self.time)

    def _strike(self, fault: Fault) -> None:
        self.order.append(fault)
        self.faults.strike(fault, len(self.records) - 1)
        self._passed.append(self.time)

    # Which pending event a move is

    def _label(self, kind: str, host: Host, move: Move) -> Label:
        if kind == "deliver":
            return self._arriving(move.takes)
        if kind == "fire":
            pending = host.timers[move.event]
            return pending.series.name, pending.ordinal
        if kind == "store":
            return self._due(host, lambda due: getattr(due.payload, "name", None) == move.event)
        return self._due(host, lambda due: isinstance(due.payload, Operation))

    def _arriving(self, envelope: int) -> Label:
        assert self._moves is not None
        source, target, message = self._moves.envelopes[envelope]
        flights = (entry[3] for entry in sorted(self._heap, key=lambda entry: entry[1]))
        label = _first(flights, source, target, message)
        if label is None:  # It has arrived before; now it arrives again.
            sent = (flight for record in self.records for flight in record.flights)
            label = _first(sent, source, target, message)
            if label is None:
                raise Mistake(f"{message!r} from {source} to {target} was never sent")
            label = (label[0].removesuffix(AGAIN) + AGAIN, label[1])
        return label

    def _due(self, host: Host, is_meant: Callable[[Due], bool]) -> Label:
        for _, _, _, subject in sorted(self._heap, key=lambda entry: entry[1]):
            if isinstance(subject, Due) and subject.host is host and is_meant(subject):
                return subject.series.name, subject.ordinal
        raise Mistake(f"{host.id}: what the exploration did next is not pending")

    def _choose(self, host: Host, name: str, options: Sequence[Any]) -> Any:
        series = host.own_series.get(name)
        if series is None:
            series = self.tape.open(f"choose {host.address} {name}", FRACTION)
            host.own_series[name] = series
        if self._follows and self._answers:
            series.override(series.count, str(self._answers.popleft()))
        return super()._choose(host, name, options)


def _invocations(scenario: Scenario, path: Iterable[Move], prefix: Prefix) -> dict[Label, Any]:
    """What the clients ask on a path, by label."""
    entries: dict[Label, Any] = {}
    clients = scenario.client_ids()
    counts = {id: sum(event[0] == f"invoke {id}" for event in _labels(prefix)) for id in clients}
    for move in path:
        operation = move.event if move.kind == "invoke" else move.also
        if isinstance(operation, Operation):
            id = clients[move.slot - scenario.nodes]
            entries[f"invoke {id}", counts[id]] = (0, operation)
            counts[id] += 1
    return entries


def _labels(prefix: Prefix) -> list[Label]:
    return [event for event in prefix.order if isinstance(event, tuple)]


def _first(flights: Iterable[Any], source: NodeId, target: NodeId, message: Any) -> Label | None:
    """The first of these that carries that message, if any does."""
    for flight in flights:
        if not isinstance(flight, Flight) or flight.lost:
            continue
        if (flight.source, flight.target, flight.message) == (source, target, message):
            return flight.series, flight.ordinal
    return None


def _ends_step(due: Due) -> bool:
    return due.series.name.startswith(("batch", "sync"))
