"""Van Renesse and Altinbuken, "Paxos Made Moderately Complex" (2015), claim by claim.

With section 3 of Lamport's "Paxos Made Simple" (PMS), and what Kirsch and Amir's "Paxos for System
Builders" and Chandra et al.'s "Paxos Made Live" (PML) add about messages that are lost.
"""

import re
from collections.abc import Callable

import pytest

from quorate.kernel import Map, Message, NodeId, Operation, Redirect, Request, Response
from quorate.kernel.env import Send
from quorate.protocols.consensus.multi_paxos import (
    NO_BALLOT,
    NO_OP,
    Accept,
    Accepted,
    Ballot,
    CatchUp,
    Command,
    Commander,
    Decision,
    Heartbeat,
    HeartbeatDue,
    LeaderTimeout,
    MultiPaxos,
    Preempted,
    Prepare,
    Promise,
    Session,
    State,
    Vote,
    highest_votes,
)
from quorate.protocols.machines.key_value import KeyValue
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
ALICE, BOB = NodeId("alice"), NodeId("bob")


class Tale(Story[MultiPaxos]):
    """A story that spells commands and pairs out shortly."""

    def __init__(self) -> None:
        super().__init__(MultiPaxos, 3)

    @property
    def text(self) -> str:
        text = super().text.replace(repr(NO_OP), "no-op")
        operation = r"operation=Operation\(f='append', key='x', value='(.)'\)"
        text = re.sub(rf"Command\(client=(\w+), number=(\d), {operation}\)", r"\1 \2: +\3", text)
        text = re.sub(rf"number=(\d), {operation}", r"\1: +\2", text)
        return re.sub(r"Session\(client=\w+, number=(\d), result=None\)", r"\1", text)


def cluster(size: int = 3, **fields: object) -> Network[MultiPaxos]:
    """Nodes, of which nobody leads yet."""
    return Network(MultiPaxos, size, **fields)


def elect(network: Network[MultiPaxos], id: NodeId) -> None:
    """Let a node wait in vain, and win its ballot."""
    network.fire(id, LeaderTimeout())
    network.deliver()
    assert network.nodes[id].active


def led_by_n1(size: int = 3, **fields: object) -> Network[MultiPaxos]:
    """Nodes that n1 leads, in ballot (1, n1)."""
    network = cluster(size, **fields)
    elect(network, N1)
    return network


def append(client: NodeId, number: int, text: str, key: str = "x") -> Request:
    """A client's request; `number` tells it from others of the client."""
    return Request(number, Operation("append", key, text))


def command(client: NodeId, number: int, text: str) -> Command:
    """What becomes of `append`."""
    return Command(client, number, append(client, number, text).operation)


def ask(network: Network[MultiPaxos], id: NodeId, request: Request, client: NodeId = ALICE) -> None:
    """A client asks a node, and whatever follows happens."""
    network.send(client, id, request)
    network.deliver()


def sent(network: Network[MultiPaxos], id: NodeId, event: Message, sender: NodeId) -> list[Message]:
    """What a node sends in answer to one event."""
    return [e.message for e in network.act(id, event, sender) if isinstance(e, Send)]


def proposed(effects: list[Message]) -> list[tuple[int, Command]]:
    """The slots and commands that are proposed among these messages."""
    return [(message.slot, message.command) for message in effects if isinstance(message, Accept)]


def slots(network: Network[MultiPaxos]) -> list[int]:
    """How far each node has executed."""
    return [node.slot_out for node in network.nodes.values()]


def texts(network: Network[MultiPaxos]) -> list[object]:
    """What each node has at key x."""
    return [node.store.values.get("x") for node in network.nodes.values()]


A, B, C, D = (command(ALICE, number, text) for number, text in enumerate("abcd", 1))


# Figure 4: acceptors


def test_an_acceptor_promises_ever_higher_ballots() -> None:
    """A1: `ballot_num` strictly increases; a leader of a lower ballot hears of the higher one."""
    network = cluster()
    assert sent(network, N1, Prepare((2, N2)), N2) == [Promise((2, N2), 1, ())]
    assert network.nodes[N1].promised == (2, N2)
    assert sent(network, N1, Prepare((1, N3)), N3) == [Preempted((2, N2))]
    assert sent(network, N1, Prepare((2, N3)), N3) == [Promise((2, N3), 1, ())]
    assert network.nodes[N1].promised == (2, N3)


