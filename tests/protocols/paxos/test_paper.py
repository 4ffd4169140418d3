"""Leslie Lamport, "Paxos Made Simple" (2001), claim by claim."""

from collections.abc import Callable

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.kernel.env import Send
from quorate.protocols.consensus.paxos import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Decided,
    Paxos,
    Prepare,
    Promise,
    Retry,
    Vote,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
CLIENT = NodeId("c1")


def ask(network: Network[Paxos], node: NodeId, value: int, number: int = 1) -> None:
    """A client proposes a value through a node."""
    network.act(node, Request(number, Operation("propose", None, value)), CLIENT)


def sent(network: Network[Paxos], node: NodeId, event: object, sender: NodeId) -> list[object]:
    """What a node sends in answer to one event."""
    effects = network.act(node, event, sender)  # type: ignore[arg-type]
    return [effect.message for effect in effects if isinstance(effect, Send)]


def ballot(number: int, proposer: NodeId) -> Ballot:
    return number, proposer


def test_an_acceptor_votes_for_the_first_proposal_that_it_receives() -> None:
    """§2.1, P1: with one proposal alone, that one must be chosen."""
    network = Network(Paxos, 3)
    vote = (ballot(1, N2), 7)
    assert sent(network, N1, Accept(vote), N2) == [Accepted(vote)]


def test_an_acceptor_votes_in_every_ballot_not_below_its_promise() -> None:
    """§2.2, P1a: also in the very ballot that it has promised."""
    network = Network(Paxos, 3)
    network.act(N1, Prepare(ballot(2, N2)), N2)
    assert sent(network, N1, Accept((ballot(1, N3), 7)), N3) == []
    assert network.nodes[N1].last_vote is None
    assert sent(network, N1, Accept((ballot(2, N2), 8)), N2) == [Accepted((ballot(2, N2), 8))]
    assert sent(network, N1, Accept((ballot(3, N3), 9)), N3) == [Accepted((ballot(3, N3), 9))]


def test_a_vote_is_a_promise_too() -> None:
    """§2.2: who has voted in a ballot has, in effect, promised to ignore lower ones."""
    network = Network(Paxos, 3)
    network.act(N1, Accept((ballot(3, N3), 9)), N3)
    assert sent(network, N1, Prepare(ballot(2, N2)), N2) == []
    assert sent(network, N1, Accept((ballot(2, N2), 8)), N2) == []


def test_a_promise_reports_the_highest_vote() -> None:
    """§2.2, phase 1b: the promise carries the highest-numbered proposal accepted, if any."""
    network = Network(Paxos, 3)
    first = (ballot(1, N2), 7)
    assert sent(network, N1, Prepare(ballot(1, N2)), N2) == [Promise(ballot(1, N2), None)]
    network.act(N1, Accept(first), N2)
    assert sent(network, N1, Prepare(ballot(2, N3)), N3) == [Promise(ballot(2, N3), first)]


def test_a_prepare_request_that_is_not_above_all_earlier_ones_is_ignored() -> None:
    """§2.2, phase 1b."""
    network = Network(Paxos, 3)
    network.act(N1, Prepare(ballot(2, N2)), N2)
    assert sent(network, N1, Prepare(ballot(1, N3)), N3) == []
    assert sent(network, N1, Prepare(ballot(2, N2)), N2) == []


@pytest.mark.parametrize(
    ("reports", "value"),
    [
        ((None, None, None), 5),
        ((None, (ballot(1, N2), 7), None), 7),
        (((ballot(1, N2), 7), (ballot(2, N3), 8), None), 8),
        (((ballot(2, N3), 8), (ballot(1, N2), 7), None), 8),
        (((ballot(2, N2), 7), (ballot(2, N3), 8), None), 8),
    ],
)
def test_a_proposer_takes_the_value_of_the_highest_vote(
    reports: tuple[Vote | None, ...], value: int
) -> None:
    """§2.2, P2c and phase 2a: its own value only if nobody in the majority has voted."""
    network = Network(Paxos, 5)
    network.nodes[N1].ballot = ballot(4, N1)
    ask(network, N1, 5)
    assert network.nodes[N1].ballot == (5, N1)
    answers = [
        sent(network, N1, Promise(ballot(5, N1), report), id)
        for id, report in zip((N2, N3, N4), reports, strict=True)
    ]
    assert answers == [[], [], [Accept((ballot(5, N1), value))]]


