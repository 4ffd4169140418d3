"""A protocol as a service: what `quorate up` runs, and how it speaks with clients."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from quorate.errors import Mistake
from quorate.kernel.node import Node, Operation
from quorate.kernel.values import NodeId
from quorate.scenario.scenario import Scenario

Command = tuple[bytes, ...]
"""A client's command: its name and its arguments."""


class Front(Protocol):
    """How a service speaks with its clients: commands in, replies out. Every connection is a node.

    It decides nothing that the node could: it only turns bytes into operations and back.
    """

    def client(self, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """The client node of a new connection; `peers` begins with the server at hand."""

    def operation(self, commands: Sequence[Command], wall: int) -> tuple[Operation, int]:
        """The first commands as one operation, and how many they are; `wall` in nanoseconds."""

    def reply(self, client: Node, status: str, value: Any) -> bytes:
        """What to send when that operation has ended with ok, fail or info, and this value."""

    def is_over(self, client: Node, status: str) -> bool:
        """Whether the connection ends with this reply."""

    def is_trusted(self, client: Node) -> bool:
        """Whether the connection may send large commands."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """What a live member runs.

    Attributes:
        scenario: the protocol, and the settings of its node class.
        front: makes the front of a member; it is given the password that clients must know, or "".
        client: the class of the nodes that stand for connections.
        modules: full names of modules whose structs travel, besides those of the two classes.
    """

    scenario: Scenario
    front: Any
    client: type[Node]
    modules: tuple[str, ...] = ()

    def server(self, configuration: str, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """A member's node before its first step; "" is the first configuration. Raises Mistake."""
        scenario = self.scenario
        named = {one.name: one for one in scenario.configurations}
        chosen = named.get(configuration or next(iter(named)))
        if chosen is None:
            names = ", ".join(named)
            raise Mistake(f"{scenario.name} has no configuration {configuration!r}; it has {names}")
        return scenario.node(id=id, peers=peers, **chosen.fields)
