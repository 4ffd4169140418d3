"""Liskov and Cowling, "Viewstamped Replication Revisited" (2012), claim by claim."""

from collections.abc import Callable

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.kernel import Log, Operation, Redirect, Request, Response
from quorate.protocols.consensus.vr import Vr
from quorate.protocols.consensus.vr_state import (
    NORMAL,
    RECOVERING,
    VIEW_CHANGE,
    Commit,
    CommitTimeout,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    PrepareOk,
    Recovery,
    RecoveryResponse,
    RecoveryTimeout,
    StartView,
    StartViewChange,
    ViewTimeout,
)
from tests.protocols.vr.cluster import ALICE, BOB, N1, N2, N3, N4, N5, Cluster, append, entry

NOBODY_CRASHED = (0, 0, 0)
A, B, C = entry("a"), entry("b", 2), entry("c", 3)


# §4: overview


def test_the_primary_is_chosen_round_robin() -> None:
    """§4: by the number of the view, beginning with replica 1."""
    node = Cluster(3).nodes[N1]
    assert [node.primary_of(view) for view in range(5)] == [N1, N2, N3, N1, N2]


@pytest.mark.parametrize(("size", "quorum"), [(3, 2), (5, 3), (7, 4)])
def test_a_quorum_is_f_plus_1_of_2f_plus_1(size: int, quorum: int) -> None:
    """§2: any two quorums have a replica in common."""
    assert Cluster(size).nodes[N1].quorum == quorum
    assert 2 * quorum > size


# §4.1: normal operation


def test_the_primary_gives_each_request_the_next_op_number() -> None:
    """§4.1, step 3."""
    cluster = Cluster(3)
    assert cluster.says(N1, append(1, "a"), ALICE) == [Prepare(0, 1, entry("a"), 0)]
    assert cluster.says(N1, append(1, "b"), BOB) == [Prepare(0, 2, entry("b", 1, BOB), 0)]


def test_backups_do_not_serve_clients() -> None:
    """§4.1: clients are told who does (departure: in the paper by the view in the reply)."""
    cluster = Cluster(3)
    assert cluster.says(N2, append(1, "a"), ALICE) == [Redirect(1, N1)]
    cluster.fire(N2, ViewTimeout())
    assert cluster.says(N2, append(1, "a"), ALICE) == [Redirect(1, None)]


def test_a_backup_takes_requests_in_order_only() -> None:
    """§4.1, step 4: it does not accept a PREPARE until its log has all earlier requests."""
    cluster = Cluster(3)
    assert cluster.says(N2, Prepare(0, 2, B, 0), N1) == [GetState(0, 0)]
    assert cluster.nodes[N2].op_number == 0
    assert cluster.says(N2, Prepare(0, 1, A, 0), N1) == [PrepareOk(0, 1)]
    assert cluster.says(N2, Prepare(0, 2, B, 0), N1) == [PrepareOk(0, 2)]
    assert cluster.says(N2, Prepare(0, 1, A, 0), N1) == [PrepareOk(0, 2)]
    assert cluster.nodes[N2].log == Log([A, B], start=1)


def test_a_request_is_committed_with_f_backups() -> None:
    """§4.1, step 5: then the primary executes it, and answers the client."""
    cluster = Cluster(5)
    cluster.ask("a")
    assert cluster.says(N1, PrepareOk(0, 1), N2) == []
    assert cluster.says(N1, PrepareOk(0, 1), N2) == []
    assert cluster.says(N1, PrepareOk(0, 1), N3) == [Response(1)]
    assert cluster.says(N1, PrepareOk(0, 1), N4) == []


def test_an_acknowledgement_covers_all_earlier_requests() -> None:
    """§4.1, step 5: and all earlier operations are executed first."""
    cluster = Cluster(3)
    cluster.ask("a")
    cluster.ask("b", 1, BOB)
    assert cluster.says(N1, PrepareOk(0, 2), N2) == [Response(1), Response(1)]
    assert cluster.read(N1) == "ab"


