"""The network of a cluster under chaos: a proxy for each directed link, on the loopback.

Members dial each other through these (`via` in their configuration). A way knows frames, so that
only whole messages are lost, doubled or late; a hole in the stream would just break it. What one
way has taken in it delivers in order, as TCP does, even if its sender dies meanwhile.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Unpack, cast

import msgspec

from quorate.live.chaos.network import CALM, Block, Condition, Network
from quorate.live.config import Address, parse_address, write_config
from quorate.live.frames import MESSAGE, frame_head, route_bytes
from quorate.live.supervisor import CONFIG, Place
from quorate.scenario.conditions import Dice

MOST_HELD = 32 << 20
"""Bytes that a way holds; past them it stops reading, and the sender's own buffers fill."""
REDIAL_SECONDS = 0.01
_CHANCE = 1 << 32
_COUNTED = ("arrived", "forwarded", "cut", "lost", "doubled", "late", "refused")
_ROUTE_AT = len(frame_head(MESSAGE, b"", b""))


class Way:
    """From one member to another.

    Attributes:
        block: see `Block`.
        delay: least and greatest seconds that a frame is held up.
        loss, doubling: the chance that a frame is lost, or arrives twice.
        bandwidth: bytes a second; 0 for no limit.
        outlasts: frames for a target that is down wait for it, as if they were late.
        arrived, forwarded, cut, lost, doubled, late: frames, counted.
        refused: connections, counted.
        on_frames: called with the frames that have just come in.
    """

    block: Block = ""
    delay: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    doubling: float = 0.0
    bandwidth: int = 0
    outlasts: bool = False

    def __init__(self, source: str, target: str, dice: Dice) -> None:
        self.source, self.target = source, target
        self.address: Address = ("", 0)
        self.arrived = self.forwarded = self.cut = self.lost = self.doubled = self.late = 0
        self.refused = 0
        self.on_frames: Callable[[list[bytes]], None] | None = None
        self._dice = dice
        self._route = route_bytes(source, target)
        self._lanes: set[_Inlet] = set()
        self._server: asyncio.Server | None = None
        self.is_calm = True

    def calm(self) -> None:
        """Be a plain wire again."""
        self.set(**CALM, outlasts=False)

    def set(
        self,
        *,
        block: Block | None = None,
        delay: tuple[float, float] | None = None,
        loss: float | None = None,
        doubling: float | None = None,
        bandwidth: int | None = None,
        outlasts: bool | None = None,
    ) -> None:
        """Change what is given."""
        self.block = self.block if block is None else block
        self.delay = self.delay if delay is None else delay
        self.loss = self.loss if loss is None else loss
        self.doubling = self.doubling if doubling is None else doubling
        self.bandwidth = self.bandwidth if bandwidth is None else bandwidth
        self.outlasts = self.outlasts if outlasts is None else outlasts
        self.is_calm = not (
            self.block or self.delay[1] or self.loss or self.doubling or self.bandwidth
        )
        for lane in tuple(self._lanes):
            if self.block == "reset":
                lane.abort()
            else:
                lane.pump()

    def is_between_members(self, frame: bytes) -> bool:
        """Whether the two members themselves are its ends, and not a client's connection."""
        return frame.startswith(self._route, _ROUTE_AT)

    async def listen(self) -> int:
        """Accept connections from the source; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Inlet(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Let all connections go."""
        if self._server is not None:
            self._server.close()
        for lane in tuple(self._lanes):
            lane.abort()

    def enter(self, lane: "_Inlet") -> None:
        """A connection has been made."""
        self._lanes.add(lane)

    def leave(self, lane: "_Inlet") -> None:
        """A connection is over, and all that came by it delivered or lost."""
        self._lanes.discard(lane)

    def fate(self) -> tuple[int, float]:
        """How many times the frame that has arrived last is delivered, and after how long."""
        bits = self._dice.bits(f"frame {self.arrived}")
        copies = 1
        if (bits & _CHANCE - 1) < self.loss * _CHANCE:
            copies = 0
            self.lost += 1
        elif (bits >> 32) < self.doubling * _CHANCE:
            copies = 2
            self.doubled += 1
        low, high = self.delay
        wait = low + (high - low) * (bits >> 8 & _CHANCE - 1) / _CHANCE if high else 0.0
        return copies, wait


