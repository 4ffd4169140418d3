"""Mohan, Lindsay, Obermarck, "Transaction Management in the R* ... System" (1986), by claim."""

from collections.abc import Callable, Sequence

import pytest

from quorate.kernel import Operation, Redirect, Request, Response, Set, Start
from quorate.kernel.env import Effect, Send
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.two_phase_commit import (
    Abort,
    Ack,
    AcksMissing,
    Answer,
    Commit,
    InDoubt,
    Inquiry,
    Prepare,
    Presumption,
    Vote,
    VotesMissing,
)
from tests.protocols.two_phase_commit.cluster import (
    CLIENT,
    LOOKER,
    N1,
    N2,
    N3,
    N4,
    Cluster,
    commit,
    look,
    states,
    unwilling,
)

NOTHING, ABORT, COMMIT = Presumption
EACH = pytest.mark.parametrize("presumption", Presumption)
PREPARED, COMMITTED, ABORTED = State.PREPARED, State.COMMITTED, State.ABORTED


def messages(effects: Sequence[Effect]) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def kinds(cluster: Cluster) -> set[type]:
    return {type(message) for _, _, message in cluster.sent}


# Section 2: the two phases


@EACH
def test_a_transaction_is_committed_if_all_vote_yes_and_nothing_fails(
    presumption: Presumption,
) -> None:
    """§2; this is AC4: the coordinator has no choice then."""
    cluster = Cluster(4, presumption=presumption)
    commit(cluster)
    cluster.deliver()
    assert states(cluster) == [COMMITTED] * 3
    assert cluster.answers[CLIENT] == [Response(1, "committed")]


@EACH
def test_one_no_vote_aborts(presumption: Presumption) -> None:
    """§2: even one is enough."""
    cluster = Cluster(4, presumption=presumption)
    unwilling(cluster, N3)
    commit(cluster)
    cluster.deliver()
    assert states(cluster) == [ABORTED] * 3
    assert cluster.answers[CLIENT] == [Response(1, "aborted")]


@EACH
def test_a_vote_that_does_not_come_aborts(presumption: Presumption) -> None:
    """§2: who does not answer in time may have failed."""
    cluster = Cluster(presumption=presumption)
    cluster.cuts.add((N1, N3))
    commit(cluster)
    cluster.deliver()
    assert states(cluster) == [PREPARED, None]
    cluster.fire(N1, VotesMissing("t"))
    cluster.deliver()
    assert states(cluster) == [ABORTED, None]
    assert cluster.answers[CLIENT] == [Response(1, "aborted")]


def test_who_votes_no_has_aborted_by_itself() -> None:
    """§2: it needs no answer, and gets none."""
    cluster = Cluster()
    unwilling(cluster, N3)
    commit(cluster)
    cluster.deliver()
    assert [target for _, target, message in cluster.sent if type(message) is Abort] == [N2]
    assert not cluster.timers[N3]


def test_a_yes_waits_for_its_record() -> None:
    """§2: the prepare record is forced before the vote, so that no promise is forgotten."""
    cluster = Cluster()
    cluster.slow.add(N2)
    commit(cluster)
    cluster.arrive(Prepare)
    assert [source for source, _, message in cluster.sent if type(message) is Vote] == [N3]
    cluster.crash(N2)
    cluster.crash(N3)
    assert states(cluster) == [None, PREPARED]


def test_the_commit_record_is_the_moment_of_decision() -> None:
    """§2: until it is forced nobody is told, and a crash still aborts."""
    cluster = Cluster()
    commit(cluster)
    cluster.slow.add(N1)
    cluster.deliver()
    assert cluster.nodes[N1].records["t"].outcome is COMMITTED
    assert not {Commit, Response} & kinds(cluster)
    cluster.crash(N1)
    cluster.slow.clear()
    for id in (N2, N3):
        cluster.fire(id, InDoubt("t"))
    cluster.deliver()
    assert states(cluster) == [ABORTED] * 2


