"""From names to scenarios, and one line for every name that means nothing."""

import sys

import pytest

from quorate.errors import Mistake
from quorate.explore.catalogue import CATALOGUE, Aim, load, mutate, parse_faults, provide
from quorate.scenario.conditions import FAULTS
from quorate.scenario.mutant import Mutant
from tests.explore.protocols import LOCK_NAME, Write, clock


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_protocol_of_the_catalogue_loads(name: str) -> None:
    scenario = load(Aim(name))
    assert scenario.name == name
    assert scenario.node.__module__ in sys.modules


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_mutant_loads_and_differs_from_the_real_thing(name: str) -> None:
    real = load(Aim(name))
    for mutant in real.mutants:
        broken = load(Aim(f"{name}@{mutant.name}"))
        assert broken.name == f"{name}@{mutant.name}"
        assert broken.node is not real.node
        assert broken.node.__name__ == real.node.__name__
    assert load(Aim(name)) is real
    assert sys.modules[real.node.__module__].__dict__[real.node.__name__] is real.node


def test_a_mutants_old_text_must_occur_exactly_once() -> None:
    text = {"name": "x", "rule": "r", "section": "s"}
    module = "quorate.protocols.consensus.paxos"
    for old, count in (("no such text", 0), ("env", "")):
        with pytest.raises(Mistake, match=f"occurs {count}"):
            mutate(module, Mutant(old=old, new="", **text))


def test_an_aim_changes_what_it_names_and_nothing_else() -> None:
    plain = load(Aim("raft"))
    aimed = load(Aim("raft", 3, ("loss", "delay"), "plain"))
    assert (aimed.nodes, aimed.faults) == (3, {"loss", "delay"})
    assert [c.name for c in aimed.configurations] == ["plain"]
    assert (aimed.node, aimed.properties) == (plain.node, plain.properties)
    assert load(Aim("raft", faults=())).faults == frozenset()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rafd", "did you mean raft"),
        ("zzz", "there are abd"),
        ("raft@vote-not-durble", "did you mean vote-not-durable"),
        ("nowhere.py:Node", "no such file"),
        (LOCK_NAME.replace(":Lock", ":Look"), "did you mean Lock"),
        (f"{LOCK_NAME}@x", "no mutant"),
    ],
)
def test_a_name_that_means_nothing_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(Mistake, match=hint):
        load(Aim(name))


def test_a_configuration_that_there_is_not() -> None:
    with pytest.raises(Mistake, match="did you mean plain"):
        load(Aim("raft", configuration="plane"))


def test_faults_by_name() -> None:
    assert parse_faults("all") is None
    assert parse_faults("none") == ()
    assert parse_faults("loss, delay") == ("loss", "delay")
    assert set(parse_faults(",".join(FAULTS)) or ()) == set(FAULTS)
    with pytest.raises(Mistake, match="did you mean loss"):
        parse_faults("los")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:\n", r"users_protocol.py:1: SyntaxError"),
        ("import os\nraise ValueError('no')\n", r"users_protocol.py:2: ValueError: no"),
        ("import sys\nsys.exit(0)\n", r"users_protocol.py:2: SystemExit"),
        ("import nothing_of_that_name\n", r"users_protocol.py:1: ModuleNotFoundError"),
        ("x = 1\n", "no node class"),
        (clock("pass") + "\n\nclass Ping(Message):\n    pass\n", "nothing handles Ping"),
        (clock("pass").replace("ticks: Durable[int] = 0", "ticks: list = []"), "Clock.ticks"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(write: Write, source: str, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        load(Aim(write(source)))


def test_a_file_does_not_hide_a_module_of_pythons(write: Write) -> None:
    with pytest.raises(Mistake, match="rename"):
        load(Aim(write(clock("pass"), stem="queue")))
    with pytest.raises(Mistake, match="rename"):
        load(Aim(write(clock("pass"), stem="msgspec")))


def test_a_scenario_beside_the_protocol_is_taken(write: Write) -> None:
    name = write(clock("pass"))
    path = name.partition(":")[0]
    write(
        "from users_protocol import Clock\nfrom quorate.scenario.scenario import Scenario\n"
        'scenario = Scenario(name="clock", node=Clock, nodes=7)\n',
        stem="users_protocol_scenario",
    )
    assert load(Aim(name)).nodes == 7
    assert load(Aim(path)).name == path


def test_a_scenario_that_only_this_process_knows() -> None:
    lock = load(Aim(LOCK_NAME))
    assert provide(lock, "my lock") == "my lock"
    assert load(Aim("my lock", nodes=4)).nodes == 4