def test_a_promise_is_given_again() -> None:
    """Figure 4: an acceptor answers every p1a, so that one that was lost does no harm."""
    network = cluster()
    for _ in range(2):
        assert sent(network, N1, Prepare((2, N2)), N2) == [Promise((2, N2), 1, ())]


def test_an_acceptor_votes_in_no_ballot_below_its_promise() -> None:
    """A2, and the departure that it need not have been asked for a promise before."""
    network = cluster()
    network.act(N1, Prepare((2, N2)), N2)
    assert sent(network, N1, Accept((1, N3), 1, A), N3) == [Preempted((2, N2))]
    assert network.nodes[N1].votes == Map()
    assert sent(network, N1, Accept((2, N2), 1, A), N2) == [Accepted((2, N2), 1)]
    assert sent(network, N1, Accept((3, N3), 1, B), N3) == [Accepted((3, N3), 1)]
    assert network.nodes[N1].promised == (3, N3)


def test_an_acceptor_reports_its_newest_vote_in_each_slot() -> None:
    """4.1: of the votes in one slot only that of the highest ballot counts, so no other is kept."""
    network = cluster()
    for ballot, slot, value in [((1, N2), 1, A), ((1, N2), 3, B), ((2, N3), 1, C)]:
        network.act(N1, Accept(ballot, slot, value), ballot[1])
    votes: tuple[tuple[int, Vote], ...] = ((1, ((2, N3), C)), (3, ((1, N2), B)))
    assert sent(network, N1, Prepare((3, N2)), N2) == [Promise((3, N2), 1, votes)]


# Figure 6: scouts and commanders; figure 7: leaders


def test_a_leader_needs_promises_of_a_majority_to_its_very_ballot() -> None:
    """Figure 6(b): from different acceptors; answers to an earlier ballot do not count."""
    network = cluster(5)
    network.fire(N1, LeaderTimeout())
    network.fire(N1, LeaderTimeout())
    assert network.nodes[N1].ballot == (2, N1)
    for sender, number in [(N2, 2), (N2, 2), (N3, 1), (N4, 2)]:
        network.act(N1, Promise((number, N1), 1, ()), sender)
        assert not network.nodes[N1].active
    network.act(N1, Promise((2, N1), 1, ()), N5)
    assert network.nodes[N1].active


@pytest.mark.parametrize(
    ("reports", "highest"),
    [
        ([], {}),
        ([((1, ((1, N1), A)),)], {1: ((1, N1), A)}),
        ([((1, ((1, N1), A)),), ((1, ((2, N2), B)),)], {1: ((2, N2), B)}),
        ([((1, ((2, N2), B)),), ((1, ((1, N1), A)),)], {1: ((2, N2), B)}),
        ([((1, ((2, N2), B)),), ((1, ((2, N3), A)),)], {1: ((2, N3), A)}),
        ([((3, ((1, N1), C)),), ((1, ((1, N1), A)),)], {1: ((1, N1), A), 3: ((1, N1), C)}),
    ],
)
def test_pmax(reports: list[tuple[tuple[int, Vote], ...]], highest: dict[int, Vote]) -> None:
    """Figure 7: for each slot the command of the highest ballot."""
    assert highest_votes([Promise((9, N1), 1, votes) for votes in reports]) == highest


def test_a_new_leader_proposes_the_votes_of_the_highest_ballots() -> None:
    """Figure 7: `proposals ◁ pmax(pvals)`, for every slot, before any command of its own."""
    network = cluster()
    network.fire(N1, LeaderTimeout())
    network.act(N1, Promise((1, N1), 1, ((1, ((0, N2), A)), (2, ((0, N3), B)))), N2)
    effects = sent(network, N1, Promise((1, N1), 1, ((2, ((0, N2), C)),)), N3)
    assert proposed(effects) == [(1, A), (2, B)]
    assert proposed(sent(network, N1, append(BOB, 1, "d"), BOB)) == [(3, command(BOB, 1, "d"))]


