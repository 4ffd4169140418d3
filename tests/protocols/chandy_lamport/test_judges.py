"""What judges Chandy-Lamport turns its verdict when shown what it forbids."""

import msgspec
import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Set, Start
from quorate.protocols.snapshots.chandy_lamport import (
    ChandyLamport,
    GlobalState,
    Reachable,
    Recording,
    Snapshot,
    caught_in_a_channel,
    conserved,
    consistent,
    every_snapshot_ends,
    snapshots_overlap,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2 = IDS = NodeId("n1"), NodeId("n2")
C1 = NodeId("c1")


def node(id: NodeId, **fields: object) -> ChandyLamport:
    return ChandyLamport(id=id, peers=IDS, **fields)  # type: ignore[arg-type]


def recording(
    tokens: int, *, sent: int = 0, received: int = 0, found: tuple[int, ...] = (), to: NodeId = N2
) -> Recording:
    """Of a process whose only neighbour is `to`."""
    channels = Map({to: found}) if found else Map[NodeId, tuple[int, ...]]()
    return Recording(tokens, Map({to: sent}), Map({to: received}), channels, Set())


def assembled(first: Recording, second: Recording) -> ChandyLamport:
    return node(N1, begun=1, last=GlobalState((N1, 1), Map({N1: first, N2: second})))


def test_consistent() -> None:
    in_channel = recording(10, received=1, found=(4,))
    assert consistent.check([node(N1), node(N2)])
    assert consistent.check([assembled(in_channel, recording(6, sent=2, to=N1))])
    # Received before it was sent, or lost, or in the channel twice.
    for sent in (0, 1, 3):
        assert not consistent.check([assembled(in_channel, recording(6, sent=sent, to=N1))])


def test_conserved() -> None:
    assert conserved.check([assembled(recording(10, found=(4,)), recording(6, to=N1))])
    assert not conserved.check([assembled(recording(10), recording(6, to=N1))])


@pytest.mark.parametrize(("sent", "is_reachable"), [(1, False), (2, True), (3, True), (4, False)])
def test_reachable(sent: int, is_reachable: bool) -> None:
    """n2 has sent two messages when n1 begins, and three when the snapshot ends."""
    monitor = Reachable()
    assert monitor.watch(node(N2), Start(), node(N2, sent=Map({N1: 2})))
    assert monitor.watch(node(N1), Start(), node(N1, begun=1))
    assert monitor.watch(node(N2), Start(), node(N2, sent=Map({N1: 3})))
    ended = assembled(recording(10), recording(10, sent=sent, to=N1))
    assert monitor.watch(node(N1, begun=1), Start(), ended) is is_reachable


def test_sometimes() -> None:
    assert not caught_in_a_channel.check([assembled(recording(10), recording(10, to=N1))])
    one = assembled(recording(10, found=(4,)), recording(6, to=N1))
    assert caught_in_a_channel.check([one])
    assert not snapshots_overlap.check(
        [node(N1, recordings=Map[Snapshot, Recording]({(N1, 1): recording(1)}))]
    )
    two = Map[Snapshot, Recording]({(N1, 1): recording(1), (N2, 1): recording(1)})
    assert snapshots_overlap.check([node(N1, recordings=two)])


def test_every_snapshot_ends() -> None:
    assert every_snapshot_ends.check([node(N1), node(N2)])
    asked = Map[Snapshot, tuple[NodeId, int]]({(N1, 1): (C1, 1)})
    assert not every_snapshot_ends.check([node(N1, asked=asked), node(N2)])
    stuck = node(N2, recordings=Map[Snapshot, Recording]({(N1, 1): recording(1)}))
    assert not every_snapshot_ends.check([node(N1), stuck])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@channels-not-recorded", "consistent"),
        ("@state-recorded-late", "conserved"),
        ("@markers-not-passed-on", "every_snapshot_ends"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken algorithms from the real one."""
    scenario = load(Aim(f"chandy-lamport{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(6)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_clients_see_what_the_properties_see() -> None:
    """Without properties, audits that do not agree are found in the history."""
    scenario = load(Aim("chandy-lamport@channels-not-recorded"))
    blind = msgspec.structs.replace(scenario, properties=(), monitors=())
    outcomes = [judge(blind, Tape(seed)) for seed in range(6)]
    assert "linearizability" in {o.violation.property for o in outcomes if o.violation}


def test_without_order_on_links_it_fails() -> None:
    """The paper's assumption is needed: the same campaign, where messages may overtake."""
    scenario = msgspec.structs.replace(load(Aim("chandy-lamport")), ordered_links=False)
    outcomes = [judge(scenario, Tape(seed)) for seed in range(10)]
    assert "consistent" in {o.violation.property for o in outcomes if o.violation}


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("chandy-lamport")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"chandy-lamport@{mutant.name}")).node is not ChandyLamport
