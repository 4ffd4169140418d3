"""Raft as its paper says: one test per claim, each citing the section.

Sections and figures are those of Ongaro and Ousterhout, "In Search of an Understandable Consensus
Algorithm (Extended Version)", 2014; "thesis" is Ongaro's of the same year. Section 5 is here; disks
and disruption, clients, sessions and snapshots have files of their own beside this one.
"""

import pytest

from quorate.kernel import Log, Map, majority, ms
from quorate.kernel.env import SetTimer
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    AppendEntries,
    AppendReply,
    Config,
    ElectionTimeout,
    HeartbeatTimeout,
    RequestVote,
    Vote,
)
from tests.protocols.raft.cluster import (
    ALICE,
    BOB,
    N1,
    N2,
    N3,
    N4,
    N5,
    PLAIN,
    Cluster,
    ok,
)

# §5.1 Raft basics


def test_a_server_with_a_newer_term_makes_others_followers() -> None:
    """§5.1: "If a candidate or leader discovers that its term is out of date, it immediately
    reverts to follower state."
    """
    news = [
        AppendReply(9, False, 0, 0),
        Vote(9, False, False),
        RequestVote(9, 0, 0, False),
        AppendEntries(9, 0, 0, (), 0, 1),
    ]
    for message in news:
        leader = Cluster()
        leader.elect(N1)
        candidate = Cluster()
        candidate.time_out(N1, deliver=False)
        for cluster in (leader, candidate):
            cluster.act(N1, message, N2)
            assert cluster.nodes[N1].role == FOLLOWER
            assert cluster.nodes[N1].current_term == 9


def test_requests_of_an_older_term_are_rejected() -> None:
    """§5.1: "If a server receives a request with a stale term number, it rejects the request." """
    cluster = Cluster()
    cluster.set(N2, current_term=5)
    cluster.send(N1, N2, AppendEntries(4, 0, 0, (Entry(4),), 0, 1))
    cluster.send(N1, N2, RequestVote(4, 9, 4, False))
    cluster.cuts.add((N2, N1))
    cluster.deliver()
    sent = [message for source, _, message in cluster.sent if source == N2]
    assert sent == [AppendReply(5, False, 0, 0), Vote(5, False, False)]
    assert cluster.terms(N2) == []


# §5.2 Leader election


def test_servers_start_as_followers() -> None:
    """§5.2: "When servers start up, they begin as followers." """
    cluster = Cluster()
    assert {node.role for node in cluster.nodes.values()} == {FOLLOWER}


def test_a_follower_that_hears_nothing_starts_an_election() -> None:
    """§5.2: "a follower increments its current term and transitions to candidate state. It then
    votes for itself and issues RequestVote RPCs in parallel to each of the other servers."
    """
    cluster = Cluster()
    cluster.time_out(N1, deliver=False)
    node = cluster.nodes[N1]
    assert (node.role, node.current_term, node.voted_for) == (CANDIDATE, 1, N1)
    asked = {target for _, target, message in cluster.queue if isinstance(message, RequestVote)}
    assert asked == {N1, N2, N3}


def test_heartbeats_prevent_elections() -> None:
    """§5.2: a server remains follower "as long as it receives valid RPCs from a leader or
    candidate": each sets its timer anew.
    """
    cluster = Cluster()
    heartbeat = AppendEntries(1, 0, 0, (), 0, 1)
    effects = cluster.act(N2, heartbeat, N1)
    assert SetTimer(ElectionTimeout(), ms(150), ms(150)) in effects
    granted = cluster.act(N3, RequestVote(1, 0, 0, False), N1)
    assert SetTimer(ElectionTimeout(), ms(150), ms(300)) in granted
    refused = cluster.act(N3, RequestVote(1, 0, 0, False), N2)
    assert not any(isinstance(effect, SetTimer) for effect in refused)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_majority_of_votes_makes_a_leader(size: int) -> None:
    """§5.2: "A candidate wins an election if it receives votes from a majority of the servers in
    the full cluster for the same term." One vote less does not do.
    """
    for reachable in range(1, size + 1):
        cluster = Cluster(size)
        cluster.isolate(*cluster.ids[:reachable])
        cluster.time_out(N1)
        wins = reachable >= majority(cluster.ids)
        assert (cluster.nodes[N1].role == LEADER) == wins, (reachable, size)


