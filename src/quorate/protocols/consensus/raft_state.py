"""Raft's vocabulary: the state and the messages of the paper's Figures 2 and 13.

The sections of the paper that act on them stand in files of their own; see `raft`.
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
    ms,
)
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry, StateMachine
from quorate.protocols.machines.machine import Part

Role = Literal["follower", "pre-candidate", "candidate", "leader"]
FOLLOWER: Final = "follower"
PRE_CANDIDATE: Final = "pre-candidate"
CANDIDATE: Final = "candidate"
LEADER: Final = "leader"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, the same on all servers. Durations are nanoseconds.

    Attributes:
        heartbeat: from one round of AppendEntries to the next.
        election: least and greatest election timeout.
        pre_vote: ask whether an election could be won before disturbing a leader (thesis §9.6).
        check_quorum: a leader that hears from no majority steps down, and followers that hear
            from a leader vote for nobody else (thesis §6.2, §4.2.3).
        no_op: a new leader commits an entry of its own at once (§8).
        batching: requests that arrive together are replicated together.
        max_entries: in one AppendEntries.
        max_in_flight: AppendEntries full of entries that a follower has not acknowledged.
        snapshot_every: applied entries from one snapshot to the next; 0 for no snapshots.
        staggered: servers take their snapshots in turn, or all would be slow at the same time.
        chunk_parts: parts of a snapshot in one InstallSnapshot.
        max_sessions: clients whose last result is remembered.
        initial: how many of the peers, the first ones, are the first configuration; 0 for all.
        lease_reads: the leader reads without a round while its lease lasts (thesis §6.4.1); needs
            `check_quorum`, and clocks that keep to `clock_ppm`.
        clock_ppm: how much faster or slower than true time a clock may run, in millionths.
        stale_reads: servers know since when they may lag behind, and serve reads that allow it.
    """

    heartbeat: int = ms(50)
    election: tuple[int, int] = (ms(150), ms(300))
    pre_vote: bool = True
    check_quorum: bool = True
    no_op: bool = True
    batching: bool = True
    max_entries: int = 64
    max_in_flight: int = 4
    snapshot_every: int = 100
    staggered: bool = False
    chunk_parts: int = 64
    max_sessions: int = 1000
    initial: int = 0
    lease_reads: bool = False
    clock_ppm: int = 1000
    stale_reads: bool = False

    def __post_init__(self) -> None:
        if self.lease_reads and not self.check_quorum:
            raise ValueError("lease_reads needs check_quorum: followers must not vote in a lease")


class Covered(msgspec.Struct, frozen=True, gc=False):
    """What a snapshot covers: the log up to `index`, whose entry is of `term`."""

    index: int = 0
    term: int = 0
    configuration: Configuration = Configuration()

    @property
    def covered(self) -> "Covered":
        """This alone, without a state: who keeps a state keeps all that it was."""
        return Covered(self.index, self.term, self.configuration)


class Snapshot(Covered, frozen=True, gc=False):
    """What applying that much of the log has made of the state.

    It costs nothing, as the state is immutable: whoever sends or writes it takes it to parts.
    """

    state: StateMachine = StateMachine()


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """The first parts of a snapshot that is being received."""

    index: int = 0
    term: int = 0
    parts: Log[Part] = Log()


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A snapshot on its way to a follower, which has its parts up to `offset`."""

    snapshot: Snapshot
    offset: int = 0


class Read(msgspec.Struct, frozen=True, gc=False):
    """A client's read, which waits until a majority has answered `round`."""

    client: NodeId
    number: int
    operation: Operation
    round: int


class RequestVote(Message, repr_omit_defaults=True):  # candidate -> all
    term: int
    last_log_index: int
    last_log_term: int
    pre: bool  # Would you vote for me? Nobody's term changes by it.
    disrupt: bool = False  # The leader itself wants it (thesis §3.10).


