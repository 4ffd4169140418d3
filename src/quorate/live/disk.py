"""A member's disk: the journal of its node's durable records, and the values it stores by name.

The journal is cut short by checkpoints. One has to hold all durable fields, which may be large:
they are written beside, as a value of their own, while the member goes on. What it appends
meanwhile is kept, and the checkpoint that the journal then begins with is the name of that value
and these records.
"""

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
from quorate.live.background import Worker, in_background, in_thread
from quorate.live.codec import Codec, Undecodable
from quorate.live.durable import Durable
from quorate.live.durations import Durations
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.files import Files, StorageFailed
from quorate.live.storage.journal import SEGMENT_BYTES, Journal
from quorate.wire.malformed import MALFORMED

CHUNK_BYTES = 1 << 20
LARGE_BYTES = 1 << 20
CHECKPOINT_SEGMENTS = 4
"""After so many segments' worth of records a checkpoint takes their place."""
JOURNAL, STORED = "journal", "stored"
"""Directories of the records and of the stored values, within the member's."""
PATIENCE = 300_000
"""Nanoseconds of a usual sync up to which it is waited for: a thread would cost as much."""
LOOK_AGAIN = 64
"""Of so many syncs in a thread one is waited for, to see how long they take by themselves."""
_INCARNATION = "incarnation"
_BASES = ("fields-0", "fields-1")
"""All durable fields as they were at a checkpoint, and as they were at the one before."""


