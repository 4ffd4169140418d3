"""A schedule on a live cluster, event for event: real processes, links and disks take each step.

The schedule is run in the simulator first. Then every event of that run is told to the member that
it concerns, in the same order, with the same clock readings and choices; messages must have come
over the members' own links, crashes kill processes, recoveries read what is on their disks. After
each step the member's state must have the fingerprint that the simulated one has.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.replay import Replayed
from quorate.kernel.canonical import fingerprint
from quorate.kernel.node import Invoke, Node, Stored
from quorate.kernel.values import NodeId
from quorate.live import supervisor
from quorate.live.clock import Clock
from quorate.live.codec import Codec
from quorate.live.config import parse_address
from quorate.live.frames import MESSAGE, Frame
from quorate.live.links import Inbound, Link, own_hello
from quorate.live.operator import Operator, Unreachable
from quorate.live.stepwise import Command, StepwiseHost
from quorate.live.supervisor import Place
from quorate.scenario.fault import Crash, Pause, Restart, Resume
from quorate.scenario.notation import parse_fault
from quorate.trace.record import Flight, Record

_Message = tuple[str, str, int, bytes]
"""Source, target, the sender's step, and the message itself."""
PATIENCE_SECONDS = 5.0
"""How long a message may take from one process to another one."""


class LiveRun(msgspec.Struct):
    """What became of a schedule on a live cluster.

    Attributes:
        events: how many events were played.
        steps: how many of them were steps, each with the state that the simulated one had.
        parted: where the live cluster did something else, and what; "" if nowhere.
        unplayed: faults that order alone replays: they have no process of their own to hit.
    """

    events: int = 0
    steps: int = 0
    parted: str = ""
    unplayed: int = 0


class _Post:
    """Where all messages wait: members dial it in place of each other, and clients are its own.

    A message is forwarded to its target, over a link of its own, when it is to be delivered: so
    nothing of it is lost with a process that is killed.
    """

    def __init__(self, cluster: str, codec: Codec, places: Sequence[Place]) -> None:
        self.waiting: dict[_Message, int] = {}
        self._names = frozenset(place.name for place in places)
        self._hello = own_hello(cluster, "", 0)
        self._cluster = cluster
        self._addresses = {
            place.name: parse_address(place.config.members[place.name], place.name)
            for place in places
        }
        self._links: dict[tuple[str, str], Link] = {}
        self.clients = StepwiseHost(codec, Clock(), self, _NoDisk())

    def inbound(self) -> Inbound:
        """A member has dialled."""
        return Inbound(self._hello, lambda: self._names, self._receive, lambda why: None)

    def _receive(self, inbound: Inbound, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == MESSAGE:
                self.send(frame.source, frame.target, frame.origin, bytes(frame.payload))

    def send(self, source: NodeId, target: NodeId, origin: int, message: bytes) -> None:
        """Let a message wait here."""
        key = (str(source), str(target), origin, message)
        self.waiting[key] = self.waiting.get(key, 0) + 1

    def flush(self) -> None:
        """Nothing is buffered."""

    async def forward(self, key: "_Message", *, again: bool) -> bool:
        """Let a message go on to its target; False if it never came."""
        source, target, origin, message = key
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (self.waiting.get(key) or again):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.001)
        if not again:
            self.waiting[key] -= 1
        if target not in self._addresses:
            self.clients.deliver(
                NodeId(source), NodeId(target), self.clients.codec.message(message), origin
            )
            return True
        link = self._links.get((source, target))
        if link is None:
            hello = own_hello(self._cluster, source, 0)
            link = Link(hello, target, self._addresses[target], None)
            self._links[source, target] = link
            link.start()
        while not link.is_open:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.001)
        link.send(NodeId(source), NodeId(target), origin, message)
        link.flush()
        return True

    async def close(self) -> None:
        """Hang up everywhere."""
        for link in self._links.values():
            await link.stop()


class _NoDisk:
    """Clients keep nothing."""

    def append(self, record: bytes) -> None:
        """There are no records."""

    def sync(self) -> None:
        """There is nothing to sync."""

    def store(self, name: str, value: Any, done: Callable[[], None]) -> None:
        """Clients store nothing."""


