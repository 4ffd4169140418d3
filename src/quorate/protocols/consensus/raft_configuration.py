"""Raft's configurations (§6; thesis §4): who belongs to the cluster, and how many are enough."""

import msgspec

from quorate.kernel import Map, NodeId, Operation, Set, majority

Servers = tuple[NodeId, ...]


class Configuration(
    msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False, repr_omit_defaults=True
):
    """The servers that take part.

    Attributes:
        voters: those whose majority elects and commits.
        outgoing: in a joint configuration (C_old,new) the voters of C_old, and `voters` are those
            of C_new; empty in any other.
        learners: servers that get the log and do not count (thesis §4.2.1).
    """

    voters: Servers = ()
    outgoing: Servers = ()
    learners: Servers = ()

    @property
    def electors(self) -> Servers:
        """Everybody who may vote, each once."""
        return tuple(dict.fromkeys(self.voters + self.outgoing)) if self.outgoing else self.voters

    @property
    def servers(self) -> Servers:
        """Everybody who gets the log, each once."""
        return self.electors + self.learners

    def is_quorum(self, servers: Set[NodeId]) -> bool:
        """Whether these are enough to decide: a majority, of both sides of a joint change."""
        return all(
            sum(server in servers for server in side) >= majority(side) for side in self.sides()
        )

    def reached(self, progress: Map[NodeId, int]) -> int:
        """The greatest number that a majority has reached, on both sides of a joint change."""
        return min([_reached(side, progress) for side in self.sides()])

    def sides(self) -> tuple[Servers, ...]:
        """The sets of servers whose majorities are needed for a decision."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)

    def settled(self) -> "Configuration":
        """C_new of a joint configuration."""
        return Configuration(self.voters, (), self.learners)

    def changed(self, operation: Operation) -> "Configuration | None":
        """What a client's operation would make of this one, which is not joint; None if nonsense.

            add-learner KEY        let the server get the log
            promote KEY            let a learner vote
            remove KEY             let it go, whatever it is
            reconfigure (KEYS)     let exactly these vote, by joint consensus

        What is so already is no change.
        """
        if operation.f == "reconfigure":
            return self._joint(operation.value)
        if not isinstance(operation.key, str):
            return None
        server = NodeId(operation.key)
        match operation.f:
            case "add-learner" if server not in self.servers:
                return Configuration(self.voters, (), (*self.learners, server))
            case "promote" if server not in self.voters:
                if server not in self.learners:
                    return None
                return Configuration((*self.voters, server), (), _without(server, self.learners))
            case "remove":
                voters = _without(server, self.voters)
                return (
                    Configuration(voters, (), _without(server, self.learners)) if voters else None
                )
        return self

    def _joint(self, wanted: object) -> "Configuration | None":
        if not isinstance(wanted, tuple) or not wanted or not set(wanted) <= set(self.servers):
            return None
        voters = tuple(server for server in self.servers if server in wanted)
        if voters == self.voters:
            return self
        learners = tuple(server for server in self.learners if server not in wanted)
        return Configuration(voters, self.voters, learners)


def _reached(side: Servers, progress: Map[NodeId, int]) -> int:
    return sorted([progress.get(server, 0) for server in side], reverse=True)[majority(side) - 1]


def _without(server: NodeId, servers: Servers) -> Servers:
    return tuple(other for other in servers if other != server)