def test_holes_are_filled_with_no_ops(golden: Callable[[str, str], None]) -> None:
    """PMS 3: the leader's example there, with slots 1 to 8 for 134 to 141.

    "The new leader, being a learner in all instances of the consensus algorithm, should know most
    of the commands that have already been chosen": 1, 5 and 6. It "executes phase 1 of instances"
    2 to 4 and above 6, learns of votes in 2 and 7, and has no-ops chosen in 3 and 4. Commands of
    clients go on at 8.
    """
    story = Tale()
    known = {id: Map({1: A, 5: C, 6: D}) for id in story.ids}
    votes = {N2: Map({2: ((1, N1), B)}), N3: Map({7: ((1, N1), command(BOB, 1, "z"))})}
    for id in (N2, N3):
        node = MultiPaxos(id=id, peers=story.ids, promised=(1, N1), votes=votes[id])
        story.nodes[id] = story.disks[id] = node
        node.decisions = known[id]
    story.crash(N1, restart=False)
    story.lines.clear()
    story.tell("n2 and n3 know 1, 5 and 6, and have voted in 2 and 7; n1, who led, is gone.")
    for id in (N2, N3):
        story.act(id, Decision(1, A), N1)
    story.tell("n2 waits no longer.")
    story.fire(N2, LeaderTimeout())
    story.lose(Prepare, "n2", "n1")
    story.arrive(Prepare)
    story.arrive(Promise)
    story.tell("It has slots 2 to 4 and 7 decided, each for itself.")
    story.lose(Accept, "n2", "n1")
    story.arrive(Accept)
    story.arrive(Accepted)
    story.lose(Decision, "n2", "n1")
    story.arrive(Decision)
    story.tell("A client's command comes next.")
    story.act(N2, append(BOB, 2, "y"), BOB)
    assert proposed(story.under_way(Accept)) == [(8, command(BOB, 2, "y"))] * 3
    assert [story.nodes[id].slot_out for id in (N2, N3)] == [8, 8]
    assert story.nodes[N2].decisions.get(3) == story.nodes[N2].decisions.get(4) == NO_OP
    golden("no_ops.txt", story.text)


def test_a_leader_proposes_nothing_where_it_knows_the_decision() -> None:
    """PMS 3: phase 1 is for the instances that it does not know."""
    network = cluster()
    network.act(N1, Decision(2, B), N2)
    network.fire(N1, LeaderTimeout())
    network.act(N1, Promise((1, N1), 1, ()), N1)
    effects = sent(network, N1, Promise((1, N1), 1, ((2, ((0, N2), B)), (3, ((0, N2), C)))), N2)
    assert proposed(effects) == [(1, NO_OP), (3, C)]


def test_phase_1_is_over_once_for_all_slots() -> None:
    """PMS 3: "a newly chosen leader executes phase 1 for infinitely many instances"."""
    network = led_by_n1()
    network.sent.clear()
    for number in range(1, 6):
        ask(network, N1, append(ALICE, number, "a"))
    kinds = {type(message) for _, _, message in network.sent}
    assert kinds == {Accept, Accepted, Decision, Response}


@pytest.mark.parametrize("size", [3, 5, 7])
def test_messages_of_a_command(size: int) -> None:
    """PMS 3: the cost of phase 2 alone: n - 1 messages each way, and n - 1 that tell the rest."""
    network = led_by_n1(size)
    network.sent.clear()
    ask(network, N1, append(ALICE, 1, "a"))
    to_others = [m for source, target, m in network.sent if source != target != ALICE]
    counts = [sum(type(m) is kind for m in to_others) for kind in (Accept, Accepted, Decision)]
    assert counts == [size - 1, size - 1, size - 1]
    assert len(to_others) == 3 * (size - 1)


def test_a_slot_is_decided_by_a_majority_in_one_ballot() -> None:
    """Figure 6(a): by different acceptors; votes of an earlier ballot do not count."""
    network = led_by_n1(5)
    network.act(N1, append(ALICE, 1, "a"), ALICE)
    for sender, number in [(N2, 1), (N2, 1), (N3, 0), (N4, 1)]:
        assert sent(network, N1, Accepted((number, N1), 1), sender) == []
    assert sent(network, N1, Accepted((1, N1), 1), N5) == [Decision(1, A)]
    assert sent(network, N1, Accepted((1, N1), 1), N3) == []


