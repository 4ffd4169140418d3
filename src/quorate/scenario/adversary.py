"""Adversaries: they watch a run and strike where it hurts.

An adversary reacts to events, never to times, so it fits every protocol that names its roles.
Whatever it does is written on the tape as it happens; on replay the tape acts and the adversary
is not even made.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from quorate.kernel.node import Node, Timer
from quorate.kernel.values import NodeId
from quorate.scenario.fault import Fault
from quorate.trace.record import Flight, Record


class Arena(Protocol):
    """What an adversary may see of the world: everything, as it is now."""

    time: int
    servers: tuple[NodeId, ...]

    def node(self, id: NodeId) -> Node:
        """The node's state, also that of a crashed one."""

    def is_up(self, id: NodeId) -> bool:
        """Whether the node is running."""

    def may_crash(self) -> bool:
        """Whether the budget of the protocol's model has a crash left."""


class Adversary:
    """Does nothing; override what you need. One instance plays one run."""

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        """Faults to strike right after this step."""
        return ()

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        """The fate of a message that leaves: a delay, `LOST`, or `delay` as it was drawn."""
        return delay

    def time(self, id: NodeId, timer: Timer, low: int, high: int, arena: Arena) -> int | None:
        """The duration of a timer that is being set, within [low, high]; None leaves it be."""
        return None
