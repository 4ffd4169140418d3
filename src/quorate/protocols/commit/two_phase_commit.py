"""Two-phase commit: one node asks all whether they can commit, and decides for them.

Paper       C. Mohan, Bruce Lindsay, Ron Obermarck, "Transaction Management in the R* Distributed
            Database Management System", ACM TODS 11(4), 1986: sections 2 (two-phase commit),
            3.1 (presumed abort), 3.2 (presumed commit). The idea is Jim Gray's, "Notes on Data Base
            Operating Systems", 1978.
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      Agreement, decisions_stand, AllVotedYes: see `atomic_commitment`. commits_are_prepared
            and coordinator_agrees are what they rest on.
Liveness    none_in_doubt, all_forgotten: once every node is up and can be heard. A participant that
            is prepared is blocked while the coordinator is down; no rule of its own may end that.
Departures  Node n1 coordinates, and is no participant. Transactions do no work that could fail: a
            participant finds by chance whether it can commit. R*'s channels neither repeat nor
            reorder messages, and ours do, so participants keep their records of transactions that
            have ended. Who cannot be sure to have been heard asks, or tells, again after a while.
            Under PRESUMED_NOTHING the coordinator answers inquiries about unknown transactions
            as the paper's does: they have been aborted.
"""

from collections.abc import Sequence

import msgspec

from quorate.kernel import (
    Durable,
    Env,
    Event,
    Map,
    Message,
    NodeId,
    Redirect,
    Request,
    Response,
    Set,
    Start,
    Timer,
    always,
    each_step,
    eventually,
    ms,
    on,
    sometimes,
)
from quorate.protocols.commit.atomic_commitment import Asker, Participant, State, Tid, Word

COMMITTED, ABORTED, PREPARED = State.COMMITTED, State.ABORTED, State.PREPARED


class Presumption(Word):
    """What it means if the coordinator knows nothing of a transaction."""

    NOTHING = "nothing"  # Both outcomes are remembered until all have acknowledged them.
    ABORT = "abort"
    COMMIT = "commit"


class Answer(Word):
    """A participant's vote."""

    YES = "yes"
    NO = "no"
    READ = "read"  # It has only read: both outcomes are the same to it (section 3.1).


class Prepare(Message):  # phase 1: coordinator -> subordinates
    tid: Tid


class Vote(Message):  # phase 1: subordinate -> coordinator
    tid: Tid
    answer: Answer


class Commit(Message):  # phase 2: coordinator -> those that voted yes
    tid: Tid


class Abort(Message):  # phase 2: coordinator -> those that may have voted yes
    tid: Tid


class Ack(Message):  # phase 2: subordinate -> coordinator, unless it presumes that outcome
    tid: Tid


class Inquiry(Message):  # recovery: participant in doubt -> coordinator
    tid: Tid


class VotesMissing(Timer):
    tid: Tid


class AcksMissing(Timer):
    tid: Tid


class InDoubt(Timer):
    tid: Tid


class Record(msgspec.Struct, frozen=True):
    """What the coordinator's log has of a transaction that has not ended: whom it concerns.

    Without an outcome it is the collecting record of presumed commit.
    """

    outcome: State | None
    concerned: Set[NodeId]