class Checkpoint(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the journal begins with: the name of stored durable fields, and records since."""

    base: str
    records: list[bytes]


class MemberDisk:
    """What one member keeps. One directory, one member, one process at a time.

    Attributes:
        incarnation: how often the member has been started, this time included.
        node: the node as the disk has it: `fresh`, with its durable fields recovered.
        stored: the values that had been stored.
        failed: called, from the loop, if a value could not be stored.
        syncs, stores: how long it took to sync, and to store a value.
        checkpoints: how many the journal was cut short by.
        synced: called after each sync, with its nanoseconds.
        kept: called from the loop when a value is stored, with its name and its nanoseconds.
    """

    def __init__(
        self,
        files: Files,
        directory: Path,
        identity: str,
        fresh: Node,
        codec: Codec,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Recover. Raises Mistake for a directory that is damaged, locked or somebody else's."""
        self.failed: Callable[[str], None] = lambda why: None
        self.syncs, self.stores = Durations(), Durations()
        self.checkpoints = 0
        self.synced: Callable[[int], None] = lambda nanoseconds: None
        self.kept: Callable[[str, int], None] = lambda name, nanoseconds: None
        self._codec = codec
        self.durable = Durable(type(fresh), codec)
        self._journal = Journal.open(
            files,
            directory / JOURNAL,
            identity.encode(),
            segment_bytes=segment_bytes,
            checkpoint_bytes=CHECKPOINT_SEGMENTS * segment_bytes,
        )
        self._blobs = Blobs(files, directory / STORED, identity.encode())
        self._base = ""
        self._seen = 0  # Bytes of records, those before the restart too.
        self.node = self._recover_node(fresh, directory)
        self.stored = self._recover_stored(directory)
        self.incarnation = self._begin_incarnation(directory)
        self._syncer = Worker()
        self._usual = 0
        self._since: list[bytes] | None = None
        self._is_written = False
        self._writing: dict[str, deque[Callable[[], None]]] = {}
        self._latest: Callable[[], Node] = lambda: self.node

    def follow(self, latest: Callable[[], Node]) -> None:
        """Take checkpoints of the state that this tells."""
        self._latest = latest

    def append(self, record: bytes) -> None:
        """Buffer a record for the next sync."""
        self._journal.append(record)
        self._seen += len(record)
        if self._since is not None:
            self._since.append(record)

    def sync(self, done: Callable[[], None]) -> None:
        """Make all that was appended last, in a thread unless that is quick; then call `done`.

        Raises StorageFailed, here or from the loop: the member must stop.
        """
        journal = self._journal
        if self._is_written:
            self._end_checkpoint()
        elif journal.due and self._since is None:
            self._begin_checkpoint()
        work = journal.begin_sync()
        if work is None:
            done()
            return
        is_here = self._usual < PATIENCE or self.syncs.count % LOOK_AGAIN == 0
        started = perf_counter_ns()

        def end(error: Exception | None) -> None:
            if error is not None:
                raise error
            journal.end_sync()
            took = perf_counter_ns() - started
            if is_here:
                self._usual += (took - self._usual) // 8
            self.syncs.add(took)
            self.synced(took)
            prepare = journal.preparation()
            if prepare is not None:
                Thread(target=prepare, daemon=True).start()
            done()

        if is_here:
            work()
            end(None)
        else:
            self._syncer.run(work, end)

    def sync_now(self) -> None:
        """Make all that was appended last, before this returns. Raises StorageFailed."""
        self._journal.sync()

    def _begin_checkpoint(self) -> None:
        """Let all durable fields be written, as they are now."""
        self._since = []
        node, base = self._latest(), _BASES[self._base == _BASES[0]]

        def end(why: str) -> None:
            if why:
                self.failed(f"cannot write a checkpoint: {why}")
            else:
                self._base, self._is_written = base, True

        in_background(lambda: self._write(base, lambda: self.durable.whole(node)), end)

    def _end_checkpoint(self) -> None:
        """They are written: with what came since, they stand for all that the journal holds."""
        assert self._since is not None
        payload = msgspec.msgpack.encode(Checkpoint(self._base, self._since))
        self._journal.begin_checkpoint(payload, self._blobs.size(self._base))
        self._since, self._is_written = None, False
        self.checkpoints += 1

    def store(self, name: str, value: Any, done: Callable[[], None]) -> None:
        """Write a value in the background: by a child process if it was large, or may be by now.

        The child has the value as it is now, and neither its encoding nor its writing holds up
        what this process does; but to make it takes longer than a small value does. Values of one
        name are written one after the other.
        """
        started = perf_counter_ns()
        size = self._blobs.size(name) or self._seen
        run = in_background if size > LARGE_BYTES else in_thread

        def end(why: str) -> None:
            waiting = self._writing[name]
            if waiting:
                waiting.popleft()()
            else:
                del self._writing[name]
            if why:
                self.failed(f"cannot store {name}: {why}")
            else:
                took = perf_counter_ns() - started
                self.stores.add(took)
                self.kept(name, took)
                done()

        def encode() -> bytes:
            return self._codec.named_bytes(value)

        def begin() -> None:
            run(lambda: self._write(name, encode), end)

        # What a child writes is not kept here: whoever keeps a state keeps all that it was.
        if name in self._writing:
            self._writing[name].append(begin)
        else:
            self._writing[name] = deque()
            begin()

    def close(self) -> None:
        """Let the directory go."""
        self._syncer.stop()
        self._journal.close()

    def write(self, name: str, value: Any) -> None:
        """Write a value by name, now. Raises StorageFailed."""
        self._blobs.write(name, _chunks(self._codec.named_bytes(value)))

    def _write(self, name: str, encode: Callable[[], bytes]) -> str:
        """Write; returns what went wrong, or ""."""
        try:
            self._blobs.write(name, _chunks(encode()))
        except (OSError, StorageFailed, Mistake) as error:
            return str(error)
        return ""

    def _recover_node(self, fresh: Node, directory: Path) -> Node:
        records = self._recover_records(directory)
        self._seen = sum(map(len, records))
        try:
            return self.durable.restore(fresh, records)
        except Undecodable as error:
            kind = type(fresh).__name__
            raise Mistake(f"{directory}: its records do not fit this {kind}: {error}") from error

    def _recover_records(self, directory: Path) -> list[bytes]:
        """All records, from those that alone restore the fields on."""
        records = self._journal.take()
        if self._journal.checkpoint is None:
            return records
        try:
            checkpoint = msgspec.msgpack.decode(self._journal.checkpoint, type=Checkpoint)
        except MALFORMED as error:
            raise Mistake(f"{directory}: not a checkpoint of ours: {one_line(error)}") from error
        self._base = checkpoint.base
        fields = self._blobs.read(checkpoint.base)
        if fields is None:
            raise Mistake(f"{directory}: {checkpoint.base} is missing, which its checkpoint needs")
        return [fields, *checkpoint.records, *records]

    def _recover_stored(self, directory: Path) -> Map[str, Any]:
        stored: dict[str, Any] = {}
        for name in self._blobs.names():
            if name == _INCARNATION or name in _BASES:
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


def _chunks(data: bytes) -> Iterable[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
