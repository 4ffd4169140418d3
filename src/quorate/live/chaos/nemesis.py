"""What strikes when: the seed decides, stroke by stroke, and every stroke proves that it bit.

Kinds come round by round, each in every round, so that a short run meets all of them. Those that
take members away come one after the other, and never take more than the cluster survives, unless
they take all for a moment; those that only make it hard go on beside them.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from quorate.errors import Mistake
from quorate.live.chaos import strokes
from quorate.live.chaos.crew import Ended
from quorate.live.chaos.strokes import Broke, Draw, Proof, Stage, Stroke, bend
from quorate.live.chaos.voters import bounce, unplug
from quorate.live.operator import Unreachable
from quorate.scenario.scenario import Scenario

HEAVY: dict[str, tuple[Stroke, ...]] = {
    "kill": (strokes.kill, bounce, bounce, bounce),
    "power-cut": (strokes.power_cut, strokes.power_cut, unplug, unplug),
    "pause": (strokes.pause,),
    "partition": (strokes.partition,),
    "disk": (strokes.disk,),
}
LIGHT: dict[str, tuple[Stroke, ...]] = {
    "delay": (strokes.delay,),
    "loss": (strokes.loss,),
    "clock": (strokes.clock,),
    "slow-disk": (strokes.slow,),
}
KINDS = (*HEAVY, *LIGHT)
"""All kinds of faults that a live cluster can be struck by."""
TOLERATED = {
    "kill": "crash",
    "power-cut": "crash",
    "disk": "crash",
    "slow-disk": "disk",
}
"""The fault of a protocol's model that each kind needs, where it has another name."""


def tolerated(scenario: Scenario) -> tuple[str, ...]:
    """The kinds that the protocol's stated model tolerates, and that chaos can keep within it.

    Members that recover with the help of others count as down until they have; that cannot be seen
    from outside, so they are not killed. Nor is their disk of much use to them.
    """
    comes_back = scenario.recovers and scenario.recovering is None
    allowed = scenario.faults if comes_back else scenario.faults - {"crash", "disk"}
    return tuple(kind for kind in KINDS if TOLERATED.get(kind, kind) in allowed)


EXTRA_SECONDS = 8.0
"""So long before the end only those strike that have not bitten yet; and so long after it."""
LONGEST_STROKE = 10.0


RECOVERY_SECONDS = 3.0


class Struck(msgspec.Struct, frozen=True):
    """One stroke: when in seconds, how, and what came of it."""

    at: float
    kind: str
    stroke: str
    bit: bool
    words: str