class TwoPhaseCommit(Participant):
    presumption: Presumption = Presumption.NOTHING
    read_only: Set[NodeId] = Set()  # those whose part in every transaction is to read
    patience: tuple[int, int] = (ms(100), ms(200))  # bounds of every wait for somebody else
    # Coordinator
    askers: Map[Tid, Asker] = Map()
    votes: Map[Tid, Map[NodeId, Answer]] = Map()  # Where this is lost in a crash, it aborts.
    records: Durable[Map[Tid, Record]] = Map()
    owing: Map[Tid, Set[NodeId]] = Map()  # who has yet to acknowledge the outcome

    @property
    def coordinator(self) -> NodeId:
        """The one who decides."""
        return self.peers[0]

    @property
    def subordinates(self) -> tuple[NodeId, ...]:
        """All others."""
        return self.peers[1:]

    @property
    def participants(self) -> tuple[NodeId, ...]:
        """Those whose data transactions change."""
        return tuple(id for id in self.subordinates if id not in self.read_only)

    # Phase 1

    @on(Request)
    def begin(self, msg: Request, env: Env) -> None:
        """A client asks the coordinator to commit, or looks at the data of a participant."""
        tid, asker = msg.operation.key or "", (env.sender, msg.number)
        if msg.operation.f == "look" and self.id in self.participants:
            self.look(tid, asker, env)
        elif msg.operation.f == "look":
            env.reply(Redirect(msg.number, env.choose("participant", self.participants)))
        elif self.id != self.coordinator:
            env.reply(Redirect(msg.number, self.coordinator))
        else:
            self.askers = self.askers.set(tid, asker)
            self.votes = self.votes.set(tid, Map())
            if self.presumption is Presumption.COMMIT:
                # Before anybody is prepared, so that no information can only mean commit.
                self.records = self.records.set(tid, Record(None, Set(self.subordinates)))
            env.multicast(self.subordinates, Prepare(tid))
            env.after(self.patience, VotesMissing(tid))

    @on(Prepare)
    def prepare(self, msg: Prepare, env: Env) -> None:
        """Vote, and with a yes give up the right to abort: the record is forced before it leaves.

        So is that of a no, except where the coordinator presumes abort.
        """
        if msg.tid in self.log:
            return  # A duplicate, or overtaken by the outcome.
        if self.id in self.read_only:
            env.reply(Vote(msg.tid, Answer.READ))
        elif env.choose("willing", self.willing):
            self.log = self.log.set(msg.tid, PREPARED)
            env.reply(Vote(msg.tid, Answer.YES))
            env.after(self.patience, InDoubt(msg.tid))
        else:
            self.settle(msg.tid, ABORTED, env)
            unforced = self.presumption is Presumption.ABORT
            env.send(env.sender, Vote(msg.tid, Answer.NO), ahead=unforced)

    # Phase 2

    @on(Vote)
    def count(self, msg: Vote, env: Env) -> None:
        """Commit once all have voted yes; abort as soon as one has not."""
        votes = self.votes.get(msg.tid)
        if votes is None:
            return  # Late: it is decided, if only by a crash.
        votes = votes.set(env.sender, msg.answer)
        self.votes = self.votes.set(msg.tid, votes)
        if msg.answer is Answer.NO:
            self.decide(msg.tid, ABORTED, env)
        elif len(votes) == len(self.subordinates):
            self.decide(msg.tid, COMMITTED, env)

    @on(VotesMissing)
    def stop_waiting(self, timer: VotesMissing, env: Env) -> None:
        """Somebody is down, or was not heard: that is no yes."""
        if timer.tid in self.votes:
            self.decide(timer.tid, ABORTED, env)

    def decide(self, tid: Tid, outcome: State, env: Env) -> None:
        """The moment of decision; it concerns those who are, or may be, prepared."""
        votes = self.votes[tid]
        self.votes = self.votes.remove(tid)
        env.cancel(VotesMissing(tid))
        concerned = [id for id in self.subordinates if votes.get(id, Answer.YES) is Answer.YES]
        self.conclude(tid, outcome, Set(concerned), env)
        client, number = self.askers[tid]
        self.askers = self.askers.remove(tid)
        env.send(client, Response(number, outcome.value))

    def conclude(self, tid: Tid, outcome: State, concerned: Set[NodeId], env: Env) -> None:
        """Force the decision before anybody is told, unless having no record says the same."""
        if self.is_presumed(outcome) or not concerned:
            self.forget(tid)
        else:
            self.records = self.records.set(tid, Record(outcome, concerned))
            self.owing = self.owing.set(tid, concerned)
            env.after(self.patience, AcksMissing(tid))
        self.tell(tid, outcome, concerned, env)

    def tell(self, tid: Tid, outcome: State, concerned: Set[NodeId], env: Env) -> None:
        """Send the outcome."""
        env.multicast(concerned.keys(), Commit(tid) if outcome is COMMITTED else Abort(tid))

    @on(Commit)
    def commit(self, msg: Commit, env: Env) -> None:
        """The outcome is known."""
        self.obey(msg.tid, COMMITTED, env)

    @on(Abort)
    def abort(self, msg: Abort, env: Env) -> None:
        """The outcome is known, perhaps even before we have been asked to prepare."""
        self.obey(msg.tid, ABORTED, env)

    def obey(self, tid: Tid, outcome: State, env: Env) -> None:
        """Record the outcome, and acknowledge it where the coordinator waits for that.

        Who does not acknowledge need not force its record: it can ask again.
        """
        if self.log.get(tid, PREPARED) is PREPARED:
            self.settle(tid, outcome, env)
            env.cancel(InDoubt(tid))
        if not self.is_presumed(outcome):
            env.send(self.coordinator, Ack(tid))

    @on(Ack)
    def collect(self, msg: Ack, env: Env) -> None:
        """Once nobody can ask any more, the transaction is forgotten (the end record)."""
        if msg.tid not in self.owing:
            return
        owing = self.owing[msg.tid] - {env.sender}
        self.owing = self.owing.set(msg.tid, owing)
        if not owing:
            self.owing = self.owing.remove(msg.tid)
            self.forget(msg.tid)
            env.cancel(AcksMissing(msg.tid))

    @on(AcksMissing)
    def tell_again(self, timer: AcksMissing, env: Env) -> None:
        """Somebody has not heard of the outcome, or was not heard."""
        if timer.tid in self.owing:
            outcome = self.records[timer.tid].outcome or ABORTED
            self.tell(timer.tid, outcome, self.owing[timer.tid], env)
            env.after(self.patience, timer)

    # Recovery

    @on(Start)
    def recover(self, event: Start, env: Env) -> None:
        """Ask about what we are prepared for; tell what we have decided, and abort the rest."""
        for tid in self.in_doubt():
            self.ask(tid, env)
        for tid, record in self.records.items():
            self.conclude(tid, record.outcome or ABORTED, record.concerned, env)

    @on(InDoubt)
    def inquire(self, timer: InDoubt, env: Env) -> None:
        """Blocked: only the coordinator can tell."""
        if self.log.get(timer.tid) is PREPARED:
            self.ask(timer.tid, env)

    def ask(self, tid: Tid, env: Env) -> None:
        """Inquire after the outcome, until it is known."""
        env.send(self.coordinator, Inquiry(tid))
        env.after(self.patience, InDoubt(tid))

    @on(Inquiry)
    def answer(self, msg: Inquiry, env: Env) -> None:
        """Tell the outcome: the one in the log, else the one that is presumed."""
        if msg.tid in self.votes:
            return  # We do not know it yet.
        record = self.records.get(msg.tid)
        outcome = record.outcome if record else self.presumed
        env.reply(Commit(msg.tid) if outcome is COMMITTED else Abort(msg.tid))

    # Presumptions

    @property
    def presumed(self) -> State:
        """What became of a transaction of which the coordinator has no record."""
        return COMMITTED if self.presumption is Presumption.COMMIT else ABORTED

    def is_presumed(self, outcome: State) -> bool:
        """Whether the outcome need not be remembered, nor acknowledged."""
        return self.presumption is not Presumption.NOTHING and outcome is self.presumed

    def forget(self, tid: Tid) -> None:
        """Leave no record of the transaction."""
        if tid in self.records:
            self.records = self.records.remove(tid)


