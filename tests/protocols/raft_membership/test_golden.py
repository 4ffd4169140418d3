"""Famous moments of changing clusters, as transcripts to read in `golden/`.

`pytest --rewrite` accepts them anew.
"""

from collections.abc import Callable
from typing import Any

from quorate.kernel import NodeId, Operation, Redirect, Request, Response, ms
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    AppendEntries,
    AppendReply,
    Config,
    HeartbeatTimeout,
    RequestVote,
    Vote,
)
from quorate.protocols.consensus.raft_transfer import TimeoutNow
from tests.protocols.raft.cluster import ALICE, BOB, N1, N2, N3, N4, N5, ok
from tests.protocols.raft.story import RaftStory
from tests.protocols.raft_membership.cluster import OLGA, Members

Golden = Callable[[str, str], None]

N6 = NodeId("n6")


class MembersStory(Members, RaftStory):
    """A story that is also about who belongs to the cluster, but not about snapshots."""

    def change(self, name: str, old: Any, new: Any) -> str:
        if name != "configurations":
            return super().change(name, old, new)
        return f": {', '.join(f'{index}: {each!r}' for index, each in new)}"

    def order(self, f: str, server: object = None, number: int = 1, of: NodeId = N1) -> None:
        """The operator's request arrives; what follows is under way."""
        value, key = (server, None) if isinstance(server, tuple) else (None, server)
        request = Request(number, Operation(f, key, value), once=False)
        self.act(of, request, OLGA)

    def led_by_n1(self) -> None:
        """What has happened before the story begins."""
        with self.untold():
            self.elect(N1)
            self.heartbeat(N1)


def test_the_bug_of_2015(golden: Golden) -> None:
    """Thesis §4.1, as corrected on raft-dev in July 2015: two leaders begin changes that do not
    know of each other; each changes one server, yet their majorities would not overlap.
    """
    story = MembersStory(4)
    story.tell("n1 is elected by all, and its first entry reaches nobody.")
    with story.untold():
        story.time_out(N1, deliver=False)
        story.arrive(RequestVote)
        story.arrive(Vote)
        story.arrive(AppendReply, N1, "n1")
    story.lose(AppendEntries, N1, N2, N3, N4)
    story.tell("It is to remove n2. But it has committed nothing in its term: not now.")
    story.order("remove", "n2")
    story.arrive(Redirect)
    story.tell("n1 crashes, and is back when n3 and n4 have elected n2, whose entry n4 alone gets.")
    story.crash(N1)
    story.hold_election(N2, N1)
    story.lose(AppendEntries, N2, N1, N3)
    story.deliver()
    assert story.nodes[N2].role == LEADER
    story.tell("n1 stands for term 3, and n3 votes for it: two of four. It would be two of three.")
    with story.untold():
        story.time_out(N1, deliver=False)
        story.lose(RequestVote, N1)
    story.time_out(N1, deliver=False)
    story.lose(RequestVote, N1, N2, N4)
    story.arrive(RequestVote)
    story.arrive(Vote)
    assert story.nodes[N1].role == CANDIDATE
    story.tell("n2 has its entry on two of four, and may not remove n1 to have it on two of three.")
    story.order("remove", "n1", of=N2)
    story.arrive(Redirect)
    assert story.voters(N2) == story.voters(N1) == (N1, N2, N3, N4)
    golden("bug_of_2015.txt", story.text)


def test_a_leader_is_removed(golden: Golden) -> None:
    """Thesis §4.2.2: it leads a cluster of others until they have committed that they are."""
    story = MembersStory(3)
    story.led_by_n1()
    story.tell("n1 is to remove itself. From now on it counts n2 and n3 alone.")
    story.order("remove", "n1")
    story.arrive(AppendReply, N1)
    story.arrive(AppendEntries, N1, N2)
    story.arrive(AppendReply, N2)
    assert story.nodes[N1].commit_index == 1
    story.tell("Two of three have the entry; but only one of two. n3 makes it a majority.")
    story.arrive(AppendEntries, N1, N3)
    story.arrive(AppendReply, N3)
    assert story.nodes[N1].role == FOLLOWER
    story.tell("The last that n1 has sent tells the others that the change is committed.")
    story.deliver()
    assert story.answered(OLGA) == [Response(1, True)]
    story.tell("n1 does not stand for election any more.")
    with story.untold():
        story.time_out(N2)
    assert story.nodes[N2].role == LEADER
    story.hear_nobody(N1)
    golden("removed_leader.txt", story.text)


