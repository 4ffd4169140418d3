"""What must hold of Raft: the five properties of the paper's Figure 3, and a few more."""

from collections.abc import Iterator, Sequence

from quorate.kernel import (
    Event,
    Log,
    Map,
    Monitor,
    NodeId,
    Set,
    Start,
    each_step,
    eventually,
    majority,
    sometimes,
)
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    RaftState,
    RequestVote,
)
from quorate.protocols.consensus.raft_transfer import TimeoutNow
from quorate.protocols.machines.machine import Machine

ON_ITS_WAY = 20
"""Entries that a busy leader may have committed within the time that a message takes."""


def is_enough(servers: Set[NodeId], configuration: Configuration, spare: int = 0) -> bool:
    """Whether these are a majority of the configuration, on both sides if it is joint (§6).

    Counted by itself, so that servers that count otherwise are noticed; `spare` as if there were
    so many voters fewer.
    """
    sides = (configuration.voters, configuration.outgoing)
    return all(
        sum(id in servers for id in side) >= majority(side[spare:]) for side in sides if side
    )


class ElectionSafety(Monitor):
    """At most one leader can be elected in a given term (§5.2), even if the first is dead."""

    reads = ("role", "current_term")
    leaders: Map[int, NodeId] = Map()

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        if after.role != LEADER:
            return True
        known = self.leaders.get(after.current_term)
        if known is None:
            self.leaders = self.leaders.set(after.current_term, after.id)
        return known is None or known == after.id


class ElectedByMajority(Monitor):
    """A leader has the votes of a majority of its configuration, for its very term (§5.2)."""

    reads = ("role", "current_term", "voted_for")
    votes: Map[tuple[int, NodeId], Set[NodeId]] = Map()  # (term, candidate) -> who voted so

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        if after.voted_for is not None:
            election = (after.current_term, after.voted_for)
            voters = self.votes.get(election, Set()) | {after.id}
            self.votes = self.votes.set(election, voters)
        if after.role != LEADER or before.role == LEADER:
            return True
        voters = self.votes.get((after.current_term, after.id), Set())
        _, latest = after.configurations[-1]
        return is_enough(voters, latest)


class CommittedByMajority(Monitor):
    """What any server takes for committed is on the disks of a majority (§5.3)."""

    reads = ("log", "commit_index")
    logs: Map[NodeId, Log[Entry]] = Map()
    committed: int = 0

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        self.logs = self.logs.set(after.id, after.log)
        index = after.commit_index
        if index <= self.committed:
            return True
        self.committed, on_disk = index, self.have(index, after)
        if before.role == LEADER:
            return is_enough(on_disk, before.configurations[-1][1])
        # The leader may have counted by a configuration of which we have not heard.
        return any(is_enough(on_disk, each, spare=1) for each in self.possible(after))

    def have(self, index: int, node: RaftState) -> Set[NodeId]:
        """On whose disks the node's entry at `index` is."""
        term = node.term_at(index)
        return Set(
            id
            for id, log in self.logs.items()
            if index < log.start or (index < log.end and log[index].term == term)
        )

    def possible(self, node: RaftState) -> Iterator[Configuration]:
        """The configurations that the leader of a follower may have counted by."""
        for index, each in node.configurations:
            yield each
            if each.outgoing:
                on_disk = self.have(index, node)
                if index >= node.log.start and not is_enough(on_disk, each, spare=1):
                    return  # Nothing comes after it before both sides have it (thesis §4.3).
                yield each.settled()


@each_step
def commits_its_own_term(before: RaftState, event: Event, after: RaftState) -> bool:
    """A leader counts replicas of entries of its own term only (§5.4.2)."""
    if after.role != LEADER or after.commit_index == before.commit_index:
        return True
    return after.term_at(after.commit_index) == after.current_term


@each_step
def leader_append_only(before: RaftState, event: Event, after: RaftState) -> bool:
    """A leader never overwrites or deletes entries in its log; it only appends (§5.3)."""
    stays = before.role == after.role == LEADER and before.current_term == after.current_term
    if not stays or after.log is before.log:
        return True
    return after.log.changes_since(before.log).kept == before.log.end


class LogMatching(Monitor):
    """Logs with an entry of the same index and term are identical up to it (§5.3).

    It follows by induction if index and term determine the entry and the term before it.
    """

    reads = ("log",)
    seen: Map[tuple[int, int], tuple[int | None, Entry]] = Map()  # what (index, term) determines

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        log = after.log
        start, kept, appended = log.changes_since(before.log)
        compacted = before.log.start < start < kept
        if compacted and not self.fits(start, after.snapshot.term, log[start]):
            return False  # The snapshot has put another past before what is left.
        term_before = after.term_at(kept - 1)
        new = {}
        for index, entry in enumerate(appended, kept):
            if not self.fits(index, term_before, entry):
                return False
            new[index, entry.term] = (term_before, entry)
            term_before = entry.term
        self.seen = self.seen.update(new)
        return True

    def fits(self, index: int, term_before: int | None, entry: Entry) -> bool:
        """Whether no other entry is known there, and no other term before it."""
        return self.seen.get((index, entry.term), (term_before, entry)) == (term_before, entry)


class LeaderCompleteness(Monitor):
    """What is committed in a term is in the logs of the leaders of all later terms (§5.4).

    By Log Matching, the newest entry that each term is known to have committed is enough.
    """

    reads = ("role", "commit_index")
    committed: Map[int, tuple[int, int]] = Map()  # term -> (index, term of the entry)

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        if after.commit_index > before.commit_index:
            known, _ = self.committed.get(after.current_term, (0, 0))
            term = after.term_at(after.commit_index)
            if after.commit_index > known and term is not None:
                entry = (after.commit_index, term)
                self.committed = self.committed.set(after.current_term, entry)
        if before.role == LEADER or after.role != LEADER:
            return True
        return all(
            index < after.log.start - 1 or after.term_at(index) == entry_term
            for term, (index, entry_term) in self.committed.items()
            if term < after.current_term
        )


