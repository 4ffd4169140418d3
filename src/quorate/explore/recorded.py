"""What a live cluster has recorded, run again by the same step function, merged and judged.

Each step must do again what it did, bit for bit, and each incarnation must begin with what an
earlier one had on its disk. The steps of all members, in their causal order, are then one run: its
cuts are consistent, so properties are judged on them as in a simulation, and the same page shows
it.
"""

from collections import Counter, deque
from collections.abc import Container, Iterator, Sequence
from heapq import heappop, heappush, merge
from pathlib import Path
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.kernel.env import Env, Send, SetTimer
from quorate.kernel.node import BatchEnd, Event, Invoke, Message, Node, Start, Stored, step
from quorate.kernel.values import Map, NodeId
from quorate.live.codec import Codec, Undecodable
from quorate.live.door import member_of
from quorate.live.durable import Durable
from quorate.live.recorder import (
    INCARNATION_SHIFT,
    VERSION,
    Client,
    Entry,
    Head,
    Stepped,
    Synced,
    digest,
    read_recording,
)
from quorate.scenario.notation import format_node
from quorate.scenario.system import System
from quorate.simulate.judge import Judge
from quorate.trace.encoding import from_records
from quorate.trace.record import Flight, Kind, Record, Violation, kind_of
from quorate.trace.trace import Header, Trace

KEPT = 20_000
"""How many steps of a run are kept for a page, unless told otherwise."""
_KINDS: dict[type, Kind] = {Start: "start", BatchEnd: "batch", Stored: "stored", Invoke: "invoke"}


class Played(msgspec.Struct, gc=False):
    """A recorded step, run again. `env` holds its clocks and its effects.

    `is_durable` tells whether it changed what its node keeps on disk.
    """

    time: int
    member: str
    number: int
    sender: NodeId
    event: Event
    before: Node
    after: Node
    env: Env
    origin: int
    choices: tuple[Any, ...]
    is_durable: bool


class Flushed(msgspec.Struct, frozen=True, gc=False):
    """A member's disk holds all steps up to number `reach`."""

    time: int
    member: str
    reach: int


class Parted(Exception):
    """A recording that does not play again as it was recorded; the text says where."""


