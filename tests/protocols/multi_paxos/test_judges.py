"""What judges Multi-Paxos turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Operation, Start
from quorate.kernel.properties import Monitor
from quorate.protocols.consensus.multi_paxos import (
    NO_OP,
    Command,
    Commander,
    MultiPaxos,
    Session,
    Vote,
)
from quorate.protocols.consensus.multi_paxos_properties import (
    Chosen,
    OneCommandPerBallot,
    OneStatePerSlot,
    a_hole_is_filled,
    a_leader_is_outlived,
    a_replica_needs_the_state,
    a_vote_is_found,
    ballots_grow,
    decided_beyond_a_hole,
    one_leader_and_one_log,
    slots_grow,
)
from quorate.protocols.machines.key_value import KeyValue
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
ALICE = NodeId("alice")
A, B = (Command(ALICE, number, Operation("put", "x", number)) for number in (1, 2))
FIRST: Vote = ((1, N1), A)
SAME_AGAIN: Vote = ((2, N2), A)
OTHER: Vote = ((2, N2), B)


def node(id: NodeId, **fields: object) -> MultiPaxos:
    return MultiPaxos(id=id, peers=IDS, **fields)  # type: ignore[arg-type]


def voter(id: NodeId, **votes: Vote) -> MultiPaxos:
    """A node with these votes, by slot: `s1` for slot 1."""
    return node(id, votes=Map((int(name[1:]), vote) for name, vote in votes.items()))


def watch(monitor: Monitor, after: MultiPaxos) -> bool:
    return monitor.watch(node(after.id), Start(), after)


def test_ballots_grow() -> None:
    low, high = node(N1, promised=(1, N1)), node(N1, promised=(1, N2))
    assert ballots_grow.check(low, Start(), high)
    assert not ballots_grow.check(high, Start(), low)
    high.votes = Map({1: OTHER})
    assert not ballots_grow.check(low, Start(), high)


def test_one_command_per_ballot() -> None:
    monitor = OneCommandPerBallot()
    assert watch(monitor, voter(N1, s1=FIRST, s2=OTHER))
    assert watch(monitor, voter(N2, s1=OTHER))
    assert watch(monitor, voter(N3, s2=((1, N1), B)))
    assert not watch(monitor, voter(N3, s1=((1, N1), B)))


def test_chosen() -> None:
    monitor = Chosen()
    assert watch(monitor, voter(N1, s1=FIRST))
    assert watch(monitor, voter(N3, s1=((0, N3), B)))
    assert watch(monitor, voter(N2, s1=FIRST))
    assert watch(monitor, voter(N3, s1=SAME_AGAIN, s2=OTHER))
    assert watch(monitor, node(N3, decisions=Map({1: A})))
    assert not watch(monitor, voter(N3, s1=OTHER))


def test_nothing_is_decided_but_what_is_chosen() -> None:
    monitor = Chosen()
    assert not watch(monitor, node(N1, decisions=Map({1: A})))
    for id in (N1, N2):
        assert watch(monitor, voter(id, s1=FIRST))
    assert watch(monitor, node(N1, decisions=Map({1: A})))
    assert not watch(monitor, node(N3, decisions=Map({1: B})))
    assert not watch(monitor, node(N3, decisions=Map({2: A})))


def test_one_state_per_slot() -> None:
    monitor = OneStatePerSlot()
    store, _ = KeyValue().apply(Operation("put", "x", 1))
    assert watch(monitor, node(N1, slot_out=2, store=store))
    assert watch(monitor, node(N2, slot_out=3))
    assert watch(monitor, node(N3, slot_out=2, store=store))
    assert not watch(monitor, node(N3, slot_out=2))
    sessions = Map({ALICE: Session(ALICE, 1, None)})
    assert not watch(monitor, node(N2, slot_out=3, sessions=sessions))


def test_slots_grow() -> None:
    assert slots_grow.check(node(N1), Start(), node(N1, slot_out=2))
    assert not slots_grow.check(node(N1, slot_out=2), Start(), node(N1))


def test_holes() -> None:
    assert not decided_beyond_a_hole.check([node(N1, slot_out=3, decisions=Map({2: A}))])
    assert decided_beyond_a_hole.check([node(N1, slot_out=3, decisions=Map({4: A}))])
    assert not a_hole_is_filled.check([node(N1, decisions=Map({1: A}))])
    assert a_hole_is_filled.check([node(N1, decisions=Map({1: NO_OP}))])


def test_a_vote_is_found() -> None:
    leader = node(N2, active=True, ballot=(2, N2), commanders=Map({1: Commander(A)}))
    assert not a_vote_is_found.check([leader])
    leader.votes = Map({1: SAME_AGAIN})
    assert not a_vote_is_found.check([leader])
    leader.votes = Map({1: FIRST})
    assert a_vote_is_found.check([leader])


def test_a_leader_is_outlived() -> None:
    assert not a_leader_is_outlived.check([node(N1, active=True), node(N2)])
    assert a_leader_is_outlived.check([node(N1, active=True), node(N2, active=True)])


def test_a_replica_needs_the_state() -> None:
    leader = node(N1, active=True, slot_out=3, decisions=Map({2: A}))
    assert not a_replica_needs_the_state.check([leader, node(N2, slot_out=2)])
    assert a_replica_needs_the_state.check([leader, node(N2, slot_out=1)])


def test_one_leader_and_one_log() -> None:
    leader = node(N1, active=True, ballot=(1, N1), promised=(1, N1), slot_out=2)
    follower = node(N2, promised=(1, N1), slot_out=2)
    assert one_leader_and_one_log.check([leader, follower])
    assert not one_leader_and_one_log.check([follower])
    assert not one_leader_and_one_log.check([leader, leader])
    assert not one_leader_and_one_log.check([leader, node(N2, promised=(1, N1))])
    assert not one_leader_and_one_log.check([leader, node(N2, slot_out=2)])


@pytest.mark.parametrize(
    ("mutant", "claims"),
    [
        ("", set()),
        ("@vote-for-executed-slot", set()),
        ("@begin-in-a-hole", {"Chosen"}),
        ("@slot-used-twice", {"OneCommandPerBallot"}),
        ("@promise-volatile", {"ballots_grow"}),
        ("@older-state-installed", {"slots_grow"}),
        ("@store-volatile", {"OneStatePerSlot"}),
        ("@repeated-command-executed", {"linearizability"}),
        ("@no-state-transfer", {"one_leader_and_one_log"}),
    ],
)
def test_campaign(mutant: str, claims: set[str]) -> None:
    """The first seeds of the default campaign tell broken Multi-Paxos from the real one."""
    scenario = load(Aim(f"multi-paxos{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(12)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claims <= failed if claims else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("multi-paxos")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"multi-paxos@{mutant.name}")).node is not MultiPaxos
