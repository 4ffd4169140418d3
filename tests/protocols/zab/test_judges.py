"""What judges Zab turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Event, Log, Map, NodeId, Set, Start
from quorate.kernel.properties import Monitor
from quorate.protocols.consensus.zab import (
    AtMostOnce,
    CommittedByQuorum,
    CommittedSurvives,
    Integrity,
    OneHistoryPerZxid,
    OneLeaderPerEpoch,
    PrimaryOrder,
    TotalOrder,
    Zab,
    a_follower_joins_late,
    a_transaction_is_given_up,
    an_epoch_is_established,
    an_old_primary_lives_on,
    epochs_in_order,
    never_backwards,
    one_primary_and_one_history,
    primary_integrity,
    within_an_epoch_histories_grow,
)
from quorate.protocols.consensus.zab_state import NOTHING, AckEpoch, Commit, Transaction
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict
from tests.protocols.zab.cluster import N1, N2, N3, transaction

A, B, C = transaction((1, 1), "a"), transaction((1, 2), "b", 2), transaction((2, 1), "c", 3)
FRESH = {id: Zab(id=id, peers=(N1, N2, N3)) for id in (N1, N2, N3)}
STEP = Commit(1, NOTHING)


def node(id: NodeId, entries: tuple[Transaction, ...] = (), **fields: object) -> Zab:
    """A process with this history, of the epoch of its end unless told otherwise."""
    made: Zab = FRESH[id].__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    made.history = Log(entries, start=1)
    made.current_epoch = made.accepted_epoch = made.last[0]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def primary(id: NodeId, epoch: int, entries: tuple[Transaction, ...] = (), **fields: object) -> Zab:
    """One that leads an established epoch."""
    place = {"leader": id, "epoch": epoch, "current_epoch": epoch, "accepted_epoch": epoch}
    return node(id, entries, **{"role": "leading", "phase": "broadcast", **place, **fields})


def watch(monitor: Monitor, after: Zab, before: Zab | None = None, event: Event = STEP) -> bool:
    return monitor.watch(before or FRESH[after.id], event, after)


def test_integrity() -> None:
    monitor = Integrity()
    assert watch(monitor, primary(N1, 1, (A,)), primary(N1, 1))
    assert watch(monitor, node(N2, (A,), delivered=1))
    assert not watch(monitor, node(N3, (A, B), delivered=2))
    assert watch(monitor, node(N1, (A, B)), node(N1, (A,)), Start(True))
    assert watch(monitor, node(N3, (A, B), delivered=2))


def test_total_order() -> None:
    monitor = TotalOrder()
    assert watch(monitor, node(N1, (A, B), delivered=2))
    assert watch(monitor, node(N2, (A, C), delivered=1))
    assert not watch(monitor, node(N2, (A, C), delivered=2), node(N2, (A, C), delivered=1))


@pytest.mark.parametrize(
    ("entries", "holds"),
    [
        ((), True),
        ((A, B, C), True),
        ((A, C), True),
        ((B,), False),
        ((C, A), False),
        ((A, transaction((1, 3), "c")), False),
        ((A, transaction((2, 2), "c")), False),
    ],
)
def test_primary_order(entries: tuple[Transaction, ...], holds: bool) -> None:
    assert watch(PrimaryOrder(), node(N1, entries, delivered=len(entries))) == holds


def test_primary_integrity() -> None:
    before = primary(N1, 2, (A, B), delivered=2)
    late = primary(N1, 2, (A, B), delivered=1)
    assert primary_integrity.check(before, STEP, primary(N1, 2, (A, B, C), delivered=2))
    assert primary_integrity.check(late, STEP, late)
    assert not primary_integrity.check(late, STEP, primary(N1, 2, (A, B, C), delivered=1))


def test_one_leader_per_epoch() -> None:
    monitor = OneLeaderPerEpoch()
    first = primary(N1, 1, phase="synchronization")
    assert watch(monitor, primary(N1, 1, phase="discovery"))
    assert watch(monitor, first)
    assert watch(monitor, primary(N1, 1), first)
    assert watch(monitor, primary(N2, 2))
    assert not watch(monitor, primary(N3, 1, phase="synchronization"))
    assert not watch(monitor, first)


def test_one_history_per_zxid() -> None:
    monitor = OneHistoryPerZxid()
    assert watch(monitor, node(N1, (A, B)))
    assert watch(monitor, node(N2, (A, C)))
    assert not watch(monitor, node(N3, (A, B, C)))
    assert not watch(monitor, node(N3, (transaction((1, 1), "z"),)))


def test_committed_survives() -> None:
    monitor = CommittedSurvives()
    assert watch(monitor, node(N1, (A, B), delivered=2))
    assert watch(monitor, primary(N2, 1, (A,)))
    assert watch(monitor, primary(N2, 2, (A,), phase="discovery"))
    assert watch(monitor, primary(N2, 2, (A, B)))
    assert not watch(monitor, primary(N2, 2, (A,)))
    assert not watch(monitor, primary(N3, 2, (A, C)))


def test_committed_by_quorum() -> None:
    monitor = CommittedByQuorum()
    assert watch(monitor, node(N1, (A, B)))
    assert watch(monitor, node(N2, (A,)))
    assert watch(monitor, node(N1, (A, B), delivered=1))
    assert not watch(monitor, node(N1, (A, B), delivered=2))


def test_at_most_once() -> None:
    monitor = AtMostOnce()
    again = transaction((1, 3), "a")
    assert watch(monitor, node(N1, (A, B), delivered=2))
    assert watch(monitor, node(N2, (A, B), delivered=2))
    assert not watch(monitor, node(N2, (A, B, again), delivered=3), node(N2, delivered=2))


def test_epochs_in_order() -> None:
    assert epochs_in_order.check([node(N1, (A,)), node(N2, (A,), accepted_epoch=2)])
    assert not epochs_in_order.check([node(N1, (A,), current_epoch=2)])
    assert not epochs_in_order.check([node(N1, (A, C), current_epoch=1)])


def test_steps_forwards() -> None:
    before = node(N1, (A, B), delivered=1)
    assert never_backwards.check(before, STEP, node(N1, (A, B), delivered=2))
    assert never_backwards.check(before, Start(True), node(N1, (A, B)))
    assert not never_backwards.check(before, STEP, node(N1, (A, B)))
    assert not never_backwards.check(before, Start(True), node(N1))
    assert within_an_epoch_histories_grow.check(before, STEP, node(N1, (A,), current_epoch=2))
    assert not within_an_epoch_histories_grow.check(before, STEP, node(N1, (A,)))


def test_what_is_to_be_reached() -> None:
    followers = [node(N2, (A,)), node(N3)]
    leader = primary(N1, 1, (A,), delivered=1)
    assert an_epoch_is_established.check([leader, *followers])
    assert not an_epoch_is_established.check([primary(N1, 1), *followers])
    assert an_old_primary_lives_on.check([leader, primary(N2, 2), followers[1]])
    assert not an_old_primary_lives_on.check([leader, *followers])
    promises = Map({N1: AckEpoch(1, 0, (), True), N2: AckEpoch(1, 0, (), True)})
    leader.promises, leader.acked = promises, Map({N1: NOTHING, N2: NOTHING})
    assert not a_follower_joins_late.check([leader, *followers])
    leader.acked = leader.acked.set(N3, NOTHING)
    leader.followers = Set([N2, N3])
    assert a_follower_joins_late.check([leader, *followers])
    assert not a_transaction_is_given_up.check([node(N1, (A,)), node(N2, (A, C)), node(N3)])
    assert a_transaction_is_given_up.check([node(N1, (A, B)), node(N2, (A, C)), node(N3)])


def test_one_primary_and_one_history() -> None:
    leader = primary(N1, 1, (A,), delivered=1)
    followers = [node(id, (A,), leader=N1, epoch=1, delivered=1) for id in (N2, N3)]
    assert one_primary_and_one_history.check([leader, *followers])
    assert not one_primary_and_one_history.check([leader, followers[0], node(N3, leader=N1)])
    assert not one_primary_and_one_history.check([node(N1, leader=N1, epoch=1), *followers])
    leader.delivered = 12
    assert not one_primary_and_one_history.check([leader, *followers])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@one-epoch", "CommittedSurvives"),
        ("@promises-an-earlier-epoch", "never_backwards"),
        ("@history-volatile", "within_an_epoch_histories_grow"),
        ("@accepts-over-a-gap", "OneHistoryPerZxid"),
        ("@commits-alone", "CommittedByQuorum"),
        ("@delivers-again", "AtMostOnce"),
        ("@leads-on-without-a-quorum", "one_primary_and_one_history"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken processes from the real ones."""
    scenario = load(Aim(f"zab{mutant}"))
    failed = set()
    for seed in range(40):
        outcome = judge(scenario, Tape(seed))
        assert outcome.verdict in (Verdict.PASS, Verdict.FAIL)
        if outcome.violation:
            failed.add(outcome.violation.property)
        if claim in failed:
            return
    assert not failed
    assert not claim


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("zab")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"zab@{mutant.name}")).node is not Zab
