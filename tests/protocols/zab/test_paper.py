"""Junqueira, Reed and Serafini, "Zab" (DSN 2011), claim by claim; phases as Medeiros has them."""

from collections.abc import Callable

import pytest

from quorate.kernel import Log, Operation, Redirect, Request, Response
from quorate.protocols.consensus.zab_state import (
    FOLLOWING,
    LEADING,
    LOOKING,
    NOTHING,
    Ack,
    AckEpoch,
    AckLeader,
    CEpoch,
    Commit,
    Heartbeat,
    HeartbeatTimeout,
    NewEpoch,
    NewLeader,
    Propose,
    Timeout,
    Transaction,
)
from tests.protocols.zab.cluster import ALICE, BOB, N1, N2, N3, N4, Cluster, append, transaction

A, B, C = transaction((1, 1), "a"), transaction((1, 2), "b", 2), transaction((2, 1), "c", 3)


# Phase 0


def test_who_hears_of_no_leader_leads_and_others_follow() -> None:
    """§IV: the leader oracle; a timeout here."""
    cluster = Cluster(3)
    assert [node.role for node in cluster.nodes.values()] == [LOOKING] * 3
    cluster.fire(N1, Timeout())
    assert (cluster.nodes[N1].role, cluster.nodes[N1].epoch) == (LEADING, 0)
    assert cluster.says(N2, Heartbeat(0, NOTHING, NOTHING), N1) == [CEpoch(0)]
    assert (cluster.nodes[N2].role, cluster.nodes[N2].leader) == (FOLLOWING, N1)
    assert cluster.says(N2, Heartbeat(0, NOTHING, NOTHING), N3) == []


def test_a_leader_without_a_quorum_gives_up() -> None:
    """§IV, phase 3: it goes back to phase 0, and so does a follower that hears nothing."""
    cluster = Cluster(3)
    cluster.lead(N1)
    assert cluster.nodes[N1].is_primary
    cluster.fire(N1, Timeout())
    assert cluster.nodes[N1].is_primary
    cluster.fire(N1, Timeout())
    assert cluster.nodes[N1].role == LOOKING


# Phase 1: discovery


def test_the_new_epoch_is_later_than_any_that_a_quorum_has_accepted() -> None:
    """§IV, step l.1.1: the leader's own counts too."""
    cluster = Cluster(5)
    cluster.set(N1, accepted_epoch=3, current_epoch=3)
    cluster.fire(N1, Timeout())
    assert cluster.says(N1, CEpoch(2), N2) == []
    assert cluster.says(N1, CEpoch(2), N2) == []
    assert cluster.says(N1, CEpoch(7), N3)[0] == NewEpoch(8)
    assert cluster.nodes[N1].accepted_epoch == 8
    assert cluster.says(N1, CEpoch(1), N4) == [NewEpoch(8)]


def test_a_follower_promises_an_epoch_to_one_leader_only() -> None:
    """§IV, step f.1.2: accepted_epoch is set, current_epoch is not."""
    cluster = Cluster(3)
    cluster.set(N2, (A,), accepted_epoch=1, current_epoch=1)
    cluster.act(N2, Heartbeat(0, NOTHING, NOTHING), N1)
    assert cluster.says(N2, NewEpoch(2), N1) == [AckEpoch(2, 1, (A,), True)]
    assert cluster.says(N2, NewEpoch(2), N1) == [AckEpoch(2, 1, (A,), False)]
    node = cluster.nodes[N2]
    assert (node.accepted_epoch, node.current_epoch) == (2, 1)
    assert cluster.says(N2, NewEpoch(3), N3) == []
    assert cluster.says(N2, NewEpoch(1), N1) == []
    assert cluster.nodes[N2].role == LOOKING


def test_repeated_promises_make_no_quorum() -> None:
    """§IV, step l.1.2: they may be to another leader, which found the same epoch."""
    cluster = Cluster(3)
    cluster.fire(N1, Timeout())
    cluster.act(N1, CEpoch(0), N2)
    cluster.act(N1, AckEpoch(1, 0, (), True), N1)
    cluster.act(N1, AckEpoch(1, 0, (), False), N2)
    assert cluster.nodes[N1].phase == "discovery"
    cluster.act(N1, AckEpoch(1, 0, (), True), N3)
    assert cluster.nodes[N1].phase == "synchronization"


