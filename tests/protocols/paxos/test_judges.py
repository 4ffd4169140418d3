"""What judges Paxos turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import NodeId, Start
from quorate.kernel.properties import Monitor
from quorate.protocols.consensus.paxos import (
    Chosen,
    OneValuePerBallot,
    Paxos,
    PromiseKept,
    Validity,
    Vote,
    agreement,
    all_decide,
    decision,
    duel,
    rediscovery,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
FIRST: Vote = ((1, N1), 7)
SECOND: Vote = ((2, N2), 8)


def node(id: NodeId, **fields: object) -> Paxos:
    return Paxos(id=id, peers=IDS, **fields)  # type: ignore[arg-type]


def watch(monitor: Monitor, after: Paxos) -> bool:
    return monitor.watch(node(after.id), Start(), after)


def voter(id: NodeId, vote: Vote) -> Paxos:
    return node(id, last_vote=vote, promised=vote[0])


def test_agreement_and_decision() -> None:
    assert agreement.check([node(N1, decided=7), node(N2, decided=7), node(N3)])
    assert not agreement.check([node(N1, decided=7), node(N2, decided=8), node(N3)])
    assert decision.check([node(N1, decided=7), node(N2)])
    assert not decision.check([node(N1), node(N2)])


def test_one_value_per_ballot() -> None:
    monitor = OneValuePerBallot()
    assert watch(monitor, voter(N1, FIRST))
    assert watch(monitor, voter(N2, SECOND))
    assert not watch(monitor, voter(N3, (FIRST[0], 9)))


def test_chosen() -> None:
    monitor = Chosen()
    votes = [(N1, FIRST), (N1, FIRST), (N2, SECOND), (N3, FIRST)]
    assert all(watch(monitor, voter(id, vote)) for id, vote in votes)
    assert watch(monitor, voter(N1, ((3, N1), 7)))
    assert watch(monitor, voter(N3, ((3, N1), 7)))
    assert not watch(monitor, voter(N3, SECOND))


def test_promise_kept() -> None:
    monitor = PromiseKept()
    assert watch(monitor, node(N1, promised=(2, N2)))
    assert watch(monitor, node(N2, promised=(1, N1)))
    assert watch(monitor, voter(N1, SECOND))
    assert not watch(monitor, node(N1, promised=(1, N1)))
    assert not watch(PromiseKept(), node(N1, promised=(1, N1), last_vote=SECOND))


def test_validity() -> None:
    monitor = Validity()
    assert watch(monitor, node(N1, proposal=7))
    assert watch(monitor, voter(N2, FIRST))
    assert watch(monitor, node(N3, decided=7))
    assert not watch(monitor, node(N3, decided=8))
    assert not watch(monitor, voter(N2, SECOND))


def test_duel_and_rediscovery() -> None:
    one, other = node(N1, proposal=7, ballot=(1, N1)), node(N2, proposal=8, ballot=(2, N2))
    assert duel.check([one, other])
    assert not duel.check([one, node(N2, proposal=8, ballot=(1, N2))])
    assert not rediscovery.check([one, other])
    other.last_vote = ((2, N2), 7)
    assert rediscovery.check([one, other])


def test_all_decide() -> None:
    assert all_decide.check([node(N1, proposal=7, decided=7), node(N2)])
    assert not all_decide.check([node(N1, proposal=7), node(N2, decided=7)])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@promise-again", ""),
        ("@vote-despite-promise", "PromiseKept"),
        ("@ignore-earlier-votes", "Chosen"),
        ("@vote-quorum-of-one", "agreement"),
        ("@propose-after-restart", "Validity"),
        ("@vote-only-above-promise", "all_decide"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken Paxos from the real one."""
    scenario = load(Aim(f"paxos{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(40)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("paxos")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"paxos@{mutant.name}")).node is not Paxos
