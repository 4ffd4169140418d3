"""What Raft replicates: a key-value machine behind sessions of its clients (Raft §8).

A client that got no answer asks again, perhaps another leader, so one request may stand in the log
many times. Each server remembers, as part of the replicated state, the last request of each client
and its result; a repetition is not executed again (thesis §6.3).
"""

import msgspec

from quorate.kernel import Map, NodeId, Operation
from quorate.protocols.machines.key_value import KeyValue, Pair, Value


class Entry(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """One entry of the log: request `number` of `client`. The no-op has no operation."""

    term: int
    client: NodeId | None = None
    number: int = 0
    operation: Operation | None = None


class Session(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """The last request of a client, its result, and the index of its entry."""

    client: NodeId
    number: int
    result: Value
    index: int


class Floor(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """In a snapshot: see `StateMachine.floor`."""

    number: int


Part = Pair | Session | Floor


class StateMachine(msgspec.Struct, frozen=True, gc=False):
    """An immutable value: the machine, the sessions, and what is known of forgotten sessions.

    When there are too many sessions, the one unused for longest is forgotten. Its client cannot
    be told from a new one; but no forgotten request had a number above `floor`. So without a
    session only requests above it are executed, and none is ever executed twice.
    """

    machine: KeyValue = KeyValue()
    sessions: Map[NodeId, Session] = Map()
    floor: int = 0

    def apply(self, index: int, entry: Entry, max_sessions: int) -> "StateMachine":
        """The state after the entry at `index`; the result is in the client's session."""
        client, operation = entry.client, entry.operation
        if client is None or operation is None:
            return self
        session = self.sessions.get(client)
        latest = self.floor if session is None else session.number
        if entry.number <= latest:
            return self
        machine, result = self.machine.apply(operation)
        sessions = self.sessions.set(client, Session(client, entry.number, result, index))
        if len(sessions) <= max_sessions:
            return StateMachine(machine, sessions, self.floor)
        oldest = min(sessions.values(), key=lambda session: session.index)
        floor = max(self.floor, oldest.number)
        return StateMachine(machine, sessions.remove(oldest.client), floor)

    def parts(self) -> tuple[Part, ...]:
        """All of it in canonical order, for a snapshot; `StateMachine.of` is the inverse."""
        return (*self.machine.pairs(), *self.sessions.values(), Floor(self.floor))

    @staticmethod
    def of(parts: tuple[Part, ...]) -> "StateMachine":
        """The state with those parts."""
        machine = KeyValue.of(tuple(part for part in parts if isinstance(part, Pair)))
        sessions = Map((part.client, part) for part in parts if isinstance(part, Session))
        floor = max((part.number for part in parts if isinstance(part, Floor)), default=0)
        return StateMachine(machine, sessions, floor)
