"""A path of an exploration, played in the simulated world: the same story, page and schedule.

The world runs the same nodes; each move names the event that is pending there. What comes out is a
schedule that gives the order of events, and replays like any other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quorate.errors import Mistake
from quorate.explore.exhaustive.exploring import Result
from quorate.explore.exhaustive.moves import NOTHING, Move, Moves, Way
from quorate.kernel.node import Operation
from quorate.kernel.values import NodeId
from quorate.scenario.fault import Crash, Fault, Restart
from quorate.scenario.scenario import EXPLORED, Scenario
from quorate.scenario.schedule import Schedule
from quorate.scenario.tape import Label, Tape
from quorate.simulate.host import Due, Host
from quorate.simulate.ordered import AGAIN, OrderedWorld
from quorate.simulate.world import FRACTION
from quorate.trace.record import Flight

Event = Label | Fault


def schedule_of(result: Result) -> Schedule:
    """The failure that an exploration has found, as a schedule that replays it."""
    assert result.failed is not None
    scenario, path = result.scenario, result.failed.path
    moves = [move for way in path for move in way.moves]
    follower = Follower(scenario, moves, result.moves)
    follower.run()
    return Schedule(
        scenario=scenario.name,
        nodes=scenario.nodes,
        configuration=EXPLORED,
        violates=result.failed.property,
        entries=follower.entries(),
        order=follower.order,
    )


class Follower(OrderedWorld):
    """A world in which moves happen one after the other.

    Attributes:
        order: what has happened, by the labels of the tape.
    """

    def __init__(self, scenario: Scenario, path: Sequence[Move], moves: Moves) -> None:
        self.order: list[Event] = []
        self._moves = moves
        self._path = path
        self._answers = deque(choice for move in path for choice in move.choices)
        super().__init__(scenario, Tape(None, _invocations(scenario, path), {}, EXPLORED), ())

    def entries(self) -> dict[Label, Any]:
        """The decisions that an order does not tell: choices, and what clients asked."""
        return {
            label: value
            for label, value in self.tape.entries().items()
            if label[0].startswith(("choose", "invoke"))
        }

    def _loop(self) -> None:
        for id in self.servers:
            self._sync(self.hosts[id])
        for move in self._path:
            if move.before != NOTHING and not move.is_start:
                self._follow(move)
            if self.violation is not None:
                return

    def _follow(self, move: Move) -> None:
        host = self.hosts[self._moves.machines[move.slot].id]
        kind = move.crash.of if move.crash else move.kind
        if kind is not None:
            self._let(self._label(kind, host, move))
        is_lost = move.crash is not None and not move.crash.is_kept
        if not is_lost and self.violation is None:
            self._sync(host)
        if move.crash is not None and self.violation is None:
            sends = None if move.crash.of is None else move.crash.sends
            self._strike(Crash(host.id, 0, sends))
            if self.scenario.recovers:
                self._strike(Restart(host.id))
                self._sync(host)
        if move.also is not None and self.violation is None:
            self._let(self._label("invoke", host, move))

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
        answer = self._answers.popleft() if self._answers else options[0]
        if answer != options[0]:
            series.override(series.count, str(answer))
        return super()._choose(host, name, options)


def _invocations(scenario: Scenario, path: Iterable[Move]) -> dict[Label, Any]:
    """What the clients ask on a path, by label."""
    entries: dict[Label, Any] = {}
    counts: dict[NodeId, int] = {}
    clients = scenario.client_ids()
    for move in path:
        operation = move.event if move.kind == "invoke" else move.also
        if isinstance(operation, Operation):
            id = clients[move.slot - scenario.nodes]
            entries[f"invoke {id}", counts.get(id, 0)] = (0, operation)
            counts[id] = counts.get(id, 0) + 1
    return entries


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


def steps_of(path: Sequence[Way]) -> int:
    """How many transitions a path has, after every node has begun."""
    return sum(not way.moves[0].is_start for way in path)