def test_acknowledgements_of_another_view_do_not_count() -> None:
    """§4.1: messages of another view than one's own are not processed.

    Replica 1 leads view 0 and, of five, view 5; a late answer is about another log.
    """
    cluster = Cluster(5)
    node = cluster.nodes[N1]
    cluster.nodes[N1] = node = node.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    node.view = node.last_normal = 5
    cluster.ask("a")
    cluster.act(N1, PrepareOk(0, 1), N2)
    cluster.act(N1, PrepareOk(0, 1), N3)
    assert cluster.nodes[N1].commit_number == 0


def test_backups_learn_what_is_committed_with_the_next_request() -> None:
    """§4.1, step 6."""
    cluster = Cluster(3)
    cluster.ask("a")
    cluster.deliver()
    assert [node.commit_number for node in cluster.nodes.values()] == [1, 0, 0]
    cluster.ask("b", 2)
    cluster.deliver()
    assert [node.commit_number for node in cluster.nodes.values()] == [2, 1, 1]


def test_an_idle_primary_tells_what_is_committed() -> None:
    """§4.1, step 6: by a COMMIT message."""
    cluster = Cluster(3)
    cluster.write("a")
    assert [cluster.read(id) for id in cluster.ids] == ["a", "a", "a"]
    assert Commit(0, 1) in [message for _, _, message in cluster.sent]


def test_what_has_not_been_acknowledged_is_sent_again() -> None:
    """§4.1: the network may lose messages, so the primary repeats itself."""
    cluster = Cluster(3)
    cluster.ask("a")
    cluster.queue.clear()
    assert cluster.says(N1, CommitTimeout()) == [Prepare(0, 1, A, 0)]


def test_a_request_is_executed_once() -> None:
    """§4.1, step 2: a repeated request is dropped, or answered if it has been executed."""
    cluster = Cluster(3)
    cluster.ask("a")
    assert cluster.says(N1, append(1, "a"), ALICE) == []
    cluster.ask("b", 2)
    cluster.act(N1, PrepareOk(0, 2), N2)
    cluster.queue.clear()
    assert cluster.says(N1, append(2, "b"), ALICE) == [Response(2)]
    assert cluster.says(N1, append(1, "a"), ALICE) == []
    assert cluster.nodes[N1].op_number == 2


def test_what_the_service_does_not_know_is_refused() -> None:
    """Not in the paper: a request must be one of the service's."""
    cluster = Cluster(3)
    assert cluster.says(N1, Request(1, Operation("jump")), ALICE) == [Response(1, ok=False)]


@pytest.mark.parametrize("size", [3, 5, 7])
def test_messages_of_a_request(size: int) -> None:
    """§4.1: n - 1 PREPAREs, as many answers, and the client waits for two delays between them."""
    cluster = Cluster(size)
    cluster.ask("a")
    cluster.deliver()
    kinds = [type(message) for _, _, message in cluster.sent]
    assert [kinds.count(kind) for kind in (Prepare, PrepareOk)] == [size - 1, size - 1]
    assert cluster.answers[ALICE] == [Response(1)]


# §4.2: view changes


def test_a_view_change_begins_with_a_silent_primary() -> None:
    """§4.2, step 1: a backup that hears nothing changes to the next view, and tells all others."""
    cluster = Cluster(3)
    assert cluster.says(N2, ViewTimeout()) == [StartViewChange(1)]
    assert (cluster.nodes[N2].status, cluster.nodes[N2].view) == (VIEW_CHANGE, 1)
    assert cluster.says(N1, ViewTimeout()) == []
    assert cluster.nodes[N1].status == NORMAL


def test_a_replica_that_changes_views_works_for_no_other() -> None:
    """§4.2, step 1: messages of its old view are not processed any more."""
    cluster = Cluster(3)
    cluster.fire(N2, ViewTimeout())
    assert cluster.says(N2, Prepare(0, 1, A, 0), N1) == []
    assert cluster.nodes[N2].op_number == 0


def test_f_others_must_be_for_the_view_before_an_account_is_given() -> None:
    """§4.2, step 2: which goes to the primary of the new view."""
    cluster = Cluster(5)
    cluster.act(N3, Prepare(0, 1, A, 0), N1)
    assert cluster.says(N3, StartViewChange(1), N2) == [StartViewChange(1)]
    assert cluster.says(N3, StartViewChange(1), N2) == []
    vote = DoViewChange(1, (A,), 0, 0, (0, 0, 0, 0, 0))
    assert cluster.says(N3, StartViewChange(1), N4) == [vote]
    assert cluster.says(N3, StartViewChange(1), N5) == []


