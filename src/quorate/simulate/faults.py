"""Carries faults out, and knows what is broken at the moment."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quorate.kernel.node import recover
from quorate.kernel.values import NodeId
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
from quorate.scenario.notation import format_fault
from quorate.trace.record import Record

if TYPE_CHECKING:
    from quorate.simulate.host import Host
    from quorate.simulate.world import World


class Faults:
    """The broken side of a world.

    Attributes:
        cuts: the directed links that carry nothing.
        slow: whether any node is slow.
        struck: how often each kind of fault has struck, by class name.
        crashes_that_lost: crashes that undid a step which had been written.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self.cuts: set[Link] = set()
        self.slow = False
        self.struck: dict[str, int] = {}
        self.crashes_that_lost = 0
        self._noted = 0

    def strike(self, fault: Fault, cause: int) -> bool:
        """Let it happen now, because of record `cause`; False if it makes no sense now."""
        if not self._makes_sense(fault):
            return False
        name = type(fault).__name__
        self.struck[name] = self.struck.get(name, 0) + 1
        self.note(getattr(fault, "node", ""), name.lower(), format_fault(fault), cause)
        _CARRY_OUT[type(fault)](self, fault, cause)
        return True

    def note(self, node: str, name: str, detail: str, cause: int) -> Record:
        """Put a fault on record."""
        world = self._world
        self._noted += 1
        incarnation = world.hosts[NodeId(node)].incarnation if node else 0
        record = Record(
            len(world.records), world.time, "fault", NodeId(node), incarnation, name,
            0 if name == "calm" else self._noted, None, cause, None, None, None, (), [], world.time,
            world.time, world.time, (), detail,
        )  # fmt: skip
        world.records.append(record)
        return record

    def may_crash(self) -> bool:
        """Whether one more node may be down."""
        world = self._world
        limit = world.scenario.crashes
        if limit is None:
            limit = (len(world.servers) - 1) // 2
        return sum(self._is_down(world.hosts[id]) for id in world.servers) < limit

    def _is_down(self, host: "Host") -> bool:
        recovering = self._world.scenario.recovering
        return not host.up or (recovering is not None and recovering(host.node))

    def remedies(self) -> list[Fault]:
        """What it takes to make the system whole."""
        faults: list[Fault] = []
        for id in self._world.servers:
            host = self._world.hosts[id]
            if host.paused:
                faults.append(Resume(id))
            if host.extra_delay:
                faults.append(Slow(id, 0))
            if host.interval:
                faults.append(Limit(id, 0))
            if not host.up and self._world.scenario.recovers:
                faults.append(Restart(id))
        if self.cuts:
            faults.append(Heal())
        return faults

    def core(self) -> tuple[NodeId, ...]:
        """The servers that are up and can all talk to each other."""
        world = self._world
        members = [id for id in world.servers if world.hosts[id].up]
        cuts = {link for link in self.cuts if set(link) <= set(members)}
        while cuts:
            worst = max(members, key=lambda id: sum(id in link for link in cuts))
            members.remove(worst)
            cuts = {link for link in cuts if worst not in link}
        return tuple(members)

    def delayed(self, host: "Host", target: NodeId, delay: int) -> int:
        """A message's delay, with what slowness and bandwidth add to it."""
        world = self._world
        receiver = world.hosts[target]
        if max(host.index, receiver.index) >= len(world.servers) or host is receiver:
            return delay
        delay += receiver.extra_delay
        if host.interval:
            leaves = max(world.time, host.free_at.get(target, 0)) + host.interval
            host.free_at[target] = leaves
            delay += leaves - world.time
        return delay

    def _makes_sense(self, fault: Fault) -> bool:
        node = getattr(fault, "node", None)
        if node is None:
            links = getattr(fault, "links", ())
            return bool(self.cuts) if isinstance(fault, Heal) else not self.cuts.issuperset(links)
        host = self._world.hosts.get(node)
        if host is None:
            return False
        if isinstance(fault, Restart):
            return not host.up
        if isinstance(fault, Resume):
            return host.paused
        if isinstance(fault, Pause):
            return host.up and not host.paused
        if isinstance(fault, Crash):
            return host.up
        return True  # Links and clocks are the machine's, whether or not the node is up.

    def _crash(self, fault: Crash, cause: int) -> None:
        world = self._world
        host = world.hosts[fault.node]
        kept = min(fault.keep, len(host.unsynced))
        self.crashes_that_lost += kept < len(host.unsynced)
        survivor = host.unsynced[kept - 1].after if kept else host.synced
        assert survivor is not None
        if fault.sends is not None and cause >= 0 and world.records[cause].node == host.id:
            for flight in world.flights_of(world.records[cause])[fault.sends :]:
                flight.lost = flight.lost or "crash"
        host.node = host.released = host.synced = recover(host.fresh, survivor)
        host.up = host.paused = host.syncing = False
        host.has_crashed = True
        for container in (host.timers, host.stalled, host.unsynced, host.waiting):
            container.clear()
        world.judge.crashed(host)

    def _restart(self, fault: Restart, cause: int) -> None:
        host = self._world.hosts[fault.node]
        host.up = True
        host.incarnation += 1
        host.forget_series()
        self._world.start(host)

    def _cut(self, fault: Cut, cause: int) -> None:
        self.cuts.update(fault.links)

    def _heal(self, fault: Heal, cause: int) -> None:
        if fault.links:
            self.cuts.difference_update(fault.links)
        else:
            self.cuts.clear()

    def _pause(self, fault: Pause, cause: int) -> None:
        self._world.hosts[fault.node].paused = True

    def _resume(self, fault: Resume, cause: int) -> None:
        host = self._world.hosts[fault.node]
        host.paused = False
        for action, subject in host.stalled:
            if self._world.scenario.ordered_links:
                self._world.push_first(action, subject)
            else:
                self._world.push(self._world.time, action, subject)
        host.stalled.clear()

    def _slow(self, fault: Slow, cause: int) -> None:
        self._world.hosts[fault.node].extra_delay = fault.extra
        self.slow = any(host.extra_delay for host in self._world.hosts.values())

    def _limit(self, fault: Limit, cause: int) -> None:
        self._world.hosts[fault.node].interval = fault.interval

    def _clock_rate(self, fault: ClockRate, cause: int) -> None:
        self._world.hosts[fault.node].set_rate(self._world.time, fault.ppm)

    def _clock_step(self, fault: ClockStep, cause: int) -> None:
        self._world.hosts[fault.node].wall_offset += fault.step


_CARRY_OUT: dict[type[Any], Callable[[Faults, Any, int], None]] = {
    Crash: Faults._crash,
    Restart: Faults._restart,
    Cut: Faults._cut,
    Heal: Faults._heal,
    Pause: Faults._pause,
    Resume: Faults._resume,
    Slow: Faults._slow,
    Limit: Faults._limit,
    ClockRate: Faults._clock_rate,
    ClockStep: Faults._clock_step,
}
