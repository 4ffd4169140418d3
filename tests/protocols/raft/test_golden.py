"""Raft's famous edge cases as transcripts to read, in `golden/`; `pytest --rewrite` accepts."""

from collections.abc import Callable, Sequence

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    AppendEntries,
    AppendReply,
    Config,
    ElectionTimeout,
    HeartbeatTimeout,
    InstallSnapshot,
    RequestVote,
    SnapshotReply,
    Vote,
)
from tests.protocols.raft.cluster import ALICE, BOB, N1, N2, N3, N4, N5, PLAIN, ok
from tests.protocols.raft.story import RaftStory

Golden = Callable[[str, str], None]

DEFAULT = Config(batching=False, snapshot_every=0)
SMALL = Config(
    pre_vote=False, check_quorum=False, no_op=False, batching=False, snapshot_every=3, chunk_parts=2
)


def append(number: int, text: str) -> Request:
    return Request(number, Operation("append", "x", text))


def test_an_election_with_pre_vote(golden: Golden) -> None:
    """§5.2, thesis §9.6 and §4.2.3: who was cut off disturbs nobody, and the next leader is
    elected once the old one is gone.
    """
    story = RaftStory(3, DEFAULT)
    with story.untold():
        story.elect(N1)
    story.tell("n1 leads term 1. n3 is cut off, and asks in vain; its term stays.")
    story.isolate(N3)
    story.hear_nobody(N3)
    story.fire(N3, ElectionTimeout())
    story.lose(RequestVote, N3, N1, N2)
    story.deliver()
    assert (story.nodes[N3].role, story.nodes[N3].current_term) == ("pre-candidate", 1)
    story.tell("The link is mended, and n3 asks again. Who hears a leader does not even answer.")
    story.heal()
    story.fire(N3, ElectionTimeout())
    story.deliver()
    assert story.nodes[N1].role == LEADER
    story.tell("n1 is heard again, and n3 follows it.")
    story.fire(N1, HeartbeatTimeout())
    story.deliver()
    assert (story.nodes[N3].role, story.nodes[N3].leader) == (FOLLOWER, N1)
    story.tell("n1 is gone for good. n2 and n3 miss it, and n2 asks first whether it could win.")
    story.crash(N1, restart=False)
    story.hear_nobody(N2, N3)
    story.fire(N2, ElectionTimeout())
    story.lose(RequestVote, N2, N1)
    story.arrive(RequestVote)
    story.arrive(Vote)
    story.tell("It could. So it begins term 2, and stands for election.")
    story.lose(RequestVote, N2, N1)
    story.arrive(RequestVote)
    story.arrive(Vote)
    story.tell("It leads, and with n3 it commits an entry of its own term.")
    story.lose(AppendEntries, N2, N1)
    story.deliver()
    leader = story.nodes[N2]
    assert (leader.role, leader.current_term, leader.commit_index) == (LEADER, 2, 2)
    golden("election.txt", story.text)


def figure_8() -> RaftStory:
    """Figure 8 up to (c): n1 has spread its entry of term 2 to a majority, in term 4."""
    story = RaftStory(5, PLAIN)
    logs: dict[NodeId, Sequence[int]] = {N1: [1, 2], N2: [1, 2], N3: [1], N4: [1], N5: [1, 3]}
    for id, terms in logs.items():
        story.set_log(id, terms, current_term=3)
    story.tell("Terms in the logs: n1, n2: 1 2; n3, n4: 1; n5: 1 3. n4 and n5 are cut off.")
    story.tell("(c) n1 has just been elected in term 4. n3 lacks the entry of term 2, and gets it.")
    with story.untold():
        story.hold_election(N1, N4, N5)
    story.isolate(N4)
    story.isolate(N5)
    story.deliver()
    story.tell("Three of five have the entry, and n1 knows; but it is of term 2, not of term 4.")
    assert [story.terms(id) for id in (N1, N2, N3)] == [[1, 2]] * 3
    assert (story.nodes[N1].match_index[N3], story.nodes[N1].commit_index) == (2, 0)
    story.heal()
    return story


