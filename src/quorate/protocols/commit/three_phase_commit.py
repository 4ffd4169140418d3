"""Three-phase commit: nobody commits before all that are up know that all have voted yes.

Paper       Dale Skeen, "Nonblocking Commit Protocols", SIGMOD 1981: the central site protocol
            (section 6), and its termination protocol (section 7) in the form of Bernstein,
            Hadzilacos, Goodman, "Concurrency Control and Recovery in Database Systems", 1987,
            section 7.5, whose names for messages these are.
Model       Synchronous: a request to a node that is up is answered within `round_trip`, so that
            silence tells a crash. Nodes crash and recover; messages are delayed, reordered and
            duplicated, but not lost, and the network never parts. Outside this model it is wrong:
            two sides of a partition take each other for crashed, and decide each for itself.
Safety      Agreement, decisions_stand, AllVotedYes: see `atomic_commitment`. They rest on
            nonblocking, the theorem of section 5.
Liveness    all_decide: whoever has not crashed during a transaction decides, whoever else has; and
            who has crashed learns the outcome, if anybody knows it.
Departures  n1 coordinates, and votes first. Skeen's sites elect a backup coordinator; ours go by
            their number: the next in line that is up takes over, and whoever misses the one before
            it says so. A node that has crashed during a transaction takes no part in its end, and
            asks. If all have, those that had voted may be left without an outcome (total failure).
"""

from collections.abc import Sequence

import msgspec

