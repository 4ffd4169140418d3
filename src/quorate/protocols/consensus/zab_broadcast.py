"""Zab phases 2 and 3: a quorum takes over the leader's history; then the leader adds to it."""

from quorate.kernel import Env, Log, NodeId, Redirect, Request, Response, on
from quorate.protocols.consensus.zab_discovery import Discovery
from quorate.protocols.consensus.zab_state import (
    BROADCAST,
    DISCOVERY,
    FOLLOWING,
    LEADING,
    Ack,
    AckLeader,
    Commit,
    NewLeader,
    Propose,
    Timeout,
    Transaction,
    Zxid,
    last_of,
)
from quorate.protocols.machines.key_value import KeyValue


class Broadcast(Discovery):
    """An established leader, and its followers."""

    # Phase 2: synchronization

    def synchronize(self, followers: tuple[NodeId, ...], env: Env) -> None:
        """Step l.2.1. Have followers take over our history; what we propose from now on too."""
        self.followers |= {*followers}
        env.multicast(followers, NewLeader(self.epoch, self.history[:]))

    @on(NewLeader)
    def take_over(self, msg: NewLeader, env: Env) -> None:
        """Step f.2.1. The leader's history replaces ours, in one with the epoch in which it did.

        Within an epoch a history only grows: a late message brings a shorter one.
        """
        if self.role != FOLLOWING or env.sender != self.leader:
            return
        if msg.epoch != self.accepted_epoch:
            self.look(env)
            return
        if msg.epoch != self.current_epoch or last_of(msg.history) > self.last:
            self.current_epoch = msg.epoch
            self.history = Log(msg.history, start=1)
        self.epoch = msg.epoch
        env.after(self.patience, Timeout())
        env.reply(AckLeader(msg.epoch, self.last))

    @on(AckLeader)
    def establish(self, msg: AckLeader, env: Env) -> None:
        """Step l.2.2. Once a quorum has the initial history, it is committed, and we may add."""
        if not self.note(msg, env):
            return
        if self.phase != BROADCAST and len(self.acked) >= self.quorum:
            self.phase = BROADCAST
            self.commit(env)
        elif self.phase == BROADCAST:
            env.reply(Commit(self.epoch, self.committed))

    def note(self, msg: AckLeader | Ack, env: Env) -> bool:
        """Remember how far a follower's history is ours; False for what concerns another epoch."""
        if self.role != LEADING or msg.epoch != self.epoch or self.phase == DISCOVERY:
            return False
        self.heard |= {env.sender}
        known = self.acked.get(env.sender, msg.last)
        self.acked = self.acked.set(env.sender, max(known, msg.last))
        return True

    # Phase 3: broadcast

    @on(Request)
    def propose(self, msg: Request, env: Env) -> None:
        """Step l.3.1. The primary gives the request the next zxid, unless it knows it."""
        if not self.is_primary:
            # In step with our leader, we cannot lead a client round in a circle.
            env.reply(Redirect(msg.number, self.leader if self.epoch > 0 else None))
            return
        if not KeyValue.accepts(msg.operation):
            env.reply(Response(msg.number, ok=False))
            return
        if msg.number <= self.newest_request(env.sender):
            outcome = self.outcomes.get(env.sender)
            if outcome is not None and outcome.number == msg.number:
                env.reply(Response(msg.number, outcome.result))
            return
        transaction = Transaction(self.next_zxid(), env.sender, msg.number, msg.operation)
        self.history = self.history.append(transaction)
        env.multicast(tuple(self.followers), Propose(self.epoch, transaction))
        env.send(self.id, Ack(self.epoch, self.last))

    @on(Propose)
    def accept(self, msg: Propose, env: Env) -> None:
        """Step f.3.1. Append what comes next; after a gap, join the epoch anew."""
        if not self.is_in_step(msg.epoch, env):
            return
        if msg.transaction.zxid == self.next_zxid():
            self.history = self.history.append(msg.transaction)
        if msg.transaction.zxid <= self.last:
            env.reply(Ack(self.epoch, self.last))
        else:
            self.join(env)

    def is_in_step(self, epoch: int, env: Env) -> bool:
        """Whether the sender is our leader, and we have taken over its history in this epoch."""
        return self.role == FOLLOWING and self.leader == env.sender and self.epoch == epoch

    @on(Ack)
    def acknowledge(self, msg: Ack, env: Env) -> None:
        """Step l.3.2. What a quorum has on disk is committed."""
        if self.note(msg, env) and self.phase == BROADCAST and self.reached() > self.committed:
            self.commit(env)

    def reached(self) -> Zxid:
        """The latest zxid that a quorum has on disk, and all before it."""
        return sorted(self.acked.values(), reverse=True)[self.quorum - 1]

    def commit(self, env: Env) -> None:
        """Steps l.2.2 and l.3.2. Deliver what a quorum has, and let the followers do so too."""
        self.deliver(self.reached(), env)
        env.multicast(tuple(self.followers), Commit(self.epoch, self.committed))

    @on(Commit)
    def learn(self, msg: Commit, env: Env) -> None:
        """Steps f.2.2 and f.3.2. Deliver, in the order of the history; after a gap, join anew."""
        if not self.is_in_step(msg.epoch, env):
            return
        if msg.zxid <= self.last:
            self.deliver(msg.zxid, env)
        else:
            self.join(env)