class _Inlet(asyncio.Protocol):
    """The source's side of one connection, and what it has sent."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._source: asyncio.Transport | None = None
        self._outlet: _Outlet | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._hello = b""
        self._rest = bytearray()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._last = 0.0  # When the frame that came last is due.
        self._handle: asyncio.TimerHandle | None = None
        self._is_over = False

    # The source

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._source = cast(asyncio.Transport, transport)
        self._way.enter(self)
        if self._way.block == "reset":
            self._way.refused += 1
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._source = None
        if not self._queue or self._outlet is None:
            self.abort()

    def data_received(self, data: bytes) -> None:
        frames = self._frames(data)
        if not frames:
            return
        way = self._way
        if not self._hello:
            self._hello = frames.pop(0)
            self._dial()
        if way.on_frames is not None and frames:
            way.on_frames(frames)
        if way.is_calm and not self._queue and self._outlet is not None:
            way.arrived += len(frames)
            way.forwarded += len(frames)
            self._outlet.write(b"".join(frames))
            return
        for frame in frames:
            self._take(frame)
        self.pump()

    def _frames(self, data: bytes) -> list[bytes]:
        """The frames that are whole now; the rest is kept."""
        self._rest += data
        rest, at, end = self._rest, 0, len(self._rest)
        frames = []
        while end - at >= 4:
            stop = at + 4 + int.from_bytes(rest[at : at + 4], "big")
            if stop > end:
                break
            frames.append(bytes(rest[at:stop]))
            at = stop
        del rest[:at]
        return frames

    def _take(self, frame: bytes) -> None:
        way, now = self._way, self._loop.time()
        way.arrived += 1
        if way.block == "drop":
            way.cut += 1
            return
        copies, wait = (1, 0.0) if way.is_calm else way.fate()
        if way.block == "hold":
            way.cut += 1
        due = max(now + wait, self._last)
        if way.bandwidth:
            due += len(frame) / way.bandwidth
        if due > now and copies:
            way.late += 1
        self._last = due
        for _ in range(copies):
            self._queue.append((due, frame))
            self._held += len(frame)
        self._throttle()

    # The target

    def _dial(self) -> None:
        self._dialling = self._loop.create_task(self._keep_dialling())

    async def _keep_dialling(self) -> None:
        way = self._way
        while True:
            while way.block:  # The hello is under way for as long as the way is cut.
                await asyncio.sleep(REDIAL_SECONDS)
            try:
                _, outlet = await self._loop.create_connection(lambda: _Outlet(self), *way.address)
            except OSError:
                if not way.outlasts:
                    self.abort()
                    return
                await asyncio.sleep(REDIAL_SECONDS)
                continue
            self._outlet = outlet
            outlet.write(self._hello)
            self.pump()
            return

    def answered(self, data: bytes) -> None:
        """The target has answered the hello."""
        if self._source is not None:
            self._source.write(data)

    def lost_target(self) -> None:
        """The target has hung up, or is dead."""
        self._outlet = None
        if self._way.outlasts and not self._is_over and (self._source or self._queue):
            self._dial()
        else:
            self.abort()

    def pump(self) -> None:
        """Deliver what is due, and see to the rest when that is."""
        way, queue = self._way, self._queue
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._outlet is None or way.block == "hold":
            return
        now, ready = self._loop.time(), []
        while queue and queue[0][0] <= now:
            ready.append(queue.popleft()[1])
        if ready:
            self._held -= sum(map(len, ready))
            if way.block:
                way.cut += len(ready)
            else:
                way.forwarded += len(ready)
                self._outlet.write(b"".join(ready))
            self._throttle()
        if queue:
            self._handle = self._loop.call_at(queue[0][0], self.pump)
        elif self._source is None:
            self.abort()

    def _throttle(self) -> None:
        if self._source is not None:
            if self._held > MOST_HELD:
                self._source.pause_reading()
            elif not self._source.is_reading():
                self._source.resume_reading()

    def hold_source(self, is_full: bool) -> None:
        """The target takes no more for now, or does again."""
        if self._source is not None:
            if is_full:
                self._source.pause_reading()
            else:
                self._throttle()

    def abort(self) -> None:
        """End both sides; what is not delivered is lost."""
        self._is_over = True
        if self._source is not None:
            self._source.abort()
        if self._outlet is not None:
            self._outlet.abort()
        if self._dialling is not None:
            self._dialling.cancel()
        if self._handle is not None:
            self._handle.cancel()
        self._way.lost += len(self._queue)
        self._queue.clear()
        self._way.leave(self)


class _Outlet(asyncio.Protocol):
    """The target's side of one connection."""

    def __init__(self, inlet: _Inlet) -> None:
        self.transport: asyncio.Transport | None = None
        self._inlet = inlet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=MOST_HELD)

    def write(self, data: bytes) -> None:
        """Send to the target."""
        if self.transport is not None:
            self.transport.write(data)

    def abort(self) -> None:
        """Hang up at once."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._inlet.answered(data)

    def pause_writing(self) -> None:
        self._inlet.hold_source(True)

    def resume_writing(self) -> None:
        self._inlet.hold_source(False)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._inlet.lost_target()


class Proxies(Network[Way]):
    """All ways of a cluster, as proxies in this process."""

    name = "proxies"
    blocks = ("drop", "hold", "reset")
    knows_frames = True

    def __init__(self, names: Iterable[str], seed: int) -> None:
        names = tuple(names)
        self.ways = {
            (a, b): Way(a, b, Dice(seed, f"way {a} {b}")) for a in names for b in names if a != b
        }
        self.unable = {}

    async def listen(self) -> dict[str, dict[str, str]]:
        """Accept connections; for each member, where it has to dial each other one."""
        via: dict[str, dict[str, str]] = {}
        for (source, target), way in self.ways.items():
            via.setdefault(source, {})[target] = f"127.0.0.1:{await way.listen()}"
        return via

    async def stand_between(self, places: Iterable[Place]) -> list[Place]:
        via = await self.listen()
        between = []
        for place in places:
            config = msgspec.structs.replace(place.config, via=via.get(place.name, {}))
            write_config(place.directory / CONFIG, config)
            between.append(Place(place.name, place.directory, config))
            for (_, target), way in self.ways.items():
                if target == place.name:
                    way.address = parse_address(config.members[target], target)
        return between

    def set(self, ways: Iterable[Way], **what: Unpack[Condition]) -> None:
        for way in ways:
            way.set(**what)

    def calm(self) -> None:
        for way in self.ways.values():
            way.calm()

    def counted(self, ways: Iterable[Way]) -> Counter[str]:
        ways = tuple(ways)
        return Counter({name: sum(getattr(way, name) for way in ways) for name in _COUNTED})

    def close(self) -> None:
        for way in self.ways.values():
            way.close()