def test_slots_are_decided_in_any_order() -> None:
    """Figure 6(a): a commander for each slot, that waits for no other."""
    network = led_by_n1()
    for request in (append(ALICE, 1, "a"), append(ALICE, 2, "b")):
        network.act(N1, request, ALICE)
    network.act(N1, Accepted((1, N1), 2), N2)
    assert sent(network, N1, Accepted((1, N1), 2), N3) == [Decision(2, B)]
    assert network.nodes[N1].commanders == Map({1: Commander(A)})


def test_a_leader_that_is_preempted_gives_up() -> None:
    """Figure 7: it becomes passive, and its next ballot will be above the other's."""
    network = led_by_n1()
    network.act(N1, append(ALICE, 1, "a"), ALICE)
    network.act(N1, Preempted((7, N3)), N2)
    node = network.nodes[N1]
    assert (node.active, node.ballot, node.commanders) == (False, NO_BALLOT, Map())
    assert sent(network, N1, Accepted((1, N1), 1), N2) == []
    network.fire(N1, LeaderTimeout())
    assert network.nodes[N1].ballot == (8, N1)


def test_a_leader_gives_way_at_once_to_a_higher_ballot() -> None:
    """4.4: where acceptor and leader are one process, its promise is what preempts it."""
    for message in (Prepare((2, N3)), Accept((2, N3), 1, A), Heartbeat((2, N3), 1)):
        network = led_by_n1()
        network.act(N1, message, N3)
        assert not network.nodes[N1].active


# Figure 1: replicas


def test_a_replica_executes_in_the_order_of_slots() -> None:
    """Figure 1, R2 and R3: decisions may come in any order, execution waits for the first hole."""
    network = cluster()
    for slot, value, executed in [(3, C, ""), (2, B, ""), (5, D, ""), (1, A, "abc")]:
        network.act(N1, Decision(slot, value), N2)
        assert network.nodes[N1].store.values.get("x", "") == executed
    assert network.nodes[N1].slot_out == 4


def test_a_repeated_command_is_executed_once_and_answered_each_time() -> None:
    """Figure 1: a command that has been decided in an earlier slot already is passed over."""
    network = led_by_n1()
    for _ in range(3):
        ask(network, N1, append(ALICE, 1, "a"))
    assert texts(network) == ["a", "a", "a"]
    assert slots(network) == [4, 4, 4]
    assert network.answers[ALICE] == [Response(1)] * 3


def test_a_repetition_is_answered_with_the_first_result() -> None:
    """Figure 1: the result was right when the command was executed, and may not be so any more."""
    network = led_by_n1()
    swap = Request(1, Operation("cas", "x", (None, "new")))
    for _ in range(2):
        ask(network, N1, swap, BOB)
    assert network.answers[BOB] == [Response(1, True)] * 2


def test_the_next_leader_knows_a_repetition() -> None:
    """Figure 1: what tells repeated commands is part of the replicated state."""
    network = led_by_n1()
    ask(network, N1, append(ALICE, 1, "a"))
    network.isolate(N1)
    elect(network, N2)
    ask(network, N2, append(ALICE, 1, "a"))
    assert texts(network) == ["a", "a", "a"]
    assert network.answers[ALICE] == [Response(1)] * 2


def test_a_request_that_its_client_has_left_behind_is_not_executed() -> None:
    """Clients have one request at a time, so an older one has been executed or given up."""
    network = led_by_n1()
    ask(network, N1, append(ALICE, 2, "b"))
    ask(network, N1, append(ALICE, 1, "a"))
    assert texts(network) == ["b", "b", "b"]
    assert network.answers[ALICE] == [Response(2)]


def test_who_does_not_lead_names_the_leader() -> None:
    """Departure: clients ask the leader, not all replicas."""
    network = cluster()
    ask(network, N2, append(ALICE, 1, "a"))
    elect(network, N1)
    ask(network, N2, append(ALICE, 1, "a"))
    assert network.answers[ALICE] == [Redirect(1, None), Redirect(1, N1)]


