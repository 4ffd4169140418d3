"""What judges the bully election turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import NodeId, Set, Start
from quorate.protocols.election.bully import (
    ELECTION,
    SETTLED,
    WAITING,
    Bully,
    answered_nodes_wait,
    heard_no_stronger,
    nobody_bows_to_a_weaker,
    settled,
    stand_in,
    strongest_coordinates,
    two_coordinators,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))


def node(id: NodeId, coordinator: NodeId | None = None, **fields: object) -> Bully:
    return Bully(id=id, peers=IDS, coordinator=coordinator, **fields)  # type: ignore[arg-type]


def test_nobody_bows_to_a_weaker() -> None:
    assert nobody_bows_to_a_weaker.check([node(N1, N3), node(N2, N2), node(N3)])
    assert not nobody_bows_to_a_weaker.check([node(N1), node(N2, N1), node(N3)])


def test_settled() -> None:
    leader = node(N3, N3, beats=SETTLED)
    assert settled.check([node(N1, N3), node(N2), leader])
    assert not settled.check([node(N1, N2), node(N2), leader])
    assert settled.check([node(N1, N2), node(N2), node(N3, N3, beats=SETTLED - 1)])
    # A stronger node may be known to others before it is to this one.
    assert settled.check([node(N1, N3), node(N2, N2, beats=SETTLED), node(N3, N3)])


def test_answered_nodes_wait() -> None:
    busy = node(N3, answered=Set((N1,)))
    assert answered_nodes_wait.check([node(N1), node(N2, N2), busy])
    assert not answered_nodes_wait.check([node(N1, N1), node(N2), busy])


def test_heard_no_stronger() -> None:
    assert heard_no_stronger.check(node(N2, state=ELECTION), Start(), node(N2, N2))
    assert heard_no_stronger.check(node(N3), Start(), node(N3, N3))
    assert heard_no_stronger.check(node(N2, N2), Start(), node(N2, N2))
    assert not heard_no_stronger.check(node(N2, state=WAITING), Start(), node(N2, N2))


def test_sometimes_and_eventually() -> None:
    assert stand_in.check([node(N2, N2, beats=SETTLED)])
    assert not stand_in.check([node(N3, N3, beats=SETTLED)])
    assert two_coordinators.check([node(N1, N1), node(N3, N3)])
    assert not two_coordinators.check([node(N1, N3), node(N3, N3)])
    assert strongest_coordinates.check([node(N1, N2), node(N2, N2)])
    assert not strongest_coordinates.check([node(N1, N2), node(N2, N2), node(N3, N3)])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@answer-without-election", ""),
        ("@announce-to-all", "nobody_bows_to_a_weaker"),
        ("@answer-taken-for-coordinator", "settled"),
        ("@answers-not-heeded", "answered_nodes_wait"),
        ("@recover-as-coordinator", "heard_no_stronger"),
        ("@coordinator-not-watched", "strongest_coordinates"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken elections from the real one."""
    scenario = load(Aim(f"bully{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(60)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("bully")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"bully@{mutant.name}")).node is not Bully
