"""One member as one operating-system process: sockets, disk and clock around a `Host`."""

import asyncio
import contextlib
import gc
import os
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

import msgspec

from quorate import __version__
from quorate.errors import Mistake, one_line
from quorate.kernel.node import Node
from quorate.kernel.values import NodeId
from quorate.live.administration import Administration, Answer, Question
from quorate.live.chaos.within import BentDisk, Within
from quorate.live.clock import Clock
from quorate.live.codec import Codec, Undecodable
from quorate.live.config import Config, parse_address, tell_failures, tls_contexts
from quorate.live.disk import MemberDisk
from quorate.live.door import Connection, Door, member_of
from quorate.live.frames import ANSWER, ASK, MESSAGE, Frame
from quorate.live.host import Host, Hosted
from quorate.live.links import Inbound, Link, own_hello
from quorate.live.log import Fact, Level, Log
from quorate.live.metrics import MetricsServer
from quorate.live.recorder import (
    INCARNATION_SHIFT,
    VERSION,
    FullRecorder,
    Head,
    SampleRecorder,
)
from quorate.live.spans import Spans
from quorate.live.storage.files import RealFiles, StorageFailed
from quorate.live.telemetry import Telemetry
from quorate.live.watch import Watch
from quorate.scenario.system import System
from quorate.wire.malformed import MALFORMED

MOST_CLIENTS = 10_000
MOST_INBOUND = 1000
"""Connections from members, operators and strangers at once: each may hold some memory."""
SWITCH_SECONDS = 1e-4
"""How long a thread that is back from the disk waits for the interpreter at most."""
NUMBERS = ("current_term", "commit_index", "last_index")
"""Fields of a server's node that tell how it does, where it has them."""


class Links:
    """The ways to all other members: a `Network` for the host."""

    def __init__(self, links: dict[str, Link]) -> None:
        self.links = links
        self._used: set[Link] = set()

    def send(self, source: NodeId, target: NodeId, origin: int, message: bytes) -> None:
        """Send to the member in whose process the target lives, if there is such a member."""
        link = self.links.get(member_of(target))
        if link is not None:
            link.send(source, target, origin, message)
            self._used.add(link)

    def flush(self) -> None:
        """Let everything leave."""
        for link in self._used:
            link.flush()
        self._used.clear()