def test_what_the_store_does_not_know_is_refused() -> None:
    """A command that cannot be executed must not get a slot, where all would stumble over it."""
    network = led_by_n1()
    ask(network, N1, Request(1, Operation("fly")))
    assert network.answers[ALICE] == [Response(1, None, False)]
    assert network.nodes[N1].slot_in == 1


def test_a_read_takes_a_slot() -> None:
    """4.5: without leases a leader cannot know whether it still leads."""
    network = led_by_n1()
    ask(network, N1, append(ALICE, 1, "a"))
    network.isolate(N1)
    elect(network, N2)
    ask(network, N2, append(BOB, 1, "b"), BOB)
    ask(network, N1, Request(2, Operation("get", "x")))
    assert network.answers[ALICE] == [Response(1)]
    network.heal()
    ask(network, N2, Request(2, Operation("get", "x")))
    assert network.answers[ALICE][1:] == [Response(2, "ab")]


# Section 3: when leaders come and go


def test_a_leader_shows_itself_and_others_wait() -> None:
    """3: who hears a leader does not try to replace it; a leader does not replace itself."""
    network = led_by_n1(patience=(150, 300), heartbeat=50)
    assert [LeaderTimeout() in network.timers[id] for id in network.ids] == [False, True, True]
    network.timers[N2].clear()
    network.fire(N1, HeartbeatDue())
    network.deliver()
    assert network.timers[N2] == {LeaderTimeout(): (150, 300)}
    assert network.timers[N1] == {HeartbeatDue(): (50, 50)}


def test_a_scout_that_nobody_answers_tries_again() -> None:
    """3: with a higher ballot, after a random while, so that two of them do not go on for ever."""
    network = cluster(patience=(150, 300))
    network.isolate(N1)
    for number in (1, 2, 3):
        network.fire(N1, LeaderTimeout())
        network.deliver()
        assert network.nodes[N1].ballot == (number, N1)
        assert network.timers[N1] == {LeaderTimeout(): (150, 300)}


def test_an_outlived_leader_is_told() -> None:
    """Figure 7: whoever it turns to next knows of the higher ballot."""
    network = led_by_n1()
    network.isolate(N1)
    elect(network, N2)
    network.heal()
    assert network.nodes[N1].active
    network.fire(N1, HeartbeatDue())
    network.deliver()
    assert not network.nodes[N1].active
    assert network.nodes[N1].promised == network.nodes[N2].ballot == (2, N2)


def test_the_next_leader_finds_a_command_that_may_be_chosen(
    golden: Callable[[str, str], None],
) -> None:
    """C2 and A5: n1 dies when a majority has voted for its command, and nobody knows.

    n3, which has not even heard of the command, has it decided in its own ballot.
    """
    story = Tale()
    story.tell("n1 leads, and proposes alice's command; n2 votes for it.")
    story.fire(N1, LeaderTimeout())
    story.arrive(Prepare)
    story.arrive(Promise)
    story.act(N1, append(ALICE, 1, "a"), ALICE)
    story.lose(Accept, "n1", "n3")
    story.arrive(Accept)
    story.tell("That is a majority, but n1 dies without telling.")
    story.crash(N1, restart=False)
    story.lose(Accepted)
    story.tell("n3 takes over, and finds the vote of n2.")
    story.fire(N3, LeaderTimeout())
    story.lose(Prepare, "n3", "n1")
    story.arrive(Prepare)
    story.arrive(Promise)
    story.lose(Accept, "n3", "n1")
    story.arrive(Accept)
    story.arrive(Accepted)
    story.lose(Decision, "n3", "n1")
    story.arrive(Decision)
    story.arrive(Response)
    assert story.answers[ALICE] == [Response(1)]
    assert [story.nodes[id].slot_out for id in (N2, N3)] == [2, 2]
    golden("takeover.txt", story.text)


# Section 4.2: votes are forgotten, and who lags behind is helped


