"""Membership changes as Ongaro's thesis says: one test per claim, each citing the section.

Sections are those of the thesis, but for §6 and §7, which are the paper's (extended version, 2014).
Transfers, leases and configurations have files of their own beside this one.
"""

from itertools import combinations

from msgspec.structs import replace

from quorate.kernel import Map, NodeId, Redirect, Response
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_membership import PATIENCE, RoundTimeout
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    AppendEntries,
    AppendReply,
    Config,
    ElectionTimeout,
    RequestVote,
    Vote,
)
from tests.protocols.raft.cluster import ALICE, N1, N2, N3, N4, N5, ok
from tests.protocols.raft_membership.cluster import BARE, Members

N6 = NodeId("n6")
DONE = [Response(1, True)]


def led(size: int, initial: int = 0, config: Config = BARE) -> Members:
    """A cluster in which n1 leads, and has committed an entry of its term."""
    cluster = Members(size, initial, config)
    cluster.elect(N1)
    return cluster


def overwritten(cluster: Members) -> None:
    """n1 has appended a change that reached nobody; n2 leads by now, and n1 hears of it."""
    cluster.isolate(N1)
    cluster.ask_for("remove", "n3")
    cluster.elect(N2)
    cluster.heal()


# §4.1 Safety


def test_a_configuration_is_used_as_soon_as_it_is_in_the_log() -> None:
    """§4.1: "The new configuration takes effect on each server as soon as it is added to that
    server's log: ... and a majority of the new configuration is used to determine the Cnew
    entry's commitment."
    """
    cluster = led(4, 3)
    cluster.ask_for("add-learner", "n4")
    cluster.isolate(N1, N2)
    cluster.cuts -= {(N1, N4), (N4, N1)}
    assert cluster.voters(N1) == (N1, N2, N3)
    cluster.ask_for("promote", "n4")  # Three of four have it now.
    assert cluster.voters(N4) == (N1, N2, N3, N4)
    cluster.isolate(N4)
    cluster.put(ALICE, 1, "a")
    assert cluster.answered(ALICE) == []  # Two of the old three are not enough any more.


def test_a_server_uses_the_latest_configuration_committed_or_not() -> None:
    """§4.1: "servers always use the latest configuration in their logs, regardless of whether that
    configuration entry has been committed."
    """
    cluster = led(3)
    cluster.isolate(N1)
    cluster.ask_for("remove", "n3")
    assert cluster.voters(N1) == (N1, N2)
    assert len(cluster.nodes[N1].configurations) == 2
    assert cluster.nodes[N1].others == (N2,)


def test_a_server_falls_back_on_the_configuration_before() -> None:
    """§4.1: "a log entry for a configuration change can be removed (if leadership changes); in this
    case, a server must be prepared to fall back to the previous configuration in its log."
    """
    cluster = led(3)
    overwritten(cluster)
    cluster.heartbeat(N2)
    assert cluster.voters(N1) == (N1, N2, N3)
    assert len(cluster.nodes[N1].configurations) == 1
    assert cluster.nodes[N1].others == (N2, N3)


def test_an_entry_after_the_message_keeps_its_configuration() -> None:
    """§5.3: a late message that brings less than we have deletes nothing."""
    cluster = led(3)
    cluster.ask_for("remove", "n3")
    cluster.act(N2, AppendEntries(1, 0, 0, (Entry(1),), 0, 1), N1)
    assert cluster.voters(N2) == (N1, N2)


def test_one_change_at_a_time() -> None:
    """§4.1: leaders avoid overlapping changes "by not beginning a new change until the previous
    change's entry has committed."
    """
    cluster = led(5)
    cluster.isolate(N1)
    cluster.ask_for("remove", "n5")
    cluster.ask_for("remove", "n4", number=2)
    assert cluster.told() == [Redirect(2, None)]
    assert cluster.voters(N1) == (N1, N2, N3, N4)
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.told() == DONE
    cluster.ask_for("remove", "n4", number=2)
    assert cluster.told() == [Response(2, True)]
    assert cluster.voters(N1) == (N1, N2, N3)


