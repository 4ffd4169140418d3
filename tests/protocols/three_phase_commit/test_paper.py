"""Skeen, "Nonblocking Commit Protocols" (1981), and what Bernstein et al. (1987) add, by claim."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.explore.replay import replay
from quorate.kernel import Message, NodeId, Operation, Redirect, Request, Response, Start
from quorate.kernel.env import Send
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.three_phase_commit import (
    Abort,
    Ack,
    Commit,
    Ignorance,
    Inquiry,
    PhaseOver,
    PreCommit,
    Silence,
    StateReport,
    StateRequest,
    TakeOver,
    ThreePhaseCommit,
    Vote,
    VoteRequest,
)
from quorate.scenario.schedule import parse_schedule, read_schedule
from quorate.verdict import Verdict
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
C1, C2 = NodeId("c1"), NodeId("c2")
PREPARED, PRECOMMITTED = State.PREPARED, State.PRECOMMITTED
COMMITTED, ABORTED = State.COMMITTED, State.ABORTED
ROOT = Path(__file__).parents[3]
PARTITION = ROOT / "docs" / "examples" / "three-phase-commit" / "partition.schedule"


def cluster(size: int = 3, *unwilling: NodeId) -> Story[ThreePhaseCommit]:
    """Nodes of which some vote no."""
    story = Story(ThreePhaseCommit, size)
    for id in unwilling:
        story.nodes[id].willing = (False,)
    return story


def commit(network: Network[ThreePhaseCommit], node: NodeId = N1, client: NodeId = C1) -> None:
    network.act(node, Request(1, Operation("commit", "t")), client)


def states(network: Network[ThreePhaseCommit]) -> list[State | None]:
    return [node.log.get("t") for node in network.nodes.values()]


def sent(network: Network[ThreePhaseCommit], node: NodeId, event: object, sender: NodeId) -> object:
    """What a node sends in answer to one event."""
    effects = network.act(node, event, sender)  # type: ignore[arg-type]
    return [effect.message for effect in effects if isinstance(effect, Send)]


def precommitted(size: int, *heard: str) -> Story[ThreePhaseCommit]:
    """All have voted yes, and some have been told; then the coordinator is gone."""
    story = cluster(size)
    commit(story)
    story.arrive(VoteRequest)
    story.arrive(Vote)
    if heard:
        story.arrive(PreCommit, "", *heard)
    story.crash(N1, restart=False)
    story.isolate(N1)
    story.deliver()
    return story


# The three phases


def test_all_vote_yes_all_are_told_all_commit() -> None:
    """§6; and AC4, commit is the only outcome then."""
    story = cluster(4)
    commit(story)
    steps: list[tuple[type[Message], State]] = [
        (VoteRequest, PREPARED),
        (Vote, PREPARED),
        (PreCommit, PRECOMMITTED),
    ]
    for kind, state in steps:
        assert COMMITTED not in states(story)
        story.arrive(kind)
        assert states(story)[1:] == [state] * 3
    story.arrive(Ack)
    assert states(story) == [COMMITTED, *[PRECOMMITTED] * 3]
    story.deliver()
    assert states(story) == [COMMITTED] * 4
    assert story.answers[C1] == [Response(1, "committed")]
    assert not any(story.timers.values())


@pytest.mark.parametrize("size", [2, 3, 5])
def test_messages(size: int) -> None:
    """§6: three phases take five messages for each participant, two phases take three."""
    story = cluster(size)
    commit(story)
    story.deliver()
    kinds = [type(message) for _, target, message in story.sent if target in story.ids]
    for kind in (VoteRequest, Vote, PreCommit, Ack, Commit):
        assert kinds.count(kind) == size - 1
    assert len(kinds) == 5 * (size - 1)


@pytest.mark.parametrize("unwilling", [N1, N3])
def test_one_no_aborts(unwilling: NodeId) -> None:
    """§6: also the coordinator's own, and then nobody need be asked."""
    story = cluster(3, unwilling)
    commit(story)
    story.deliver()
    assert set(states(story)) == ({ABORTED} if unwilling == N3 else {ABORTED, None})
    assert story.answers[C1] == [Response(1, "aborted")]
    assert not any(story.timers.values())


def test_a_vote_that_is_missing_aborts() -> None:
    """§6, timeout transition of the coordinator's wait state."""
    story = cluster()
    commit(story)
    story.lose(VoteRequest, "", "n3")
    story.deliver()
    assert states(story) == [PREPARED, PREPARED, None]
    story.fire(N1, PhaseOver("t"))
    story.deliver()
    assert states(story) == [ABORTED] * 3


def test_an_acknowledgement_that_is_missing_does_not_keep_from_committing() -> None:
    """§6, timeout transition of the coordinator's prepared state: who is silent has crashed."""
    story = cluster()
    commit(story)
    story.arrive(VoteRequest)
    story.arrive(Vote)
    story.crash(N3, restart=False)
    story.lose(PreCommit, "", "n3")
    story.deliver()
    assert states(story) == [PRECOMMITTED, PRECOMMITTED, PREPARED]
    story.fire(N1, PhaseOver("t"))
    assert states(story)[0] is COMMITTED


