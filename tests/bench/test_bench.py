"""The benchmark: what is chosen, what is printed, and that each row measures what it says."""

import json
import sys
from pathlib import Path

import pytest

from quorate.bench import linearizability
from quorate.bench.exploration import (
    QUICK,
    awake,
    managers,
    measure_millions,
    measure_oracles,
    measure_rates,
    measure_reductions,
    measure_states,
    measure_together,
    shipped_commit,
)
from quorate.bench.hasher import main as hash_runs
from quorate.bench.heartbeats import measure_heartbeats, simpy_callbacks, simulate
from quorate.bench.interpreters import Interpreter, this
from quorate.bench.judged_runs import measure_memory, measure_runs
from quorate.bench.key_value import key_value_history
from quorate.bench.linearizability import measure_histories
from quorate.bench.main import ROWS, main
from quorate.bench.mutants import measure_mutants
from quorate.bench.options import Options
from quorate.bench.replay import measure_replay
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.start import measure_start
from quorate.bench.timing import bare_loop, in_turns, output_of
from quorate.check import check_history, model_named, read_history
from quorate.errors import Mistake
from quorate.explore import exhaustive
from quorate.explore.catalogue import Aim


def fake(name: str, **parts: object) -> Row:
    return Row(name=name, **parts)  # type: ignore[arg-type]


# Choosing and printing


def test_only_the_named_rows_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def measure(name: str, options: Options) -> Row:
        ran.append((name, options.quick, options.seed))
        return fake(name)

    monkeypatch.setattr("quorate.bench.main._measure", measure)
    assert main(["start", "memory", "start", "--quick", "--seed", "7"]) == 0
    assert ran == [("start", True, 7), ("memory", True, 7)]
    ran.clear()
    assert main(["--json"]) == 0
    assert [name for name, _, _ in ran] == list(ROWS)
    assert '"command":"bench"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["simulat"], "did you mean simulate"),
        (["xyzzy"], "there are simulate, heartbeats"),
        (["--sed", "1"], "--sed"),
        (["--seed", "one"], "whole number"),
        (["--histories", "no-such-folder"], "no-such-folder"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], text: str) -> None:
    with pytest.raises(Mistake, match=text):
        main(arguments)


def test_json_has_figures_and_verdicts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = samples("s", [1.0, 3.0, 2.0]), samples("s", [2.0, 2.0, 2.0])
    goal = Goal("at most 1.5", 2.0, 1.5, at_least=False)
    measure = Measure(what="it", ours=ours, peer="them", theirs=theirs, goals=(goal,))
    row = fake("start", measures=(measure,), wrong=("a hash",))
    monkeypatch.setattr("quorate.bench.main._measure", lambda name, options: row)
    assert main(["start", "--json"]) == 1  # Something is wrong, whatever the speed.
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"command", "quick", "seed", "machine", "rows"}
    (found,) = answer["rows"][0]["measures"]
    assert found["ours"] == {"unit": "s", "median": 2.0, "min": 1.0, "max": 3.0, "rounds": 3}
    assert found["ratio"] == 1.0
    assert found["goals"] == [{"goal": "at most 1.5", "met": False, "verdict": "missed by 33.3 %"}]


def test_text_tells_median_spread_ratio_and_goal() -> None:
    ours, theirs = samples("runs/s", [40.0, 60.0, 50.0]), samples("runs/s", [20.0, 20.0, 20.0])
    goal = Goal("at least 100", 50.0, 100.0)
    measure = Measure(what="runs", ours=ours, peer="them", theirs=theirs, goals=(goal,))
    text = "\n".join(fake("simulate", measures=(measure,)).lines())
    assert "50 runs/s (40 to 60)" in text
    assert "20 runs/s (20 to 20); ratio 2.5" in text
    assert "goal: at least 100: missed by 50 %" in text
    assert fake("start", skipped="no reason").lines() == ["start: skipped: no reason"]


