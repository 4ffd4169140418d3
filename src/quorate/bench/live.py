"""The store as a real cluster: writes by many clients and by one, each beside its peers.

Everything runs on this machine: three members, the load generator and the peers share its
processors, and the rounds go from one to the next. Syncs are on, and so is the sampling that runs
steps twice. Whatever was acknowledged must be in the log: one entry for each batch of commands.
"""

from collections.abc import Callable
from contextlib import ExitStack
from math import exp, sqrt
from time import perf_counter
from typing import Any

from quorate.bench.load import (
    CLIENTS,
    KEYS,
    Seen,
    absent,
    client_of,
    etcd_puts,
    redis_benchmark,
    sync_latency,
    write_latency,
)
from quorate.bench.options import Options
from quorate.bench.report import Goal, Measure, Row, Samples, figure, samples
from quorate.bench.servers import Etcd, PySyncObj, Quorate, Redis
from quorate.bench.timing import in_turns
from quorate.live.config import Address, parse_address

ETCD_CLIENTS = 64
PIPELINE = 16
BATCHED_GOAL = 100_000
OWN_COMMANDS = 2
"""What redis-benchmark asks before each of its runs, on a connection of its own: CONFIG GET."""
SLACK_MS = 1.0


class _Subject:
    """One server under one load, measured round by round.

    Attributes:
        usages: for each round the shares of one processor that each process used, the load's last.
    """

    def __init__(self, run: Callable[[], Seen], usage: Callable[[], list[float]]) -> None:
        self._run, self._usage = run, usage
        self.seen: list[Seen] = []
        self.usages: list[list[float]] = []

    def rate(self) -> float:
        """Operations/s in one round."""
        before, started = self._usage(), perf_counter()
        seen = self._run()
        took = perf_counter() - started
        after = [*self._usage(), seen.cpu]
        self.usages.append([(b - a) / took for a, b in zip([*before, 0.0], after, strict=True)])
        self.seen.append(seen)
        return seen.rate

    def words(self, who: str) -> str:
        """`ours: 97 %, 60 %, 61 % of a processor, load 30 %; p50 3.1 ms, p99 8 ms`."""
        shares = [samples("", column).median for column in zip(*self.usages, strict=True)]
        *servers, load = (f"{share:.0%}" for share in shares)
        p50 = samples("", [seen.p50 for seen in self.seen]).median
        p99 = samples("", [seen.p99 for seen in self.seen]).median
        busy = f"{who}: {', '.join(servers)} of a processor, the load generator {load}"
        return f"{busy}; p50 {figure(p50)} ms, p99 {figure(p99)} ms" if p50 else busy


class _Checked:
    """Our cluster under load: every run is held against what the members counted."""

    def __init__(self, cluster: Quorate) -> None:
        self._cluster = cluster
        self.wrong: list[str] = []
        self.acknowledged = self.largest = 0
        self.per_sync: dict[int, list[float]] = {}

    def run(self, count: int, pipeline: int, keys: int = KEYS) -> Seen:
        """Load, and look at the leader before and after."""
        cluster = self._cluster
        before = cluster.status(cluster.leader)
        seen = redis_benchmark(cluster.address, count, pipeline, keys)
        after = cluster.status(cluster.leader)
        entries = after["commit_index"] - before["commit_index"]
        ok = _done(after) - _done(before) - OWN_COMMANDS
        others = {k: v for k, v in after["outcomes"].items() if k != "ok" and v}
        entries -= after["current_term"] - before["current_term"]  # Each leader's own.
        if (ok, entries * pipeline) != (count, count) or others:
            self.wrong.append(
                f"-P {pipeline}: {count:,} commands were acknowledged, {ok:,} ended well, and the "
                f"log grew by {entries:,} entries; others: {others or 'none'}"
            )
        if keys > 1:
            self.acknowledged += count
            self.largest = max(self.largest, count)
        syncs = after["syncs"] - before["syncs"]
        self.per_sync.setdefault(pipeline, []).append(entries / max(syncs, 1))
        return seen

    def look_for_keys(self) -> None:
        """Every member must have them, as many as so many draws leave.

        Between two runs redis-benchmark may draw the same keys again: it seeds by its process
        number and the time. So the least is what the largest run leaves.
        """
        counts = []
        for place in self._cluster.places:
            with client_of(parse_address(place.clients, place.name)) as client:
                counts.append(int(client.ask(b"DBSIZE")[1:]))
        least, most = _drawn(self.largest, -5), _drawn(self.acknowledged, 5) + 1  # The one key.
        if len(set(counts)) > 1 or not least <= counts[0] <= most:
            told = ", ".join(f"{count:,}" for count in counts)
            self.wrong.append(f"the members have {told} keys, not {least:,.0f} to {most:,.0f}")