def test_a_proposer_needs_promises_of_distinct_acceptors_to_this_very_ballot() -> None:
    """§2.2, phase 2a: from a majority of the acceptors."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    current = network.nodes[N1].ballot
    assert sent(network, N1, Promise(current, None), N2) == []
    assert sent(network, N1, Promise(current, None), N2) == []
    assert sent(network, N1, Promise(ballot(0, N1), None), N3) == []
    assert sent(network, N1, Promise(current, None), N3) == [Accept((current, 5))]


def test_a_ballot_has_one_proposal() -> None:
    """§2.2: promises beyond the majority change nothing, whatever they report."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    current = network.nodes[N1].ballot
    network.act(N1, Promise(current, None), N1)
    network.act(N1, Promise(current, None), N2)
    assert sent(network, N1, Promise(current, (ballot(0, N3), 9)), N3) == []


def test_a_value_is_chosen_by_a_majority_in_one_ballot() -> None:
    """§2.1 and §2.3: votes of different ballots, or of one acceptor, do not add up.

    Five acceptors; 1 gets two votes in ballot 1, 2 gets two in ballot 2; then 1 is voted for anew.
    """
    network = Network(Paxos, 5)
    first, second, third = (ballot(1, N1), 1), (ballot(2, N2), 2), (ballot(3, N3), 1)
    for vote, voters in [(first, (N4, N3)), (second, (N5, N3)), (third, (N3, N3))]:
        for voter in voters:
            network.act(N1, Accepted(vote), voter)
            assert network.nodes[N1].decided is None
    network.act(N1, Accepted(third), N4)
    assert network.nodes[N1].decided is None
    network.act(N1, Accepted(third), N5)
    assert network.nodes[N1].decided == 1


def test_all_learners_are_told_of_each_vote() -> None:
    """§2.3: every acceptor informs every learner, so that all learn as soon as possible."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    network.deliver()
    assert [node.decided for node in network.nodes.values()] == [5, 5, 5]
    assert network.answers[CLIENT] == [Response(1, 5)]


def test_a_learner_finds_out_by_a_proposal() -> None:
    """§2.3: if nobody knows whether a majority has voted, a new proposal tells."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    network.cuts |= {(source, N3) for source in (N1, N2)}
    network.deliver()
    assert network.nodes[N3].decided is None
    network.heal()
    ask(network, N3, 6)
    network.deliver()
    assert network.nodes[N3].decided == 5


@pytest.mark.parametrize("size", [3, 5, 7])
def test_messages_of_an_unopposed_proposer(size: int) -> None:
    """§2.2 and §2.3: with n acceptors 4n messages until one learner knows, n² to tell them all."""
    network = Network(Paxos, size)
    ask(network, N1, 5)
    network.deliver()
    kinds = [type(message) for _, target, message in network.sent if target in network.ids]
    counts = [kinds.count(kind) for kind in (Prepare, Promise, Accept, Accepted, Decided)]
    assert counts == [size, size, size, size * size, 0]
    to_one_learner = [target for _, target, message in network.sent if type(message) is Accepted]
    assert sum(counts[:3]) + to_one_learner.count(N1) == 4 * size


def test_proposers_choose_from_disjoint_sets_of_ballots() -> None:
    """§2.5: no two proposers ever share a number."""
    network = Network(Paxos, 3)
    for id in network.ids:
        ask(network, id, 5)
    ballots = [node.ballot for node in network.nodes.values()]
    assert sorted(set(ballots)) == ballots == [(1, N1), (1, N2), (1, N3)]


def test_an_answer_waits_until_it_is_in_stable_storage() -> None:
    """§2.5: an acceptor records its intended response before it sends it."""
    network = Network(Paxos, 3)
    network.slow.add(N1)
    network.act(N1, Prepare(ballot(1, N2)), N2)
    network.act(N1, Accept((ballot(1, N2), 7)), N2)
    assert not network.queue
    network.crash(N1)
    assert network.nodes[N1].promised == NO_BALLOT
    network.act(N1, Prepare(ballot(1, N2)), N2)
    network.sync(N1)
    assert [message for _, _, message in network.queue] == [Promise(ballot(1, N2), None)]


