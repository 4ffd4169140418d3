"""Raft, thesis §6.4.1: reads that cost no round, as clocks run at bounded rates.

A read may say what it needs, as the operation that it stands in:

    Operation("linearizable", None, read)      a round of heartbeats, whatever the configuration
    Operation("lease", None, read)             the leader's lease, where leases are kept
    Operation("stale", None, (ms(500), read))  any server that was up to date so long ago

The lease rests on a promise: for the least election timeout after it has heard its leader, a server
votes for nobody else, whatever newer term it learns of, and though it crash in between.

A server is stale by the time since it heard its leader, and that message's way, which no clock of
one server measures.
"""

from quorate.kernel import Env, Operation, Redirect, Request, Response, Start, on
from quorate.protocols.consensus.raft_membership import Membership
from quorate.protocols.consensus.raft_state import (
    LEADER,
    AppendEntries,
    AppendReply,
    Read,
    RequestVote,
)

MILLION = 1_000_000
KINDS = frozenset({"linearizable", "lease", "stale"})


class Leases(Membership):
    """Reads by the clock."""

    heard_at: int | None = None  # when we last promised our leader to vote for nobody else
    fresh_at: int | None = None  # when we last knew, and had applied, all that was committed
    probe: tuple[int, int] | None = None  # a round that is to renew the lease, and when it was sent
    lease_end: int = 0

    # The promise

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """We may have promised something just before the crash."""
        super().start(event, env)
        if self.config.lease_reads and event.recovered:
            self.heard_at = env.now

    def follow(self, term: int, env: Env) -> None:
        """Who answers a leader promises to vote for no other one until the least timeout."""
        super().follow(term, env)
        if self.config.lease_reads:
            self.heard_at = env.now

    @on(RequestVote)
    def vote(self, msg: RequestVote, env: Env) -> None:
        """Keep the promise, though our leader's term may be over; unless it wants it so itself."""
        is_free = self.heard_at is None or env.now - self.heard_at >= self.config.election[0]
        if is_free or msg.disrupt:
            super().vote(msg, env)

    # The lease

    def lead(self, env: Env) -> None:
        """A lease belongs to one term."""
        self.probe, self.lease_end = None, 0
        super().lead(env)

    def replicate(self, env: Env) -> None:
        """Note when a round leaves: no promise that answers it can be older."""
        super().replicate(env)
        if self.probe is None and (self.config.lease_reads or self.config.stale_reads):
            self.probe = (self.round, env.now)

    @on(AppendReply)
    def acknowledge(self, msg: AppendReply, env: Env) -> None:
        """Thesis §6.4.1. A majority has answered: there is no other leader for a while."""
        super().acknowledge(msg, env)
        if self.probe is not None and self.role == LEADER:
            number, sent = self.probe
            if self.reached_by_majority(self.answered) >= number:
                self.lease_end = sent + self.lease()
                self.fresh_at = sent
                self.probe = None

    def lease(self) -> int:
        """The least timeout by the fastest clock of all, as the slowest one measures it."""
        slowest, fastest = MILLION - self.config.clock_ppm, MILLION + self.config.clock_ppm
        return self.config.election[0] * slowest // fastest

    def holds_lease(self, env: Env) -> bool:
        """Whether we are surely the only leader, and have applied all that is committed.

        Not any more if we have sent somebody against ourselves, who may take his time.
        """
        return (
            self.config.lease_reads
            and env.now < self.lease_end
            and not self.has_yielded
            and self.term_at(self.commit_index) == self.current_term
        )

    def read(self, read: Read, env: Env) -> None:
        """Thesis §6.4.1. While the lease lasts, a read needs no round."""
        if self.holds_lease(env):
            self.answer(read, env)
        else:
            super().read(read, env)

    # Reads that say what they need

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """Take the read out of the operation that it stands in; what is no read goes as usual."""
        kind, bound, inner = msg.operation.f, 0, msg.operation.value
        if kind not in KINDS:
            super().serve(msg, env)
            return
        if kind == "stale":
            bound, inner = inner if isinstance(inner, tuple) and len(inner) == 2 else (0, None)
        if not isinstance(inner, Operation) or not isinstance(bound, int):
            env.reply(Response(msg.number, ok=False))
            return
        is_open = self.role == LEADER and self.heir is None
        if is_open and self.state.machine.accepts(inner):
            inner = self.state.machine.stamped(inner, env)
        read = Read(env.sender, msg.number, inner, self.round + 1)
        if not self.is_read(inner) or (kind != "stale" and not is_open):
            super().serve(Request(msg.number, inner, msg.once), env)
        elif kind == "stale":
            self.read_stale(bound, read, env)
        elif kind == "lease":
            self.read(read, env)
        else:
            super().read(read, env)

    def is_read(self, operation: Operation) -> bool:
        """Whether our machine takes it, and is not changed by it."""
        return self.state.machine.accepts(operation) and self.state.machine.is_read(operation)

    def read_stale(self, bound: int, read: Read, env: Env) -> None:
        """Answer from our state, if it is fresh enough; the leader can make sure that it is."""
        if self.fresh_at is not None and env.now - self.fresh_at <= bound:
            self.answer(read, env)
        elif self.role == LEADER:
            self.read(read, env)
        else:
            env.send(read.client, Redirect(read.number, self.leader))

    @on(AppendEntries)
    def append(self, msg: AppendEntries, env: Env) -> None:
        """We are fresh when we have applied what our leader knows to be committed."""
        super().append(msg, env)
        is_ours = msg.term == self.current_term and self.commit_index >= msg.leader_commit
        if self.config.stale_reads and is_ours:
            self.fresh_at = env.now