@pytest.mark.parametrize(
    ("own", "other", "chosen"),
    [
        ((0, ()), (1, (A,)), (A,)),
        ((1, (A,)), (1, (A, B)), (A, B)),
        ((1, (A, B)), (1, (A,)), (A, B)),
        ((1, (A, B)), (2, (A,)), (A,)),
        ((2, (A,)), (1, (A, B)), (A,)),
        ((1, (A, B)), (2, (A, C)), (A, C)),
    ],
)
def test_the_history_of_the_latest_epoch_is_taken(
    own: tuple[int, tuple[Transaction, ...]],
    other: tuple[int, tuple[Transaction, ...]],
    chosen: tuple[Transaction, ...],
) -> None:
    """§IV, step l.1.2: by current_epoch, and then by the last zxid."""
    cluster = Cluster(3)
    cluster.set(N1, own[1], accepted_epoch=2, current_epoch=own[0])
    cluster.fire(N1, Timeout())
    cluster.act(N1, CEpoch(2), N2)
    cluster.act(N1, AckEpoch(3, *own, True), N1)
    sent = cluster.says(N1, AckEpoch(3, *other, True), N2)
    assert sent == [NewLeader(3, chosen), AckLeader(3, chosen[-1].zxid)]
    node = cluster.nodes[N1]
    assert (node.current_epoch, node.history) == (3, Log(chosen, start=1))


# Phase 2: synchronization


def promised() -> Cluster:
    """Process 2 has promised epoch 2 to process 1; it has what it had in epoch 1."""
    cluster = Cluster(3)
    cluster.set(N2, (A, B), accepted_epoch=1, current_epoch=1)
    cluster.act(N2, Heartbeat(0, NOTHING, NOTHING), N1)
    cluster.act(N2, NewEpoch(2), N1)
    cluster.queue.clear()
    return cluster


def test_a_follower_takes_over_the_history_of_its_leader() -> None:
    """§IV, step f.2.1: what it has besides is lost, and its current epoch is the leader's."""
    cluster = promised()
    assert cluster.says(N2, NewLeader(2, (A,)), N1) == [AckLeader(2, (1, 1))]
    node = cluster.nodes[N2]
    assert (node.current_epoch, node.epoch, node.history) == (2, 2, Log([A], start=1))


def test_only_the_epoch_that_was_promised_is_taken_over() -> None:
    """§IV, step f.2.1: else the follower goes back to phase 0."""
    cluster = promised()
    assert cluster.says(N2, NewLeader(2, (A,)), N3) == []
    assert cluster.says(N2, NewLeader(1, (A,)), N1) == []
    assert cluster.nodes[N2].role == LOOKING
    assert cluster.nodes[N2].history == Log([A, B], start=1)


def test_history_and_current_epoch_are_on_disk_before_they_are_acknowledged() -> None:
    """§IV, step f.2.1: and both at once."""
    cluster = promised()
    cluster.slow.add(N2)
    cluster.act(N2, NewLeader(2, (A,)), N1)
    assert not cluster.queue
    cluster.crash(N2)
    node = cluster.nodes[N2]
    assert (node.current_epoch, node.history) == (1, Log([A, B], start=1))


def test_within_an_epoch_a_history_is_never_shortened() -> None:
    """§IV, phase 3: by what is late."""
    cluster = promised()
    cluster.act(N2, NewLeader(2, (A,)), N1)
    cluster.act(N2, Propose(2, C), N1)
    assert cluster.says(N2, NewLeader(2, (A,)), N1) == [AckLeader(2, (2, 1))]
    assert cluster.nodes[N2].history == Log([A, C], start=1)


def test_the_initial_history_is_committed_once_a_quorum_has_taken_it_over() -> None:
    """§IV, step l.2.2; primary integrity (§III): only then may the leader broadcast."""
    cluster = Cluster(3)
    cluster.set(N1, (A, B), accepted_epoch=1, current_epoch=1)
    cluster.fire(N1, Timeout())
    cluster.act(N1, CEpoch(1), N2)
    cluster.act(N1, AckEpoch(2, 1, (A, B), True), N1)
    cluster.act(N1, AckEpoch(2, 1, (A,), True), N2)
    cluster.act(N1, AckLeader(2, (1, 2)), N1)
    cluster.queue.clear()
    assert cluster.says(N1, append(3, "c"), ALICE) == [Redirect(3, N1)]
    assert cluster.nodes[N1].delivered == 0
    sent = cluster.says(N1, AckLeader(2, (1, 2)), N2)
    assert sent == [Response(1), Response(2), Commit(2, (1, 2))]
    assert cluster.says(N1, append(3, "c"), ALICE) == [Propose(2, C), Ack(2, (2, 1))]


