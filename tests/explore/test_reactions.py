"""A schedule's faults on a live cluster that runs by its own clock."""

from pathlib import Path

import pytest

from quorate.cli.main import main
from quorate.cli.systems import system_of
from quorate.explore.reactions import react, script_of
from quorate.explore.replay import replay
from quorate.scenario.schedule import parse_schedule

FORGOTTEN_VOTE = """quorate schedule 1
scenario raft@vote-not-durable
configuration default
violates one_vote_per_term

fire n1 ElectionTimeout #0 after 227.084791ms
after deliver n1→n2 Vote #1: crash n5
after deliver n1→n2 Vote #1: restart n5
"""


def test_the_faults_strike_where_they_are_anchored_and_break_the_mutant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "vote.schedule"
    path.write_text(FORGOTTEN_VOTE, "utf-8")
    assert main(["replay", str(path), "--on", "live"]) == 1
    told = capsys.readouterr().out
    assert "2 of 2 faults struck" in told
    assert "one_vote_per_term: A server votes for at most one candidate" in told


def test_the_real_thing_stands_the_same_faults(tmp_path: Path) -> None:
    real = FORGOTTEN_VOTE.replace("raft@vote-not-durable", "raft")
    run = react(replay(parse_schedule(real, "x")), system_of("raft"), tmp_path / "stage")
    assert (run.struck, run.planned, run.unplayed) == (2, 2, 0)
    assert (run.violation, run.parted) == (None, "")
    assert run.steps > 50


def test_a_fault_after_an_event_that_does_not_come_is_missed_and_said(tmp_path: Path) -> None:
    schedule = parse_schedule(FORGOTTEN_VOTE, "x")
    replayed = replay(schedule)
    tape = replayed.outcome.world.tape
    faults = tape.faults()
    (label,) = faults
    tape.anchor(("deliver n4→n5 Vote", 7), faults[label][0])
    run = react(replayed, system_of("raft@vote-not-durable"), tmp_path / "stage")
    assert run.planned == 3
    assert run.struck == 2


def test_a_script_has_the_timers_as_they_were_and_the_stops_of_its_own_node() -> None:
    world = replay(parse_schedule(FORGOTTEN_VOTE, "x")).outcome.world
    script = script_of(world, "n2")
    assert script.stops == ["deliver n1→n2 Vote #1"]
    assert script.timers["n2 ElectionTimeout"][0] == 180_000_000
    # It was set anew before it could fire: so it must not fire here either.
    assert script_of(world, "n1").timers["n1 ElectionTimeout"][0] == 300_000_000
    assert script_of(world, "n5").stops == []
    assert "n5.2 ElectionTimeout" in script_of(world, "n5").timers
