"""Ricart and Agrawala (1981), and Carvalho and Roucairol (1983), claim by claim."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.kernel.env import Send
from quorate.protocols.mutex.ricart_agrawala import Ask, Permit, RicartAgrawala
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
C1, C2, C3 = (NodeId(f"c{number}") for number in range(1, 4))


def acquire(network: Network[RicartAgrawala], id: NodeId, client: NodeId, number: int = 1) -> None:
    """A client wants to enter."""
    network.act(id, Request(number, Operation("acquire")), client)


def release(network: Network[RicartAgrawala], id: NodeId, client: NodeId, number: int = 2) -> None:
    """A client leaves."""
    network.act(id, Request(number, Operation("release")), client)


def enter_and_leave(network: Network[RicartAgrawala], id: NodeId, client: NodeId) -> int:
    """One entry, all by itself: how many messages it takes."""
    before = len(network.sent)
    acquire(network, id, client)
    network.deliver()
    assert inside(network) == [id]
    release(network, id, client)
    network.deliver()
    return sum(target in network.ids for _, target, _ in network.sent[before:])


def sent(network: Network[RicartAgrawala], id: NodeId, event: Any, sender: NodeId) -> list[Any]:
    """What a node sends in answer to one event."""
    effects = network.act(id, event, sender)
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def inside(network: Network[RicartAgrawala]) -> list[NodeId]:
    return [id for id, node in network.nodes.items() if node.is_inside]


@pytest.mark.parametrize("size", range(2, 8))
def test_an_entry_takes_two_messages_for_each_other_node(size: int) -> None:
    """Message traffic: n - 1 requests and n - 1 replies, however often it is entered."""
    network = Network(RicartAgrawala, size)
    assert enter_and_leave(network, N1, C1) == 2 * (size - 1)
    assert enter_and_leave(network, N2, C2) == 2 * (size - 1)
    assert enter_and_leave(network, N2, C2) == 2 * (size - 1)


@pytest.mark.parametrize("size", range(2, 6))
def test_contention_costs_no_message_more(size: int) -> None:
    """Message traffic: all nodes at once, 2(n - 1) for each entry all the same."""
    network = Network(RicartAgrawala, size)
    for id in network.ids:
        acquire(network, id, C1)
    network.deliver()
    order = []
    while inside(network):
        [holder] = inside(network)
        order.append(holder)
        release(network, holder, C1)
        network.deliver()
    assert order == list(network.ids)
    messages = [m for _, target, m in network.sent if target in network.ids]
    assert len(messages) == size * 2 * (size - 1)


def test_a_request_carries_a_number_above_all_seen() -> None:
    """The algorithm: as a customer in a bakery, who draws the next number."""
    network = Network(RicartAgrawala, 3)
    network.act(N1, Ask((7, N2)), N2)
    network.act(N1, Ask((4, N3)), N3)
    requests = sent(network, N1, Request(1, Operation("acquire")), C1)
    assert requests == [((N2,), Ask((8, N1))), ((N3,), Ask((8, N1)))]


def test_whoever_does_not_ask_permits_at_once() -> None:
    network = Network(RicartAgrawala, 3)
    assert sent(network, N1, Ask((1, N2)), N2) == [((N2,), Permit())]


@pytest.mark.parametrize(
    ("theirs", "gives_way"),
    [((1, N1), True), ((1, N3), False), ((2, N1), False), ((2, N3), False)],
)
def test_the_earlier_request_has_priority(theirs: tuple[int, NodeId], gives_way: bool) -> None:
    """Defer_it: greater number, or the same one and a greater node."""
    network = Network(RicartAgrawala, 3)
    acquire(network, N2, C1)
    assert network.nodes[N2].ticket == (1, N2)
    answers = sent(network, N2, Ask(theirs), theirs[1])
    assert answers == ([((theirs[1],), Permit())] if gives_way else [])
    assert (theirs[1] in network.nodes[N2].deferred) is not gives_way


def test_the_number_of_the_request_counts_and_not_a_later_one() -> None:
    """Our_Sequence_Number stays, whatever numbers are seen meanwhile."""
    network = Network(RicartAgrawala, 3)
    acquire(network, N1, C1)
    network.act(N1, Ask((9, N2)), N2)
    assert network.nodes[N1].highest == 9
    network.act(N1, Ask((8, N3)), N3)
    assert set(network.nodes[N1].deferred) == {N2, N3}


def test_who_was_deferred_is_answered_at_the_end() -> None:
    """Reply_Deferred: once, when the node leaves."""
    network = Network(RicartAgrawala, 2)
    acquire(network, N1, C1)
    network.deliver()
    assert sent(network, N1, Ask((2, N2)), N2) == []
    answers = sent(network, N1, Request(2, Operation("release")), C1)
    assert answers == [((C1,), Response(2)), ((N2,), Permit())]
    assert not network.nodes[N1].deferred


def test_every_node_must_permit() -> None:
    """A node that has stopped stops all, as the paper says before it mends that by time-outs."""
    network = Network(RicartAgrawala, 4)
    network.isolate(NodeId("n4"))
    acquire(network, N1, C1)
    network.deliver()
    assert inside(network) == []
    assert len(network.nodes[N1].permissions) == 2


def test_clients_of_one_node_take_turns() -> None:
    """Departure: a node asks anew for each client."""
    network = Network(RicartAgrawala, 2)
    for client in (C1, C2):
        acquire(network, N1, client)
    acquire(network, N2, C3)
    network.deliver()
    assert network.answers == {C1: [Response(1)]}
    release(network, N1, C1)
    network.deliver()
    assert inside(network) == [N2]
    release(network, N2, C3)
    network.deliver()
    assert network.answers[C2] == [Response(1)]


def test_clients_cannot_enter_twice_or_leave_what_they_have_not_entered() -> None:
    """Departure: such requests surely fail."""
    network = Network(RicartAgrawala, 2)
    release(network, N1, C1, 1)
    acquire(network, N1, C1, 2)
    network.deliver()
    acquire(network, N1, C1, 3)
    release(network, N1, C2, 1)
    network.deliver()
    refused = [Response(1, ok=False), Response(2), Response(3, ok=False)]
    assert network.answers == {C1: refused, C2: [Response(1, ok=False)]}


@pytest.mark.parametrize("size", range(2, 6))
def test_kept_permissions_cost_between_nothing_and_the_same(size: int) -> None:
    """Carvalho-Roucairol: 0 to 2(n - 1) messages."""
    network = Network(RicartAgrawala, size, keep_permissions=True)
    assert enter_and_leave(network, N1, C1) == 2 * (size - 1)
    assert enter_and_leave(network, N1, C1) == 0
    # n1 alone has lost its permission to enter, n2's, and it alone is asked.
    assert enter_and_leave(network, N2, C2) == 2 * (size - 1)
    assert enter_and_leave(network, N1, C1) == 2


def test_a_permission_given_away_is_asked_back() -> None:
    """Carvalho-Roucairol: by who still waits, with the same number."""
    network = Network(RicartAgrawala, 3, keep_permissions=True)
    network.act(N3, Permit(), N2)
    network.nodes[N3].highest = 4
    acquire(network, N3, C1)
    answers = sent(network, N3, Ask((3, N2)), N2)
    assert answers == [((N2,), Permit()), ((N2,), Ask((5, N3)))]
    assert not network.nodes[N3].permissions


def test_two_ask_with_one_number(golden: Callable[[str, str], None]) -> None:
    """The paper's example of a tie: the node with the smaller name goes first."""
    story = Story(RicartAgrawala, 3)
    story.tell("n1 and n2 ask at the same time, and draw the same number.")
    acquire(story, N1, C1)
    acquire(story, N2, C2)
    story.arrive(Ask)
    story.tell("n3 permits both, n2 permits n1, and n1 defers n2.")
    story.arrive(Permit)
    assert inside(story) == [N1]
    story.tell("n1 leaves.")
    release(story, N1, C1)
    story.arrive(Response)
    story.arrive(Permit)
    assert inside(story) == [N2]
    golden("tie.txt", story.text)


