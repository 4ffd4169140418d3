"""How long nobody can write when the leader is killed; and that nothing acknowledged is lost."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

from quorate.bench.load import VALUE, client_of
from quorate.bench.options import Options, Tell, silent
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.servers import Quorate
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import Address, parse_address
from quorate.systems.kv.system import SETTINGS

PROBE_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
FACTOR = 1.5
UPPER = SETTINGS.election[1] / 1e9
"""The longest election timeout, in seconds."""


class Writer:
    """One client of the leader, which writes key after key until the leader is gone.

    Attributes:
        done: the keys that were acknowledged.
    """

    def __init__(self, address: Address, name: int) -> None:
        self.done: list[bytes] = []
        self._address, self._name = address, name
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with suppress(OSError), client_of(self._address) as client:
            while True:
                key = b"written:%d:%d" % (self._name, len(self.done))
                if client.ask(b"SET", key, VALUE) != b"+OK":
                    return
                self.done.append(key)


class Probes:
    """Writes of keys of their own, begun one after the other on connections of their own.

    None waits for the one before, which may be asking a leader that is gone.

    Attributes:
        done: (begun, ended, key) of each write that was acknowledged.
    """

    def __init__(self) -> None:
        self.done: list[tuple[float, float, bytes]] = []
        self._ended: SimpleQueue[tuple[float, float, bytes]] = SimpleQueue()
        self._count = 0

    def until_one_succeeds(self, addresses: list[Address]) -> tuple[float, float]:
        """Begin one every 20 ms until one is acknowledged: when that began, and when it ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        found: tuple[float, float, bytes] | None = None
        while found is None:
            if time.monotonic() > deadline:
                raise Mistake(f"no write has succeeded for {PATIENCE_SECONDS:g} s")
            self._begin(addresses[self._count % len(addresses)])
            try:
                found = self._ended.get(timeout=PROBE_SECONDS)
            except Empty:
                continue
        return found[0], found[1]

    def finish(self) -> None:
        """Wait for what is still under way; nothing of it counts for the next leader."""
        for thread in threading.enumerate():
            if thread.name == "probe":
                thread.join(PATIENCE_SECONDS)
        while not self._ended.empty():
            self._ended.get()

    def _begin(self, address: Address) -> None:
        self._count += 1
        key = b"probe:%d" % self._count
        threading.Thread(target=self._write, args=(address, key), name="probe", daemon=True).start()

    def _write(self, address: Address, key: bytes) -> None:
        begun = time.monotonic()
        try:
            with client_of(address) as client:
                is_done = client.ask(b"SET", key, VALUE) == b"+OK"
        except OSError:
            return
        if is_done:
            probe = (begun, time.monotonic(), key)
            self.done.append(probe)
            self._ended.put(probe)


def failover(options: Options) -> Row:
    """The leader is killed, again and again."""
    return measure_failover(2 if options.quick else 20, options.seed, options.tell)


def measure_failover(kills: int, seed: int, tell: Tell = silent) -> Row:
    """So many leaders are killed, each at its own moment after the last was back."""
    chance = random.Random(seed)
    down: list[float] = []
    acknowledged: list[bytes] = []
    probes, ours = Probes(), Quorate()
    try:
        for number in range(kills):
            tell(f"kill {number + 1} of {kills}")
            writer = Writer(ours.address, number)
            time.sleep(chance.uniform(0.2, 0.5))
            down.append(_seconds_without_writes(ours, probes))
            writer.thread.join(PATIENCE_SECONDS)
            acknowledged += writer.done
            probes.finish()
            supervisor.start(ours.leader)
            ours.settle()
        acknowledged += [key for _, _, key in probes.done]
        lost = _lost(ours, acknowledged)
    finally:
        ours.close()
    own = samples("s", down)
    goal = Goal(
        f"half of them within {FACTOR:g} times the longest election timeout, {UPPER:g} s",
        own.median,
        FACTOR * UPPER,
        at_least=False,
    )
    what = f"no writes after each of {kills} leaders' kills"
    return Row(
        name="failover",
        measures=(Measure(what=what, ours=own, goals=(goal,)),),
        notes=(f"{len(acknowledged):,} writes were acknowledged meanwhile, and read at the end",),
        wrong=tuple(f"{key.decode()} was acknowledged, and is lost" for key in lost[:5]),
    )


def _seconds_without_writes(ours: Quorate, probes: Probes) -> float:
    """From the kill to the end of the first write that began after it and was acknowledged."""
    addresses = [parse_address(place.clients, place.name) for place in ours.followers]
    pid = ours.leader.pid()
    assert pid is not None, "it has just answered"
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    _, ended = probes.until_one_succeeds(addresses)
    while ours.leader.pid() is not None:
        time.sleep(0.01)
    return ended - killed


def _lost(ours: Quorate, acknowledged: list[bytes]) -> list[bytes]:
    """Acknowledged keys that are not there."""
    with client_of(ours.address) as client:
        return [key for key in acknowledged if client.ask(b"GET", key) != VALUE]