from quorate.kernel import (
    Env,
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

PREPARED, PRECOMMITTED = State.PREPARED, State.PRECOMMITTED
COMMITTED, ABORTED = State.COMMITTED, State.ABORTED


class VoteRequest(Message):  # phase 1: coordinator -> participants
    tid: Tid


class Vote(Message):  # phase 1: participant -> coordinator
    tid: Tid
    is_yes: bool


class PreCommit(Message):  # phase 2: coordinator -> participants
    tid: Tid


class Ack(Message):  # phase 2: participant -> coordinator
    tid: Tid


class Commit(Message):  # phase 3: coordinator -> participants
    tid: Tid


class Abort(Message):  # phase 2: coordinator -> participants
    tid: Tid


class TakeOver(Message):  # termination: who misses a coordinator -> the next one
    tid: Tid


class StateRequest(Message):  # termination: backup coordinator -> participants
    tid: Tid


class StateReport(Message):  # termination: participant -> backup coordinator
    tid: Tid
    state: State


class Inquiry(Message):  # recovery: who has crashed -> all
    tid: Tid


class PhaseOver(Timer):  # Whoever has not answered the coordinator by now has crashed.
    tid: Tid


class Silence(Timer):  # The coordinator has crashed.
    tid: Tid


class Ignorance(Timer):
    tid: Tid


class Voting(msgspec.Struct, frozen=True):
    """The coordinator collects votes."""

    yes: Set[NodeId] = Set()


class Surveying(msgspec.Struct, frozen=True):
    """A backup coordinator collects states."""

    states: Map[NodeId, State]


class Precommitting(msgspec.Struct, frozen=True):
    """A coordinator makes sure that all who are up can commit."""

    acks: Set[NodeId] = Set()


class ThreePhaseCommit(Participant):
    round_trip: int = ms(150)  # the longest that a node that is up takes to answer
    # Any participant
    active: Set[Tid] = Set()  # what we have voted for, and neither decided nor crashed since
    leaders: Map[Tid, NodeId] = Map()  # who coordinates, as far as we know
    # Coordinator, the first or a backup
    phases: Map[Tid, Voting | Surveying | Precommitting] = Map()
    askers: Map[Tid, Set[Asker]] = Map()

    @property
    def others(self) -> tuple[NodeId, ...]:
        """All but this node."""
        return tuple(peer for peer in self.peers if peer != self.id)

    # Phase 1

    @on(Request)
    def begin(self, msg: Request, env: Env) -> None:
        """A client asks for a transaction, or looks what has become of it here."""
        tid, asker = msg.operation.key or "", (env.sender, msg.number)
        state = self.log.get(tid)
        if msg.operation.f == "look":
            self.look(tid, asker, env)
        elif state in DECISIONS:
            env.reply(Response(msg.number, state.value))
        elif self.id != self.peers[0]:
            env.reply(Redirect(msg.number, self.peers[0]))
        else:
            self.askers = self.askers.set(tid, self.askers.get(tid, Set()) | {asker})
            if state is None and self.agrees(tid, env):
                env.multicast(self.others, VoteRequest(tid))
                self.enter(tid, Voting(), env)
            elif state is None:
                self.finish(tid, ABORTED, env)

    @on(VoteRequest)
    def vote(self, msg: VoteRequest, env: Env) -> None:
        """Vote, and from then on wait for the outcome."""
        if msg.tid in self.log:
            return  # A duplicate, or too late.
        if self.agrees(msg.tid, env):
            env.reply(Vote(msg.tid, is_yes=True))
            self.follow(msg.tid, env.sender, env)
        else:
            self.finish(msg.tid, ABORTED, env)
            env.reply(Vote(msg.tid, is_yes=False))

    def agrees(self, tid: Tid, env: Env) -> bool:
        """Whether we can commit: if so, we are prepared from now on."""
        is_yes = env.choose("willing", self.willing)
        if is_yes:
            self.log = self.log.set(tid, PREPARED)
            self.active |= {tid}
        return is_yes

    @on(Vote)
    def count(self, msg: Vote, env: Env) -> None:
        """Go on once all have voted yes; abort as soon as one has not."""
        phase = self.phases.get(msg.tid)
        if not isinstance(phase, Voting):
            return  # Late, or a duplicate.
        yes = phase.yes | {env.sender}
        self.phases = self.phases.set(msg.tid, Voting(yes))
        if not msg.is_yes:
            self.conclude(msg.tid, ABORTED, env)
        elif len(yes) == len(self.others):
            self.precommit(msg.tid, env)

    # Phase 2

    def precommit(self, tid: Tid, env: Env) -> None:
        """Let all know that they can commit, before anybody does."""
        self.log = self.log.set(tid, PRECOMMITTED)
        env.multicast(self.others, PreCommit(tid))
        self.enter(tid, Precommitting(), env)

    @on(PreCommit)
    def acknowledge(self, msg: PreCommit, env: Env) -> None:
        """All have voted yes: if need be, we may commit without the coordinator."""
        if msg.tid not in self.active:
            return  # We have crashed meanwhile, or it is decided.
        self.log = self.log.set(msg.tid, PRECOMMITTED)
        env.reply(Ack(msg.tid))
        self.follow(msg.tid, env.sender, env)

    @on(Ack)
    def collect(self, msg: Ack, env: Env) -> None:
        """Phase 3 begins once all have acknowledged."""
        phase = self.phases.get(msg.tid)
        if not isinstance(phase, Precommitting):
            return
        acks = phase.acks | {env.sender}
        self.phases = self.phases.set(msg.tid, Precommitting(acks))
        if len(acks) == len(self.others):
            self.conclude(msg.tid, COMMITTED, env)

    @on(PhaseOver)
    def go_on(self, timer: PhaseOver, env: Env) -> None:
        """Timeout transitions of a coordinator: who has not answered has crashed."""
        match self.phases.get(timer.tid):
            case Voting():
                self.conclude(timer.tid, ABORTED, env)
            case Precommitting():
                self.conclude(timer.tid, COMMITTED, env)
            case Surveying(states):
                self.resolve(timer.tid, states, env)

    # Phase 3

    def conclude(self, tid: Tid, outcome: State, env: Env) -> None:
        """Decide, and tell all others."""
        self.finish(tid, outcome, env)
        env.multicast(self.others, message_of(tid, outcome))

    @on(Commit, Abort)
    def obey(self, msg: Commit | Abort, env: Env) -> None:
        """The outcome is known."""
        if self.log.get(msg.tid) not in DECISIONS:
            self.finish(msg.tid, COMMITTED if isinstance(msg, Commit) else ABORTED, env)

    def finish(self, tid: Tid, outcome: State, env: Env) -> None:
        """There is nothing more to wait for."""
        self.settle(tid, outcome, env)
        self.active -= {tid}
        for timer in (PhaseOver(tid), Silence(tid), Ignorance(tid)):
            env.cancel(timer)
        if tid in self.phases:
            self.phases = self.phases.remove(tid)
        if tid in self.askers:
            for client, number in self.askers[tid]:
                env.send(client, Response(number, outcome.value))
            self.askers = self.askers.remove(tid)

    # Termination

    @on(Silence)
    def miss_coordinator(self, timer: Silence, env: Env) -> None:
        """Timeout transition of a participant: the next one has to take over."""
        tid = timer.tid
        if tid not in self.active:
            return
        place = self.peers.index(self.leaders[tid])
        backup = self.peers[(place + 1) % len(self.peers)]
        if backup == self.id:
            self.survey(tid, env)
        else:
            env.send(backup, TakeOver(tid))
            self.follow(tid, backup, env)

    @on(TakeOver)
    def take_over(self, msg: TakeOver, env: Env) -> None:
        """Somebody misses the coordinator before us."""
        state = self.log.get(msg.tid)
        if state in DECISIONS:
            env.reply(message_of(msg.tid, state))
        elif state is None:
            self.conclude(msg.tid, ABORTED, env)  # We have not voted, and so can.
        elif msg.tid in self.active and msg.tid not in self.phases:
            self.survey(msg.tid, env)

    def survey(self, tid: Tid, env: Env) -> None:
        """Ask all who are up how far they are."""
        env.multicast(self.others, StateRequest(tid))
        self.enter(tid, Surveying(Map({self.id: self.log[tid]})), env)

    @on(StateRequest)
    def report(self, msg: StateRequest, env: Env) -> None:
        """Tell how far we are; whoever has not voted by now votes no."""
        if msg.tid not in self.log:
            self.finish(msg.tid, ABORTED, env)
        state = self.log[msg.tid]
        if state in DECISIONS or msg.tid in self.active:
            env.reply(StateReport(msg.tid, state))
        if msg.tid in self.active:
            self.follow(msg.tid, env.sender, env)

    @on(StateReport)
    def learn(self, msg: StateReport, env: Env) -> None:
        """Once all have reported, there is no need to wait for the timeout."""
        phase = self.phases.get(msg.tid)
        if not isinstance(phase, Surveying):
            return
        states = phase.states.set(env.sender, msg.state)
        self.phases = self.phases.set(msg.tid, Surveying(states))
        if len(states) == len(self.peers):
            self.resolve(msg.tid, states, env)

    def resolve(self, tid: Tid, states: Map[NodeId, State], env: Env) -> None:
        """The termination rule: commit if somebody could have, abort if nobody could."""
        reported = states.values()
        if COMMITTED in reported:
            self.conclude(tid, COMMITTED, env)
        elif PRECOMMITTED in reported and ABORTED not in reported:
            self.precommit(tid, env)  # Others who are up may not know yet that they can commit.
        else:
            self.conclude(tid, ABORTED, env)

    # Recovery

    @on(Start)
    def recover(self, event: Start, env: Env) -> None:
        """Failure transitions: abort what cannot have been committed, ask about the rest."""
        for tid in self.in_doubt():
            if self.id == self.peers[0] and self.log[tid] is PREPARED:
                self.conclude(tid, ABORTED, env)  # Only we could have let others precommit.
            else:
                self.ask(Ignorance(tid), env)

    @on(Ignorance)
    def ask(self, timer: Ignorance, env: Env) -> None:
        """Ask again until somebody knows."""
        env.multicast(self.others, Inquiry(timer.tid))
        env.after(self.round_trip, timer)

    @on(Inquiry)
    def answer(self, msg: Inquiry, env: Env) -> None:
        """Tell the outcome; what we have not voted for cannot have been committed."""
        if msg.tid not in self.log:
            self.finish(msg.tid, ABORTED, env)
        state = self.log[msg.tid]
        if state in DECISIONS:
            env.reply(message_of(msg.tid, state))

    # Waiting

    def enter(self, tid: Tid, phase: Voting | Surveying | Precommitting, env: Env) -> None:
        """Begin a phase as coordinator."""
        self.phases = self.phases.set(tid, phase)
        self.leaders = self.leaders.set(tid, self.id)
        env.cancel(Silence(tid))
        env.after(self.round_trip, PhaseOver(tid))

    def follow(self, tid: Tid, leader: NodeId, env: Env) -> None:
        """Wait for the coordinator's next message: it may have to wait for others before."""
        self.leaders = self.leaders.set(tid, leader)
        env.after(2 * self.round_trip, Silence(tid))


def message_of(tid: Tid, outcome: State) -> Commit | Abort:
    """What tells an outcome."""
    return Commit(tid) if outcome is COMMITTED else Abort(tid)


@always
def nonblocking(nodes: Sequence[ThreePhaseCommit]) -> bool:
    """Nobody has committed while somebody who is up does not know yet that it can (section 5)."""
    return not any(
        other.log.get(tid) is COMMITTED
        for node in nodes
        for tid in node.active
        if node.log[tid] is PREPARED
        for other in nodes
    )


@sometimes
def some_can_commit(nodes: Sequence[ThreePhaseCommit]) -> bool:
    """One participant knows that all have voted yes, and another one does not."""
    return any(
        node.log[tid] is PREPARED and any(other.log.get(tid) is PRECOMMITTED for other in nodes)
        for node in nodes
        for tid in node.active
    )


@sometimes
def a_backup_commits(nodes: Sequence[ThreePhaseCommit]) -> bool:
    """A transaction is committed although its coordinator has crashed."""
    return any(
        leader != node.peers[0] and node.log.get(tid) is COMMITTED
        for node in nodes
        for tid, leader in node.leaders.items()
    )


@sometimes
def a_backup_aborts(nodes: Sequence[ThreePhaseCommit]) -> bool:
    """A transaction is aborted because its coordinator has crashed."""
    return any(
        leader != node.peers[0] and node.log.get(tid) is ABORTED
        for node in nodes
        for tid, leader in node.leaders.items()
    )


@eventually
def all_decide(nodes: Sequence[ThreePhaseCommit]) -> bool:
    """AC5. Who has not crashed decides; who has learns it, unless nobody knows."""
    decided = {tid for node in nodes for tid, state in node.log.items() if state in DECISIONS}
    return not any(
        tid in node.active or tid in decided for node in nodes for tid in node.in_doubt()
    )