@pytest.mark.parametrize(
    ("accounts", "log"),
    [
        ([((), 0), ((), 0)], ()),
        ([((A,), 0), ((), 0)], (A,)),
        ([((A,), 0), ((A, B), 0)], (A, B)),
        ([((A, B), 0), ((C,), 1)], (C,)),
        ([((C,), 1), ((A, B), 0)], (C,)),
    ],
)
def test_the_log_of_the_latest_normal_view_is_taken(
    accounts: list[tuple[tuple[object, ...], int]], log: tuple[object, ...]
) -> None:
    """§4.2, step 3: and of these the longest. Replica 3 is the primary of view 2."""
    cluster = Cluster(3)
    for sender, (entries, last_normal) in zip((N1, N2), accounts, strict=True):
        vote = DoViewChange(2, entries, last_normal, 0, NOBODY_CRASHED)  # type: ignore[arg-type]
        cluster.act(N3, vote, sender)
    assert cluster.nodes[N3].is_primary
    assert cluster.nodes[N3].log == Log(log, start=1)
    assert StartView(2, log, 0) in [message for _, _, message in cluster.sent]  # type: ignore[arg-type]


def test_a_view_starts_with_f_plus_1_accounts() -> None:
    """§4.2, step 3: of distinct replicas; and it starts once."""
    cluster = Cluster(3)
    vote = DoViewChange(1, (), 0, 0, NOBODY_CRASHED)
    for sender, is_primary in ((N3, False), (N3, False), (N1, True)):
        cluster.act(N2, vote, sender)
        assert cluster.nodes[N2].is_primary == is_primary
    cluster.queue.clear()
    assert cluster.says(N2, vote, N3) == []


def test_the_new_primary_executes_what_is_committed_and_answers_for_the_old_one() -> None:
    """§4.2, steps 3 and 4: the largest commit-number of all accounts counts."""
    cluster = Cluster(3)
    cluster.act(N2, DoViewChange(1, (A, B), 0, 0, NOBODY_CRASHED), N2)
    sent = cluster.says(N2, DoViewChange(1, (A,), 0, 1, NOBODY_CRASHED), N3)
    assert sent == [StartView(1, (A, B), 1), Response(1)]
    assert (cluster.nodes[N2].commit_number, cluster.nodes[N2].op_number) == (1, 2)


def test_backups_acknowledge_what_the_new_view_has_not_committed() -> None:
    """§4.2, step 5."""
    cluster = Cluster(3)
    assert cluster.says(N1, StartView(1, (A, B), 1), N2) == [PrepareOk(1, 2)]
    assert cluster.read(N1) == "a"
    assert cluster.says(N3, StartView(1, (A, B), 2), N2) == []


def test_a_committed_request_survives_the_primary() -> None:
    """§4.2: what f + 1 replicas have, one of any f + 1 accounts has."""
    cluster = Cluster(3)
    cluster.cuts.add((N1, N3))
    cluster.ask("a")
    cluster.deliver()
    cluster.crash(N1, restart=False)
    cluster.change_view(N2, N3)
    assert cluster.nodes[N3].log == Log([A], start=1)


def test_messages_of_a_view_change() -> None:
    """§4.2: every replica tells every other one, at most n give an account, n - 1 are started."""
    cluster = Cluster(5)
    for id in cluster.ids[1:]:
        cluster.fire(id, ViewTimeout())
    cluster.deliver()
    kinds = [type(message) for _, _, message in cluster.sent]
    counts = [kinds.count(kind) for kind in (StartViewChange, DoViewChange, StartView)]
    assert counts == [20, 5, 4]
    assert cluster.all_normal(1)


# §4.3: recovery


