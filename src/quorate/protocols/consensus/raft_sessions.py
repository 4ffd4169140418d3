"""What Raft replicates: a machine behind sessions of its clients (Raft §8).

A client that got no answer asks again, perhaps another leader, so one request may stand in the log
many times. Each server remembers, as part of the replicated state, the last request of each client
and its result; a repetition is not executed again (thesis §6.3). Who never repeats a request says
so (`once` false), and costs no session.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from quorate.kernel import Map, NodeId, Operation, Response
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.machines.key_value import KeyValue
from quorate.protocols.machines.machine import AnyMachine, Items, Part, Parts, Result


class Entry(
    msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False, repr_omit_defaults=True
):
    """One entry of the log: request `number` of `client`. The no-op has no operation.

    Nor has an entry that changes the configuration (thesis §4.1).
    """

    term: int
    client: NodeId | None = None
    number: int = 0
    operation: Operation | None = None
    once: bool = True
    configuration: Configuration | None = None


class Session(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """The last request of a client, its result, and the index of its entry."""

    client: NodeId
    number: int
    result: Result
    index: int


class Floor(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """In a snapshot: see `StateMachine.floor`."""

    number: int


class StateMachine(msgspec.Struct, frozen=True, gc=False):
    """An immutable value: the machine, the sessions, and what is known of forgotten sessions.

    When there are too many sessions, those unused for longest are forgotten, a tenth at a time.
    Their clients cannot be told from new ones; but no forgotten request had a number above `floor`.
    So without a session only requests above it are executed, and none is ever executed twice.
    """

    machine: AnyMachine = KeyValue()
    sessions: Map[NodeId, Session] = Map()
    floor: int = 0

    def apply(
        self, index: int, entry: Entry, max_sessions: int
    ) -> tuple["StateMachine", Response | None]:
        """The state after the entry at `index`, and what its client is answered, if anything."""
        client, operation = entry.client, entry.operation
        if client is None or operation is None:
            return self, None
        if not entry.once:
            machine, result = self.machine.apply(operation)
            return StateMachine(machine, self.sessions, self.floor), Response(entry.number, result)
        session = self.sessions.get(client)
        latest = self.floor if session is None else session.number
        if entry.number <= latest:
            if session is None or entry.number < session.number:
                return self, None  # Its client has gone on, or we have forgotten it.
            return self, Response(entry.number, session.result)
        machine, result = self.machine.apply(operation)
        sessions = self.sessions.set(client, Session(client, entry.number, result, index))
        state = StateMachine(machine, sessions, self.floor)
        if len(sessions) > max_sessions:
            state = state.forget(1 + max_sessions // 10)
        return state, Response(entry.number, result)

    def apply_all(
        self, start: int, entries: Sequence[Entry], max_sessions: int
    ) -> tuple["StateMachine", list[Response | None]]:
        """As `apply`, for each of the entries from the one at `start` on."""
        state, responses = self, list[Response | None]()
        for is_unrepeated, run in groupby(entries, _is_unrepeated):
            if is_unrepeated:
                some = tuple(run)
                machine, results = state.machine.apply_all(
                    [one.operation for one in some if one.operation is not None]
                )
                state = StateMachine(machine, state.sessions, state.floor)
                responses += [Response(e.number, r) for e, r in zip(some, results, strict=True)]
                continue
            for entry in run:
                state, response = state.apply(start + len(responses), entry, max_sessions)
                responses.append(response)
        return state, responses

    def forget(self, count: int) -> "StateMachine":
        """Without the sessions that have not been used for longest."""
        sessions, floor = self.sessions, self.floor
        for session in sorted(sessions.values(), key=attrgetter("index"))[:count]:
            sessions, floor = sessions.remove(session.client), max(floor, session.number)
        return StateMachine(self.machine, sessions, floor)

    def parts(self) -> Parts:
        """All of it in canonical order, for a snapshot; `of` is the inverse."""
        sessions = Items(self.sessions, lambda client, session: session)
        return Parts(self.machine.parts(), sessions, (Floor(self.floor),))

    def of(self, parts: Iterable[Part]) -> "StateMachine":
        """The state with those parts, whose machine is of the same class as ours."""
        ours: dict[NodeId, Session] = {}
        machines: list[Part] = []
        floor = 0
        for part in parts:
            if isinstance(part, Session):
                ours[part.client] = part
            elif isinstance(part, Floor):
                floor = part.number
            else:
                machines.append(part)
        return StateMachine(self.machine.of(machines), Map(ours), floor)


def _is_unrepeated(entry: Entry) -> bool:
    return not entry.once and entry.client is not None and entry.operation is not None