def test_turns_alternate() -> None:
    order = []
    taken = in_turns(2, lambda: order.append("a") or 1.0, lambda: order.append("b") or 2.0)
    assert order == ["a", "b", "a", "b"]
    assert taken == [(1.0, 1.0), (2.0, 2.0)]
    assert bare_loop(1000) > 0


def test_a_command_that_fails_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="exit code 3"):
        output_of([sys.executable, "-c", "import sys; sys.exit(3)"])
    with pytest.raises(Mistake, match="cannot run"):
        output_of(["no-such-command-here"])
    with pytest.raises(TimeoutError):
        output_of([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)


# The rows, each with next to nothing to do


def test_simulate() -> None:
    row = measure_runs(range(2), rounds=2, loop_events=1000)
    steps, runs, *_ = row.measures
    assert len(steps.ours.values) == len(runs.ours.values) == 2
    assert steps.theirs is not None
    assert not row.wrong
    assert row.measures[2].ours.median > 1000  # steps in a run


def test_memory() -> None:
    row = measure_memory(10, first=0)
    assert row.skipped or len(row.measures[0].ours.values) == 10


def test_heartbeats() -> None:
    assert simulate(3) == 60
    pytest.importorskip("simpy")
    assert simpy_callbacks(3) == 60
    row = measure_heartbeats(5, rounds=2)
    assert [m.peer.split(",")[0] for m in row.measures] == ["SimPy", "SimPy"]
    assert not row.wrong


def test_mutants() -> None:
    row = measure_mutants([Aim("paxos@ignore-earlier-votes")], first=0)
    times, decisions, _ = row.measures
    assert len(times.ours.values) == 1
    assert times.goals[0].is_met  # found
    assert decisions.ours.median >= 1


def test_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    row = measure_replay(3, 5, [Interpreter("3.99", absent="no python3.99 was found")])
    assert row.measures[0].goals[0].is_met
    assert not row.wrong
    assert "no python3.99 was found" in row.notes


def test_replay_notices_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: one altered hash, of one seed, in one of the ways."""
    hashes = {5: ["a", "a"], 6: ["b", "b"], 7: ["c", "d"]}

    def fake_hashes(variant: object, first: int, count: int) -> dict[int, list[str]]:
        tapes = getattr(variant, "tapes", False)
        return {seed: row if tapes else row[:1] for seed, row in hashes.items()}

    monkeypatch.setattr("quorate.bench.replay._hashes", fake_hashes)
    row = measure_replay(3, 5, [this()])
    assert not row.measures[0].goals[0].is_met
    assert len(row.wrong) == 1
    assert "seed 7" in row.wrong[0]


def test_hasher_prints_a_line_for_each_seed(capsys: pytest.CaptureFixture[str]) -> None:
    hash_runs("paxos", 3, 2, tapes=True)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["3", "4"]
    assert all(row[1] == row[2] for row in rows)
    assert rows[0][1] != rows[1][1]


def test_start() -> None:
    assert len(measure_start(1).measures[0].goals) == 2


def test_explore_counts_what_is_published() -> None:
    row = measure_oracles([QUICK[0]])
    assert not row.wrong
    assert row.measures[0].what.endswith("16,668 states")
    other = measure_oracles([QUICK[1]._replace(states=10_208)])
    assert other.wrong == ("TLA+ Lamport mutex to 3: pass with 10,209 states, not 10,208",)


def test_explore_takes_classes_as_they_are_shipped() -> None:
    row = measure_rates(("paxos", "chandy-lamport"), 500)
    assert [m.what for m in row.measures][:1] == ["paxos as shipped, on one core"]
    assert row.measures[0].goals[0].text == "at least 500 k transitions/s"
    assert any("handlers ran" in note for note in row.notes)


def test_explore_counts_with_and_without_reductions() -> None:
    row = measure_reductions([managers(3), managers(4, beside=False, seconds=60.0)])
    assert not row.wrong
    assert [m.ours.median for m in row.measures] == [80, 166]
    assert row.measures[0].theirs is not None
    assert row.measures[0].theirs.median == 288
    assert row.measures[1].theirs is None


def test_explore_counts_transitions_where_all_states_are_visited() -> None:
    row = measure_reductions([awake(3)])
    assert not row.wrong
    (measure,) = row.measures
    assert measure.theirs is not None
    assert measure.ours.unit == measure.theirs.unit == "transitions"
    assert measure.ours.median < measure.theirs.median


def test_explore_sets_two_processes_beside_two_searches() -> None:
    (measure,) = measure_together("paxos", 500, 1).measures
    assert measure.ratio == measure.goals[0].found > 0
    assert measure.goals[0].bound == 0.8


def test_explore_takes_commitment_as_it_is_shipped() -> None:
    assert exhaustive.explore(shipped_commit(2)).progress.states == 549


def test_explore_tells_what_a_state_takes() -> None:
    row = measure_states(3000)
    if row.measures:
        state, rest = row.measures
        assert state.goals[0].bound == 120
        assert rest.ours.median != state.ours.median


def test_explore_to_the_end() -> None:
    row = measure_millions(4)
    assert not row.wrong
    assert row.measures[0].what == "1,568 states on one core"


# Histories


@pytest.mark.parametrize("clients", [10, 50])
@pytest.mark.parametrize("seed", range(4))
def test_made_up_histories_have_their_verdicts(tmp_path: Path, clients: int, seed: int) -> None:
    for linearizable, verdict in ((True, "pass"), (False, "fail")):
        text = key_value_history(clients, 300, seed, linearizable=linearizable)
        path = tmp_path / "history.txt"
        path.write_text(text)
        history = read_history(path)
        assert check_history(history, model_named("kv"), explained=False).verdict.value == verdict
        assert len(history.operations) == 300
        assert len({op.process for op in history.operations}) == clients


def recorded(folder: Path) -> Path:
    (folder / "etcd").mkdir()
    (folder / "kv").mkdir()
    data = Path(__file__).parents[1] / "check" / "data"
    (folder / "etcd" / "a.log").write_bytes((data / "register-ok.log").read_bytes())
    (folder / "etcd" / "b.log").write_bytes((data / "register-bad.log").read_bytes())
    (folder / "etcd" / "verdicts.txt").write_text("a.log pass\nb.log fail\n")
    (folder / "kv" / "c10-ok.txt").write_bytes((data / "store-ok.txt").read_bytes())
    return folder


def test_histories_beside_another_checker(tmp_path: Path) -> None:
    options = Options(
        quick=True, histories=recorded(tmp_path), porcupine=tuple(linearizability.OURS)
    )
    row = measure_histories(options, 1, [(10, 200, "kv")])
    assert not row.wrong
    assert [m.peer for m in row.measures] == ["Porcupine"] * 5
    assert "2 recorded etcd histories" in row.measures[0].what


def test_a_wrong_verdict_is_told(tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    (folder / "etcd" / "verdicts.txt").write_text("a.log fail\nb.log fail\n")
    row = measure_histories(Options(quick=True, histories=folder), 1, [])
    assert row.wrong == ("a.log: pass, not fail",)
    assert any("Porcupine was not there" in note for note in row.notes)


def test_a_folder_without_histories_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"verdicts\.txt"):
        measure_histories(Options(histories=tmp_path), 1, [])


def test_a_checker_that_does_not_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linearizability, "QUICK_PATIENCE", 2.0)
    endless = (sys.executable, "-c", "import time; time.sleep(60)")
    row = measure_histories(Options(quick=True, porcupine=endless), 1, [(2, 8, "kv")])
    assert all("stopped after 2 s" in measure.peer for measure in row.measures)
    assert all(m.theirs is not None and m.theirs.median == 2.0 for m in row.measures)
