"""Snapshots and log compaction (section 7 of the paper), and what a crash may cut in between."""

from typing import Any

import pytest

from quorate.kernel import Env, Log, Map, Operation, Request, Stored
from quorate.kernel.env import Store
from quorate.kernel.node import step
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    FOLLOWER,
    AppendEntries,
    AppendReply,
    Config,
    Covered,
    HeartbeatTimeout,
    InstallSnapshot,
    SnapshotReply,
    TakeSnapshot,
)
from tests.protocols.raft.cluster import ALICE, BOB, N1, N2, N3, Cluster, ok

EVERY_3 = Config(
    pre_vote=False, check_quorum=False, no_op=False, batching=False, snapshot_every=3, chunk_parts=1
)


def chunk(
    term: int,
    index: int,
    of_term: int,
    offset: int,
    parts: tuple[Any, ...],
    done: bool,
    number: int,
) -> InstallSnapshot:
    """A part of a snapshot up to `index`, of a cluster of three."""
    three = Configuration((N1, N2, N3))
    return InstallSnapshot(term, index, of_term, three, offset, parts, done, number)


def grown(size: int = 3, config: Config = EVERY_3) -> Cluster:
    """A leader n1 with keys x, y, z, and a snapshot; n3 has been away all the time."""
    cluster = Cluster(size, config)
    cluster.isolate(N3)
    cluster.elect(N1)
    for number, key in enumerate(["x", "y", "z"], 1):
        cluster.send(ALICE, N1, Request(number, Operation("put", key, key)))
        cluster.deliver()
    return cluster


def test_an_operator_may_have_one_taken_whenever_he_wants() -> None:
    """Not only "when the log reaches a fixed size" (§7); but none that says nothing new."""
    cluster = grown(config=Config(pre_vote=False, check_quorum=False, no_op=False, batching=False))
    assert cluster.nodes[N1].snapshot.index == 0
    cluster.act(N1, TakeSnapshot(), N1)
    cluster.deliver()
    taken = cluster.nodes[N1].snapshot
    assert (taken.index, cluster.nodes[N1].log.start) == (3, 4)
    cluster.act(N1, TakeSnapshot(), N1)
    cluster.deliver()
    assert cluster.nodes[N1].snapshot is taken


def test_each_server_takes_snapshots_by_itself() -> None:
    """§7: "each server takes snapshots independently, covering just the committed entries in its
    log"; the metadata are "the index and term of the last entry in the log that the snapshot
    replaces".
    """
    cluster = grown()
    cluster.heartbeat(N1)
    for id in (N1, N2):
        node = cluster.nodes[id]
        assert (node.snapshot.index, node.snapshot.term) == (3, 1)
        assert (node.log, node.last_index, node.last_term) == (Log(start=4), 3, 1)
        assert cluster.stored[id]["snapshot"].state is node.state


def test_the_log_is_discarded_when_the_snapshot_is_durable() -> None:
    """§7: "Once a server completes writing a snapshot, it may delete all log entries up through
    the last included index".
    """
    cluster = grown()
    cluster.slow.add(N2)
    cluster.heartbeat(N1)
    assert cluster.nodes[N2].storing is not None
    assert len(cluster.nodes[N2].log) == 3
    cluster.sync(N2, batch=False)
    assert len(cluster.nodes[N2].log) == 0


def test_one_snapshot_is_stored_at_a_time() -> None:
    """Two under one name could end in either order."""
    cluster = grown()
    cluster.slow.add(N1)
    stores = []
    for number in range(4, 12):
        cluster.act(N1, cluster.ask(ALICE, number, "put", "a"), ALICE)
        effects = cluster.act(N1, AppendReply(1, True, number, 1), N2)
        effects += cluster.act(N1, AppendReply(1, True, number, 1), N3)
        stores += [effect for effect in effects if isinstance(effect, Store)]
    assert len(stores) == 1