def test_a_replica_that_comes_back_knows_nothing_and_asks() -> None:
    """§4.3, step 1: until it has recovered it takes part in nothing."""
    cluster = Cluster(3)
    cluster.write("a")
    cluster.crash(N3)
    assert [m for _, _, m in cluster.queue] == [Recovery(1), Recovery(1)]
    cluster.queue.clear()
    assert (cluster.nodes[N3].status, cluster.nodes[N3].op_number) == (RECOVERING, 0)
    for message in (
        Prepare(0, 1, A, 0),
        Commit(0, 1),
        StartViewChange(1),
        DoViewChange(2, (), 0, 0, NOBODY_CRASHED),
        StartView(1, (), 0),
        Recovery(7),
        GetState(0, 0),
        NewState(0, 0, (A,), 1),
    ):
        assert cluster.says(N3, message, N2) == []
    assert cluster.says(N3, append(1, "a"), ALICE) == [Redirect(1, None)]
    assert cluster.nodes[N3].status == RECOVERING
    assert cluster.says(N3, RecoveryTimeout()) == [Recovery(1)]


def test_only_a_normal_replica_answers_and_only_the_primary_sends_its_log() -> None:
    """§4.3, step 2."""
    cluster = Cluster(3)
    cluster.write("a")
    heard = (0, 0, 4)
    assert cluster.says(N1, Recovery(4), N3) == [RecoveryResponse(0, 4, (A,), 1, heard)]
    assert cluster.says(N2, Recovery(4), N3) == [RecoveryResponse(0, 4, None, 1, heard)]
    cluster.fire(N2, ViewTimeout())
    cluster.queue.clear()
    assert cluster.says(N2, Recovery(5), N3) == []


def test_a_replica_recovers_from_f_plus_1_answers() -> None:
    """§4.3, step 3: its log is the primary's; what is committed it executes anew."""
    cluster = Cluster(3)
    cluster.write("a")
    cluster.crash(N3)
    cluster.deliver()
    assert cluster.all_normal(0)
    assert (cluster.nodes[N3].log, cluster.read(N3)) == (Log([A], start=1), "a")


def recovering() -> Cluster:
    """Replica 5 of five comes back from its first crash; what it asks is lost."""
    cluster = Cluster(5)
    cluster.crash(N5)
    cluster.queue.clear()
    return cluster


def response(view: int, log: tuple[object, ...] | None, *crashes: int) -> RecoveryResponse:
    """An answer to its nonce, with what the sender knows of crashes."""
    return RecoveryResponse(view, 1, log, 0, crashes or (0, 0, 0, 0, 1))  # type: ignore[arg-type]


def test_the_primary_of_the_latest_view_must_be_among_those_who_answer() -> None:
    """§4.3, step 3: the latest view that any answer tells of."""
    cluster = recovering()
    cluster.act(N5, response(0, (A,)), N1)
    cluster.act(N5, response(1, None), N3)
    cluster.act(N5, response(1, None), N4)
    assert cluster.nodes[N5].status == RECOVERING
    cluster.act(N5, response(1, (B,)), N2)
    node = cluster.nodes[N5]
    assert (node.status, node.view, node.log) == (NORMAL, 1, Log([B], start=1))


def test_answers_to_an_earlier_crash_do_not_count() -> None:
    """§4.3, step 3: the nonce tells them, and none is ever used again."""
    cluster = recovering()
    cluster.crash(N5)
    assert cluster.nodes[N5].incarnation == 2
    for sender, log in ((N1, (A,)), (N2, None), (N3, None)):
        cluster.act(N5, response(0, log), sender)
    assert cluster.nodes[N5].status == RECOVERING


def test_answers_from_before_a_crash_do_not_count() -> None:
    """DISC 2017: replica 3 has crashed since it answered, as the answer of replica 1 tells."""
    cluster = recovering()
    cluster.act(N5, response(0, None, 0, 0, 0, 0, 1), N3)
    cluster.act(N5, response(0, None, 0, 0, 0, 0, 1), N2)
    cluster.act(N5, response(0, (A,), 0, 0, 1, 0, 1), N1)
    assert cluster.nodes[N5].status == RECOVERING
    cluster.act(N5, response(0, None, 0, 0, 1, 0, 1), N3)
    assert cluster.nodes[N5].status == NORMAL


def test_more_than_f_failures_stop_the_service() -> None:
    """§4.3 and §2: with too few left to know, nobody guesses."""
    cluster = Cluster(3)
    cluster.write("a")
    cluster.crash(N2)
    cluster.queue.clear()
    cluster.crash(N3)
    cluster.deliver()
    for _ in range(3):
        for id in (N2, N3):
            cluster.fire(id, RecoveryTimeout())
            cluster.deliver()
    assert [status for status, _ in cluster.views()] == [NORMAL, RECOVERING, RECOVERING]