def test_an_acceptor_remembers_promise_and_vote_through_a_crash() -> None:
    """§2.2 and §2.5: that is all that must survive of an acceptor."""
    network = Network(Paxos, 3)
    vote = (ballot(1, N2), 7)
    network.act(N1, Accept(vote), N2)
    network.act(N1, Prepare(ballot(3, N3)), N3)
    network.crash(N1)
    assert sent(network, N1, Accept((ballot(2, N2), 8)), N2) == []
    assert sent(network, N1, Prepare(ballot(4, N3)), N3) == [Promise(ballot(4, N3), vote)]


def test_a_proposer_remembers_its_highest_ballot_through_a_crash() -> None:
    """§2.5: else it could propose a second value in it.

    Its request reaches itself last, when two others have promised and one has voted: nothing but
    `ballot` tells it after the crash that the ballot is used up.
    """
    network = Story(Paxos, 3)
    ask(network, N1, 5)
    network.arrive(Prepare, "n1", "n2", "n3")
    network.arrive(Promise)
    assert network.under_way(Accept) == [Accept((ballot(1, N1), 5))] * 3
    network.crash(N1)
    assert network.nodes[N1].promised == NO_BALLOT
    ask(network, N1, 6, number=2)
    assert network.nodes[N1].ballot == (2, N1)


def test_a_proposer_that_forgot_its_proposal_does_not_go_on_with_the_ballot() -> None:
    """§2.5: what it has proposed in that ballot, if anything, it does not know any more."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    current = network.nodes[N1].ballot
    network.crash(N1)
    for id in network.ids:
        assert sent(network, N1, Promise(current, None), id) == []


def test_who_knows_the_decision_tells_proposers() -> None:
    """Departure: a shortcut for learners that missed the votes."""
    network = Network(Paxos, 3)
    ask(network, N1, 5)
    network.deliver()
    network.crash(N2)
    assert network.nodes[N2].decided is None
    assert Decided(5) in sent(network, N1, Prepare(ballot(0, N2)), N2)
    ask(network, N2, 6)
    network.deliver()
    assert network.nodes[N2].decided == 5


def test_duelling_proposers(golden: Callable[[str, str], None]) -> None:
    """§2.4: two proposers can outbid each other for ever; left alone, one of them decides."""
    story = Story(Paxos, 3)
    story.tell("Two clients propose, through n1 and n2.")
    ask(story, N1, 1)
    ask(story, N2, 2)
    story.tell("n1 wins its promises first, but n2 outbids it before the votes.")
    story.arrive(Prepare, "n1")
    story.arrive(Promise)
    story.arrive(Prepare, "n2")
    story.arrive(Accept, "n1")
    for first, second in ((N1, N2), (N2, N1)):
        story.tell(f"{first} tries again, and outbids {second} in turn.")
        story.fire(first, Retry())
        story.arrive(Prepare, first)
        story.arrive(Promise, "", second)
        if story.under_way(Accept):
            story.arrive(Accept, second)
        assert all(node.decided is None for node in story.nodes.values())
    story.tell("n1 leaves n2 alone.")
    story.deliver()
    assert [node.decided for node in story.nodes.values()] == [2, 2, 2]
    golden("duelling_proposers.txt", story.text)


def test_a_chosen_value_is_rediscovered(golden: Callable[[str, str], None]) -> None:
    """§2.2, P2b: once a value is chosen, every higher ballot proposes it, known or not."""
    story = Story(Paxos, 3)
    story.tell("n1 and n2 vote for 1: it is chosen. Nobody learns of it, and n1 is gone.")
    ask(story, N1, 1)
    story.arrive(Prepare, "n1", "n1", "n2")
    story.lose(Prepare, "n1", "n3")
    story.arrive(Promise)
    story.lose(Accept, "n1", "n3")
    story.arrive(Accept)
    story.crash(N1, restart=False)
    story.lose(Accepted, "n1")
    story.lose(Accepted, "n2", "n1", "n3")
    story.arrive(Accepted, "n2")
    story.tell("n3 proposes 2, in a higher ballot, and finds the vote of n2.")
    ask(story, N3, 2)
    story.lose(Prepare, "n3", "n1")
    story.arrive(Prepare, "n3")
    story.arrive(Promise)
    story.lose(Accept, "n3", "n1")
    story.arrive(Accept)
    story.lose(Accepted, "", "n1")
    story.arrive(Accepted)
    story.arrive(Response)
    assert [story.nodes[id].decided for id in (N2, N3)] == [1, 1]
    golden("rediscovery.txt", story.text)
