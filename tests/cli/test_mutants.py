"""The kill table: what it shows, and that whatever nothing explains turns its verdict."""

from typing import Any

import pytest

from quorate.explore import mutants
from quorate.explore.catalogue import Aim
from quorate.explore.hunt import Failure, Found
from quorate.explore.mutants import Row, aims, try_mutant, try_mutants
from quorate.scenario.mutant import Mutant
from quorate.verdict import Verdict
from tests.cli.conftest import Quorate

KILL = Found(Failure(1, "agreement", ""), "", 3, 20, 50, 0.5, True)


def mutant(**more: Any) -> Mutant:
    return Mutant(name="m", rule="r", section="s", old="a", new="b", **more)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("x", None, 9, 1.0), Verdict.PASS),
        (Row("x", None, 9, 1.0, KILL), Verdict.FAIL),
        (Row("x@m", mutant(), 9, 1.0, KILL), Verdict.PASS),
        (Row("x@m", mutant(), 9, 1.0), Verdict.FAIL),
        (Row("x@m", mutant(needs="5 servers"), 9, 1.0), Verdict.PASS),
        (Row("x@m", mutant(needs="5 servers"), 9, 1.0, KILL), Verdict.PASS),
        (Row("x@m", mutant(equivalent=True), 9, 1.0), Verdict.PASS),
        (Row("x@m", mutant(equivalent=True), 9, 1.0, KILL), Verdict.FAIL),
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
    names = ("paxos@vote-despite-promise", "paxos@promise-again")
    told = quorate_command("mutants", *names, "--seeds", "20", "--seed", "1", "--jobs", "2")
    assert told.code == 0, told.out
    lines = told.out.splitlines()
    assert lines[0].split()[:3] == ["mutant", "rule", "broken"]
    assert "clean" in next(line for line in lines if line.startswith("paxos "))
    killed = next(line for line in lines if line.startswith(names[0]))
    assert "PromiseKept" in killed
    assert "decisions" in killed
    assert "survives: breaks nothing" in next(line for line in lines if line.startswith(names[1]))
    assert "killed   1 of 2 mutants" in told.out


def test_a_survivor_turns_the_verdict(
    quorate_command: Quorate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(aims: list[Aim], *more: Any) -> list[Row]:
        return [try_mutant(aim, more[0], more[1], more[2]) for aim in aims]

    monkeypatch.setattr("quorate.cli.mutants.try_mutants", alone)
    told = quorate_command(
        "mutants", "paxos@adopt-any-vote", "--seeds", "2", "--seed", "1", "--json"
    )
    assert told.code == 1
    answer = told.json()
    assert answer["verdict"] == "fail"
    assert answer["rows"][1]["remark"] == "SURVIVES"
    assert answer["rows"][1]["runs"] == 2


def test_an_interrupt_keeps_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = []

    def progress(row: Row) -> None:
        rows.append(row)
        raise KeyboardInterrupt

    wanted = aims(["paxos@vote-despite-promise"])
    assert try_mutants(wanted, 1, 3, 60.0, 1, progress) == rows
    assert len(rows) == 1
    assert mutants.aims(["paxos"])[0] == wanted[0]
