"""Viewstamped Replication's vocabulary: the state of the paper's Figure 2, and its messages.

The sections of the paper that act on them stand in files of their own; see `vr`.
"""

from typing import Final, Literal

import msgspec

from quorate.kernel import (
    Durable,
    Log,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Set,
    Timer,
    majority,
    ms,
)
from quorate.protocols.machines.key_value import KeyValue, Value

Status = Literal["normal", "view-change", "recovering"]
NORMAL: Final = "normal"
VIEW_CHANGE: Final = "view-change"
RECOVERING: Final = "recovering"

Incarnations = tuple[int, ...]  # how often each replica has crashed, in the order of `peers`


class Entry(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """One request in the log. Its op-number is its index there."""

    client: NodeId
    number: int
    operation: Operation


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A row of the client-table: a client's newest executed request, and its result."""

    number: int
    result: Value


class Prepare(Message):  # §4.1: primary -> backups
    view: int
    op_number: int
    entry: Entry
    commit_number: int


class PrepareOk(Message):  # §4.1: backup -> primary
    view: int
    op_number: int  # The sender has this request in its log, and all before it.


class Commit(Message):  # §4.1: primary -> backups, when there is no request to prepare
    view: int
    commit_number: int


class StartViewChange(Message):  # §4.2: replica -> replicas
    view: int


class DoViewChange(Message):  # §4.2: replica -> primary of the new view
    view: int
    log: tuple[Entry, ...]
    last_normal: int
    commit_number: int
    incarnations: Incarnations


class StartView(Message):  # §4.2: primary of the new view -> backups
    view: int
    log: tuple[Entry, ...]
    commit_number: int


class Recovery(Message):  # §4.3: recovering replica -> replicas
    nonce: int


class RecoveryResponse(Message):  # §4.3: replica -> recovering replica
    view: int
    nonce: int
    log: tuple[Entry, ...] | None  # The primary of the view, and nobody else, tells it.
    commit_number: int
    incarnations: Incarnations


class GetState(Message):  # §5.2: replica that lags behind -> replica
    view: int
    commit_number: int


class NewState(Message):  # §5.2: replica -> replica that lags behind
    view: int
    op_number: int  # What follows comes after this one.
    entries: tuple[Entry, ...]
    commit_number: int


class CommitTimeout(Timer):
    """Pending on a primary: it has prepared nothing for a while."""


class ViewTimeout(Timer):
    """Pending on all who are not primary: nothing has been heard of one for a while."""


class RecoveryTimeout(Timer):
    """Pending on a recovering replica: not enough have answered."""


class VrState(Node):
    """The state of Figure 2, and what a view change and a recovery gather."""

    heartbeat: int = ms(50)  # From one message of an idle primary to the next.
    patience: tuple[int, int] = (ms(150), ms(300))  # bounds of the view timeout
    others: tuple[NodeId, ...] = ()  # all replicas but this one
    # What survives a crash: the number of crashes, for nonces must never be used again (§4.3).
    incarnation: Durable[int] = 0
    incarnations: Incarnations = ()  # of all replicas, as far as we have heard: the crash vector
    # All replicas
    status: Status = NORMAL
    view: int = 0
    last_normal: int = 0  # the latest view in which our status was normal, whose log ours is
    log: Log[Entry] = Log(start=1)
    commit_number: int = 0
    # The service, with the client-table: all requests up to commit_number are executed.
    store: KeyValue = KeyValue()
    outcomes: Map[NodeId, Outcome] = Map()
    # Primary
    prepared: Map[NodeId, int] = Map()  # how far the log of each backup reaches
    # View change
    starters: Set[NodeId] = Set()  # who else is for this view
    votes: Map[NodeId, DoViewChange] = Map()
    # Recovery
    responses: Map[NodeId, RecoveryResponse] = Map()

    @property
    def op_number(self) -> int:
        """That of the newest request in the log."""
        return self.log.end - 1

    @property
    def is_primary(self) -> bool:
        """Whether this replica serves clients."""
        return self.status == NORMAL and self.primary_of(self.view) == self.id

    @property
    def quorum(self) -> int:
        """The paper's f + 1: any two quorums have a replica in common."""
        return majority(self.peers)

    def primary_of(self, view: int) -> NodeId:
        """The primary is chosen round-robin, by the number of the view (§4)."""
        return self.peers[view % len(self.peers)]

    def learn(self, incarnations: Incarnations) -> None:
        """Crash vectors: whatever anybody knows of crashes spreads with its messages."""
        self.incarnations = tuple(map(max, self.incarnations, incarnations))

    def is_current(self, sender: NodeId, incarnations: Incarnations) -> bool:
        """Whether the sender has not crashed, as far as we know, since it sent these."""
        index = self.peers.index(sender)
        return incarnations[index] == self.incarnations[index]

    def newest_request(self, client: NodeId) -> int:
        """The number of a client's newest request, executed or not; 0 if there is none."""
        waiting = [e.number for e in self.log[self.commit_number + 1 :] if e.client == client]
        outcome = self.outcomes.get(client)
        return max([*waiting, outcome.number if outcome else 0])
