"""Atomic commitment: all who take part in a transaction commit it, or all abort it.

Paper     Philip Bernstein, Vassos Hadzilacos, Nathan Goodman, "Concurrency Control and Recovery in
          Database Systems", 1987, section 7.3, which states the problem as AC1 to AC5. Protocols
          that solve it stand beside this module, and derive their nodes from `Participant`.
Safety    Agreement (AC1): whoever decides, decides alike. decisions_stand (AC2): nobody reverses a
          decision. AllVotedYes (AC3): commit is decided only if all have voted yes.
          Clients see the same as linearizability: who looks at a transaction in doubt has to wait
          for its locks, so whoever sees it committed anywhere sees it so everywhere from then on.
Liveness  AC4, that commit is decided if all vote yes and nothing fails, and AC5, that all decide
          once failures are repaired, are each protocol's own affair.
"""

from enum import Enum

from quorate.kernel import (
    Durable,
    Env,
    Event,
    Map,
    Monitor,
    Node,
    NodeId,
    Response,
    Set,
    each_step,
)

Tid = str  # A transaction's name: its clients give it.
Asker = tuple[NodeId, int]  # a client, and the number of its request


class Word(Enum):
    """One of a few words, shown as such."""

    def __repr__(self) -> str:
        return str(self.value)


class State(Word):
    """How far a participant is with a transaction; it has no state before it votes."""

    PREPARED = "prepared"  # It has voted yes, and may not decide by itself any more.
    PRECOMMITTED = "precommitted"  # It knows that all have voted yes.
    COMMITTED = "committed"
    ABORTED = "aborted"


DECISIONS = (State.COMMITTED, State.ABORTED)


class Participant(Node):
    """One who votes on transactions, and shows clients what those have done to its data.

    Attributes:
        willing: whether it can do its part of a transaction: one of these, by chance.
        log: how far it is with each transaction.
        waiting: clients who look, and wait for the end of a transaction in doubt.
    """

    willing: tuple[bool, ...] = (True,)
    log: Durable[Map[Tid, State]] = Map()
    waiting: Map[Tid, Set[Asker]] = Map()

    @property
    def participants(self) -> tuple[NodeId, ...]:
        """Those whose votes a commit needs."""
        return self.peers

    def in_doubt(self) -> tuple[Tid, ...]:
        """The transactions that we have voted for without knowing yet what was decided."""
        return tuple(tid for tid, state in self.log.items() if state not in DECISIONS)

    def look(self, tid: Tid, asker: Asker, env: Env) -> None:
        """Tell a client whether the transaction has changed our data, once that is settled."""
        state = self.log.get(tid)
        if state is None or state in DECISIONS:
            client, number = asker
            env.send(client, Response(number, state is State.COMMITTED))
        else:
            self.waiting = self.waiting.set(tid, self.waiting.get(tid, Set()) | {asker})

    def settle(self, tid: Tid, outcome: State, env: Env) -> None:
        """Commit or abort: the transaction's locks are free."""
        self.log = self.log.set(tid, outcome)
        if tid in self.waiting:
            for client, number in self.waiting[tid]:
                env.send(client, Response(number, outcome is State.COMMITTED))
            self.waiting = self.waiting.remove(tid)


@each_step
def decisions_stand(before: Participant, event: Event, after: Participant) -> bool:
    """AC2. A participant never reverses its decision."""
    changed, removed = after.log.changes_since(before.log)
    return not any(before.log.get(tid) in DECISIONS for tid, _ in changed) and not removed


class Agreement(Monitor):
    """AC1. All participants that decide about a transaction decide the same."""

    reads = ("log",)
    outcomes: Map[Tid, State] = Map()

    def watch(self, before: Participant, event: Event, after: Participant) -> bool:
        changed, _ = after.log.changes_since(before.log)
        for tid, state in changed:
            if state in DECISIONS:
                if self.outcomes.get(tid, state) is not state:
                    return False
                self.outcomes = self.outcomes.set(tid, state)
        return True


class AllVotedYes(Monitor):
    """AC3. A transaction is committed only once all participants are prepared for it."""

    reads = ("log",)
    prepared: Map[Tid, Set[NodeId]] = Map()

    def watch(self, before: Participant, event: Event, after: Participant) -> bool:
        changed, _ = after.log.changes_since(before.log)
        for tid, state in changed:
            prepared = self.prepared.get(tid, Set())
            if state in (State.PREPARED, State.PRECOMMITTED):
                self.prepared = self.prepared.set(tid, prepared | {after.id})
            elif state is State.COMMITTED and any(id not in prepared for id in after.participants):
                return False
        return True
