"""How fast the journal is, beside what else could keep records: run it on a quiet machine.

    python -m tests.live.storage.measure [DIRECTORY]

Every row keeps the same batches of records of 200 bytes and waits for the disk after each batch.
The rows take turns, so that a disk that is slow for a while is slow for all of them.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter_ns

from quorate.live.storage.files import RealFiles
from quorate.live.storage.journal import Journal

RECORD = bytes(range(200))
BATCHES = (1, 16, 64)
ROUNDS = 10
TURNS = 50
ZEROED = 64 << 20

Keep = Callable[[int], None]
"""Keeps a batch of so many records, and waits for the disk."""


def _journal(directory: Path) -> Keep:
    journal = Journal.open(RealFiles(), directory, b"measure", segment_bytes=ZEROED)

    def keep(count: int) -> None:
        for _ in range(count):
            journal.append(RECORD)
        journal.sync()

    return keep


def _calls(directory: Path, is_zeroed: bool) -> Keep:
    """The two system calls alone, on a file of zeros or on one that grows."""
    handle = os.open(directory / "calls", os.O_RDWR | os.O_CREAT)
    if is_zeroed:
        os.pwrite(handle, bytes(ZEROED), 0)
        os.fdatasync(handle)
    batches = {count: (RECORD + bytes(28)) * count for count in BATCHES}
    end = 0

    def keep(count: int) -> None:
        nonlocal end
        os.pwrite(handle, batches[count], end)
        os.fdatasync(handle)
        end += len(batches[count])

    return keep


def _reserved(directory: Path) -> Keep:
    """The same, on space that was reserved and not filled."""
    handle = os.open(directory / "reserved", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(handle, 0, ZEROED)
    os.close(handle)
    (directory / "reserved").rename(directory / "calls")
    return _calls(directory, is_zeroed=False)


def _sqlite(directory: Path) -> Keep:
    database = sqlite3.connect(directory / "db", isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table record (number integer primary key, data blob)")

    def keep(count: int) -> None:
        database.execute("begin")
        database.executemany("insert into record (data) values (?)", [(RECORD,)] * count)
        database.execute("commit")

    return keep


def _lmdb(directory: Path) -> Keep:
    environment = import_module("lmdb").open(str(directory / "db"), map_size=1 << 30)
    number = 0

    def keep(count: int) -> None:
        nonlocal number
        with environment.begin(write=True) as transaction:
            for _ in range(count):
                number += 1
                transaction.put(number.to_bytes(8, "big"), RECORD, append=True)

    return keep


ROWS: dict[str, Callable[[Path], Keep]] = {
    "journal": _journal,
    "system calls, zeros": lambda directory: _calls(directory, is_zeroed=True),
    "system calls, reserved": _reserved,
    "system calls, growing": lambda directory: _calls(directory, is_zeroed=False),
    "sqlite3": _sqlite,
    "lmdb": _lmdb,
}


def main(directory: Path) -> None:
    """Print µs per batch (median) and records per second (mean), for each row and batch."""
    rows = dict[str, Keep]()
    for name, make in ROWS.items():
        try:
            rows[name] = make(Path(tempfile.mkdtemp(dir=directory)))
        except ModuleNotFoundError:
            print(f"{name}: not installed")
    for count in BATCHES:
        spent: dict[str, list[int]] = {name: [] for name in rows}
        for _ in range(ROUNDS):
            for name, keep in rows.items():
                for _ in range(TURNS):
                    start = perf_counter_ns()
                    keep(count)
                    spent[name].append(perf_counter_ns() - start)
        for name, times in spent.items():
            median = statistics.median(times) / 1000
            rate = count * len(times) / sum(times) * 1e9
            print(f"{count:3} records  {name:23} {median:8.1f} µs  {rate:10,.0f} records/s")
    _python(directory)


class _Nothing(RealFiles):
    """A disk that costs nothing: what is left is Python's part."""

    def pwrite(self, handle: int, data: bytes | bytearray, offset: int) -> None:
        pass

    def fdatasync(self, handle: int) -> None:
        pass


def _python(directory: Path) -> None:
    journal = Journal.open(
        _Nothing(), Path(tempfile.mkdtemp(dir=directory)), b"measure", segment_bytes=ZEROED
    )
    for count in BATCHES:
        appending = syncing = 0
        for _ in range(2000):
            start = perf_counter_ns()
            for _ in range(count):
                journal.append(RECORD)
            middle = perf_counter_ns()
            journal.sync()
            appending += middle - start
            syncing += perf_counter_ns() - middle
        print(
            f"{count:3} records  Python alone: append {appending / 2e6 / count:.2f} µs, "
            f"sync {syncing / 2e6:.2f} µs"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        main(Path(name))
