"""A way between two members: whole frames, in order, and only what it was told to do to them."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from quorate.kernel.values import NodeId
from quorate.live.chaos.proxy import Proxies, Way
from quorate.live.frames import HELLO, MESSAGE, Unframer, frame, frame_head, route_bytes

ROUTE = route_bytes("n1", "n2")


def message(number: int) -> bytes:
    """A frame that a node sends, of a length of its own."""
    payload = str(number).encode() + b" " * (number * 7 % 300)
    return frame_head(MESSAGE, payload, ROUTE) + payload


class Target(asyncio.Protocol):
    """The member at the other end: which messages it got, over all connections."""

    def __init__(self, got: list[int], made: list["Target"]) -> None:
        self.got = got
        self.made = made
        self.transport: asyncio.BaseTransport | None = None
        self._unframer = Unframer(1 << 20)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.made.append(self)

    def data_received(self, data: bytes) -> None:
        for one in self._unframer.feed(data):
            if one.kind == MESSAGE:
                assert one.source == NodeId("n1")
                self.got.append(int(bytes(one.payload)))


class Bench:
    """One way, with a source and a target."""

    def __init__(self) -> None:
        self.network = Proxies(("n1", "n2"), 7)
        self.way: Way = self.network.ways["n1", "n2"]
        self.got: list[int] = []
        self.targets: list[Target] = []
        self.port = 0

    async def open(self) -> asyncio.StreamWriter:
        """A target that listens, and a source that has said hello."""
        await self.listen()
        via = await self.network.listen()
        self.way.address = ("127.0.0.1", self.port)
        host, port = via["n1"]["n2"].split(":")
        _, source = await asyncio.open_connection(host, int(port))
        source.write(frame(HELLO, b"hello"))
        return source

    async def listen(self) -> None:
        """Let the target accept connections."""
        loop = asyncio.get_running_loop()
        make = lambda: Target(self.got, self.targets)  # noqa: E731
        self.server = await loop.create_server(make, "127.0.0.1", self.port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    async def until(self, count: int, seconds: float = 5.0) -> None:
        """Wait until so many messages are there, and see that no more come."""
        deadline = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)

    def close(self) -> None:
        """Let everything go."""
        self.server.close()
        for target in self.targets:
            if target.transport is not None:
                target.transport.close()
        self.network.close()


def on_bench(test: Callable[[Bench, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Run a test with a way that is open."""

    async def run() -> None:
        bench = Bench()
        source = await bench.open()
        try:
            await test(bench, source)
        finally:
            source.transport.abort()
            bench.close()
            await asyncio.sleep(0.01)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_frames_pass_whole_and_in_order_however_they_are_cut(seed: int) -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        stream = b"".join(map(message, range(300)))
        dice, at = random.Random(seed), 0
        while at < len(stream):
            step = dice.randint(1, 2000)
            source.write(stream[at : at + step])
            at += step
            await asyncio.sleep(0)
        await bench.until(300)
        assert bench.got == list(range(300))
        assert bench.way.arrived == bench.way.forwarded == 300

    on_bench(test)


def test_a_cut_forgets_and_what_comes_after_the_heal_arrives() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(block="drop")
        source.write(message(1))
        await bench.until(2, 0.2)
        assert bench.got == [0]
        assert bench.way.cut == 1
        bench.way.calm()
        source.write(message(2))
        await bench.until(2)
        assert bench.got == [0, 2]

    on_bench(test)


def test_what_is_held_back_arrives_after_the_heal() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(block="hold")
        source.write(message(1) + message(2))
        await bench.until(3, 0.2)
        assert bench.got == [0]
        bench.way.calm()
        await bench.until(3)
        assert bench.got == [0, 1, 2]

    on_bench(test)


def test_a_reset_breaks_the_connection_and_accepts_no_other() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(block="reset")
        host, port = source.get_extra_info("peername")
        reader, again = await asyncio.open_connection(host, port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        again.transport.abort()
        assert bench.way.refused == 1

    on_bench(test)


def test_frames_are_lost_and_doubled_whole_by_the_seed() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(1000))
        await bench.until(1)
        bench.way.set(loss=0.3, doubling=0.2)
        source.write(b"".join(map(message, range(500))))
        way = bench.way
        await bench.until(501 - 150 + 70, 1.0)
        assert len(bench.got) == 501 - way.lost + way.doubled
        assert 90 < way.lost < 210
        assert 40 < way.doubled < 160
        kept = list(dict.fromkeys(bench.got[1:]))
        assert kept == sorted(kept)
        fates.append(bench.got)

    fates: list[list[int]] = []
    on_bench(test)
    on_bench(test)
    assert fates[0] == fates[1]


def test_frames_are_late_and_never_overtake_each_other() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(delay=(0.1, 0.2))
        begun = time.monotonic()
        source.write(b"".join(map(message, range(1, 50))))
        while len(bench.got) < 2:
            await asyncio.sleep(0.002)
        assert time.monotonic() - begun >= 0.1
        await bench.until(50)
        assert bench.got == list(range(50))
        assert bench.way.late == 49

    on_bench(test)


def test_what_is_under_way_arrives_though_its_sender_dies() -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(delay=(0.1, 0.1))
        source.write(message(1))
        await asyncio.sleep(0.03)
        source.transport.abort()
        await bench.until(2)
        assert bench.got == [0, 1]

    on_bench(test)


@pytest.mark.parametrize("outlasts", [True, False])
def test_frames_wait_for_a_target_that_is_down_only_if_they_shall(outlasts: bool) -> None:
    async def test(bench: Bench, source: asyncio.StreamWriter) -> None:
        source.write(message(0))
        await bench.until(1)
        bench.way.set(outlasts=outlasts)
        bench.server.close()
        for target in bench.targets:
            assert isinstance(target.transport, asyncio.Transport)
            target.transport.abort()
        await asyncio.sleep(0.05)
        source.write(message(1))
        await asyncio.sleep(0.1)
        await bench.listen()
        await bench.until(2, 1.0)
        assert bench.got == ([0, 1] if outlasts else [0])

    on_bench(test)
