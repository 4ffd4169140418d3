"""Viewstamped Replication: replicas agree on one log, and need no disk to survive crashes.

Paper       Barbara Liskov, James Cowling, "Viewstamped Replication Revisited",
            MIT-CSAIL-TR-2012-021, 2012. Crash vectors: Ellis Michael, Dan Ports, Naveen Sharma,
            Adriana Szekeres, "Recovering Shared Objects Without Stable Storage", DISC 2017.
Model       Asynchronous; messages are lost, reordered, duplicated. A replica that crashes forgets
            everything but how often it has, and comes back. Of 2f + 1 replicas f may be failed at
            a time, and one that has not recovered yet still is.
Safety      OneLogPerView, CommittedSurvives, CommittedByQuorum, OnePrimaryPerView,
            NothingForgotten, AtMostOnce; answers are linearizable.
Liveness    one_view_and_one_log: while messages arrive within the timeouts and no more than f are
            failed, one view comes to stay, and every client is answered. With more than f failed
            at a time those that are left stop, and never guess.

The sections of the paper, in its order:

    vr_state          Figure 2: state and messages
    vr_normal         §4.1: normal operation; §5.2: state transfer
    vr_view_change    §4.2: view changes
    vr_recovery       §4.3: recovery

Departures
    Crash vectors. As published, the protocol may lose a committed request: an account that a
        replica gave for a later view can arrive after the replica has crashed, has recovered into
        the old view, and has helped it to commit what the account lacks. So each replica counts
        the crashes of every other one, as far as it has heard; accounts for a view change and
        answers to a recovery carry what their senders have heard, and those of senders which are
        known to have crashed since do not count.
    The nonce is the number of the replica's crashes, the only thing that is kept on a disk.
    State transfer to a later view changes nothing until the answer is there (see `fetch`).
    The client-table is made of the requests that are executed and of those that wait in the log;
        so it moves with the log to the next view.
    A request is executed in the step in which we learn that it is committed. A backup answers
        clients with the name of the primary. Reads are requests like others (no leases, §6.3).
    Logs are sent whole (no suffixes, §4.3 and §5.1); no checkpoints (§5.1), witnesses (§6.1),
        batches (§6.2), or reconfigurations (§7).
"""

from quorate.protocols.consensus.vr_properties import (
    AtMostOnce,
    CommittedByQuorum,
    CommittedSurvives,
    NothingForgotten,
    OneLogPerView,
    OnePrimaryPerView,
    a_replica_recovers,
    a_request_is_given_up,
    a_view_is_changed,
    an_old_primary_lives_on,
    never_backwards,
    one_view_and_one_log,
)
from quorate.protocols.consensus.vr_recovery import Recoveries

__all__ = [
    "AtMostOnce",
    "CommittedByQuorum",
    "CommittedSurvives",
    "NothingForgotten",
    "OneLogPerView",
    "OnePrimaryPerView",
    "Vr",
    "a_replica_recovers",
    "a_request_is_given_up",
    "a_view_is_changed",
    "an_old_primary_lives_on",
    "never_backwards",
    "one_view_and_one_log",
]


class Vr(Recoveries):
    """One replica."""
