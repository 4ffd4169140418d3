"""Section 8 of the paper: clients and their sessions; reads as in section 6.4 of the thesis."""

from quorate.kernel import Map, Operation, Redirect, Request, Response
from quorate.protocols.consensus.raft_state import (
    FOLLOWER,
    AppendEntries,
    AppendReply,
    Config,
)
from tests.protocols.raft.cluster import (
    ALICE,
    BOB,
    N1,
    N2,
    N3,
    Cluster,
    ok,
)

# §8 Client interaction


def test_followers_name_the_leader() -> None:
    """§8: "If the client's first choice is not the leader, that server will reject the client's
    request and supply information about the most recent leader it has heard from."
    """
    cluster = Cluster()
    cluster.put(ALICE, 1, "a", to=N2)
    assert cluster.answered(ALICE) == [Redirect(1, None)]
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a", to=N2)
    assert cluster.answered(ALICE) == [Redirect(1, N1)]


def test_operations_that_the_machine_does_not_know_are_refused() -> None:
    """A request that cannot be executed must not enter the log, where all would stumble over it."""
    cluster = Cluster()
    cluster.elect(N1)
    for number, (f, value) in enumerate([("fly", None), ("cas", 3), ("append", 7)], 1):
        cluster.send(ALICE, N1, cluster.ask(ALICE, number, f, value))
        cluster.deliver()
        assert cluster.answered(ALICE) == [Response(number, None, False)]
    assert len(cluster.nodes[N1].log) == 0


def test_a_repeated_request_is_answered_and_not_executed_again() -> None:
    """§8: "If it receives a command whose serial number has already been executed, it responds
    immediately without re-executing the request."
    """
    cluster = Cluster()
    cluster.elect(N1)
    append = cluster.ask(ALICE, 1, "append", "a")
    for _ in range(3):
        cluster.send(ALICE, N1, append)
        cluster.deliver()
    assert cluster.answered(ALICE) == ok(1) * 3
    assert cluster.values(N1) == Map({"x": "a"})


def test_a_repetition_returns_what_the_first_returned() -> None:
    """§8: the state machine tracks "the latest serial number processed for each client, along
    with the associated response".
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    swap = cluster.ask(BOB, 1, "cas", ("a", "b"))
    cluster.send(BOB, N1, swap)
    cluster.deliver()
    cluster.send(BOB, N1, swap)
    cluster.deliver()
    assert cluster.answered(BOB) == ok(1, True) * 2


def test_a_repetition_is_recognised_by_the_next_leader() -> None:
    """§8: "if the leader crashes after committing the log entry but before responding to the
    client, the client will retry the command with a new leader".
    """
    cluster = Cluster()
    cluster.elect(N1)
    append = cluster.ask(ALICE, 1, "append", "a")
    cluster.send(ALICE, N1, append)
    cluster.deliver()
    cluster.isolate(N1)
    cluster.elect(N2)
    cluster.answered(ALICE)
    cluster.send(ALICE, N2, append)
    cluster.deliver()
    assert cluster.answered(ALICE) == ok(1) * 2  # Once for each of the two entries.
    assert cluster.values(N2) == Map({"x": "a"})


def test_an_overtaken_request_is_not_executed() -> None:
    """Thesis §6.3: a number below the session's latest was executed, or its client has gone on."""
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 2, "new")
    cluster.answered(ALICE)
    cluster.put(ALICE, 1, "old")
    assert cluster.answered(ALICE) == []
    assert cluster.values(N1) == Map({"x": "new"})


def test_the_leader_answers_what_an_earlier_leader_took() -> None:
    """§5.3: whoever commits the entry knows the client that waits for it."""
    cluster = Cluster(3, Config(pre_vote=False, check_quorum=False))
    cluster.elect(N1)
    cluster.cuts |= {(N2, N1), (N3, N1)}
    cluster.put(ALICE, 1, "a")
    assert cluster.answered(ALICE) == []
    cluster.isolate(N1)
    cluster.elect(N2)
    assert cluster.answered(ALICE) == ok(1)


# §8, thesis §6.4 Read-only queries


def reading(cluster: Cluster, number: int = 1) -> None:
    cluster.send(BOB, N1, cluster.ask(BOB, number, "get"))


def test_a_read_costs_a_round_of_heartbeats_and_no_entry() -> None:
    """§8: "Raft handles this by having the leader exchange heartbeat messages with a majority of
    the cluster before responding to read-only requests."
    """
    cluster = Cluster(3, Config(snapshot_every=0))
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    end = cluster.nodes[N1].log.end
    cluster.isolate(N1)
    reading(cluster)
    cluster.deliver()
    assert cluster.answered(BOB) == []
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.answered(BOB) == ok(1, "a")
    assert cluster.nodes[N1].log.end == end


