"""`quorate explore`: a mistake is one line; what is not finished says how far it came."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from quorate.explore.exhaustive import search
from tests.cli.conftest import Quorate

COUNTER = """
from collections.abc import Sequence

from quorate.kernel import Env, Message, Node, Start, Timer, always, ms, on


class Ping(Message):
    pass


class Tick(Timer):
    pass


class Counter(Node):
    heard: int = 0
    other: {kind} = {value}

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        env.after(ms(1), Tick())

    @on(Tick)
    def tick(self, event: Tick, env: Env) -> None:
        env.send(self.peers[0], Ping())
        env.after(ms(1), Tick())

    @on(Ping)
    def hear(self, msg: Ping, env: Env) -> None:
        self.heard += 1
        {line}


@always
def few(nodes: Sequence[Counter]) -> bool:
    \"\"\"Nobody hears much.\"\"\"
    return all(node.heard < {limit} for node in nodes)
"""


def write(line: str = "pass", limit: int = 10**9, kind: str = "int", value: str = "0") -> str:
    """A user's file in this folder; returns what the command line calls its node."""
    text = COUNTER.format(line=line, limit=limit, kind=kind, value=value)
    # Another test's file of that name may be loaded already.
    stem = f"counter_{len(list(Path().iterdir()))}_{abs(hash(text)) % 10**9}"
    Path(f"{stem}.py").write_text(text, encoding="utf-8")
    return f"./{stem}.py:Counter"


# Mistakes


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("paxos --balots 3", "paxos declares no bound --balots"),
        ("paxos --balots 3", "did you mean --ballots?"),
        ("paxos --bananas 3", "it has --ballots"),
        ("paxos --ballots", "--ballots needs a whole number"),
        ("paxos --ballots many", "--ballots needs a whole number, not 'many'"),
        ("paxos --dorp", "explore has no option --dorp; did you mean --drop?"),
        ("paxos --timer 3", "did you mean --timers?"),
        ("paxos --network multisett", "no --network is called 'multisett'; did you mean multiset"),
        ("paxos --network pigeons", "there are set, multiset, fifo, rpc"),
        ("paxos --network set --duplicate", "leave out duplicate"),
        ("paxos --network rpc --duplicate", "cannot be duplicated"),
        ("paxos --search depth --depth 3", "depth first would miss states"),
        ("paxos --search width", "did you mean"),
        ("paxos --nodes 0", "--nodes: expected at least 1"),
        ("paxos --crashes -1", "--crashes: expected"),
        ("paxos --reduce symetry", "there are symmetry"),
        ("paxos --memory 1", "a limit of 1 MiB is too small: the process holds"),
        ("paxos --mutant vote-volatil", "did you mean vote-volatile"),
        ("paxos more", "explore takes no further 'more'"),
        ("", "explore what?"),
        ("nowhere.py:Node", "nowhere.py: there is no such file"),
    ],
)
def test_a_mistake_is_one_line(quorate_command: Quorate, words: str, hint: str) -> None:
    told = quorate_command("explore", *words.split())
    assert hint in told.mistake()
    assert not told.out


@pytest.mark.parametrize(
    ("change", "hints"),
    [
        ({"line": "self.heard = env.now"}, ["n1, handling Ping", "env.now"]),
        ({"line": "self.heard = env.wall"}, ["n1, handling Ping", "env.wall"]),
        ({"line": "self.heard = __import__('random').randrange(10**9)"}, ["n1", "Counter.heard"]),
        ({"line": "self.other = 1.5"}, ["n1", "Counter.other: float"]),
        ({"kind": "list", "value": "[]"}, ["Counter.other: list is not immutable"]),
        ({"line": "env.send('n9', Ping())"}, ["n1 sends to n9, which is no node"]),
    ],
)
def test_a_node_that_cannot_be_explored_is_named(
    quorate_command: Quorate, change: dict[str, str], hints: list[str]
) -> None:
    name = write(**change)  # type: ignore[arg-type]
    told = quorate_command("explore", name, "--timers", 2, "--self-check")
    mistake = told.mistake()
    for hint in hints:
        assert hint in mistake
    assert not told.out


