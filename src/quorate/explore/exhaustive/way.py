"""What can happen, as data: a move of one node, and the way that leads to the next state."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from quorate.kernel.node import Event, Node, Operation, Start

Kind = Literal[
    "deliver",
    "fire",
    "invoke",
    "store",
    "crash",  # and the restart, where there is no time
    "lose",  # The network drops a message.
    "restart",  # a node that was down
    "ignore",  # A message arrives where it changes nothing.
    "wait",  # Time passes for a node.
]
NOTHING = -1


class Happening(NamedTuple):
    """The client of that number begins `operation`, or its open one ends with `status`."""

    client: int
    operation: Operation | None
    status: str = ""
    result: Any = None


class Cut(NamedTuple):
    """Where a crash cuts a step: whether the disk holds it, and how many of its sends had left.

    Of a step on disk the sends are counted that had to wait for that; of one that is not, the
    others.

    `of` says what the node was doing; None for a node that was at rest.
    """

    of: Kind | None
    is_kept: bool
    sends: int


@dataclass(slots=True)
class Move:
    """One thing that can happen to a node, whatever the rest of the system is like.

    Attributes:
        index: its number among all moves.
        slot: whose move it is.
        before, after: the node's local state around it.
        takes: the message that arrives or is lost; `NOTHING` otherwise.
        place: which of several equal ones in a queue that is.
        sends: the messages that leave, in order.
        repeats: whether a copy of the message that arrives stays in flight.
        delta: by how much it changes the fingerprint of a state; its messages count as far as
            every one of them does so alike in all states.
        is_special: whether more has to be looked at: messages, memory, or a failure.
        remembers: whether it changes what is remembered.
        is_timer: whether it counts as a timer that fires.
        crash: where a crash cuts it, if one does.
        happenings: what it adds to the history.
        steps: the handlers that run: state before, event, state after.
        woken: the monitors that will look.
        judged, hoped: the `always` and `sometimes` properties that may change by it.
        failure: the property that it violates by itself, and the message of an exception.
        event: a message, a timer, the name of a stored value, an operation.
        also: the operation that an eager client begins in the same step.
        choices: what chance answers.
        clears: the links on which it takes the place of what is under way; see `Moves.links`.
    """

    index: int
    kind: Kind
    slot: int
    before: int
    after: int
    takes: int
    place: int
    sends: tuple[int, ...]
    repeats: bool
    delta: int
    is_special: bool
    remembers: bool
    is_timer: bool
    crash: Cut | None
    happenings: tuple[Happening, ...]
    steps: tuple[tuple[Node, Event, Node], ...]
    woken: tuple[int, ...]
    judged: tuple[int, ...]
    hoped: tuple[int, ...]
    failure: str | None
    event: Any
    also: Operation | None
    choices: tuple[Any, ...]
    clears: frozenset[int]

    @property
    def is_start(self) -> bool:
        """Whether the node begins by it."""
        return isinstance(self.event, Start)


@dataclass(slots=True)
class Way:
    """What leads from one state to the next: a move, or on `rpc` a call with its answers.

    Attributes:
        moves: in order.
        delta: by how much it changes the fingerprint of a state, if it is not special.
        is_special: whether that depends on more than the nodes that move.
        judged, hoped: the `always` and `sometimes` properties that may change by it.
        clears: the links on which its messages take the place of others.
        clears_its_own: whether some of these others are its own.
    """

    moves: tuple[Move, ...]
    delta: int
    is_special: bool
    judged: tuple[int, ...]
    hoped: tuple[int, ...]
    clears: frozenset[int] = frozenset()
    clears_its_own: bool = False


def way_of(*moves: Move) -> Way:
    """The way of these moves, one after the other."""
    clears: frozenset[int] = frozenset().union(*(move.clears for move in moves))
    return Way(
        moves,
        sum(move.delta for move in moves),
        any(move.is_special for move in moves),
        tuple(dict.fromkeys(at for move in moves for at in move.judged)),
        tuple(dict.fromkeys(at for move in moves for at in move.hoped)),
        clears,
        sum(len(move.clears) for move in moves) > len(clears),
    )
