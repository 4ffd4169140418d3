"""Find, shrink, see, edit, replay: a protocol of one's own, as a new user takes it through."""

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from quorate.check import read_history
from quorate.cli import hunt as hunt_command
from quorate.explore.hunt import Tally, hunt
from quorate.trace import read_trace
from tests.cli.conftest import LOCK, Quorate

HUNT = ("hunt", LOCK, "--jobs", "1", "--seed", "100")


def test_hunting_ones_own_protocol_ends_with_a_schedule_that_replays(
    quorate_command: Quorate, tmp_path: Path
) -> None:
    told = quorate_command(*HUNT, "--html", "failure.html")
    assert told.code == 1
    assert "executing " in told.err
    order = [
        "violates one_holder: At most one node holds the lock.",
        "decision",
        "quorate schedule 1",
        "step ",
        "This violates one_holder",
        "replay   quorate replay lock-Lock-one_holder-",
        "page     failure.html",
        "verdict  fail",
        "bound ",
    ]
    places = [told.out.index(words) for words in order]
    assert places == sorted(places)
    assert "<html" in (tmp_path / "failure.html").read_text("utf-8")
    [path] = tmp_path.glob("*.schedule")
    replayed = quorate_command("replay", path.name)
    assert replayed.code == 1
    assert "it still violates one_holder" in replayed.out


LOST = f"quorate schedule 1\nscenario {LOCK}\nviolates one_holder\nlose n2->n1 Ask #0\n"


def test_editing_a_schedule_by_hand(quorate_command: Quorate, tmp_path: Path) -> None:
    path = tmp_path / "my.schedule"
    path.write_text(LOST)
    assert quorate_command("replay", path).code == 1
    path.write_text(LOST.replace("lose n2->n1 Ask #0", "deliver n2->n1 Ask #0 after 39ms"))
    assert quorate_command("replay", path).code == 1
    path.write_text(LOST.replace("lose n2->n1 Ask #0", "deliver n2->n1 Ask #0 after 30ms"))
    told = quorate_command("replay", path)
    assert told.code == 0
    assert "it no longer violates one_holder" in told.out
    path.write_text(LOST.replace("lose", "loose"))
    assert (
        "my.schedule:4: no decision begins with 'loose'"
        in quorate_command("replay", path).mistake()
    )
    path.write_text(LOST.replace("Ask #0", "Aks #0"))
    told = quorate_command("replay", path)
    assert told.code == 2
    assert "The run parted from the schedule" in told.out
    assert "the nearest that did is deliver n2→n1 Ask" in told.out


def test_a_replay_writes_what_it_is_asked_for(quorate_command: Quorate, tmp_path: Path) -> None:
    (tmp_path / "my.schedule").write_text(LOST)
    files = ("--html", "a/f.html", "--trace", "f.jsonl", "--shiviz", "f.log")
    told = quorate_command(
        "replay", "my.schedule", "--json", *files, "--export-ordered", "o.schedule"
    )
    answer = told.json()
    assert answer["is_same_failure"] is True
    assert answer["failure"]["property"] == "one_holder"
    assert set(answer["files"]) == {"page", "trace", "shiviz", "ordered"}
    assert read_trace("f.jsonl").header.violation is not None
    assert "in this order:" in (tmp_path / "o.schedule").read_text("utf-8")
    again = quorate_command("replay", "o.schedule", "--json").json()
    assert again["is_same_failure"] is True
    assert again["partings"] == []


@pytest.mark.parametrize("event", ["@{id}", "deliver n2->n1 Ask #0"])
def test_the_debugger_stops_inside_the_handler(tmp_path: Path, event: str) -> None:
    path = tmp_path / "my.schedule"
    path.write_text(LOST.replace("lose n2->n1 Ask #0", "lose n1->n2 Objection #0"))
    program = [sys.executable, "-m", "quorate.cli.main", "replay", str(path)]
    trace = tmp_path / "f.jsonl"
    subprocess.run([*program, "--trace", str(trace)], capture_output=True, check=False)
    step = next(s for s in read_trace(trace).steps if s.label == "deliver n2→n1 Ask #0")
    words = [*program, "--pdb", event.format(id=step.id)]
    commands = "p ('here', self.id, msg, self.holds)\nq\n"
    told = subprocess.run(words, input=commands, capture_output=True, text=True, check=False)
    assert told.returncode == 1, told.stderr
    assert "('here', n1, Ask(), True)" in told.stdout
    assert "if self.holds and env.sender != self.id" in told.stdout
    assert "it still violates one_holder" in told.stdout


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        ("@9999", "there is no event @9999"),
        ("deliver n2->n9 Ask #0", "never came up"),
        ("whatever", "expected a label"),
        ("start n1 #4", "never came up"),
    ],
)
def test_a_place_to_stop_that_there_is_not(
    quorate_command: Quorate, tmp_path: Path, event: str, hint: str
) -> None:
    (tmp_path / "my.schedule").write_text(LOST)
    assert hint in quorate_command("replay", "my.schedule", "--pdb", event).mistake()