class Player:
    """Plays one member's recording, incarnation by incarnation. Raises Parted, or Mistake.

    Attributes:
        steps: how many steps have been played.
    """

    def __init__(self, system: System, directory: Path) -> None:
        self.steps = 0
        self._system = system
        self._files = sorted(directory.glob("*.steps"))
        if not self._files:
            raise Mistake(f"{directory} holds no recording; start the cluster with --record all")
        self._codec = Codec((system.scenario.node, system.client), system.modules)
        self._durable = Durable(system.scenario.node, self._codec)
        self._front = system.front("", dict)
        self._nodes: dict[str, Node] = {}
        self._windows: dict[str, Env] = {}  # By id, as the node.
        self._head: Head | None = None
        self._unsynced: list[tuple[int, Node]] = []
        self._last = 0

    def play(self) -> Iterator[Played | Flushed]:
        """Everything that was recorded, in order."""
        for path in self._files:
            for entry in read_recording(path):
                played = self._play(entry, path)
                if played is not None:
                    yield played

    def _play(self, entry: Entry, path: Path) -> Played | Flushed | None:
        if isinstance(entry, Head):
            self._begin(entry, path)
            return None
        if self._head is None:
            raise Mistake(f"{path}: the recording does not begin with its head")
        member = self._head.member
        if isinstance(entry, Client):
            peers = tuple(NodeId(peer) for peer in entry.peers)
            self._live(self._front.client(NodeId(entry.id), peers))
            return None
        if isinstance(entry, Synced):
            held = [kept for kept in self._unsynced if kept[0] <= entry.reach]
            if held:
                self._unsynced = self._unsynced[len(held) - 1 :]
            return Flushed(entry.time, member, entry.reach)
        return self._step(entry, member)

    def _live(self, node: Node) -> None:
        self._nodes[node.id] = node
        self._windows[node.id] = Env(node.id, node.peers, lambda name, options: None)

    def _begin(self, head: Head, path: Path) -> None:
        """A new incarnation: it must have found what an earlier one had written."""
        if head.version != VERSION:
            raise Mistake(f"{path}: recorded in version {head.version}, not {VERSION}")
        peers = tuple(NodeId(peer) for peer in head.peers)
        fresh = self._system.server(head.configuration, NodeId(head.member), peers)
        try:
            node = self._durable.restore(fresh, [head.durable])
        except Undecodable as error:
            raise Mistake(f"{path}: its durable state is not readable: {error}") from error
        before, self._head = self._head, head
        if before is not None:
            self._check_recovery(before, head, node)
        self._nodes.clear()
        self._live(node)
        self._last = head.incarnation << INCARNATION_SHIFT
        self._unsynced = [(head.incarnation << INCARNATION_SHIFT, node)]

    def _check_recovery(self, before: Head, head: Head, node: Node) -> None:
        if head.incarnation != before.incarnation + 1:
            return  # Some incarnation was not recorded.
        if any(self._durable.changes(state, node) is None for _, state in self._unsynced):
            return
        raise Parted(
            f"{head.member} began incarnation {head.incarnation} with a durable state that it did "
            f"not have after any step from the last synced one, {self._unsynced[0][0]}, on"
        )

    def _step(self, entry: Stepped, member: str) -> Played:
        node, env = self._nodes.get(entry.node), self._windows.get(entry.node)
        where = f"{member}, step {entry.number} at {entry.node}"
        self._last += 1
        if entry.number != self._last:
            raise Parted(f"{where}: step {self._last} should come first")
        if node is None or env is None:
            raise Parted(f"{where}: there is no such node")
        try:
            event = self._event(type(node), entry)
            choices = tuple(self._codec.plain(entry.choices)) if entry.choices else ()
        except Undecodable as error:
            raise Parted(f"{where}: its input is not readable: {error}") from error
        answers = iter(choices)
        window = Env(env.id, env.peers, lambda name, options: next(answers))
        window.sender = NodeId(entry.sender)
        window.now, window.wall = entry.now, entry.wall
        name = type(event).__name__
        try:
            after = step(node, event, window)
        except Exception as error:
            raise Parted(f"{where}: {name} raises {type(error).__name__}: {error}") from error
        given = msgspec.structs.astuple(entry)[:-1]
        if digest(self._codec, given, node, after, window.effects) != entry.digest:
            raise Parted(f"{where}: {name} does not do again what it did")
        self._nodes[entry.node] = after
        is_durable = entry.node == member and self._durable.changes(node, after) is not None
        self._durable.outdated.clear()
        if is_durable:
            self._unsynced.append((entry.number, after))
        self.steps += 1
        return Played(
            entry.time, member, entry.number, window.sender, event, node, after, window,
            entry.origin, choices, is_durable,
        )  # fmt: skip

    def _event(self, kind: type[Node], entry: Stepped) -> Event:
        event = self._codec.event(kind, entry.event)
        if type(event) is Start and self._head is not None:
            stored = {name: self._codec.named(data) for name, data in self._head.stored.items()}
            return Start(event.recovered, Map(stored))
        return event


def play_all(system: System, directory: Path) -> tuple[list[NodeId], Iterator[Played | Flushed]]:
    """The recordings of all members in a cluster's directory, in the order of their times.

    All members of a machine read one monotonic clock, so that no message arrives before it is sent.
    """
    folders = sorted(directory.glob("n*/data/steps"), key=lambda path: (len(path.parts[-3]), path))
    if not folders:
        raise Mistake(f"{directory} holds no recording; start the cluster with --record all")
    players = [Player(system, folder) for folder in folders]
    members = [NodeId(folder.parts[-3]) for folder in folders]
    return members, merge(*(player.play() for player in players), key=lambda played: played.time)


class _Lane:
    """A server of the merged run, as the judge knows it; see `simulate.host.Host`."""

    def __init__(self, index: int, node: Node) -> None:
        self.index = index
        self.id = node.id
        self.fresh = self.released = node
        self.incarnation = 0
        self.recovers = False
        self.waiting: deque[tuple[Record, Played]] = deque()