def test_figure_8_overwritten(golden: Golden) -> None:
    """§5.4.2, Figure 8 (d): an entry that is on a majority may still be lost."""
    story = figure_8()
    story.tell("(d) n1 is gone. n5 fails in term 4, for which n2 and n3 have given their votes.")
    story.crash(N1, restart=False)
    story.hold_election(N5, N1)
    story.tell("It is elected in term 5: its last term is 3, and theirs are 2, 2 and 1.")
    story.hold_election(N5, N1)
    assert story.nodes[N5].role == LEADER
    story.tell("Its log becomes that of all: the entry of term 2 is overwritten.")
    story.lose(AppendEntries, N5, N1)
    story.deliver()
    assert [story.terms(id) for id in (N2, N3, N4, N5)] == [[1, 3]] * 4
    golden("figure_8_overwritten.txt", story.text)


def test_figure_8_committed(golden: Golden) -> None:
    """§5.4.2, Figure 8 (e): an entry of the leader's own term commits all before it."""
    story = figure_8()
    story.isolate(N4)
    story.isolate(N5)
    story.tell("(e) A request: its entry, of term 4, on three servers commits all before it.")
    story.send(BOB, N1, append(1, "b"))
    story.deliver()
    assert story.nodes[N1].commit_index == 3
    story.tell("n1 is gone. n5 fails in term 4, for which n2 and n3 have given their votes.")
    story.crash(N1, restart=False)
    story.hold_election(N5, N1)
    story.tell("It fails in term 5 too: its last term is 3, and that of n2 and n3 is 4.")
    story.hold_election(N5, N1)
    assert (story.nodes[N5].role, len(story.nodes[N5].votes)) == (CANDIDATE, 2)
    golden("figure_8_committed.txt", story.text)


def test_figure_7(golden: Golden) -> None:
    """§5.3, Figure 7 (f): a follower's entries that conflict with the leader's are overwritten."""
    story = RaftStory(3, PLAIN)
    story.set_log(N1, [1, 1, 1, 4, 4, 5, 5, 6, 6, 6], current_term=7)
    story.set_log(N2, [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], current_term=7)
    story.isolate(N2)
    with story.untold():
        story.elect(N1)
    story.tell("n1 leads term 8; its log has terms 1 1 1 4 4 5 5 6 6 6.")
    story.tell("n2 is back; its log has terms 1 1 1 2 2 2 3 3 3 3 3. Nothing is committed yet.")
    story.heal()
    story.isolate(N3)
    story.fire(N1, HeartbeatTimeout())
    story.arrive(AppendEntries, N1, N2)
    story.tell("It refuses; n1 goes back to what n2 has committed, and n2 takes over its log.")
    story.arrive(AppendReply, N2)
    story.arrive(AppendEntries, N1, N2)
    story.arrive(AppendReply, N2)
    assert story.terms(N2) == story.terms(N1)
    golden("figure_7.txt", story.text)


