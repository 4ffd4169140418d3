"""The disks of a world: batches of steps, one sync for each, and what a crash may undo."""

from typing import TYPE_CHECKING

from quorate.kernel.env import Store
from quorate.kernel.node import BatchEnd, Stored
from quorate.scenario.conditions import QUIET_SYNC, ZERO
from quorate.simulate.host import Action, Due, Host
from quorate.trace.record import Record

if TYPE_CHECKING:
    from quorate.simulate.world import World


class Disk:
    """Syncs what has been written, and then lets the world release what rested on it."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def begin_batch(self, host: Host) -> None:
        """Something must be synced: once the batch has ended."""
        host.syncing = True
        series = self._world.own_series(host, "batch", self._world.conditions.batch, ZERO)
        ordinal, wait = series.next()
        cause = host.unsynced[-1].id
        due = Due(host, host.incarnation, series, ordinal, self._world.time, cause)
        self._world.push(self._world.time + wait, self._end_batch, due)

    def _end_batch(self, due: Due) -> None:
        host = due.host
        if self._is_off(due, self._end_batch):
            return
        self._world.step_node(
            host, BatchEnd(), host.id, "batch", due.series.name, due.ordinal, due.cause, None
        )
        if not host.up or host.incarnation != due.incarnation:
            return
        series = self._world.own_series(host, "sync", self._world.conditions.sync, QUIET_SYNC)
        ordinal, latency = series.next()
        reach = host.unsynced[-1].id
        sync = Due(host, due.incarnation, series, ordinal, self._world.time, reach)
        self._world.push(self._world.time + latency, self._synced, sync)

    def _synced(self, due: Due) -> None:
        """The disk holds every step up to the record `due.cause`: release what waited for it."""
        host = due.host
        if self._is_off(due, self._synced):
            return
        time = self._world.time
        record = Record(
            len(self._world.records), time, "sync", host.id, host.incarnation, due.series.name,
            due.ordinal, None, due.cause, None, None, None, (), [], time, 0, 0,
        )  # fmt: skip
        self._world.records.append(record)
        unsynced = host.unsynced
        count = sum(step.id <= due.cause for step in unsynced)
        host.synced = unsynced[count - 1].after  # type: ignore[assignment]
        del unsynced[:count]
        limit = unsynced[0].id if unsynced else record.id
        host.syncing = False
        waiting = host.waiting
        host.let_go = []
        while waiting and waiting[0][0].id < limit and self._world.violation is None:
            step, plan = waiting.popleft()
            left_ahead = len(step.flights)
            self._world.release(host, step, plan)
            host.let_go += step.flights[left_ahead:]
        if unsynced:
            self.begin_batch(host)
        self._world.after_event(record)

    def store(self, host: Host, effect: Store, record: Record) -> None:
        """Begin to write a large value in the background."""
        series = self._world.own_series(host, "store", self._world.conditions.sync, QUIET_SYNC)
        ordinal, latency = series.next()
        due = Due(host, host.incarnation, series, ordinal, self._world.time, record.id, effect)
        self._world.push(self._world.time + latency, self._store_done, due)

    def _store_done(self, due: Due) -> None:
        host, effect = due.host, due.payload
        if self._is_off(due, self._store_done):
            return
        host.stored = host.stored.set(effect.name, effect.value)
        event = Stored(effect.name)
        self._world.step_node(
            host, event, host.id, "stored", due.series.name, due.ordinal, due.cause, None
        )

    def _is_off(self, due: Due, action: Action) -> bool:
        """Whether the host cannot do it now: because it crashed, or is paused and will later."""
        host = due.host
        if host.paused:
            host.stalled.append((action, due))
        return host.paused or not host.up or host.incarnation != due.incarnation