def test_no_change_before_an_entry_of_the_leaders_own_term() -> None:
    """The bug of July 2015: a leader that has committed nothing in its term may not know of a
    change that an earlier leader has committed, or that another one may commit.
    """
    cluster = Members(4, config=replace(BARE, no_op=False))
    cluster.elect(N1)
    cluster.ask_for("remove", "n2")
    assert cluster.told() == [Redirect(1, None)]
    assert cluster.voters(N1) == (N1, N2, N3, N4)
    cluster.put(ALICE, 1, "a")
    cluster.ask_for("remove", "n2")
    assert cluster.told() == DONE
    assert cluster.voters(N1) == (N1, N3, N4)


def test_what_is_so_already_is_done() -> None:
    """A repeated request finds its work done: changes need no session."""
    cluster = led(3)
    cluster.ask_for("remove", "n3")
    cluster.ask_for("remove", "n3", number=2)
    assert cluster.told() == [*DONE, Response(2, True)]
    assert len(cluster.nodes[N1].log) == 2


def test_nonsense_is_refused() -> None:
    cluster = led(3)
    for number, (f, server) in enumerate(
        [("promote", "n9"), ("add-learner", None), ("reconfigure", ("n1", "n9"))], 1
    ):
        cluster.ask_for(f, server, number=number)
        assert cluster.told() == [Response(number, ok=False)]


def test_followers_name_the_leader() -> None:
    """§8: changes go the way of all requests."""
    cluster = led(3)
    cluster.ask_for("remove", "n3", of=N2)
    assert cluster.told() == [Redirect(1, N1)]


# §4.2.1 Catching up new servers


def test_a_learner_gets_the_log_and_does_not_count() -> None:
    """§4.2.1: "a new server joins the cluster as a non-voting member. The leader replicates log
    entries to it, but it is not yet counted towards majorities for voting or commitment purposes."
    """
    cluster = led(4, 3)
    cluster.put(ALICE, 1, "a")
    cluster.ask_for("add-learner", "n4")
    cluster.heartbeat(N1)
    assert cluster.told() == DONE
    assert cluster.values(N4) == Map({"x": "a"})
    assert cluster.voters(N4) == (N1, N2, N3)
    cluster.answered(ALICE)
    cluster.isolate(N1, N4)
    cluster.put(ALICE, 2, "b")
    assert cluster.answered(ALICE) == []


def test_who_does_not_belong_is_passive() -> None:
    """§4.2.1: a server that is not in its configuration does not stand for election."""
    cluster = led(4, 3)
    cluster.ask_for("add-learner", "n4")
    for _ in range(3):
        cluster.fire(N4, ElectionTimeout())
    cluster.deliver()
    assert cluster.nodes[N4].role == FOLLOWER
    assert cluster.nodes[N4].current_term == 1
    assert ElectionTimeout() in cluster.timers[N4]


def test_a_learner_is_promoted_when_it_has_caught_up() -> None:
    """§4.2.1: "Each round replicates all the log entries present in the leader's log at the start
    of the round". If the last one "lasts less than an election timeout, then the leader adds the
    new server to the cluster".
    """
    cluster = promoted_while_away()
    assert cluster.told() == []
    assert cluster.voters(N1) == (N1, N2, N3)
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.told() == DONE
    assert cluster.voters(N1) == (N1, N2, N3, N4)
    assert RoundTimeout() not in cluster.timers[N1]


def promoted_while_away() -> Members:
    """n4, a learner, is to vote, and lacks an entry."""
    cluster = led(4, 3)
    cluster.ask_for("add-learner", "n4")
    cluster.told()
    cluster.isolate(N4)
    cluster.put(ALICE, 1, "a")
    cluster.ask_for("promote", "n4")
    return cluster


def test_a_slow_round_is_followed_by_another() -> None:
    """§4.2.1: "new entries may arrive at the leader; it will replicate these during the next
    round."
    """
    cluster = promoted_while_away()
    first = cluster.nodes[N1].change
    assert first is not None
    cluster.put(ALICE, 2, "b")
    cluster.fire(N1, RoundTimeout())
    cluster.act(N1, AppendReply(1, True, first.target, 0), N4)
    cluster.deliver()
    second = cluster.nodes[N1].change
    assert second is not None
    assert (second.target, second.is_slow) == (first.target + 1, False)
    assert cluster.told() == []
    cluster.act(N1, AppendReply(1, True, second.target, 0), N4)
    cluster.deliver()
    assert cluster.told() == DONE