def test_a_lagging_follower_gets_the_snapshot_in_chunks() -> None:
    """§7, Figure 13: the leader "must occasionally send snapshots to followers that lag behind",
    and "the RPC's chunks" carry an offset.
    """
    cluster = grown()
    cluster.heal()
    cluster.sent.clear()
    cluster.heartbeat(N1)
    chunks = [message for _, _, message in cluster.sent if isinstance(message, InstallSnapshot)]
    assert [chunk.offset for chunk in chunks] == [0, 1, 2, 3, 4]
    assert [chunk.done for chunk in chunks] == [False] * 4 + [True]
    cluster.heartbeat(N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state
    assert cluster.nodes[N3].commit_index == 3
    cluster.put(ALICE, 4, "more")
    cluster.heartbeat(N1)
    assert cluster.values(N3)["x"] == "more"


def test_lost_chunks_are_repeated_with_the_heartbeats() -> None:
    """Figure 13: chunks are sent in order, each once the last is answered."""
    cluster = grown()
    cluster.heal()
    for _ in range(12):
        cluster.fire(N1, HeartbeatTimeout())
        lost = next(flight for flight in cluster.queue if flight[1] == N3)
        cluster.queue.remove(lost)
        cluster.deliver()
        if cluster.nodes[N3].commit_index == 3:
            break
        cluster.heartbeat(N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state


def test_repeated_chunks_change_nothing() -> None:
    """Figure 13, 3: "write data into snapshot file at given offset"."""
    cluster = grown()
    parts = tuple(cluster.stored[N1]["snapshot"].state.parts())
    for offset in (0, 0, 1, 0, 3, 1, 2, 2, 3, 4, 4):
        done = offset == len(parts) - 1
        part = chunk(1, 3, 1, offset, parts[offset : offset + 1], done, 1)
        cluster.act(N3, part, N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state


def test_chunks_of_different_snapshots_are_not_mixed() -> None:
    """A new leader may send a newer snapshot when the old one was half done."""
    cluster = grown()
    parts = tuple(cluster.stored[N1]["snapshot"].state.parts())
    cluster.act(N3, chunk(1, 2, 1, 0, parts[:1], False, 1), N1)
    cluster.act(N3, chunk(1, 3, 1, 1, parts[1:], True, 1), N1)
    assert cluster.nodes[N3].commit_index == 0
    assert cluster.sent[-1] == (N3, N1, SnapshotReply(1, 3, 0, 1))
    cluster.act(N3, chunk(1, 3, 1, 0, parts, True, 1), N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state


def test_a_follower_that_forgot_its_chunks_gets_them_again() -> None:
    """The parts received so far are volatile: a restarted follower waits for offset 0."""
    cluster = grown()
    cluster.heal()
    cluster.fire(N1, HeartbeatTimeout())
    while not cluster.nodes[N3].incoming.parts:
        cluster.deliver_next()
    cluster.crash(N3)
    for _ in range(3):
        cluster.heartbeat(N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state


def test_a_follower_is_sent_what_is_applied_now() -> None:
    """§7 sends the snapshot that is stored; ours is no older, and its state is at hand anyway."""
    cluster = grown()
    cluster.put(ALICE, 4, "newer")
    cluster.heal()
    cluster.fire(N1, HeartbeatTimeout())
    while N3 not in cluster.nodes[N1].transfers:
        cluster.deliver_next()
    leader = cluster.nodes[N1]
    assert (leader.snapshot.index, leader.transfers[N3].snapshot.index) == (3, 4)
    for _ in range(4):
        cluster.heartbeat(N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state
    assert cluster.nodes[N3].snapshot == Covered(4, 1, cluster.nodes[N1].snapshot.configuration)


def test_a_transfer_is_finished_though_the_leader_goes_on() -> None:
    """Else a leader that takes snapshots faster than a follower receives them never ends."""
    cluster = grown()
    cluster.heal()
    cluster.fire(N1, HeartbeatTimeout())
    while N3 not in cluster.nodes[N1].transfers:
        cluster.deliver_next()
    cluster.cuts.add((N3, N1))
    cluster.deliver()
    first = cluster.nodes[N1].transfers[N3].snapshot
    for number in range(4, 10):
        cluster.put(ALICE, number, "more")
    assert cluster.nodes[N1].snapshot.index > first.index
    assert cluster.nodes[N1].transfers[N3].snapshot is first
    cluster.heal()
    for _ in range(6):
        cluster.heartbeat(N1)
    assert cluster.nodes[N3].state == cluster.nodes[N1].state
    assert not cluster.nodes[N1].transfers


def test_an_old_snapshot_is_not_installed() -> None:
    """§7: entries that the snapshot covers are there already; a late message must not take the
    server back.
    """
    cluster = grown()
    cluster.heartbeat(N1)
    parts = tuple(cluster.stored[N2]["snapshot"].state.parts())
    cluster.put(ALICE, 4, "newer")
    cluster.heartbeat(N1)
    before = cluster.nodes[N2]
    cluster.act(N2, chunk(1, 3, 1, 0, parts, True, 1), N1)
    after = cluster.nodes[N2]
    assert (after.commit_index, after.state, after.log) == (4, before.state, before.log)
    assert cluster.sent[-1] == (N2, N1, AppendReply(1, True, 4, 1))


@pytest.mark.parametrize(
    ("log", "left"),
    [
        ([1, 1, 1, 1, 1], [1, 1]),  # Figure 13, 6: retain the entries that follow it.
        ([1, 1], []),
        ([1, 1, 2, 2, 2], []),  # Figure 13, 7: discard the entire log.
        ([], []),
    ],
)
def test_what_is_left_of_the_log(log: list[int], left: list[int]) -> None:
    """Figure 13, 6: "If existing log entry has same index and term as snapshot's last included
    entry, retain log entries following it"; 7: else "discard the entire log".
    """
    cluster = Cluster(3, EVERY_3)
    cluster.set_log(N2, log, current_term=3)
    cluster.act(N2, chunk(3, 3, 1, 0, (), True, 1), N1)
    assert cluster.terms(N2) == left
    assert cluster.nodes[N2].log.start == 4
    assert cluster.nodes[N2].commit_index == 3


def test_a_snapshot_does_not_undo_what_was_committed_meanwhile() -> None:
    """Between the last chunk and `Stored` the follower may have gone on by itself."""
    cluster = Cluster(3, EVERY_3)
    cluster.slow.add(N2)
    cluster.act(N2, chunk(1, 3, 1, 0, (), True, 1), N1)
    entries = tuple(Entry(1) for _ in range(5))
    cluster.act(N2, AppendEntries(1, 0, 0, entries, 5, 2), N1)
    cluster.sync(N2)
    assert cluster.nodes[N2].commit_index == 5
    assert cluster.terms(N2) == [1, 1]


def test_messages_about_the_discarded_log_are_answered() -> None:
    """§5.3 after §7: what the snapshot covers is committed, so it agrees with any leader's log."""
    cluster = grown()
    cluster.heartbeat(N1)
    entries = (Entry(1), Entry(1), Entry(1), Entry(1))
    cluster.act(N2, AppendEntries(1, 1, 1, entries, 3, 9), N1)
    assert cluster.sent[-1] == (N2, N1, AppendReply(1, True, 5, 9))
    assert cluster.terms(N2) == [1, 1]
    cluster.act(N2, AppendEntries(1, 3, 1, (), 3, 9), N1)
    assert cluster.sent[-1] == (N2, N1, AppendReply(1, True, 3, 9))
    cluster.act(N2, AppendEntries(2, 3, 2, (), 3, 9), N1)
    assert cluster.sent[-1] == (N2, N1, AppendReply(2, False, 3, 9))


# Recovery


def test_a_server_recovers_from_its_snapshot_and_log() -> None:
    """§7: the snapshot stands for the log's head, and the log goes on from there."""
    cluster = grown()
    cluster.put(ALICE, 4, "more")
    before = cluster.nodes[N1]
    cluster.crash(N1)
    after = cluster.nodes[N1]
    assert (after.role, after.commit_index, after.log) == (FOLLOWER, 3, before.log)
    assert after.state == cluster.stored[N1]["snapshot"].state != before.state
    cluster.elect(N1)
    cluster.put(BOB, 1, "last")
    assert cluster.nodes[N1].commit_index == 5
    assert cluster.values(N1)["x"] == "last"


def test_a_crash_before_compaction() -> None:
    """The snapshot is on disk and the log still holds what it covers, or ends before it."""
    cluster = grown()
    cluster.heartbeat(N1)
    snapshot = cluster.nodes[N2].snapshot
    for terms, left in [([1, 1, 1, 1], [1]), ([1, 1], []), ([1, 1, 2, 2], []), ([], [])]:
        cluster.set_log(N2, terms, current_term=2)
        cluster.crash(N2)
        node = cluster.nodes[N2]
        assert (node.snapshot, node.commit_index) == (snapshot, 3)
        assert (cluster.terms(N2), node.log.start) == (left, 4)
        assert cluster.values(N2) == Map({"x": "x", "y": "y", "z": "z"})


def test_a_crash_before_the_snapshot_is_stored() -> None:
    """Nothing was discarded: the whole log is still there."""
    cluster = grown()
    cluster.slow.add(N2)
    cluster.heartbeat(N1)
    cluster.crash(N2)
    node = cluster.nodes[N2]
    assert (node.snapshot, node.commit_index, node.log.start) == (Covered(), 0, 1)
    assert len(node.log) == 3


def test_a_stray_stored_event_is_harmless() -> None:
    """After a restart, `Stored` of the earlier incarnation would find nothing to do."""
    cluster = grown()
    env = Env(N1, cluster.ids, lambda name, options: options[0])
    assert step(cluster.nodes[N1], Stored("snapshot"), env) == cluster.nodes[N1]


# Sessions in snapshots


def test_a_repetition_is_recognised_after_a_snapshot() -> None:
    """Thesis §6.3: sessions are part of the state, and so of the snapshot."""
    cluster = grown()
    cluster.send(BOB, N1, cluster.ask(BOB, 1, "append", "!"))
    cluster.deliver()
    for number in (4, 5):
        cluster.put(ALICE, number, f"{number}")
    cluster.heal()
    for _ in range(4):
        cluster.heartbeat(N1)
    cluster.isolate(N1)
    cluster.elect(N3)
    cluster.answered(BOB)
    cluster.send(BOB, N3, cluster.ask(BOB, 1, "append", "!"))
    cluster.deliver()
    assert cluster.answered(BOB)[-1:] == ok(1)
    assert cluster.values(N3) == Map({"x": "5", "y": "y", "z": "z"})
