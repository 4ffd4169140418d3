"""The append-only log of a member's durable records, and the checkpoints that bound it.

    journal = Journal.open(RealFiles(), directory, b"shop/n1")
    state = replay(journal.checkpoint, journal.take())
    journal.append(record)
    journal.sync()                            # One write, one sync, for all that was appended.
    work = journal.begin_sync()               # The same, the waiting part in whatever thread.
    work()
    journal.end_sync()
    if journal.due:
        journal.begin_checkpoint(encoded)     # Lasts, like a record, once `sync` returns.

Records go to segments that were filled with zeros before they had their names, so that a sync has
no metadata to write. A batch that does not fit begins the next segment, and is synced before that
segment has its name. One thread uses a journal; what `begin_sync` and `preparation` return may run
in others. While a sync is under way, records are appended for the next one.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

from quorate.errors import Mistake
from quorate.live.storage.files import ZEROS, Files, StorageFailed
from quorate.live.storage.offsets import SLOTS, Offsets, State
from quorate.live.storage.recovery import Recovered, recover, segment_name
from quorate.live.storage.segment import (
    CHECKPOINT,
    HEAD_SIZE,
    HEADER_SIZE,
    IDENTITY_LIMIT,
    MARK,
    PAYLOAD_LIMIT,
    RECORD,
    REST,
    Header,
    encode_record,
)

SEGMENT_BYTES = 16 << 20
CHECKPOINT_BYTES = 64 << 20

_NEW = ".new"
"""Ends the names of files that are not complete: recovery removes them unread."""
SPARE = "spare" + _NEW
"""The next segment, made ahead of need."""


class _Batch(NamedTuple):
    """What one sync makes last.

    Attributes:
        last: the sequence number of the last record.
        checkpoint: that of the checkpoint that begins it, if one does.
    """

    data: bytearray
    last: int
    checkpoint: int | None


class Journal:
    """A log in a directory of its own, locked. After `StorageFailed` it refuses everything.

    Attributes:
        checkpoint: the payload of the newest checkpoint that was recovered, or None.
        sequence: the sequence number of what was appended last.
        synced: all up to this sequence number lasts.
    """

    @classmethod
    def open(
        cls,
        files: Files,
        directory: Path,
        identity: bytes,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
    ) -> Self:
        """Recover what the directory holds for `identity` (cluster and member, as bytes).

        What is recovered lasts. Raises `Mistake` if the directory is locked, foreign or damaged.
        """
        if not 0 < len(identity) <= IDENTITY_LIMIT:
            raise Mistake(f"{directory}: an identity has 1 to {IDENTITY_LIMIT} bytes")
        try:
            files.make_directory(directory)
            lock = _lock(files, directory)
            try:
                _remove_leftovers(files, directory)
                recovered = recover(files, directory, identity)
                return cls(
                    files, directory, identity, lock, recovered, segment_bytes, checkpoint_bytes
                )
            except BaseException:
                files.close(lock)
                raise
        except OSError as error:
            raise StorageFailed(f"{directory}: {error}") from error

    def __init__(
        self,
        files: Files,
        directory: Path,
        identity: bytes,
        lock: int,
        recovered: Recovered,
        segment_bytes: int,
        checkpoint_bytes: int,
    ) -> None:
        self._files, self._directory, self._identity, self._lock = files, directory, identity, lock
        self._segment_bytes, self._checkpoint_bytes = segment_bytes, checkpoint_bytes
        self._offsets = Offsets(files, directory)
        self._refusal: str | None = None
        """Why nothing can be synced any more."""
        # Records
        self.checkpoint, self._records = recovered.checkpoint, recovered.records
        self._buffer = bytearray()
        """What has been appended since the last sync began."""
        self.sequence = self.synced = recovered.sequence
        self._batch = _Batch(bytearray(), self.synced, None)
        """What the latest sync is for: written, once its data are gone."""
        self._is_attested = recovered.is_attested
        # Checkpoints
        self._checkpoint_at: int | None = None
        """The sequence number of the checkpoint that begins the buffer, if one does."""
        self._checkpoint_size, self._beside = len(recovered.checkpoint or b""), 0
        self._bytes_since_checkpoint = recovered.bytes_since_checkpoint
        # Segments
        self._oldest = recovered.oldest
        self._handle: int | None = None
        self._number = self._end = self._size = 0
        self._spare: Path | None = None
        self._is_prepared = False
        if recovered.last is None:
            self._salt = files.salt()
            self._seed = Header(0, 0, 0, False, self._salt, identity).seed()
            self._begin_segment()
        else:
            self._salt = recovered.last.header.salt
            self._seed = recovered.last.header.seed()
            self._continue(recovered.last.header, recovered.last.end)
        self._remove(recovered.obsolete)

    # What was recovered

    def take(self) -> list[bytes]:
        """The records after the checkpoint, once: the journal keeps them no longer."""
        records, self._records = self._records, []
        return records

    # Records

    def append(self, record: bytes) -> int:
        """Buffer a record for the next sync. Its sequence number: compare with `synced`."""
        if len(record) > PAYLOAD_LIMIT:
            raise Mistake(f"a record of {len(record)} bytes: more than {PAYLOAD_LIMIT}")
        self.sequence = sequence = self.sequence + 1
        # As `encode_record`, written out: this runs for every step.
        rest = REST.pack(RECORD, len(record), sequence, self.synced)
        checksum = crc32(record, crc32(rest, self._seed))
        self._buffer += checksum.to_bytes(4, "little") + rest + record
        return sequence

    def sync(self) -> None:
        """Make all that was appended last: one write and one sync, unless a segment begins.

        Raises `StorageFailed`; whether the batch lasts is then known to recovery alone.
        """
        work = self.begin_sync()
        if work is not None:
            work()
            self.end_sync()

    def begin_sync(self) -> Callable[[], None] | None:
        """What to run, in any thread, to make all that was appended last; None if that is nothing.

        It raises `StorageFailed`. Once it has returned, and before anything else is done with the
        journal than to append or to begin a checkpoint, `end_sync` must be called.
        """
        if self._refusal is not None:
            raise StorageFailed(self._refusal)
        if not self._buffer:
            return None
        # Holds unless we come to the end: an interrupt too leaves the disk in doubt.
        self._refusal = f"{self._directory}: an earlier sync has failed; restart the member"
        done, self._batch = self._batch, _Batch(self._buffer, self.sequence, self._checkpoint_at)
        self._buffer, self._checkpoint_at = done.data, None
        return self._write_batch

    def _write_batch(self) -> None:
        data = self._batch.data
        try:
            end = self._end + len(data)
            if end > self._size or self._batch.checkpoint is not None:
                self._begin_segment()
            else:
                assert self._handle is not None
                slot = self._number % SLOTS
                self._offsets.writing(slot, end)
                self._files.pwrite(self._handle, data, self._end)
                self._files.fdatasync(self._handle)
                self._offsets.synced(slot, end)
                self._end = end
        except OSError as error:
            raise StorageFailed(f"{self._directory}: {error}; the member must stop") from error
        self._bytes_since_checkpoint += len(data)
        data.clear()

    def end_sync(self) -> None:
        """The batch lasts. Raises `StorageFailed` if it does not."""
        if self._batch.data:
            raise StorageFailed(self._refusal)
        self.synced = self._batch.last
        self._is_attested = False
        self._refusal = None

    def attest(self) -> None:
        """Sync, and write that all is synced: from then on no damage passes for a torn end.

        Worth a sync when a member falls idle, or closes. Every batch attests the one before it.
        """
        self.sync()
        if not self._is_attested:
            self.sequence += 1
            self._buffer += encode_record(MARK, self.sequence, self.synced, b"", self._seed)
            self.sync()
            self._is_attested = True

    # Checkpoints

    @property
    def due(self) -> bool:
        """Whether a checkpoint would free more than the bound, and twice what the last one took."""
        last = self._checkpoint_size + self._beside
        return self._bytes_since_checkpoint > max(self._checkpoint_bytes, 2 * last)

    def begin_checkpoint(self, payload: bytes, beside: int = 0) -> None:
        """Let `payload` stand for all that was appended so far, once the next sync returns.

        `beside` is how many bytes it refers to that were written elsewhere. That sync begins a
        segment with it, and deletes those that are not needed any more.
        """
        if len(payload) > PAYLOAD_LIMIT:
            raise Mistake(f"a checkpoint of {len(payload)} bytes: more than {PAYLOAD_LIMIT}")
        self.sequence += 1
        # Buffered records are within the checkpoint, and need not be written.
        self._buffer.clear()
        self._buffer += encode_record(CHECKPOINT, self.sequence, self.synced, payload, self._seed)
        self._checkpoint_at, self._checkpoint_size = self.sequence, len(payload)
        self._beside = beside

    # Segments

    def preparation(self) -> Callable[[], None] | None:
        """What to run in a thread now, if anything: it makes the next segment ahead of need.

        Without it, the sync that begins a segment also waits for zeros to be written.
        """
        if self._is_prepared or 2 * self._end < self._size:
            return None
        self._is_prepared = True
        return self._prepare

    def _prepare(self) -> None:
        path = self._directory / SPARE
        try:
            handle = self._files.create(path)
            try:
                self._fill(handle, 0, is_beside=True)
                self._files.fdatasync(handle)
            finally:
                self._files.close(handle)
        except OSError:
            # The sync that needs a segment makes one itself, and tells if the disk cannot.
            with suppress(OSError):
                self._files.unlink(path)
        else:
            self._spare = path

    def _fill(self, handle: int, start: int, *, is_beside: bool = False) -> None:
        """Zeros to the end of a segment: really written, or a later sync would write metadata.

        `is_beside` if nobody waits for it: then no other sync is to wait long for this one.
        """
        for offset in range(start, self._segment_bytes, len(ZEROS)):
            piece = min(len(ZEROS), self._segment_bytes - offset)
            self._files.pwrite(handle, ZEROS[:piece], offset)
            if is_beside and offset + piece < self._segment_bytes:
                self._files.fdatasync(handle)

    def _begin_segment(self) -> None:
        """Begin the next segment with the batch; it gets its name when that is synced.

        So a segment that exists tells that whatever came before it had been synced.
        """
        files, number, at = self._files, self._number + 1, self._batch.checkpoint
        size = max(self._segment_bytes, HEADER_SIZE + len(self._batch.data))
        first = self.synced + 1 if at is None else at
        header = Header(number, first, size, at is not None, self._salt, self._identity)
        data = header.encode() + self._batch.data
        path = self._directory / segment_name(number)
        new, handle = self._blank(path, len(data))
        files.pwrite(handle, data, 0)
        files.fdatasync(handle)
        files.close(handle)
        self._offsets.announce(number % SLOTS, path.name, State.CREATED, len(data))
        files.rename(new, path)
        files.sync_directory(self._directory)
        self._continue(header, len(data))
        if at is not None:
            self._bytes_since_checkpoint = -HEAD_SIZE - self._checkpoint_size
            self._remove([segment_name(n) for n in range(self._oldest, number)])
            self._oldest = number

    def _blank(self, path: Path, used: int) -> tuple[Path, int]:
        """A file of zeros beyond the bytes that will be used: the spare, if there is one."""
        if self._spare is not None and used <= self._segment_bytes:
            spare, self._spare, self._is_prepared = self._spare, None, False
            return spare, self._files.open(spare)
        new = path.with_name(path.name + _NEW)
        handle = self._files.create(new)
        self._fill(handle, used)
        return new, handle

    def _continue(self, header: Header, end: int) -> None:
        """Go on in a segment whose bytes up to `end` are synced, and its name too."""
        if self._handle is not None:
            self._files.close(self._handle)
        name = segment_name(header.number)
        self._handle = self._files.open(self._directory / name)
        self._number, self._end, self._size = header.number, end, header.size
        self._offsets.announce(self._number % SLOTS, name, State.NAMED, end)

    def _remove(self, names: list[str]) -> None:
        for name in names:
            self._files.unlink(self._directory / name)
        if names:
            self._files.sync_directory(self._directory)

    def close(self) -> None:
        """Attest, unless a sync has failed, and let the directory go; no sync may be under way."""
        try:
            if self._batch.last > self.synced and not self._batch.data:
                self.end_sync()  # Nobody waits for it any more.
            if self._refusal is None:
                self.attest()
        finally:
            self._refusal = f"{self._directory}: the journal is closed"
            if self._handle is not None:
                self._files.close(self._handle)
            self._offsets.close()
            self._files.close(self._lock)


def _lock(files: Files, directory: Path) -> int:
    try:
        return files.lock(directory / "lock")
    except BlockingIOError:
        raise Mistake(f"{directory}: another process has it open; stop that member first") from None


def _remove_leftovers(files: Files, directory: Path) -> None:
    """Remove files that a crash left incomplete; from here on the other names last."""
    for name in files.list(directory):
        if name.endswith(_NEW):
            files.unlink(directory / name)
    files.sync_directory(directory)