class Vote(Message):  # -> candidate; the result of RequestVote
    term: int
    granted: bool
    pre: bool


class AppendEntries(Message):  # leader -> followers
    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int
    round: int


class AppendReply(Message):  # -> leader; the result of AppendEntries
    term: int
    success: bool
    match_index: int  # Our logs agree up to here; or, without success, they may.
    round: int


class InstallSnapshot(Message):  # leader -> follower
    term: int
    last_index: int
    last_term: int
    configuration: Configuration
    offset: int
    parts: tuple[Part, ...]
    done: bool
    round: int


class SnapshotReply(Message):  # follower -> leader; the result of InstallSnapshot
    term: int
    last_index: int
    offset: int  # The next chunk is to begin here.
    round: int


class TakeSnapshot(Message):  # operator -> server
    pass


class ElectionTimeout(Timer):
    """Always pending, in every role.

    A follower that hears a leader sets it to the least timeout, and to the rest only after that.
    """


class HeartbeatTimeout(Timer):
    """Pending on a leader."""


class RaftState(Node):
    """The state of Figure 2, with what snapshots (§7) and reads (§8) add to it."""

    config: Config = Config()
    # The latest configuration that is surely committed, and those in the log after it, by index
    configurations: tuple[tuple[int, Configuration], ...] = ()
    others: tuple[NodeId, ...] = ()  # All servers of the latest but this server itself.
    # Persistent state on all servers
    current_term: Durable[int] = 0
    voted_for: Durable[NodeId | None] = None
    log: Durable[Log[Entry]] = Log(start=1)
    # Volatile state on all servers
    role: Role = FOLLOWER
    leader: NodeId | None = None  # Whom we have heard from within the least election timeout.
    commit_index: int = 0
    state: StateMachine = StateMachine()
    # Snapshots: the newest that is durable, the one being stored, the one being received
    snapshot: Covered = Covered()
    storing: Covered | None = None
    incoming: Incoming = Incoming()
    # Volatile state on candidates
    votes: Set[NodeId] = Set()
    # Volatile state on leaders, reinitialized after election
    next_index: Map[NodeId, int] = Map()
    match_index: Map[NodeId, int] = Map()
    transfers: Map[NodeId, Transfer] = Map()
    round: int = 0  # Numbers what the leader has sent to all followers.
    answered: Map[NodeId, int] = Map()  # the newest round that each server has answered
    checked_round: int = 0  # when the leader last made sure of its majority
    sent_index: int = 0  # the end of the log in the newest round
    reads: tuple[Read, ...] = ()

    @property
    def last_index(self) -> int:
        """The index of the newest entry, which may be in the snapshot."""
        return self.log.end - 1

    @property
    def last_term(self) -> int:
        """The term of the newest entry."""
        return self.log[self.last_index].term if self.log else self.snapshot.term

    def term_at(self, index: int) -> int | None:
        """The term of the entry at `index`; None if we do not have it, or no longer."""
        if self.log.start <= index < self.log.end:
            return self.log[index].term
        return self.snapshot.term if index == self.snapshot.index else None

    @property
    def configuration(self) -> Configuration:
        """The latest one in the log, committed or not (thesis §4.1)."""
        return self.configurations[-1][1]

    def configuration_at(self, index: int) -> Configuration:
        """The one that was the latest at a committed index."""
        return [configuration for at, configuration in self.configurations if at <= index][-1]

    def configure(self, configurations: tuple[tuple[int, Configuration], ...]) -> None:
        """Use the last of these, and forget those that a committed one has replaced."""
        while len(configurations) > 1 and configurations[1][0] <= self.commit_index:
            configurations = configurations[1:]
        self.configurations = configurations
        self.others = tuple(id for id in self.configuration.servers if id != self.id)

    def reached_by_majority(self, progress: Map[NodeId, int]) -> int:
        """The greatest number that a majority of the servers has reached."""
        return self.configuration.reached(progress)
