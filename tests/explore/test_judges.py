"""Sabotage: take something from a judge, and its verdict must turn."""

import threading

import msgspec
import pytest

from quorate.cli.main import main
from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.hunt import Tally, try_seeds
from quorate.explore.outcome import LINEARIZABILITY, PROGRESS, Outcome, judge, judge_world
from quorate.scenario.fault import Crash, Fault
from quorate.scenario.tape import Tape
from quorate.simulate import watchdog
from quorate.simulate.faults import Faults
from quorate.verdict import Verdict
from tests.explore.protocols import LOCK_NAME, Write, clock

CALM = Aim("abd", faults=("delay",))


def _passing() -> Outcome:
    outcome = judge(load(CALM), Tape(5))
    assert outcome.verdict is Verdict.PASS
    return outcome


def test_a_write_dropped_from_the_history_turns_the_verdict() -> None:
    world = _passing().world
    kept = list(world.clients.operations)
    turned = 0
    for index in range(len(kept)):
        world.clients.operations = kept[:index] + kept[index + 1 :]
        outcome = judge_world(world)
        turned += outcome.verdict is Verdict.FAIL
        if outcome.violation:
            assert outcome.violation.property == LINEARIZABILITY
    assert turned, "no dropped operation was missed"
    world.clients.operations = kept
    assert judge_world(world).verdict is Verdict.PASS


def test_a_history_without_operations_decides_nothing() -> None:
    silent = msgspec.structs.replace(load(CALM), clients=0)
    outcome = judge(silent, Tape(5))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.reason == "no client asked for anything"


def test_a_silenced_fault_makes_the_campaign_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> list[str]:
        tally = try_seeds(Aim("paxos"), 0, 25, True)
        return [line for line in tally.shortfalls() if line.startswith("crashes that lost")]

    assert not missing()
    strike = Faults.strike

    def but_no_crash(self: Faults, fault: Fault, cause: int) -> bool:
        return not isinstance(fault, Crash) and strike(self, fault, cause)

    monkeypatch.setattr(Faults, "strike", but_no_crash)
    assert missing() == ["crashes that lost steps: 0.0 in 100 runs, at least 20 are needed"]


def test_a_silenced_property_lets_the_failure_pass() -> None:
    """So it is the property that notices, and nothing else."""
    scenario = load(Aim(LOCK_NAME))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = next(outcome for outcome in outcomes if outcome.violation)
    seed = failed.world.tape.seed
    others = tuple(p for p in scenario.properties or () if p.name != "one_holder")
    deaf = msgspec.structs.replace(scenario, properties=others)
    assert judge(deaf, Tape(seed)).violation is None


def test_a_handler_that_raises_fails_its_node(write: Write) -> None:
    outcome = judge(load(Aim(write(clock("raise RuntimeError('tired')")))), Tape(1))
    assert outcome.violation is not None
    assert outcome.violation.property == "no_exception"
    assert "RuntimeError: tired (users_protocol.py:" in outcome.violation.message
    assert outcome.world.records[outcome.violation.record].series.startswith("fire n")


def test_a_handler_that_leaves_python_fails_its_node_too(write: Write) -> None:
    outcome = judge(load(Aim(write(clock("sys.exit(0)")))), Tape(1))
    assert outcome.violation is not None
    assert outcome.violation.property == "no_exception"


