"""What must hold of Multi-Paxos: the invariants of PMMC, by their numbers there."""

from collections.abc import Sequence

from quorate.kernel import (
    Event,
    Map,
    Monitor,
    NodeId,
    Set,
    each_step,
    eventually,
    sometimes,
)
from quorate.protocols.consensus.multi_paxos import (
    NO_OP,
    Ballot,
    Command,
    MultiPaxos,
    Session,
    Slot,
    Vote,
)
from quorate.protocols.machines.key_value import KeyValue


@each_step
def ballots_grow(before: MultiPaxos, event: Event, after: MultiPaxos) -> bool:
    """A1. An acceptor never goes back behind a ballot that it has promised, or has voted in."""
    if after.promised < before.promised:
        return False
    return all(ballot <= after.promised for ballot, _ in after.votes.values())


class OneCommandPerBallot(Monitor):
    """A4. In one ballot no slot has votes for two commands, whatever becomes of its leader."""

    reads = ("votes",)
    proposed: Map[tuple[Slot, Ballot], Command] = Map()

    def watch(self, before: MultiPaxos, event: Event, after: MultiPaxos) -> bool:
        new, _ = after.votes.changes_since(before.votes)
        for slot, (ballot, command) in new:
            if self.proposed.get((slot, ballot), command) != command:
                return False
            self.proposed = self.proposed.set((slot, ballot), command)
        return True


class Chosen(Monitor):
    """A5, R1. A command that a quorum has voted for in one ballot is the slot's only one.

    Higher ballots have votes for no other, and replicas decide on no other.
    """

    reads = ("votes", "decisions")
    voters: Map[tuple[Slot, Vote], Set[NodeId]] = Map()
    chosen: Map[Slot, Vote] = Map()  # with the lowest ballot known to have chosen it

    def watch(self, before: MultiPaxos, event: Event, after: MultiPaxos) -> bool:
        new, _ = after.votes.changes_since(before.votes)
        for slot, vote in new:
            voters = self.voters.get((slot, vote), Set()) | {after.id}
            self.voters = self.voters.set((slot, vote), voters)
            if not self.agrees(slot, vote):
                return False
            if after.may_choose(voters) and vote <= self.chosen.get(slot, vote):
                self.chosen = self.chosen.set(slot, vote)
        decided, _ = after.decisions.changes_since(before.decisions)
        return all(
            slot in self.chosen and self.chosen[slot][1] == command for slot, command in decided
        )

    def agrees(self, slot: Slot, vote: Vote) -> bool:
        """Whether the vote is for the command that a lower ballot has chosen, if one has."""
        ballot, command = self.chosen.get(slot, vote)
        return vote[0] < ballot or vote[1] == command


class OneStatePerSlot(Monitor):
    """R3. What replicas have made of the slots before one of them is the same everywhere."""

    reads = ("slot_out", "store", "sessions")
    states: Map[Slot, tuple[KeyValue, Map[NodeId, Session]]] = Map()  # before each slot

    def watch(self, before: MultiPaxos, event: Event, after: MultiPaxos) -> bool:
        state = (after.store, after.sessions)
        known = self.states.get(after.slot_out)
        if known is None:
            self.states = self.states.set(after.slot_out, state)
        return known is None or known == state


@each_step
def slots_grow(before: MultiPaxos, event: Event, after: MultiPaxos) -> bool:
    """R4. What a replica has executed it never takes back."""
    return after.slot_out >= before.slot_out


@sometimes
def decided_beyond_a_hole(nodes: Sequence[MultiPaxos]) -> bool:
    """Some replica knows a slot's command, and not that of an earlier slot."""
    return any(
        node.decisions and max(node.decisions) > node.slot_out not in node.decisions
        for node in nodes
    )


@sometimes
def a_hole_is_filled(nodes: Sequence[MultiPaxos]) -> bool:
    """A new leader has had a no-op decided, for want of votes."""
    return any(NO_OP in node.decisions.values() for node in nodes)


@sometimes
def a_vote_is_found(nodes: Sequence[MultiPaxos]) -> bool:
    """A new leader proposes what somebody has voted for in a lower ballot."""
    return any(
        leader.commanders[slot].command == command and ballot < leader.ballot
        for leader in nodes
        for node in nodes
        for slot, (ballot, command) in node.votes.items()
        if slot in leader.commanders
    )


@sometimes
def a_leader_is_outlived(nodes: Sequence[MultiPaxos]) -> bool:
    """Somebody still leads in his ballot when another leads in a higher one."""
    return sum(node.active for node in nodes) > 1


@sometimes
def a_replica_needs_the_state(nodes: Sequence[MultiPaxos]) -> bool:
    """A replica lacks decisions that all who lead have forgotten."""
    return any(
        node.slot_out < leader.slot_out and node.slot_out not in leader.decisions
        for leader in nodes
        for node in nodes
        if leader.active
    )


@eventually
def one_leader_and_one_log(nodes: Sequence[MultiPaxos]) -> bool:
    """One node leads, all follow it, and all have executed the same slots."""
    leaders = [node for node in nodes if node.active]
    return len(leaders) == 1 and all(
        node.promised == leaders[0].ballot and node.slot_out == leaders[0].slot_out
        for node in nodes
    )
