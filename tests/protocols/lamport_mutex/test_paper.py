"""Lamport (1978), "Ordering the Events Totally", claim by claim."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.kernel.env import Send
from quorate.protocols.mutex.lamport_mutex import (
    Acknowledges,
    LamportMutex,
    ReleasesResource,
    RequestsResource,
    mutual_exclusion,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
C1, C2, C3 = (NodeId(f"c{number}") for number in range(1, 4))


def acquire(network: Network[LamportMutex], id: NodeId, client: NodeId, number: int = 1) -> None:
    """A client asks for the resource."""
    network.act(id, Request(number, Operation("acquire")), client)


def release(network: Network[LamportMutex], id: NodeId, client: NodeId, number: int = 2) -> None:
    """A client gives the resource back."""
    network.act(id, Request(number, Operation("release")), client)


def sent(network: Network[LamportMutex], id: NodeId, event: Any, sender: NodeId) -> list[Any]:
    """What a node sends in answer to one event."""
    effects = network.act(id, event, sender)
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def holders(network: Network[LamportMutex]) -> list[NodeId]:
    return [id for id, node in network.nodes.items() if node.has_resource]


def kinds(network: Network[LamportMutex]) -> list[str]:
    """The kinds of all messages between processes, in the order of sending."""
    return [type(m).__name__ for _, target, m in network.sent if target in network.ids]


@pytest.mark.parametrize("size", range(2, 8))
def test_an_entry_takes_three_messages_for_each_other_process(size: int) -> None:
    """Rules 1 to 3: n - 1 requests, acknowledgements and releases each."""
    network = Network(LamportMutex, size)
    acquire(network, N1, C1)
    network.deliver()
    assert holders(network) == [N1]
    release(network, N1, C1)
    network.deliver()
    found = kinds(network)
    assert len(found) == 3 * (size - 1)
    assert {found.count(kind) for kind in found} == {size - 1}
    assert not any(node.queue for node in network.nodes.values())


def test_rule_1_a_request_goes_to_all_others_and_to_the_own_queue() -> None:
    network = Network(LamportMutex, 3)
    [request] = sent(network, N1, Request(1, Operation("acquire")), C1)
    assert request == ((N2, N3), RequestsResource(1))
    assert list(network.nodes[N1].queue) == [(1, N1)]


def test_rule_2_a_request_is_queued_and_acknowledged() -> None:
    network = Network(LamportMutex, 3)
    [answer] = sent(network, N2, RequestsResource(4), N1)
    assert answer == ((N1,), Acknowledges(6))
    assert list(network.nodes[N2].queue) == [(4, N1)]


def test_rules_3_and_4_a_release_removes_the_request_everywhere() -> None:
    network = Network(LamportMutex, 3)
    acquire(network, N1, C1)
    acquire(network, N2, C2)
    network.deliver()
    assert {len(node.queue) for node in network.nodes.values()} == {2}
    release(network, N1, C1)
    assert list(network.nodes[N1].queue) == [(1, N2)]
    network.deliver()
    assert {tuple(node.queue) for node in network.nodes.values()} == {((1, N2),)}


def test_rule_5_demands_to_be_first_and_to_have_heard_from_all() -> None:
    """An acknowledgement, or any other message that was sent later, tells enough."""
    network = Network(LamportMutex, 3)
    acquire(network, N1, C1)
    network.act(N1, Acknowledges(3), N2)
    assert holders(network) == []
    network.act(N1, RequestsResource(2), N3)
    assert holders(network) == [N1]


def test_what_was_sent_before_the_request_tells_nothing() -> None:
    """Rule 5 (ii): later than the request, not only received after it."""
    network = Network(LamportMutex, 2)
    network.act(N1, ReleasesResource(5), N2)
    acquire(network, N1, C1)
    assert network.nodes[N1].mine == (7, N1)
    network.act(N1, ReleasesResource(6), N2)
    assert holders(network) == []
    network.act(N1, Acknowledges(9), N2)
    assert holders(network) == [N1]


def test_implementation_rules() -> None:
    """IR1: clocks tick between events. IR2: receipt is later than sending, and never earlier."""
    network = Network(LamportMutex, 2)
    network.act(N2, RequestsResource(40), N1)
    assert network.nodes[N2].clock == 42
    network.act(N2, ReleasesResource(7), N1)
    assert network.nodes[N2].clock == 43


def test_ties_are_broken_by_process() -> None:
    """The relation => : of two requests at one time, the first process's is the earlier."""
    network = Network(LamportMutex, 2)
    acquire(network, N2, C2)
    acquire(network, N1, C1)
    network.deliver()
    assert network.nodes[N1].mine == (1, N1)
    assert network.nodes[N2].mine == (1, N2)
    assert holders(network) == [N1]


