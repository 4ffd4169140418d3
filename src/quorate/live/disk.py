"""A member's disk: the journal of its node's durable records, and the values it stores by name."""

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from time import perf_counter_ns
from typing import Any

import msgspec

from quorate.errors import Mistake, one_line
from quorate.kernel.node import Node
from quorate.kernel.values import Map
from quorate.live.background import CAN_FORK, Worker, in_child, in_thread
from quorate.live.codec import Codec, Undecodable
from quorate.live.durable import Durable
from quorate.live.durations import Durations
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.files import Files, StorageFailed
from quorate.live.storage.journal import Journal
from quorate.wire.malformed import MALFORMED

CHUNK_BYTES = 1 << 20
LARGE_BYTES = 1 << 20
JOURNAL, STORED = "journal", "stored"
"""Directories of the records and of the stored values, within the member's."""
PATIENCE = 300_000
"""Nanoseconds of a usual sync up to which it is waited for: a thread would cost as much."""
_INCARNATION = "incarnation"


class MemberDisk:
    """What one member keeps. One directory, one member, one process at a time.

    Attributes:
        incarnation: how often the member has been started, this time included.
        node: the node as the disk has it: `fresh`, with its durable fields recovered.
        stored: the values that had been stored.
        failed: called, from the loop, if a value could not be stored.
        syncs, stores: how long it took to sync, and to store a value.
        synced: called after each sync, with its nanoseconds.
        kept: called from the loop when a value is stored, with its name and its nanoseconds.
    """

    def __init__(
        self, files: Files, directory: Path, identity: str, fresh: Node, codec: Codec
    ) -> None:
        """Recover. Raises Mistake for a directory that is damaged, locked or somebody else's."""
        self.failed: Callable[[str], None] = lambda why: None
        self.syncs, self.stores = Durations(), Durations()
        self.synced: Callable[[int], None] = lambda nanoseconds: None
        self.kept: Callable[[str, int], None] = lambda name, nanoseconds: None
        self._codec = codec
        self.durable = Durable(type(fresh), codec)
        self._journal = Journal.open(files, directory / JOURNAL, identity.encode())
        self._blobs = Blobs(files, directory / STORED, identity.encode())
        records = self._journal.take()
        if self._journal.checkpoint is not None:
            records.insert(0, self._journal.checkpoint)
        try:
            self.node = self.durable.restore(fresh, records)
        except Undecodable as error:
            kind = type(fresh).__name__
            raise Mistake(f"{directory}: its records do not fit this {kind}: {error}") from error
        self.stored = self._recover_stored(directory)
        self.incarnation = self._begin_incarnation(directory)
        self._syncer = Worker()
        self._usual = 0
        self._writing: dict[str, deque[Callable[[], None]]] = {}
        self._latest: Callable[[], Node] = lambda: self.node

    def follow(self, latest: Callable[[], Node]) -> None:
        """Take checkpoints of the state that this tells."""
        self._latest = latest

    def append(self, record: bytes) -> None:
        """Buffer a record for the next sync."""
        self._journal.append(record)

    def sync(self, done: Callable[[], None]) -> None:
        """Make all that was appended last, in a thread unless that is quick; then call `done`.

        Raises StorageFailed, here or from the loop: the member must stop.
        """
        journal = self._journal
        is_large = journal.due
        if is_large:
            journal.begin_checkpoint(self.durable.whole(self._latest()))
        work = journal.begin_sync()
        if work is None:
            done()
            return
        started = perf_counter_ns()

        def end(error: Exception | None) -> None:
            if error is not None:
                raise error
            journal.end_sync()
            took = perf_counter_ns() - started
            self._usual += (took - self._usual) // 16
            self.syncs.add(took)
            self.synced(took)
            prepare = journal.preparation()
            if prepare is not None:
                Thread(target=prepare, daemon=True).start()
            done()

        if self._usual < PATIENCE and not is_large:
            work()
            end(None)
        else:
            self._syncer.run(work, end)

    def sync_now(self) -> None:
        """Make all that was appended last, before this returns. Raises StorageFailed."""
        self._journal.sync()

    def store(self, name: str, value: Any, done: Callable[[], None]) -> None:
        """Write a value in the background: one that was large before by a child process.

        The child has the value as it is now, and neither its encoding nor its writing holds up
        what this process does; but to make it takes longer than a small value does. Values of one
        name are written one after the other.
        """
        started = perf_counter_ns()
        run = in_child if CAN_FORK and self._blobs.size(name) > LARGE_BYTES else in_thread
        queue = self._writing.setdefault(name, deque())

        def end(why: str) -> None:
            queue.popleft()
            if queue:
                queue[0]()
            if why:
                self.failed(f"cannot store {name}: {why}")
            else:
                took = perf_counter_ns() - started
                self.stores.add(took)
                self.kept(name, took)
                done()

        queue.append(lambda: run(lambda: self._attempt(name, value), end))
        if len(queue) == 1:
            queue[0]()

    def close(self) -> None:
        """Let the directory go."""
        self._syncer.stop()
        self._journal.close()

    def write(self, name: str, value: Any) -> None:
        """Write a value by name, now. Raises StorageFailed."""
        self._blobs.write(name, self._chunks(value))

    def _attempt(self, name: str, value: Any) -> str:
        """Write; returns what went wrong, or ""."""
        try:
            self.write(name, value)
        except (OSError, StorageFailed, Mistake) as error:
            return str(error)
        return ""

    def _chunks(self, value: Any) -> Iterable[bytes]:
        data = self._codec.named_bytes(value)
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    def _recover_stored(self, directory: Path) -> Map[str, Any]:
        stored: dict[str, Any] = {}
        for name in self._blobs.names():
            if name == _INCARNATION:
                continue
            data = self._blobs.read(name)
            assert data is not None, f"{name} has just been listed"
            try:
                stored[name] = self._codec.named(data)
            except Undecodable as error:
                raise Mistake(f"{directory}: stored {name} is not readable: {error}") from error
        return Map(stored)

    def _begin_incarnation(self, directory: Path) -> int:
        data = self._blobs.read(_INCARNATION)
        try:
            incarnation = 1 + (msgspec.msgpack.decode(data, type=int) if data else 0)
        except MALFORMED as error:
            raise Mistake(
                f"{directory}: its incarnation is not readable: {one_line(error)}"
            ) from error
        self._blobs.write(_INCARNATION, [msgspec.msgpack.encode(incarnation)])
        return incarnation
