"""Who asks, in the live benchmarks: load generators, and one client with one write at a time."""

import csv
import json
import os
import resource
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from quorate.bench.timing import output_of
from quorate.errors import Mistake
from quorate.live.config import Address

CLIENTS = 50
KEYS = 100_000
VALUE = b"x" * 100
LIMIT_SECONDS = 300.0


class Seen(msgspec.Struct, frozen=True):
    """What a load generator saw.

    Attributes:
        rate: operations a second.
        p50, p99: milliseconds.
        cpu: seconds of the processor that it used itself.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


def redis_benchmark(address: Address, count: int, pipeline: int, keys: int = KEYS) -> Seen:
    """SET of 100 bytes by 50 clients, of one key or of keys drawn from so many.

    Raises Mistake if it cannot be run, or fails.
    """
    host, port = address
    before = _children()
    told = output_of(
        [
            "redis-benchmark", "-h", host, "-p", str(port), "-t", "set", "-d", str(len(VALUE)),
            "-c", str(CLIENTS), "-P", str(pipeline), "-n", str(count), "--csv",
            *(("-r", str(keys)) if keys > 1 else ()),
        ],
        LIMIT_SECONDS,
    )  # fmt: skip
    cpu = _children() - before
    rows = [row for row in csv.DictReader(told.splitlines()) if row.get("test") == "SET"]
    if not rows:
        raise Mistake(f"redis-benchmark says {told.strip()[-200:]!r}")
    row = rows[0]
    p50, p99 = float(row["p50_latency_ms"]), float(row["p99_latency_ms"])
    return Seen(float(row["rps"]), p50, p99, cpu)


def absent() -> str:
    """Why there is no load generator here; "" if there is."""
    return "" if shutil.which("redis-benchmark") else "redis-benchmark is not installed"


def etcd_puts(address: Address, count: int, clients: int) -> Seen:
    """Puts of 100 bytes, so many under way at once. Raises Mistake if that fails."""
    host, port = address
    words = [sys.executable, "-m", "quorate.bench.etcd_load", host, str(port), str(count)]
    found = json.loads(output_of([*words, str(clients)], LIMIT_SECONDS))
    if found["done"] != count:
        raise Mistake(f"etcd has done {found['done']} puts of {count}")
    return Seen(found["rate"], found["p50_ms"], found["p99_ms"], found["cpu"])


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# One client


class Client:
    """A connection that waits for each reply; speaks what Redis's clients speak."""

    def __init__(self, address: Address, seconds: float = 10.0) -> None:
        self._sock = socket.create_connection(address, seconds)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def ask(self, *words: bytes) -> bytes:
        """A reply without its end: `+OK`, `:5`, `-ERR ...`, or the bytes of a string."""
        self._sock.sendall(encoded(words))
        line = self._line()
        if not line.startswith(b"$"):
            return line
        length = int(line[1:])
        if length < 0:
            return b"$-1"
        while len(self._buffer) < length + 2:
            self._receive()
        value, self._buffer = self._buffer[:length], self._buffer[length + 2 :]
        return value

    def send(self, data: bytes) -> None:
        """Commands whose replies are fetched by `replies`."""
        self._sock.sendall(data)

    def replies(self, count: int) -> list[bytes]:
        """The next replies, each of one line."""
        return [self._line() for _ in range(count)]

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _receive(self) -> None:
        data = self._sock.recv(1 << 20)
        if not data:
            raise ConnectionError("the member hung up")
        self._buffer += data


@contextmanager
def client_of(address: Address, seconds: float = 10.0) -> Iterator[Client]:
    """A connection, for as long as it is needed."""
    made = Client(address, seconds)
    try:
        yield made
    finally:
        made.close()


def encoded(words: Sequence[bytes]) -> bytes:
    """A command as bytes."""
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%s" % (len(words), parts)


def write_latency(address: Address, count: int) -> float:
    """Milliseconds of a write, in the middle of so many one after the other. Raises Mistake."""
    taken = []
    with client_of(address) as client:
        for number in range(count):
            started = time.perf_counter()
            reply = client.ask(b"SET", b"one:%d" % number, VALUE)
            taken.append(time.perf_counter() - started)
            if reply != b"+OK":
                raise Mistake(f"a SET was answered by {reply[:80]!r}")
    return median(taken) * 1e3


def sync_latency(count: int) -> float:
    """Milliseconds of a write and sync of a short record, in a file that is filled with zeros."""
    taken, record = [], b"x" * 200
    with TemporaryDirectory() as folder, (Path(folder) / "file").open("w+b") as file:
        file.write(bytes(len(record) * count))
        file.flush()
        os.fsync(file.fileno())
        for number in range(count):
            started = time.perf_counter()
            os.pwrite(file.fileno(), record, number * len(record))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return median(taken) * 1e3
