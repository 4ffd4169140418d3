"""Foreign histories: verdicts, explanations, and one line for what is none."""

from pathlib import Path

import pytest

from quorate.trace import read_trace
from tests.cli.conftest import Quorate

OK = """\
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1}
"""
STALE = OK.replace(":f :read, :value 1", ":f :read, :value 7")


def check(quorate_command: Quorate, text: str, *more: str) -> tuple[int, str, str]:
    Path("h.edn").write_text(text)
    return quorate_command("check", "h.edn", "--model", "register", *more)


def test_a_history_that_passes(quorate_command: Quorate) -> None:
    code, out, _ = check(quorate_command, OK)
    assert code == 0
    assert "verdict  pass" in out
    assert "bound    2 operations" in out


def test_a_history_that_fails_is_explained_and_drawn(quorate_command: Quorate) -> None:
    code, out, _ = check(quorate_command, STALE, "--html", "h.html")
    assert code == 1
    assert "returned 7" in out
    assert "✗" in out
    page = Path("h.html").read_text("utf-8")
    assert "not linearizable" in page or "returned 7" in page


def test_json_is_one_object(quorate_command: Quorate) -> None:
    Path("h.edn").write_text(STALE)
    told = quorate_command("check", "h.edn", "--model", "register", "--json", "--no-split")
    answer = told.json()
    assert (answer["verdict"], answer["operations"]) == ("fail", 2)
    assert "returned 7" in answer["explanation"]


@pytest.mark.parametrize("text", ["", OK.replace(":ok", ":fail")])
def test_nothing_to_judge_is_unknown(quorate_command: Quorate, text: str) -> None:
    code, out, _ = check(quorate_command, text)
    assert code == 2
    assert "no operation completed" in out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (OK[:-20], 4),
        (OK.replace("{:process 0, :type :invoke, :f :write, :value 1}\n", ""), 1),
        (
            OK.replace(":process 1", ":process 0").replace(
                ":type :ok, :f :write", ":type :invoke, :f :write"
            ),
            2,
        ),
    ],
)
def test_a_malformed_history_is_one_line(quorate_command: Quorate, text: str, line: int) -> None:
    Path("h.edn").write_text(text)
    told = quorate_command("check", "h.edn", "--model", "register")
    assert f"h.edn:{line}: " in told.mistake()


def test_an_unknown_format(quorate_command: Quorate) -> None:
    Path("h.edn").write_text(OK)
    told = quorate_command("check", "h.edn", "--model", "register", "--format", "xml")
    assert "no format is named 'xml'" in told.mistake()


def test_a_trace_of_ones_own_is_no_history(quorate_command: Quorate) -> None:
    quorate_command("run", "paxos", "--seed", "1", "--trace", "r.jsonl")
    assert read_trace("r.jsonl").steps
    told = quorate_command("check", "r.jsonl", "--model", "consensus")
    assert "r.jsonl:1: " in told.mistake()