def test_a_vote_counts_once() -> None:
    """§5.2: votes are counted by server: the network may repeat a message (§2)."""
    cluster = Cluster(5)
    cluster.isolate(N1)
    cluster.time_out(N1)
    for _ in range(3):
        cluster.act(N1, Vote(1, True, False), N2)
    assert cluster.nodes[N1].role == CANDIDATE
    cluster.act(N1, Vote(1, True, False), N3)
    assert cluster.nodes[N1].role == LEADER


def test_votes_of_an_earlier_term_do_not_count() -> None:
    """§5.2: votes must be "for the same term"."""
    cluster = Cluster()
    cluster.isolate(N1)
    cluster.time_out(N1)
    cluster.time_out(N1)
    cluster.act(N1, Vote(1, True, False), N2)
    assert cluster.nodes[N1].role == CANDIDATE


def test_each_server_votes_once_in_a_term_first_come_first_served() -> None:
    """§5.2: "Each server will vote for at most one candidate in a given term, on a
    first-come-first-served basis." The same candidate is told again.
    """
    cluster = Cluster()
    for candidate in (N1, N2, N1):
        cluster.act(N3, RequestVote(1, 0, 0, False), candidate)
    replies = [(target, message) for source, target, message in cluster.sent if source == N3]
    assert replies == [
        (N1, Vote(1, True, False)),
        (N2, Vote(1, False, False)),
        (N1, Vote(1, True, False)),
    ]


def test_a_candidate_follows_a_leader_of_its_term_and_no_older_one() -> None:
    """§5.2: "If the leader's term is at least as large as the candidate's current term, then the
    candidate recognizes the leader as legitimate"; else it "continues in candidate state".
    """
    cluster = Cluster()
    cluster.set(N1, current_term=4)
    cluster.time_out(N1, deliver=False)
    cluster.act(N1, AppendEntries(4, 0, 0, (), 0, 1), N2)
    assert cluster.nodes[N1].role == CANDIDATE
    cluster.act(N1, AppendEntries(5, 0, 0, (), 0, 1), N2)
    assert (cluster.nodes[N1].role, cluster.nodes[N1].leader) == (FOLLOWER, N2)


def test_a_split_vote_ends_in_a_new_term() -> None:
    """§5.2: "When this happens, each candidate will time out and start a new election by
    incrementing its term"; timeouts are "chosen randomly from a fixed interval (e.g.,
    150-300ms)".
    """
    cluster = Cluster(2)
    cluster.time_out(N1, deliver=False)
    cluster.time_out(N2, deliver=False)
    cluster.deliver()
    assert {node.role for node in cluster.nodes.values()} == {CANDIDATE}
    assert cluster.timers[N1] == {ElectionTimeout(): (ms(150), ms(300))}
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == LEADER
    assert cluster.nodes[N1].current_term == 2


def test_a_new_leader_asserts_its_authority_at_once() -> None:
    """§5.2: "It then sends heartbeat messages to all of the other servers to establish its
    authority", and repeats them periodically.
    """
    cluster = Cluster()
    cluster.elect(N1)
    assert {node.leader for node in cluster.nodes.values()} == {N1}
    assert cluster.timers[N1][HeartbeatTimeout()] == (ms(50), ms(50))
    cluster.fire(N1, HeartbeatTimeout())
    heard = {target for _, target, message in cluster.queue if isinstance(message, AppendEntries)}
    assert heard == {N2, N3}
    assert HeartbeatTimeout() in cluster.timers[N1]