class Merged:
    """One run out of what all members have recorded.

    Attributes:
        records: the run, or the last `kept` steps of it at the least.
        dropped: how many came before these.
        violation: the first property that did not hold of a consistent cut.
        counters: what happened, by name.
    """

    def __init__(self, system: System, members: Sequence[NodeId], kept: int = KEPT) -> None:
        scenario = msgspec.structs.replace(system.scenario, nodes=len(members))
        servers = [system.server("", id, tuple(members)) for id in members]
        self.records: list[Record] = []
        self.counters: Counter[str] = Counter()
        self._scenario, self._kept = scenario, kept
        self._lanes = {node.id: _Lane(index, node) for index, node in enumerate(servers)}
        self._judge = Judge(scenario, list(self._lanes.values()))  # type: ignore[arg-type]
        self.violation = self._judge.begin()
        self._began: int | None = None
        self.dropped = 0
        self._ordinals: Counter[str] = Counter()
        self._timers: dict[tuple[NodeId, Event], int] = {}
        self._flights: dict[tuple[str, int, NodeId, type], deque[Flight]] = {}

    def take(self, played: Played | Flushed) -> None:
        """The next thing that happened."""
        if self._began is None:
            self._began = played.time
        time = played.time - self._began
        if isinstance(played, Played):
            self._stepped(played, time)
        else:
            self._synced(self._lanes[NodeId(played.member)], played.reach, time)
        if len(self.records) > 2 * self._kept:
            self.dropped += self._kept
            del self.records[: self._kept]
            last = self.dropped
            self._flights = {k: q for k, q in self._flights.items() if q and q[-1].origin >= last}

    def _stepped(self, played: Played, time: int) -> None:
        event, env, before, after = played.event, played.env, played.before, played.after
        node = env.id
        incarnation = (played.number >> INCARNATION_SHIFT) - 1
        lane = self._lanes.get(node)
        if lane is not None and incarnation > lane.incarnation:
            self._crashed(lane, played, time, incarnation)
        kind: Kind = _KINDS.get(type(event)) or (
            "deliver" if isinstance(event, Message) else "fire"
        )
        series, cause, flight = self._cause(played, kind, _address(node, incarnation))
        record = Record(
            self.dropped + len(self.records), time, kind, node, incarnation, series,
            self._ordinal(series) if flight is None else flight.ordinal, event, cause, flight,
            before, after, env.effects, [], -1, env.now, env.wall, played.choices,
        )  # fmt: skip
        if flight is not None:
            flight.fate = record.id
        self.records.append(record)
        self.counters[f"steps {kind}"] += 1
        for effect in env.effects:
            if type(effect) is SetTimer:
                self._timers[node, effect.timer] = record.id
            elif type(effect) is Send and effect.ahead:
                self._leave(record, effect, played.number, time)
        if lane is None:
            self._release(None, record, played.number, time)
            return
        if lane.waiting or played.is_durable:
            lane.waiting.append((record, played))
        else:
            self._release(lane, record, played.number, time)

    def _cause(self, played: Played, kind: Kind, address: str) -> tuple[str, int, Flight | None]:
        """The series of a step, the record that caused it, and the message that it handles."""
        event, node = played.event, played.env.id
        if kind == "deliver":
            key = (member_of(played.sender), played.origin, node, type(event))
            queue = self._flights.get(key)
            if queue:
                flight = queue.popleft()
                if not queue:
                    del self._flights[key]
                return flight.series, flight.origin, flight
            return f"deliver {played.sender}→{address} {kind_of(event)}", -1, None
        if kind == "fire":
            cause = self._timers.pop((node, event), -1)
            return f"fire {address} {kind_of(event)}", cause, None
        return f"{kind} {address}", -1, None

    def _ordinal(self, series: str) -> int:
        self._ordinals[series] += 1
        return self._ordinals[series] - 1

    def _leave(self, record: Record, effect: Send, number: int, time: int) -> None:
        message, source = effect.message, record.node
        address = _address(source, record.incarnation)
        for target in effect.to:
            series = f"deliver {address}→{target} {kind_of(message)}"
            flight = Flight(series, self._ordinal(series), record.id, source, target, message, time)
            record.flights.append(flight)
            key = (member_of(source), number, target, type(message))
            self._flights.setdefault(key, deque()).append(flight)

    def _release(self, lane: "_Lane | None", record: Record, number: int, time: int) -> None:
        record.released = time
        for effect in record.effects:
            if type(effect) is Send and not effect.ahead:
                self._leave(record, effect, number, time)
        if lane is None or self.violation is not None:
            return
        assert record.before
        assert record.after
        lane.released = record.after
        judge = self._judge
        if lane.recovers:
            lane.recovers, plan = False, judge.recovery()
        else:
            same = judge.compare(record.before, record.after)
            plan = judge.plans.get(same) or judge.plan(same)
        if plan.judged:
            self.violation = judge.observe(lane, record, plan, self.records)  # type: ignore[arg-type]

    def _synced(self, lane: _Lane, reach: int, time: int) -> None:
        """The disk holds all up to step `reach`: release what waits for no later one."""
        self.counters["syncs"] += 1
        waiting = lane.waiting
        while waiting and not (waiting[0][1].is_durable and waiting[0][1].number > reach):
            record, played = waiting.popleft()
            self._release(lane, record, played.number, time)

    def _crashed(self, lane: _Lane, played: Played, time: int, incarnation: int) -> None:
        if self.records and incarnation:
            record = Record(
                self.dropped + len(self.records), time, "fault", lane.id, lane.incarnation,
                "fault", self._ordinal("fault"), None, -1, None, None, None, (), [], time, 0, 0,
                (), f"crash {lane.id}",
            )  # fmt: skip
            self.records.append(record)
            self.counters["crashes"] += 1
            lane.waiting.clear()
            lane.released, lane.recovers = played.before, True
            self._judge.crashed(lane)  # type: ignore[arg-type]
        lane.incarnation = incarnation

    def trace(self, title: str) -> Trace:
        """What was kept, as a trace."""
        records = self.records
        first = records[0].id if records else 0
        for record in records:
            record.id -= first
            record.cause = max(record.cause - first, -1)
            for flight in record.flights:
                flight.origin -= first
                flight.fate = max(flight.fate - first, -1)
        slots = _slots(records, self._lanes)
        for record in records:
            record.node = slots.get(record.node, record.node)
            for flight in record.flights:
                flight.source = slots.get(flight.source, flight.source)
                flight.target = slots.get(flight.target, flight.target)
        violation = self.violation
        if violation is not None:
            violation = Violation(violation.property, violation.record - first, violation.message)
        header = Header(
            scenario=self._scenario.name,
            nodes=[str(id) for id in self._lanes],
            clients=list(dict.fromkeys(map(str, slots.values()))),
            title=title,
            verdict="fail" if violation else "pass",
            violation=violation,
            counters=dict(self.counters),
        )
        return from_records(header, records, self._scenario.role)


def _slots(records: Sequence[Record], servers: Container[NodeId]) -> dict[NodeId, NodeId]:
    """A lane for each client: connections that were not open at once share one.

    Each begins there with its whole state.
    """
    last = {record.node: record.id for record in records}
    free: list[NodeId] = []
    busy: list[tuple[int, NodeId]] = []
    slots: dict[NodeId, NodeId] = {}
    for record in records:
        node = record.node
        if not node or node in servers or node in slots:
            continue
        while busy and busy[0][0] < record.id:
            free.append(heappop(busy)[1])
        free.sort(reverse=True)
        slots[node] = slot = free.pop() if free else NodeId(f"c{len(busy) + 1}")
        heappush(busy, (last[node], slot))
        record.before = None
    return slots


def _kind(event: Event) -> Kind:
    return _KINDS.get(type(event)) or ("deliver" if isinstance(event, Message) else "fire")


def _address(node: NodeId, incarnation: int) -> str:
    """As in a schedule. A client's id tells its own incarnation."""
    return format_node(node, 0 if "@" in node else incarnation)
