"""Real clusters under chaos: the real thing passes, broken ones fail, and no judge is fooled."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.check import Result, Value
from quorate.check.linearizability import PartResult
from quorate.cli.main import main
from quorate.cli.systems import system_of
from quorate.live import supervisor
from quorate.live.administration import take_snapshot
from quorate.live.chaos import crew, within
from quorate.live.chaos import report as reports
from quorate.live.chaos import run as runs
from quorate.live.chaos.clients import Client, Ledger
from quorate.live.chaos.dialect import RedisDialect, WordsDialect
from quorate.live.chaos.nemesis import KINDS
from quorate.live.chaos.network import Network
from quorate.live.chaos.proxy import Way
from quorate.live.chaos.report import MANY_OPERATIONS, Report, judge, never_happened
from quorate.live.chaos.run import Plan, Run
from quorate.verdict import Verdict


def play(
    directory: Path,
    kinds: tuple[str, ...],
    seconds: float,
    tamper: Callable[[Run], None] = lambda run: None,
    system: str = "raft",
    nodes: int = 3,
    seed: int = 1,
    configuration: str = "",
    network: Network[Any] | None = None,
) -> Report:
    """One run, as the command has it."""
    runs = system_of(system)

    async def run() -> Report:
        plan = Plan(
            system=system,
            nodes=nodes,
            kinds=kinds,
            seconds=seconds,
            seed=seed,
            directory=directory / "cluster",
            dialect=RedisDialect() if system.startswith("kv") else WordsDialect(),
            configuration=configuration or runs.chaos,
            takes_snapshots=take_snapshot(runs.scenario.node) is not None,
        )
        one = Run(plan, network=network)
        one.tamper = tamper
        return await one.play()

    return asyncio.run(run())


def test_the_real_thing_passes_and_every_fault_bites(tmp_path: Path) -> None:
    report = play(tmp_path, KINDS, 20)
    assert report.verdict is Verdict.PASS, report.reasons
    assert all(report.bit[kind] for kind in KINDS)
    assert report.operations["ok"] > 300
    assert report.leaders > 1
    assert report.dropped > 0
    assert report.kept["snapshots taken"] > 0
    assert report.kept["recoveries from a snapshot"] > 0
    assert not [place for place in supervisor.find(tmp_path / "cluster") if place.pid()]


def test_without_faults_nothing_is_struck(tmp_path: Path) -> None:
    report = play(tmp_path, (), 2)
    assert report.verdict is Verdict.PASS, report.reasons
    assert not report.struck
    assert "info" not in report.operations


# Sabotage: each judge has to notice when what it judges by is broken.


def test_a_cut_that_forwards_all_the_same_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Way.set

    def leak(way: Way, **what: object) -> None:
        real(way, **what)  # type: ignore[arg-type]
        if way.block:
            way.block = ""
            way.on_frames = lambda frames: setattr(way, "cut", way.cut + len(frames))

    monkeypatch.setattr(Way, "set", leak)
    report = play(tmp_path, ("partition",), 4)
    assert report.verdict is Verdict.UNKNOWN
    assert "never proved to bite: partition" in report.reasons
    assert any("all the same" in struck.words for struck in report.struck)


def test_a_power_cut_that_drops_nothing_is_noticed(tmp_path: Path) -> None:
    def tamper(run: Run) -> None:
        run.stage.cut = lambda directory, choose: []

    report = play(tmp_path, ("power-cut",), 4, tamper)
    assert report.verdict is Verdict.UNKNOWN
    assert "never proved to bite: power-cut" in report.reasons


def test_a_kill_that_kills_nobody_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "DEATH_SECONDS", 0.3)

    def tamper(run: Run) -> None:
        run.stage.crew.signal = lambda pid, kind: None

    report = play(tmp_path, ("kill", "pause"), 4, tamper)
    assert report.verdict is Verdict.UNKNOWN
    assert "never proved to bite: kill, pause" in report.reasons


def test_a_client_that_lies_about_one_read_is_noticed(tmp_path: Path) -> None:
    def tamper(run: Run) -> None:
        seen = 0

        def lie(f: str, value: Value) -> Value:
            nonlocal seen
            seen += f == "get" and value is not None
            return "never written" if seen == 20 and f == "get" and value is not None else value

        run.ledger.observe = lie

    report = play(tmp_path, (), 3, tamper)
    assert report.verdict is Verdict.FAIL
    assert report.explanation is not None
    assert "never written" in report.explanation.render()


def test_a_member_that_goes_on_after_a_failed_sync_is_noticed(tmp_path: Path) -> None:
    """Its process is kept from ending: what a host does that swallows the error."""

    def tamper(run: Run) -> None:
        real = run.stage.crew.is_alive
        run.stage.crew.is_alive = lambda name: name not in dead and real(name)  # type: ignore[method-assign]
        run.stage.crew.code = lambda name: 0  # type: ignore[method-assign]

    dead: set[str] = set()
    report = play(tmp_path, ("disk",), 4, tamper)
    assert report.verdict is Verdict.FAIL
    assert "stops_when_a_sync_fails" in report.reasons[0]


def test_a_member_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    def tamper(run: Run) -> None:
        os.kill(run.stage.crew.pid("n2"), signal.SIGTERM)

    report = play(tmp_path, ("clock",), 4, tamper)
    assert report.verdict is Verdict.FAIL
    assert "no_member_ends: n2 has ended by itself" in report.reasons[0]


def test_a_member_that_has_ended_before_it_is_struck_is_noticed(tmp_path: Path) -> None:
    def tamper(run: Run) -> None:
        run.stage.crew.signal = gone

    def gone(pid: int, kind: int) -> None:
        raise ProcessLookupError

    report = play(tmp_path, ("kill",), 4, tamper)
    assert report.verdict is Verdict.FAIL
    assert re.match(r"no_member_ends: n\d has ended", report.reasons[0])


KEPT = (
    "checkpoints",
    "snapshots taken",
    "recoveries from a snapshot",
    "snapshots installed",
)
PART = PartResult("x", Verdict.PASS, 100, 100, "")
PASSED = Result(Verdict.PASS, (PART,), 100, "", None)
UNDECIDED = Result(Verdict.UNKNOWN, (PART,), 100, "the budget was used up", None)


@pytest.mark.parametrize(
    ("result", "bit", "broke", "unread", "interrupted", "verdict", "word"),
    [
        (PASSED, {"kill": 1}, "", [], False, Verdict.PASS, ""),
        (PASSED, {}, "", [], False, Verdict.UNKNOWN, "kill"),
        (PASSED, {"kill": 1}, "no_member_ends: n1", [], False, Verdict.FAIL, "n1"),
        (PASSED, {"kill": 1}, "", ["x"], False, Verdict.FAIL, "progress"),
        (PASSED, {"kill": 1}, "", [], True, Verdict.UNKNOWN, "interrupted"),
        (UNDECIDED, {"kill": 1}, "", [], False, Verdict.UNKNOWN, "budget"),
        (UNDECIDED, {"kill": 1}, "", ["x"], False, Verdict.FAIL, "progress"),
    ],
)
def test_the_verdict_is_the_worst_of_all_judges(
    result: Result,
    bit: dict[str, int],
    broke: str,
    unread: list[str],
    interrupted: bool,
    verdict: Verdict,
    word: str,
) -> None:
    found, reasons = judge(result, ("kill",), bit, 50, broke, unread, interrupted)
    assert found is verdict
    assert word in (reasons[0] if reasons else "")


def test_snapshots_and_checkpoints_that_never_happen_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the settings of `quorate up`, whose limits no run meets."""
    monkeypatch.setattr(runs, "SEGMENT_BYTES", 1 << 24)
    monkeypatch.setattr(reports, "MANY_OPERATIONS", 1)
    report = play(tmp_path, ("partition",), 4, system="kv", configuration="default")
    assert report.verdict is Verdict.UNKNOWN
    missing = "snapshots taken, checkpoints, snapshots installed"
    assert f"never happened: {missing}" in report.reasons