class StateMachineSafety(Monitor):
    """No two servers ever apply different entries at the same index (§5.4.3)."""

    reads = ("commit_index",)
    applied: Log[Entry] = Log(start=1)

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        end = after.commit_index + 1
        for index in range(max(before.commit_index + 1, after.log.start), end):
            if index > self.applied.end:
                return True  # Of what came before, only a snapshot is known: see ExactlyOnce.
            if index == self.applied.end:
                self.applied = self.applied.extend(after.log[index:end])
                break
            if self.applied[index] != after.log[index]:
                return False
        return True


class ExactlyOnce(Monitor):
    """A request is executed once, however often it stands in the log (§8).

    Replays the applied entries by itself, and of each client only requests newer than its last;
    the servers' machines, also those that come from snapshots, must be the same. Silent once a
    session has been forgotten.
    """

    reads = ("commit_index",)
    latest: Map[NodeId, int] = Map()  # the number of each client's last request
    machines: Log[Machine] = Log()  # as they are after each index

    def watch(self, before: RaftState, event: Event, after: RaftState) -> bool:
        if not self.machines:
            self.machines = Log((before.state.machine,))  # Nobody has applied anything yet.
        if self.machines.end < after.log.start:
            return False  # A snapshot of entries that nobody had applied.
        for index in range(self.machines.end, after.commit_index + 1):
            machine, entry = self.machines[index - 1], after.log[index]
            client, operation = entry.client, entry.operation
            is_new = client and entry.number > self.latest.get(client, 0)
            if client and entry.once and is_new:
                self.latest = self.latest.set(client, entry.number)
            if operation and (is_new or not entry.once):
                machine, _ = machine.apply(operation)
            self.machines = self.machines.append(machine)
        forgotten = after.state.floor > 0
        return forgotten or after.state.machine == self.machines[after.commit_index]


@each_step
def one_vote_per_term(before: RaftState, event: Event, after: RaftState) -> bool:
    """A server votes for at most one candidate in a given term (§5.2)."""
    if before.current_term != after.current_term or before.voted_for is None:
        return True
    return after.voted_for == before.voted_for


@each_step
def nobody_disturbs_a_leader(before: RaftState, event: Event, after: RaftState) -> bool:
    """Who hears a leader helps no candidate, and who stands has asked before (thesis §4.2.3, §9.6).

    So a server that was cut off and comes back costs no election.
    """
    if after.config.pre_vote and after.role == CANDIDATE != before.role:
        return before.role == PRE_CANDIDATE or isinstance(event, TimeoutNow)
    if after.config.check_quorum and before.leader is not None and isinstance(event, RequestVote):
        return event.disrupt or after.current_term == before.current_term
    return True


@each_step
def who_hears_a_leader_follows_it(before: RaftState, event: Event, after: RaftState) -> bool:
    """A candidate that hears the leader of its term is a candidate no more (§5.2)."""
    return after.leader is None or after.role in (FOLLOWER, LEADER)


@each_step
def match_index_grows(before: RaftState, event: Event, after: RaftState) -> bool:
    """While it leads, what a leader knows of a follower's log only increases (Figure 2)."""
    stays = before.role == after.role == LEADER and before.current_term == after.current_term
    old, new = before.match_index, after.match_index
    return not stays or all(new[id] >= old[id] for id in before.configuration.servers)


@each_step
def never_backwards(before: RaftState, event: Event, after: RaftState) -> bool:
    """Terms only increase (§5.1), and so does what a server knows to be committed (Figure 2)."""
    if after.current_term < before.current_term or after.commit_index > after.last_index:
        return False
    return after.commit_index >= before.commit_index or isinstance(event, Start)


@sometimes
def a_leader_is_elected(nodes: Sequence[RaftState]) -> bool:
    """Some server leads."""
    return any(node.role == LEADER for node in nodes)


@sometimes
def an_entry_is_committed(nodes: Sequence[RaftState]) -> bool:
    """Some request of a client is executed."""
    return any(node.state.sessions for node in nodes)


@sometimes
def a_snapshot_is_installed(nodes: Sequence[RaftState]) -> bool:
    """Some follower has got a snapshot from its leader."""
    return any(node.snapshot.index == node.incoming.index > 0 for node in nodes)


@sometimes
def a_leader_is_deposed(nodes: Sequence[RaftState]) -> bool:
    """Some server still leads a term when another has gone on to a later one."""
    latest = max(node.current_term for node in nodes)
    return any(node.role == LEADER and node.current_term < latest for node in nodes)


@eventually
def one_leader_and_one_state(nodes: Sequence[RaftState]) -> bool:
    """One server leads, and all of its configuration have applied the same log.

    But for what is on its way.

    Promised only with CheckQuorum, since links may be cut one way (thesis §6.2), and with the
    no-op, since nobody may write any more (§8). Without PreVote all must hear each other (§9.6).
    """
    if not all(n.config.check_quorum and n.config.no_op for n in nodes):
        return True
    leaders = [node for node in nodes if node.role == LEADER]
    if len(leaders) != 1:
        return False
    members = [node for node in nodes if node.id in leaders[0].configuration.servers]
    followed = {node.leader for node in members}
    applied = [node.commit_index for node in members]
    return followed == {leaders[0].id} and max(applied) - min(applied) <= ON_ITS_WAY
