"""Two-phase commit as in TLA+ (Gray, Lamport, "Consensus on Transaction Commit", section 3).

Messages are a set that only grows. With N resource managers there are 4^N + 2^N + 6^N states; up
to renaming these, C(N+3,3) + (N+1) + C(N+5,5).
"""

from collections.abc import Sequence

from quorate.kernel import Env, Message, Node, NodeId, Set, Start, Timer, always, on, sometimes
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario

SPAN = (0, 1)


class Prepared(Message):
    pass


class Commit(Message):
    pass


class Abort(Message):
    pass


class Act(Timer):
    """What a manager may do whenever it likes."""

    what: str


class Manager(Node):
    """The transaction manager n1, or one of the resource managers."""

    state: str = "working"
    prepared: Set[NodeId] = Set()

    @property
    def leads(self) -> bool:
        """Whether this is the transaction manager."""
        return self.id == self.peers[0]

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        """TMAbort; RMPrepare or RMChooseToAbort."""
        env.after(SPAN, Act("abort"))
        if not self.leads:
            env.after(SPAN, Act("prepare"))

    @on(Act)
    def act(self, timer: Act, env: Env) -> None:
        """What was enabled happens."""
        if self.leads:
            self.end("committed" if timer.what == "commit" else "aborted", env)
            message = Commit() if timer.what == "commit" else Abort()
            env.multicast(self.peers[1:], message)
        elif timer.what == "prepare":
            self.end("prepared", env)
            env.send(self.peers[0], Prepared())
        else:
            self.end("aborted", env)

    @on(Prepared)
    def note(self, msg: Prepared, env: Env) -> None:
        """TMRcvPrepared, and TMCommit once all have prepared."""
        if self.state == "working":
            self.prepared |= {env.sender}
            if len(self.prepared) == len(self.peers) - 1:
                env.after(SPAN, Act("commit"))

    @on(Commit)
    def commit(self, msg: Commit, env: Env) -> None:
        """RMRcvCommitMsg."""
        self.end("committed", env)

    @on(Abort)
    def abort(self, msg: Abort, env: Env) -> None:
        """RMRcvAbortMsg."""
        self.end("aborted", env)

    def end(self, state: str, env: Env) -> None:
        """Nothing else is enabled any more."""
        self.state = state
        for what in ("abort", "commit", "prepare"):
            env.cancel(Act(what))


@always
def consistent(nodes: Sequence[Manager]) -> bool:
    """No resource manager commits while another aborts."""
    return len({n.state for n in nodes[1:]} & {"committed", "aborted"}) < 2


@sometimes
def commits(nodes: Sequence[Manager]) -> bool:
    """All commit."""
    return all(node.state == "committed" for node in nodes)


def managers(count: int) -> Scenario:
    """Two-phase commit with so many resource managers."""
    return Scenario(
        name="tla-two-phase",
        node=Manager,
        nodes=count + 1,
        exploration=Exploration(
            nodes=count + 1, network="set", timers=None, interchangeable=lambda ids: ids[1:]
        ),
    )
