"""A protocol as a service: what `quorate up` runs, and how it speaks with clients."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from quorate.errors import Mistake
from quorate.kernel.node import Node, Operation
from quorate.kernel.values import NodeId
from quorate.scenario.scenario import Scenario

Command = tuple[bytes, ...]
"""A client's command: its name and its arguments."""


Facts = Callable[[], Mapping[str, Mapping[str, str | int]]]
"""What a member tells of itself, in sections."""


class Conversation(Protocol):
    """What is said on one connection: commands in, replies out."""

    @property
    def is_over(self) -> bool:
        """Whether the connection ends with what was last finished."""

    @property
    def is_trusted(self) -> bool:
        """Whether the client may send large commands."""

    def take(self, commands: Sequence[Command], wall: int) -> tuple[Operation, int]:
        """The first commands as one operation, and how many they are; `wall` in nanoseconds."""

    def finish(self, status: str, value: Any) -> bytes:
        """What to send when that operation has ended with ok, fail or info, and this value."""

    def close(self) -> None:
        """The connection has ended."""


class Front(Protocol):
    """How the service of one member speaks with its clients."""

    def client(self, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """The node of a new connection; `peers` begins with the server at hand."""

    def open(self, address: str, wall: int) -> Conversation:
        """A client has connected from `address`, at `wall` nanoseconds since 1970."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """What a live member runs.

    Attributes:
        scenario: the protocol, and the settings of its node class.
        front: makes a member's front, of the password that clients must know, or "", and the facts
            that the member can tell of itself.
        client: the class of the nodes that stand for connections.
        modules: full names of modules whose structs travel, besides those of the two classes.
        makes_cycles: whether steps may leave garbage that refers to itself in a circle. If it is
            known that they do not, members do without a collector, and its pauses.
        chaos: the configuration that chaos runs unless it is told another, one whose limits are
            met often; "" for the first.
    """

    scenario: Scenario
    front: Callable[[str, Facts], Front]
    client: type[Node]
    modules: tuple[str, ...] = ()
    makes_cycles: bool = True
    chaos: str = ""

    @property
    def first(self) -> str:
        """The name of the first configuration."""
        return self.scenario.configurations[0].name

    def server(self, configuration: str, id: NodeId, peers: tuple[NodeId, ...]) -> Node:
        """A member's node before its first step; "" is the first configuration. Raises Mistake."""
        scenario = self.scenario
        named = {one.name: one for one in scenario.configurations}
        chosen = named.get(configuration or self.first)
        if chosen is None:
            names = ", ".join(named)
            raise Mistake(f"{scenario.name} has no configuration {configuration!r}; it has {names}")
        return scenario.node(id=id, peers=peers, **chosen.fields)
