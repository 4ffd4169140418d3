"""A million keys: what they take, and what they hold up: a restart, snapshots, collections."""

import re
import threading
import time
from datetime import datetime
from typing import Any

from quorate.bench.load import VALUE, client_of, encoded, redis_benchmark
from quorate.bench.options import Options, Tell, silent
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.servers import Quorate, memory_of
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.supervisor import LOG, Place
from quorate.systems.kv.system import SETTINGS

MEBIBYTE = 1 << 20
BATCH = 1000
STALL_MS = 50.0
NEAR_SECONDS = 0.25
"""A stall this close before or after a snapshot counts as its: the fork, and the compaction."""
_STORED = re.compile(r"^(\S+)Z .* stored  name=snapshot seconds=(\S+)", re.MULTILINE)

Spans = list[tuple[float, float]]
"""Beginnings and ends, in seconds since 1970."""


def million(options: Options) -> Row:
    """A million keys of 100 bytes."""
    if options.quick:
        return measure_million(50_000, SETTINGS.snapshot_every * 5 // 4, options.tell)
    return measure_million(1_000_000, SETTINGS.snapshot_every * 5 // 2, options.tell)


def measure_million(keys: int, writes: int, tell: Tell = silent) -> Row:
    """So many keys are set; then so many writes pass through the log, while one client watches."""
    ours = Quorate()
    try:
        empty = _memory(ours)
        tell(f"setting {keys:,} keys")
        rate = _fill(ours, keys)
        full = _memory(ours)
        tell(f"{writes:,} writes, with snapshots")
        watch = _Watch(ours)
        redis_benchmark(ours.address, writes, 1, keys=keys)
        gaps = watch.stop()
        snapshots = _snapshots(ours.leader, watch.started)
        facts = [ours.status(place) for place in ours.places]
        tell("restarting a member")
        back = _restart(ours, ours.followers[0])
        wrong = _missing(ours, keys)
    finally:
        ours.close()
    return _row(keys, [f - e for f, e in zip(full, empty, strict=True)], rate, gaps, snapshots,
                facts, back, wrong)  # fmt: skip


def _row(
    keys: int, grown: list[int], rate: float, gaps: Spans, snapshots: Spans,
    facts: list[dict[str, Any]], back: float, wrong: tuple[str, ...],
) -> Row:  # fmt: skip
    within = [gap for gap in gaps if any(_touch(gap, snapshot) for snapshot in snapshots)]
    stall, calm = _longest(within), _longest([gap for gap in gaps if gap not in within])
    pauses = [fact["longest_ms"]["collection"] for fact in facts]
    at_most = f"at most {STALL_MS:g} ms"
    measures = [
        Measure(what=f"memory of each member for {keys:,} keys",
                ours=samples("MiB", [size / MEBIBYTE for size in grown])),
        Measure(what="bytes for a key of 16 and a value of 100",
                ours=samples("", [size / keys for size in grown])),
        Measure(what="set in pipelines", ours=samples("keys/s", [rate])),
        Measure(what="restart of a member until it serves", ours=samples("s", [back])),
        Measure(what="longest collection, by member", ours=samples("ms", pauses),
                goals=(Goal(at_most, max(pauses), STALL_MS, at_least=False),)),
        Measure(what="longest wait of a write, no snapshot near", ours=samples("ms", [calm])),
    ]  # fmt: skip
    if snapshots:
        took = samples("s", [end - start for start, end in snapshots])
        goal = Goal(at_most, stall, STALL_MS, at_least=False)
        measures += [
            Measure(what="a snapshot of the leader", ours=took),
            Measure(what="longest wait of a write beside a snapshot", ours=samples("ms", [stall]),
                    goals=(goal,)),
        ]  # fmt: skip
    else:
        wrong += ("no snapshot was taken, so nothing was seen of one",)
    return Row(
        name="million",
        measures=tuple(measures),
        notes=(
            f"snapshots of the leader: {len(snapshots)}, while 50 clients wrote as fast as they "
            "could; one more waited for each of its writes: what it waits they all wait",
        ),
        wrong=wrong,
    )


def _memory(ours: Quorate) -> list[int]:
    """What each member holds."""
    return [memory_of(pid) for place in ours.places if (pid := place.pid()) is not None]


def _key(number: int) -> bytes:
    """As redis-benchmark names them."""
    return b"key:%012d" % number


def _fill(ours: Quorate, keys: int) -> float:
    """Keys a second, in pipelines of a thousand, two of them under way."""
    started = time.monotonic()
    with client_of(ours.address, 60) as client:
        waiting = 0
        for first in range(0, keys, BATCH):
            batch = range(first, min(first + BATCH, keys))
            client.send(b"".join(encoded((b"SET", _key(number), VALUE)) for number in batch))
            if waiting:
                _expect_ok(client.replies(waiting))
            waiting = len(batch)
        _expect_ok(client.replies(waiting))
    return keys / (time.monotonic() - started)


def _expect_ok(replies: list[bytes]) -> None:
    bad = [reply for reply in replies if reply != b"+OK"]
    if bad:
        raise Mistake(f"a SET was answered by {bad[0][:80]!r}")


class _Watch:
    """One client that writes on and on, and notes how long it waited each time."""

    def __init__(self, ours: Quorate) -> None:
        self._address = ours.address
        self._gaps: Spans = []
        self._is_over = threading.Event()
        self._error: BaseException | None = None
        self.started = time.time()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> Spans:
        """All waits. Raises what ended it early."""
        self._is_over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._gaps

    def _run(self) -> None:
        try:
            with client_of(self._address, 60) as client:
                while not self._is_over.is_set():
                    began = time.time()
                    _expect_ok([client.ask(b"SET", b"watch", VALUE)])
                    self._gaps.append((began, time.time()))
        except BaseException as error:
            self._error = error


def _snapshots(place: Place, since: float) -> Spans:
    """When snapshots were written, by the member's own log."""
    text = (place.directory / LOG).read_text("utf-8", "replace")
    found = []
    for moment, seconds in _STORED.findall(text):
        end = datetime.fromisoformat(f"{moment}+00:00").timestamp()
        if end > since:
            found.append((end - float(seconds), end))
    return found


def _touch(gap: tuple[float, float], span: tuple[float, float]) -> bool:
    return gap[0] <= span[1] + NEAR_SECONDS and span[0] - NEAR_SECONDS <= gap[1]


def _longest(gaps: Spans) -> float:
    """Milliseconds."""
    return max((end - start for start, end in gaps), default=0.0) * 1e3


def _restart(ours: Quorate, place: Place) -> float:
    """Seconds from the start of a member to where it has all that is committed."""
    supervisor.stop([place])
    wanted = ours.status(ours.leader)["commit_index"]
    started = time.monotonic()
    supervisor.start(place)
    while True:
        facts = supervisor.status(place)
        if place.pid() is None:
            raise Mistake(f"{place.name} has ended: {place.last_words()}")
        if facts.get("commit_index", -1) >= wanted and facts["ready"]:
            return time.monotonic() - started
        if time.monotonic() > started + 300:
            raise Mistake(f"{place.name} is not back after 300 s: {place.last_words()}")
        time.sleep(0.02)


def _missing(ours: Quorate, keys: int) -> tuple[str, ...]:
    """What is not as it was set, on the member that was restarted: all counted, some read."""
    wrong = []
    host, _, port = ours.followers[0].clients.rpartition(":")
    with client_of((host, int(port)), 60) as client:
        found = client.ask(b"DBSIZE")
        if found != b":%d" % (keys + 1):
            wrong.append(f"DBSIZE is {found.decode()}, after {keys:,} keys and one more")
        wrong += [
            f"{_key(number).decode()} is not of the size that it was set to"
            for number in range(0, keys, max(keys // 500, 1))
            if len(client.ask(b"GET", _key(number))) != len(VALUE)
        ]
    return tuple(wrong[:5])