def test_a_handler_that_never_ends_fails_its_node(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(watchdog, "_watchdogs", threading.local())
    source = clock("while True: pass")
    outcome = judge(load(Aim(write(source))), Tape(1))
    assert outcome.violation is not None
    assert outcome.violation.property == "step_ends"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("self.ticks = random.randrange(10**9)", "Clock.ticks differs"),
        ("self.ticks = time.perf_counter_ns()", "Clock.ticks differs"),
        ("env.after(ms(1) + time.perf_counter_ns() % 10**6, Tick())", "asks for different things"),
        (
            "msgspec.structs.force_setattr(self.box, 'number', self.box.number + 1)",
            "Clock.box changed in place",
        ),
        ("self.ticks = 1.5", "Clock.ticks"),
    ],
)
def test_a_node_that_cheats_is_named_with_its_event(
    write: Write, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    name = write(clock(line))
    with pytest.raises(Mistake, match=words):
        judge(load(Aim(name)), Tape(1), self_check=True)
    assert main(["run", name, "--seed", "1"]) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("quorate: fire n")
    assert words in told[-1]


def test_a_property_that_raises_is_a_mistake(write: Write) -> None:
    claim = "\n\n@always\ndef broken(nodes):\n    return nodes[9].ticks == 0\n"
    name = write(clock("self.ticks += 1", claim))
    with pytest.raises(Mistake, match="property broken raised IndexError"):
        judge(load(Aim(name)), Tape(1))


def test_a_property_that_never_ends_is_a_mistake(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(watchdog, "_watchdogs", threading.local())
    claim = "\n\n@always\ndef endless(nodes):\n    while nodes[0].ticks >= 0:\n        pass\n"
    with pytest.raises(Mistake, match="property endless never ends"):
        judge(load(Aim(write(clock("self.ticks += 1", claim)))), Tape(1))


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("def misspelt(nodes):\n    return nodes[0].tick_s == 0", "no attribute 'tick_s' .*py:"),
        ("def takes_nothing():\n    return True", "takes 0 positional arguments"),
    ],
)
def test_a_property_that_names_no_field_is_judged_all_the_same(
    write: Write, claim: str, words: str
) -> None:
    with pytest.raises(Mistake, match=words):
        judge(load(Aim(write(clock("pass", f"\n\n@always\n{claim}\n")))), Tape(1))


def test_a_property_that_is_false_from_the_beginning_fails(write: Write) -> None:
    claim = "\n\n@always\ndef ticked(nodes):\n    return nodes[0].ticks == 1\n"
    outcome = judge(load(Aim(write(clock("pass", claim)))), Tape(1))
    assert outcome.violation is not None
    assert outcome.violation.property == "ticked"
    assert outcome.violation.record == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("env.after(-1, Tick())", "env.after takes nanoseconds"),
        ("env.after(0.15, Tick())", "env.after takes nanoseconds"),
        ("env.after((ms(2), ms(1)), Tick())", "env.after takes nanoseconds"),
        ("env.choose('way', ())", "env.choose: way has no options"),
    ],
)
def test_asking_the_world_for_nonsense_fails_the_node(write: Write, line: str, words: str) -> None:
    outcome = judge(load(Aim(write(clock(line)))), Tape(1))
    assert outcome.violation is not None
    assert words in outcome.violation.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("env.send('n9', Hello())", "fire n1 Tick #0: n1 sends Hello to n9; there are n1, n2, n3"),
        ("env.send(self.id, 'hello')", "n1 sends 'hello', which is no Message"),
    ],
)
def test_what_cannot_be_sent_is_a_mistake(write: Write, line: str, words: str) -> None:
    hello = "\n    @on(Hello)\n    def hear(self, msg, env):\n        pass\n"
    source = clock(line, hello).replace(
        "class Box", "class Hello(Message):\n    pass\n\n\nclass Box"
    )
    with pytest.raises(Mistake, match=words):
        judge(load(Aim(write(source))), Tape(1))


def test_a_field_without_a_default_is_a_mistake(write: Write) -> None:
    source = clock("pass").replace("ticks: Durable[int] = 0", "ticks: Durable[int]")
    with pytest.raises(Mistake, match="configuration default: Missing required argument 'ticks'"):
        load(Aim(write(source)))


def test_a_tally_of_nothing_is_unknown() -> None:
    assert Tally(Aim("paxos"), 0).verdict() is Verdict.UNKNOWN


def test_clients_that_are_not_served_once_the_faults_have_ended_fail_the_run() -> None:
    outcome = judge(load(Aim("abd@no-retransmission")), Tape(1))
    runs = (judge(load(Aim("abd@no-retransmission")), Tape(seed)) for seed in range(40))
    names = {run.violation.property for run in runs if run.violation}
    assert names & {PROGRESS, "operations_end"}, outcome.verdict