def test_one_run_judged(quorate_command: Quorate, tmp_path: Path) -> None:
    files = ("--html", "r.html", "--trace", "r.jsonl", "--shiviz", "r.log", "--history", "h.jsonl")
    told = quorate_command("run", "paxos", "--seed", "3", "--json", *files)
    answer = told.json()
    assert told.code == 0
    assert (answer["verdict"], answer["seed"]) == ("pass", 3)
    assert answer["counters"]["operations ok"] > 0
    assert read_trace("r.jsonl").header.counters == answer["counters"]
    assert read_history("h.jsonl").operations
    judged = quorate_command("check", "h.jsonl", "--model", "consensus")
    assert judged.code == 0
    shown = quorate_command("run", "paxos", "--seed", "3")
    assert "bound    one run of seed 3" in shown.out
    assert "again    quorate run paxos --seed 3" in shown.out


def test_a_failing_run_tells_its_story(quorate_command: Quorate) -> None:
    failing = quorate_command(*HUNT, "--json").json()["failures"][0]["seed"]
    told = quorate_command("run", LOCK, "--seed", failing)
    assert told.code == 1
    assert "  1. " in told.out
    assert f"again    quorate run {LOCK} --seed {failing}" in told.out
    assert f"shrink   quorate hunt {LOCK} --seed {failing} --seeds 1" in told.out


def test_a_run_prints_its_fresh_seed(quorate_command: Quorate) -> None:
    first = quorate_command("run", "paxos", "--json", "--faults", "none").json()
    again = quorate_command("run", "paxos", "--json", "--faults", "none", "--seed", first["seed"])
    assert again.json() == first


def test_a_hunt_that_finds_nothing_states_its_bound(quorate_command: Quorate) -> None:
    told = quorate_command("hunt", "paxos", "--seeds", "6", "--seed", "40", "--jobs", "1",
                           "--faults", "none")  # fmt: skip
    assert "bound    6 runs, seeds 40 to 45" in told.out
    assert "again    quorate hunt paxos --seed 40 --seeds 6 --faults none" in told.out


def test_faults_that_were_not_reached_make_a_hunt_unknown(quorate_command: Quorate) -> None:
    told = quorate_command("hunt", "paxos", "--seeds", "1", "--seed", "40", "--jobs", "1")
    assert told.code == 2
    assert "verdict  unknown" in told.out
    assert "unknown  " in told.out


def test_a_mutant_has_two_spellings(quorate_command: Quorate) -> None:
    more = ("--seeds", "20", "--seed", "5", "--jobs", "1", "--json")
    first = quorate_command("hunt", "paxos@promise-quorum-of-one", *more).json()
    second = quorate_command("hunt", "paxos", "--mutant", "promise-quorum-of-one", *more).json()
    for answer in (first, second):
        answer.pop("seconds")
        for failure in answer["failures"]:
            failure.pop("shrink_seconds")
    assert first == second
    assert first["verdict"] == "fail"


def test_keep_going_shrinks_one_failure_of_each_property(
    quorate_command: Quorate, tmp_path: Path
) -> None:
    told = quorate_command(*HUNT, "--seeds", "30", "--keep-going", "--json", "--out", "found")
    answer = told.json()
    assert answer["runs"] == 30
    assert answer["failing_runs"] > 1
    assert [failure["property"] for failure in answer["failures"]] == ["one_holder"]
    assert len(list((tmp_path / "found").glob("*.schedule"))) == 1