def test_what_is_found_must_have_a_place(quorate_command: Quorate) -> None:
    Path("taken").write_text("a file")
    told = quorate_command("explore", write(limit=1), "--timers", 1, "--out", "taken")
    assert "cannot write" in told.mistake()


# Not finished


def test_a_space_without_end_is_unknown_and_says_what_grows(quorate_command: Quorate) -> None:
    told = quorate_command("explore", write(), "--timers", "all", "--states", 3000)
    assert told.code == 2
    assert "verdict  unknown" in told.out
    assert "stopped: 3,00" in told.out
    assert "left to expand" in told.out
    assert "growing  messages in flight (to" in told.out
    assert told.out.splitlines()[-1].endswith("--timers all --states 3000")


def test_memory_that_is_used_up_is_unknown(
    quorate_command: Quorate, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = iter(range(100, 10**6))
    monkeypatch.setattr(search.Room, "used", lambda self: next(used) << 20)
    told = quorate_command("explore", write(), "--timers", "all", "--memory", 110)
    assert told.code == 2
    assert "MiB of memory" in told.out
    assert told.out.splitlines()[-1].endswith("--timers all --memory 110")


def test_an_interrupt_keeps_what_was_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Where the tests run in the background of a shell, children begin deaf to interrupts.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from quorate.cli.main import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", program, "explore", write(), "--timers", "all"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as search_:
        began = monotonic()
        while _cpu_seconds(search_.pid) < 1.0 and monotonic() - began < 60:
            sleep(0.1)
        search_.send_signal(signal.SIGINT)
        try:
            out, err = search_.communicate(timeout=60)
        finally:
            search_.kill()
    text = out.decode()
    assert search_.returncode == 2, err
    assert "verdict  unknown" in text
    assert "; stopped: interrupted" in text
    assert "Traceback" not in err.decode()


def _cpu_seconds(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


# A user's own protocol

MINE = """
from collections.abc import Mapping

from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario
from {module} import Counter


def within(node: Counter, bounds: Mapping[str, int]) -> bool:
    return node.heard <= bounds["most_heard"]


scenario = Scenario(
    name="mine",
    node=Counter,
    nodes=2,
    exploration=Exploration(
        nodes=2, timers=None, channel=2, bounds={{"most_heard": 3}}, within=within
    ),
)
"""


def test_a_scenario_beside_says_what_is_explored(quorate_command: Quorate) -> None:
    name = write(limit=5)
    module = Path(name.partition(":")[0]).stem
    Path(f"{module}_scenario.py").write_text(MINE.format(module=module), encoding="utf-8")
    told = quorate_command("explore", name)
    assert told.code == 0, told.out + told.err
    assert "bound    2 servers, network multiset, crashes 0, timers without limit" in told.out
    assert "most_heard 3" in told.out
    assert "exhausted" in told.out
    wider = quorate_command("explore", name, "--most-heard", 5)
    assert wider.code == 1
    assert "violates few" in wider.out
    (schedule,) = Path().glob("*-few.schedule")
    assert "it still violates few" in quorate_command("replay", schedule).out
    wrong = quorate_command("explore", name, "--most-herd", 5)
    assert "did you mean --most-heard?" in wrong.mistake()


# Finished


def test_exhausted_is_a_pass_with_its_bound(quorate_command: Quorate) -> None:
    told = quorate_command("explore", write(), "--timers", 2, "--json")
    assert told.code == 0
    answer = told.json()
    assert answer["is_exhausted"]
    assert answer["verdict"] == "pass"
    assert "timers 2" in answer["bounds"]
    assert not answer["growing"]


def test_a_failure_replays_from_its_file(quorate_command: Quorate) -> None:
    name = write(limit=2)
    told = quorate_command("explore", name, "--timers", 3)
    assert told.code == 1
    assert "violates few: Nobody hears much." in told.out
    assert "a shortest way: 4 transitions" in told.out
    (schedule,) = Path().glob("*-few.schedule")
    assert f"quorate replay {schedule}" in told.out
    again = quorate_command("replay", schedule)
    assert again.code == 1
    assert "it still violates few" in again.out