class Stage:
    """A cluster of stepwise members, on which a run is played event by event."""

    def __init__(self, replayed: Replayed, directory: Path, tell: Callable[[int], None]) -> None:
        world = replayed.outcome.world
        self._world = world
        self._directory = directory
        self._tell = tell
        self._run = LiveRun()
        self._numbers: dict[int, int] = {}
        self._delivered: set[_Message] = set()
        self._operators: dict[str, Operator] = {}
        scenario = world.scenario
        kinds = (scenario.node, scenario.client) if scenario.workload else (scenario.node,)
        self._codec = Codec(kinds)
        self._name = replayed.schedule.scenario
        self._configuration = world.configuration.name

    async def play(self) -> LiveRun:
        """Play every event of the run, until one parts from it."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self._post.inbound(), "127.0.0.1", 0)
        places = self._build(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            for place in places:
                supervisor.start(place)
            await asyncio.gather(*(self._is_up(place) for place in places))
            for record in self._world.records:
                await self._play(record)
                self._run.events += 1
                self._tell(self._run.events)
                if self._run.parted:
                    break
        finally:
            await self._post.close()
            for operator in self._operators.values():
                operator.close()
            server.close()
            for place in places:
                supervisor.kill(place)
        return self._run

    def _build(self, address: str) -> list[Place]:
        """The members' folders; all dial `address` for each other, for themselves, and clients."""
        servers = self._world.servers
        nodes = self._world.hosts
        places = supervisor.create(
            self._directory,
            self._name,
            len(servers),
            configuration=self._configuration,
            record="none",
            stepwise=True,
            visitors=dict.fromkeys(map(str, nodes), address),
        )
        self._places = {place.name: place for place in places}
        self._post = _Post(places[0].config.cluster, self._codec, places)
        for id, host in nodes.items():
            if id not in servers:
                self._post.clients.add(host.fresh)
        return places

    async def _play(self, record: Record) -> None:
        if record.kind == "fault":
            await self._strike(record)
            return
        command = self._command(record)
        if record.kind == "deliver":
            assert record.flight is not None
            key = self._key(record.flight)
            command.again = key in self._delivered
            self._delivered.add(key)
            command.source, command.origin, command.event = key[0], key[2], key[3].hex()
            if not await self._post.forward(key, again=command.again):
                self._part(record, "the live cluster never sent that message")
                return
        answer = await self._ask(command)
        if "number" not in answer:
            self._part(record, str(answer.get("missing") or answer.get("wrong")))
            return
        self._numbers[record.id] = answer["number"]
        if record.after is None:
            return
        self._run.steps += 1
        if answer["state"] != fingerprint(record.after).hex():
            self._part(record, await self._difference(record.node, record.after))
        elif answer["left"]:
            self._part(record, f"{record.node} left {answer['left']} choices unmade")

    def _command(self, record: Record) -> Command:
        command = Command(do=record.kind, node=str(record.node), now=record.now, wall=record.wall)
        if record.choices:
            command.choices = self._codec.encode(record.choices).hex()
        if record.kind == "fire":
            command.event = self._codec.encode(record.event).hex()
        elif isinstance(record.event, Invoke):
            command.event = self._codec.encode(record.event.operation).hex()
        elif isinstance(record.event, Stored):
            command.name = record.event.name
        elif record.kind == "sync":
            command.reach = self._numbers[record.cause]
        return command

    def _key(self, flight: Flight) -> "_Message":
        message = self._codec.encode(flight.message)
        return str(flight.source), str(flight.target), self._numbers[flight.origin], message

    async def _ask(self, command: Command) -> dict[str, Any]:
        """The answer of the node's process: of ours, for a client."""
        place = self._places.get(command.node)
        if place is None:
            return self._post.clients.do(command)
        question = msgspec.to_builtins(command)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = await asyncio.to_thread(self._operator(place).ask, question)
            except Unreachable as error:
                return {"wrong": f"{place.name} does not answer: {error}; {place.last_words()}"}
            if "missing" not in answer or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(0.001)

    def _operator(self, place: Place) -> Operator:
        operator = self._operators.get(place.name)
        if operator is None:
            operator = self._operators[place.name] = place.connect()
        return operator

    async def _strike(self, record: Record) -> None:
        try:
            fault = parse_fault(record.detail)
        except ValueError:
            return  # The end of the faults: a note.
        if isinstance(fault, Crash):
            place = self._places[fault.node]
            if fault.keep:
                await self._ask(Command(do="keep", node=str(fault.node), count=fault.keep))
            supervisor.kill(place)
            self._operators.pop(place.name).close()
        elif isinstance(fault, Restart):
            supervisor.start(self._places[fault.node])
            await self._is_up(self._places[fault.node])
        elif isinstance(fault, Pause):
            self._signal(self._places[fault.node], signal.SIGSTOP)
        elif isinstance(fault, Resume):
            self._signal(self._places[fault.node], signal.SIGCONT)
        else:
            self._run.unplayed += 1

    def _signal(self, place: Place, number: int) -> None:
        pid = place.pid()
        if pid is not None:
            os.kill(pid, number)

    async def _is_up(self, place: Place) -> None:
        deadline = time.monotonic() + supervisor.READY_SECONDS
        while True:
            facts = await asyncio.to_thread(supervisor.status, place)
            if "error" not in facts:
                return
            if time.monotonic() > deadline or place.pid() is None:
                raise Mistake(f"{place.name} does not start: {place.last_words()}")
            await asyncio.sleep(0.01)

    async def _difference(self, id: NodeId, expected: Node) -> str:
        place = self._places.get(id)
        if place is None:
            found = {
                name: fingerprint(getattr(self._post.clients.nodes[id].node, name)).hex()
                for name in expected.__struct_fields__
            }
        else:
            found = await asyncio.to_thread(place.ask, {"ask": "fields"})
        names = [
            name
            for name in expected.__struct_fields__
            if found.get(name) != fingerprint(getattr(expected, name)).hex()
        ]
        return f"{id} came to another state: {', '.join(names)} differ"

    def _part(self, record: Record, why: str) -> None:
        self._run.parted = f"{record.label} (@{record.id}): {why}"


def play_live(
    replayed: Replayed, directory: Path, tell: Callable[[int], None] = lambda count: None
) -> LiveRun:
    """Play a run that was replayed on a live cluster of this machine, event for event."""
    return asyncio.run(Stage(replayed, directory, tell).play())