def test_order_on_links_is_not_needed(golden: Callable[[str, str], None]) -> None:
    """A request that overtakes its sender's permission is the later one, and is deferred."""
    story = Story(RicartAgrawala, 2)
    story.tell("n1 asks, and n2's permission is slow.")
    acquire(story, N1, C1)
    story.arrive(Ask)
    story.tell("n2 asks as well, and its request overtakes the permission.")
    acquire(story, N2, C2)
    story.arrive(Ask)
    assert inside(story) == []
    story.tell("The permission arrives: n1 enters, and n2 waits until it leaves.")
    story.arrive(Permit)
    assert inside(story) == [N1]
    release(story, N1, C1)
    story.arrive(Permit)
    assert inside(story) == [N2]
    golden("overtaking.txt", story.text)


def test_a_kept_permission_goes_back_and_forth(golden: Callable[[str, str], None]) -> None:
    """Carvalho-Roucairol: whoever gives away a kept permission while it waits asks it back."""
    story = Story(RicartAgrawala, 3, keep_permissions=True)
    story.tell("n2 has entered before, and keeps everyone's permission.")
    enter_and_leave(story, N2, C2)
    story.tell("n3 asks; its request is slow to reach n2.")
    acquire(story, N3, C3)
    story.arrive(Ask, "n3", "n1")
    story.tell("n1 asks too. n2 permits that, asks anew, and so draws a later number than n3.")
    acquire(story, N1, C1)
    story.arrive(Ask, "n1", "n2")
    acquire(story, N2, C2, 3)
    story.tell("n3's request is the earlier: n2 gives its permission away, and asks it back.")
    story.arrive(Ask, "n3", "n2")
    story.deliver()
    assert inside(story) == [N3]
    release(story, N3, C3)
    story.deliver()
    assert inside(story) == [N1]
    release(story, N1, C1)
    story.deliver()
    assert inside(story) == [N2]
    golden("kept_permissions.txt", story.text)
