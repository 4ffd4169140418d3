"""Figure 2 of the paper: what is on disk before anybody hears of it, and what a crash leaves."""

from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    AppendEntries,
    AppendReply,
    HeartbeatTimeout,
    RequestVote,
    Vote,
)
from tests.protocols.raft.cluster import (
    ALICE,
    N1,
    N2,
    N3,
    Cluster,
)


def test_term_vote_and_log_survive_a_crash() -> None:
    """Figure 2: currentTerm, votedFor and log[] are "updated on stable storage before responding
    to RPCs"; all else is volatile.
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    before = cluster.nodes[N1]
    cluster.crash(N1)
    after = cluster.nodes[N1]
    kept = (after.current_term, after.voted_for, after.log)
    assert kept == (before.current_term, N1, before.log)
    assert (after.role, after.commit_index, after.leader) == (FOLLOWER, 0, None)
    assert after.state == cluster.fresh[N1].state


def test_a_vote_leaves_when_it_is_on_disk() -> None:
    """Figure 2: a vote that could be forgotten after it is counted would be cast twice."""
    cluster = Cluster()
    cluster.slow.add(N2)
    cluster.act(N2, RequestVote(1, 0, 0, False), N1)
    assert cluster.sent == []
    cluster.crash(N2)
    assert cluster.nodes[N2].voted_for is None
    cluster.act(N2, RequestVote(1, 0, 0, False), N3)
    cluster.sync(N2)
    assert cluster.sent == [(N2, N3, Vote(1, True, False))]


def test_a_candidate_counts_its_own_vote_when_it_is_on_disk() -> None:
    """§5.2: a candidate votes for itself, by the same rule as for others."""
    cluster = Cluster(1)
    cluster.slow.add(N1)
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == CANDIDATE
    cluster.sync(N1)
    cluster.slow.clear()
    cluster.deliver()
    assert cluster.nodes[N1].role == LEADER


def test_a_follower_acknowledges_what_is_on_disk() -> None:
    """Figure 2: the reply to AppendEntries waits for the log's disk."""
    cluster = Cluster()
    cluster.slow.add(N2)
    cluster.act(N2, AppendEntries(1, 0, 0, (Entry(1),), 0, 1), N1)
    assert cluster.sent == []
    cluster.sync(N2)
    assert cluster.sent == [(N2, N1, AppendReply(1, True, 1, 1))]


def test_a_leader_sends_before_its_sync_and_counts_itself_after() -> None:
    """§10.2.1 of the thesis: "the leader can write to its disk in parallel with replicating to
    the followers", and an entry may be committed before the leader has it on disk.
    """
    cluster = Cluster()
    cluster.elect(N1)
    cluster.isolate(N3)
    cluster.slow.add(N1)
    cluster.act(N1, cluster.ask(ALICE, 1, "put", "a"), ALICE)
    cluster.deliver()
    assert cluster.terms(N2) == [1]
    assert cluster.nodes[N1].commit_index == 0
    cluster.heal()
    cluster.fire(N1, HeartbeatTimeout())
    cluster.deliver()
    assert cluster.nodes[N1].commit_index == 1
    cluster.put(ALICE, 2, "b")
    assert cluster.nodes[N1].match_index[N1] == 0
    cluster.sync(N1)
    cluster.deliver()
    assert cluster.nodes[N1].match_index[N1] == 2
