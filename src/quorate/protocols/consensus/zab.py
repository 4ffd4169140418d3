"""Zab, the atomic broadcast of ZooKeeper: primaries, one after the other, whose order is kept.

Paper       Flavio Junqueira, Benjamin Reed, Marco Serafini, "Zab: High-performance broadcast for
            primary-backup systems", DSN 2011. Also Andre Medeiros, "ZooKeeper's atomic broadcast
            protocol: Theory and practice", 2012, whose names of variables these are.
Model       Partial synchrony; processes crash and recover with their disk; a minority may be down.
            Messages are lost, reordered, duplicated.
Safety      Atomic broadcast: Integrity, TotalOrder (with agreement). Primary order: PrimaryOrder
            (local and global), primary_integrity. They rest on OneLeaderPerEpoch,
            OneHistoryPerZxid, CommittedByQuorum, CommittedSurvives, epochs_in_order,
            within_an_epoch_histories_grow. AtMostOnce; answers are linearizable.
Liveness    one_primary_and_one_history: while a quorum is up and messages arrive within the
            timeouts, one primary comes to stay, and every client is answered.

The phases of the paper, in its order:

    zab_state         variables and messages
    zab_discovery     phases 0 and 1: the leader oracle, and the epoch and history of a leader
    zab_broadcast     phases 2 and 3: synchronization, and broadcast

Two epochs are persistent, and are not the same: accepted_epoch is the last one that was promised to
a prospective leader, current_epoch the last one whose history was taken over (f.p and f.a).

Departures
    The leader oracle, which the paper leaves open, is a timeout: who hears of no leader leads, and
        the others follow the first that they hear of. Any leader will do, since phase 1 finds the
        latest history of a quorum.
    The paper's channels are in order and lossless while they last. Ours are not: a follower that
        finds a gap joins the epoch anew, and heartbeats tell whether anything is missing.
    A follower that joins anew has promised the epoch already. Its second answer to NEWEPOCH is
        marked, and makes no quorum; ZooKeeper does so too.
    A leader gives up when a follower has accepted a later epoch than its own.
    A leader makes its own promise and takes over the history in the step in which it decides so,
        and counts itself when its disk is synced: by messages to itself.
    COMMIT-LD of phase 2 is the COMMIT of the last transaction of the initial history.
    Clients ask the primary for everything. Reads are broadcast like writes, as if each came with
        a `sync`; ZooKeeper's local reads are sequentially consistent only, and are left out.
"""

from quorate.protocols.consensus.zab_broadcast import Broadcast
from quorate.protocols.consensus.zab_properties import (
    AtMostOnce,
    CommittedByQuorum,
    CommittedSurvives,
    Integrity,
    OneHistoryPerZxid,
    OneLeaderPerEpoch,
    PrimaryOrder,
    TotalOrder,
    a_follower_joins_late,
    a_transaction_is_given_up,
    an_epoch_is_established,
    an_old_primary_lives_on,
    epochs_in_order,
    never_backwards,
    one_primary_and_one_history,
    primary_integrity,
    within_an_epoch_histories_grow,
)

__all__ = [
    "AtMostOnce",
    "CommittedByQuorum",
    "CommittedSurvives",
    "Integrity",
    "OneHistoryPerZxid",
    "OneLeaderPerEpoch",
    "PrimaryOrder",
    "TotalOrder",
    "Zab",
    "a_follower_joins_late",
    "a_transaction_is_given_up",
    "an_epoch_is_established",
    "an_old_primary_lives_on",
    "epochs_in_order",
    "never_backwards",
    "one_primary_and_one_history",
    "primary_integrity",
    "within_an_epoch_histories_grow",
]


class Zab(Broadcast):
    """One process."""
