"""Paxos as in TLA+ (Lamport, "Paxos Made Simple"): leaders of ballots, and acceptors.

In the specification a leader reads the set of all messages ever sent; here it is told of each
promise and vote in the transition in which it is made, which is what the network `rpc` does. The
states correspond one to one: a request in flight is one that its acceptor has not answered.
"""

from collections.abc import Sequence
from itertools import combinations

from quorate.kernel import (
    Env,
    Map,
    Message,
    Node,
    NodeId,
    Set,
    Start,
    Timer,
    always,
    majority,
    on,
)
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario

Vote = tuple[int, int]  # (ballot, value)
NO_VOTE: Vote = (-1, -1)


class Prepare(Message):  # 1a: leader -> acceptors
    ballot: int


class Promise(Message):  # 1b: acceptor -> leader
    vote: Vote


class Accept(Message):  # 2a: leader -> acceptors
    vote: Vote


class Accepted(Message):  # 2b: acceptor -> leader
    vote: Vote


class Begin(Timer):
    pass


class Propose(Timer):
    pass


class Paxos(Node):
    """The first `ballots` nodes lead one ballot each, the others are acceptors."""

    ballots: int = 2
    values: int = 2
    # Acceptor
    promised: int = -1
    vote: Vote = NO_VOTE
    # Leader
    promises: Map[NodeId, Vote] = Map()
    votes: Set[NodeId] = Set()
    proposed: int = -1

    @property
    def acceptors(self) -> tuple[NodeId, ...]:
        """All nodes that do not lead."""
        return self.peers[self.ballots :]

    @property
    def ballot(self) -> int:
        """The ballot that this leader leads."""
        return self.peers.index(self.id)

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Phase 1a may happen at any time."""
        if self.id not in self.acceptors:
            env.after((0, 1), Begin())

    @on(Begin)
    def begin(self, timer: Begin, env: Env) -> None:
        """Phase 1a."""
        env.multicast(self.acceptors, Prepare(self.ballot))

    @on(Prepare)
    def promise(self, msg: Prepare, env: Env) -> None:
        """Phase 1b."""
        if msg.ballot > self.promised:
            self.promised = msg.ballot
            env.reply(Promise(self.vote))

    @on(Promise)
    def hear(self, msg: Promise, env: Env) -> None:
        """A promise may enable phase 2a."""
        self.promises = self.promises.set(env.sender, msg.vote)
        if self.proposed < 0 and self.safe_values():
            env.after((0, 1), Propose())

    @on(Propose)
    def propose(self, timer: Propose, env: Env) -> None:
        """Phase 2a: any value that some quorum shows safe."""
        self.proposed = env.choose("value", self.safe_values())
        env.multicast(self.acceptors, Accept((self.ballot, self.proposed)))

    def safe_values(self) -> tuple[int, ...]:
        """The values that the promises of some quorum allow."""
        found: set[int] = set()
        for quorum in combinations(self.promises.values(), majority(self.acceptors)):
            ballot, value = max(quorum)
            found |= {value} if ballot >= 0 else set(range(self.values))
        return tuple(sorted(found))

    @on(Accept)
    def accept(self, msg: Accept, env: Env) -> None:
        """Phase 2b."""
        ballot, _ = msg.vote
        if ballot >= self.promised:
            self.promised, self.vote = ballot, msg.vote
            env.reply(Accepted(msg.vote))

    @on(Accepted)
    def count(self, msg: Accepted, env: Env) -> None:
        """The vote is among the messages now."""
        self.votes |= {env.sender}


@always
def one_chosen(nodes: Sequence[Paxos]) -> bool:
    """No two ballots have majorities for different values."""
    leaders = nodes[: nodes[0].ballots]
    quorum = majority(nodes[0].acceptors)
    return len({node.proposed for node in leaders if len(node.votes) >= quorum}) <= 1


def paxos(acceptors: int, values: int, ballots: int) -> Scenario:
    """Paxos with so many acceptors, values and ballots."""
    nodes = acceptors + ballots
    return Scenario(
        name="tla-paxos",
        node=Paxos,
        nodes=nodes,
        exploration=Exploration(
            nodes=nodes,
            fields={"ballots": ballots, "values": values},
            network="rpc",
            timers=None,
        ),
    )