def test_a_state_is_recorded_before_anybody_hears_of_it() -> None:
    """§4: sites enter a state before they send the messages of the transition."""
    story = cluster()
    story.slow.add(N1)
    commit(story)
    assert not story.queue
    story.sync(N1)
    story.arrive(VoteRequest)
    story.arrive(Vote)
    assert states(story)[0] is PRECOMMITTED
    assert not story.queue
    story.crash(N1, restart=False)
    assert states(story)[0] is PREPARED


def test_answers_that_are_repeated_or_late_change_nothing() -> None:
    """Model: messages may be duplicated."""
    story = cluster()
    commit(story)
    for _ in range(2):
        assert sent(story, N1, Vote("t", is_yes=True), N2) == []
    assert sent(story, N1, Ack("t"), N2) == []
    assert sent(story, N1, StateReport("t", PREPARED), N2) == []
    story.deliver()
    assert states(story) == [COMMITTED] * 3
    for message in (VoteRequest("t"), PreCommit("t"), Abort("t"), StateRequest("u")):
        sent(story, N2, message, N1)
    assert states(story) == [COMMITTED] * 3
    assert sent(story, N2, VoteRequest("u"), N1) == []


def test_a_participant_in_doubt_keeps_its_locks() -> None:
    """§2: who looks at its data has to wait for the outcome."""
    story = cluster()
    commit(story)
    story.arrive(VoteRequest)
    assert sent(story, N2, Request(1, Operation("look", "t")), C2) == []
    story.deliver()
    assert story.answers[C2] == [Response(1, True)]


def test_clients_are_sent_to_the_coordinator_and_told_again() -> None:
    """Departure: n1 coordinates; whoever knows the outcome may tell it."""
    story = cluster()
    assert sent(story, N2, Request(1, Operation("commit", "t")), C1) == [Redirect(1, N1)]
    story.deliver()
    story.answers.clear()
    commit(story)
    commit(story, client=C2)
    story.deliver()
    assert story.answers == {C1: [Response(1, "committed")], C2: [Response(1, "committed")]}
    assert sent(story, N2, Request(2, Operation("commit", "t")), C1) == [Response(2, "committed")]


# Termination


def test_who_is_up_does_not_block() -> None:
    """§5 and §7: without the coordinator they abort what nobody can have committed."""
    story = precommitted(4)
    assert states(story)[1:] == [PREPARED] * 3
    story.fire(N4, Silence("t"))
    assert story.under_way(TakeOver) == [TakeOver("t")]
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    story.deliver()
    assert states(story)[1:] == [ABORTED] * 3


@pytest.mark.parametrize("heard", ["n2", "n3", "n4"])
def test_a_backup_commits_if_anybody_could_have(heard: str) -> None:
    """§7: but first it makes sure that all who are up could."""
    story = precommitted(4, heard)
    story.fire(N2, Silence("t"))
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    assert story.under_way(PreCommit) == [PreCommit("t")] * 3
    assert COMMITTED not in states(story)
    story.deliver()
    assert states(story)[1:] == [PRECOMMITTED] * 3
    story.fire(N2, PhaseOver("t"))
    story.deliver()
    assert states(story)[1:] == [COMMITTED] * 3


def test_a_backup_adopts_a_decision() -> None:
    """§7: some may have decided before the coordinator crashed."""
    story = cluster(3)
    commit(story)
    for kind in (VoteRequest, Vote, PreCommit, Ack):
        story.arrive(kind)
    story.lose(Commit, "", "n2")
    story.arrive(Commit)
    story.crash(N1, restart=False)
    story.isolate(N1)
    assert states(story)[1:] == [PRECOMMITTED, COMMITTED]
    story.fire(N2, Silence("t"))
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    assert states(story)[1:] == [COMMITTED, COMMITTED]


def test_who_has_not_voted_by_then_votes_no() -> None:
    """§7: a request for its state, or to take over, finds it undecided, and so it aborts."""
    story = cluster(4)
    commit(story)
    story.lose(VoteRequest, "", "n2", "n3")
    story.arrive(VoteRequest)
    story.crash(N1, restart=False)
    story.isolate(N1)
    story.deliver()
    assert sent(story, N3, StateRequest("t"), N2) == [StateReport("t", ABORTED)]
    story.fire(N4, Silence("t"))
    story.deliver()
    assert states(story)[1:] == [ABORTED] * 3


def test_the_next_backup_takes_over_from_a_backup() -> None:
    """§7: as long as anybody is up."""
    story = precommitted(4)
    story.crash(N2, restart=False)
    story.isolate(N1)
    story.isolate(N2)
    story.fire(N4, Silence("t"))
    story.deliver()
    assert states(story)[2:] == [PREPARED] * 2
    story.fire(N4, Silence("t"))
    story.deliver()
    story.fire(N3, PhaseOver("t"))
    story.deliver()
    assert states(story)[2:] == [ABORTED] * 2


def test_who_knows_the_outcome_tells_whoever_wants_it_to_take_over() -> None:
    """§7."""
    story = cluster()
    commit(story)
    story.deliver()
    assert sent(story, N2, TakeOver("t"), N3) == [Commit("t")]