def test_the_votes_of_executed_slots_are_forgotten() -> None:
    """4.2: here as soon as the acceptor's own replica has executed them, and no earlier."""
    network = led_by_n1()
    network.act(N2, Accept((1, N1), 1, A), N1)
    network.act(N2, Accept((1, N1), 2, B), N1)
    network.act(N2, Decision(2, B), N1)
    assert network.nodes[N2].votes.keys() == (1, 2)
    network.act(N2, Decision(1, A), N1)
    assert network.nodes[N2].votes == Map()
    assert sent(network, N2, Accept((1, N1), 1, A), N1) == [Accepted((1, N1), 1)]
    assert network.nodes[N2].votes == Map()


def test_a_leader_begins_after_what_others_have_executed() -> None:
    """4.2: "no vote" of an acceptor that has forgotten it must not be taken for "no vote cast"."""
    network = cluster()
    network.fire(N1, LeaderTimeout())
    network.act(N1, Promise((1, N1), 4, ((5, ((0, N2), B)),)), N2)
    effects = sent(network, N1, Promise((1, N1), 2, ((3, ((0, N3), A)),)), N3)
    assert proposed(effects) == [(4, NO_OP), (5, B)]


def test_a_leader_that_lags_behind_is_brought_on() -> None:
    """PML 5.1: a replica that becomes leader may have missed what was decided."""
    network = led_by_n1()
    network.isolate(N3)
    for number, text in enumerate("abc", 1):
        ask(network, N1, append(ALICE, number, text))
    assert slots(network) == [4, 4, 1]
    network.isolate(N1)
    network.cuts -= {(N2, N3), (N3, N2)}
    elect(network, N3)
    assert network.nodes[N3].slot_in == 4
    network.fire(N3, HeartbeatDue())
    network.deliver()
    assert slots(network) == [4, 4, 4]
    assert texts(network) == ["abc"] * 3


@pytest.mark.parametrize(("keep", "by"), [(3, Decision), (2, State)])
def test_a_replica_is_brought_on_by_decisions_if_they_are_kept(
    keep: int, by: type[Message]
) -> None:
    """4.2: who has forgotten the decisions sends what has come of them."""
    network = led_by_n1(keep=keep)
    network.isolate(N3)
    for number, text in enumerate("abc", 1):
        ask(network, N1, append(ALICE, number, text))
    network.heal()
    network.sent.clear()
    network.fire(N1, HeartbeatDue())
    network.deliver()
    kinds = [type(message) for _, target, message in network.sent if target == N3]
    assert set(kinds) == {Heartbeat, by}
    assert slots(network) == [4, 4, 4]
    assert network.nodes[N3].sessions == network.nodes[N1].sessions


def test_a_restarted_replica_gets_the_state(golden: Callable[[str, str], None]) -> None:
    """4.2: decisions that were kept in memory are gone in a crash, and so n1 cannot repeat them.

    The state takes n3 over a hole in what it knows, and it goes on behind it.
    """
    story = Tale()
    story.fire(N1, LeaderTimeout())
    story.deliver()
    story.lines.clear()
    story.tell("Alice's first two commands miss n3, the third does not.")
    for number, text in enumerate("ab", 1):
        story.act(N1, append(ALICE, number, text), ALICE)
        story.lose(Accept, "n1", "n3")
        story.arrive(Accept)
        story.arrive(Accepted)
        story.lose(Decision, "n1", "n3")
        story.arrive(Decision)
    story.tell("n1 restarts, and leads again: what it has executed it does not propose again.")
    story.crash(N1)
    story.fire(N1, LeaderTimeout())
    story.arrive(Prepare)
    story.arrive(Promise)
    story.act(N1, append(ALICE, 3, "c"), ALICE)
    story.arrive(Accept)
    story.arrive(Accepted)
    story.arrive(Decision)
    story.tell("n3 knows slot 3 alone, until it hears how far the others are.")
    story.fire(N1, HeartbeatDue())
    story.arrive(Heartbeat)
    story.arrive(CatchUp)
    story.arrive(State)
    assert slots(story) == [4, 4, 4]
    assert texts(story) == ["abc"] * 3
    golden("catching_up.txt", story.text)


def test_an_older_state_changes_nothing() -> None:
    """R4: a replica never goes back."""
    network = led_by_n1()
    ask(network, N1, append(ALICE, 1, "a"))
    before = network.nodes[N1]
    network.act(N1, State(1, (), ()), N2)
    network.act(N1, Decision(1, A), N2)
    assert network.nodes[N1] == before


