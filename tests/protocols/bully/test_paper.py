"""Garcia-Molina (1982), the bully algorithm, in the textbooks' form, claim by claim."""

from collections.abc import Callable

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.protocols.election.bully import (
    Answer,
    Beat,
    Bully,
    Coordinator,
    Election,
    Silence,
    strongest_coordinates,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
C1 = NodeId("c1")


def settle(network: Network[Bully]) -> None:
    """All start, and follow the strongest."""
    network.deliver()
    assert strongest_coordinates.check(list(network.nodes.values()))
    network.sent.clear()


def lose(network: Network[Bully], id: NodeId) -> None:
    """This node has crashed, and nothing reaches it or comes from it any more."""
    network.isolate(id)


def end_elections(network: Network[Bully]) -> None:
    """Everything arrives; then the patience of whoever was not answered ends."""
    network.deliver()
    for id, node in list(network.nodes.items()):
        if node.state == "election" and Silence() in network.timers[id]:
            network.fire(id, Silence())
    network.deliver()


def counts(network: Network[Bully]) -> list[int]:
    """How many elections, answers and announcements were sent."""
    kinds = [type(message) for _, _, message in network.sent]
    return [kinds.count(kind) for kind in (Election, Answer, Coordinator)]


@pytest.mark.parametrize(("size", "total"), [(4, 11), (5, 19), (8, 55)])
def test_messages_of_the_worst_election(size: int, total: int) -> None:
    """The strongest has crashed, and the weakest is the first to miss it."""
    network = Network(Bully, size)
    settle(network)
    lose(network, network.ids[-1])
    network.fire(N1, Silence())
    end_elections(network)
    n = size
    assert counts(network) == [n * (n - 1) // 2, (n - 1) * (n - 2) // 2, n - 2]
    assert sum(counts(network)) == total
    assert {network.nodes[id].coordinator for id in network.ids[:-1]} == {network.ids[-2]}


@pytest.mark.parametrize("size", [2, 4, 7])
def test_messages_of_the_best_election(size: int) -> None:
    """The second strongest is the first to miss the strongest: one question, n - 2 to be told."""
    network = Network(Bully, size)
    settle(network)
    lose(network, network.ids[-1])
    network.fire(network.ids[-2], Silence())
    end_elections(network)
    assert counts(network) == [1, 0, size - 2]


def test_the_strongest_need_not_ask() -> None:
    network = Network(Bully, 3)
    assert network.nodes[N3].coordinator == N3
    assert [message for source, _, message in network.sent if source == N3] == [Coordinator()] * 2


def test_whoever_is_answered_does_not_lead() -> None:
    """It waits for the stronger node, and asks anew if that never announces itself."""
    network = Network(Bully, 3)
    network.queue.clear()
    network.act(N1, Answer(), N2)
    assert network.nodes[N1].state == "waiting"
    network.sent.clear()
    network.fire(N1, Silence())
    assert network.nodes[N1].coordinator is None
    assert network.sent == [(N1, N2, Election()), (N1, N3, Election())]


def test_whoever_is_not_answered_leads() -> None:
    network = Network(Bully, 3)
    network.queue.clear()
    network.fire(N2, Silence())
    assert network.nodes[N2].coordinator == N2
    assert list(network.queue) == [(N2, N1, Coordinator())]


def test_a_node_that_is_asked_holds_an_election_once() -> None:
    """However many weaker nodes ask it."""
    network = Network(Bully, 4)
    settle(network)
    lose(network, N4)
    network.queue.clear()
    for id in (N1, N2):
        network.act(N3, Election(), id)
    assert counts(network) == [1, 2, 0]
    assert list(network.nodes[N3].answered) == [N1, N2]


def test_a_coordinator_answers_by_announcing_itself() -> None:
    """Departure: it need not hold an election to know that it leads."""
    network = Network(Bully, 3)
    settle(network)
    network.act(N3, Election(), N1)
    assert list(network.queue) == [(N3, N1, Coordinator())]


def test_a_coordinator_repeats_itself_until_it_follows_another() -> None:
    """Departure: so that it is missed once it falls silent."""
    network = Network(Bully, 3)
    network.queue.clear()
    network.fire(N2, Silence())
    network.queue.clear()
    network.fire(N2, Beat())
    assert list(network.queue) == [(N2, N1, Coordinator())]
    network.act(N2, Coordinator(), N3)
    network.queue.clear()
    network.fire(N2, Beat())
    assert not network.queue


def test_time_outs_are_longer_than_messages_take() -> None:
    """Assumption: bounded response time, on which all rests."""
    node = Bully(id=N1, peers=(N1, N2))
    slowest = 65 * 10**6
    assert node.patience > 2 * slowest
    assert node.watch[0] > node.beat + slowest
    assert node.wait[0] > node.patience + 2 * slowest


def test_a_client_is_told_once_somebody_coordinates() -> None:
    network = Network(Bully, 2)
    network.queue.clear()
    network.act(N1, Request(1, Operation("coordinator")), C1)
    assert not network.queue
    network.act(N1, Coordinator(), N2)
    network.deliver()
    assert network.answers == {C1: [Response(1, N2)]}


def test_the_strongest_crashes_and_comes_back(golden: Callable[[str, str], None]) -> None:
    """The name of the algorithm: whoever comes back stronger takes over from who stood in."""
    story = Story(Bully, 3)
    settle(story)
    story.lines.clear()
    story.tell("n3 coordinates, and crashes. n1 is the first to miss it.")
    story.crash(N3, restart=False)
    lose(story, N3)
    story.fire(N1, Silence())
    story.deliver()
    story.tell("Nobody answers n2, so it leads.")
    story.fire(N2, Silence())
    story.deliver()
    assert [story.nodes[id].coordinator for id in (N1, N2)] == [N2, N2]
    story.tell("n3 comes back, and bullies n2 out of the lead.")
    story.heal()
    story.crash(N3)
    story.deliver()
    assert {node.coordinator for node in story.nodes.values()} == {N3}
    golden("comeback.txt", story.text)


def test_two_coordinate_if_a_time_out_is_too_short(golden: Callable[[str, str], None]) -> None:
    """Beyond the model: an answer that comes after the patience of who asked has ended."""
    story = Story(Bully, 3)
    settle(story)
    story.lines.clear()
    story.tell("n3 has crashed. n1 asks n2, whose answer is slow.")
    story.crash(N3, restart=False)
    lose(story, N3)
    story.fire(N1, Silence())
    story.arrive(Election, "n1", "n2")
    story.tell("n1's patience ends: it leads, and so does n2.")
    story.fire(N1, Silence())
    story.fire(N2, Silence())
    assert [story.nodes[id].coordinator for id in (N1, N2)] == [N1, N2]
    story.tell("The announcement of n2 sets it right.")
    story.deliver()
    assert story.nodes[N1].coordinator == N2
    golden("impatience.txt", story.text)