# §5.4.1 Election restriction


@pytest.mark.parametrize(
    ("candidate", "voter", "granted"),
    [
        ([], [], True),
        ([1], [1], True),
        ([1, 1], [1], True),
        ([1], [1, 1], False),
        ([2], [1, 1], True),  # The last term is compared before the length.
        ([1, 1], [2], False),
        ([1, 2], [1, 1, 1], True),
        ([1, 1, 1], [1, 2], False),
        ([2, 2], [2, 2, 2], False),
    ],
)
def test_voters_refuse_candidates_whose_log_is_behind(
    candidate: list[int], voter: list[int], granted: bool
) -> None:
    """§5.4.1: "If the logs have last entries with different terms, then the log with the later
    term is more up-to-date. If the logs end with the same term, then whichever log is longer is
    more up-to-date." Elections and PreVote alike.
    """
    for pre in (False, True):
        cluster = Cluster()
        cluster.set_log(N2, voter)
        last = candidate[-1] if candidate else 0
        cluster.act(N2, RequestVote(9, len(candidate), last, pre), N1)
        _, _, reply = cluster.sent[-1]
        assert isinstance(reply, Vote)
        assert reply.granted == granted


# §5.3 Log replication


def test_an_entry_is_committed_applied_and_answered() -> None:
    """§5.3: the leader "appends the command to its log as a new entry, then issues AppendEntries
    RPCs in parallel ... When the entry has been safely replicated, the leader applies the entry
    to its state machine and returns the result of that execution to the client."
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.isolate(N1)
    cluster.put(ALICE, 1, "a")
    assert cluster.terms(N1) == [1]
    assert cluster.nodes[N1].commit_index == 0
    assert cluster.answered(ALICE) == []
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].commit_index == 1
    assert cluster.answered(ALICE) == ok(1)
    assert cluster.values(N1)["x"] == "a"


def test_followers_learn_of_commits_from_the_next_message() -> None:
    """§5.3: "The leader keeps track of the highest index it knows to be committed, and it
    includes that index in future AppendEntries RPCs (including heartbeats)."
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    assert [cluster.nodes[id].commit_index for id in cluster.ids] == [1, 0, 0]
    cluster.heartbeat(N1)
    assert [cluster.nodes[id].commit_index for id in cluster.ids] == [1, 1, 1]
    assert cluster.values(N3) == Map({"x": "a"})


def test_the_consistency_check() -> None:
    """§5.3: "If the follower does not find an entry in its log with the same index and term, then
    it refuses the new entries." Figure 7's leader precedes its entry by index 10, term 6.
    """
    for terms, agrees in [
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], True),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6], False),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], True),
        ([1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], False),
        ([], False),
    ]:
        cluster = Cluster()
        cluster.set_log(N2, terms)
        cluster.act(N2, AppendEntries(8, 10, 6, (Entry(8),), 0, 1), N1)
        _, _, reply = cluster.sent[-1]
        assert isinstance(reply, AppendReply)
        assert reply.success == agrees, terms
        assert (cluster.terms(N2)[10:] == [8]) == agrees


FIGURE_7 = {
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}


@pytest.mark.parametrize("follower", FIGURE_7)
def test_the_leader_brings_any_follower_to_its_own_log(follower: str) -> None:
    """§5.3, Figure 7: "In Raft, the leader handles inconsistencies by forcing the followers' logs
    to duplicate its own", whichever of (a)-(f) it meets.
    """
    log = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
    cluster = Cluster()
    cluster.set_log(N1, log, current_term=7)
    cluster.set_log(N2, FIGURE_7[follower], current_term=7)
    cluster.set_log(N3, log, current_term=7)
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    cluster.heartbeat(N1)
    assert cluster.terms(N2) == [*log, 8]
    assert cluster.nodes[N2].log == cluster.nodes[N1].log


