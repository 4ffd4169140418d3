"""The stroke against voters: whoever forgets what he has promised is found out.

Two halves of a cluster have one member in common, and both stand for election. The voter gives one
half its word, dies at once, and comes back to hear the other half first: frames that it has not
heard wait for it. It was down while the others went on, so that it has nothing that either half
lacks, and no reason to refuse one. Nothing here knows a protocol: a promise is an answer that was
written down.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from quorate.live.chaos.proxy import Way
from quorate.live.chaos.strokes import Draw, Proof, Stage, cut_files, synced
from quorate.live.disk import JOURNAL

CATCH_UP_SECONDS = 0.3
"""Who was down before has the others' entries by then, and could be elected."""
MOST_LATE = 0.03
"""Seconds that a frame between a half and the voter may take."""
AT_ONCE = 0.15
"""Within so many seconds a voter that hears a question answers it."""
SILENCE = 0.5
"""Seconds that a voter lets pass when it is back, where it does not vote at once: it may have
promised its last leader a lease."""
PATIENCE = 2.5
"""Seconds that an election may take until the voter is asked, and until it has answered."""
LOOK_SECONDS = 0.02
"""From one look at who leads to the next."""


async def bounce(stage: Stage, draw: Draw) -> Proof:
    """Kill the one voter that two halves have in common, right after it has promised something."""
    voter, deaths, _ = await _bounce(stage, draw, lambda voter: 0)
    return Proof(deaths > 1, f"{voter} died {deaths} times while two halves elected")


async def unplug(stage: Stage, draw: Draw) -> Proof:
    """As `bounce`, but what the voter had not synced is lost each time."""
    voter, deaths, dropped = await _bounce(stage, draw, lambda voter: cut_files(stage, voter, draw))
    words = f"{voter} died {deaths} times while two halves elected, {dropped} bytes dropped"
    return Proof(dropped > 0, words)


async def _bounce(stage: Stage, draw: Draw, dies: Callable[[str], int]) -> tuple[str, int, int]:
    """The voter, how often it died, and the sum of what `dies`, called each time, returned."""
    crew, network = stage.crew, stage.network
    await asyncio.sleep(CATCH_UP_SECONDS)
    leader = await crew.leader()
    voter = draw.of([name for name in stage.names if name != leader])
    others = draw.shuffled([name for name in stage.names if name != voter])
    first, second = others[: len(others) // 2], others[len(others) // 2 :]
    cuts, links = network.between(first, second), network.of(voter)
    for way in links:  # Nothing that a leader says now is to wait for the voter.
        way.set(block="drop", delay=(0.0, draw.seconds(0.0, MOST_LATE)), outlasts=True)
    try:
        lost = [dies(voter) async for _ in _deaths(stage, voter, first, second)]
        await asyncio.sleep(draw.seconds(0.3, 1.0))  # Those who lead now serve clients.
    finally:
        for way in (*cuts, *links):
            way.set(block="", delay=(0.0, 0.0), outlasts=False)
    return voter, len(lost), sum(lost)


async def _deaths(
    stage: Stage, voter: str, first: Sequence[str], second: Sequence[str]
) -> AsyncIterator[None]:
    """Let the voter die, promise the first half something, die, and hear the second.

    Yields while it is dead.
    """
    crew, ways = stage.crew, stage.network.of(voter)
    (from_first, to_first), (from_second, to_second) = (
        ([way for way in ways if way.source in half], [way for way in ways if way.target in half])
        for half in (first, second)
    )
    crew.strike(voter)
    if not await crew.gone(voter):
        crew.down.discard(voter)
        return
    yield
    await stage.ledger.acknowledged(PATIENCE)
    for way in stage.network.between(first, second):
        way.set(block="drop")
    await _leaderless(stage)
    for way in ways:
        way.set(block="")
    written = await _hear_both(stage, voter, from_first, from_second)
    with _held(from_second):
        asked_meanwhile = asyncio.create_task(_spoken(from_second))
        if not await _spoken(to_first, lambda: synced(crew.data(voter) / JOURNAL) > written):
            await asked_meanwhile
            return
        crew.strike(voter)
        with _held(from_first):
            if await crew.gone(voter):
                yield
            crew.start(voter)
            await _is_back(stage, voter)
            for way in from_second:
                way.set(block="")
            is_answered = await _spoken(to_second, seconds=AT_ONCE)
    if await asked_meanwhile and not is_answered:
        stage.silence = SILENCE  # Known from now on.


async def _leaderless(stage: Stage) -> None:
    """Wait until nobody leads, whose word would keep the voter from hearing candidates."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while await stage.crew.leader() is not None:
                await asyncio.sleep(LOOK_SECONDS)


async def _hear_both(
    stage: Stage, voter: str, from_first: list[Way], from_second: list[Way]
) -> tuple[tuple[str, int], ...]:
    """Start the voter once both halves have asked, so that it hears them together.

    How far its journal was synced before.
    """
    crew = stage.crew
    with _held(from_first + from_second):
        crew.start(voter)
        await asyncio.gather(_is_back(stage, voter), _spoken(from_first), _spoken(from_second))
        await asyncio.sleep(MOST_LATE)  # What they ask is due by now.
        written = synced(crew.data(voter) / JOURNAL)
        heard = sum(way.forwarded for way in from_second)
    while crew.is_alive(voter) and sum(way.forwarded for way in from_second) == heard:
        await asyncio.sleep(0.001)
    return written


async def _is_back(stage: Stage, voter: str) -> None:
    """Wait until the voter answers, and votes."""
    await stage.crew.up(voter)
    await asyncio.sleep(stage.silence)


@contextmanager
def _held(ways: Sequence[Way]) -> Iterator[None]:
    """Let nothing pass by these ways in here; it passes afterwards."""
    for way in ways:
        way.set(block="hold")
    try:
        yield
    finally:
        for way in ways:
            way.set(block="")


async def _spoken(
    ways: Sequence[Way], when: Callable[[], bool] = lambda: True, seconds: float = PATIENCE
) -> bool:
    """Wait until a member speaks to another by one of these ways, when that holds; whether it did.

    What clients of theirs have to say does not count.
    """
    done = asyncio.Event()

    def watch(way: Way) -> Callable[[list[bytes]], None]:
        def sent(frames: list[bytes]) -> None:
            if any(map(way.is_between_members, frames)) and when():
                done.set()

        return sent

    for way in ways:
        way.on_frames = watch(way)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await done.wait()
    finally:
        for way in ways:
            way.on_frames = None
    return done.is_set()