# Recovery


def test_a_coordinator_that_had_told_nobody_aborts() -> None:
    """§4, failure transitions: nobody else can have let anybody precommit."""
    story = cluster()
    commit(story)
    story.arrive(VoteRequest)
    story.crash(N1)
    story.deliver()
    assert states(story) == [ABORTED] * 3


def test_who_crashed_once_others_may_have_decided_asks() -> None:
    """§4: and takes no part in ending the transaction, whose course it has missed."""
    story = cluster()
    commit(story)
    for kind in (VoteRequest, Vote, PreCommit):
        story.arrive(kind)
    story.crash(N1)
    story.crash(N3)
    assert states(story) == [PRECOMMITTED] * 3
    assert sent(story, N3, StateRequest("t"), N2) == []
    assert sent(story, N3, TakeOver("t"), N2) == []
    assert sent(story, N3, PreCommit("t"), N2) == []
    story.deliver()
    story.fire(N2, Silence("t"))
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    story.deliver()
    assert states(story) == [COMMITTED] * 3
    assert not any(story.timers.values())


def test_an_inquiry_is_repeated_until_somebody_knows() -> None:
    """§4; who has not voted knows that it was not committed."""
    story = cluster()
    commit(story)
    story.lose(VoteRequest, "", "n3")
    story.deliver()
    story.crash(N2)
    story.lose(Inquiry)
    story.fire(N2, Ignorance("t"))
    story.deliver()
    assert states(story) == [PREPARED, ABORTED, ABORTED]


def test_after_a_total_failure_nobody_knows() -> None:
    """Departure: if all have crashed in its course, a transaction may stay undecided."""
    story = cluster()
    commit(story)
    for kind in (VoteRequest, Vote, PreCommit):
        story.arrive(kind)
    for id in story.ids:
        story.crash(id, restart=False)
    story.queue.clear()
    for id in story.ids:
        story.act(id, Start(True))
    story.deliver()
    assert states(story) == [PRECOMMITTED] * 3


# Outside the model


def test_a_partition_splits_the_decision() -> None:
    """§2: the network never fails. If it does, three-phase commit is as wrong as is well known."""
    replayed = replay(read_schedule(PARTITION))
    assert not replayed.partings
    assert replayed.verdict is Verdict.FAIL
    assert replayed.is_same_failure
    hosts = replayed.outcome.world.hosts
    nodes = [node for id in (N1, N2, N3) if isinstance(node := hosts[id].node, ThreePhaseCommit)]
    assert [node.log.get("t") for node in nodes] == [PRECOMMITTED, ABORTED, COMMITTED]


def test_without_the_partition_the_same_crash_does_no_harm() -> None:
    """§7: positive control's control."""
    lines = PARTITION.read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if ": cut " not in line)
    replayed = replay(parse_schedule(text, "partition.schedule"))
    assert replayed.verdict is Verdict.PASS


# Stories


def test_a_backup_commits(golden: Callable[[str, str], None]) -> None:
    """§7: the famous case, for which the third phase is there."""
    story = cluster()
    story.tell("All vote yes. The coordinator crashes when only n3 has been told so.")
    commit(story)
    story.arrive(VoteRequest)
    story.arrive(Vote)
    story.lose(PreCommit, "", "n2")
    story.arrive(PreCommit)
    story.crash(N1, restart=False)
    story.lose(Ack)
    story.tell("n3 misses it, and has n2 take over: n2 hears that n3 could have committed.")
    story.fire(N3, Silence("t"))
    story.arrive(TakeOver)
    story.lose(StateRequest, "", "n1")
    story.arrive(StateRequest)
    story.arrive(StateReport)
    story.fire(N2, PhaseOver("t"))
    story.tell("Before n2 commits, all who are up must know that they can.")
    story.lose(PreCommit, "", "n1")
    story.deliver()
    story.fire(N2, PhaseOver("t"))
    story.lose(Commit, "", "n1")
    story.deliver()
    story.tell("The old coordinator is back, and asks.")
    story.act(N1, Start(True))
    story.deliver()
    assert states(story) == [COMMITTED] * 3
    golden("a_backup_commits.txt", story.text)


def test_two_sides_of_a_partition(golden: Callable[[str, str], None]) -> None:
    """Outside the model: each side takes the other for crashed."""
    story = cluster()
    story.tell("All vote yes. n2 is cut off before it is told so.")
    commit(story)
    story.arrive(VoteRequest)
    story.arrive(Vote)
    story.lose(PreCommit, "", "n2")
    story.deliver()
    story.tell(
        "To n2 the others have crashed, and none that is up could have committed: it aborts."
    )
    story.fire(N2, Silence("t"))
    story.lose(StateRequest)
    story.fire(N2, PhaseOver("t"))
    story.lose(Abort)
    story.tell("To n1 it is n2 that has crashed, and all that are up can commit: it does.")
    story.fire(N1, PhaseOver("t"))
    story.lose(Commit, "", "n2")
    story.deliver()
    assert states(story) == [COMMITTED, ABORTED, COMMITTED]
    golden("partition.txt", story.text)
