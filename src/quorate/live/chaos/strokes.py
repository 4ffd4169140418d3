"""The faults one by one: how each strikes, and how it proves that it bit.

A stroke is told its dice and returns a `Proof`. It ends with everything as it was before. What no
cluster may do, whatever strikes it, raises `Broke`.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quorate.errors import Mistake
from quorate.live.chaos.clients import Ledger
from quorate.live.chaos.crew import Crew
from quorate.live.chaos.network import Block, Network, Way
from quorate.live.disk import JOURNAL, STORED
from quorate.live.operator import Unreachable
from quorate.live.storage.offsets import OFFSETS, Extent, extents
from quorate.live.storage.power_cut import Cut, cut
from quorate.scenario.conditions import Dice

MILLISECOND = 1_000_000
MOST_PPM = 1000
"""How much faster or slower than true time a clock may run, in millionths: as in simulation."""
SETTLE_SECONDS = 0.15
"""What was under way when a link was cut has arrived after this long."""


class Proof(NamedTuple):
    """What a stroke came to: whether it bit, and what shows it, or what is missing."""

    bit: bool
    words: str


class Broke(Exception):
    """The cluster did what no cluster may; the text is a property's name and a sentence."""


class Draw:
    """The dice of one stroke."""

    def __init__(self, seed: int, stroke: str) -> None:
        self._dice = Dice(seed, stroke)
        self._count = 0

    def between(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        self._count += 1
        return self._dice.between(str(self._count), low, high)

    def seconds(self, low: float, high: float) -> float:
        """A duration."""
        return self.between(int(low * 1000), int(high * 1000)) / 1000

    def chance(self, percent: int) -> bool:
        """True in so many of 100."""
        return self.between(1, 100) <= percent

    def shuffled(self, names: Sequence[str]) -> list[str]:
        """The names in any order."""
        return sorted(names, key=lambda name: (self.between(0, 1 << 30), name))

    def of(self, options: Sequence[Any]) -> Any:
        """One of them."""
        return options[self.between(0, len(options) - 1)]


class Stage:
    """What strokes strike, and with what.

    Attributes:
        most: how many members may be down or cut off at once.
        cut: plays a power cut on a directory.
        dropped: unsynced bytes that power cuts have taken so far.
        silence: seconds for which voters do not vote after a restart, as far as is known.
    """

    def __init__(self, crew: Crew, network: Network[Any], ledger: Ledger, most: int) -> None:
        self.crew = crew
        self.network = network
        self.ledger = ledger
        self.most = most
        self.cut: Callable[[Path, Callable[[int, int], int]], list[Cut]] = cut
        self.dropped = 0
        self.silence = 0.0

    @property
    def names(self) -> list[str]:
        """All members."""
        return list(self.crew.places)

    async def victims(self, draw: Draw, count: int, leader_percent: int = 60) -> list[str]:
        """So many members, the leader often among them."""
        names = draw.shuffled(self.names)
        wants_leader = draw.chance(leader_percent)
        leader = await self.crew.leader() if wants_leader else None
        if leader is not None:
            names.sort(key=lambda name: name != leader)
        return names[:count]


Stroke = Callable[[Stage, Draw], Awaitable[Proof]]


# Processes


async def kill(stage: Stage, draw: Draw) -> Proof:
    """Kill a member, at any moment, or right after the leader has acknowledged a write."""
    crew = stage.crew
    (victim,) = await stage.victims(draw, 1)
    if draw.chance(50):
        await stage.ledger.acknowledged(1.0)
    pid = crew.pid(victim)
    crew.strike(victim)
    is_gone = await crew.gone(victim) and crew.code(victim) == -signal.SIGKILL
    await asyncio.sleep(draw.seconds(0, 0.8))
    if not is_gone:
        crew.down.discard(victim)
        return Proof(False, f"{victim} lives on as process {pid}")
    crew.start(victim)
    await crew.up(victim)
    return Proof(True, f"{victim}: process {pid} gone, now {crew.pid(victim)}")


async def pause(stage: Stage, draw: Draw) -> Proof:
    """Stop processes for a while: they hear and say nothing, and do not know of it."""
    crew = stage.crew
    victims = await stage.victims(draw, draw.between(1, stage.most))
    for victim in victims:
        crew.pause(victim)
    try:
        await asyncio.sleep(draw.seconds(0.2, 2.0))
        silent = [victim for victim in victims if not await _answers_now(crew, victim)]
    finally:
        for victim in victims:
            crew.resume(victim)
    for victim in victims:
        await crew.up(victim)
    return Proof(silent == victims, f"{', '.join(silent) or 'nobody'} answered nothing")


async def _answers_now(crew: Crew, name: str) -> bool:
    try:
        await crew.ask(name, {"ask": "status"}, 0.2)
    except Unreachable:
        return False
    return True


# Disks


async def power_cut(stage: Stage, draw: Draw) -> Proof:
    """Cut the power of some members, or of all at once, right after a write was acknowledged, or
    while one of them stores a snapshot.

    Disks are slow, so that there is something to lose, and of different speed: the leader's is the
    fastest, so it tells what the others may not have on theirs yet. What was synced outlives this;
    to see whether it does, the leader comes back last, and the others elect without it.
    """
    crew = stage.crew
    is_total = draw.chance(70)
    leader = await crew.leader()
    victims = await stage.victims(draw, len(stage.names) if is_total else stage.most)
    victims.sort(key=lambda name: name == leader)
    for victim in victims:
        is_fast = victim == leader and is_total
        await bend(crew, victim, slow=draw.seconds(0, 0.005) if is_fast else _slow(draw))
    await asyncio.sleep(0.05)
    await _until(lambda: _are_writing(crew, victims))
    if draw.chance(30):
        await _until(lambda: any(_is_storing(crew.data(name) / STORED) for name in victims))
    elif draw.chance(80):
        await stage.ledger.acknowledged(1.0)
    for victim in victims:
        crew.strike(victim)
    gone = [await crew.gone(victim) for victim in victims]
    if not all(gone):
        crew.down.difference_update(victims)
        return Proof(False, "a member lives on without power")
    dropped = sum([cut_files(stage, victim, draw) for victim in victims])
    late = victims[-1:] if is_total and draw.chance(70) else []
    await _start(crew, [victim for victim in victims if victim not in late])
    if late:
        await stage.ledger.acknowledged(2.0)
        await _start(crew, late)
    who = "all members" if is_total else ", ".join(victims)
    return Proof(dropped > 0, f"{who}: {dropped} unsynced bytes dropped")


def _slow(draw: Draw) -> float:
    return draw.seconds(0.02, 0.1)


async def _start(crew: Crew, names: list[str]) -> None:
    for name in names:
        crew.start(name)
    for name in names:
        await crew.up(name)


async def _until(is_so: Callable[[], bool], seconds: float = 1.0) -> None:
    """Wait until it is so, but no longer than that."""
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        await asyncio.sleep(0.001)


def _are_writing(crew: Crew, names: list[str]) -> bool:
    """Whether most of these members are writing what is not synced yet."""
    return sum(_unsynced(crew.data(name) / JOURNAL) > 0 for name in names) * 2 > len(names)


def _is_storing(directory: Path) -> bool:
    """Whether a value is being written here that is not in its place yet."""
    return any(directory.glob("*.new"))


def _unsynced(directory: Path) -> int:
    """How many bytes the offsets say are on their way to the disk."""
    return sum(one.written - one.synced for one in _extents(directory))


def synced(directory: Path) -> tuple[tuple[str, int], ...]:
    """How far the offsets say that files are synced: the greater, the more there is."""
    return tuple(sorted((one.name, one.synced) for one in _extents(directory)))


def _extents(directory: Path) -> list[Extent]:
    path = directory / OFFSETS
    try:
        return extents(path, path.read_bytes())
    except (OSError, Mistake):  # It is being written while we read it.
        return []


def cut_files(stage: Stage, name: str, draw: Draw) -> int:
    """Take from a dead member's disk what a power cut may; how many bytes that were."""

    def choose(low: int, high: int) -> int:
        return low if draw.chance(50) else draw.between(low, high)

    data = stage.crew.data(name)
    cuts = [one for part in (JOURNAL, STORED) for one in stage.cut(data / part, choose)]
    dropped = sum(one.dropped for one in cuts)
    stage.dropped += dropped
    return dropped


async def bend(crew: Crew, name: str, **what: Any) -> dict[str, Any]:
    """Bend a member's clock or disk; see `within.Bend`. Raises Mistake if it does not obey."""
    answer = await crew.ask(name, {"ask": "bend", **what})
    if "error" in answer:
        raise Mistake(f"{name}: {answer['error']}")
    return answer


async def disk(stage: Stage, draw: Draw) -> Proof:
    """Let a sync fail, or the disk be full: the member has to stop, or its acknowledgements lie.

    What was not synced is then lost, too: the system has given up writing it.
    """
    crew = stage.crew
    (victim,) = await stage.victims(draw, 1)
    failure = draw.of(("EIO", "ENOSPC"))
    crew.down.add(victim)  # On purpose, from here on.
    await bend(crew, victim, fail=failure)
    until = time.monotonic() + 3.0
    while crew.is_alive(victim) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    if crew.is_alive(victim):
        crew.down.discard(victim)
        failed = (await bend(crew, victim, fail=""))["failed"]
        if failed:
            raise Broke(f"stops_when_a_sync_fails: {victim} goes on after {failure}")
        return Proof(False, f"{victim} wrote nothing, so nothing could fail")
    if crew.code(victim) != 3:
        raise Broke(f"stops_when_a_sync_fails: {victim} ended with {crew.code(victim)}")
    words = crew.places[victim].last_words()
    dropped = cut_files(stage, victim, draw)
    await _start(crew, [victim])
    return Proof(True, f"{words}; {dropped} bytes dropped")


async def slow(stage: Stage, draw: Draw) -> Proof:
    """Let each sync of some members take long."""
    victims = await stage.victims(draw, draw.between(1, len(stage.names)))
    seconds = draw.seconds(0.005, 0.05)
    before = {name: await bend(stage.crew, name, slow=seconds) for name in victims}
    await asyncio.sleep(draw.seconds(0.5, 1.5))
    after = await _unbend(stage, before, slow=0.0)
    count = sum(last["slowed"] - before[name]["slowed"] for name, last in after.items())
    return Proof(count > 0, f"{count} syncs of {', '.join(after)} took {seconds * 1000:g} ms more")


async def _unbend(
    stage: Stage, first: dict[str, dict[str, Any]], **what: Any
) -> dict[str, dict[str, Any]]:
    """Bend back; the last answers of those members that were not killed meanwhile."""
    last = {}
    for name, answer in first.items():
        try:
            again = await bend(stage.crew, name, **what)
        except Unreachable:
            continue
        if again["pid"] == answer["pid"]:
            last[name] = again
    return last


# Clocks


async def clock(stage: Stage, draw: Draw) -> Proof:
    """Let clocks run fast or slow, and the wall clock step."""
    victims = await stage.victims(draw, draw.between(1, len(stage.names)))
    bends = {
        victim: (
            draw.between(MOST_PPM // 2, MOST_PPM) * draw.of((-1, 1)),
            draw.between(500, 10_000) * MILLISECOND * draw.of((-1, 1)),
        )
        for victim in victims
    }
    first = {
        victim: await bend(stage.crew, victim, rate_ppm=rate, step=step)
        for victim, (rate, step) in bends.items()
    }
    await asyncio.sleep(draw.seconds(0.5, 2.0))
    last = await _unbend(stage, first, rate_ppm=0, step=0)
    moved = [words for name in last if (words := _moved(first[name], last[name], *bends[name]))]
    return Proof(len(moved) == len(last) > 0, "; ".join(moved) or "no reading moved")


def _moved(first: dict[str, Any], last: dict[str, Any], rate: int, step: int) -> str:
    """How far a clock is off, by its own readings and the machine's; "" if that is not as bent."""
    elapsed = last["true"] - first["true"]
    drift = (last["now"] - first["now"] - elapsed) / elapsed * 1e6
    if abs(first["off"] - step) > MILLISECOND or not 0.5 < drift / rate < 2:
        return ""
    return f"by {step // MILLISECOND} ms and {drift:+.0f} ppm"


# The network

Shape = Callable[[Network[Any], list[str], Draw], list[Way]]


def halves(network: Network[Any], names: list[str], draw: Draw) -> list[Way]:
    """A minority and a majority."""
    few = draw.between(1, (len(names) - 1) // 2)
    return network.between(names[:few], names[few:])


def isolate(network: Network[Any], names: list[str], draw: Draw) -> list[Way]:
    """One member, and all others."""
    return network.between(names[:1], names[1:])


def one_way(network: Network[Any], names: list[str], draw: Draw) -> list[Way]:
    """One member hears nobody, or is heard by nobody."""
    is_deaf = draw.chance(50)
    return [w for w in network.of(names[0]) if (w.target if is_deaf else w.source) == names[0]]


def bridge(network: Network[Any], names: list[str], draw: Draw) -> list[Way]:
    """Two halves that only one member can talk to."""
    rest = names[1:]
    return network.between(rest[: len(rest) // 2], rest[len(rest) // 2 :])


def majority_ring(network: Network[Any], names: list[str], draw: Draw) -> list[Way]:
    """Each member hears a majority, no two the same one: its neighbours in a ring."""
    count = len(names)
    reach = count // 2 // 2 or 1
    at = {name: place for place, name in enumerate(names)}
    return [
        way
        for (a, b), way in network.ways.items()
        if min((at[a] - at[b]) % count, (at[b] - at[a]) % count) > reach
    ]


SHAPES: tuple[Shape, ...] = (halves, isolate, one_way, bridge, majority_ring)


async def partition(stage: Stage, draw: Draw) -> Proof:
    """Cut links; whoever was to hear nothing is asked whether that is so."""
    network, crew = stage.network, stage.crew
    names = draw.shuffled(stage.names)
    leader = await crew.leader()
    if leader is not None and draw.chance(60):
        names.sort(key=lambda name: name != leader)
    shapes = SHAPES if len(names) > 4 else SHAPES[:4]
    shape = draw.of(shapes if len(names) > 2 else (isolate, one_way))
    block: Block = draw.of(network.blocks)
    ways = shape(network, names, draw)
    network.set(ways, block=block)
    await asyncio.sleep(SETTLE_SECONDS)
    first = network.counted(ways)
    before = await heard(crew, ways)
    await asyncio.sleep(draw.seconds(0.5, 2.5))
    after = await heard(crew, ways)
    since = network.counted(ways) - first
    network.set(ways, block="")
    stopped = since["cut"] + since["refused"]
    what = f"{shape.__name__.replace('_', ' ')} around {names[0]}, {block}"
    leaks = [f"{b} heard {a}" for a, b in before if after.get((a, b)) != before[a, b]]
    if leaks:
        return Proof(False, f"{what}: {leaks[0]} all the same")
    return Proof(bool(before) and stopped > 0, f"{what}: {stopped} frames or connections stopped")


async def heard(crew: Crew, ways: list[Way]) -> dict[tuple[str, str], int]:
    """How many frames have come by each way, as its target counts them."""
    targets = sorted({way.target for way in ways})
    facts = dict(zip(targets, await asyncio.gather(*map(crew.status, targets)), strict=True))
    return {
        (way.source, way.target): fact["heard"].get(way.source, 0)
        for way in ways
        if (fact := facts[way.target]) is not None
    }


async def delay(stage: Stage, draw: Draw) -> Proof:
    """Let frames be late, on all links or on those of one member."""
    network = stage.network
    ways = list(network.ways.values())
    if draw.chance(40):
        ways = network.of(*await stage.victims(draw, 1))
    low = draw.seconds(0, 0.02)
    high = low + draw.of((0.01, 0.05, 0.2))
    bandwidth = 200_000 if draw.chance(20) else 0
    before = network.counted(ways)
    network.set(ways, delay=(low, high), bandwidth=bandwidth)
    await asyncio.sleep(draw.seconds(0.5, 2.5))
    network.set(ways, delay=(0.0, 0.0), bandwidth=0)
    count = (network.counted(ways) - before)["late"]
    return Proof(count > 0, f"{count} frames up to {high * 1000:.0f} ms late")


async def loss(stage: Stage, draw: Draw) -> Proof:
    """Lose frames, and deliver some twice."""
    network = stage.network
    ways = list(network.ways.values())
    chance, twice = draw.between(20, 250) / 1000, draw.between(0, 100) / 1000
    before = network.counted(ways)
    network.set(ways, loss=chance, doubling=twice)
    await asyncio.sleep(draw.seconds(0.5, 2.5))
    network.set(ways, loss=0.0, doubling=0.0)
    since = network.counted(ways) - before
    return Proof(since["lost"] > 0, f"{since['lost']} frames lost, {since['doubled']} doubled")