def test_answers_from_before_the_read_confirm_nothing() -> None:
    """Thesis §6.4, 3: the leader "issues a new round of heartbeats and waits for their
    acknowledgments": a newer leader may have been elected since the last ones.
    """
    cluster = Cluster(3, Config(snapshot_every=0))
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    earlier = cluster.nodes[N1].round
    cluster.isolate(N1)
    reading(cluster)
    cluster.deliver()
    for peer in (N2, N3):
        cluster.act(N1, AppendReply(1, True, 2, earlier), peer)
    cluster.deliver()
    assert cluster.answered(BOB) == []
    cluster.act(N1, AppendReply(1, True, 2, earlier + 1), N2)
    cluster.deliver()
    assert cluster.answered(BOB) == ok(1, "a")


def test_a_deposed_leader_answers_no_reads() -> None:
    """§8: without that, a leader "could return stale data ... if it has been deposed"."""
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    cluster.isolate(N1)
    cluster.elect(N2)
    cluster.put(ALICE, 2, "b", to=N2)
    reading(cluster)
    cluster.deliver()
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.answered(BOB) == []
    assert cluster.nodes[N1].role == FOLLOWER


def test_a_new_leader_reads_after_its_first_commit() -> None:
    """§8: "a leader must have the latest information on which entries are committed", which it
    has once an entry of its own term is. N2 does not know that N1 had committed "a".
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    cluster.crash(N1)
    cluster.elect(N2)
    assert cluster.nodes[N2].commit_index == 0
    cluster.send(BOB, N2, cluster.ask(BOB, 1, "get"))
    cluster.deliver()
    cluster.heartbeat(N2)
    assert cluster.answered(BOB) == []
    cluster.send(ALICE, N2, cluster.ask(ALICE, 2, "append", "b"))
    cluster.deliver()
    assert cluster.answered(BOB) == ok(1, "ab")


def test_reads_share_rounds() -> None:
    """Thesis §6.4: "the leader can ... amortize" one round over "any number of read-only
    queries that it has accumulated".
    """
    cluster = Cluster(3, Config(snapshot_every=0))
    cluster.elect(N1)
    before = cluster.nodes[N1].round
    for number in range(1, 10):
        cluster.act(N1, cluster.ask(BOB, number, "get"), BOB)
    cluster.deliver()
    assert len(cluster.answered(BOB)) == 9
    assert cluster.nodes[N1].round == before + 2  # One for the first, one for all others.


def test_reads_of_a_lost_leadership_are_forgotten() -> None:
    """A round of the new term says nothing of what an old leader was asked: the client repeats."""
    cluster = Cluster()
    cluster.elect(N1)
    cluster.isolate(N1)
    reading(cluster)
    cluster.deliver()
    cluster.elect(N2)
    cluster.heal()
    cluster.heartbeat(N2)
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    assert cluster.answered(BOB) == []


def test_a_cluster_of_one_serves() -> None:
    """A majority of one: its own messages to itself carry all rules."""
    cluster = Cluster(1, Config())
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    reading(cluster)
    cluster.deliver()
    assert cluster.answered(ALICE) == ok(1)
    assert cluster.answered(BOB) == ok(1, "a")


# Requests without identity


def test_a_request_that_is_never_repeated_costs_no_session() -> None:
    """Thesis §6.3 keeps a session for each client that may repeat; who never does needs none."""
    cluster = Cluster()
    cluster.elect(N1)
    word = Operation("append", "x", "a")
    for _ in range(2):
        cluster.send(ALICE, N1, Request(1, word, once=False))
        cluster.deliver()
    assert cluster.answered(ALICE) == ok(1) * 2
    assert cluster.values(N1) == Map({"x": "aa"})
    assert not cluster.nodes[N1].state.sessions


def test_the_next_leader_answers_a_request_without_identity() -> None:
    """§5.3: whoever applies the entry while it leads returns the result, and nobody else does."""
    cluster = Cluster(3, Config(pre_vote=False, check_quorum=False))
    cluster.elect(N1)
    cluster.cuts |= {(N2, N1), (N3, N1)}
    cluster.send(ALICE, N1, Request(1, Operation("append", "x", "a"), once=False))
    cluster.deliver()
    assert cluster.answered(ALICE) == []
    cluster.isolate(N1)
    cluster.elect(N2)
    assert cluster.answered(ALICE) == ok(1)
    cluster.heal()
    cluster.heartbeat(N2)
    assert cluster.values(N1) == Map({"x": "a"})
    assert cluster.answered(ALICE) == []


def test_who_refuses_an_earlier_term_confirms_no_round() -> None:
    """§8: rounds are counted anew in each term, and a leader may lead two. A refusal of what it
    sent in the first must not count for a round of the second.
    """
    cluster = Cluster(3, Config(pre_vote=False, check_quorum=False, batching=False))
    cluster.elect(N1)
    for _ in range(9):
        cluster.heartbeat(N1)
    late = next(m for _, _, m in reversed(cluster.sent) if isinstance(m, AppendEntries))
    assert late.round == 10
    cluster.set(N1, role=FOLLOWER, leader=None)
    cluster.elect(N1)
    cluster.cuts |= {(N1, N2), (N1, N3)}
    cluster.send(N1, N2, late)
    cluster.act(N1, cluster.ask(BOB, 1, "get"), BOB)
    cluster.act(N2, late, N1)
    cluster.deliver()
    assert cluster.answered(BOB) == []