def test_only_conflicts_delete_entries() -> None:
    """Figure 2, AppendEntries 3: "If an existing entry conflicts with a new one ..., delete the
    existing entry and all that follow it": an old message that says nothing new deletes nothing.
    """
    cluster = Cluster()
    cluster.set_log(N2, [1, 1, 1])
    cluster.act(N2, AppendEntries(1, 0, 0, (Entry(1),), 0, 1), N1)
    cluster.act(N2, AppendEntries(1, 1, 1, (), 0, 1), N1)
    assert cluster.terms(N2) == [1, 1, 1]
    cluster.act(N2, AppendEntries(2, 1, 1, (Entry(2),), 0, 1), N1)
    assert cluster.terms(N2) == [1, 2]


def test_a_follower_commits_no_further_than_the_message_reaches() -> None:
    """Figure 2, AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry). What
    follows that entry here may be another leader's.
    """
    cluster = Cluster()
    cluster.set_log(N2, [1, 1, 1])
    cluster.act(N2, AppendEntries(2, 1, 1, (), 3, 1), N1)
    assert cluster.nodes[N2].commit_index == 1
    cluster.act(N2, AppendEntries(2, 1, 1, (Entry(2),), 3, 2), N1)
    assert cluster.nodes[N2].commit_index == 2


def test_messages_may_be_repeated_and_reordered() -> None:
    """§5.5: "Raft RPCs are idempotent"; matchIndex "increases monotonically" (Figure 2)."""
    cluster = Cluster(5)
    cluster.elect(N1)
    cluster.isolate(N1)
    for number in range(1, 4):
        cluster.put(ALICE, number, str(number))
    for match_index in (3, 1, 2, 3):
        cluster.act(N1, AppendReply(1, True, match_index, 1), N2)
    assert cluster.nodes[N1].match_index[N2] == 3
    first = AppendEntries(1, 0, 0, tuple(cluster.nodes[N1].log[1:2]), 0, 1)
    rest = AppendEntries(1, 1, 1, tuple(cluster.nodes[N1].log[2:]), 0, 2)
    for message in (rest, first, rest, first):
        cluster.act(N2, message, N1)
    assert cluster.nodes[N2].log == cluster.nodes[N1].log


def test_replies_to_an_earlier_leadership_are_ignored() -> None:
    """§5.1: terms "allow servers to detect obsolete information such as stale leaders", and
    replies: what a follower had in term 1, it may have lost by term 3.
    """
    cluster = Cluster()
    cluster.set_log(N1, [1, 1], current_term=2)
    cluster.elect(N1)
    known = cluster.nodes[N1].match_index
    cluster.isolate(N1)
    cluster.act(N1, AppendReply(1, True, 2, 9), N2)
    assert cluster.nodes[N1].match_index is known


@pytest.mark.parametrize(
    ("match", "committed"),
    [
        # Indices that each server has stored, and what a majority has; after etcd's
        # quorum/testdata/majority_commit.txt.
        ((12,), 12),
        ((12, 5), 5),
        ((12, 5, 6), 6),
        ((12, 5, 0), 5),
        ((12, 0, 0), 0),
        ((99, 99, 0), 99),
        ((101, 103, 103), 103),
        ((101, 104, 103, 103), 103),
        ((101, 101, 103, 103), 101),
        ((99, 101, 102, 103, 104), 102),
        ((99, 99, 102, 103, 104), 102),
        ((99, 99, 99, 103, 104), 99),
    ],
)
def test_committed_is_what_a_majority_has_stored(match: tuple[int, ...], committed: int) -> None:
    """§5.3: "A log entry is committed once the leader that created the entry has replicated it on
    a majority of the servers."
    """
    cluster = Cluster(len(match))
    node = cluster.nodes[N1]
    assert node.reached_by_majority(Map(zip(cluster.ids, match, strict=True))) == committed


