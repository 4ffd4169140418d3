"""Raft told as stories: clusters that write down what happens in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quorate.kernel import NodeId
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_sessions import StateMachine
from quorate.protocols.consensus.raft_state import (
    Covered,
    ElectionTimeout,
    Incoming,
    RequestVote,
    Snapshot,
    Transfer,
    Vote,
)
from tests.protocols.raft.cluster import Cluster
from tests.protocols.story import Story, change


class RaftStory(Cluster, Story[Raft]):
    """A cluster that writes down what happens, without the leader's accounts of rounds."""

    def change(self, name: str, old: Any, new: Any) -> str:
        if name in ("answered", "checked_round", "configurations", "others", "round", "sent_index"):
            return ""
        if isinstance(new, StateMachine):
            parts = [(old.machine.values, new.machine.values), (old.sessions, new.sessions)]
            return "".join(change(before, after) for before, after in parts if before != after)
        if name == "transfers":
            under_way = [f" + {id}: {_in_short(transfer)}" for id, transfer in new.items()]
            return "".join(under_way) or " is empty now"
        if name in ("snapshot", "storing", "incoming"):
            return f": {_in_short(old)} → {_in_short(new)}"
        return change(old, new)

    @contextmanager
    def untold(self) -> Iterator[None]:
        """What happens meanwhile is not told."""
        told = list(self.lines)
        yield
        self.lines[:] = told

    def hear_nobody(self, *ids: NodeId) -> None:
        """The least election timeout passes: these servers protect their leader no longer."""
        for id in ids:
            self.fire(id, ElectionTimeout())

    def hold_election(self, id: NodeId, *gone: NodeId) -> None:
        """Let a server stand for election, and all but these vote; what it sends next waits."""
        self.fire(id, ElectionTimeout())
        while self.under_way(RequestVote) or self.under_way(Vote):
            self.deliver_votes(*gone)

    def deliver_votes(self, *gone: NodeId) -> None:
        """Deliver what is under way of an election, to all but these."""
        kind = RequestVote if self.under_way(RequestVote) else Vote
        here = [id for id in self.ids if id not in gone]
        if any(isinstance(message, kind) and target in gone for _, target, message in self.queue):
            self.lose(kind, "", *gone)
        self.arrive(kind, "", *here)


def _in_short(value: object) -> str:
    """A snapshot by what it covers; a transfer by how far it has come."""
    match value:
        case Covered(0) | Incoming(0):
            return "none"
        case Snapshot(index, term, _, state):
            return f"Snapshot({len(state.parts())} parts, up to {index} of term {term})"
        case Covered(index, term):
            return f"Covered(up to {index} of term {term})"
        case Incoming(index, term, parts):
            return f"Incoming({len(parts)} parts, up to {index} of term {term})"
        case Transfer(snapshot, offset):
            return f"Transfer({_in_short(snapshot)}, from part {offset} on)"
    return repr(value)