def test_votes_that_are_repeated_or_late_change_nothing() -> None:
    """Departure: channels may repeat, and delay."""
    cluster = Cluster()
    commit(cluster)
    for _ in range(3):
        cluster.act(N1, Vote("t", Answer.YES), N2)
    assert "t" in cluster.nodes[N1].votes
    cluster.act(N1, Vote("t", Answer.NO), N3)
    assert "t" not in cluster.nodes[N1].votes
    assert cluster.act(N1, Vote("t", Answer.YES), N3) == []


def test_a_participant_votes_once() -> None:
    """Departure: and not at all on what has ended before it was asked."""
    cluster = Cluster()
    commit(cluster)
    cluster.deliver()
    assert cluster.act(N2, Prepare("t"), N1) == []
    assert messages(cluster.act(N3, Abort("u"), N1)) == [Ack("u")]
    assert cluster.act(N3, Prepare("u"), N1) == []


def test_a_participant_in_doubt_keeps_its_locks() -> None:
    """§2: who looks at its data has to wait for the outcome."""
    cluster = Cluster()
    assert messages(look(cluster, N2)) == [Response(1, False)]
    commit(cluster)
    cluster.arrive(Prepare)
    cluster.arrive(Response)
    assert messages(look(cluster, N2)) == []
    cluster.deliver()
    assert cluster.answers[LOOKER] == [Response(1, False), Response(1, True)]


def test_only_the_coordinator_begins_and_only_participants_have_data() -> None:
    """Departure: anybody else says where to go."""
    cluster = Cluster()
    assert messages(commit(cluster, N2)) == [Redirect(1, N1)]
    assert messages(look(cluster, N1)) == [Redirect(1, N2)]


# Section 2: failures


@EACH
def test_a_prepared_participant_is_blocked_without_its_coordinator(
    presumption: Presumption,
) -> None:
    """§2: however often it asks, nobody else can tell; AC5 fails until n1 is back."""
    cluster = Cluster(presumption=presumption)
    commit(cluster)
    cluster.arrive(Prepare)
    cluster.crash(N1, restart=False)
    cluster.isolate(N1)
    for _ in range(5):
        for id in (N2, N3):
            cluster.fire(id, InDoubt("t"))
        cluster.deliver()
    assert states(cluster) == [PREPARED] * 2
    assert messages(look(cluster, N2)) == []


@EACH
def test_what_was_not_decided_before_a_crash_is_aborted(presumption: Presumption) -> None:
    """§2, §3.2: the votes are lost, and those that still come do not count."""
    cluster = Cluster(presumption=presumption)
    commit(cluster)
    cluster.arrive(Prepare)
    cluster.arrive(Vote, "n2")
    cluster.crash(N1)
    cluster.deliver()
    for id in (N2, N3):
        if cluster.timers[id]:
            cluster.fire(id, InDoubt("t"))
    cluster.deliver()
    assert states(cluster) == [ABORTED] * 2
    assert not cluster.nodes[N1].records


@EACH
@pytest.mark.parametrize("outcome", [COMMITTED, ABORTED])
def test_who_missed_the_outcome_inquires(presumption: Presumption, outcome: State) -> None:
    """§2, §3: after a crash as well as after a while, and is told what was decided or presumed."""
    cluster = Cluster(4, presumption=presumption)
    if outcome is ABORTED:
        unwilling(cluster, N4)
    commit(cluster)
    cluster.arrive(Prepare)
    cluster.arrive(Vote)
    cluster.lose(Commit if outcome is COMMITTED else Abort, "", "n2", "n3")
    cluster.fire(N2, InDoubt("t"))
    cluster.crash(N3)
    assert cluster.under_way(Inquiry) == [Inquiry("t")] * 2
    cluster.deliver()
    assert states(cluster) == [outcome] * 3


def test_an_inquiry_has_to_wait_while_votes_are_counted() -> None:
    """§2: not to have decided yet is not to know nothing."""
    cluster = Cluster()
    commit(cluster)
    assert cluster.act(N1, Inquiry("t"), N2) == []