class Nemesis:
    """Strikes until its time is over.

    Attributes:
        struck: every stroke, in the order of their ends.
        broke: what the cluster did that no cluster may; "" if nothing.
        leaders: who has led, by term.
    """

    def __init__(
        self, stage: Stage, kinds: tuple[str, ...], seed: int, tell: Callable[[Struck], None]
    ) -> None:
        self.struck: list[Struck] = []
        self.broke = ""
        self.leaders: set[tuple[int, str]] = set()
        self._stage = stage
        self._kinds = kinds
        self._seed = seed
        self._tell = tell
        self._start = time.monotonic()
        self._light: dict[str, asyncio.Task[None]] = {}

    @property
    def injected(self) -> Counter[str]:
        """How many strokes there were, by kind."""
        return Counter(one.kind for one in self.struck)

    @property
    def bit(self) -> Counter[str]:
        """How many of them are proved to have bitten."""
        return Counter(one.kind for one in self.struck if one.bit)

    async def run(self, seconds: float, over: asyncio.Event) -> None:
        """Strike for so long, or until it is over; then everything is whole again."""
        self._start = time.monotonic()
        watch = asyncio.create_task(self._watch(over))
        try:
            async with asyncio.timeout(seconds + EXTRA_SECONDS + 2 * LONGEST_STROKE):
                await self._rounds(seconds, over)
        except TimeoutError:
            pass  # What is left is made whole by whoever called us.
        finally:
            for task in (watch, *self._light.values()):
                task.cancel()
            await asyncio.gather(watch, *self._light.values(), return_exceptions=True)

    async def _rounds(self, seconds: float, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set() and self._kinds_left(seconds):
            draw = Draw(self._seed, f"round {number}")
            for kind in draw.shuffled(self._kinds_left(seconds)):
                if over.is_set() or kind not in self._kinds_left(seconds):
                    break
                await asyncio.sleep(draw.seconds(0, 0.5))
                label = f"{number} {kind}"
                if kind in LIGHT:
                    if kind in self._light:
                        await self._light[kind]
                    self._light[kind] = asyncio.create_task(self._strike(kind, label, over))
                else:
                    await self._strike(kind, label, over)
            number += 1
            if self._elapsed() > seconds - EXTRA_SECONDS:
                await asyncio.gather(*self._light.values())
        await asyncio.gather(*self._light.values())

    def _kinds_left(self, seconds: float) -> tuple[str, ...]:
        """What may strike now: all, and when time is almost over, what has not bitten yet."""
        left = seconds - self._elapsed()
        toothless = tuple(kind for kind in self._kinds if not self.bit[kind])
        if left < EXTRA_SECONDS and toothless:
            return toothless if left > -EXTRA_SECONDS else ()
        return self._kinds if left > 0 else ()

    async def _strike(self, kind: str, label: str, over: asyncio.Event) -> None:
        draw = Draw(self._seed, f"stroke {label}")
        choices = {**HEAVY, **LIGHT}[kind]
        is_rich = len(self._stage.names) > 2 and self._stage.network.knows_frames
        stroke = draw.of(choices if is_rich else choices[:1])
        if draw.chance(75):  # Else strike while it has not recovered from the last one.
            await self._stage.ledger.acknowledged(RECOVERY_SECONDS)
        at = self._elapsed()
        try:
            proof = await stroke(self._stage, draw)
        except (Unreachable, Mistake) as error:
            proof = Proof(False, f"no answer: {error}")
        except Ended as error:
            proof = Proof(False, "a member is lost")
            self._end(f"no_member_ends: {error}", over)
        except Broke as error:
            proof = Proof(True, str(error))
            self._end(str(error), over)
        self._stage.crew.prepare()
        struck = Struck(round(at, 2), kind, stroke.__name__, proof.bit, proof.words)
        self.struck.append(struck)
        self._tell(struck)

    def _end(self, why: str, over: asyncio.Event) -> None:
        self.broke = self.broke or why
        over.set()

    async def _watch(self, over: asyncio.Event) -> None:
        """See who leads, and whether somebody ends by himself."""
        crew, looks = self._stage.crew, 0
        while not over.is_set():
            why = crew.ended()
            if why:
                self._end(f"no_member_ends: {why}", over)
            if looks % 5 == 0:
                names = [name for name in self._stage.names if name not in crew.down]
                facts = await asyncio.gather(*map(crew.status, names))
                for name, fact in zip(names, facts, strict=True):
                    if fact is not None and fact.get("role") == "leader":
                        self.leaders.add((fact.get("current_term", 0), name))
            looks += 1
            await asyncio.sleep(0.05)

    async def calm(self) -> None:
        """Make everything whole: all links, all members, all clocks and disks. Raises Ended."""
        crew = self._stage.crew
        self._stage.network.calm()
        for name in self._stage.names:
            if crew.is_alive(name):
                crew.resume(name)
                crew.down.discard(name)
            else:
                crew.start(name)
        for name in self._stage.names:
            await crew.up(name)
            with contextlib.suppress(Unreachable):
                await bend(crew, name, rate_ppm=0, step=0, slow=0.0, fail="")

    def _elapsed(self) -> float:
        return time.monotonic() - self._start
