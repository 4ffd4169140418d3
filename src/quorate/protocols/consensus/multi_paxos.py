"""Multi-Paxos: nodes agree on one command for each slot of a log, and execute them in its order.

Paper       Robbert van Renesse, Deniz Altinbuken, "Paxos Made Moderately Complex", ACM Computing
            Surveys 47(3), 2015 (PMMC), whose names and invariants these are; for no-ops Leslie
            Lamport, "Paxos Made Simple", 2001 (PMS), section 3. Retransmission and catching up are
            in Jonathan Kirsch, Yair Amir, "Paxos for System Builders", LADIS 2008, and in Tushar
            Chandra, Robert Griesemer, Joshua Redstone, "Paxos Made Live", PODC 2007 (PML).
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      Invariants of PMMC: ballots_grow (A1), OneCommandPerBallot (A4), Chosen (A5, R1),
            OneStatePerSlot (R3), slots_grow (R4). Clients see a linearizable store.
Liveness    one_leader_and_one_log: once messages arrive in time between all who are up, and these
            are a majority, one of them leads, and every client is answered.
Departures  Every node is replica, leader and acceptor (PMMC 4.4). Scouts and commanders are fields
            of the leader: `promises` and `commanders`.
            An acceptor votes in any ballot not below its own, heard of or not, and tells a leader
            that it has outlived; nothing is said about lower ballots otherwise.
            Clients ask the leader, and it alone allots slots; PMMC's replicas propose for slots of
            their choice. Who executes a repeated command gives the first one's result again.
            An acceptor forgets its vote as soon as its own replica, whose state is durable, has
            executed the slot, and says so in its promise (the watermark of PMMC 4.2). Replicas
            keep a few decisions for those behind; others get the whole state.
            No reconfiguration, so no window; no leases, so reads take a slot as well (PMMC 4.5).
"""

from collections.abc import Collection
from typing import TypeVar

import msgspec

from quorate.kernel import (
    Durable,
    Env,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Redirect,
    Request,
    Response,
    Set,
    Start,
    Timer,
    majority,
    ms,
    on,
)
from quorate.protocols.machines.key_value import KeyValue, Pair, Value

T = TypeVar("T")
Slot = int
Ballot = tuple[int, NodeId]  # (round, leader): ordered, and no two leaders share one
NO_BALLOT: Ballot = (0, NodeId(""))