def test_a_learner_that_is_too_slow_ends_the_change() -> None:
    """§4.2.1: "The algorithm waits a fixed number of rounds (such as 10)." If none was short, "the
    leader aborts the configuration change with an error."
    """
    cluster = promoted_while_away()
    least, _ = cluster.nodes[N1].config.election
    for number in range(2, PATIENCE + 2):
        change = cluster.nodes[N1].change
        assert change is not None
        assert cluster.timers[N1][RoundTimeout()] == (least, least)
        cluster.put(ALICE, number, f"{number}")
        cluster.fire(N1, RoundTimeout())
        cluster.act(N1, AppendReply(1, True, change.target, 0), N4)
        cluster.deliver()
    assert cluster.told() == [Response(1, ok=False)]
    assert cluster.nodes[N1].change is None
    assert cluster.voters(N1) == (N1, N2, N3)


def test_a_learner_that_never_answers_ends_the_change() -> None:
    """§4.2.1: "The leader should also abort the change if the new server is unavailable or is so
    slow that it will never catch up."
    """
    cluster = promoted_while_away()
    cluster.ask_for("remove", "n3", number=2)
    assert cluster.told() == [Redirect(2, None)]
    for _ in range(PATIENCE):
        cluster.fire(N1, RoundTimeout())
    cluster.deliver()
    assert cluster.told() == [Response(1, ok=False)]
    cluster.ask_for("remove", "n3", number=2)
    assert cluster.told() == [Response(2, True)]


def test_who_does_not_know_that_it_votes_votes_all_the_same() -> None:
    """§4.1: "servers process incoming RPC requests without consulting their current
    configurations"; the vote of a learner whose promotion is committed, and has not reached it,
    "may occasionally be needed to keep the cluster available."
    """
    cluster = led(4, 2)
    for server in ("n3", "n4"):
        cluster.ask_for("add-learner", server)
    cluster.ask_for("promote", "n3")
    cluster.isolate(N4)
    cluster.ask_for("promote", "n4")
    assert cluster.told()[-1:] == DONE
    assert cluster.voters(N4) == (N1, N2, N3)
    cluster.act(N4, RequestVote(9, 9, 9, False), N2)
    assert cluster.sent[-1] == (N4, N2, Vote(9, True, False))


# §4.2.2 Removing the current leader


def test_a_leader_that_is_removed_steps_down_when_that_is_committed() -> None:
    """§4.2.2: "a leader that is removed from the configuration steps down once the Cnew entry is
    committed."
    """
    cluster = led(3)
    cluster.ask_for("remove", "n1")
    assert cluster.told() == DONE
    assert cluster.nodes[N1].role == FOLLOWER
    assert cluster.nodes[N2].commit_index == 2
    assert cluster.voters(N2) == (N2, N3)


def test_a_leader_that_is_removed_does_not_count_itself() -> None:
    """§4.2.2: "it replicates log entries but does not count itself in majorities"."""
    cluster = led(3)
    cluster.isolate(N3)
    cluster.ask_for("remove", "n1")
    assert cluster.told() == []
    assert cluster.nodes[N1].role == LEADER
    assert cluster.nodes[N1].commit_index == 1  # n1 and n2 have it: one of two voters.
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.told() == DONE


def test_who_may_not_have_been_removed_stands_for_election() -> None:
    """§4.2.2: "a server that is not part of its own latest configuration should still start new
    elections, as it might still be needed until the Cnew entry is committed". "It does not count
    its own vote".
    """
    cluster = led(2)
    cluster.cuts |= {(N1, N2)}
    cluster.ask_for("remove", "n1")
    cluster.crash(N1)
    cluster.heal()
    cluster.crash(N2)
    cluster.time_out(N2)
    assert cluster.nodes[N2].role == CANDIDATE  # Its log is behind, so n1 is needed.
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == FOLLOWER
    assert cluster.nodes[N1].commit_index == 3
    assert cluster.voters(N2) == (N2,)
    cluster.time_out(N1)
    assert cluster.nodes[N1].role == FOLLOWER


# §4.2.3 Disruptive servers


