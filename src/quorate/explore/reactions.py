"""A schedule's faults and reactions on a live cluster that runs by its own clock.

What a schedule anchors to an event is done right after that event happens in a real process, if it
does; timers take the durations that they had. All else is as it comes: how long messages are under
way, and what the machine's load makes of it. So the run may part from the simulated one, and says
how far it came. It is recorded, run again, merged and judged, as `recorded` does.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from quorate.errors import Mistake
from quorate.explore.recorded import Merged, Parted, play_all
from quorate.explore.replay import Replayed
from quorate.kernel.env import SetTimer
from quorate.kernel.node import Invoke, Operation
from quorate.live import supervisor
from quorate.live.chaos.dialect import Broken, WordsDialect, encode_command, read_reply
from quorate.live.chaos.proxy import Proxies
from quorate.live.reactions import REACHED, SCRIPT, Script
from quorate.live.supervisor import Place
from quorate.scenario.fault import Crash, Cut, Fault, Heal, Pause, Restart, Resume
from quorate.scenario.notation import format_label, format_node
from quorate.scenario.system import System
from quorate.simulate.world import World
from quorate.trace.record import Record, Violation, kind_of

PATIENCE_SECONDS = 5.0
"""How long events that faults follow may take longer than in the simulated run."""
LINGER_SECONDS = 1.0
"""How long the cluster goes on after the simulated run's time, and all processes have come up."""


class Reacted(msgspec.Struct):
    """What became of it.

    Attributes:
        struck, planned: how many of the schedule's faults happened, of how many.
        unplayed: faults for which a live cluster has no means here.
        steps: how many steps were recorded, and run again.
        violation: the first property that did not hold of a cut of the live run.
        parted: a step that does not run again as it was recorded; "" if there is none.
    """

    struck: int = 0
    planned: int = 0
    unplayed: int = 0
    steps: int = 0
    violation: Violation | None = None
    parted: str = ""


def script_of(world: World, node: str) -> Script:
    """What the member that plays `node` needs of a run."""
    script = Script()
    fired: dict[tuple[int, object], int] = {}
    for record in world.records:
        if record.kind == "fire" and record.node == node:
            fired[record.cause, record.event] = record.time
    for record in world.records:
        if record.node != node:
            continue
        name = format_node(node, record.incarnation)
        for effect in record.effects:
            if isinstance(effect, SetTimer):
                when = fired.get((record.id, effect.timer))
                span = effect.high if when is None else when - record.time
                series = f"{name} {kind_of(effect.timer)}"
                script.timers.setdefault(series, []).append(span)
    places = {(record.series, record.ordinal): record.node for record in world.records}
    for label in world.tape.faults():
        if places.get(label) == node:
            script.stops.append(format_label(label))
    return script