def test_a_learner_votes(golden: Golden) -> None:
    """Thesis §4.1: a promoted learner that has not heard of its promotion votes all the same."""
    story = MembersStory(4, 3)
    story.led_by_n1()
    with story.untold():
        story.ask_for("add-learner", "n4")
        story.heartbeat(N1)
    story.tell("n4 is a learner, and has all entries. It is promoted, and does not hear of it.")
    story.order("promote", "n4")
    story.lose(AppendEntries, N1, N4)
    story.deliver()
    assert story.voters(N4) == (N1, N2, N3)
    story.tell("n1 is gone. n2 needs three votes of four.")
    story.crash(N1, restart=False)
    story.hear_nobody(N2)
    story.hold_election(N2, N1)
    assert story.nodes[N2].role == LEADER
    story.tell("n4 has given the third. Now it learns that it may.")
    story.lose(AppendEntries, N2, N1)
    story.deliver()
    assert story.voters(N4) == (N1, N2, N3, N4)
    golden("learner_votes.txt", story.text)


def test_joint_consensus(golden: Golden) -> None:
    """§6, thesis §4.3: from n1, n2, n3 to n4, n5, n6 by way of both."""
    story = MembersStory(6, 3)
    story.led_by_n1()
    with story.untold():
        for server in ("n4", "n5", "n6"):
            story.ask_for("add-learner", server)
        story.heartbeat(N1)
    story.tell("n1 appends C_old,new, and all of n4, n5 and n6 store it; that is not enough.")
    story.order("reconfigure", ("n4", "n5", "n6"))
    story.arrive(AppendReply, N1)
    story.arrive(AppendEntries, N1, N4, N5, N6)
    story.arrive(AppendReply, "", N1)
    assert story.configuration(N1).outgoing
    story.tell("n2 makes it two of the old three. C_old,new is committed, and C_new is appended.")
    story.arrive(AppendEntries, N1, N2)
    story.arrive(AppendReply, N2)
    assert story.configuration(N1).voters == (N4, N5, N6)
    story.tell("Two of the new three have C_new, and n1 is out.")
    story.arrive(AppendEntries, N1, N4, N5)
    story.arrive(AppendReply, N4)
    story.arrive(AppendReply, N5)
    assert story.nodes[N1].role == FOLLOWER
    golden("joint_consensus.txt", story.text)


def test_a_transfer(golden: Golden) -> None:
    """Thesis §3.10: n1 hands over to n3, which is behind at first."""
    story = MembersStory(3, 0, Config(batching=False, snapshot_every=0))
    story.led_by_n1()
    with story.untold():
        story.isolate(N3)
        story.put(ALICE, 1, "a")
    story.heal()
    story.tell("n3 lacks an entry when n1 is to hand over to it. So n1 takes no more requests.")
    story.order("transfer", "n3")
    story.act(N1, Request(2, Operation("put", "x", "b")), ALICE)
    story.arrive(Redirect)
    story.tell("The next heartbeat finds out what n3 lacks, and brings it.")
    story.fire(N1, HeartbeatTimeout())
    story.arrive(AppendReply, N1)
    story.arrive(AppendEntries, N1, N3)
    story.arrive(AppendReply, N3)
    story.arrive(AppendEntries, N1, N3)
    story.arrive(AppendReply, N3)
    story.tell("Its log is like n1's now: it stands for election at once, while n2 still hears n1.")
    story.arrive(TimeoutNow)
    story.arrive(RequestVote)
    story.arrive(Vote)
    assert story.nodes[N3].role == LEADER
    story.tell("n1 hears of the new leader, and tells who asked.")
    story.arrive(AppendEntries, N3, N1)
    assert story.answered(OLGA) == []
    story.arrive(Response)
    assert story.answered(OLGA) == [Response(1, True)]
    golden("transfer.txt", story.text)


def test_a_lease_expires(golden: Golden) -> None:
    """Thesis §6.4.1: a leader that has been cut off stops reading by itself, before another one
    can be elected.
    """
    story = MembersStory(3, 0, Config(batching=False, snapshot_every=0, lease_reads=True))
    story.led_by_n1()
    with story.untold():
        story.put(ALICE, 1, "a")
        story.now = ms(1000)
        story.heartbeat(N1)
        story.heartbeat(N1)
    get = Operation("get", "x")
    story.tell("At 1000 ms n1 has sent a round that n2 and n3 have answered. It is cut off then.")
    story.isolate(N1)
    story.tell("At 1149 ms its lease holds: bob's read is answered at once.")
    story.now = ms(1149)
    story.act(N1, Request(1, get), BOB)
    story.arrive(Response)
    assert story.answered(BOB) == ok(1, "a")
    story.tell("n2 has lost patience early, and asks n3; who keeps its promise to n1.")
    story.hear_nobody(N2, N3)
    story.time_out(N2)
    assert story.nodes[N2].role != LEADER
    story.tell("At 1150 ms by the slowest clock n1's lease is over; a read waits for a majority.")
    story.now = ms(1150)
    story.act(N1, Request(2, get), BOB)
    story.deliver()
    assert story.answered(BOB) == []
    story.tell("And n3 is free to vote.")
    story.time_out(N2)
    assert story.nodes[N2].role == LEADER
    golden("lease_expires.txt", story.text)
