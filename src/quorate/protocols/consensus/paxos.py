"""Single-decree Paxos: nodes agree on one value, whatever is lost, delayed or repeated.

Paper       Leslie Lamport, "Paxos Made Simple", ACM SIGACT News 32(4), 2001 (section 2).
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      agreement, Chosen: only a single value is chosen, and nobody learns another.
            Validity: only a value that has been proposed is chosen.
            OneValuePerBallot, PromiseKept: what the proof of these two rests on.
Liveness    all_decide: once one proposer runs unopposed with a majority up, it decides.
Departures  Every node is proposer, acceptor and learner; acceptors tell all learners of their
            votes (section 2.3). Instead of electing a distinguished proposer (2.4), a proposer
            that does not succeed waits for a random while. A node that has learnt the value
            tells proposers who still ask. A proposer also exceeds the ballot that its own node
            has promised. A client is answered with the chosen value, whoever proposed it.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Durable,
    Env,
    Event,
    Map,
    Message,
    Monitor,
    Node,
    NodeId,
    Request,
    Response,
    Set,
    Timer,
    always,
    eventually,
    majority,
    ms,
    on,
    sometimes,
)

Value = int
Ballot = tuple[int, NodeId]  # (round, proposer): ordered, and no two proposers share one
Vote = tuple[Ballot, Value]
NO_BALLOT: Ballot = (0, NodeId(""))


class Prepare(Message):  # 1a: proposer -> acceptors
    ballot: Ballot


class Promise(Message):  # 1b: acceptor -> proposer
    ballot: Ballot
    last_vote: Vote | None


class Accept(Message):  # 2a: proposer -> acceptors
    vote: Vote


class Accepted(Message):  # 2b: acceptor -> learners
    vote: Vote


class Decided(Message):  # learner -> proposer that still asks
    value: Value


class Retry(Timer):
    pass


class Paxos(Node):
    retry: tuple[int, int] = (ms(100), ms(300))  # bounds of a proposer's wait for a decision
    # Proposer
    ballot: Durable[Ballot] = NO_BALLOT  # the highest that we have tried (section 2.5)
    proposal: Value | None = None  # Forgotten in a crash: the client will ask again.
    promises: Map[NodeId, Vote | None] = Map()  # to our ballot, by acceptor
    asking: Map[NodeId, int] = Map()  # clients, and the number of each one's request
    # Acceptor
    promised: Durable[Ballot] = NO_BALLOT
    last_vote: Durable[Vote | None] = None
    # Learner: keeps nothing, for what has been chosen can be learnt again.
    votes: Set[tuple[NodeId, Vote]] = Set()
    decided: Value | None = None

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
        self.promises = Map()
        env.broadcast(Prepare(self.ballot))
        env.after(self.retry, Retry())

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
        if env.sender in self.promises:
            return
        self.promises = self.promises.set(env.sender, msg.last_vote)
        if len(self.promises) == majority(self.peers):
            # A lower ballot may have chosen a value; if one did, the highest vote names it.
            votes = [vote for vote in self.promises.values() if vote]
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
        """Another learner knows already."""
        self.decided = msg.value
        self.answer(env)

    @on(Retry)
    def try_again(self, timer: Retry, env: Env) -> None:
        """Another proposer, or the network, got in our way: try a higher ballot."""
        if self.decided is None and self.proposal is not None:
            self.prepare(env)

    def answer(self, env: Env) -> None:
        """Tell every client that asked."""
        for client, number in self.asking.items():
            env.send(client, Response(number, self.decided))
        self.asking = Map()


@always
def agreement(nodes: Sequence[Paxos]) -> bool:
    """No two nodes decide differently."""
    return len({node.decided for node in nodes} - {None}) <= 1


class PromiseKept(Monitor):
    """An acceptor never goes back behind a ballot that it has promised, or has voted in."""

    reads = ("promised", "last_vote")
    promised: Map[NodeId, Ballot] = Map()

    def watch(self, before: Paxos, event: Event, after: Paxos) -> bool:
        kept = after.promised >= self.promised.get(after.id, NO_BALLOT)
        self.promised = self.promised.set(after.id, after.promised)
        return kept and (after.last_vote is None or after.last_vote[0] <= after.promised)


class OneValuePerBallot(Monitor):
    """No ballot has votes for two values, whatever becomes of its proposer."""

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
    """Only a single value is ever voted for by a majority in one ballot, learnt or not."""

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


class Validity(Monitor):
    """Only a value that has been proposed is voted for or decided."""

    reads = ("proposal", "last_vote", "decided")
    proposed: Set[Value] = Set()

    def watch(self, before: Paxos, event: Event, after: Paxos) -> bool:
        if after.proposal is not None:
            self.proposed |= {after.proposal}
        if after.last_vote is not None and after.last_vote[1] not in self.proposed:
            return False
        return after.decided is None or after.decided in self.proposed


@sometimes
def decision(nodes: Sequence[Paxos]) -> bool:
    """Some node decides."""
    return any(node.decided is not None for node in nodes)


@sometimes
def duel(nodes: Sequence[Paxos]) -> bool:
    """A proposer has tried again, and another one is at it too."""
    rounds = [node.ballot[0] for node in nodes if node.proposal is not None]
    return len(rounds) > 1 and max(rounds) > 1


@sometimes
def rediscovery(nodes: Sequence[Paxos]) -> bool:
    """A proposer has given up its own value for one that may have been chosen."""
    return any(
        node.last_vote is not None
        and node.last_vote[0] == node.ballot
        and node.proposal not in (None, node.last_vote[1])
        for node in nodes
    )


@eventually
def all_decide(nodes: Sequence[Paxos]) -> bool:
    """Where a value was proposed, and a majority can be heard, it comes to a decision."""
    return all(node.decided is not None or node.proposal is None for node in nodes)