class Stage:
    """A cluster on which a schedule's faults are played."""

    def __init__(self, replayed: Replayed, directory: Path) -> None:
        self._world = world = replayed.outcome.world
        self._directory = directory
        self._name = replayed.schedule.scenario
        self._result = Reacted()
        self._network = Proxies([str(id) for id in world.servers], 0)
        self._faults = {format_label(label): list(f) for label, f in world.tape.faults().items()}
        self._result.planned = sum(map(len, self._faults.values()))
        self._places: dict[str, Place] = {}
        self._seen: dict[str, int] = {}
        self._paused: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self) -> Reacted:
        """Play, until the simulated run's time is over."""
        places = await self._build()
        try:
            for place in places:
                supervisor.start(place)
            await asyncio.to_thread(supervisor.await_ready, places, elects=False)
            operators = [place.connect() for place in places]
            for operator in operators:
                operator.ask({"ask": "begin"})
                operator.close()
            self._begin_clients()
            await self._watch(self._world.time / 1e9)
            await self._watch(PATIENCE_SECONDS, until_struck=True)
            await asyncio.to_thread(self._await_restarted)
            await self._watch(LINGER_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()
            self._network.close()
            for place in places:
                supervisor.kill(place)
        return self._result

    async def _build(self) -> list[Place]:
        places = supervisor.create(
            self._directory,
            self._name,
            len(self._world.servers),
            configuration=self._world.configuration.name,
            record="all",
            reacts=True,
        )
        for place in places:
            script = script_of(self._world, place.name)
            (place.directory / SCRIPT).write_bytes(msgspec.json.encode(script))
        self._places = {place.name: place for place in places}
        return await self._network.stand_between(places)

    async def _watch(self, seconds: float, *, until_struck: bool = False) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and (self._faults or not until_struck):
            self._look()
            await asyncio.sleep(0.001)

    def _await_restarted(self) -> None:
        """Until every process that was started again has come up: that takes a while."""
        deadline = time.monotonic() + supervisor.READY_SECONDS
        for name, place in self._places.items():
            is_up = name not in self._paused and place.pid() is not None
            while is_up and "error" in supervisor.status(place):
                self._look()
                if time.monotonic() > deadline:
                    raise Mistake(f"{name} does not start again: {place.last_words()}")

    def _look(self) -> None:
        """Strike where a member has stopped."""
        for name, place in self._places.items():
            try:
                labels = (place.directory / REACHED).read_text("utf-8").splitlines()
            except FileNotFoundError:
                continue
            for label in labels[self._seen.get(name, 0) :]:
                self._seen[name] = self._seen.get(name, 0) + 1
                for fault in self._faults.pop(label, ()):
                    self._strike(fault)
                if name not in self._paused:
                    self._signal(name, signal.SIGCONT)

    def _strike(self, fault: Fault) -> None:
        self._result.struck += 1
        match fault:
            case Crash(node):
                supervisor.kill(self._places[node])
                self._paused.discard(node)
            case Restart(node):
                supervisor.start(self._places[node])
            case Pause(node):
                self._paused.add(node)
                self._signal(node, signal.SIGSTOP)
            case Resume(node):
                self._paused.discard(node)
                self._signal(node, signal.SIGCONT)
            case Cut(links):
                self._block(links, is_cut=True)
            case Heal(links):
                self._block(links or tuple(self._network.ways), is_cut=False)
            case _:
                self._result.struck -= 1
                self._result.unplayed += 1

    def _block(self, links: Sequence[tuple[str, str]], *, is_cut: bool) -> None:
        for source, target in links:
            way = self._network.ways.get((str(source), str(target)))
            if way is not None:
                way.set(block="drop" if is_cut else "")

    def _signal(self, name: str, number: int) -> None:
        pid = self._places[name].pid()
        if pid is not None:
            os.kill(pid, number)

    # Clients

    def _begin_clients(self) -> None:
        """Let real clients ask for what the simulated ones did, at the same times."""
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        by_client: dict[str, list[Record]] = {}
        for record in self._world.records:
            if isinstance(record.event, Invoke):
                by_client.setdefault(str(record.node), []).append(record)
        for number, records in enumerate(by_client.values()):
            place = list(self._places.values())[number % len(self._places)]
            self._tasks.add(loop.create_task(_client(place, records, began)))


async def _client(place: Place, records: Sequence[Record], began: float) -> None:
    dialect = WordsDialect()
    for record in records:
        assert isinstance(record.event, Invoke)
        operation: Operation = record.event.operation
        await asyncio.sleep(max(0.0, began + record.time / 1e9 - time.monotonic()))
        host, _, port = place.clients.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            words = dialect.command(operation.f, operation.key or "", operation.value)
            writer.write(encode_command(words))
            await read_reply(reader)
            writer.close()
        except (OSError, Broken):
            continue  # What it was answered does not matter here: properties judge.


def react(replayed: Replayed, system: System, directory: Path) -> Reacted:
    """Play a schedule's faults on a live cluster, and judge what it recorded."""
    result = asyncio.run(Stage(replayed, directory).play())
    try:
        members, plays = play_all(system, directory)
    except Mistake as mistake:
        result.parted = str(mistake)
        return result
    merged = Merged(system, members)
    try:
        for played in plays:
            merged.take(played)
            result.steps += 1
    except Parted as parted:
        result.parted = str(parted)
    result.violation = merged.violation
    return result
