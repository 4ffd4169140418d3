"""The key-value store as a system: Raft, the keyspace, and what Redis's clients say to it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from quorate.kernel import Env, Invoke, Node, NodeId, Operation, ms, on
from quorate.protocols.consensus import raft_state
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.system import Command, Facts, System
from quorate.systems.connection import Connection
from quorate.systems.kv.session import Plan, Server, Session
from quorate.systems.kv.store import Store
from quorate.wire.resp import Failure, encode_replies

HERE = "here"
"""The operation of a plan in which the store has no part."""
NO_BOUND = 1 << 62
"""Nanoseconds by which a read may be stale if its client sets no bound."""
UNKNOWN = Failure("UNKNOWN no answer in time; it may still happen")
REFUSED = Failure("ERR the store cannot take this; it surely did not happen")
SETTINGS = raft_state.Config(
    heartbeat=ms(100),
    election=(ms(500), ms(1000)),
    max_entries=64,
    max_in_flight=16,
    snapshot_every=100_000,
    staggered=True,
    chunk_parts=200,
    lease_reads=True,
    stale_reads=True,
)
"""For a real network and disk, on machines that also do other things."""
SMALL = msgspec.structs.replace(SETTINGS, snapshot_every=50, chunk_parts=8)
"""Limits that are met many times a minute, also by clients that take their time."""


class RedisConnection(Connection):
    """A connection whose commands are one operation at a time."""

    @on(Invoke)
    def invoke(self, event: Invoke, env: Env) -> None:
        """End at once what concerns the connection alone; ask a server for all else."""
        if event.operation.f == HERE:
            env.complete("ok", ())
            return
        if event.operation.f == "stale":
            self.server = self.peers[0]  # What is at hand may be fresh enough.
        super().invoke(event, env)


class RedisConversation:
    """Speaks RESP by a session."""

    def __init__(self, server: Server, session: Session) -> None:
        self._server = server
        self._session = session
        self._plan = Plan("linearizable", None)
        self.is_over = False

    @property
    def is_trusted(self) -> bool:
        """Whether the client has told the password, if there is one."""
        return self._session.is_trusted

    def take(self, commands: Sequence[Command], wall: int) -> tuple[Operation, int]:
        """As many commands as one operation can hold."""
        self._plan = plan = self._session.take(tuple(commands), wall // 1000)
        count = len(commands) - len(plan.rest)
        if plan.operation is None:
            return Operation(HERE, None, tuple(commands[:count])), count
        return _demanding(plan, plan.operation), count

    def finish(self, status: str, value: Any) -> bytes:
        """The replies, in the order of the commands."""
        result = value
        if status != "ok":
            result = UNKNOWN if status == "info" else REFUSED
        replies = self._session.finish(self._plan, result)
        self.is_over = self._plan.is_last or status == "info"
        return encode_replies(replies, self._session.version)

    def close(self) -> None:
        """Forget the session."""
        self._server.disconnect(self._session)


def _demanding(plan: Plan, operation: Operation) -> Operation:
    """The operation, with what the client demands of it, as Raft and the store take that."""
    if plan.identity is not None:
        name, number = plan.identity
        return Operation("once", name, (number, operation))
    if plan.is_write:
        return operation
    if plan.consistency == "stale":
        bound = NO_BOUND if plan.max_lag is None else ms(plan.max_lag)
        return Operation("stale", None, (bound, operation))
    return Operation(plan.consistency, None, operation)


class RedisFront:
    """Of one member."""

    def __init__(self, password: str, facts: Facts) -> None:
        self._server = Server(password, facts)

    def client(self, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """A connection that asks the server at hand first."""
        return RedisConnection(id=id, peers=peers, server=peers[0])

    def open(self, address: str, wall: int) -> RedisConversation:
        """A client has connected."""
        return RedisConversation(self._server, self._server.connect(address, wall // 1000))


def system_on(raft: Scenario) -> System:
    """The system on this Raft: the real one, or a mutant of it."""
    # A mutant's modules are its own, and so is its class of states.
    plain: Any = raft.make_server(NodeId("n1"), raft.configurations[0])
    state = msgspec.structs.replace(plain.state, machine=Store())
    scenario = msgspec.structs.replace(
        raft,
        name=raft.name.replace("raft", "kv", 1),
        configurations=tuple(
            Configuration(name, {"config": config, "state": state})
            for name, config in (("default", SETTINGS), ("small", SMALL))
        ),
    )
    return System(
        scenario=scenario,
        front=RedisFront,
        client=RedisConnection,
        modules=("quorate.systems.kv.store", "quorate.systems.kv.keyspace", "quorate.wire.resp"),
        makes_cycles=False,
        chaos="small",
    )
