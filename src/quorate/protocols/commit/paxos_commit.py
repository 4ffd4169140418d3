"""Paxos Commit: every participant's vote is chosen by Paxos, so that no one node is needed.

Paper       Jim Gray, Leslie Lamport, "Consensus on Transaction Commit", ACM TODS 31(1), 2006
            (sections 4 and 5).
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      Agreement, decisions_stand, AllVotedYes: see `atomic_commitment`. They rest on Chosen,
            of each instance of Paxos only one value is chosen, and so on OneValuePerBallot and
            promises_kept.
Liveness    all_decide: with a majority of the acceptors up, once a leader runs unopposed. With F =
            0 there is one acceptor, and this is two-phase commit.
Departures  All nodes are resource managers, the first 2F + 1 also acceptors, and n1 is the leader
            of ballot 0. Whoever waits too long for the outcome becomes a leader itself, in a
            higher ballot of all instances at once; the paper elects one. A node that knows the
            outcome tells such a leader, and n1 tells all at once if it votes to abort itself.
            Resource managers find by chance whether they can commit.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Durable,
    Env,
    Event,
    Map,
    Message,
    Monitor,
    NodeId,
    Request,
    Response,
    Set,
    Start,
    Timer,
    each_step,
    eventually,
    ms,
    on,
    sometimes,
)
from quorate.protocols.commit.atomic_commitment import (
    DECISIONS,
    Asker,
    Participant,
    State,
    Tid,
)

PREPARED, COMMITTED, ABORTED = State.PREPARED, State.COMMITTED, State.ABORTED
Ballot = tuple[int, NodeId]  # (round, leader): ordered, and no two leaders share one
Vote = tuple[Ballot, State]  # PREPARED or ABORTED
FIRST: Ballot = (0, NodeId(""))  # Here each resource manager proposes in its own instance.


class Prepare(Message):  # leader -> resource managers
    tid: Tid


class Phase1a(Message):  # leader of a ballot above 0 -> acceptors
    tid: Tid
    ballot: Ballot


class Phase1b(Message):  # acceptor -> leader
    tid: Tid
    ballot: Ballot
    votes: Map[NodeId, Vote]  # its last one in each instance


class Phase2a(Message):  # resource manager, or leader of a ballot above 0 -> acceptors
    tid: Tid
    ballot: Ballot
    values: Map[NodeId, State]  # by instance, which has the name of its resource manager


class Phase2b(Message):  # acceptor -> leader
    tid: Tid
    ballot: Ballot
    values: Map[NodeId, State]


class Commit(Message):  # leader -> resource managers
    tid: Tid


class Abort(Message):  # leader -> resource managers
    tid: Tid


class Retry(Timer):
    tid: Tid


class PaxosCommit(Participant):
    faults: int = 1  # F: how many acceptors may be down
    patience: tuple[int, int] = (ms(100), ms(300))  # bounds of the wait for an outcome
    # Acceptor
    promised: Durable[Map[Tid, Ballot]] = Map()
    accepted: Durable[Map[Tid, Map[NodeId, Vote]]] = Map()
    # Leader
    round: Durable[int] = 0  # the highest that we have led
    leading: Map[Tid, Ballot] = Map()  # Forgotten in a crash: we may have proposed in it.
    promises: Map[Tid, Map[NodeId, Map[NodeId, Vote]]] = Map()  # to that ballot, by acceptor
    reports: Map[Tid, Map[NodeId, Map[NodeId, State]]] = Map()  # of that ballot, by acceptor
    askers: Map[Tid, Set[Asker]] = Map()

    @property
    def acceptors(self) -> tuple[NodeId, ...]:
        """Those who vote in each instance; any F + 1 of them are a majority."""
        return self.peers[: 2 * self.faults + 1]

    # Ballot 0

    @on(Request)
    def begin(self, msg: Request, env: Env) -> None:
        """A client asks for a transaction, or looks what has become of it here."""
        tid, asker = msg.operation.key or "", (env.sender, msg.number)
        state = self.log.get(tid)
        if msg.operation.f == "look":
            self.look(tid, asker, env)
        elif state in DECISIONS:
            env.reply(Response(msg.number, state.value))
        else:
            if tid not in self.askers:
                env.broadcast(Prepare(tid))
                env.after(self.patience, Retry(tid))
            self.askers = self.askers.set(tid, self.askers.get(tid, Set()) | {asker})

    @on(Prepare)
    def vote(self, msg: Prepare, env: Env) -> None:
        """A resource manager proposes its vote in its own instance: ballot 0 needs no phase 1.

        F + 1 acceptors are enough, as long as none of them fails (section 4.2).
        """
        if msg.tid in self.log:
            return  # A second proposal could be another one.
        if env.choose("willing", self.willing):
            self.log = self.log.set(msg.tid, PREPARED)
            env.after(self.patience, Retry(msg.tid))
        elif self.id == self.peers[0]:
            self.conclude(msg.tid, ABORTED, env)  # For nothing else can be chosen any more.
        else:
            self.finish(msg.tid, ABORTED, env)
        vote = PREPARED if self.log[msg.tid] is PREPARED else ABORTED
        nearest = self.acceptors[: self.faults + 1]
        env.multicast(nearest, Phase2a(msg.tid, FIRST, Map({self.id: vote})))

    @on(Phase2a)
    def accept(self, msg: Phase2a, env: Env) -> None:
        """Vote, unless we have promised a higher ballot; report on all instances at once."""
        if msg.ballot < self.promised.get(msg.tid, FIRST):
            return
        new = Map({manager: (msg.ballot, value) for manager, value in msg.values.items()})
        votes = self.accepted.get(msg.tid, Map[NodeId, Vote]()) | new
        self.promised = self.promised.set(msg.tid, msg.ballot)
        self.accepted = self.accepted.set(msg.tid, votes)
        values = Map({manager: value for manager, (_, value) in votes.items()})
        if msg.ballot != FIRST:
            env.reply(Phase2b(msg.tid, msg.ballot, values))
        elif len(values) == len(self.peers) or ABORTED in values.values():
            env.send(self.peers[0], Phase2b(msg.tid, FIRST, values))

    @on(Phase2b)
    def learn(self, msg: Phase2b, env: Env) -> None:
        """Commit once `prepared` is chosen in all instances; abort once `aborted` is in one."""
        tid = msg.tid
        if msg.ballot != self.leading.get(tid, FIRST) or self.log.get(tid) in DECISIONS:
            return
        reports = self.reports.get(tid, Map[NodeId, Map[NodeId, State]]())
        known = reports.get(env.sender, Map[NodeId, State]())
        reports = reports.set(env.sender, known | msg.values)
        self.reports = self.reports.set(tid, reports)
        chosen = [
            values[0]
            for manager in self.peers
            if len(values := votes_for(manager, reports)) > self.faults
        ]
        if ABORTED in chosen:
            self.conclude(tid, ABORTED, env)
        elif len(chosen) == len(self.peers):
            self.conclude(tid, COMMITTED, env)

    # The outcome

    def conclude(self, tid: Tid, outcome: State, env: Env) -> None:
        """The outcome follows from what is chosen: tell it."""
        self.finish(tid, outcome, env)
        others = tuple(peer for peer in self.peers if peer != self.id)
        env.multicast(others, Commit(tid) if outcome is COMMITTED else Abort(tid))

    @on(Commit, Abort)
    def obey(self, msg: Commit | Abort, env: Env) -> None:
        """The outcome is known."""
        if self.log.get(msg.tid) not in DECISIONS:
            self.finish(msg.tid, COMMITTED if isinstance(msg, Commit) else ABORTED, env)

    def finish(self, tid: Tid, outcome: State, env: Env) -> None:
        """There is nothing more to wait for, nor to lead."""
        self.settle(tid, outcome, env)
        env.cancel(Retry(tid))
        self.stop_leading(tid)
        if tid in self.askers:
            for client, number in self.askers[tid]:
                env.send(client, Response(number, outcome.value))
            self.askers = self.askers.remove(tid)

    # Higher ballots

    @on(Start)
    def recover(self, event: Start, env: Env) -> None:
        """Find out what became of the transactions that we are prepared for."""
        for tid in self.in_doubt():
            env.after(self.patience, Retry(tid))

    @on(Retry)
    def lead(self, timer: Retry, env: Env) -> None:
        """Phase 1a. Something has failed: begin a ballot above any that we know of."""
        tid = timer.tid
        promised, _ = self.promised.get(tid, FIRST)
        self.round = max(self.round, promised) + 1
        self.stop_leading(tid)
        self.leading = self.leading.set(tid, (self.round, self.id))
        env.multicast(self.acceptors, Phase1a(tid, (self.round, self.id)))
        env.after(self.patience, timer)

    @on(Phase1a)
    def promise(self, msg: Phase1a, env: Env) -> None:
        """Phase 1b. Promise to ignore lower ballots, and report our votes in all instances."""
        state = self.log.get(msg.tid)
        if state in DECISIONS:
            env.reply(Commit(msg.tid) if state is COMMITTED else Abort(msg.tid))
        elif msg.ballot > self.promised.get(msg.tid, FIRST):
            self.promised = self.promised.set(msg.tid, msg.ballot)
            votes = self.accepted.get(msg.tid, Map[NodeId, Vote]())
            env.reply(Phase1b(msg.tid, msg.ballot, votes))

    @on(Phase1b)
    def propose(self, msg: Phase1b, env: Env) -> None:
        """Phase 2a. Propose what may have been chosen, and `aborted` where nothing can have been.

        A resource manager that has not been heard of may be down: only so can the others go on.
        """
        if msg.ballot != self.leading.get(msg.tid):
            return
        promises = self.promises.get(msg.tid, Map[NodeId, Map[NodeId, Vote]]())
        if env.sender in promises:
            return
        promises = promises.set(env.sender, msg.votes)
        self.promises = self.promises.set(msg.tid, promises)
        if len(promises) == self.faults + 1:
            values = Map({manager: free_value(manager, promises) for manager in self.peers})
            env.multicast(self.acceptors, Phase2a(msg.tid, msg.ballot, values))

    def stop_leading(self, tid: Tid) -> None:
        """Forget what we know of the ballot that we lead."""
        if tid in self.leading:
            self.leading = self.leading.remove(tid)
        if tid in self.promises:
            self.promises = self.promises.remove(tid)
        if tid in self.reports:
            self.reports = self.reports.remove(tid)


def votes_for(manager: NodeId, reports: Map[NodeId, Map[NodeId, State]]) -> list[State]:
    """The votes that acceptors report of one instance in one ballot: they are all alike."""
    return [values[manager] for values in reports.values() if manager in values]


def free_value(manager: NodeId, promises: Map[NodeId, Map[NodeId, Vote]]) -> State:
    """What a leader may propose in an instance: the vote of the highest ballot, if there is any."""
    votes = [votes[manager] for votes in promises.values() if manager in votes]
    _, value = max(votes, key=lambda vote: vote[0], default=(FIRST, ABORTED))
    return value


@each_step
def promises_kept(before: PaxosCommit, event: Event, after: PaxosCommit) -> bool:
    """An acceptor never goes back behind a ballot that it has promised, or voted in."""
    changed, removed = after.promised.changes_since(before.promised)
    return not removed and all(b >= before.promised.get(tid, FIRST) for tid, b in changed)


Instance = tuple[Tid, NodeId]


class OneValuePerBallot(Monitor):
    """No ballot of an instance has votes for two values, whoever proposed them."""

    reads = ("accepted",)
    proposed: Map[tuple[Instance, Ballot], State] = Map()

    def watch(self, before: PaxosCommit, event: Event, after: PaxosCommit) -> bool:
        for instance, (ballot, value) in new_votes(before, after):
            if self.proposed.get((instance, ballot), value) is not value:
                return False
            self.proposed = self.proposed.set((instance, ballot), value)
        return True


class Chosen(Monitor):
    """In an instance only one value is ever voted for by F + 1 acceptors in one ballot."""

    reads = ("accepted",)
    voters: Map[tuple[Instance, Vote], Set[NodeId]] = Map()
    chosen: Map[Instance, State] = Map()

    def watch(self, before: PaxosCommit, event: Event, after: PaxosCommit) -> bool:
        for instance, vote in new_votes(before, after):
            voters = self.voters.get((instance, vote), Set[NodeId]()) | {after.id}
            self.voters = self.voters.set((instance, vote), voters)
            if len(voters) > after.faults:
                _, value = vote
                if self.chosen.get(instance, value) is not value:
                    return False
                self.chosen = self.chosen.set(instance, value)
        return True


def new_votes(before: PaxosCommit, after: PaxosCommit) -> list[tuple[Instance, Vote]]:
    """By which votes an acceptor's state has changed."""
    changed, _ = after.accepted.changes_since(before.accepted)
    return [
        ((tid, manager), vote)
        for tid, votes in changed
        for manager, vote in votes.items()
        if before.accepted.get(tid, Map[NodeId, Vote]()).get(manager) != vote
    ]


@sometimes
def a_commit(nodes: Sequence[PaxosCommit]) -> bool:
    """A transaction is committed everywhere."""
    return any(
        all(node.log.get(tid) is COMMITTED for node in nodes)
        for tid, state in nodes[0].log.items()
        if state is COMMITTED
    )


@sometimes
def a_vote_is_not_heard(nodes: Sequence[PaxosCommit]) -> bool:
    """A leader has proposed `aborted` for a resource manager that is prepared."""
    states = {node.id: node.log for node in nodes}
    return any(
        value is ABORTED and states[manager].get(tid) is PREPARED
        for node in nodes
        for tid, votes in node.accepted.items()
        for manager, (_, value) in votes.items()
    )


@sometimes
def a_second_leader_commits(nodes: Sequence[PaxosCommit]) -> bool:
    """A transaction is committed in a ballot above 0."""
    return any(
        ballot > FIRST and node.log.get(tid) is COMMITTED
        for node in nodes
        for tid, ballot in node.promised.items()
    )


@eventually
def all_decide(nodes: Sequence[PaxosCommit]) -> bool:
    """AC5. While a majority of the acceptors can be heard, everybody decides."""
    return not any(node.in_doubt() or node.askers for node in nodes)