def _drawn(draws: int, deviations: int) -> float:
    """Different keys of so many draws: the expected number, and so many deviations more."""
    missed = exp(-draws / KEYS)
    deviation = sqrt(KEYS * missed * (1 - missed))
    return KEYS * (1 - missed) + deviations * (deviation + 1)


def _done(facts: dict[str, Any]) -> int:
    return int(facts["outcomes"].get("ok", 0))


def live(options: Options) -> Row:
    """SET of 100 bytes by 50 clients, one at a time and in pipelines of 16."""
    if options.quick:
        return measure_live(3_000, rounds=1, options=options)
    return measure_live(100_000, rounds=5, options=options)


def measure_live(count: int, rounds: int, options: Options) -> Row:
    """So many commands in each run of each subject, ours and the peers', in turns."""
    if absent():
        return Row(name="live", skipped=absent())
    deep = 4 * count // PIPELINE * PIPELINE
    with ExitStack() as stack:
        options.tell("starting three members, and the peers")
        ours = Quorate()
        stack.callback(ours.close)
        checked = _Checked(ours)
        subjects = {
            "ours": _Subject(lambda: checked.run(count, 1, 1), ours.usage),
            "ours -P 16": _Subject(lambda: checked.run(deep, PIPELINE, 1), ours.usage),
            "ours, -r": _Subject(lambda: checked.run(count, 1), ours.usage),
            "ours -P 16, -r": _Subject(lambda: checked.run(deep, PIPELINE), ours.usage),
        }
        subjects |= _peers(stack, count, deep)
        options.tell(f"{rounds} rounds of {', '.join(subjects)}")
        rates = dict(
            zip(subjects, in_turns(rounds, *(s.rate for s in subjects.values())), strict=True)
        )
        checked.look_for_keys()
    per_sync = {p: samples("", values).median for p, values in checked.per_sync.items()}
    return Row(
        name="live",
        measures=_measures({name: samples("/s", values) for name, values in rates.items()}),
        notes=(
            *(subject.words(name) for name, subject in subjects.items()),
            f"one sync of the leader for {per_sync[1]:.1f} batches of one command, and for "
            f"{per_sync[PIPELINE]:.1f} batches of {PIPELINE}",
            *(f"not measured: {reason}" for reason in _absences()),
        ),
        wrong=tuple(checked.wrong),
    )


