"""Gray, Lamport, "Consensus on Transaction Commit" (2006), claim by claim."""

from collections.abc import Callable, Sequence

import pytest

from quorate.kernel import Map, NodeId, Operation, Request, Response
from quorate.kernel.env import Effect, Send
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.paxos_commit import (
    FIRST,
    Abort,
    Ballot,
    Commit,
    PaxosCommit,
    Phase1a,
    Phase1b,
    Phase2a,
    Phase2b,
    Prepare,
    Retry,
    Vote,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 6))
C1, C2 = NodeId("c1"), NodeId("c2")
PREPARED, COMMITTED, ABORTED = State.PREPARED, State.COMMITTED, State.ABORTED
SECOND: Ballot = (1, N2)
THIRD: Ballot = (2, N3)


def cluster(size: int = 3, faults: int = 1, *unwilling: NodeId) -> Story[PaxosCommit]:
    """Resource managers of which some vote no."""
    story = Story(PaxosCommit, size, faults=faults)
    for id in unwilling:
        story.nodes[id].willing = (False,)
    return story


def commit(network: Network[PaxosCommit], node: NodeId = N1, client: NodeId = C1) -> None:
    network.act(node, Request(1, Operation("commit", "t")), client)


def states(network: Network[PaxosCommit]) -> list[State | None]:
    return [node.log.get("t") for node in network.nodes.values()]


def messages(effects: Sequence[Effect]) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def values(*states: State) -> Map[NodeId, State]:
    """A value for each of the first instances."""
    return Map(dict(zip(IDS, states, strict=False)))


# Section 4: the protocol without failures


def test_all_vote_to_commit() -> None:
    """§4.1; and AC4, commit is the only outcome then."""
    story = cluster(5)
    commit(story)
    story.deliver()
    assert states(story) == [COMMITTED] * 5
    assert story.answers[C1] == [Response(1, "committed")]
    assert not any(story.timers.values())


@pytest.mark.parametrize("unwilling", IDS)
def test_one_vote_to_abort_is_enough(unwilling: NodeId) -> None:
    """§4.1: whoever's instance it is."""
    story = cluster(5, 1, unwilling)
    commit(story)
    story.deliver()
    assert states(story) == [ABORTED] * 5
    assert story.answers[C1] == [Response(1, "aborted")]


@pytest.mark.parametrize(("managers", "faults"), [(5, 1), (5, 2), (3, 1), (7, 1), (7, 3)])
def test_messages(managers: int, faults: int) -> None:
    """§4.2: NF + 3N - 3, where those that a node sends itself do not count: 17 of 5 with F = 1."""
    story = cluster(managers, faults)
    commit(story)
    story.deliver()
    nodes = set(story.ids)
    count = sum(a != b and {a, b} <= nodes for a, b, _ in story.sent)
    assert count == managers * faults + 3 * managers - 3


@pytest.mark.parametrize("managers", [2, 3, 5])
def test_without_faults_it_is_two_phase_commit(managers: int) -> None:
    """§5: with F = 0 the one acceptor stands where the coordinator does: 3N - 3 messages."""
    story = cluster(managers, 0)
    commit(story)
    story.deliver()
    between = [m for a, b, m in story.sent if a != b and {a, b} <= set(story.ids)]
    assert [type(message) for message in between] == [
        *[Prepare] * (managers - 1),
        *[Phase2a] * (managers - 1),
        *[Commit] * (managers - 1),
    ]


def test_ballot_0_needs_no_first_phase_and_one_message_per_acceptor() -> None:
    """§4.2: an acceptor reports on all instances at once."""
    story = cluster(5)
    commit(story)
    story.arrive(Prepare)
    assert len(story.under_way(Phase2a)) == 5 * 2
    story.arrive(Phase2a)
    reports = story.under_way(Phase2b)
    assert reports == [Phase2b("t", FIRST, values(*[PREPARED] * 5))] * 2


def test_a_vote_to_abort_is_reported_at_once() -> None:
    """§4.2: nothing can come of the other instances then."""
    story = cluster()
    vote = Phase2a("t", FIRST, Map({N3: ABORTED}))
    report = Phase2b("t", FIRST, Map({N3: ABORTED}))
    assert messages(story.act(N2, vote, N3)) == [report]


def test_a_resource_manager_votes_once() -> None:
    """§4.1: it alone proposes in ballot 0 of its instance, and only one value."""
    story = cluster()
    story.act(N2, Prepare("t"), N1)
    story.crash(N2)
    assert states(story)[1] is PREPARED
    story.nodes[N2].willing = (False,)
    assert messages(story.act(N2, Prepare("t"), N1)) == []


def test_a_vote_waits_until_it_is_recorded() -> None:
    """§4.1: as a yes of two-phase commit."""
    story = cluster()
    story.slow.add(N2)
    story.act(N2, Prepare("t"), N1)
    assert not story.under_way(Phase2a)
    story.crash(N2)
    assert states(story)[1] is None


