"""What a member notices of itself while it runs, for its status, its log, and its metrics.

Nothing here waits or writes to the disk: it counts, ten times a second and after each turn.
"""

import asyncio
import gc
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from quorate.live.durations import Durations

if TYPE_CHECKING:
    from quorate.live.links import Link
    from quorate.live.member import Member

TICK_SECONDS = 0.1
HEALTHY_SECONDS = 2.0
"""The loop has to have turned within that time."""
SLOW_SYNC = 100_000_000
"""Nanoseconds: a sync that took longer is told."""


class Telemetry:
    """Of one member.

    Attributes:
        delays: by how much the loop was late, ten times a second.
        pauses: how long the garbage collector held everything up.
        became: how often the server took each role.
        stored: snapshots that were taken here, or installed: those of what it had not applied.
        started: when, in seconds since 1970.
    """

    def __init__(self, member: "Member") -> None:
        self.delays = Durations()
        self.pauses = Durations()
        self.became: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.started = time.time()
        self._member = member
        self._known: tuple[str, str, int] = ("", "", 0)
        self._turned = time.monotonic()
        self._pause_began = 0
        self._tick: asyncio.TimerHandle | None = None

    # Noticing

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to notice; for each `start` a `stop`."""
        disk = self._member.disk
        disk.synced, disk.kept = self._synced, self._kept
        gc.callbacks.append(self._collected)
        self._turned = time.monotonic()
        spans = self._member.spans
        if spans is not None and disk.incarnation > 1:
            spans.took("recovery", time.perf_counter_ns() - self._member.began)

        def tick() -> None:
            before, self._turned = self._turned, time.monotonic()
            late = self._turned - before - TICK_SECONDS
            self.delays.add(max(int(late * 1e9), 0))
            self.look()
            self._tick = loop.call_later(TICK_SECONDS, tick)

        self._tick = loop.call_later(TICK_SECONDS, tick)

    def stop(self) -> None:
        """Notice nothing more."""
        if self._tick is not None:
            self._tick.cancel()
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def look(self) -> None:
        """Notice whether the server has another role, leader or term than before."""
        node: Any = self._member.server.node
        now = (
            self._member.role(),
            str(getattr(node, "leader", None) or ""),
            getattr(node, "current_term", 0),
        )
        role, leader, _ = self._known
        if now == self._known:
            return
        self._known = now
        if now[0] != role:
            self.became[now[0]] += 1
            self._member.log.tell("role", now=now[0], was=role, term=now[2])
            if self._member.spans is not None:
                self._member.spans.became(now[0], role, now[2])
        elif now[1] != leader:
            self._member.log.tell("leader", now=now[1], was=leader, term=now[2])

    def link_changed(self, link: "Link") -> None:
        """A peer welcomes us, refuses us, cannot be reached, or is gone."""
        log = self._member.log
        if link.is_open:
            log.tell("peer up", peer=link.peer)
        elif link.refusal:
            log.tell("peer refuses us", "error", peer=link.peer, why=link.refusal)
        elif link.trouble:
            log.tell("peer not reached", "warning", peer=link.peer, why=link.trouble)
        else:
            log.tell("peer down", "warning", peer=link.peer)

    def _synced(self, nanoseconds: int) -> None:
        if nanoseconds > SLOW_SYNC:
            self._member.log.tell("slow sync", "warning", seconds=nanoseconds / 1e9)
            if self._member.spans is not None:
                self._member.spans.took("slow sync", nanoseconds)

    def _kept(self, name: str, nanoseconds: int) -> None:
        node: Any = self._member.server.node
        index = getattr(getattr(node, "storing", None), "index", 0)
        self.stored["installed" if index > getattr(node, "commit_index", index) else "taken"] += 1
        self._member.log.tell("stored", name=name, seconds=nanoseconds / 1e9)
        if self._member.spans is not None:
            self._member.spans.took("store", nanoseconds, name=name)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._pause_began = time.perf_counter_ns()
        else:
            self.pauses.add(time.perf_counter_ns() - self._pause_began)

    # Telling

    def unwell(self) -> str:
        """Why the member is not healthy, or "". Asked from another thread than the loop's."""
        late = time.monotonic() - self._turned
        return "" if late < HEALTHY_SECONDS else f"the loop has not turned for {late:.1f} s"

    def unready(self) -> str:
        """Why it cannot serve now, or "": it must know a leader, and reach a majority."""
        member = self._member
        if self.unwell():
            return self.unwell()
        node = member.server.node
        if hasattr(node, "leader") and not node.leader:
            return "it knows no leader"
        open_to = {name for name, link in tuple(member.links.items()) if link.is_open}
        for side in self._sides():
            reached = len({member.config.member, *open_to} & set(side))
            if 2 * reached <= len(side):
                return f"it reaches {reached} of {len(side)} members"
        return ""

    def _sides(self) -> tuple[tuple[str, ...], ...]:
        """Of whom majorities are needed: a protocol that changes its members knows it."""
        configuration: Any = getattr(self._member.server.node, "configuration", None)
        if hasattr(configuration, "sides"):
            return tuple(map(tuple, configuration.sides()))
        return (tuple(self._member.config.members),)

    def facts(self) -> dict[str, Any]:
        """What the status tells of all this."""
        disk, usage = self._member.disk, time.process_time()
        spans = self._member.spans
        return {
            "ready": not self.unready(),
            "outcomes": dict(self._member.door.outcomes),
            "cpu_seconds": round(usage, 3),
            "sync_seconds": disk.syncs.total / 1e9,
            "longest_ms": {
                "sync": disk.syncs.longest / 1e6,
                "collection": self.pauses.longest / 1e6,
                "delay": self.delays.longest / 1e6,
                "store": disk.stores.longest / 1e6,
            },
            "kept": {
                "snapshots taken": self.stored["taken"],
                "snapshots installed": self.stored["installed"],
                "recoveries from a snapshot": int(bool(disk.stored)),
                "checkpoints": disk.checkpoints,
            },
            "spans": {"sent": spans.sent, "lost": spans.lost} if spans else {},
        }
