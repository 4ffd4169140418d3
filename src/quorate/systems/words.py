"""The plainest front: any protocol whose clients ask for one operation at a time, by RESP.

    redis-cli -p 7001 write x 5        the operation `write` of the key x with the value 5
    redis-cli -p 7001 read x
    redis-cli -p 7001 cas x '[5, 6]'

A value is JSON, or else a text: so is JSON that could not travel between members. What clients of
Redis ask by themselves when they connect is answered by the connection alone.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.kernel import Env, Invoke, Node, NodeId, Operation, on
from quorate.scenario.scenario import Scenario
from quorate.scenario.system import Command, Facts, System
from quorate.systems.connection import Connection
from quorate.wire.malformed import MALFORMED
from quorate.wire.resp import Failure, Reply, encode_reply

FAILED = Failure("FAILED it surely did not happen")
UNKNOWN = Failure("UNKNOWN no answer in time; it may still happen")
DEEPEST = 20
"""How deeply lists may be nested in a value."""
_STRUCT = re.compile(r"_*[A-Z]\w*")
GREETINGS = {
    "ping": "PONG",
    "quit": "OK",
    "select": "OK",
    "client": "OK",
    "command": (),
    "config": (),
}


class Words(Connection):
    """A connection that passes on what is not a greeting."""

    @on(Invoke)
    def invoke(self, event: Invoke, env: Env) -> None:
        """Answer a greeting; ask a server for all else."""
        if event.operation.f in GREETINGS:
            env.complete("ok", GREETINGS[event.operation.f])
        else:
            super().invoke(event, env)


class Talk:
    """One command is one operation: its name, its key, its value."""

    is_trusted = True

    def __init__(self) -> None:
        self.is_over = False

    def take(self, commands: Sequence[Command], wall: int) -> tuple[Operation, int]:
        """The first command alone."""
        name, *arguments = (word.decode("utf-8", "replace") for word in commands[0])
        key = arguments[0] if arguments else None
        value = _value(" ".join(arguments[1:])) if len(arguments) > 1 else None
        return Operation(name.lower(), key, value), 1

    def finish(self, status: str, value: Any) -> bytes:
        """The value, or an error that says whether the operation may have happened.

        If that is unknown the connection is over: what comes next might be answered out of turn.
        """
        self.is_over = status == "info"
        if status == "fail":
            return encode_reply(FAILED)
        if status == "info":
            return encode_reply(UNKNOWN)
        return encode_reply(value if value in ("OK", "PONG") else _reply(value))

    def close(self) -> None:
        """Nothing is kept."""


class WordsFront:
    """Of any protocol."""

    def __init__(self, password: str, facts: Facts) -> None:
        if password:
            raise Mistake("only kv asks for a password; leave it out of the configuration")

    def client(self, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """A connection that asks the first of its peers first."""
        return Words(id=id, peers=peers, server=peers[0])

    def open(self, address: str, wall: int) -> Talk:
        """A client has connected."""
        return Talk()


def plain_system(scenario: Scenario) -> System:
    """Any protocol with clients as a service."""
    return System(scenario=scenario, front=WordsFront, client=Words)


def _value(text: str) -> Any:
    try:
        return _frozen(msgspec.json.decode(text), DEEPEST)
    except (*MALFORMED, ValueError):
        return text


def _frozen(value: Any, depth: int) -> Any:
    """The value as nodes have it. Raises ValueError if it could not travel between members.

    Numbers have 64 bits there, and a tuple that begins with the name of a struct is taken for one.
    """
    if isinstance(value, list):
        if depth == 0 or (value and isinstance(value[0], str) and _STRUCT.fullmatch(value[0])):
            raise ValueError(value)
        return tuple(_frozen(item, depth - 1) for item in value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise ValueError(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _reply(value: Any) -> Reply:
    if value is None or isinstance(value, bool | int | bytes):
        return value
    if isinstance(value, tuple):
        return tuple(_reply(item) for item in value)
    return str(value).encode()