def test_the_coordinator_tells_until_all_have_acknowledged() -> None:
    """§2: then it writes its end record; after a crash it begins to tell anew."""
    cluster = Cluster()
    commit(cluster)
    cluster.arrive(Prepare)
    cluster.arrive(Vote)
    cluster.lose(Commit, "", "n3")
    cluster.deliver()
    assert cluster.nodes[N1].owing["t"] == Set([N3])
    assert messages(cluster.fire(N1, AcksMissing("t"))) == [Commit("t")]
    cluster.lose(Commit)
    cluster.crash(N1)
    assert cluster.nodes[N1].owing["t"] == Set([N2, N3])
    cluster.deliver()
    assert states(cluster) == [COMMITTED] * 2
    assert not cluster.nodes[N1].records
    assert not cluster.timers[N1]
    assert cluster.act(N1, Ack("t"), N2) == []


# Section 3: what presumptions save


@pytest.mark.parametrize(
    ("presumption", "outcome", "coordinator", "subordinate"),
    [
        (NOTHING, "committed", (2, 1, 6), (2, 2, 2)),
        (NOTHING, "aborted", (2, 1, 5), (2, 2, 2)),
        (ABORT, "committed", (2, 1, 6), (2, 2, 2)),
        (ABORT, "aborted", (0, 0, 5), (2, 1, 1)),
        (COMMIT, "committed", (2, 2, 6), (2, 1, 1)),
        (COMMIT, "aborted", (3, 2, 5), (2, 2, 2)),
    ],
)
def test_costs(
    presumption: Presumption,
    outcome: str,
    coordinator: tuple[int, int, int],
    subordinate: tuple[int, int, int],
) -> None:
    """§3: records written, those of them forced, and messages sent; three subordinates.

    To abort, the last of them votes no; the costs are those of one that has voted yes.
    """
    cluster = Cluster(4, presumption=presumption)
    if outcome == "aborted":
        unwilling(cluster, N4)
    commit(cluster)
    cluster.deliver()
    assert cluster.answers[CLIENT] == [Response(1, outcome)]
    assert cluster.cost(N1) == coordinator
    assert cluster.cost(N2) == cluster.cost(N3) == subordinate


@pytest.mark.parametrize("size", [2, 4, 6])
def test_messages(size: int) -> None:
    """§2: 4N for N subordinates; §3.2: presumed commit saves the acknowledgements."""
    for presumption, rounds in ((NOTHING, 4), (ABORT, 4), (COMMIT, 3)):
        cluster = Cluster(size, presumption=presumption)
        commit(cluster)
        cluster.deliver()
        assert sum(cluster.cost(id)[2] for id in cluster.ids) == rounds * (size - 1)


@EACH
def test_who_has_only_read_writes_nothing_and_sends_one_message(presumption: Presumption) -> None:
    """§3.1: it votes READ, and the second phase is about the others."""
    cluster = Cluster(4, presumption=presumption, read_only=Set([N4]))
    commit(cluster)
    cluster.deliver()
    assert cluster.cost(N4) == (0, 0, 1)
    assert [t for _, t, message in cluster.sent if type(message) is Commit] == [N2, N3]
    assert states(cluster) == [COMMITTED, COMMITTED, None]


def test_what_only_reads_leaves_no_record_anywhere() -> None:
    """§3.1: under presumed abort."""
    cluster = Cluster(presumption=ABORT, read_only=Set([N2, N3]))
    commit(cluster)
    cluster.deliver()
    assert not cluster.writes
    assert cluster.answers[CLIENT] == [Response(1, "committed")]


def test_presumed_abort_forgets_an_abort_at_once() -> None:
    """§3.1: without a record or acknowledgements; who asks later is told to abort."""
    cluster = Cluster(presumption=ABORT)
    unwilling(cluster, N3)
    commit(cluster)
    cluster.deliver()
    assert Ack not in kinds(cluster)
    assert messages(cluster.act(N1, Inquiry("t"), N2)) == [Abort("t")]


def test_presumed_commit_forgets_a_commit_at_once() -> None:
    """§3.2: what was a collecting record is gone, so who asks later is told to commit."""
    cluster = Cluster(presumption=COMMIT)
    commit(cluster)
    assert cluster.nodes[N1].records["t"].outcome is None
    cluster.deliver()
    assert not cluster.nodes[N1].records
    assert messages(cluster.act(N1, Inquiry("t"), N2)) == [Commit("t")]


