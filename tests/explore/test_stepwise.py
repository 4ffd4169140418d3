"""A simulated run on real processes, event for event; and the places where they would part."""

from pathlib import Path

import msgspec
import pytest

from quorate.cli.main import main
from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.explore.replay import Replayed, replay
from quorate.explore.stepwise import play_live
from quorate.scenario.schedule import Schedule, parse_schedule
from quorate.scenario.tape import Tape

FORGOTTEN_VOTE = """quorate schedule 1
scenario raft@vote-not-durable
configuration default
violates one_vote_per_term

fire n1 ElectionTimeout #0 after 227.084791ms
after deliver n1→n2 Vote #1: crash n5
after deliver n1→n2 Vote #1: restart n5
"""


def test_a_shrunk_schedule_breaks_the_live_cluster_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "vote.schedule"
    path.write_text(FORGOTTEN_VOTE, "utf-8")
    assert main(["replay", str(path), "--on", "live", "--step"]) == 1
    told = capsys.readouterr().out
    assert "5 processes took the same 39 steps" in told
    assert "the live cluster violates one_vote_per_term, too" in told


def test_another_class_than_the_simulated_one_parts_where_it_differs(tmp_path: Path) -> None:
    replayed = replay(parse_schedule(FORGOTTEN_VOTE, "x"))
    real = msgspec.structs.replace(replayed.schedule, scenario="raft")
    run = play_live(Replayed(real, replayed.outcome, []), tmp_path / "stage")
    assert "start n5.2" in run.parted
    assert "voted_for differ" in run.parted


def test_a_message_that_was_never_sent_parts_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.explore.stepwise.PATIENCE_SECONDS", 0.2)
    replayed = replay(parse_schedule(FORGOTTEN_VOTE, "x"))
    first = next(record for record in replayed.outcome.world.records if record.kind == "deliver")
    assert first.flight is not None
    first.flight.message = msgspec.structs.replace(first.flight.message, term=77)
    run = play_live(replayed, tmp_path / "stage")
    assert "never sent that message" in run.parted or "has not arrived" in run.parted


@pytest.mark.parametrize(
    ("name", "seed", "configuration"), [("paxos", 3, ""), ("abd", 5, ""), ("raft", 20, "small")]
)
def test_a_run_with_all_faults_is_the_same_on_processes_that_are_killed_and_stopped(
    name: str, seed: int, configuration: str, tmp_path: Path
) -> None:
    scenario = load(Aim(name, nodes=3, configuration=configuration))
    short = msgspec.structs.replace(scenario, duration=1_500_000_000, heal=1_200_000_000)
    outcome = judge(short, Tape(seed))
    schedule = Schedule(scenario=name, nodes=3)
    run = play_live(Replayed(schedule, outcome, []), tmp_path / "stage")
    assert run.parted == ""
    assert run.steps > 100
    assert run.events == len(outcome.world.records)
