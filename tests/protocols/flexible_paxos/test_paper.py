"""Howard, Malkhi and Spiegelman, "Flexible Paxos" (OPODIS 2016), claim by claim."""

from collections.abc import Callable, Iterator
from itertools import combinations

import pytest

from quorate.kernel import NodeId, Operation, Request, Response, majority
from quorate.protocols.consensus.flexible_paxos import FlexiblePaxos, Grid, Simple
from quorate.protocols.consensus.multi_paxos import (
    Accept,
    Accepted,
    Decision,
    LeaderTimeout,
    Prepare,
    Promise,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

ALICE = NodeId("alice")
Quorum = frozenset[NodeId]


def acceptors(count: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(f"n{number}") for number in range(1, count + 1))


def subsets(count: int) -> Iterator[Quorum]:
    """All sets of acceptors."""
    for size in range(count + 1):
        yield from map(frozenset, combinations(acceptors(count), size))


def smallest(is_quorum: Callable[[Quorum, tuple[NodeId, ...]], bool], count: int) -> list[Quorum]:
    """The quorums that contain no other one."""
    found: list[Quorum] = []
    for subset in subsets(count):
        if is_quorum(subset, acceptors(count)) and not any(other <= subset for other in found):
            found.append(subset)
    return found


def meet(quorums: Simple | Grid, count: int) -> bool:
    """Whether every quorum of phase 1 has a member in common with every quorum of phase 2."""
    first, second = smallest(quorums.may_lead, count), smallest(quorums.may_choose, count)
    return all(one & other for one in first for other in second)


@pytest.mark.parametrize("count", range(1, 7))
def test_quorums_meet_if_together_they_are_more_than_all(count: int) -> None:
    """Simple quorums: two sets of sizes q1 and q2 always intersect if and only if q1 + q2 > n."""
    everyone = acceptors(count)
    for q1 in range(1, count + 1):
        for q2 in range(1, count + 1):
            pairs = ((set(a), set(b)) for a in combinations(everyone, q1)
                     for b in combinations(everyone, q2))  # fmt: skip
            assert all(a & b for a, b in pairs) == (q1 + q2 > count)


@pytest.mark.parametrize("count", range(1, 7))
def test_simple_quorums_of_any_size_are_safe(count: int) -> None:
    """Phase 1 takes as many as phase 2 demands, and no more."""
    for size in range(1, count + 1):
        quorums = Simple(size)
        assert meet(quorums, count)
        assert {len(quorum) for quorum in smallest(quorums.may_choose, count)} == {size}
        assert {len(quorum) for quorum in smallest(quorums.may_lead, count)} == {count + 1 - size}


@pytest.mark.parametrize(("width", "count"), [(2, 4), (3, 6), (2, 6), (4, 4), (1, 3), (2, 5)])
def test_grids_are_safe(width: int, count: int) -> None:
    """Grid quorums: a column meets every row, also where the last row is not full."""
    assert meet(Grid(width), count)


def test_quorums_of_one_phase_need_not_meet() -> None:
    """Grid quorums: neither two rows nor two columns have a member in common."""
    for is_quorum in (Grid(2).may_lead, Grid(2).may_choose):
        one, other = smallest(is_quorum, 4)
        assert not one & other


def test_a_grid_has_smaller_quorums_than_counting_allows() -> None:
    """Grid quorums: of four acceptors two and two, where counting needs five together."""
    sizes = [len(smallest(q, 4)[0]) for q in (Grid(2).may_lead, Grid(2).may_choose)]
    assert sizes == [2, 2]


@pytest.mark.parametrize("count", [2, 4, 6])
def test_half_of_an_even_number_is_enough(count: int) -> None:
    """Majority quorums: phase 2 can do with one less, and phase 1 still takes a majority."""
    sizes = {len(quorum) for quorum in smallest(Simple(count // 2).may_lead, count)}
    assert sizes == {majority(acceptors(count))}


def test_what_five_acceptors_survive_with_quorums_of_two() -> None:
    """Simple quorums: three crashes as long as the leader lives, one when it is to be replaced."""
    quorums, everyone = Simple(2), acceptors(5)
    assert quorums.may_choose(everyone[3:], everyone)
    assert not quorums.may_choose(everyone[4:], everyone)
    assert quorums.may_lead(everyone[1:], everyone)
    assert not quorums.may_lead(everyone[2:], everyone)


def ask(network: Network[FlexiblePaxos], id: NodeId, number: int, text: str) -> None:
    """A client asks for something to be appended."""
    network.act(id, Request(number, Operation("append", "x", text)), ALICE)


def test_a_leader_goes_on_with_few_and_is_replaced_by_many() -> None:
    """Simple quorums: |Q2| = 2 of 5, and so |Q1| = 4."""
    network = Network(FlexiblePaxos, 5, quorums=Simple(2))
    first, second, third, fourth, fifth = network.ids
    network.fire(first, LeaderTimeout())
    network.deliver()
    for id in (third, fourth, fifth):
        network.crash(id, restart=False)
        network.isolate(id)
    ask(network, first, 1, "a")
    network.deliver()
    assert network.answers[ALICE] == [Response(1)]
    network.isolate(first)
    network.fire(second, LeaderTimeout())
    network.deliver()
    assert not network.nodes[second].active


def test_disjoint_quorums_of_phase_2(golden: Callable[[str, str], None]) -> None:
    """Grid quorums: two leaders in turn have their commands chosen by rows without a common member.

    The second one learns of the first one's command through its column.
    """
    story: Story[FlexiblePaxos] = Story(FlexiblePaxos, 4, quorums=Grid(2))
    n1, _, n3, _ = story.ids
    story.tell("Rows are n1 n2 and n3 n4; n1 hears column n1 n3, and leads.")
    story.fire(n1, LeaderTimeout())
    story.lose(Prepare, "n1", "n2", "n4")
    story.arrive(Prepare)
    story.arrive(Promise)
    assert story.nodes[n1].active
    story.tell("The first row votes for a: it is chosen, but n1 has not heard so yet.")
    ask(story, n1, 1, "a")
    story.lose(Accept, "n1", "n3", "n4")
    story.arrive(Accept)
    story.tell("n3 hears the other column, n2 n4, and leads.")
    story.fire(n3, LeaderTimeout())
    story.arrive(Prepare, "n3", "n2", "n4")
    story.arrive(Promise)
    assert story.nodes[n3].active
    story.tell("Its own row votes for what n2 has voted for.")
    story.lose(Accept, "n3", "n1", "n2")
    story.arrive(Accept)
    story.arrive(Accepted, "", "n3")
    story.arrive(Decision, "n3", "n3", "n4")
    assert story.nodes[n3].store.values.get("x") == "a"
    golden("disjoint_quorums.txt", story.text)