def test_an_acceptor_reports_its_vote_once_it_is_recorded() -> None:
    """§4.1: and remembers it through a crash."""
    story = cluster()
    story.slow.add(N2)
    for id in IDS[:3]:
        story.act(N2, Phase2a("t", FIRST, Map({id: PREPARED})), id)
    assert not story.under_way(Phase2b)
    story.sync(N2)
    assert story.under_way(Phase2b) == [Phase2b("t", FIRST, values(*[PREPARED] * 3))]
    story.crash(N2)
    assert len(story.nodes[N2].accepted["t"]) == 3


def test_the_leader_counts_distinct_acceptors_of_one_ballot() -> None:
    """§4.1: F + 1 of them, in each instance."""
    story = cluster()
    report = Phase2b("t", FIRST, values(*[PREPARED] * 3))
    for _ in range(2):
        story.act(N1, report, N2)
    story.act(N1, Phase2b("t", SECOND, report.values), N3)
    assert states(story)[0] is None
    story.act(N1, report, N3)
    assert states(story)[0] is COMMITTED


def test_who_looks_at_data_in_doubt_has_to_wait() -> None:
    """§2: a resource manager that is prepared may have to commit."""
    story = cluster()
    commit(story)
    story.arrive(Prepare)
    look = Request(1, Operation("look", "t"))
    assert messages(story.act(N2, look, C2)) == []
    story.deliver()
    assert story.answers[C2] == [Response(1, True)]


def test_any_node_may_begin() -> None:
    """§4.1: whoever wants to commit; and all who ask are told the same."""
    story = cluster()
    commit(story, N3)
    commit(story, N2, C2)
    story.deliver()
    assert story.answers == {C1: [Response(1, "committed")], C2: [Response(1, "committed")]}
    assert messages(story.act(N2, Request(2, Operation("commit", "t")), C1)) == [
        Response(2, "committed")
    ]


# Section 4: failures


def test_it_does_not_block_without_its_leader() -> None:
    """§4.3: another leader finds out what has been chosen, from any F + 1 acceptors."""
    story = cluster()
    commit(story)
    story.arrive(Prepare)
    story.arrive(Phase2a)
    story.crash(N1, restart=False)
    story.isolate(N1)
    story.deliver()
    assert states(story)[1:] == [PREPARED] * 2
    story.fire(N3, Retry("t"))
    story.deliver()
    assert states(story)[1:] == [COMMITTED] * 2


def test_a_resource_manager_that_is_down_does_not_keep_others_from_ending() -> None:
    """§4.2: a leader proposes to abort for it."""
    story = cluster(5)
    commit(story)
    story.crash(N5, restart=False)
    story.isolate(N5)
    story.deliver()
    assert states(story) == [*[PREPARED] * 4, None]
    story.fire(N1, Retry("t"))
    story.deliver()
    assert states(story) == [*[ABORTED] * 4, None]
    assert story.answers[C1] == [Response(1, "aborted")]


def test_without_a_majority_of_acceptors_nobody_decides() -> None:
    """§4: F of 2F + 1 may be down, and no more; then all wait for one to be back."""
    story = cluster(5)
    commit(story)
    story.crash(N2, restart=False)
    story.crash(N3, restart=False)
    story.isolate(N2)
    story.isolate(N3)
    story.deliver()
    for id in (N1, N4, N5):
        story.fire(id, Retry("t"))
        story.deliver()
    assert states(story) == [PREPARED, None, None, PREPARED, PREPARED]


@pytest.mark.parametrize(
    ("votes", "value"),
    [
        ((None, None), ABORTED),
        (((FIRST, PREPARED), None), PREPARED),
        (((FIRST, PREPARED), (SECOND, ABORTED)), ABORTED),
        (((THIRD, PREPARED), (SECOND, ABORTED)), PREPARED),
    ],
)
def test_a_leader_proposes_the_vote_of_the_highest_ballot(
    votes: tuple[Vote | None, ...], value: State
) -> None:
    """§4.1, phase 2a: and to abort if the instance is free."""
    story = cluster()
    story.nodes[N1].round = 6
    story.act(N1, Request(1, Operation("commit", "t")), C1)
    story.fire(N1, Retry("t"))
    ballot = (7, N1)
    answers = [
        messages(story.act(N1, Phase1b("t", ballot, Map({N3: vote} if vote else {})), id))
        for id, vote in zip((N2, N3), votes, strict=True)
    ]
    assert answers == [[], [Phase2a("t", ballot, values(ABORTED, ABORTED, value))]]