def test_a_new_leader_reads(golden: Golden) -> None:
    """§8, thesis §6.4: a new leader answers reads once its no-op is committed."""
    story = RaftStory(3, DEFAULT)
    with story.untold():
        story.elect(N1)
    story.tell("n1 leads, and answers a write; then it is gone.")
    story.isolate(N3)
    story.send(ALICE, N1, append(1, "a"))
    story.deliver()
    assert story.answered(ALICE) == ok(1)
    story.crash(N1, restart=False)
    story.heal()
    with story.untold():
        story.hear_nobody(N2, N3)
        story.hold_election(N2, N1)
        story.lose(AppendEntries, N2, N1)
    assert (story.nodes[N2].role, story.nodes[N2].commit_index) == (LEADER, 1)
    story.tell("n2 leads term 2. It has the write, and does not know that it is committed.")
    story.lines.append("A read has to wait: for its round of heartbeats, and for the no-op.")
    story.send(BOB, N2, Request(1, Operation("get", "x")))
    story.arrive(Request)
    story.lose(AppendEntries, N2, N1)
    story.arrive(AppendReply, N2)
    assert BOB not in story.answers
    story.tell("n3 answers the round: n2 still leads. But only the no-op tells what is committed.")
    while story.under_way(AppendEntries) or story.under_way(AppendReply):
        story.arrive(AppendEntries if story.under_way(AppendEntries) else AppendReply)
    assert story.nodes[N2].commit_index == 3
    story.deliver()
    assert Response(1, "a") in story.answered(BOB)
    golden("read_index.txt", story.text)


def test_a_snapshot_in_chunks(golden: Golden) -> None:
    """§7, Figure 13: a follower that lacks what the leader has compacted gets the snapshot."""
    story = RaftStory(3, SMALL)
    story.isolate(N3)
    story.elect(N1)
    for number, key in enumerate(["x", "y"], 1):
        story.send(ALICE, N1, Request(number, Operation("put", key, key)))
        story.deliver()
    story.lines.clear()
    story.tell("n3 has missed two writes. With the third one n1 takes a snapshot.")
    story.send(ALICE, N1, Request(3, Operation("put", "z", "z")))
    story.deliver()
    assert story.nodes[N1].log.start == 4
    story.tell("n3 is back: n1's log no longer has what it lacks, and the first chunk gets lost.")
    story.heal()
    story.fire(N1, HeartbeatTimeout())
    story.arrive(AppendEntries, N1, N3)
    story.arrive(AppendReply, N3)
    story.lose(InstallSnapshot, N1, N3)
    story.deliver()
    story.tell("The next heartbeat repeats it, and each chunk is followed by the next one.")
    story.fire(N1, HeartbeatTimeout())
    while story.under_way(InstallSnapshot) or story.under_way(SnapshotReply):
        story.arrive(InstallSnapshot if story.under_way(InstallSnapshot) else SnapshotReply)
    story.deliver()
    assert story.nodes[N3].state == story.nodes[N1].state
    story.tell("n1 hears with the next heartbeat that n3 is up to date.")
    story.heartbeat(N1)
    assert story.nodes[N1].match_index[N3] == 3
    golden("snapshot.txt", story.text)


def test_a_repeated_request(golden: Golden) -> None:
    """§8, thesis §6.3: a request that two leaders have put into the log is executed once."""
    story = RaftStory(3, PLAIN)
    with story.untold():
        story.elect(N1)
    story.tell("n1 takes a request to append to x, and is gone when n2 has it too.")
    story.isolate(N3)
    story.send(ALICE, N1, append(1, "a"))
    story.arrive(Request)
    story.arrive(AppendEntries, N1, N2)
    story.lose(AppendEntries, N1, N3)
    story.crash(N1, restart=False)
    with story.untold():
        story.lose(AppendReply)
        story.hear_nobody(N2)
        story.hold_election(N2, N1)
        story.lose(AppendEntries, N2, N1)
    assert story.nodes[N2].role == LEADER
    story.tell("n2 leads term 2, and gives n3 the entry. Being of term 1 it is not committed yet.")
    story.heal()
    story.isolate(N1)
    story.deliver()
    assert [story.nodes[id].commit_index for id in (N2, N3)] == [0, 0]
    story.tell("The client had no answer, and asks again. The log has its request twice now;")
    story.lines.append("the repetition finds the session of the first and changes nothing.")
    story.send(ALICE, N2, append(1, "a"))
    story.deliver()
    assert story.terms(N2) == [1, 2]
    assert story.values(N2)["x"] == "a"
    assert story.answered(ALICE) == ok(1) * 2
    golden("repeated_request.txt", story.text)
