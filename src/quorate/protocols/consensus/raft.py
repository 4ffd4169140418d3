"""Raft: servers agree on one log of client requests by letting one of them lead.

Paper       Diego Ongaro and John Ousterhout, "In Search of an Understandable Consensus
            Algorithm (Extended Version)", USENIX ATC 2014; Ongaro's thesis "Consensus: Bridging
            Theory and Practice", Stanford 2014, where a comment says so.
Model       Partial synchrony; servers crash and recover with their disk; messages are lost,
            reordered, duplicated. A minority may be down.
Safety      The five properties of Figure 3, below by their names; at most once for each request;
            linearizable answers.
Liveness    While a majority is up and heartbeats arrive within the election timeout, there comes
            to be one leader, and every client is answered.

The sections of the paper, in its order:

    raft_state          Figure 2: state and messages
    raft_election       §5.1, §5.2, §5.4.1: terms, elections; PreVote and CheckQuorum
    raft_replication    §5.3, §5.4.2: AppendEntries, the commit rule, batches and pipelines
    raft_snapshot       §7: snapshots, InstallSnapshot in chunks, log compaction
    raft_sessions       §8: the replicated machine, behind sessions of clients
    raft_clients        §8: requests and ReadIndex

and of the thesis:

    raft_configuration  §6; thesis §4: configurations and their majorities
    raft_transfer       thesis §3.10: leadership transfer
    raft_membership     §6; thesis §4: membership changes, one by one or joint; learners
    raft_leases         thesis §6.4.1: reads by the clock

Departures
    leaderId and candidateId are the sender of the message, which the network tells.
    A server asks for its own vote, and answers itself as a follower, by messages to itself:
        these arrive when its disk is synced, so that it never counts what it may still forget.
    An entry is applied in the step in which we learn that it is committed: lastApplied is always
        commitIndex, and a read never has to wait until its read index is applied.
    An election timeout elapses in two parts, of which only the second is random: in the first a
        follower votes for nobody but the leader that it has heard (thesis §4.2.3).
    A follower whose log conflicts asks for all that follows its commit index.
    A snapshot for a follower is made of what is applied when it is sent: it is then no older than
        the one that is stored, whose state we need not keep.
    Every broadcast of the leader has a number, its round, that answers repeat; PreVote and Vote,
        and so AppendEntries and heartbeat, are one message each.
    Clients do not register: a request is (client, number), numbers only grow, and a forgotten
        session is refused as `raft_sessions` says.
    Who refuses what an earlier term has sent names no round: its author may lead again by now.
    A new server catches up as a learner for as long as its operator likes; promotion then takes the
        rounds of thesis §4.2.1, of which the first short one is the last.
    A server keeps its promise to a leader, on which leases rest, also when it learns of a newer
        term and when it has crashed; and no lease is left in a term once an heir has been sent.
"""

from quorate.protocols.consensus.raft_leases import Leases
from quorate.protocols.consensus.raft_properties import (
    CommittedByMajority,
    ElectedByMajority,
    ElectionSafety,
    ExactlyOnce,
    LeaderCompleteness,
    LogMatching,
    StateMachineSafety,
    a_leader_is_deposed,
    a_leader_is_elected,
    a_snapshot_is_installed,
    an_entry_is_committed,
    commits_its_own_term,
    leader_append_only,
    match_index_grows,
    never_backwards,
    nobody_disturbs_a_leader,
    one_leader_and_one_state,
    one_vote_per_term,
    who_hears_a_leader_follows_it,
)

__all__ = [
    "CommittedByMajority",
    "ElectedByMajority",
    "ElectionSafety",
    "ExactlyOnce",
    "LeaderCompleteness",
    "LogMatching",
    "Raft",
    "StateMachineSafety",
    "a_leader_is_deposed",
    "a_leader_is_elected",
    "a_snapshot_is_installed",
    "an_entry_is_committed",
    "commits_its_own_term",
    "leader_append_only",
    "match_index_grows",
    "never_backwards",
    "nobody_disturbs_a_leader",
    "one_leader_and_one_state",
    "one_vote_per_term",
    "who_hears_a_leader_follows_it",
]


class Raft(Leases):
    """One server."""