def test_a_ballot_has_one_proposal() -> None:
    """§4.1: promises beyond F + 1, repeated, or to a ballot before a crash change nothing."""
    story = cluster()
    commit(story)
    story.fire(N1, Retry("t"))
    promise = Phase1b("t", (1, N1), Map())
    assert messages(story.act(N1, promise, N2)) == []
    assert messages(story.act(N1, promise, N2)) == []
    assert len(messages(story.act(N1, promise, N1))) == 1
    assert messages(story.act(N1, promise, N3)) == []
    story.crash(N1)
    assert [messages(story.act(N1, promise, id)) for id in (N2, N3)] == [[], []]


def test_promises_and_votes_of_an_acceptor() -> None:
    """§4.1, phases 1b and 2b: also through a crash."""
    story = cluster()
    vote = Phase2a("t", FIRST, Map({N1: PREPARED}))
    story.act(N2, vote, N1)
    [promise] = messages(story.act(N2, Phase1a("t", THIRD), N3))
    assert promise == Phase1b("t", THIRD, Map({N1: (FIRST, PREPARED)}))
    story.crash(N2)
    assert messages(story.act(N2, Phase1a("t", SECOND), N2)) == []
    assert messages(story.act(N2, Phase1a("t", THIRD), N3)) == []
    assert messages(story.act(N2, Phase2a("t", FIRST, Map({N3: PREPARED})), N3)) == []
    late = Phase2a("t", THIRD, values(PREPARED, ABORTED, ABORTED))
    assert messages(story.act(N2, late, N3)) == [Phase2b("t", THIRD, late.values)]


def test_leaders_never_use_a_ballot_twice() -> None:
    """§4.1: not even after a crash; and they exceed what they have promised."""
    story = cluster()
    commit(story)
    story.fire(N1, Retry("t"))
    story.crash(N1)
    story.act(N1, Phase1a("t", (5, N3)), N3)
    commit(story)
    [first, *_] = messages(story.fire(N1, Retry("t")))
    assert first == Phase1a("t", (6, N1))


def test_who_knows_the_outcome_tells_a_leader() -> None:
    """Departure: so that it need not find out."""
    story = cluster()
    commit(story)
    story.deliver()
    assert messages(story.act(N2, Phase1a("t", (9, N3)), N3)) == [Commit("t")]
    aborter = cluster(3, 1, N2)
    aborter.act(N2, Prepare("t"), N1)
    assert messages(aborter.act(N2, Phase1a("t", (9, N3)), N3)) == [Abort("t")]


def test_who_was_prepared_before_a_crash_finds_out_after_it() -> None:
    """§4.3."""
    story = cluster()
    commit(story)
    story.arrive(Prepare)
    story.crash(N3)
    story.cuts |= {(N1, N3)}
    story.deliver()
    assert states(story) == [COMMITTED, COMMITTED, PREPARED]
    story.heal()
    story.fire(N3, Retry("t"))
    story.deliver()
    assert states(story) == [COMMITTED] * 3


# Stories


def test_a_second_leader(golden: Callable[[str, str], None]) -> None:
    """§4.3: where two-phase commit would block."""
    story = cluster()
    story.tell("All vote to commit, and two acceptors know it. Then the leader crashes.")
    commit(story)
    story.arrive(Prepare)
    story.arrive(Phase2a)
    story.crash(N1, restart=False)
    story.isolate(N1)
    story.lose(Phase2b)
    story.tell("n3 waits in vain, and leads ballot 1. n2 has voted, and n3 as an acceptor has not.")
    story.fire(N3, Retry("t"))
    story.lose(Phase1a, "", "n1")
    story.arrive(Phase1a)
    story.arrive(Phase1b)
    story.tell("One vote in each instance is enough to know that nothing else was chosen.")
    story.lose(Phase2a, "", "n1")
    story.arrive(Phase2a)
    story.arrive(Phase2b)
    story.lose(Commit, "", "n1")
    story.arrive(Commit)
    assert states(story)[1:] == [COMMITTED] * 2
    golden("second_leader.txt", story.text)


def test_a_vote_that_comes_too_late(golden: Callable[[str, str], None]) -> None:
    """§4.1: an instance in which a leader has proposed to abort cannot be prepared any more."""
    story = cluster()
    story.tell("n3 has not been heard of, and so n1 leads ballot 1.")
    commit(story)
    story.arrive(Prepare, "", "n1", "n2")
    story.arrive(Phase2a)
    story.fire(N1, Retry("t"))
    story.arrive(Phase1a, "", "n1", "n2")
    story.lose(Phase1a)
    story.tell("Now n3 votes to commit, in ballot 0, and no acceptor listens any more.")
    story.arrive(Prepare)
    story.arrive(Phase2a, "n3")
    story.tell("Its instance is free, and so the transaction is aborted.")
    story.deliver()
    assert states(story) == [ABORTED] * 3
    golden("vote_too_late.txt", story.text)
