"""Sudden faults, as the seed's world has them, and the adversary if one plays.

The nemesis never acts at a time of its own: once one of its moments has come it waits for the next
step of some node and strikes right after that, so that the tape can anchor the fault to the step.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from quorate.kernel.env import MICROSECOND, ms
from quorate.kernel.values import NodeId
from quorate.scenario.adversary import Adversary
from quorate.scenario.conditions import LOST, Conditions, Dice
from quorate.scenario.fault import (
    ClockRate,
    ClockStep,
    Crash,
    Cut,
    Fault,
    Heal,
    Limit,
    Link,
    Pause,
    Restart,
    Resume,
    Slow,
)
from quorate.scenario.scenario import Scenario
from quorate.trace.record import Flight, Record

if TYPE_CHECKING:
    from quorate.simulate.world import World

KIND_OF: dict[type[Fault], str] = {
    Crash: "crash",
    Restart: "crash",
    Cut: "partition",
    Heal: "partition",
    Pause: "pause",
    Resume: "pause",
    Slow: "slow",
    Limit: "bandwidth",
    ClockRate: "clock",
    ClockStep: "clock",
}
"""Which kind of fault allows it."""

NEVER = 1 << 62
SUDDEN = ("partition", "crash", "pause", "slow", "bandwidth", "clock")


class Nemesis:
    """Strikes at random, and mends what it broke after a while.

    `wake` is the time before which it need not be asked; with an adversary it always wants to be.
    """

    def __init__(self, conditions: Conditions, scenario: Scenario, seed: int) -> None:
        self._conditions = conditions
        self._scenario = scenario
        self._servers = scenario.servers()
        self._now = 0
        self._dice = Dice(seed, "nemesis")
        self._kinds = [kind for kind in SUDDEN if kind in conditions.faults]
        self._count = 0
        self._due = self._dice.between("first", 0, conditions.gap) if self._kinds else NEVER
        self._next = self._due  # The earliest moment of its own: a sudden fault or a remedy.
        self._remedies: list[tuple[int, int, Fault]] = []
        self._victim: NodeId | None = None
        self._after_sync = False
        self.adversary: Adversary | None = None
        if conditions.adversary is not None:
            make = scenario.adversaries[conditions.adversary]
            self.adversary = make(Dice(seed, "adversary"))
        self.wake = self._next if self.adversary is None else 0

    def react(self, record: Record, world: "World") -> Sequence[Fault]:
        """What strikes right after this record."""
        self._now = world.time
        if record.kind == "fault":
            return self._partial_core() if record.series == "calm" else ()
        faults: list[Fault] = []
        if self.adversary is not None:
            for fault in self.adversary.react(record, world):
                if self._is_allowed(fault):
                    faults.append(fault)
                    self._promise_remedy(fault)
        if self._now >= self._next or self._victim is not None:
            faults += self._strike(record, world)
        return faults

    def _strike(self, record: Record, world: "World") -> list[Fault]:
        """The remedies and the sudden faults whose moment has come."""
        faults: list[Fault] = []
        while self._remedies and self._remedies[0][0] <= world.time:
            faults.append(heappop(self._remedies)[2])
        if self._victim == record.node and (
            record.kind == "sync" if self._after_sync else record.released < 0
        ):
            faults += self._crash(record.node, world)
            self._victim = None
        if world.time >= self._due:
            gap = self._conditions.gap
            self._due = world.time + self._draw("gap", gap // 4, 2 * gap)
            kind = self._kinds[self._draw("kind", 0, len(self._kinds) - 1)]
            faults += self._sudden(kind, world)
        self._next = min(self._due, self._remedies[0][0]) if self._remedies else self._due
        is_eager = self.adversary is not None or self._victim is not None
        self.wake = 0 if is_eager else self._next
        return faults

    def _is_allowed(self, fault: Fault) -> bool:
        if isinstance(fault, Restart) and not self._scenario.recovers:
            return False
        return KIND_OF[type(fault)] in self._scenario.faults

    def route(self, flight: Flight, delay: Any, world: "World") -> Any:
        """What the adversary makes of a message's fate, within the faults that are allowed."""
        assert self.adversary is not None
        routed = self.adversary.route(flight, delay, world)
        if routed == delay:
            return delay
        kind = "duplicate" if isinstance(routed, tuple) else "loss" if routed == LOST else "delay"
        return routed if kind in self._scenario.faults else delay

    def _sudden(self, kind: str, world: "World") -> list[Fault]:
        node = self._node()
        match kind:
            case "partition":
                return self._partition()
            case "crash" if when := self._draw("when", 0, 3):
                # As soon as it has something to lose, or as others have learnt what it will forget.
                self._victim, self._after_sync = node, when > 1
                return []
            case "crash":
                return self._crash(node, world)
            case "pause":
                return self._mend([Pause(node)], Resume(node), 5, 900)
            case "slow":
                extra = self._draw("extra", MICROSECOND, ms(60))
                return self._mend([Slow(node, extra)], Slow(node, 0), 20, 1500)
            case "bandwidth":
                interval = self._draw("interval", MICROSECOND, ms(4))
                return self._mend([Limit(node, interval)], Limit(node, 0), 20, 1500)
        if self._draw("which clock", 0, 1):
            return [ClockRate(node, self._draw("rate", 0, 2000) - 1000)]
        return [ClockStep(node, self._draw("step", 0, ms(20_000)) - ms(10_000))]

    def _crash(self, node: NodeId, world: "World") -> list[Fault]:
        if not world.may_crash():
            return []
        host = world.hosts[node]
        keep = self._draw("keep", 0, len(host.unsynced))
        sends = self._draw("sends", 0, 3)
        cut_short = sends if sends < 3 and self._draw("cut short", 0, 1) else None
        crash = Crash(node, keep, cut_short)
        if not self._scenario.recovers:
            return [crash]
        return self._mend([crash], Restart(node), 1, (4, 60, 700)[self._draw("how long", 0, 2)])

    def _partition(self) -> list[Fault]:
        servers = self._servers
        order = sorted(servers, key=lambda id: self._dice.bits(f"{self._count} order {id}"))
        shape = self._draw("shape", 0, 6)
        if shape == 6:  # Flapping: a split that comes and goes.
            links = split(order[: len(order) // 2], order[len(order) // 2 :])
            for turn in range(1, 4):
                self._later(ms(60 * turn), Heal(links))
                self._later(ms(60 * turn + 30), Cut(links))
            return self._mend([Cut(links)], Heal(links), 300, 600)
        links = SHAPES[shape](order)
        return self._mend([Cut(links)], Heal(links), 20, 1500) if links else []

    def _partial_core(self) -> list[Fault]:
        """Faults that stay: only a majority is whole, and others may still talk to it."""
        if self._conditions.whole_core or len(self._servers) < 3:
            return []
        order = sorted(self._servers, key=lambda id: self._dice.bits(f"core {id}"))
        core = len(order) // 2 + 1
        both_ways = split(order[:core], order[core:])
        one_way = tuple(link for link in both_ways if link[0] in order[:core])
        return [Cut(one_way if self._draw("one way", 0, 1) else both_ways)]

    def _promise_remedy(self, fault: Fault) -> None:
        match fault:
            case Crash(node) if self._scenario.recovers:
                self._mend([], Restart(node), 1, 500)
            case Cut(links):
                self._mend([], Heal(links), 50, 900)
            case Pause(node):
                self._mend([], Resume(node), 50, 900)

    def _mend(self, faults: list[Fault], remedy: Fault, low: int, high: int) -> list[Fault]:
        self._later(self._draw("remedy", ms(low), ms(high)), remedy)
        return faults

    def _later(self, delay: int, fault: Fault) -> None:
        self._count += 1
        heappush(self._remedies, (self._now + delay, self._count, fault))
        self._next = min(self._next, self._now + delay)

    def _node(self) -> NodeId:
        servers = self._servers
        return servers[self._draw("node", 0, len(servers) - 1)]

    def _draw(self, name: str, low: int, high: int) -> int:
        self._count += 1
        return self._dice.between(f"{self._count} {name}", low, max(low, high))


def split(left: list[NodeId], right: list[NodeId]) -> tuple[Link, ...]:
    """Nothing passes between the two groups."""
    return tuple(link for a in left for b in right for link in ((a, b), (b, a)))


def isolate(order: list[NodeId]) -> tuple[Link, ...]:
    """One node hears nobody and nobody hears it."""
    return split(order[:1], order[1:])


def halve(order: list[NodeId]) -> tuple[Link, ...]:
    """A minority and a majority."""
    return split(order[: len(order) // 2], order[len(order) // 2 :])


def one_way(order: list[NodeId]) -> tuple[Link, ...]:
    """One node hears nobody, yet everybody hears it."""
    return tuple((other, order[0]) for other in order[1:])


def bridge(order: list[NodeId]) -> tuple[Link, ...]:
    """Two halves that only one node can talk to."""
    half = len(order) // 2
    return split(order[1 : half + 1], order[half + 1 :])


def chain(order: list[NodeId]) -> tuple[Link, ...]:
    """Each node can talk to its two neighbours in a row, and to nobody else."""
    return tuple((a, b) for i, a in enumerate(order) for j, b in enumerate(order) if abs(i - j) > 1)


def quorum_loss(order: list[NodeId]) -> tuple[Link, ...]:
    """Everybody can talk to one node only."""
    return tuple((a, b) for a in order[1:] for b in order[1:] if a != b)


SHAPES = (isolate, halve, one_way, bridge, chain, quorum_loss)