def test_presumed_commit_forces_a_collecting_record_before_the_first_phase() -> None:
    """§3.2: so that no crash makes a commit of what was not decided."""
    cluster = Cluster(presumption=COMMIT)
    cluster.slow.add(N1)
    commit(cluster)
    assert not cluster.queue
    cluster.sync(N1)
    assert cluster.under_way(Prepare) == [Prepare("t")] * 2
    cluster.crash(N1)
    assert cluster.nodes[N1].records["t"].outcome is ABORTED


@pytest.mark.parametrize(("presumption", "waits"), [(NOTHING, 0), (ABORT, 1), (COMMIT, 0)])
def test_a_no_waits_for_its_record_unless_abort_is_presumed(
    presumption: Presumption, waits: int
) -> None:
    """§3.1: who forgets its no in a crash would abort all the same, for nobody knows better."""
    cluster = Cluster(presumption=presumption)
    unwilling(cluster, N2)
    cluster.slow.add(N2)
    commit(cluster)
    cluster.arrive(Prepare, "", "n2")
    assert len(cluster.under_way(Vote)) == waits


# Stories


def test_blocking(golden: Callable[[str, str], None]) -> None:
    """§2: between its vote and the outcome a participant depends on the coordinator."""
    story = Cluster()
    story.tell("Both vote yes, and the coordinator crashes before it has decided.")
    commit(story)
    story.arrive(Prepare)
    story.crash(N1, restart=False)
    story.lose(Vote)
    story.tell("n2 asks, and nobody answers. Somebody looks at its data, and has to wait.")
    story.fire(N2, InDoubt("t"))
    story.lose(Inquiry)
    look(story, N2)
    assert states(story) == [PREPARED] * 2
    story.tell("The coordinator is back. It finds no decision in its log, and so there is none.")
    story.act(N1, Start(True))
    story.fire(N2, InDoubt("t"))
    story.fire(N3, InDoubt("t"))
    story.deliver()
    assert states(story) == [ABORTED] * 2
    golden("blocking.txt", story.text)


def test_a_lost_commit(golden: Callable[[str, str], None]) -> None:
    """§2, §3.1: a commit is remembered until all have heard of it, or presumption would abort."""
    story = Cluster(presumption=ABORT)
    story.tell("All vote yes: the coordinator forces its record, and n2 hears of it; n3 does not.")
    commit(story)
    story.arrive(Prepare)
    story.arrive(Vote)
    story.lose(Commit, "", "n3")
    story.arrive(Response)
    story.arrive(Commit)
    story.arrive(Ack)
    story.tell("The coordinator crashes, and so does n3, in doubt. Both find it in their logs.")
    story.crash(N1)
    story.crash(N3)
    story.deliver()
    assert states(story) == [COMMITTED] * 2
    assert not story.nodes[N1].records
    golden("lost_commit.txt", story.text)


def test_presumed_commit(golden: Callable[[str, str], None]) -> None:
    """§3.2: the collecting record tells an abort in a crash from a commit that is forgotten."""
    story = Cluster(presumption=COMMIT)
    story.tell("n2 is prepared, and the coordinator crashes. It finds the collecting record.")
    commit(story)
    story.arrive(Prepare, "", "n2")
    story.lose(Prepare, "", "n3")
    story.lose(Vote)
    story.crash(N1)
    story.deliver()
    assert states(story) == [ABORTED] * 2
    assert not story.nodes[N1].records
    story.tell("Of another transaction the commit is lost. Its record is gone, and that says all.")
    story.act(N1, Request(2, Operation("commit", "u")), CLIENT)
    story.arrive(Prepare)
    story.arrive(Vote)
    story.lose(Commit, "", "n3")
    story.deliver()
    story.crash(N1)
    story.fire(N3, InDoubt("u"))
    story.deliver()
    assert [story.nodes[id].log["u"] for id in (N2, N3)] == [COMMITTED] * 2
    golden("presumed_commit.txt", story.text)