# Phase 3: broadcast


def established() -> Cluster:
    """Three processes in epoch 1, which process 1 leads."""
    cluster = Cluster(3)
    cluster.lead(N1)
    assert [node.epoch for node in cluster.nodes.values()] == [1, 1, 1]
    return cluster


def test_zxids_count_within_the_epoch() -> None:
    """§IV, step l.3.1: (epoch, counter), one after the other."""
    cluster = established()
    assert cluster.says(N1, append(1, "a"), ALICE)[0] == Propose(1, A)
    assert cluster.says(N1, append(2, "b"), ALICE)[0] == Propose(1, B)


def test_a_follower_accepts_proposals_in_order_only() -> None:
    """§IV, step f.3.1: after a gap it joins the epoch anew (departure: channels lose messages)."""
    cluster = established()
    assert cluster.says(N2, Propose(1, A), N1) == [Ack(1, (1, 1))]
    assert cluster.says(N2, Propose(1, A), N1) == [Ack(1, (1, 1))]
    late = transaction((1, 3), "c", 3)
    assert cluster.says(N2, Propose(1, late), N1) == [CEpoch(1)]
    assert cluster.says(N2, Propose(1, B), N1) == []
    assert cluster.nodes[N2].history == Log([A], start=1)


def test_a_transaction_is_committed_once_a_quorum_has_it() -> None:
    """§IV, step l.3.2."""
    cluster = Cluster(5)
    cluster.lead(N1)
    cluster.ask("a")
    cluster.act(N1, Ack(1, (1, 1)), N1)
    assert cluster.says(N1, Ack(1, (1, 1)), N2) == []
    assert cluster.says(N1, Ack(1, (1, 1)), N2) == []
    assert cluster.says(N1, Ack(0, (1, 1)), N3) == []
    assert cluster.says(N1, Ack(1, (1, 1)), N3) == [Response(1), Commit(1, (1, 1))]


def test_what_is_not_on_disk_is_not_acknowledged() -> None:
    """§IV, step f.3.1; by the leader neither."""
    cluster = established()
    cluster.slow.add(N2)
    cluster.act(N2, Propose(1, A), N1)
    assert not cluster.queue
    cluster.sync(N2)
    assert [message for _, _, message in cluster.queue] == [Ack(1, (1, 1))]


def test_followers_deliver_what_is_committed_in_the_order_of_the_history() -> None:
    """§IV, step f.3.2."""
    cluster = established()
    cluster.act(N2, Propose(1, A), N1)
    cluster.act(N2, Propose(1, B), N1)
    assert cluster.read(N2) is None
    cluster.act(N2, Commit(1, (1, 1)), N1)
    assert cluster.read(N2) == "a"
    cluster.act(N2, Commit(1, (1, 2)), N1)
    assert cluster.read(N2) == "ab"
    assert cluster.says(N2, Commit(1, (1, 3)), N1) == [CEpoch(1)]


@pytest.mark.parametrize("size", [3, 5, 7])
def test_messages_of_a_transaction(size: int) -> None:
    """§IV, phase 3: 3(n - 1) messages, besides those of the leader to itself."""
    cluster = Cluster(size)
    cluster.lead(N1)
    cluster.sent.clear()
    cluster.ask("a")
    cluster.deliver()
    others = [m for s, t, m in cluster.sent if s != t and t in cluster.ids]
    kinds = [type(message) for message in others]
    assert [kinds.count(kind) for kind in (Propose, Ack, Commit)] == [size - 1] * 3
    assert len(others) == 3 * (size - 1)
    assert cluster.answers[ALICE] == [Response(1)]


def test_a_follower_may_join_an_established_epoch() -> None:
    """§IV, step l.3.3: it gets all of the history, and what follows."""
    cluster = Cluster(3)
    cluster.isolate(N3)
    cluster.lead(N1)
    cluster.ask("a")
    cluster.deliver()
    cluster.heal()
    cluster.beat(N1)
    assert (cluster.nodes[N3].epoch, cluster.read(N3)) == (1, "a")
    cluster.ask("b", 2)
    cluster.deliver()
    assert [cluster.read(id) for id in cluster.ids] == ["ab", "ab", "ab"]


