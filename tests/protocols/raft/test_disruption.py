"""The thesis on leaders that must not be disturbed, and on those that must go."""

from quorate.kernel import ms
from quorate.kernel.env import SetTimer
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    Config,
    ElectionTimeout,
    RequestVote,
    Vote,
)
from tests.protocols.raft.cluster import (
    N1,
    N2,
    N3,
    N4,
    N5,
    Cluster,
)


def test_an_isolated_server_disturbs_nobody_when_it_returns() -> None:
    """Thesis §9.6: "a candidate only increments its term if it first learns from a majority of
    the cluster that they would be willing to grant the candidate their votes".
    """
    cluster = Cluster(3, Config())
    cluster.elect(N1)
    cluster.isolate(N3)
    for _ in range(5):
        cluster.time_out(N3)
    assert (cluster.nodes[N3].role, cluster.nodes[N3].current_term) == (PRE_CANDIDATE, 1)
    cluster.heal()
    cluster.time_out(N3)
    cluster.heartbeat(N1)
    assert [cluster.nodes[id].current_term for id in cluster.ids] == [1, 1, 1]
    assert [cluster.nodes[id].leader for id in cluster.ids] == [N1, N1, N1]


def test_without_pre_vote_it_does() -> None:
    """Thesis §9.6: the disruption that PreVote prevents."""
    cluster = Cluster(3, Config(pre_vote=False, check_quorum=False))
    cluster.elect(N1)
    cluster.isolate(N3)
    for _ in range(5):
        cluster.time_out(N3)
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].role == FOLLOWER
    assert cluster.nodes[N1].current_term == 6


def test_pre_votes_elect_when_no_leader_is_heard() -> None:
    """Thesis §9.6: a server grants its pre-vote once it has "not received a heartbeat from a
    valid leader for at least a baseline election timeout".
    """
    cluster = Cluster(3, Config())
    cluster.elect(N1)
    cluster.isolate(N1)
    cluster.time_out(N2)
    assert cluster.nodes[N2].role == PRE_CANDIDATE
    cluster.time_out(N3)
    assert (cluster.nodes[N3].role, cluster.nodes[N3].current_term) == (LEADER, 2)


def test_a_leader_is_protected_for_the_least_election_timeout() -> None:
    """Thesis §4.2.3: "within the minimum election timeout of hearing from a current leader". The
    follower itself stands only when the random rest has elapsed, too (§5.2).
    """
    cluster = Cluster(3, Config())
    cluster.elect(N1)
    assert cluster.timers[N2][ElectionTimeout()] == (ms(150), ms(150))
    request = RequestVote(2, 1, 1, True)
    assert cluster.act(N2, request, N3) == []
    cluster.fire(N2, ElectionTimeout())
    assert cluster.nodes[N2].role == FOLLOWER
    assert cluster.timers[N2][ElectionTimeout()] == (0, ms(150))
    cluster.act(N2, request, N3)
    assert cluster.sent[-1] == (N2, N3, Vote(2, True, True))
    cluster.fire(N2, ElectionTimeout())
    assert cluster.nodes[N2].role == PRE_CANDIDATE


def test_a_pre_candidate_learns_of_a_newer_term() -> None:
    """§5.1 holds for PreVote too: "a stale term" is answered with the newer one."""
    cluster = Cluster(3, Config())
    cluster.set(N2, current_term=7)
    cluster.time_out(N1)
    assert (cluster.nodes[N1].current_term, cluster.nodes[N1].role) == (7, FOLLOWER)


def test_servers_that_hear_a_leader_vote_for_nobody_else() -> None:
    """Thesis §4.2.3: "if a server receives a RequestVote request within the minimum election
    timeout of hearing from a current leader, it does not update its term or grant its vote".
    """
    cluster = Cluster(3, Config(pre_vote=False))
    cluster.elect(N1)
    for id in (N1, N2):
        before = cluster.nodes[id]
        assert cluster.act(id, RequestVote(9, 99, 9, False), N3) == []
        assert cluster.nodes[id] == before


def test_a_leader_without_a_majority_steps_down() -> None:
    """Thesis §6.2: "a leader steps down if an election timeout elapses without a successful round
    of heartbeats to a majority of its cluster".
    """
    cluster = Cluster(5, Config())
    cluster.elect(N1)
    cluster.isolate(N4, N5)
    cluster.heartbeat(N1)
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == LEADER
    cluster.isolate(N3)
    cluster.heartbeat(N1)
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == FOLLOWER
    assert cluster.nodes[N1].leader is None


def test_without_check_quorum_it_leads_for_ever() -> None:
    """Thesis §6.2: what CheckQuorum prevents."""
    cluster = Cluster(5, Config(check_quorum=False))
    cluster.elect(N1)
    cluster.isolate(N1)
    for _ in range(3):
        cluster.heartbeat(N1)
        cluster.time_out(N1)
    assert cluster.nodes[N1].role == LEADER


def test_a_new_leader_has_a_whole_timeout_to_find_its_majority() -> None:
    """Thesis §6.2: the timeout of its candidacy is set anew."""
    cluster = Cluster(3, Config())
    cluster.set(N1, role=CANDIDATE, current_term=4)
    cluster.act(N1, Vote(4, True, False), N2)
    effects = cluster.act(N1, Vote(4, True, False), N3)
    assert cluster.nodes[N1].role == LEADER
    assert SetTimer(ElectionTimeout(), ms(150), ms(300)) in effects