def test_who_knows_no_more_sends_nothing() -> None:
    """4.2: nor does it need help."""
    network = led_by_n1()
    assert sent(network, N2, CatchUp(1), N3) == []
    assert sent(network, N2, Heartbeat((1, N1), 1), N1) == []
    assert sent(network, N2, Heartbeat((1, N1), 2), N1) == [CatchUp(1)]


def test_proposals_are_sent_again_to_those_who_have_not_voted() -> None:
    """Kirsch-Amir: a proposal may be lost; heartbeats of the leader repeat it."""
    network = led_by_n1()
    network.isolate(N1)
    ask(network, N1, append(ALICE, 1, "a"))
    network.heal()
    resent = [e for e in network.fire(N1, HeartbeatDue()) if isinstance(e, Send)]
    assert resent[1:] == [Send((N2, N3), Accept((1, N1), 1, A))]
    network.deliver()
    assert slots(network) == [2, 2, 2]


# Section 4.3: what is on disk


def test_an_acceptor_remembers_through_a_crash() -> None:
    """4.3: its ballot and its votes."""
    network = cluster()
    network.act(N1, Accept((1, N2), 1, A), N2)
    network.act(N1, Prepare((3, N3)), N3)
    network.crash(N1)
    assert sent(network, N1, Accept((2, N2), 1, B), N2) == [Preempted((3, N3))]
    votes = ((1, ((1, N2), A)),)
    assert sent(network, N1, Prepare((4, N3)), N3) == [Promise((4, N3), 1, votes)]


def test_a_replica_remembers_through_a_crash() -> None:
    """4.3: what it has executed, since nobody may be left who has the votes."""
    network = led_by_n1()
    ask(network, N1, append(ALICE, 1, "a"))
    for id in network.ids:
        network.crash(id)
    assert texts(network) == ["a", "a", "a"]
    assert network.nodes[N2].sessions == Map({ALICE: Session(ALICE, 1, None)})
    elect(network, N3)
    ask(network, N3, append(ALICE, 1, "a"))
    assert texts(network) == ["a", "a", "a"]


def test_a_leader_that_has_crashed_begins_a_new_ballot() -> None:
    """4.3: it does not know what it has proposed in the old one, so no promise to that counts."""
    network = led_by_n1()
    network.act(N1, append(ALICE, 1, "a"), ALICE)
    network.crash(N1)
    for id in network.ids:
        assert sent(network, N1, Promise((1, N1), 1, ()), id) == []
    network.fire(N1, LeaderTimeout())
    assert network.nodes[N1].ballot == (2, N1)


def test_what_an_acceptor_says_is_on_its_disk() -> None:
    """4.3: an answer waits for the disk, and a crash before leaves neither."""
    network = cluster()
    network.slow.add(N1)
    network.act(N1, Prepare((1, N2)), N2)
    network.act(N1, Accept((1, N2), 1, A), N2)
    assert not network.queue
    network.crash(N1)
    assert network.nodes[N1].promised == NO_BALLOT
    network.act(N1, Accept((1, N2), 1, A), N2)
    network.sync(N1)
    assert [message for _, _, message in network.queue] == [Accepted((1, N2), 1)]


def test_proposers_never_share_a_ballot() -> None:
    """Ballots are pairs, ordered by round and then by leader."""
    network = cluster()
    for id in network.ids:
        network.fire(id, LeaderTimeout())
    ballots: list[Ballot] = [node.ballot for node in network.nodes.values()]
    assert ballots == [(1, N1), (1, N2), (1, N3)]


def test_the_store_is_what_the_operations_make_it() -> None:
    """R3: the state is the result of the decided commands, in the order of their slots."""
    network = led_by_n1()
    expected = KeyValue()
    for number, (f, value) in enumerate([("put", "a"), ("append", "b"), ("cas", ("ab", "c"))], 1):
        operation = Operation(f, "x", value)
        expected, _ = expected.apply(operation)
        ask(network, N1, Request(number, operation))
    assert {node.store for node in network.nodes.values()} == {expected}
