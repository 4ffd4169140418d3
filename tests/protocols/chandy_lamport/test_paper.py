"""Chandy and Lamport (1985), claim by claim."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.kernel import NodeId, Operation, Request, Response, Set
from quorate.kernel.env import Send
from quorate.protocols.snapshots.chandy_lamport import (
    ChandyLamport,
    Marker,
    Recording,
    Report,
    Snapshot,
    Tokens,
    conserved,
    consistent,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
C1, C2 = NodeId("c1"), NodeId("c2")
FIRST: Snapshot = (N1, 1)


def audit(network: Network[ChandyLamport], id: NodeId, client: NodeId, number: int = 1) -> None:
    """A client wants all tokens counted."""
    network.act(id, Request(number, Operation("audit")), client)


def transfer(network: Network[ChandyLamport], source: NodeId, target: NodeId, amount: int) -> None:
    """A client wants tokens moved."""
    place = network.nodes[source].outgoing().index(target)
    network.act(source, Request(0, Operation("transfer", None, (place, amount))), C2)


def sent(network: Network[ChandyLamport], id: NodeId, event: Any, sender: NodeId) -> list[Any]:
    """What a node sends in answer to one event."""
    effects = network.act(id, event, sender)
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def last(network: Network[ChandyLamport], id: NodeId) -> dict[NodeId, Recording]:
    """The parts of the global state that a node has assembled."""
    state = network.nodes[id].last
    assert state is not None
    return dict(state.recordings.items())


def found(recording: Recording) -> dict[str, tuple[int, ...]]:
    """What a process has found in the channels that lead to it."""
    return {str(id): contents for id, contents in recording.channels.items()}


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("ring", [False, True])
def test_one_marker_goes_along_each_channel(size: int, ring: bool) -> None:
    """Section 3.2: |E| markers, wherever it begins; here n(n - 1), or n of a ring."""
    network = Network(ChandyLamport, size, ring=ring)
    audit(network, network.ids[-1], C1)
    network.deliver()
    channels = [(s, t) for s, t, message in network.sent if isinstance(message, Marker)]
    assert len(channels) == len(set(channels)) == (size if ring else size * (size - 1))
    assert network.answers == {C1: [Response(1, 10 * size)]}


def test_marker_sending_rule() -> None:
    """Section 3.2: the marker leaves in the step of the recording, before anything else."""
    network = Network(ChandyLamport, 3)
    messages = sent(network, N1, Request(1, Operation("audit")), C1)
    assert messages == [((N2, N3), Marker(FIRST))]
    assert network.nodes[N1].recordings[FIRST].tokens == 10
    assert network.nodes[N1].recordings[FIRST].open == Set((N2, N3))


def test_marker_receiving_rule_at_the_first_marker() -> None:
    """Section 3.2: record the state, and that the marker's channel is empty."""
    network = Network(ChandyLamport, 3)
    assert sent(network, N2, Marker(FIRST), N1) == [((N1, N3), Marker(FIRST))]
    assert network.nodes[N2].recordings[FIRST].open == Set((N3,))
    network.act(N2, Tokens(4), N1)
    assert not network.nodes[N2].recordings[FIRST].channels


def test_marker_receiving_rule_at_later_markers() -> None:
    """Section 3.2: a channel's state is what came along it since the own recording."""
    network = Network(ChandyLamport, 3)
    network.act(N2, Marker(FIRST), N1)
    for amount in (4, 2):
        network.act(N2, Tokens(amount), N3)
    [(to, report)] = sent(network, N2, Marker(FIRST), N3)
    assert to == (N1,)
    assert isinstance(report, Report)
    assert report.recording.tokens == 10
    assert found(report.recording) == {"n3": (4, 2)}
    assert network.nodes[N2].tokens == 16


def test_nobody_is_recorded_twice() -> None:
    """Section 3.2: a process records once, whatever markers still come."""
    network = Network(ChandyLamport, 2)
    network.act(N2, Marker(FIRST), N1)
    assert sent(network, N2, Marker(FIRST), N1) == []
    assert not network.nodes[N2].recordings


@pytest.mark.parametrize(
    ("place", "initiator", "state"),
    [("p", N1, (1, {}, 0)), ("c", N2, (0, {"n1": (1,)}, 0)), ("q", N1, (0, {}, 1))],
)
def test_single_token_conservation(
    place: str, initiator: NodeId, state: tuple[int, dict[str, tuple[int, ...]], int]
) -> None:
    """Section 2, example 2.1: one token, at p, in the channel to q, or at q, is recorded once."""
    network = Network(ChandyLamport, 2, endowment=0)
    network.nodes[N1].tokens = 1
    if place != "p":
        transfer(network, N1, N2, 1)
    if place == "q":
        network.deliver()
    audit(network, initiator, C1)
    network.deliver()
    parts = last(network, initiator)
    assert (parts[N1].tokens, found(parts[N2]), parts[N2].tokens) == state
    assert network.answers[C1] == [Response(1, 1)]