def test_a_removed_server_disrupts_nobody() -> None:
    """§4.2.3: a removed server hears no heartbeats, and so times out. But §6: "if a server receives
    a RequestVote RPC within the minimum election timeout of hearing from a current leader, it does
    not update its term or grant its vote."
    """
    cluster = led(4, config=replace(BARE, pre_vote=True, check_quorum=True))
    cluster.cuts |= {(N1, N4)}
    cluster.ask_for("remove", "n4")
    cluster.heal()
    for _ in range(3):
        cluster.time_out(N4)
    assert cluster.nodes[N4].role == PRE_CANDIDATE  # It does not know.
    cluster.act(N2, RequestVote(9, 9, 9, False), N4)
    assert {cluster.nodes[id].current_term for id in (N1, N2, N3)} == {1}
    assert cluster.nodes[N1].role == LEADER


# §4.3 Arbitrary configuration changes using joint consensus


def swap(config: Config = BARE) -> Members:
    """n1, n2, n3 vote; n4, n5, n6 have the log, and are to take over."""
    cluster = led(6, 3, config)
    for server in ("n4", "n5", "n6"):
        cluster.ask_for("add-learner", server)
    cluster.heartbeat(N1)
    cluster.told()
    return cluster


OTHERS = ("n4", "n5", "n6")


def test_the_cluster_goes_over_to_three_others() -> None:
    """§4.3: first Cold,new, and once that is committed Cnew; the leader, which is not in Cnew,
    steps down when that is committed.
    """
    cluster = swap()
    cluster.ask_for("reconfigure", OTHERS)
    entries = [e.configuration for e in cluster.nodes[N4].log if e.configuration is not None]
    joint, new = entries[-2:]
    assert joint == Configuration((N4, N5, N6), (N1, N2, N3))
    assert new == Configuration((N4, N5, N6))
    assert cluster.told() == DONE
    assert cluster.nodes[N1].role == FOLLOWER
    cluster.elect(N4)
    cluster.put(ALICE, 1, "a", to=N4)
    assert cluster.answered(ALICE) == ok(1)


def test_a_joint_configuration_commits_by_both_majorities() -> None:
    """§4.3: "Agreement (for elections and entry commitment) requires separate majorities from both
    the old and new configurations."
    """
    for away in ((N5, N6), (N2, N3)):
        cluster = swap()
        cluster.isolate(*away)
        cluster.ask_for("reconfigure", OTHERS)
        assert cluster.configuration(N1).outgoing == (N1, N2, N3)
        cluster.put(ALICE, 1, "a")
        assert cluster.answered(ALICE) == []
        assert cluster.told() == []
        cluster.heal()
        cluster.heartbeat(N1)
        assert cluster.told() == DONE


def test_a_joint_configuration_elects_by_both_majorities() -> None:
    """§4.3, for elections."""
    cluster = swap()
    cluster.cuts |= {(N5, N1), (N6, N1)}
    cluster.ask_for("reconfigure", OTHERS)
    assert cluster.configuration(N4).outgoing == (N1, N2, N3)
    cluster.heal()
    cluster.isolate(N1, N2)
    cluster.time_out(N4)
    assert cluster.nodes[N4].role == CANDIDATE  # n3 to n6: only one of the old three.
    cluster.heal()
    cluster.isolate(N1)
    cluster.time_out(N4)
    assert cluster.nodes[N4].role == LEADER


def test_any_server_of_both_may_lead() -> None:
    """§4.3: "Any server from either configuration may serve as leader"; and the next leader
    completes what the first one has begun.
    """
    cluster = swap()
    cluster.isolate(N1)
    cluster.cuts -= {(N1, id) for id in cluster.ids}
    cluster.ask_for("reconfigure", OTHERS)
    cluster.isolate(N1)
    assert cluster.configuration(N2).outgoing == (N1, N2, N3)
    cluster.time_out(N2)
    assert cluster.voters(N5) == (N4, N5, N6)
    assert not cluster.configuration(N5).outgoing
    assert cluster.nodes[N2].role == FOLLOWER
    assert cluster.told() == DONE


