"""Chang and Roberts (1979), claim by claim."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.protocols.election.chang_roberts import Candidate, ChangRoberts, Elected
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
C1, C2 = NodeId("c1"), NodeId("c2")


def elect(network: Network[ChangRoberts], id: NodeId, client: NodeId = C1) -> None:
    """A client wants to know who leads."""
    network.act(id, Request(1, Operation("elect")), client)


def election(numbers: Sequence[int], initiators: Sequence[int]) -> Network[ChangRoberts]:
    """The end of an election which the processes at these places of the ring have begun."""
    network = Network(ChangRoberts, len(numbers), arrangement=tuple(numbers))
    for place in initiators:
        elect(network, network.ids[place])
    network.deliver()
    return network


def count(network: Network[ChangRoberts], kind: type) -> int:
    """How many messages of a kind were sent."""
    return sum(type(message) is kind for _, _, message in network.sent)


def leaders(network: Network[ChangRoberts]) -> set[int | None]:
    return {node.leader for node in network.nodes.values()}


@pytest.mark.parametrize("size", range(1, 6))
def test_the_highest_is_elected_whoever_begins(size: int) -> None:
    """In every order of the ring, whatever single process begins."""
    for numbers in permutations(range(size)):
        for initiator in range(size):
            assert leaders(election(numbers, [initiator])) == {size - 1}


@pytest.mark.parametrize("size", range(2, 9))
def test_the_best_case(size: int) -> None:
    """All begin, and each lower number meets a higher process at once: 2n - 1 messages."""
    network = election(range(size), range(size))
    assert count(network, Candidate) == 2 * size - 1
    assert leaders(network) == {size - 1}


@pytest.mark.parametrize("size", range(2, 9))
def test_the_worst_case(size: int) -> None:
    """All begin, and number k goes k steps: n(n + 1) / 2 messages."""
    network = election(range(size - 1, -1, -1), range(size))
    assert count(network, Candidate) == size * (size + 1) // 2
    assert leaders(network) == {size - 1}


@pytest.mark.parametrize("size", range(3, 7))
def test_the_average_is_n_times_the_harmonic_number(size: int) -> None:
    """Over all orders of the ring, when all begin: exactly n H_n messages."""
    orders = list(permutations(range(size)))
    total = sum(count(election(order, range(size)), Candidate) for order in orders)
    harmonic = sum((Fraction(1, k) for k in range(1, size + 1)), Fraction())
    assert Fraction(total, len(orders)) == size * harmonic


@pytest.mark.parametrize("size", range(2, 7))
def test_the_announcement_goes_round_once(size: int) -> None:
    """Departure: n messages more."""
    assert count(election(range(size), range(size)), Elected) == size


def test_a_higher_number_is_passed_on() -> None:
    network = Story(ChangRoberts, 3)
    network.act(N1, Candidate(2), N3)
    assert list(network.queue) == [(N1, N2, Candidate(2))]
    assert network.nodes[N1].is_marked


def test_a_lower_number_wakes_a_process_that_has_not_begun() -> None:
    """The number itself ends there."""
    network = Story(ChangRoberts, 3)
    network.act(N3, Candidate(1), N2)
    assert list(network.queue) == [(N3, N1, Candidate(2))]


def test_a_lower_number_ends_at_a_process_that_has_begun() -> None:
    """Message extinction; likewise if it has passed on a higher number."""
    network = Story(ChangRoberts, 4)
    elect(network, N3)
    network.act(N2, Candidate(3), N1)
    network.queue.clear()
    network.act(N3, Candidate(1), N2)
    network.act(N2, Candidate(0), N1)
    assert not network.queue


def test_whose_number_comes_back_is_elected() -> None:
    """It is, once: a repeated message changes nothing."""
    network = Story(ChangRoberts, 3)
    elect(network, N3)
    network.queue.clear()
    for _ in range(2):
        network.act(N3, Candidate(2), N2)
    assert list(network.queue) == [(N3, N1, Elected(2)), (N3, C1, Response(1, 2))]


def test_nobody_but_the_neighbour_is_told() -> None:
    """Processes know their neighbour, and not how many there are."""
    network = election((3, 1, 4, 0, 2), range(5))
    ring = {(id, network.ids[(place + 1) % 5]) for place, id in enumerate(network.ids)}
    assert {(s, t) for s, t, _ in network.sent if t in network.ids} == ring


def test_order_is_not_needed() -> None:
    """Any message under way may be the next to arrive: the last one sent, always, here."""
    network = Network(ChangRoberts, 5, arrangement=(4, 3, 2, 1, 0))
    for id in network.ids:
        elect(network, id)
    while network.queue:
        network.queue.rotate(1)
        network.deliver_next()
    assert leaders(network) == {4}


def test_who_comes_late_is_told() -> None:
    """No second election."""
    network = election(range(3), [0])
    before = count(network, Candidate)
    elect(network, N2, C2)
    network.deliver()
    assert network.answers == {C1: [Response(1, 2)], C2: [Response(1, 2)]}
    assert count(network, Candidate) == before


def test_a_process_that_has_stopped_stops_the_election() -> None:
    """The ring is whole, or nobody is elected."""
    network = Network(ChangRoberts, 4)
    network.isolate(NodeId("n4"))
    elect(network, N1)
    network.deliver()
    assert leaders(network) == {None}


def test_the_numbers_of_a_longer_ring() -> None:
    """They differ, also where the arrangement is shorter than the ring."""
    network = Network(ChangRoberts, 7, arrangement=(2, 0, 1))
    numbers = [node.number() for node in network.nodes.values()]
    assert numbers == [2, 0, 1, 5, 3, 4, 8]


def test_two_begin(golden: Callable[[str, str], None]) -> None:
    """The paper's idea: the lower number ends where it meets a higher process."""
    story = Story(ChangRoberts, 4, arrangement=(2, 0, 3, 1))
    story.tell("The numbers around the ring are 2, 0, 3, 1. Number 2 and number 0 begin.")
    elect(story, N1, C1)
    elect(story, N2, C2)
    story.tell("0 meets 3, who has not begun, and does now; 2 passes 0, and meets 3 too.")
    story.arrive(Candidate, "n2")
    story.arrive(Candidate, "n1")
    story.arrive(Candidate, "n2")
    story.tell("3 goes all the way round.")
    for id in ("n3", "n4", "n1", "n2"):
        story.arrive(Candidate, id)
    story.tell("Now all are told.")
    story.deliver()
    assert leaders(story) == {3}
    golden("extinction.txt", story.text)


def test_the_worst_order(golden: Callable[[str, str], None]) -> None:
    """Three processes in descending order: 3 + 2 + 1 messages."""
    story = Story(ChangRoberts, 3, arrangement=(2, 1, 0))
    story.tell("All begin. Every number has to pass all lower ones before it meets a higher.")
    for id in story.ids:
        elect(story, id)
    story.deliver()
    assert count(story, Candidate) == 6
    golden("worst_case.txt", story.text)
