"""Reads by the clock (section 6.4.1 of the thesis)."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from quorate.kernel import Map, Message, NodeId, Operation, Redirect, Request, Response, Start, ms
from quorate.protocols.consensus.raft_state import (
    LEADER,
    AppendEntries,
    AppendReply,
    Config,
    HeartbeatTimeout,
    RequestVote,
    Vote,
)
from tests.protocols.raft.cluster import ALICE, BOB, N1, N2, N3, ok
from tests.protocols.raft_membership.cluster import Members

LEASES = Config(batching=False, snapshot_every=0, lease_reads=True, stale_reads=True)
GET = Operation("get", "x")


def led(config: Config = LEASES) -> Members:
    """n1 leads, and its lease begins at 1000 ms."""
    cluster = Members(3, config=config)
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    cluster.now = ms(1000)
    cluster.heartbeat(N1)
    cluster.heartbeat(N1)
    cluster.answered(ALICE)
    return cluster


def read(cluster: Members, operation: Operation = GET, of: NodeId = N1) -> Sequence[Message]:
    """What bob is answered at once, before anything that his read sends has arrived."""
    cluster.act(of, Request(7, operation), BOB)
    return [m for _, target, m in cluster.queue if target == BOB]


def lasts(cluster: Members) -> int:
    return cluster.nodes[N1].lease_end - ms(1000)


def test_a_read_within_the_lease_needs_no_message() -> None:
    """§6.4.1: "The leader would then reply to read-only queries during that period without any
    additional communication."
    """
    cluster = led()
    cluster.now += ms(149)
    assert read(cluster) == ok(7, "a")
    assert len(cluster.queue) == 1


def test_a_read_after_the_lease_needs_a_round() -> None:
    """§6.4: then the leader has to make sure again."""
    cluster = led()
    cluster.now += ms(150)
    assert read(cluster) == []
    cluster.deliver()
    assert cluster.answered(BOB) == ok(7, "a")


def test_a_lease_begins_when_its_round_is_sent() -> None:
    """§6.4.1: it extends to "start + election timeout / clock drift bound", as the followers'
    timeouts may have begun as early as that.
    """
    cluster = led()
    cluster.now = ms(2000)
    cluster.fire(N1, HeartbeatTimeout())
    cluster.now = ms(2100)
    cluster.deliver()
    assert ms(2000) < cluster.nodes[N1].lease_end < ms(2150)


def test_a_majority_grants_a_lease() -> None:
    """§6.4.1: "Once the leader's heartbeats were acknowledged by a majority of the cluster"."""
    cluster = led()
    cluster.isolate(N1)
    cluster.now = ms(2000)
    cluster.heartbeat(N1)
    assert read(cluster) == []


def test_a_lease_is_shorter_than_the_timeout_by_the_drift() -> None:
    """§6.4.1: "no server's clock increases more than this bound times any other". Ours run at
    most 1 ± ρ times true time: (1 - ρ) / (1 + ρ) of the least timeout.
    """
    assert lasts(led()) == ms(150) * 999 // 1001
    assert lasts(led(replace(LEASES, clock_ppm=0))) == ms(150)
    assert lasts(led(replace(LEASES, clock_ppm=100_000))) == ms(150) * 9 // 11


def test_a_new_leader_reads_once_it_has_committed_an_entry() -> None:
    """§6.4, 1: "If the leader has not yet marked an entry from its current term committed, it
    waits"; a lease is no reason not to.
    """
    cluster = Members(3, config=replace(LEASES, no_op=False))
    cluster.elect(N1)
    cluster.heartbeat(N1)
    assert cluster.nodes[N1].lease_end > 0
    assert read(cluster) == []


def test_a_transfer_ends_the_lease() -> None:
    """§6.4.1: "a leader would need to expire its lease before transferring leadership." Also when
    it gives up: the target may get the message later.
    """
    cluster = led()
    cluster.isolate(N3)
    cluster.act(N1, Request(1, Operation("transfer", "n3"), once=False), ALICE)
    cluster.queue.clear()
    assert cluster.nodes[N1].heir is not None
    assert read(cluster) == [Redirect(7, None)]
    cluster.queue.clear()
    cluster.act(N1, AppendReply(1, False, 0, 0), N3)
    cluster.set(N1, heir=None)
    assert cluster.nodes[N1].lease_end > cluster.now
    assert read(cluster) == []


# The promise


def asked_by_n3(cluster: Members, *, disrupt: bool = False) -> list[Vote]:
    """What n2 says to n3, which stands for election with the best of logs."""
    cluster.queue.clear()
    cluster.act(N2, RequestVote(9, 99, 9, False, disrupt), N3)
    return [message for _, _, message in cluster.queue if isinstance(message, Vote)]


def test_who_has_heard_a_leader_votes_for_nobody_else() -> None:
    """§6.4.1: "the leader would assume that no other server will become leader for about an
    election timeout".
    """
    cluster = led()
    cluster.now += ms(149)
    assert asked_by_n3(cluster) == []
    cluster.now += ms(1)
    cluster.set(N2, leader=None)
    assert asked_by_n3(cluster) == [Vote(9, True, False)]


def test_a_newer_term_releases_nobody_from_the_promise() -> None:
    """A late refusal of a vote may tell a follower of a newer term, and then it has no leader; but
    the one that it had still counts on it.
    """
    cluster = led()
    cluster.act(N2, Vote(8, False, False), N3)
    assert cluster.nodes[N2].leader is None
    assert asked_by_n3(cluster) == []


def test_a_crash_releases_nobody_from_the_promise() -> None:
    """Nor does it matter that a server has forgotten what it has promised."""
    cluster = led()
    cluster.crash(N2)
    assert cluster.nodes[N2].leader is None
    cluster.now += ms(149)
    assert asked_by_n3(cluster) == []
    cluster.now += ms(1)
    assert asked_by_n3(cluster) == [Vote(9, True, False)]


def test_a_first_start_has_promised_nothing() -> None:
    cluster = Members(3, config=LEASES)
    assert cluster.nodes[N2].heard_at is None
    cluster.act(N2, Start())
    assert asked_by_n3(cluster) == [Vote(9, True, False)]


def test_the_leaders_heir_may_be_voted_for() -> None:
    """§3.10: the leader has ended its lease, and wants it so."""
    assert asked_by_n3(led(), disrupt=True) == [Vote(9, True, False)]


def test_leases_need_check_quorum() -> None:
    """Without it, followers would vote while they hear a leader."""
    with pytest.raises(ValueError, match="check_quorum"):
        Config(lease_reads=True, check_quorum=False)


# Reads that say what they need


def test_a_read_may_insist_on_a_round() -> None:
    cluster = led()
    assert read(cluster, Operation("linearizable", None, GET)) == []
    cluster.deliver()
    assert cluster.answered(BOB) == ok(7, "a")


def test_a_read_may_ask_for_the_lease() -> None:
    assert read(led(), Operation("lease", None, GET)) == ok(7, "a")
    without = led(replace(LEASES, lease_reads=False))
    assert read(without, Operation("lease", None, GET)) == []
    without.deliver()
    assert without.answered(BOB) == ok(7, "a")


def stale(bound: int) -> Operation:
    return Operation("stale", None, (bound, GET))


def test_a_follower_serves_reads_that_may_be_stale() -> None:
    """If it has heard its leader within the bound, and has applied what that had committed."""
    cluster = led()
    cluster.now += ms(100)
    assert read(cluster, stale(ms(100)), of=N2) == ok(7, "a")
    cluster.queue.clear()
    assert read(cluster, stale(ms(99)), of=N2) == [Redirect(7, N1)]


def test_a_follower_that_lags_behind_is_not_fresh() -> None:
    """To hear of entries is not to have them."""
    cluster = led()
    cluster.now += ms(500)
    cluster.act(N2, AppendEntries(1, 9, 1, (), 9, 99), N1)
    cluster.act(N3, AppendEntries(1, 2, 1, (), 9, 99), N1)
    for follower in (N2, N3):
        cluster.queue.clear()
        assert read(cluster, stale(ms(499)), of=follower) == [Redirect(7, N1)]


def test_a_leader_is_as_fresh_as_its_last_round() -> None:
    """And if that is too long ago, it makes sure."""
    cluster = led(replace(LEASES, lease_reads=False))
    cluster.now += ms(300)
    assert read(cluster, stale(ms(300))) == ok(7, "a")
    cluster.queue.clear()
    assert read(cluster, stale(ms(299))) == []
    cluster.deliver()
    assert cluster.answered(BOB) == ok(7, "a")


def test_a_restarted_server_is_not_fresh() -> None:
    cluster = led()
    cluster.crash(N2)
    assert read(cluster, stale(ms(10_000)), of=N2) == [Redirect(7, None)]


def test_what_is_no_read_is_a_request_like_any() -> None:
    """Whatever stands around it: it goes through the log."""
    put = Operation("put", "x", "b")
    for operation in (
        Operation("stale", None, (ms(500), put)),
        Operation("lease", None, put),
        Operation("linearizable", None, put),
    ):
        cluster = led()
        assert read(cluster, operation) == []
        cluster.deliver()
        assert cluster.answered(BOB) == ok(7)
        assert cluster.values(N1) == Map({"x": "b"})


def test_nonsense_is_refused() -> None:
    """What the machine does not know, or is no operation at all."""
    for operation in (
        Operation("linearizable", None, Operation("fly")),
        Operation("stale", None, GET),
        Operation("lease", None, 7),
    ):
        assert read(led(), operation) == [Response(7, ok=False)]
    assert read(led(), Operation("lease", None, GET), of=N2) == [Redirect(7, N1)]


def test_without_leases_the_clock_is_not_looked_at() -> None:
    """So that what is explored has no time in it."""
    cluster = led(Config(batching=False, snapshot_every=0))
    leader = cluster.nodes[N1]
    assert leader.role == LEADER
    assert (leader.probe, leader.lease_end, leader.fresh_at) == (None, 0, None)
    assert cluster.nodes[N2].heard_at is None