class Command(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Request `number` of `client`."""

    client: NodeId | None = None
    number: int = 0
    operation: Operation | None = None


NO_OP = Command()
Vote = tuple[Ballot, Command]


class Session(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """The last request of a client that was executed, and its result."""

    client: NodeId
    number: int
    result: Value


class Commander(msgspec.Struct, frozen=True):
    """Phase 2 of a slot: the command that its leader proposes, and who has voted for it."""

    command: Command
    voters: Set[NodeId] = Set()


class Prepare(Message):  # p1a: leader -> acceptors
    ballot: Ballot


class Promise(Message):  # p1b: acceptor -> leader
    ballot: Ballot
    slot_out: Slot  # Here all slots below are executed, and their votes forgotten.
    votes: tuple[tuple[Slot, Vote], ...]


class Accept(Message):  # p2a: leader -> acceptors
    ballot: Ballot
    slot: Slot
    command: Command


class Accepted(Message):  # p2b: acceptor -> leader
    ballot: Ballot
    slot: Slot


class Preempted(Message):  # p1b, p2b: acceptor -> leader of a lower ballot
    ballot: Ballot


class Decision(Message):  # leader -> replicas
    slot: Slot
    command: Command


class Heartbeat(Message):  # leader -> replicas
    ballot: Ballot
    slot_out: Slot


class CatchUp(Message):  # replica -> replica that is ahead
    slot_out: Slot


class State(Message):  # replica -> replica too far behind
    slot_out: Slot
    pairs: tuple[Pair, ...]
    sessions: tuple[Session, ...]


class HeartbeatDue(Timer):
    """Pending on a leader."""


class LeaderTimeout(Timer):
    """Pending on everybody else."""


class MultiPaxos(Node):
    heartbeat: int = ms(50)
    patience: tuple[int, int] = (ms(150), ms(300))  # bounds of how long to wait for a leader
    keep: int = 8  # executed slots whose decisions are kept
    # Acceptor
    promised: Durable[Ballot] = NO_BALLOT
    votes: Durable[Map[Slot, Vote]] = Map()  # from slot_out on
    # Replica
    slot_out: Durable[Slot] = 1  # the next slot to be executed
    store: Durable[KeyValue] = KeyValue()
    sessions: Durable[Map[NodeId, Session]] = Map()
    decisions: Map[Slot, Command] = Map()  # With holes from slot_out on, without below.
    # Leader
    ballot: Ballot = NO_BALLOT  # Forgotten in a crash: what we have proposed in it we do not know.
    promises: Map[NodeId, Promise] = Map()
    active: bool = False
    slot_in: Slot = 1  # the next slot that is free
    commanders: Map[Slot, Commander] = Map()  # of slots that are not decided yet

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Nobody leads until somebody has waited for too long."""
        env.after(self.patience, LeaderTimeout())

    @on(LeaderTimeout)
    def prepare(self, timer: LeaderTimeout, env: Env) -> None:
        """Phase 1a. Claim a ballot above all that we know of, for every slot at once."""
        last_round, _ = self.promised
        self.ballot = self.promised = (last_round + 1, self.id)
        self.promises = Map()
        env.broadcast(Prepare(self.ballot))
        env.after(self.patience, LeaderTimeout())

    @on(Prepare)
    def promise(self, msg: Prepare, env: Env) -> None:
        """Phase 1b. Promise to ignore lower ballots, and report our votes (figure 4)."""
        if msg.ballot < self.promised:
            env.reply(Preempted(self.promised))
            return
        self.follow(msg.ballot, env)
        env.reply(Promise(msg.ballot, self.slot_out, self.votes.items()))

    @on(Promise)
    def lead(self, msg: Promise, env: Env) -> None:
        """Phase 1 ends, and phase 2 begins for all slots that others have voted for (figure 7)."""
        if msg.ballot != self.ballot or self.active:
            return
        self.promises = self.promises.set(env.sender, msg)
        if not self.may_lead(self.promises.keys()):
            return
        self.active = True
        env.cancel(LeaderTimeout())
        env.after(self.heartbeat, HeartbeatDue())
        # What one of them has executed is decided; we shall be told of it.
        first = max(promise.slot_out for promise in self.promises.values())
        votes = highest_votes(self.promises.values())
        self.slot_in = max(first, max(votes, default=0) + 1)
        self.promises = Map()
        for slot in range(first, self.slot_in):
            if slot not in self.decisions:
                # A lower ballot may have decided this slot; if so, the highest vote names it.
                # If nobody in a quorum has voted, no lower ballot can decide it (PMS 3).
                _, command = votes.get(slot, (NO_BALLOT, NO_OP))
                self.propose(slot, command, env)

    @on(Request)
    def allot(self, msg: Request, env: Env) -> None:
        """Phase 2a. The leader lets a client's command have the next slot; others name it."""
        if not self.active:
            _, leader = self.promised
            env.reply(Redirect(msg.number, None if leader in ("", self.id) else leader))
        elif not self.store.accepts(msg.operation):
            env.reply(Response(msg.number, ok=False))
        else:
            self.propose(self.slot_in, Command(env.sender, msg.number, msg.operation), env)
            self.slot_in += 1

    def propose(self, slot: Slot, command: Command, env: Env) -> None:
        """Phase 2a. Ask all acceptors to vote for the command (figure 6)."""
        self.commanders = self.commanders.set(slot, Commander(command))
        env.broadcast(Accept(self.ballot, slot, command))

    @on(Accept)
    def vote(self, msg: Accept, env: Env) -> None:
        """Phase 2b. Vote, unless we have promised a higher ballot (figure 4)."""
        if msg.ballot < self.promised:
            env.reply(Preempted(self.promised))
            return
        self.follow(msg.ballot, env)
        if msg.slot >= self.slot_out:  # Below, the command is the one that we have executed.
            self.votes = self.votes.set(msg.slot, (msg.ballot, msg.command))
        env.reply(Accepted(msg.ballot, msg.slot))

    @on(Accepted)
    def decide(self, msg: Accepted, env: Env) -> None:
        """Phase 2 ends for a slot: its command is chosen, and all replicas are told (figure 6)."""
        commander = self.commanders.get(msg.slot)
        if msg.ballot != self.ballot or commander is None:
            return
        command, voters = commander.command, commander.voters | {env.sender}
        if self.may_choose(voters):
            self.commanders = self.commanders.remove(msg.slot)
            env.broadcast(Decision(msg.slot, command))
        else:
            self.commanders = self.commanders.set(msg.slot, Commander(command, voters))

    @on(Preempted)
    def give_way(self, msg: Preempted, env: Env) -> None:
        """Another leader has a higher ballot (figure 7): wait whether it gets on (section 3)."""
        if msg.ballot > self.promised:
            self.follow(msg.ballot, env)

    def follow(self, ballot: Ballot, env: Env) -> None:
        """Promise a ballot, give up our own if it is lower, and give its leader time."""
        if ballot > self.promised:
            self.promised = ballot
            self.ballot, self.active = NO_BALLOT, False
            self.promises, self.commanders = Map(), Map()
        if ballot != self.ballot:
            env.after(self.patience, LeaderTimeout())

    def may_lead(self, promisers: Collection[NodeId]) -> bool:
        """Whether these acceptors are a quorum of phase 1: here any majority."""
        return len(promisers) >= majority(self.peers)

    def may_choose(self, voters: Collection[NodeId]) -> bool:
        """Whether these acceptors are a quorum of phase 2: here any majority."""
        return len(voters) >= majority(self.peers)

    @on(Decision)
    def learn(self, msg: Decision, env: Env) -> None:
        """A replica learns a command, perhaps before those of earlier slots (figure 1)."""
        if msg.slot >= self.slot_out:
            self.decisions = self.decisions.set(msg.slot, msg.command)
            self.execute(env)

    def execute(self, env: Env) -> None:
        """Execute what is decided, up to the first slot that is not (figure 1)."""
        while self.slot_out in self.decisions:
            self.perform(self.decisions[self.slot_out], env)
            self.slot_out += 1
        self.votes = since(self.slot_out, self.votes)
        self.commanders = since(self.slot_out, self.commanders)
        self.decisions = since(self.slot_out - self.keep, self.decisions)

    def perform(self, command: Command, env: Env) -> None:
        """Execute a command, unless it has been in an earlier slot; the leader answers (figure 1).

        A client that has gone on to its next request does not wait for this one any more.
        """
        if command.client is None or command.operation is None:
            return
        session = self.sessions.get(command.client)
        if session is None or session.number < command.number:
            self.store, result = self.store.apply(command.operation)
            session = Session(command.client, command.number, result)
            self.sessions = self.sessions.set(command.client, session)
        if self.active and session.number == command.number:
            env.send(command.client, Response(command.number, session.result))

    @on(HeartbeatDue)
    def beat(self, timer: HeartbeatDue, env: Env) -> None:
        """The leader shows that it is there (section 3), and repeats what may have been lost."""
        if not self.active:
            return
        env.broadcast(Heartbeat(self.ballot, self.slot_out))
        for slot, commander in self.commanders.items():
            silent = tuple(peer for peer in self.peers if peer not in commander.voters)
            env.multicast(silent, Accept(self.ballot, slot, commander.command))
        env.after(self.heartbeat, HeartbeatDue())

    @on(Heartbeat)
    def hear(self, msg: Heartbeat, env: Env) -> None:
        """Wait on, and see who of us lags behind: that may be a new leader as well."""
        if msg.ballot < self.promised:
            env.reply(Preempted(self.promised))
            return
        self.follow(msg.ballot, env)
        if msg.slot_out > self.slot_out:
            env.reply(CatchUp(self.slot_out))
        elif msg.slot_out < self.slot_out:
            self.bring_on(CatchUp(msg.slot_out), env)

    @on(CatchUp)
    def bring_on(self, msg: CatchUp, env: Env) -> None:
        """Send a replica the decisions that it lacks, or the state if we have forgotten them."""
        if msg.slot_out in self.decisions:
            for slot in range(msg.slot_out, self.slot_out):
                env.reply(Decision(slot, self.decisions[slot]))
        elif msg.slot_out < self.slot_out:
            env.reply(State(self.slot_out, tuple(self.store.parts()), self.sessions.values()))

    @on(State)
    def install(self, msg: State, env: Env) -> None:
        """Skip the slots that another replica has executed for us (PMMC 4.2, PML)."""
        if msg.slot_out <= self.slot_out:
            return
        self.slot_out = msg.slot_out
        self.store = KeyValue.of(msg.pairs)
        self.sessions = Map((session.client, session) for session in msg.sessions)
        self.decisions = since(self.slot_out, self.decisions)
        self.execute(env)


def highest_votes(promises: Collection[Promise]) -> dict[Slot, Vote]:
    """Of each slot that somebody has voted for, the vote of the highest ballot (pmax)."""
    highest: dict[Slot, Vote] = {}
    for promise in promises:
        for slot, vote in promise.votes:
            ballot, _ = highest.get(slot, (NO_BALLOT, NO_OP))
            if vote[0] > ballot:
                highest[slot] = vote
    return highest


def since(first: Slot, slots: Map[Slot, T]) -> Map[Slot, T]:
    """What is known of slots, without those before `first`."""
    for slot in slots:
        if slot >= first:
            break
        slots = slots.remove(slot)
    return slots