def _peers(stack: ExitStack, count: int, deep: int) -> dict[str, _Subject]:
    found: dict[str, _Subject] = {}
    if not Redis.absent():
        redis = Redis()
        stack.callback(redis.close)
        for name, load in (
            ("Redis", (count, 1, 1)),
            ("Redis -P 16", (deep, PIPELINE, 1)),
            ("Redis -P 16, -r", (deep, PIPELINE, KEYS)),
        ):
            found[name] = _Subject(_by_benchmark(redis.address, *load), redis.usage)
    if not Etcd.absent():
        etcd = Etcd()
        stack.callback(etcd.close)
        found["etcd"] = _Subject(
            lambda: etcd_puts(etcd.address, max(count // 4, 100), ETCD_CLIENTS), etcd.usage
        )
    if not PySyncObj.absent():
        peer = PySyncObj()
        stack.callback(peer.close)
        found["PySyncObj"] = _Subject(
            lambda: Seen(peer.load(max(count // 4, 100), CLIENTS), 0.0, 0.0, 0.0), peer.usage
        )
    return found


def _by_benchmark(address: Address, count: int, pipeline: int, keys: int) -> Callable[[], Seen]:
    return lambda: redis_benchmark(address, count, pipeline, keys)


def _absences() -> list[str]:
    return [reason for peer in (Redis, Etcd, PySyncObj) if (reason := peer.absent())]


def _measures(rates: dict[str, Samples]) -> tuple[Measure, ...]:
    one, deep = rates["ours"], rates["ours -P 16"]
    made = [Measure(what="SET -d 100 -c 50 -P 1", ours=one)]
    for peer, words, bound in (
        ("etcd", "etcd, 64 clients, sync on", 1.5),
        ("PySyncObj", "PySyncObj, 50 at once, no sync", 1.2),
        ("Redis", "one Redis, appendfsync always", 0.5),
    ):
        if peer in rates:
            made.append(_beside(f"beside {words}", one, words, rates[peer], bound))
    floor = Goal("at least 100 k/s", deep.median, BATCHED_GOAL)
    made.append(Measure(what="SET -d 100 -c 50 -P 16", ours=deep, goals=(floor,)))
    words = "one Redis, appendfsync always"
    if "Redis -P 16" in rates:
        made.append(_beside(f"beside {words}, -P 16", deep, words, rates["Redis -P 16"], 0.4))
    for name in ("", " -P 16"):
        what = f"SET -d 100 -c 50{name or ' -P 1'} -r {KEYS}"
        found = rates.get(f"Redis{name}, -r")
        ours, peer = rates[f"ours{name}, -r"], words if found else ""
        made.append(Measure(what=what, ours=ours, peer=peer, theirs=found))
    return tuple(made)


def _beside(what: str, ours: Samples, peer: str, theirs: Samples, bound: float) -> Measure:
    plain = Measure(what=what, ours=ours, peer=peer, theirs=theirs)
    assert plain.ratio is not None
    is_stretch = bound == 0.5  # The table has it as what would be good, not as the goal.
    text = f"{'stretch: ' if is_stretch else ''}at least {bound:g} times as many"
    goal = Goal(text, plain.ratio, bound)
    return Measure(what=what, ours=ours, peer=peer, theirs=theirs, goals=(goal,))


# One client


def latency(options: Options) -> Row:
    """One client, one write at a time."""
    if options.quick:
        return measure_latency(100, rounds=3)
    return measure_latency(1000, rounds=9)


def measure_latency(count: int, rounds: int) -> Row:
    """So many writes in each round, beside the machine's own sync and the peers."""
    with ExitStack() as stack:
        ours = Quorate()
        stack.callback(ours.close)
        names = ["ours", "sync"]
        subjects = [lambda: write_latency(ours.address, count), lambda: sync_latency(count)]
        if not Redis.absent():
            redis = Redis()
            stack.callback(redis.close)
            names.append("Redis")
            subjects.append(lambda: write_latency(redis.address, count))
        if not Etcd.absent():
            etcd = Etcd()
            stack.callback(etcd.close)
            names.append("etcd")
            subjects.append(lambda: etcd_puts(etcd.address, count, 1).p50)
        taken = dict(zip(names, in_turns(rounds, *subjects), strict=True))
    return _latency_row(taken)


def _latency_row(taken: dict[str, tuple[float, ...]]) -> Row:
    own, sync = taken["ours"], taken["sync"]
    over = [mine - 2 * floor for mine, floor in zip(own, sync, strict=True)]
    text = "at most two syncs and 1 ms"
    goal = Goal(text, samples("", over).median, SLACK_MS, at_least=False)
    mine = samples("ms", own)
    beside = [
        Measure(what=f"beside {name}", ours=mine, peer=name, theirs=samples("ms", taken[name]))
        for name in ("Redis", "etcd")
        if name in taken
    ]
    return Row(
        name="latency",
        measures=(
            Measure(
                what="p50 of one write at a time",
                ours=mine,
                peer="write and sync alone",
                theirs=samples("ms", sync),
                goals=(goal,),
            ),
            *beside,
        ),
        notes=tuple(f"not measured: {why}" for why in (Redis.absent(), Etcd.absent()) if why),
    )
