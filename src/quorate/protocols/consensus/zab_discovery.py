"""Zab phases 0 and 1: a process takes it on itself to lead; it finds an epoch, and the history."""

from quorate.kernel import Env, Log, Map, NodeId, Set, Start, on
from quorate.protocols.consensus.zab_state import (
    BROADCAST,
    DISCOVERY,
    FOLLOWING,
    LEADING,
    LOOKING,
    SYNCHRONIZATION,
    Ack,
    AckEpoch,
    AckLeader,
    CEpoch,
    Heartbeat,
    HeartbeatTimeout,
    NewEpoch,
    Timeout,
    ZabState,
    last_of,
)


class Discovery(ZabState):
    """From no leader to a leader that knows what may have been committed before it."""

    # Phase 0: the leader oracle

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """A process that starts, or comes back, looks for a leader."""
        self.others = tuple(peer for peer in self.peers if peer != self.id)
        self.look(env)

    def look(self, env: Env) -> None:
        """Go back to phase 0."""
        self.role = LOOKING
        self.leader = None
        self.epoch = 0
        self.phase = DISCOVERY
        self.epochs, self.promises, self.acked = Map(), Map(), Map()
        self.followers = self.heard = Set()
        env.after(self.patience, Timeout())

    @on(Timeout)
    def doubt(self, timer: Timeout, env: Env) -> None:
        """Without a leader for so long, lead; a leader without a quorum for so long gives up."""
        if self.role != LEADING:
            self.lead(env)
        elif self.phase == BROADCAST and len(self.heard | {self.id}) >= self.quorum:
            self.heard = Set()
            env.after(self.patience, Timeout())
        else:
            self.look(env)

    def lead(self, env: Env) -> None:
        """Be a prospective leader, with oneself as the first follower."""
        self.look(env)
        self.role = LEADING
        self.leader = self.id
        self.epochs = Map({self.id: self.accepted_epoch})
        self.beat(HeartbeatTimeout(), env)

    @on(HeartbeatTimeout)
    def beat(self, timer: HeartbeatTimeout, env: Env) -> None:
        """Tell everybody who leads."""
        if self.role == LEADING:
            env.multicast(self.others, Heartbeat(self.epoch, self.last, self.committed))
            env.after(self.heartbeat, HeartbeatTimeout())

    @on(Heartbeat)
    def follow(self, msg: Heartbeat, env: Env) -> None:
        """Follow whoever leads, if we follow nobody; find out whether we have missed anything.

        A leader whose epoch is later than any that we know of has taken over from ours. But a
        primary gives up for want of a quorum alone.
        """
        is_later = msg.epoch > self.accepted_epoch and not self.is_primary
        if self.role == LOOKING or is_later:
            self.look(env)
            self.role = FOLLOWING
            self.leader = env.sender
        elif self.role == LEADING or self.leader != env.sender:
            return
        env.after(self.patience, Timeout())
        if msg.epoch == self.epoch > 0 and msg.last <= self.last:
            self.deliver(msg.committed, env)
            env.reply(Ack(self.epoch, self.last))
        else:
            self.join(env)

    # Phase 1: discovery

    def join(self, env: Env) -> None:
        """Step f.1.1. Ask our leader to be taken into its epoch: at first, or after a gap."""
        assert self.leader is not None
        self.epoch = 0
        env.send(self.leader, CEpoch(self.accepted_epoch))

    @on(CEpoch)
    def propose_epoch(self, msg: CEpoch, env: Env) -> None:
        """Step l.1.1. Of a quorum of followers, find an epoch later than any they have accepted."""
        if self.role != LEADING:
            return
        self.heard |= {env.sender}
        if self.epoch > 0:
            if msg.accepted_epoch > self.epoch:
                self.look(env)  # It will never follow us in this epoch.
            else:
                env.reply(NewEpoch(self.epoch))
            return
        self.epochs = self.epochs.set(env.sender, msg.accepted_epoch)
        if len(self.epochs) >= self.quorum:
            self.epoch = max(self.epochs.values()) + 1
            self.accepted_epoch = self.epoch
            joined = tuple(peer for peer in self.others if peer in self.epochs)
            env.multicast(joined, NewEpoch(self.epoch))
            env.send(self.id, AckEpoch(self.epoch, self.current_epoch, self.history[:], True))

    @on(NewEpoch)
    def promise(self, msg: NewEpoch, env: Env) -> None:
        """Step f.1.2. Accept no earlier epoch from now on; tell the leader our history.

        A follower that comes back to its leader has accepted the epoch before. Only its first
        answer is a promise: two who lead may have found the same epoch.
        """
        if self.role != FOLLOWING or env.sender != self.leader:
            return
        if msg.epoch < self.accepted_epoch:
            self.look(env)
            return
        is_first = msg.epoch > self.accepted_epoch
        self.accepted_epoch = msg.epoch
        env.reply(AckEpoch(msg.epoch, self.current_epoch, self.history[:], is_first))

    @on(AckEpoch)
    def choose_history(self, msg: AckEpoch, env: Env) -> None:
        """Step l.1.2. Of a quorum's histories, take the one of the latest epoch, the longest."""
        if self.role != LEADING or msg.epoch != self.epoch:
            return
        self.heard |= {env.sender}
        if self.phase != DISCOVERY:
            self.synchronize((env.sender,), env)
            return
        if not msg.is_first:
            return
        self.promises = self.promises.set(env.sender, msg)
        if len(self.promises) < self.quorum:
            return
        best = max(self.promises.values(), key=lambda p: (p.current_epoch, last_of(p.history)))
        self.phase = SYNCHRONIZATION
        self.current_epoch = self.epoch
        self.history = Log(best.history, start=1)
        self.synchronize(tuple(peer for peer in self.others if peer in self.promises), env)
        env.send(self.id, AckLeader(self.epoch, self.last))

    def synchronize(self, followers: tuple[NodeId, ...], env: Env) -> None:
        """Phase 2, step l.2.1: see `zab_broadcast`."""
        raise NotImplementedError