def test_the_last_step_needs_no_old_majority() -> None:
    """§4.3: Cnew is committed by the new majority alone."""
    cluster = swap()
    cluster.slow.add(N1)
    cluster.ask_for("reconfigure", OTHERS)
    cluster.slow.clear()
    cluster.sync(N1)
    cluster.deliver()
    assert cluster.told() == DONE


# §5.1 Snapshots have the configuration


def test_a_newcomer_learns_the_configuration_by_snapshot() -> None:
    """§7: a snapshot includes "the latest configuration in the log as of last included index"."""
    cluster = led(4, 3, replace(BARE, snapshot_every=2, chunk_parts=1))
    cluster.ask_for("remove", "n3")
    for number in range(1, 5):
        cluster.put(ALICE, number, "a")
    assert cluster.nodes[N1].log.start > 2
    cluster.ask_for("add-learner", "n4")
    for _ in range(5):
        cluster.heartbeat(N1)
    assert cluster.nodes[N4].snapshot.configuration.voters == (N1, N2)
    assert cluster.configuration(N4) == Configuration((N1, N2), (), (N4,))


def test_the_configuration_survives_a_crash() -> None:
    """§4.1: it is in the log, or in the snapshot before it."""
    for every in (0, 2):
        cluster = led(4, config=replace(BARE, snapshot_every=every))
        cluster.ask_for("remove", "n4")
        for number in range(1, 4):
            cluster.put(ALICE, number, "a")
        cluster.ask_for("remove", "n3")
        cluster.heartbeat(N1)
        cluster.crash(N2)
        assert cluster.voters(N2) == (N1, N2)


def test_a_snapshot_has_no_later_configuration() -> None:
    """§7: that of the last included index, though a newer one is in the log."""
    cluster = led(3, config=replace(BARE, snapshot_every=2))
    cluster.isolate(N1)
    cluster.ask_for("remove", "n3")
    node = cluster.nodes[N1]
    assert node.configuration_at(1).voters == (N1, N2, N3)
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].snapshot.index == 2
    assert cluster.nodes[N1].snapshot.configuration.voters == (N1, N2)


def test_a_server_that_comes_back_starts_with_nothing_of_its_past() -> None:
    """A server that was removed and is added again is treated like any newcomer."""
    cluster = led(4)
    cluster.ask_for("remove", "n4")
    cluster.put(ALICE, 1, "a")
    cluster.ask_for("add-learner", "n4")
    cluster.heartbeat(N1)
    assert cluster.values(N4) == Map({"x": "a"})
    cluster.ask_for("promote", "n4")
    assert cluster.voters(N4) == (N1, N2, N3, N4)


def test_a_stranger_that_refuses_an_earlier_term_is_ignored() -> None:
    """§5.1: it answers with its own term, which may be the one in which we lead without it."""
    cluster = led(3)
    cluster.ask_for("remove", "n3")
    cluster.crash(N1)
    cluster.elect(N1)
    before = cluster.nodes[N1]
    assert N3 not in before.match_index
    cluster.act(N1, AppendReply(before.current_term, False, 0, 0), N3)
    assert cluster.nodes[N1] == before


def snapshots_taken(cluster: Members, first: int) -> dict[NodeId, set[int]]:
    """Of which entries each server takes a snapshot, while clients write some more."""
    taken: dict[NodeId, set[int]] = {id: set() for id in cluster.ids}
    for number in range(first, first + 20):
        before = dict(cluster.nodes)
        cluster.put(ALICE, number, number)
        cluster.heartbeat(N1)
        for id, node in cluster.nodes.items():
            taken[id] |= {node.snapshot.index} - {before[id].snapshot.index}
    return taken


def test_servers_take_their_snapshots_in_turn() -> None:
    """§7: "independently"; so they need not all be slow at the same time. Also one that came."""
    cluster = Members(4, initial=3, config=replace(BARE, snapshot_every=6, staggered=True))
    cluster.elect(N1)
    taken = snapshots_taken(cluster, 1)
    assert all(len(taken[id]) >= 3 for id in (N1, N2, N3))
    assert not any(taken[one] & taken[other] for one, other in combinations([N1, N2, N3], 2))
    cluster.ask_for("add-learner", N4)
    taken = snapshots_taken(cluster, 21)
    assert all(len(taken[id]) >= 3 for id in cluster.ids)
    assert not set.intersection(*taken.values())
