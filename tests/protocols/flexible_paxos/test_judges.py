"""What judges Flexible Paxos turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Start
from quorate.protocols.consensus.flexible_paxos import (
    FlexiblePaxos,
    Simple,
    a_minority_decides,
)
from quorate.protocols.consensus.multi_paxos import NO_OP, Vote
from quorate.protocols.consensus.multi_paxos_properties import Chosen
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3, N4 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 5))
VOTE: Vote = ((1, N1), NO_OP)


def node(id: NodeId, **fields: object) -> FlexiblePaxos:
    return FlexiblePaxos(id=id, peers=IDS, quorums=Simple(2), **fields)  # type: ignore[arg-type]


def test_a_minority_decides() -> None:
    learner = node(N1, decisions=Map({1: NO_OP}), slot_out=2)
    voter, other = node(N2, votes=Map({1: VOTE})), node(N3, slot_out=2)
    assert a_minority_decides.check([learner, voter, node(N3), node(N4)])
    assert not a_minority_decides.check([learner, voter, other, node(N4)])
    assert not a_minority_decides.check([voter, other, node(N1), node(N4)])


def test_chosen_counts_the_quorums_of_phase_2() -> None:
    """Two of four are enough, and one is not."""
    monitor = Chosen()
    decided = node(N3, decisions=Map({1: NO_OP}))
    assert monitor.watch(node(N1), Start(), node(N1, votes=Map({1: VOTE})))
    assert not monitor.watch(node(N3), Start(), decided)
    assert monitor.watch(node(N2), Start(), node(N2, votes=Map({1: VOTE})))
    assert monitor.watch(node(N3), Start(), decided)


@pytest.mark.parametrize(
    "mutant", ["", "@quorums-side-by-side", "@part-of-a-row", "@part-of-a-column"]
)
def test_campaign(mutant: str) -> None:
    """The first seeds of the default campaign tell quorums that do not meet from those that do."""
    scenario = load(Aim(f"flexible-paxos{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert "Chosen" in failed if mutant else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("flexible-paxos")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"flexible-paxos@{mutant.name}")).node is not FlexiblePaxos
