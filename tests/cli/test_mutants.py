"""The kill table: what it shows, and that whatever nothing explains turns its verdict."""

from typing import Any

import pytest

from quorate.cli.mutants import table
from quorate.explore import mutants
from quorate.explore.catalogue import Aim
from quorate.explore.hunt import Failure, Found
from quorate.explore.mutants import (
    Budget,
    Explored,
    Hunted,
    Row,
    aims,
    try_mutant,
    try_mutants,
)
from quorate.scenario.mutant import Mutant
from quorate.verdict import Verdict
from tests.cli.conftest import Quorate

KILL = Found(Failure(1, "agreement", ""), "", 3, 20, 50, 0.5, True)


def mutant(**more: Any) -> Mutant:
    return Mutant(name="m", rule="r", section="s", old="a", new="b", **more)


SURVIVED, KILLED = Hunted(9, 1.0), Hunted(9, 1.0, KILL)
CLEAN, BROKEN = Explored(99, 1.0), Explored(99, 1.0, "agreement", 7)
NOTHING = Explored(refused="its scenario declares no exploration")
EQUIVALENT, HARD = mutant(equivalent=True), mutant(needs="explore")


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        # The real protocol
        (Row("x", None, SURVIVED, CLEAN), Verdict.PASS),
        (Row("x", None, SURVIVED, NOTHING), Verdict.PASS),
        (Row("x", None, None, NOTHING), Verdict.UNKNOWN),
        (Row("x", None, KILLED, CLEAN), Verdict.FAIL),
        (Row("x", None, SURVIVED, BROKEN), Verdict.FAIL),
        # A mutant: one judge is enough, if both were asked
        (Row("x@m", mutant(), KILLED, CLEAN), Verdict.PASS),
        (Row("x@m", mutant(), SURVIVED, BROKEN), Verdict.PASS),
        (Row("x@m", mutant(), SURVIVED, CLEAN), Verdict.FAIL),
        (Row("x@m", mutant(), SURVIVED, NOTHING), Verdict.FAIL),
        (Row("x@m", mutant(), SURVIVED), Verdict.FAIL),
        (Row("x@m", mutant(), None, CLEAN), Verdict.UNKNOWN),
        (Row("x@m", mutant(needs="5 servers"), SURVIVED, CLEAN), Verdict.PASS),
        (Row("x@m", mutant(needs="5 servers"), KILLED), Verdict.PASS),
        # One that hunting rarely finds: exploration must
        (Row("x@m", HARD, SURVIVED, BROKEN), Verdict.PASS),
        (Row("x@m", HARD, SURVIVED, CLEAN), Verdict.FAIL),
        (Row("x@m", HARD, KILLED, CLEAN), Verdict.FAIL),
        (Row("x@m", HARD, None, NOTHING), Verdict.FAIL),
        (Row("x@m", HARD, SURVIVED), Verdict.PASS),
        # One that breaks nothing
        (Row("x@m", EQUIVALENT, SURVIVED, CLEAN), Verdict.PASS),
        (Row("x@m", EQUIVALENT, KILLED, CLEAN), Verdict.FAIL),
        (Row("x@m", EQUIVALENT, SURVIVED, BROKEN), Verdict.FAIL),
    ],
)
def test_what_nothing_explains_is_a_failure(row: Row, verdict: Verdict) -> None:
    assert row.verdict is verdict
    assert (row.remark != row.remark.lower()) == (verdict is Verdict.FAIL)


def test_the_real_protocol_comes_first() -> None:
    names = [aim.name for aim in aims(["paxos@vote-volatile", "abd"])]
    assert names[:3] == ["paxos", "paxos@vote-volatile", "abd"]
    assert len(names) == len(set(names))


def test_the_table(quorate_command: Quorate) -> None:
    names = ("paxos@vote-despite-promise", "paxos@vote-only-above-promise", "paxos@promise-again")
    budget = ("--seeds", 20, "--seed", 1, "--states", 3000, "--jobs", 2)
    told = quorate_command("mutants", *names, *budget)
    assert told.code == 0, told.out
    lines = told.out.splitlines()
    assert lines[0].split() == ["hunt", "explore"]
    assert lines[1].split()[:3] == ["mutant", "killed", "by"]
    rows = {line.split()[0]: line.split() for line in lines[2:6]}
    assert rows["paxos"][1:3] == ["none", "20"]
    assert rows["paxos"][4:7] == ["none", "so", "far"]
    assert rows["@vote-despite-promise"].count("PromiseKept") == 2
    assert rows["@vote-despite-promise"][6] == "6"  # transitions
    assert rows["@vote-only-above-promise"][5:7] == ["decision", "never"]
    assert rows["@promise-again"][1:3] == ["none", "20"]
    assert "killed   2 of 3 mutants" in told.out
    assert "survive  paxos@promise-again (breaks nothing)" in told.out
    assert "bound    paxos: 3 servers" in told.out
    assert max(map(len, lines[:6])) <= 100


@pytest.mark.parametrize("judge", ["hunt", "explore"])
def test_one_judge_alone(quorate_command: Quorate, judge: str) -> None:
    words = ("--seeds", 4, "--seed", 1, "--states", 2000, "--jobs", 1, "--judge", judge)
    told = quorate_command("mutants", "paxos@vote-despite-promise", *words, "--json")
    assert told.code == 0
    real, broken = told.json()["rows"]
    other = {"hunt": "explore", "explore": "hunt"}[judge]
    assert real[other] is broken[other] is None
    assert not real["killed_by"]
    assert broken["killed_by"] == [judge]
    assert broken[judge]["violates"] == "PromiseKept"
    if judge == "explore":
        assert real[judge]["stopped"].endswith("states")
        assert real[judge]["states"] >= 2000
        assert not real[judge]["is_exhausted"]
        assert broken[judge]["transitions"] == 6


def test_a_survivor_turns_the_verdict(
    quorate_command: Quorate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(aims: list[Aim], budget: Budget, *more: Any) -> list[Row]:
        return [try_mutant(aim, budget) for aim in aims]

    monkeypatch.setattr("quorate.cli.mutants.try_mutants", alone)
    few = ("--seeds", "2", "--seed", "1", "--states", "500")
    told = quorate_command("mutants", "paxos@adopt-any-vote", *few, "--json")
    assert told.code == 1
    answer = told.json()
    assert answer["verdict"] == "fail"
    assert answer["rows"][1]["remark"] == "SURVIVES"
    assert answer["rows"][1]["hunt"]["runs"] == 2
    assert answer["rows"][1]["explore"]["states"] >= 500


def test_names_are_cut_only_where_there_is_no_room() -> None:
    long = Explored(99, 1.0, "an_extraordinarily_long_name_of_a_property", 7)
    rows = [Row(f"x@{'m' * 40}", mutant(), Hunted(2000, 60.0), long)]
    whole = table(rows, ("hunt", "explore"), 200)
    assert long.violates in whole[2]
    cut = table(rows, ("hunt", "explore"), 100)
    assert len(cut[2]) <= 100
    assert "an_extra" in cut[2]
    assert "…" in cut[2]
    assert {len(line) for line in cut[1:]} == {len(cut[1])}


def test_an_interrupt_keeps_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = []

    def progress(row: Row) -> None:
        rows.append(row)
        raise KeyboardInterrupt

    wanted = aims(["paxos@vote-despite-promise"])
    assert try_mutants(wanted, Budget(first=1, seeds=3, states=100), 1, progress) == rows
    assert len(rows) == 1
    assert mutants.aims(["paxos"])[0] == wanted[0]