class Member:
    """A running member; `host_kind` is the class of its engine.

    Attributes:
        host: runs its nodes; `server` is the one that all others know by the member's name.
        door: its clients.
        heard: how many frames have come from each member.
        stopped: resolved when the member is to end: with why, if that is no good reason.
        spans: tells what it does to a collector, once it runs, if it is to.
        began: when it began to recover, by the performance counter.
    """

    host_kind: ClassVar[type[Host]] = Host

    def __init__(self, config: Config, system: System, path: Path) -> None:
        """Recover what the disk holds; `path` is where the configuration is written.

        Raises Mistake or StorageFailed.
        """
        self.began = time.perf_counter_ns()
        base = path.parent
        self.config = config
        self.path = path
        self.system = system
        self._base = base
        self.data = base / config.data
        self.log = Log(config.member, config.log)
        me = NodeId(config.member)
        founders = tuple(NodeId(member) for member in config.founders or config.members)
        fresh = system.server(config.configuration, me, founders)
        codec = Codec((system.scenario.node, system.client), system.modules)
        identity = f"{config.cluster}/{config.member}"
        self.clock = Clock()
        bent = BentDisk() if config.chaos else None
        self._within = Within(self.clock, bent) if bent else None
        files = RealFiles(bent)
        self.disk = MemberDisk(files, self.data, identity, fresh, codec, config.segment_bytes)
        self._links = Links({})
        first = self.disk.incarnation << INCARNATION_SHIFT
        self.host = self.host_kind(codec, self.clock, self._links, self.disk, first)
        self.server: Hosted = self.host.add(self.disk.node, self.disk.durable)
        self.recorder = self.host.recorder = self._recorder()
        self.disk.follow(lambda: self.server.node)
        self.front = system.front(config.password, self.facts)
        self.door = Door(self.host, self.front, config.member, self.disk.incarnation, MOST_CLIENTS)
        self.door.peers = (me, *(NodeId(name) for name in config.members if name != me))
        self._administration = Administration(self)
        self._inbound: WeakSet[Inbound] = WeakSet()
        self.heard: Counter[str] = Counter()
        self.spans: Spans | None = None
        self.telemetry = Telemetry(self)

    def _recorder(self) -> FullRecorder | SampleRecorder | None:
        config, disk, codec = self.config, self.disk, self.host.codec
        if config.record == "none":
            return None
        if config.record == "sample":
            return SampleRecorder(codec)
        head = Head(
            VERSION,
            config.cluster,
            config.system,
            config.configuration,
            config.member,
            tuple(config.founders or config.members),
            disk.incarnation,
            disk.durable.whole(disk.node),
            {name: codec.named_bytes(value) for name, value in disk.stored.items()},
        )
        return FullRecorder(self._base / config.data / "steps", codec, head)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped by a signal. Raises what ends the member otherwise."""
        loop = asyncio.get_running_loop()
        self.stopped: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._unexpected)
        for kind in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(kind, self._stop, None)
        self._attach(loop)
        ending = contextlib.ExitStack()
        servers: list[asyncio.Server] = []
        try:
            if self.config.metrics:
                metrics = MetricsServer(self, parse_address(self.config.metrics, "metrics"))
                ending.callback(metrics.close)
            if self.config.spans:
                self.spans = self._tell_spans(loop)
            servers = await self._listen(loop)
            # asyncio's own transports are circular; those of uvloop are not.
            is_circular = isinstance(loop, asyncio.BaseEventLoop)
            quiet_collector(self.system.makes_cycles or is_circular)
            sys.setswitchinterval(SWITCH_SECONDS)
            self.telemetry.start(loop)
            ending.callback(self.telemetry.stop)
            self.log.tell("serves", clients=self.config.clients, incarnation=self.disk.incarnation)
            ready()
            await self.stopped
        finally:
            ending.close()
            for server in servers:
                server.close()
            for link in self._links.links.values():
                await link.stop()
            for connection in tuple(self.door.connections):
                connection.close()
            if self.recorder is not None:
                self.recorder.close()
            self.disk.close()
            if self.spans is not None:
                self.spans.close()

    def _tell_spans(self, loop: asyncio.AbstractEventLoop) -> Spans:
        config, incarnation = self.config, self.disk.incarnation

        def tell(event: str, level: Level = "info", **facts: Fact) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                loop.call_soon_threadsafe(lambda: self.log.tell(event, level, **facts))

        about: dict[str, str | int | bool] = {
            "service.name": "quorate",
            "service.version": __version__,
            "service.instance.id": f"{config.cluster}/{config.member}",
            "quorate.cluster": config.cluster,
            "quorate.member": config.member,
            "quorate.incarnation": incarnation,
        }
        spans = Spans(config.spans, about, tell)
        watch = Watch(spans, self.recorder, config.cluster, self.server, self.role)
        self.host.recorder = self.door.watch = watch
        return spans

    def begin(self) -> None:
        """Begin the server's incarnation."""
        self.host.start(self.server, self.disk.incarnation > 1, self.disk.stored)
        self.host.turn()

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        host = self.host
        handle: asyncio.TimerHandle | None = None

        def wake_at(when: int) -> None:
            nonlocal handle
            if handle is not None:
                handle.cancel()
            delay = self.clock.seconds(max(when - self.clock.now(), 0))
            handle = loop.call_later(delay, host.wake)

        def turn() -> None:
            host.turn()
            self.telemetry.look()

        def ask_for_turn() -> None:
            loop.call_soon(turn)

        host.wants_turn = ask_for_turn
        host.wants_waking = wake_at
        self.door.soon = loop.call_soon
        self.disk.failed = lambda why: self._stop(StorageFailed(why))

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Server]:
        config = self.config
        dial, serve, clients = tls_contexts(config.tls, self._base)
        for context in (serve, clients):
            if context is not None:
                tell_failures(context, self._refused)
        hello = own_hello(config.cluster, config.member, self.disk.incarnation)

        def members() -> frozenset[str]:
            return frozenset((*self.config.members, *config.visitors))

        def connect(name: str, address: str) -> None:
            known = self._links.links.get(name)
            if known is not None:
                known.address = parse_address(address, name)
                return
            link = self._links.links[name] = Link(hello, name, parse_address(address, name), dial)
            link.changed = self.telemetry.link_changed
            link.start()

        self.connect = connect
        for name, text in (config.members | config.visitors).items():
            if name != config.member or name in config.visitors:
                connect(name, config.via.get(name, text))

        def inbound() -> asyncio.Protocol:
            if len(self._inbound) >= MOST_INBOUND:
                return Closed()
            one = Inbound(hello, members, self._receive, self._refused)
            self._inbound.add(one)
            return one

        self.begin()  # Before anybody can reach us: a node's first event is its start.
        return [
            await _serve(loop, inbound, config.members[config.member], serve),
            await _serve(loop, lambda: Connection(self.door), config.clients, clients),
        ]

    def _receive(self, inbound: Inbound, frames: list[Frame]) -> None:
        decode, deliver = self.host.codec.message, self.host.deliver
        if inbound.theirs is not None:
            self.heard[inbound.theirs.member] += len(frames)
        for frame in frames:
            if frame.kind == MESSAGE:
                try:
                    message = decode(frame.payload)
                except Undecodable as error:
                    self.log.tell("dropped", "warning", source=frame.source, why=str(error))
                    continue
                deliver(frame.source, frame.target, message, frame.origin)
            elif frame.kind == ASK:
                self.answer(bytes(frame.payload), _answering(inbound))

    def answer(self, data: bytes, answer: Answer) -> None:
        """Tell an operator what he asks, or do it first."""
        try:
            question = msgspec.json.decode(data, type=Question)
        except MALFORMED as error:
            answer({"error": f"this is no question: {one_line(error)}"})
            return
        if question.ask == "bend" and self._within is not None:
            answer(self._within.obey(data))
        else:
            self._administration.take(question, answer)

    def status(self) -> dict[str, Any]:
        """Facts about this member, for people and for metrics."""
        node: Node = self.server.node
        facts = {
            "member": self.config.member,
            "pid": os.getpid(),
            "incarnation": self.disk.incarnation,
            "role": self.role(),
            "steps": self.host.steps - (self.disk.incarnation << INCARNATION_SHIFT),
            "syncs": self.host.syncs,
            "commands": self.door.commands,
            "connections": len(self.door.connections),
            "heard": {name: count for name, count in self.heard.items() if name},
            "open": sorted(name for name, link in self._links.links.items() if link.is_open),
            "refusals": {n: k.refusal for n, k in self._links.links.items() if k.refusal},
        }
        facts |= self.telemetry.facts()
        for name in ("leader", *NUMBERS):
            value = getattr(node, name, None)
            if isinstance(value, int | str):
                facts[name] = str(value) if isinstance(value, str) else value
        return facts

    def facts(self) -> dict[str, dict[str, str | int]]:
        """What clients may know of this member, in sections."""
        status, config = self.status(), self.config
        raft = {k: status[k] for k in ("role", "leader", *NUMBERS) if k in status}
        return {
            "Server": {
                "quorate_version": __version__,
                "cluster": config.cluster,
                "member": config.member,
                "incarnation": self.disk.incarnation,
                "process_id": os.getpid(),
                "tcp_port": config.clients.rpartition(":")[2],
            },
            "Clients": {"connected_clients": len(self.door.connections)},
            "Stats": {
                "total_commands_processed": self.door.commands,
                "steps": status["steps"],
                "syncs": self.host.syncs,
            },
            "Replication": {"members": len(config.members), **raft},
        }

    def role(self) -> str:
        """The role of the server, or "" where its protocol has none."""
        role = self.system.scenario.role
        return role(self.server.node) if role else ""

    @property
    def links(self) -> dict[str, Link]:
        """The ways to the other members, by name."""
        return self._links.links

    def _refused(self, why: str) -> None:
        self.log.tell("refused", "warning", connection=why)

    def _stop(self, error: BaseException | None) -> None:
        if not self.stopped.done():
            self.log.tell("stops", "error" if error else "info", why=str(error or "it is told to"))
            if error is None:
                self.stopped.set_result(None)
            else:
                self.stopped.set_exception(error)

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A step or a sync has raised: a member that may be wrong must not go on."""
        error = context.get("exception")
        self._stop(error or RuntimeError(context["message"]))


class Closed(asyncio.Protocol):
    """A connection for which there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _answering(inbound: Inbound) -> Answer:
    return lambda told: inbound.answer(ANSWER, msgspec.json.encode(told))


async def _serve(
    loop: asyncio.AbstractEventLoop,
    protocol: Callable[[], asyncio.Protocol],
    text: str,
    tls: ssl.SSLContext | None,
) -> asyncio.Server:
    host, port = parse_address(text, "address")
    try:
        return await loop.create_server(protocol, host, port, ssl=tls, reuse_address=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Mistake(f"cannot listen at {text}: {reason}; is another member running?") from error


def quiet_collector(makes_cycles: bool) -> None:
    """Keep the garbage collector from walking all that a member holds.

    Where steps leave no cyclic garbage it stays off; else it looks at what is young.
    """
    gc.collect()
    gc.freeze()
    if makes_cycles:
        gc.set_threshold(50_000, 20, 1_000_000)
    else:
        gc.disable()