# §5.2: state transfer


def test_who_lacks_requests_is_sent_what_follows_its_commit_number() -> None:
    """§5.2: by a replica that is normal in that view or a later one."""
    cluster = Cluster(3)
    cluster.write("a")
    cluster.write("b", 2)
    assert cluster.says(N1, GetState(0, 1), N3) == [NewState(0, 1, (B,), 2)]
    assert cluster.says(N1, GetState(1, 1), N3) == []


def test_a_replica_that_missed_requests_catches_up() -> None:
    """§5.2: and acknowledges what it has got."""
    cluster = Cluster(3)
    cluster.isolate(N3)
    cluster.write("a")
    cluster.heal()
    cluster.write("b", 2)
    assert [cluster.read(id) for id in cluster.ids] == ["ab", "ab", "ab"]


# Stories


def test_the_primary_is_replaced(golden: Callable[[str, str], None]) -> None:
    """§4.1, §4.2, §5.2: a request that only one backup has outlives its primary."""
    story = Cluster(3)
    story.tell("A client asks n1, the primary of view 0. Only n2 hears of it, and n1 is cut off.")
    story.ask("a")
    story.lose(Prepare, N1, N3)
    story.arrive(Prepare, N1, N2)
    story.lose(PrepareOk)
    story.isolate(N1)
    story.tell("n3 misses the primary. View 1 begins with the log of n2, the longer one.")
    story.fire(N3, ViewTimeout())
    story.lose(StartViewChange, N3, N1)
    story.arrive(StartViewChange)
    story.lose(StartViewChange, N2, N1)
    story.arrive(StartViewChange)
    story.arrive(DoViewChange)
    story.lose(StartView, N2, N1)
    story.arrive(StartView)
    story.tell("n3 acknowledges the request, and n2 answers the client in the old primary's stead.")
    story.arrive(PrepareOk)
    story.arrive(Response)
    story.tell("The link is mended. n1 hears of the later view, and asks for what it has missed.")
    story.heal()
    story.fire(N2, CommitTimeout())
    story.deliver()
    assert story.all_normal(1)
    assert [story.read(id) for id in story.ids] == ["a", "a", "a"]
    golden("view_change.txt", story.text)


def test_a_replica_recovers(golden: Callable[[str, str], None]) -> None:
    """§4.3: answers of an old primary are not enough, nor are those to an earlier crash."""
    story = Cluster(3)
    story.isolate(N1)
    story.change_view(N2, N3)
    story.write("a", to=N2)
    story.heal()
    story.queue.clear()
    story.lines.clear()
    story.tell("n1 has missed view 1, in which n2 and n3 have executed a request. n3 crashes.")
    story.crash(N3)
    story.arrive(Recovery)
    story.tell(
        "n1 still takes itself for the primary, and answers first. The other answer is late."
    )
    story.arrive(RecoveryResponse, N1)
    story.tell("n3 crashes again. The late answer is to an earlier nonce.")
    story.crash(N3)
    story.arrive(RecoveryResponse, N2)
    story.arrive(Recovery)
    story.tell("These answers count. The latest view that they tell of is 1, so n2's log is taken.")
    story.arrive(RecoveryResponse)
    node = story.nodes[N3]
    assert (node.status, node.view, node.commit_number) == (NORMAL, 1, 1)
    golden("recovery.txt", story.text)


