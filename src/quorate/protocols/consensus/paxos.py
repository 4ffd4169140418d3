"""Single-decree Paxos: nodes agree on one value, whatever is lost, delayed or repeated.

Paper       Leslie Lamport, "Paxos Made Simple", ACM SIGACT News 32(4), 2001 (section 2).
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      agreement: no two nodes decide differently.
            validity: only a proposed value is decided.
            one_value_per_ballot: no ballot proposes two values.
Liveness    Once one proposer runs unopposed with a majority up, it decides.
Departures  Acceptors tell all nodes of their votes, so every node is a learner (section 2.3). A
            client's request is answered with the decided value, whoever proposed it.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Durable,
    Env,
    Map,
    Message,
    Monitor,
    Node,
    NodeId,
    Request,
    Response,
    Set,
    Start,
    Timer,
    always,
    eventually,
    majority,
    ms,
    on,
    sometimes,
)
from quorate.kernel.node import Event

Value = int
Ballot = tuple[int, NodeId]  # (round, proposer): ordered, and no two proposers share one
Vote = tuple[Ballot, Value]
NO_BALLOT: Ballot = (0, NodeId(""))
RETRY = (ms(100), ms(300))


class Prepare(Message):  # 1a: proposer -> acceptors
    ballot: Ballot


class Promise(Message):  # 1b: acceptor -> proposer
    ballot: Ballot
    last_vote: Vote | None


class Accept(Message):  # 2a: proposer -> acceptors
    vote: Vote


class Accepted(Message):  # 2b: acceptor -> learners
    vote: Vote


class Decided(Message):  # learner -> whoever still asks
    value: Value


class Retry(Timer):
    pass


class Paxos(Node):
    # Proposer
    ballot: Durable[Ballot] = NO_BALLOT
    proposal: Value | None = None
    promises: Set[tuple[NodeId, Vote | None]] = Set()
    asking: Map[NodeId, int] = Map()  # clients, and the number of each one's request
    # Acceptor
    promised: Durable[Ballot] = NO_BALLOT
    last_vote: Durable[Vote | None] = None
    # Learner
    votes: Set[tuple[NodeId, Vote]] = Set()
    decided: Durable[Value | None] = None

    @on(Request)
    def request(self, msg: Request, env: Env) -> None:
        """A client proposes a value, or asks which was decided."""
        self.asking = self.asking.set(env.sender, msg.number)
        if self.decided is not None:
            self.answer(env)
        elif self.proposal is None:
            self.proposal = msg.operation.value
            self.prepare(env)

    def prepare(self, env: Env) -> None:
        """Phase 1a. Claim a ballot above any that we have used or promised."""
        last_round, _ = max(self.ballot, self.promised)
        self.ballot = (last_round + 1, self.id)
        self.promises = Set()
        env.broadcast(Prepare(self.ballot))
        env.after(RETRY, Retry())

    @on(Prepare)
    def promise(self, msg: Prepare, env: Env) -> None:
        """Phase 1b. Promise to ignore lower ballots, and report our last vote."""
        if self.decided is not None:
            env.reply(Decided(self.decided))
        if msg.ballot > self.promised:
            self.promised = msg.ballot
            env.reply(Promise(msg.ballot, self.last_vote))

    @on(Promise)
    def propose(self, msg: Promise, env: Env) -> None:
        """Phase 2a. With a majority behind our ballot, propose the one safe value."""
        if msg.ballot != self.ballot or self.proposal is None:
            return  # Stale, or from before a crash: we may have proposed in that ballot already.
        before = len(self.promises)
        self.promises |= {(env.sender, msg.last_vote)}
        if before < len(self.promises) == majority(self.peers):
            # A lower ballot may have chosen a value; if one did, the highest vote names it.
            votes = [vote for _, vote in self.promises if vote]
            _, value = max(votes, default=(self.ballot, self.proposal))
            env.broadcast(Accept((self.ballot, value)))

    @on(Accept)
    def vote(self, msg: Accept, env: Env) -> None:
        """Phase 2b. Vote, unless we have promised a higher ballot."""
        ballot, _ = msg.vote
        if ballot >= self.promised:
            self.promised, self.last_vote = ballot, msg.vote
            env.broadcast(Accepted(msg.vote))

    @on(Accepted)
    def learn(self, msg: Accepted, env: Env) -> None:
        """A value is chosen once a majority votes for it in one ballot (section 2.3)."""
        self.votes |= {(env.sender, msg.vote)}
        if sum(vote == msg.vote for _, vote in self.votes) >= majority(self.peers):
            _, self.decided = msg.vote
            self.answer(env)

    @on(Decided)
    def be_told(self, msg: Decided, env: Env) -> None:
        self.decided = msg.value
        self.answer(env)

    @on(Retry)
    def retry(self, timer: Retry, env: Env) -> None:
        """Another proposer, or the network, got in our way: try a higher ballot."""
        if self.decided is None and self.proposal is not None:
            self.prepare(env)

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """What was proposed before a crash is forgotten; its client will ask again."""

    def answer(self, env: Env) -> None:
        """Tell every client that asked."""
        for client, number in self.asking.items():
            env.send(client, Response(number, self.decided))
        self.asking = Map()


@always
def agreement(nodes: Sequence[Paxos]) -> bool:
    """No two nodes decide differently."""
    return len({node.decided for node in nodes} - {None}) <= 1


class OneValuePerBallot(Monitor):
    """No ballot proposes two values, whatever becomes of its proposer."""

    reads = ("last_vote",)
    proposed: Map[Ballot, Value] = Map()

    def watch(self, before: Paxos, event: Event, after: Paxos) -> bool:
        if after.last_vote is None:
            return True
        ballot, value = after.last_vote
        known = self.proposed.get(ballot)
        self.proposed = self.proposed.set(ballot, value)
        return known is None or known == value


class Chosen(Monitor):
    """At most one value is ever voted for by a majority in one ballot, learnt or not."""

    reads = ("last_vote",)
    voters: Map[Vote, Set[NodeId]] = Map()
    chosen: Value | None = None

    def watch(self, before: Paxos, event: Event, after: Paxos) -> bool:
        if after.last_vote is None:
            return True
        voters = self.voters.get(after.last_vote, Set()) | {after.id}
        self.voters = self.voters.set(after.last_vote, voters)
        if len(voters) < majority(after.peers):
            return True
        _, value = after.last_vote
        agreed = self.chosen is None or self.chosen == value
        self.chosen = value
        return agreed


@sometimes
def decision(nodes: Sequence[Paxos]) -> bool:
    """Some node decides."""
    return any(node.decided is not None for node in nodes)


@eventually
def all_decide(nodes: Sequence[Paxos]) -> bool:
    """Once anything was proposed where it could be heard, every node of the core decides."""
    return all(node.decided is not None or node.proposal is None for node in nodes)
