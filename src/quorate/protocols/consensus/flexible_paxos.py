"""Flexible Paxos: only quorums of different phases need to intersect, so those in use can be small.

Paper       Heidi Howard, Dahlia Malkhi, Alexander Spiegelman, "Flexible Paxos: Quorum Intersection
            Revisited", OPODIS 2016.
Model       As `multi_paxos`, whose messages and steps these are: asynchronous; nodes crash and
            recover; messages are lost, reordered, duplicated.
Safety      As `multi_paxos`: Chosen and the invariants that it rests on. Each of its proofs needs
            just this of majorities, that every quorum of phase 1, by which a leader looks back,
            has a member in common with every quorum of phase 2, by which commands are chosen.
Liveness    one_leader_and_one_log, while quorums of both phases are up. As long as its leader
            lives, a system needs no more than a quorum of phase 2.
Departures  The sizes or shapes of quorums are the same in every ballot.
"""

from collections.abc import Collection, Sequence

import msgspec

from quorate.kernel import NodeId, majority, sometimes
from quorate.protocols.consensus.multi_paxos import MultiPaxos

Acceptors = Collection[NodeId]


class Simple(msgspec.Struct, frozen=True, tag=True):
    """Simple quorums: of phase 2 any `size` acceptors, of phase 1 as many as that demands.

    With half of an even number, phase 1 needs no more than a majority, so that Paxos is never
    better. With fewer, phase 2 is faster and survives more crashes, but not that of the leader.
    """

    size: int

    def may_lead(self, promisers: Acceptors, acceptors: Sequence[NodeId]) -> bool:
        """Whether all but `size - 1` have promised, so that no quorum of phase 2 is untouched."""
        return len(promisers) >= len(acceptors) + 1 - self.size

    def may_choose(self, voters: Acceptors, acceptors: Sequence[NodeId]) -> bool:
        """Whether `size` of them have voted."""
        return len(voters) >= self.size


class Grid(msgspec.Struct, frozen=True, tag=True):
    """Grid quorums: acceptors stand in rows of `width`; every column meets every full row.

    Neither the quorums of phase 1 nor those of phase 2 intersect among themselves, and both can
    be small at once: four acceptors need quorums of two, which no counting would allow.
    """

    width: int

    def may_lead(self, promisers: Acceptors, acceptors: Sequence[NodeId]) -> bool:
        """Whether a whole column has promised."""
        columns = (acceptors[start :: self.width] for start in range(self.width))
        return any(set(column) <= set(promisers) for column in columns)

    def may_choose(self, voters: Acceptors, acceptors: Sequence[NodeId]) -> bool:
        """Whether a full row has voted."""
        ends = range(self.width, len(acceptors) + 1, self.width)
        return any(set(acceptors[end - self.width : end]) <= set(voters) for end in ends)


class FlexiblePaxos(MultiPaxos, kw_only=True):
    """A node of Multi-Paxos that is told which acceptors are enough."""

    quorums: Simple | Grid

    def may_lead(self, promisers: Acceptors) -> bool:
        """Phase 1 ends with one of its quorums."""
        return self.quorums.may_lead(promisers, self.peers)

    def may_choose(self, voters: Acceptors) -> bool:
        """Phase 2 ends with one of its quorums."""
        return self.quorums.may_choose(voters, self.peers)


@sometimes
def a_minority_decides(nodes: Sequence[FlexiblePaxos]) -> bool:
    """A slot is decided that no majority has voted for."""
    return any(
        sum(slot in node.votes or slot < node.slot_out for node in nodes) < majority(nodes)
        for learner in nodes
        for slot in learner.decisions
    )