def test_a_token_on_its_way_to_who_has_recorded_is_in_the_channel() -> None:
    """Section 3.1: sent before its sender recorded, received after its receiver did."""
    network = Network(ChandyLamport, 2)
    transfer(network, N2, N1, 3)
    audit(network, N1, C1)
    network.deliver()
    parts = last(network, N1)
    assert (parts[N1].tokens, parts[N2].tokens) == (10, 7)
    assert found(parts[N1]) == {"n2": (3,)}
    assert network.answers[C1] == [Response(1, 20)]


def test_the_computation_goes_on_meanwhile() -> None:
    """Section 1: recording runs concurrently with, but does not alter, the computation."""
    plain, recorded = Network(ChandyLamport, 3), Network(ChandyLamport, 3)
    audit(recorded, N2, C1)
    for network in (plain, recorded):
        for source, target in ((N1, N2), (N2, N3), (N3, N1), (N1, N3)):
            transfer(network, source, target, 2)
            network.deliver_next()
        network.deliver()
    tokens = [[node.tokens for node in n.nodes.values()] for n in (plain, recorded)]
    assert tokens[0] == tokens[1]


def test_snapshots_do_not_get_into_each_others_way() -> None:
    """Section 3.1: any process may begin, at any time; markers then name their snapshot."""
    network = Network(ChandyLamport, 3)
    transfer(network, N3, N1, 5)
    audit(network, N1, C1)
    audit(network, N2, C2)
    audit(network, N1, C2, 2)
    network.deliver()
    assert network.answers[C1] == [Response(1, 30)]
    assert network.answers[C2] == [Response(0), Response(1, 30), Response(2, 30)]


def test_nothing_is_recorded_if_a_process_has_stopped() -> None:
    """Section 2: processes and channels do not fail; a snapshot then never ends."""
    network = Network(ChandyLamport, 3)
    network.isolate(N3)
    audit(network, N1, C1)
    network.deliver()
    assert network.answers == {}
    assert FIRST in network.nodes[N1].recordings


def test_nobody_gives_what_it_has_not() -> None:
    """Departure: a transfer of more than there is surely fails."""
    network = Network(ChandyLamport, 2)
    transfer(network, N1, N2, 11)
    network.deliver()
    assert network.answers == {C2: [Response(0, ok=False)]}
    assert network.nodes[N1].tokens == 10


def test_the_recorded_state_may_never_have_occurred(golden: Callable[[str, str], None]) -> None:
    """Section 4: what is recorded is a state that might have been between begin and end."""
    story = Story(ChandyLamport, 2)
    story.tell("n1 begins: it records 10 tokens, and sends a marker.")
    audit(story, N1, C1)
    story.tell("Then it sends 3 tokens, so that it has 7; only now does n2 send 4, and has 6.")
    transfer(story, N1, N2, 3)
    transfer(story, N2, N1, 4)
    story.arrive(Response)
    story.tell("The marker reaches n2, which records 6 tokens, and sends a marker in turn.")
    story.arrive(Marker, "n1")
    story.tell("Before that marker n1 receives 4 tokens: they are in the channel.")
    story.arrive(Tokens, "n2")
    story.arrive(Marker, "n2")
    story.deliver()
    story.tell("Recorded: 10 at n1 and 6 at n2, which was never so at one time, and 4 under way.")
    parts = last(story, N1)
    assert (parts[N1].tokens, parts[N2].tokens, found(parts[N1])) == (10, 6, {"n2": (4,)})
    assert story.answers[C1] == [Response(1, 20)]
    golden("never_occurred.txt", story.text)


def test_order_in_channels_is_needed(golden: Callable[[str, str], None]) -> None:
    """Section 2: a marker that overtakes a token leaves it out of what is recorded."""
    story = Story(ChandyLamport, 2, endowment=5)
    story.tell("n1 sends a token, and begins a snapshot.")
    transfer(story, N1, N2, 1)
    audit(story, N1, C1)
    story.arrive(Response)
    story.tell("The marker overtakes the token: n2 records the channel as empty.")
    story.arrive(Marker, "n1")
    story.arrive(Marker, "n2")
    story.arrive(Report)
    story.arrive(Response)
    story.arrive(Tokens)
    assert story.answers[C1] == [Response(1, 9)]
    nodes = list(story.nodes.values())
    assert not conserved.check(nodes)
    assert not consistent.check(nodes)
    golden("overtaking_marker.txt", story.text)