def old_account(kind: type[Vr] = Vr) -> Cluster:
    """Up to where replica 2 gets an account that replica 3 gave before it crashed."""
    story = Cluster(3, kind)
    story.tell("n2 misses the primary, and then crashes. What it sent to n3 is under way.")
    story.fire(N2, ViewTimeout())
    story.lose(StartViewChange, N2, N1)
    story.crash(N2)
    story.arrive(Recovery)
    story.arrive(RecoveryResponse)
    story.tell("n2 is back in view 0. Its message arrives: n3 is for view 1, and gives an account.")
    story.arrive(StartViewChange, N2)
    story.lose(StartViewChange, N3, N1)
    story.tell("The account is under way to n2. n3 crashes too, and is back in view 0 as well.")
    story.crash(N3)
    story.arrive(Recovery)
    story.arrive(RecoveryResponse)
    story.tell("A request is committed by n1 and n3. n2 does not hear of it.")
    story.ask("a")
    story.lose(Prepare, N1, N2)
    story.arrive(Prepare)
    story.arrive(PrepareOk)
    story.arrive(Response)
    story.tell("n2 hears that n3 is for view 1, and gets the old account besides its own.")
    story.arrive(StartViewChange, N3)
    story.arrive(DoViewChange)
    return story


def test_an_account_from_before_a_crash_does_not_count(golden: Callable[[str, str], None]) -> None:
    """DISC 2017: else the view would begin without a request that has been committed."""
    story = old_account()
    assert story.nodes[N2].status == VIEW_CHANGE
    story.tell("n2 knows that n3 has crashed since, and waits for what n3 says today.")
    story.lose(StartViewChange, N2, N1)
    story.arrive(StartViewChange)
    story.lose(StartViewChange, N3, N1)
    story.arrive(DoViewChange)
    assert (story.nodes[N2].is_primary, story.nodes[N2].view) == (True, 1)
    assert story.nodes[N2].log == Log([A], start=1)
    golden("crash_vectors.txt", story.text)


def test_without_crash_vectors_a_committed_request_is_lost() -> None:
    """DISC 2017: as in the protocol that was published in 2012."""
    published = load(Aim("vr@accounts-from-before-a-crash")).node
    story = old_account(published)  # type: ignore[arg-type]
    assert story.answers[ALICE] == [Response(1)]
    assert (story.nodes[N2].is_primary, story.nodes[N2].view) == (True, 1)
    assert len(story.nodes[N2].log) == 0


def unfinished_transfer(kind: type[Vr] = Vr) -> Cluster:
    """Up to where view 2 begins with the accounts of replicas 1 and 3."""
    story = Cluster(3, kind)
    story.tell("A request is committed by n1 and n2; n3 does not hear of it. n1 is cut off.")
    story.ask("a")
    story.lose(Prepare, N1, N3)
    story.arrive(Prepare)
    story.arrive(PrepareOk)
    story.arrive(Response)
    story.tell("n2 begins view 1 with the account of n3. It misses the start of it.")
    story.fire(N3, ViewTimeout())
    story.lose(StartViewChange, N3, N1)
    story.arrive(StartViewChange)
    story.lose(StartViewChange, N2, N1)
    story.arrive(StartViewChange)
    story.arrive(DoViewChange)
    story.lose(StartView)
    story.tell("n3 hears of view 1, and asks for its log. n2 crashes before it can answer.")
    story.fire(N2, CommitTimeout())
    story.lose(Prepare, N2, N1)
    story.arrive(Prepare)
    story.lose(GetState)
    story.crash(N2, restart=False)
    story.tell("n1 can be heard again, and with n3 it changes to view 2.")
    story.fire(N3, ViewTimeout())
    story.lose(StartViewChange, N3, N2)
    story.arrive(StartViewChange)
    story.lose(StartViewChange, N1, N2)
    story.arrive(StartViewChange)
    story.arrive(DoViewChange)
    return story


def test_who_waits_for_a_log_speaks_for_an_earlier_view(golden: Callable[[str, str], None]) -> None:
    """§5.2: the log of n3 is that of view 0 still, and so the longer one of n1 is taken."""
    story = unfinished_transfer()
    assert (story.nodes[N3].is_primary, story.nodes[N3].view) == (True, 2)
    assert story.nodes[N3].log == Log([A], start=1)
    golden("state_transfer.txt", story.text)


def test_a_log_that_lacks_its_end_would_be_taken_for_the_view_s() -> None:
    """§5.2: if n3 had dropped what was not committed, and joined view 1 at once.

    Its empty log would be the view's, though n1 knows that a request has been committed.
    """
    hasty = load(Aim("vr@joins-a-view-without-its-log")).node
    with pytest.raises(IndexError, match="index 1: the log ends before 1"):
        unfinished_transfer(hasty)  # type: ignore[arg-type]
