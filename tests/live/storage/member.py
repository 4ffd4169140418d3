"""A member that lives on a simulated disk, and the promises that it checks whenever it recovers.

Its records are numbered; a checkpoint stands for the records up to a number. So what a recovery
yields says by itself which records of the history it has, and in which order.
"""

from pathlib import Path

from quorate.live.storage.files import Files, StorageFailed
from quorate.live.storage.journal import Journal
from tests.live.storage.simulated import SimulatedDisk

DIRECTORY = Path("member")
IDENTITY = b"shop/n1"
SEGMENT_BYTES = 4096


class Broken(AssertionError):
    """A promise of the journal's was broken."""


def record(number: int, size: int, life: int) -> bytes:
    """A record that no other life writes, and that does not end in zero: its end is looked for."""
    return number.to_bytes(4, "big") + bytes([(number + 7 * life) % 255 + 1]) * size


def open_journal(files: Files, segment_bytes: int = SEGMENT_BYTES) -> Journal:
    """The member's journal, with small segments."""
    return Journal.open(
        files, DIRECTORY, IDENTITY, segment_bytes=segment_bytes, checkpoint_bytes=8192
    )


class Member:
    """Appends, syncs, and dies; knows what must be there afterwards."""

    def __init__(self, disk: SimulatedDisk, files: Files | None = None) -> None:
        self.disk = disk
        self.files = files or disk
        self.written: list[bytes] = []
        """All records of the history, those of the open batch included."""
        self.synced = 0
        """How many of them have been synced."""
        self.journal: Journal | None = None
        self.lives = 0

    def start(self) -> None:
        """Recover: a prefix of what was appended, no shorter than what was synced."""
        self.lives += 1
        self.journal = journal = open_journal(self.files)
        count = int.from_bytes(journal.checkpoint or b"", "big")
        records = journal.take()
        total = count + len(records)
        if records != self.written[count:total]:
            raise Broken(f"records {count} to {total} are not those that were appended")
        if total < self.synced:
            raise Broken(f"{total} records of {self.synced} that had been synced")
        if total > len(self.written):
            raise Broken(f"{total} records of {len(self.written)}")
        del self.written[total:]
        self.synced = total

    def append(self, size: int) -> None:
        """One record more."""
        assert self.journal is not None
        self.written.append(record(len(self.written), size, self.lives))
        self.journal.append(self.written[-1])

    def sync(self) -> None:
        """What was appended lasts, or the disk has failed and the journal is given up."""
        assert self.journal is not None
        try:
            self.journal.sync()
            self.synced = len(self.written)
        except StorageFailed:
            self.journal = None

    def sync_amid_appends(self, size: int) -> None:
        """As `sync`; meanwhile records come that are not of this batch."""
        assert self.journal is not None
        reach = len(self.written)
        try:
            work = self.journal.begin_sync()
            self.append(size)
            if work is not None:
                work()
                self.append(size)
                self.journal.end_sync()
            self.synced = max(reach, self.synced)
        except StorageFailed:
            self.journal = None

    def checkpoint(self, padding: int) -> None:
        """All that was appended so far, in one."""
        assert self.journal is not None
        self.journal.begin_checkpoint(bytes(padding) + len(self.written).to_bytes(4, "big"))

    def prepare(self) -> None:
        """Make a spare segment, if one is wanted."""
        assert self.journal is not None
        work = self.journal.preparation()
        if work is not None:
            work()

    def close(self) -> None:
        """Stop as a member should; what was appended is synced."""
        assert self.journal is not None
        self.journal.close()
        self.synced = len(self.written)
        self.journal = None

    def life(self) -> None:
        """One deterministic life, with each kind of event.

        It begins with batches of one, so that what an earlier life left of a larger batch would
        not be written over at once.
        """
        self.start()
        for turn in range(10):
            for size in (600, 600, 3):
                self.append(size)
                if turn % 3 == 0:
                    self.sync()
            self.sync_amid_appends(40)
            if turn % 2:
                self.sync()
            self.prepare()
            if turn in (3, 7):
                self.append(9)
                self.checkpoint(30)
                self.append(11)
                self.sync()
        self.append(6000)
        self.append(20)
        self.sync()
        self.append(5)