def test_entries_travel_in_batches_and_in_a_bounded_pipeline() -> None:
    """§10.2 of the thesis: the leader sends on without waiting, but not without bound."""
    cluster = Cluster(2, Config(max_entries=2, max_in_flight=2, no_op=False, snapshot_every=0))
    cluster.elect(N1)
    cluster.cuts.add((N1, N2))
    cluster.slow.add(N1)
    for number in range(1, 9):
        cluster.act(N1, cluster.ask(ALICE, number, "put", "a"), ALICE)
    for _ in range(4):
        cluster.sync(N1)
    sizes = [len(m.entries) for _, _, m in cluster.sent if isinstance(m, AppendEntries)]
    assert sizes == [0, 2, 2, 0, 0]
    cluster.slow.clear()
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.nodes[N2].log == cluster.nodes[N1].log
    assert cluster.nodes[N1].commit_index == 8


def test_requests_that_arrive_together_are_replicated_together() -> None:
    """§10.2 of the thesis: a leader batches. Without batching each has its own message."""
    for batching, messages in [(True, [2]), (False, [1, 1])]:
        cluster = Cluster(2, Config(batching=batching, no_op=False))
        cluster.elect(N1)
        cluster.sent.clear()
        cluster.slow.add(N1)
        cluster.act(N1, cluster.ask(ALICE, 1, "put", "a"), ALICE)
        cluster.act(N1, cluster.ask(BOB, 1, "put", "b"), BOB)
        cluster.sync(N1)
        sizes = [len(m.entries) for _, _, m in cluster.sent if isinstance(m, AppendEntries)]
        assert sizes == messages


# §5.4 Safety


def test_figure_8() -> None:
    """§5.4.2, Figure 8: "Raft never commits log entries from previous terms by counting replicas."

    (c) S1 has spread its entry of term 2 to a majority, and it is not committed: (d) S5, whose
    last term is 3, may still be elected and overwrite it; (e) unless S1 commits one of its own.
    """
    cluster = Cluster(5)
    cluster.set_log(N1, [1, 2], current_term=3)
    cluster.set_log(N2, [1, 2], current_term=3)
    for id in (N3, N4):
        cluster.set_log(id, [1], current_term=3)
    cluster.set_log(N5, [1, 3])
    cluster.isolate(N5)
    cluster.isolate(N4)
    cluster.elect(N1)
    cluster.heartbeat(N1)
    assert cluster.terms(N3) == [1, 2]
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].commit_index == 0

    cluster.heal()
    cluster.isolate(N1)
    cluster.set(N5, current_term=4)
    cluster.elect(N5)
    cluster.put(BOB, 1, "b", to=N5)
    assert cluster.terms(N3) == [1, 3, 5]


def test_an_entry_of_its_own_term_commits_all_before_it() -> None:
    """§5.4.2, Figure 8 (e): "once an entry from the current term has been committed in this way,
    then all prior entries are committed indirectly".
    """
    cluster = Cluster(5)
    cluster.set_log(N1, [1, 2], current_term=3)
    cluster.elect(N1)
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].commit_index == 0
    cluster.put(ALICE, 1, "a")
    assert cluster.nodes[N1].commit_index == 3


def test_a_new_leader_commits_a_no_op() -> None:
    """§8: "Raft handles this by having each leader commit a blank no-op entry into the log at the
    start of its term."
    """
    cluster = Cluster(3, Config(snapshot_every=0))
    cluster.set_log(N1, [1, 1])
    cluster.set_log(N2, [1, 1])
    cluster.elect(N1)
    assert cluster.nodes[N1].log[3] == Entry(2)
    assert cluster.nodes[N1].commit_index == 3


def test_logs_begin_at_one() -> None:
    """Figure 2: "first index is 1"."""
    assert Cluster().nodes[N1].log == Log(start=1)
    assert PLAIN.heartbeat < PLAIN.election[0]