@pytest.mark.parametrize("name", KEPT)
def test_what_never_happened_matters_once_there_was_much_to_keep(name: str) -> None:
    kept = {what: int(what != name) for what in KEPT}
    missing = never_happened(kept, KINDS)
    assert missing == (name,)
    much = PartResult("x", Verdict.PASS, MANY_OPERATIONS, MANY_OPERATIONS, "")
    found = [
        judge(Result(Verdict.PASS, (part,), 100, "", None), (), {}, 1, "", [], False, missing)
        for part in (PART, much)
    ]
    assert found == [(Verdict.PASS, ()), (Verdict.UNKNOWN, (f"never happened: {name}",))]


def test_too_few_operations_are_no_pass() -> None:
    verdict, (reason,) = judge(PASSED, (), {}, 1000, "", [], False)
    assert verdict is Verdict.UNKNOWN
    assert "only 100 operations" in reason


def test_a_bent_disk_is_slow_for_snapshots_too_and_fails_for_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(within.time, "sleep", slept.append)
    bent = within.BentDisk()
    bent.slow, bent.fail = 0.05, "EIO"
    bent.before("fdatasync", Path("data/journal/spare.new"))
    assert not slept
    bent.before("fdatasync", Path("data/stored/snapshot.blob.new"))
    with pytest.raises(OSError, match="Input/output error"):
        bent.before("fdatasync", Path("data/journal/segment-0000000001"))
    assert (slept, bent.slowed, bent.failed) == ([0.05, 0.05], 1, 1)