@each_step
def commits_are_prepared(before: TwoPhaseCommit, event: Event, after: TwoPhaseCommit) -> bool:
    """A participant commits only what it is prepared for: else its part of it is lost."""
    changed, _ = after.log.changes_since(before.log)
    return all(before.log.get(tid) is PREPARED for tid, state in changed if state is COMMITTED)


@always
def coordinator_agrees(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """No participant has decided otherwise than the coordinator's log says."""
    return all(
        record.outcome in (None, state) or state is PREPARED
        for tid, record in nodes[0].records.items()
        for node in nodes
        for state in (node.log.get(tid, PREPARED),)
    )


@sometimes
def all_commit(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """A transaction is committed at every participant."""
    participants = [node for node in nodes if node.id in node.participants]
    return any(
        all(node.log.get(tid) is COMMITTED for node in participants)
        for tid, state in participants[0].log.items()
        if state is COMMITTED
    )


@sometimes
def a_yes_is_in_vain(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """One participant is prepared for what another one has aborted."""
    aborted = {tid for node in nodes for tid, state in node.log.items() if state is ABORTED}
    return any(tid in aborted for node in nodes for tid in node.in_doubt())


@sometimes
def in_doubt_and_forgotten(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """A participant is in doubt about what the coordinator has no record of: it must presume."""
    return any(
        tid not in nodes[0].votes and tid not in nodes[0].records
        for node in nodes
        for tid in node.in_doubt()
    )


@eventually
def none_in_doubt(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """AC5. Once the coordinator can be heard again, all participants decide."""
    return not any(node.in_doubt() for node in nodes)


@eventually
def all_forgotten(nodes: Sequence[TwoPhaseCommit]) -> bool:
    """Once all have acknowledged its decisions, the coordinator remembers none of them."""
    return not any(node.records for node in nodes)
