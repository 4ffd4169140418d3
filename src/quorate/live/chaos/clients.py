"""The clients of a chaos run: real connections, one operation at a time, and a history of it all.

What is asked, and in which order by each client, the seed decides; when, and of whom, the run. An
operation without an answer may have happened, or may still: its client goes on as a new process.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable

from quorate.check.history import History, Status, Value
from quorate.live.chaos.dialect import (
    READS,
    Broken,
    Dialect,
    encode_command,
    is_surely_undone,
    read_reply,
)
from quorate.live.config import parse_address
from quorate.scenario.conditions import Dice
from quorate.wire.resp import Failure

ANSWER_SECONDS = 1.0
CONNECT_SECONDS = 0.5
REST_SECONDS = 0.02
EACH_KEY = 150
"""Operations on a key, after which a fresh one takes its place: short histories are soon judged."""
MOST_UNKNOWN = 8
"""Writes to a key of which nobody knows whether they happened, that use it up as well."""
SLOTS = "abcde"
"""First letters of the keys that are in use at a time."""
STAY = 60
"""Operations, about, until a client turns to another member."""

Ask = tuple[str, str, Value]
"""An operation, a key and an argument."""


class Ledger:
    """What all clients have seen.

    Attributes:
        history: every operation.
        observe: what a client takes an answer for: a test lets one lie.
        counts: ended operations by status.
        last_ok: the process's monotonic clock at the last success.
    """

    def __init__(self) -> None:
        self.history = History()
        self.observe: Callable[[str, Value], Value] = lambda f, value: value
        self.counts: Counter[str] = Counter()
        self.last_ok = 0.0
        self._start = time.monotonic_ns()
        self._used = [0] * len(SLOTS)
        self._generation = [0] * len(SLOTS)
        self._processes = 0
        self._waiting: list[asyncio.Future[None]] = []

    def process(self) -> int:
        """A process id that nobody has had."""
        self._processes += 1
        return self._processes - 1

    def key(self, slot: int) -> str:
        """The key that has this place now."""
        if self._used[slot] >= EACH_KEY:
            self._used[slot] = 0
            self._generation[slot] += 1
        self._used[slot] += 1
        return f"{SLOTS[slot]}{self._generation[slot]}"

    def keys(self) -> list[str]:
        """All keys that were ever used."""
        return list(dict.fromkeys(op.key for op in self.history.operations if op.key is not None))

    def invoke(self, process: int, ask: Ask) -> None:
        """An operation begins."""
        self.history.invoke(process, *ask, time_ns=self._now())

    def complete(self, process: int, ask: Ask, status: Status, value: Value = None) -> None:
        """An operation has ended."""
        f, key, _ = ask
        self.history.complete(process, status, value, time_ns=self._now())
        self.counts[status] += 1
        if (
            status == "info" and f not in READS
        ):  # Each of these doubles what the checker has to try.
            slot = SLOTS.index(key[0])
            self._used[slot] += EACH_KEY // MOST_UNKNOWN
        if status == "ok":
            self.last_ok = time.monotonic()
            if f not in READS:
                self._acknowledged()

    async def acknowledged(self, seconds: float) -> bool:
        """Wait for the next write that is acknowledged; whether there was one in time."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await future
        return future.done() and not future.cancelled()

    def _acknowledged(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _now(self) -> int:
        return time.monotonic_ns() - self._start


class Client:
    """One client, which keeps a connection to some member."""

    def __init__(
        self, number: int, ledger: Ledger, dialect: Dialect, addresses: list[str], seed: int
    ) -> None:
        self._number = number
        self._ledger = ledger
        self._dialect = dialect
        self._addresses = [parse_address(text, "clients") for text in addresses]
        self._dice = Dice(seed, f"client {number}")
        self._process = ledger.process()
        self._asked = self._dialled = 0
        self._seen: dict[str, tuple[str, Value]] = {}
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, interval: float, over: asyncio.Event) -> None:
        """Ask until it is over, no more often than every `interval` seconds."""
        due = time.monotonic() + interval * (self._dice.bits("first") % 1000) / 1000
        while not over.is_set():
            now = time.monotonic()
            if due > now:
                await asyncio.sleep(due - now)
            due = max(due + interval, now)  # What was missed is not made up for.
            if self._writer is None and not await self._connect():
                await asyncio.sleep(REST_SECONDS)
                continue
            await self._do(self._draw())
        self._hang_up()

    async def read(self, keys: Iterable[str], until: float) -> list[str]:
        """Read each key once, however often that takes; which ones could not be read in time."""
        unread = []
        for key in keys:
            is_read = False
            while not is_read and time.monotonic() < until:
                if self._writer is not None or await self._connect():
                    is_read = await self._do((self._dialect.kinds[0], key, None))
                if not is_read:
                    await asyncio.sleep(REST_SECONDS)
            if not is_read:
                unread.append(key)
        self._hang_up()
        return unread

    def _draw(self) -> Ask:
        self._asked += 1
        bits = self._dice.bits(f"operation {self._asked}")
        kinds = self._dialect.kinds
        f = kinds[bits % len(kinds)]
        key = self._ledger.key((bits >> 16) % len(SLOTS))
        word = f"c{self._number}.{self._asked},"  # Unlike any other, and unlike JSON.
        match f:
            case "get" | "read" | "delete":
                return f, key, None
            case "cas":
                last, seen = self._seen.get(key[0], ("", None))
                return f, key, (self._dialect.expected(seen if last == key else None), word)
        return f, key, word

    async def _do(self, ask: Ask) -> bool:
        """Ask for one operation; whether it succeeded."""
        reader, writer, ledger = self._reader, self._writer, self._ledger
        assert reader is not None
        assert writer is not None
        f, key, value = ask
        ledger.invoke(self._process, ask)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(encode_command(self._dialect.command(f, key, value)))
                reply = await read_reply(reader)
            if not isinstance(reply, Failure):
                result = ledger.observe(f, self._dialect.result(f, reply))
                if f in READS:
                    self._seen[key[0]] = (key, result)
                ledger.complete(self._process, ask, "ok", result)
                if self._asked % STAY == self._number % STAY:
                    self._hang_up()
                return True
            is_known = is_surely_undone(reply)
        except (TimeoutError, Broken):
            is_known = False
        if is_known:
            ledger.complete(self._process, ask, "fail")
        else:
            ledger.complete(self._process, ask, "info")
            self._process = ledger.process()
        self._hang_up()
        return False

    async def _connect(self) -> bool:
        """Connect to some member: where none can be reached, nothing has been asked for."""
        self._dialled += 1
        which = self._dice.between(f"member {self._dialled}", 0, len(self._addresses) - 1)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._reader, self._writer = await asyncio.open_connection(*self._addresses[which])
        except (TimeoutError, OSError):
            return False
        return True

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