def test_an_interrupted_hunt_is_gone_on_with(
    quorate_command: Quorate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(tally: Tally, **options: object) -> Tally:
        hunt(tally, seeds=8, jobs=1)
        tally.interrupted = True
        return tally

    plain = ("hunt", "paxos", "--faults", "none", "--jobs", "1", "--seed", "7", "--seeds")
    whole = quorate_command(*plain, "20", "--json").json()
    with monkeypatch.context() as patch:
        patch.setattr(hunt_command, "hunt", interrupted)
        told = quorate_command(*plain, "20")
    assert told.code == 2
    assert "unknown  interrupted after 8 runs" in told.out
    line = next(line for line in told.out.splitlines() if line.startswith("go on    quorate"))
    words = line.removeprefix("go on    quorate ").split()
    assert words[:3] == ["hunt", "--resume", "paxos-hunt-7.hunt"]
    again = quorate_command(*words, "--jobs", "1", "--json").json()
    assert (again["runs"], again["counters"]) == (20, whole["counters"])
    assert "is about paxos, not raft" in quorate_command("hunt", "raft", *words[1:]).mistake()
    state = json.loads((tmp_path / "paxos-hunt-7.hunt").read_text())
    for text in ("", "[]", json.dumps({**state, "version": 9}), json.dumps({"quorate": "hunt"})):
        (tmp_path / "bad.hunt").write_text(text)
        told = quorate_command("hunt", "--resume", "bad.hunt")
        assert "bad.hunt: not the state of a hunt" in told.mistake()


def test_ctrl_c_keeps_results_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["hunt", "paxos", "--minutes", "9", "--seed", "7", "--jobs", "2"]
    program = [sys.executable, "-m", "quorate.cli.main", *words]
    hunter = subprocess.Popen(
        program,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert hunter.stderr is not None
    assert "hunting paxos from seed 7" in hunter.stderr.readline()
    os.killpg(hunter.pid, signal.SIGINT)  # As a terminal does: the workers hear it too.
    out, err = hunter.communicate()
    assert hunter.returncode == 2, err
    assert "interrupted" in out + err
    assert "Traceback" not in err


def test_names_of_schedules_are_names_of_files() -> None:
    failure = hunt_command.Failure(7, "one holder/x", "")
    for name in ("raft@votes-twice", "./a b/my.py:Node", "x.py"):
        path = Path(hunt_command.schedule_name(name, failure))
        assert path.name == str(path)
        assert " " not in path.name
        assert path.suffix == ".schedule"


def test_a_file_that_cannot_be_written(quorate_command: Quorate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = quorate_command("run", "paxos", "--seed", "1", "--html", "file/x.html")
    assert "cannot write file/x.html" in told.mistake()
    assert not list(tmp_path.glob("**/.x*"))


def test_a_device_is_written_to_and_not_replaced(quorate_command: Quorate) -> None:
    told = quorate_command(
        "run", "paxos", "--seed", "1", "--html", os.devnull, "--trace", os.devnull
    )
    assert told.code == 0
    assert not Path(os.devnull).is_file()


def test_a_link_is_followed(quorate_command: Quorate, tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    assert quorate_command("run", "paxos", "--seed", "1", "--html", "link.html").code == 0
    assert (tmp_path / "link.html").is_symlink()
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")


def test_a_worker_that_dies_loses_nothing_else(quorate_command: Quorate, tmp_path: Path) -> None:
    source = Path(LOCK.rpartition(":")[0]).read_text("utf-8")
    deadly = "\n\n@always\ndef dies(nodes):\n    __import__('os')._exit(1)\n"
    (tmp_path / "deadly.py").write_text(source + deadly)
    told = quorate_command("hunt", "./deadly.py:Lock", "--jobs", "2")
    assert "a worker process died after 0 runs" in told.mistake()


def test_options_of_the_demo_reach_the_hunts(monkeypatch: pytest.MonkeyPatch) -> None:
    from quorate.cli import demo

    seen: list[tuple[str, float]] = []

    def campaign(screen: object, tally: Tally, options: Namespace) -> None:
        seen.append((tally.aim.name, options.minutes))

    monkeypatch.setattr(demo, "run_campaign", campaign)
    code = demo.main(Namespace(json=True, mutant="votes-twice", seconds=3.0, out="out"))
    assert code == 1  # Nothing was found, so nothing was shown.
    assert seen == [("raft@votes-twice", demo.LIMIT_MINUTES), ("raft", 0.05)]