def test_a_leader_gives_way_to_an_epoch_that_a_follower_has_promised() -> None:
    """Departure: such a follower could not join otherwise."""
    cluster = established()
    assert cluster.says(N1, CEpoch(2), N3) == []
    assert cluster.nodes[N1].role == LOOKING


def test_a_request_is_broadcast_once() -> None:
    """Clients: a repeated request is answered, if it has been delivered."""
    cluster = established()
    cluster.ask("a")
    assert cluster.says(N1, append(1, "a"), ALICE) == []
    cluster.act(N1, Ack(1, (1, 1)), N1)
    cluster.act(N1, Ack(1, (1, 1)), N2)
    cluster.queue.clear()
    assert cluster.says(N1, append(1, "a"), ALICE) == [Response(1)]
    assert cluster.says(N2, append(1, "a"), BOB) == [Redirect(1, N1)]
    assert cluster.says(N1, Request(1, Operation("jump")), BOB) == [Response(1, ok=False)]


# Stories


def test_a_transaction_of_an_old_primary_is_given_up(golden: Callable[[str, str], None]) -> None:
    """§III, primary order: what nobody has acknowledged never comes after the next epoch's."""
    story = Cluster(3)
    story.tell("n1 leads. It finds epoch 1 with n2 and n3, and an empty history.")
    story.lead(N1)
    story.tell("n1 broadcasts a transaction that nobody hears, and is cut off.")
    story.ask("a")
    story.isolate(N1)
    story.deliver()
    story.tell("n2 misses its leader, and leads. n3 still follows n1, until it misses it as well.")
    story.fire(N2, Timeout())
    story.lose(Heartbeat, N2, N1)
    story.deliver()
    story.fire(N3, Timeout())
    story.lose(Heartbeat, N3, N1)
    story.deliver()
    story.fire(N3, Timeout())
    story.tell("n3 gives up, and follows n2, which finds epoch 2 with it.")
    story.fire(N2, HeartbeatTimeout())
    story.lose(Heartbeat, N2, N1)
    story.deliver()
    assert (story.nodes[N2].is_primary, story.nodes[N2].epoch) == (True, 2)
    story.tell("n2 broadcasts another one. n1 has given up, hears of epoch 2 and takes over all.")
    story.ask("b", 1, BOB, N2)
    story.deliver()
    story.heal()
    story.fire(N1, Timeout())
    story.fire(N1, Timeout())
    story.fire(N2, HeartbeatTimeout())
    story.deliver()
    assert [story.read(id) for id in story.ids] == ["b", "b", "b"]
    golden("given_up.txt", story.text)


def test_a_promise_is_no_history(golden: Callable[[str, str], None]) -> None:
    """§IV, f.p and f.a: n3 has accepted a later epoch than n2, yet has the older history."""
    story = Cluster(3)
    story.isolate(N3)
    story.lead(N1)
    story.ask("a")
    story.deliver()
    story.heal()
    story.lines.clear()
    story.tell("n1 and n2 have delivered a transaction of epoch 1. n3 has been cut off.")
    story.tell("n3 leads, and with n2, which misses n1, it finds epoch 2; n2 does not hear of it.")
    story.fire(N3, Timeout())
    story.lose(Heartbeat)
    story.fire(N2, Timeout())
    story.lose(Heartbeat)
    story.fire(N2, Timeout())
    story.fire(N3, HeartbeatTimeout())
    story.lose(Heartbeat, N3, N1)
    story.arrive(Heartbeat)
    story.arrive(CEpoch)
    story.lose(NewEpoch)
    story.tell("n3 crashes before it has taken over any history. Its promise is on its disk.")
    story.crash(N3)
    story.queue.clear()
    node = story.nodes[N3]
    assert (node.accepted_epoch, node.current_epoch, len(node.history)) == (2, 0, 0)
    story.tell("n2 leads, with n3. Its own history is of epoch 1, that of n3 of none.")
    story.fire(N2, Timeout())
    story.lose(Heartbeat, N2, N1)
    story.arrive(Heartbeat)
    story.deliver()
    assert (story.nodes[N2].is_primary, story.nodes[N2].epoch) == (True, 3)
    assert [story.read(id) for id in (N2, N3)] == ["a", "a"]
    golden("two_epochs.txt", story.text)
