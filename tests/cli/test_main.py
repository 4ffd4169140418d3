"""What holds for every command: quick help, one line for every mistake, quiet ends."""

import os
import subprocess
import sys
from argparse import Namespace

import pytest

from quorate.cli import catalogue
from quorate.cli.arguments import COMMANDS
from tests.cli.conftest import Quorate

MAIN = "import sys; from quorate.cli.main import main; code = main(sys.argv[1:]); "
HEAVY = {"msgspec", "rich", "quorate.kernel", "quorate.explore", "immutables", "multiprocessing"}


@pytest.mark.parametrize("words", [["--help"], ["hunt", "--help"], ["--version"], ["hnt"]])
def test_help_and_mistakes_import_next_to_nothing(words: list[str]) -> None:
    program = f"{MAIN} print(*sys.modules, file=sys.stderr)"
    run = [sys.executable, "-c", program, *words]
    told = subprocess.run(run, capture_output=True, text=True, check=True)
    modules = set(told.stderr.splitlines()[-1].split())
    assert "quorate.cli.arguments" in modules
    assert not HEAVY & modules


def test_help_names_every_command(quorate_command: Quorate) -> None:
    told = quorate_command("--help")
    assert told.code == 0
    assert all(f"    {name} " in told.out for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_every_command_has_help_and_takes_json(quorate_command: Quorate, name: str) -> None:
    told = quorate_command(name, "--help")
    assert told.code == 0
    assert "--json" in told.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("", "which command? There are list, run"),
        ("hnt", "no command is called 'hnt'; did you mean hunt?"),
        ("xyz", "there are list, run, hunt"),
        ("hunt raft --sedds 4", "hunt has no option --sedds; did you mean --seeds"),
        ("hunt raft --seeds=x", "--seeds: expected a whole number"),
        ("hunt raft --seeds 0", "--seeds: expected at least 1"),
        ("hunt raft --minutes -1", "--minutes: expected a number above 0"),
        ("hunt raft --seeds 1 --minutes 1", "not allowed with"),
        ("run raft --seed 1e3", "--seed: expected a whole number"),
        ("run raft --seed " + "9" * 99, "--seed: expected a whole number below"),
        ("run", "the following arguments are required: NAME"),
        ("run raft extra", "run takes no further 'extra'"),
        ("run rafd", "the catalogue has no 'rafd'; did you mean raft"),
        ("run raft@vote-not-durble", "did you mean vote-not-durable"),
        ("run raft --mutant vote-not-durble", "did you mean vote-not-durable"),
        ("run raft@votes-twice --mutant no-pre-vote", "names a mutant already"),
        ("run raft --faults los", "no fault is called 'los'; did you mean loss"),
        ("run raft --configuration plane", "did you mean plain?"),
        ("run nowhere.py:Node", "nowhere.py: there is no such file"),
        ("hunt", "hunt what?"),
        ("hunt --resume nothing.hunt", "No such file"),
        ("replay nothing.schedule", "No such file"),
        ("check nothing.edn --model kv", "cannot read nothing.edn"),
        ("check nothing.edn", "required: --model"),
        ("check nothing.edn --model registr", "did you mean 'register'?"),
        ("mutants rafd", "did you mean raft"),
        ("run raft@", "raft has no mutant ''"),
        ("run raft --nodes 101", "101 servers are too many"),
        ("run raft --faults all,crash", "'all' stands for itself"),
        ("hunt raft --jobs 99999", "--jobs: expected at most"),
        ("hunt raft --out /dev/null/x", "cannot write /dev/null/x: Not a directory"),
        ("run raft --html .", "cannot write .: Is a directory"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_nearest(
    quorate_command: Quorate, words: str, hint: str
) -> None:
    told = quorate_command(*words.split())
    assert hint in told.mistake()
    assert not told.out


def test_an_error_of_ours_is_one_line_too(
    quorate_command: Quorate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(options: Namespace) -> int:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(catalogue, "main", fail)
    assert "internal error: ZeroDivisionError: two lines" in quorate_command("list").mistake()
    monkeypatch.setenv("QUORATE_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        quorate_command("list")


def test_an_interrupt_is_no_traceback(
    quorate_command: Quorate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(options: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "main", interrupt)
    told = quorate_command("list")
    assert (told.code, told.err) == (2, "interrupted: there is no result yet\n")


def test_a_reader_that_leaves_early_hears_no_complaint() -> None:
    program = f"{MAIN} sys.exit(code)"
    writer = subprocess.Popen(
        [sys.executable, "-c", program, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait() == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_an_output_that_is_full_is_told_in_one_line() -> None:
    program = f"{MAIN} sys.exit(code)"
    with open("/dev/full", "wb") as full:
        run = [sys.executable, "-c", program, "list"]
        told = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode == 3
    assert told.stderr == "quorate: cannot write the output: No space left on device\n"


def test_an_output_that_is_closed_harms_nothing() -> None:
    program = f"import sys; sys.stdout = None; {MAIN} sys.exit(code)"
    run = [sys.executable, "-c", program, "list"]
    told = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


def test_an_output_that_knows_no_arrows_still_works() -> None:
    program = f"{MAIN} sys.exit(code)"
    run = [sys.executable, "-c", program, "run", "paxos@promise-quorum-of-one", "--seed", "8"]
    told = subprocess.run(
        run, capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii", "PATH": ""}
    )
    assert told.returncode in (0, 1)
    assert told.stdout.isascii()
    assert not told.stderr


def test_the_list_is_the_catalogue(quorate_command: Quorate) -> None:
    told = quorate_command("list", "--json")
    names = [entry["name"] for entry in told.json()["protocols"]]
    assert {"abd", "paxos", "raft"} <= set(names)
    for entry in told.json()["protocols"]:
        assert entry["paper"]
        assert entry["idea"]
        assert entry["properties"]
        assert entry["mutants"]
    shown = quorate_command("list")
    assert shown.code == 0
    assert "vote-not-durable" in shown.out
