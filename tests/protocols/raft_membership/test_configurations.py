"""What configurations decide, against the vectors of another implementation; and their changes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.kernel import Map, NodeId, Operation, Set
from quorate.protocols.consensus.raft_configuration import Configuration

VECTOR = re.compile(r"(\w+) +\((.*)\) \((.*)\) \((.*)\) (\w+)")


def vectors(kind: str) -> Iterator[tuple[Configuration, dict[NodeId, str], str]]:
    for line in Path(__file__).with_name("quorums.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(kind):
            match = VECTOR.fullmatch(line)
            assert match, line
            voters, outgoing = (
                tuple(NodeId(id) for id in match[group].split(",") if id) for group in (2, 3)
            )
            configuration = Configuration(voters, outgoing)
            said = zip(configuration.electors, match[4].split(","), strict=True)
            yield configuration, {id: what for id, what in said if what != "_"}, match[5]


def test_what_is_committed() -> None:
    """§5.3, thesis §4.3: the greatest index that a majority, or both, has reached."""
    count = 0
    for configuration, said, outcome in vectors("committed"):
        progress = Map((id, int(index)) for id, index in said.items())
        assert configuration.reached(progress) == int(outcome), (configuration, said)
        count += 1
    assert count > 50


def test_who_is_elected() -> None:
    """§5.2, thesis §4.3: the votes of a majority, or of both."""
    count = 0
    for configuration, said, outcome in vectors("vote"):
        votes = Set(id for id, vote in said.items() if vote == "y")
        assert configuration.is_quorum(votes) == (outcome == "VoteWon"), (configuration, said)
        count += 1
    assert count > 40


A, B, C, D = (NodeId(name) for name in "abcd")
THREE = Configuration((A, B, C), (), (D,))


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (Operation("add-learner", "e"), Configuration((A, B, C), (), (D, NodeId("e")))),
        (Operation("add-learner", "a"), THREE),
        (Operation("add-learner", "d"), THREE),
        (Operation("add-learner"), None),
        (Operation("promote", "d"), Configuration((A, B, C, D))),
        (Operation("promote", "b"), THREE),
        (Operation("promote", "e"), None),
        (Operation("remove", "b"), Configuration((A, C), (), (D,))),
        (Operation("remove", "d"), Configuration((A, B, C))),
        (Operation("remove", "e"), THREE),
        (Operation("reconfigure", None, ("a", "d")), Configuration((A, D), (A, B, C))),
        (Operation("reconfigure", None, ("c", "a")), Configuration((A, C), (A, B, C), (D,))),
        (Operation("reconfigure", None, ("c", "b", "a")), THREE),
        (Operation("reconfigure", None, ("a", "e")), None),
        (Operation("reconfigure", None, ()), None),
        (Operation("reconfigure", None, 7), None),
        (Operation("reconfigure", None, ((), "a")), None),
    ],
    ids=str,
)
def test_what_a_change_makes_of_it(operation: Operation, wanted: Configuration | None) -> None:
    assert THREE.changed(operation) == wanted


def test_the_last_voter_stays() -> None:
    assert Configuration((A,), (), (D,)).changed(Operation("remove", "a")) is None


def test_a_joint_configuration_has_everybody_once() -> None:
    joint = Configuration((A, D), (A, B, C))
    assert joint.electors == (A, D, B, C)
    assert joint.servers == (A, D, B, C)
    assert joint.settled() == Configuration((A, D))
