"""Zab's vocabulary: the persistent and volatile state of a process, and the messages of its phases.

The phases themselves stand in files of their own; see `zab`.
"""

from typing import Final, Literal

import msgspec

from quorate.kernel import (
    Durable,
    Env,
    Log,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Response,
    Set,
    Timer,
    majority,
    ms,
)
from quorate.protocols.machines.key_value import KeyValue, Value

Role = Literal["looking", "following", "leading"]
LOOKING: Final = "looking"
FOLLOWING: Final = "following"
LEADING: Final = "leading"

Phase = Literal["discovery", "synchronization", "broadcast"]
DISCOVERY: Final = "discovery"
SYNCHRONIZATION: Final = "synchronization"
BROADCAST: Final = "broadcast"

Zxid = tuple[int, int]  # (epoch, counter): ordered, and no two transactions share one
NOTHING: Zxid = (0, 0)


class Transaction(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """What a primary broadcasts: a request of a client, with its place in the order."""

    zxid: Zxid
    client: NodeId
    number: int
    operation: Operation


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A client's newest request that was delivered, and its result."""

    number: int
    result: Value


class Heartbeat(Message):  # phase 0, and ever after: leader -> all
    epoch: int  # 0 if it has none yet
    last: Zxid
    committed: Zxid


class CEpoch(Message):  # phase 1: follower -> leader
    accepted_epoch: int


class NewEpoch(Message):  # phase 1: leader -> followers
    epoch: int


class AckEpoch(Message):  # phase 1: follower -> leader
    epoch: int
    current_epoch: int
    history: tuple[Transaction, ...]
    is_first: bool  # A repetition may be to another leader, and so makes no quorum.


class NewLeader(Message):  # phase 2: leader -> followers
    epoch: int
    history: tuple[Transaction, ...]


class AckLeader(Message):  # phase 2: follower -> leader
    epoch: int
    last: Zxid


class Propose(Message):  # phase 3: leader -> followers
    epoch: int
    transaction: Transaction


class Ack(Message):  # phase 3: follower -> leader
    epoch: int
    last: Zxid  # The sender has this transaction on its disk, and all before it.


class Commit(Message):  # phases 2 and 3: leader -> followers
    epoch: int
    zxid: Zxid


class Timeout(Timer):
    """Always pending: nothing was heard of the leader, or, on a leader, of a quorum."""


class HeartbeatTimeout(Timer):
    """Pending on a leader."""


class ZabState(Node):
    """The state of a process."""

    heartbeat: int = ms(50)  # from one of a leader's heartbeats to the next
    patience: tuple[int, int] = (ms(150), ms(300))  # bounds of a timeout
    others: tuple[NodeId, ...] = ()  # all processes but this one
    # Persistent, all three
    accepted_epoch: Durable[int] = 0  # the last NewEpoch that we have acknowledged
    current_epoch: Durable[int] = 0  # the last NewLeader that we have acknowledged
    history: Durable[Log[Transaction]] = Log(start=1)
    # The replicated service: all transactions up to `delivered` have been delivered to it.
    delivered: int = 0
    store: KeyValue = KeyValue()
    outcomes: Map[NodeId, Outcome] = Map()
    # Every process
    role: Role = LOOKING
    leader: NodeId | None = None
    epoch: int = 0  # the one in which we lead, or are in step with our leader; 0 for none yet
    # Leader
    phase: Phase = DISCOVERY
    epochs: Map[NodeId, int] = Map()  # phase 1: what each follower has accepted
    promises: Map[NodeId, AckEpoch] = Map()  # phase 1: to follow us in our epoch
    followers: Set[NodeId] = Set()  # phases 2, 3: who gets our proposals
    acked: Map[NodeId, Zxid] = Map()  # phases 2, 3: how far each follower's history is ours
    heard: Set[NodeId] = Set()  # since the last timeout

    @property
    def quorum(self) -> int:
        """The size of a quorum: any two have a process in common."""
        return majority(self.peers)

    @property
    def last(self) -> Zxid:
        """The zxid of the newest transaction in our history."""
        return last_of(self.history)

    @property
    def committed(self) -> Zxid:
        """The zxid of the newest transaction that was delivered."""
        return self.history[self.delivered].zxid if self.delivered else NOTHING

    @property
    def is_primary(self) -> bool:
        """Whether this process may broadcast: its epoch is established (phase 3)."""
        return self.role == LEADING and self.phase == BROADCAST

    def next_zxid(self) -> Zxid:
        """Of the next transaction that is broadcast in our epoch."""
        epoch, counter = self.last
        return (self.epoch, counter + 1 if epoch == self.epoch else 1)

    def newest_request(self, client: NodeId) -> int:
        """The number of a client's newest request in our history; 0 if there is none."""
        waiting = [t.number for t in self.history[self.delivered + 1 :] if t.client == client]
        outcome = self.outcomes.get(client)
        return max([*waiting, outcome.number if outcome else 0])

    def deliver(self, zxid: Zxid, env: Env) -> None:
        """Deliver all transactions up to `zxid`, in the order of the history (§III)."""
        while self.delivered < self.history.end - 1:
            transaction = self.history[self.delivered + 1]
            if transaction.zxid > zxid:
                return
            self.delivered += 1
            client, number = transaction.client, transaction.number
            self.store, result = self.store.apply(transaction.operation)
            self.outcomes = self.outcomes.set(client, Outcome(number, result))
            if self.role == LEADING:
                env.send(client, Response(number, result))


def last_of(history: Log[Transaction] | tuple[Transaction, ...]) -> Zxid:
    """The zxid of the newest transaction in a history."""
    return history[-1].zxid if history else NOTHING