# The seed


def test_what_a_client_asks_is_a_function_of_the_seed() -> None:
    def asked(seed: int) -> list[object]:
        client = Client(3, Ledger(), WordsDialect(), ["127.0.0.1:1"], seed)
        return [client._draw() for _ in range(100)]

    assert asked(5) == asked(5)
    assert asked(5) != asked(6)


# The command


def test_the_command_tells_what_happened_and_how_to_run_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, directory = tmp_path / "history.jsonl", tmp_path / "cluster"
    words = ["chaos", "raft", "--nodes", "3", "--faults", "clock", "--seconds", "4", "--seed", "7"]
    assert main([*words, "--history", str(history), "--dir", str(directory)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^verdict +pass$", told, re.MULTILINE)
    assert "faults   clock:" in told
    assert " ".join(words[:-4]) in told
    assert main(["check", str(history), "--model", "kv"]) == 0
    assert main([*words, "--dir", str(directory)]) == 3
    assert "holds a cluster" in capsys.readouterr().err
    assert main(["up", "raft", "--dir", str(directory), "--detach"]) == 0
    assert main(["down", "--dir", str(directory)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["raft", "--faults", "lightning"], "no fault of live clusters is called 'lightning'"),
        (["raft", "--nodes", "1"], "one member alone"),
        (["raft@host:nonsense"], "the host has no mutant 'nonsense'"),
        (["nonsense"], "the catalogue has no 'nonsense'"),
        (["two-phase-commit"], "chaos asks for keys and values"),
        (["vr", "--faults", "pause,kill"], "chaos cannot keep kill within vr's model"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chaos", *words]) == 3
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_no_member_outlives_the_run(
    tmp_path: Path, kind: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "cluster"
    words = [sys.executable, "-m", "quorate.cli.main", "chaos", "raft", "--nodes", "3"]
    words += ["--seconds", "60", "--faults", "pause", "--dir", str(directory)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 20
    while time.monotonic() < until and not (directory / "n3" / "pid").exists():
        time.sleep(0.05)
    time.sleep(2)
    places = supervisor.find(directory)
    assert any(place.pid() for place in places)
    process.send_signal(kind)
    told, _ = process.communicate(timeout=60)
    until = time.monotonic() + 5
    while time.monotonic() < until and any(place.pid() for place in places):
        time.sleep(0.05)
    assert not [place.name for place in places if place.pid()]
    if kind == signal.SIGINT:
        assert process.returncode == 2
        assert "it was interrupted" in told
        assert not supervisor.find(directory)[0].config.chaos
    else:
        assert main(["up", "--dir", str(directory)]) == 3
        assert "in the hands of quorate chaos" in capsys.readouterr().err


# What takes longer


@pytest.mark.long
@pytest.mark.parametrize(("system", "nodes"), [("raft", 5), ("kv", 5), ("multi-paxos", 3)])
def test_a_minute_of_everything_is_survived(tmp_path: Path, system: str, nodes: int) -> None:
    report = play(tmp_path, KINDS, 60, system=system, nodes=nodes)
    assert report.verdict is Verdict.PASS, report.reasons
    if system != "multi-paxos":  # It brings those that lag up to date in another way.
        assert min(report.kept[what] for what in KEPT) > 0, report.kept


@pytest.mark.long
@pytest.mark.parametrize("kind", ["kill", "power-cut"])
def test_what_breaks_mutants_leaves_the_store_whole(tmp_path: Path, kind: str) -> None:
    report = play(tmp_path, (kind,), 60, system="kv")
    assert report.verdict is Verdict.PASS, report.reasons


@pytest.mark.long
@pytest.mark.parametrize(
    ("system", "kinds"),
    [
        ("raft@vote-not-durable", ("kill",)),
        ("raft@vote-not-durable", ("power-cut",)),
        ("kv@vote-not-durable", ("kill",)),
        ("kv@vote-not-durable", ("power-cut",)),
        ("raft@host:ack-before-sync", ("power-cut",)),
        ("kv@snapshot-resets-state", ("partition",)),
        ("kv@compacts-before-stored", ("power-cut",)),
        ("kv@host:ack-before-sync", ("power-cut",)),
        ("kv@host:sync-covers-later-steps", ("power-cut",)),
    ],
)
def test_a_broken_rule_is_found_within_a_minute(
    tmp_path: Path, system: str, kinds: tuple[str, ...]
) -> None:
    """On a machine with nothing else to do; a busy one gets three of them."""
    for seed in (1, 2, 3):
        report = play(tmp_path / str(seed), kinds, 60, system=system, seed=seed)
        # A member may also find out what is wrong, and raise an error, before any client does.
        if report.explanation is not None or " raised " in "".join(report.reasons):
            return
    raise AssertionError("three minutes, and nothing was found")