def test_requests_are_granted_in_the_order_in_which_they_are_made() -> None:
    """Condition II, where a central scheduler fails: n2 asks because it has heard n1 ask, and its
    request is the first to reach n3."""
    story = Story(LamportMutex, 3)
    acquire(story, N1, C1)
    story.arrive(RequestsResource, "n1", "n2")
    acquire(story, N2, C2)
    story.arrive(RequestsResource, "n2", "n3")
    assert list(story.nodes[N3].queue) == [(4, N2)]
    story.deliver()
    assert holders(story) == [N1]
    release(story, N1, C1)
    story.deliver()
    assert holders(story) == [N2]


def test_every_request_is_granted() -> None:
    """Condition III, for clients of one process too."""
    network = Network(LamportMutex, 3)
    waiting = [(N1, C1), (N1, C2), (N2, C3)]
    for id, client in waiting:
        acquire(network, id, client)
    network.deliver()
    granted = []
    while waiting:
        [holder] = holders(network)
        client = network.nodes[holder].clients[0][0]
        granted.append(client)
        waiting.remove((holder, client))
        release(network, holder, client)
        network.deliver()
    assert granted == [C1, C3, C2]


def test_a_process_that_has_stopped_stops_all() -> None:
    """The paper, on failures: no entry without an answer of every process."""
    network = Network(LamportMutex, 4)
    network.isolate(NodeId("n4"))
    acquire(network, N1, C1)
    network.deliver()
    assert holders(network) == []


def test_a_needless_acknowledgement_may_be_left_out() -> None:
    """Footnote to rule 2: whoever has told something later already has acknowledged."""
    network = Network(LamportMutex, 2, spare_acknowledgements=True)
    network.act(N2, ReleasesResource(8), N1)
    acquire(network, N2, C2)
    assert network.nodes[N2].mine == (10, N2)
    assert sent(network, N2, RequestsResource(9), N1) == []
    assert [m for _, m in sent(network, N2, RequestsResource(10), N1)] == [Acknowledges(13)]


def test_clients_cannot_have_twice_or_give_back_what_they_have_not() -> None:
    """Departure: such requests surely fail."""
    network = Network(LamportMutex, 2)
    release(network, N1, C1, 1)
    acquire(network, N1, C1, 2)
    network.deliver()
    acquire(network, N1, C1, 3)
    release(network, N1, C2, 1)
    network.deliver()
    refused = [Response(1, ok=False), Response(2), Response(3, ok=False)]
    assert network.answers == {C1: refused, C2: [Response(1, ok=False)]}
    assert holders(network) == [N1]


def test_one_process_alone() -> None:
    """There is nobody to be heard."""
    network = Network(LamportMutex, 1)
    acquire(network, N1, C1)
    network.deliver()
    assert network.answers == {C1: [Response(1)]}


def test_two_ask_at_the_same_time(golden: Callable[[str, str], None]) -> None:
    """Rules 1 to 5 at work: the one whose request is earlier enters, then the other."""
    story = Story(LamportMutex, 2)
    story.tell("Both ask at time 1; the tie goes to n1.")
    acquire(story, N1, C1)
    acquire(story, N2, C2)
    story.deliver()
    assert holders(story) == [N1]
    story.tell("n1 gives the resource back, and n2 has it at once.")
    release(story, N1, C1)
    story.deliver()
    assert holders(story) == [N2]
    golden("tie.txt", story.text)


def test_acknowledgements_are_spared(golden: Callable[[str, str], None]) -> None:
    """Footnote to rule 2: n2 has asked later, so its own request tells n1 all it needs."""
    story = Story(LamportMutex, 2, spare_acknowledgements=True)
    story.nodes[N2].clock = 4
    story.tell("n2's clock is ahead, so its request is later; n1 needs no other acknowledgement.")
    acquire(story, N1, C1)
    acquire(story, N2, C2)
    story.deliver()
    assert holders(story) == [N1]
    assert kinds(story).count("Acknowledges") == 1
    golden("spared.txt", story.text)


def test_order_on_links_is_needed(golden: Callable[[str, str], None]) -> None:
    """The paper assumes that messages are received in the order in which they are sent."""
    story = Story(LamportMutex, 2)
    story.tell("Both ask at time 1, and the earlier request, that of n1, is slow.")
    acquire(story, N1, C1)
    acquire(story, N2, C2)
    story.arrive(RequestsResource, "n2", "n1")
    story.tell("n1's acknowledgement overtakes its own request: n2 believes to be the first.")
    story.arrive(Acknowledges, "n1", "n2")
    assert holders(story) == [N2]
    story.tell("The request arrives, and n2 acknowledges it, which says nothing of being inside.")
    story.arrive(RequestsResource, "n1", "n2")
    story.arrive(Acknowledges, "n2", "n1")
    assert holders(story) == [N1, N2]
    assert not mutual_exclusion.check(list(story.nodes.values()))
    golden("overtaken.txt", story.text)
