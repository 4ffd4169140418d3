"""One event model for all that runs: what happened, in order, with causes.

In memory a record only refers to immutable states and messages, so keeping it costs almost
nothing; `quorate.trace.jsonl` spells it out when somebody wants to read it.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from quorate.kernel.composition import ChildTimer, ToChild
from quorate.kernel.env import Effect
from quorate.kernel.node import Event, Message, Node
from quorate.kernel.values import NodeId

Kind = Literal[
    "start",  # an incarnation begins
    "deliver",  # a message arrives
    "fire",  # a timer fires
    "batch",  # a batch ends, before a sync
    "sync",  # the disk holds every step of the node up to the record `cause`
    "stored",  # a stored value is durable
    "invoke",  # a client's operation begins
    "fault",  # the world changes: a crash, a cut, a clock step...
]


def kind_of(event: Event) -> str:
    """What labels and pictures call an event: its class, after the field of the child it is for."""
    fields = ""
    while isinstance(event, ToChild | ChildTimer):
        fields += event.child.partition(".")[0] + "/"
        event = inside(event)
    return fields + type(event).__name__


def inside(event: ToChild | ChildTimer) -> Event:
    """What the child handles."""
    inner: Event = event.message if isinstance(event, ToChild) else event.timer
    return inner


class Flight(msgspec.Struct, gc=False):
    """One message on its way; a duplicate is a flight of its own.

    `series` and `ordinal` are its label: `n1→n3 AppendEntries #17`. `origin` is the id of the
    record whose step sent it, `sent` when it left (its step had to be durable first), `fate` the
    id of the record that delivered it, or -1 while it has none; `lost` says why it never arrives.
    """

    series: str
    ordinal: int
    origin: int
    source: NodeId
    target: NodeId
    message: Message
    sent: int
    fate: int = -1
    lost: str = ""


class Record(msgspec.Struct, gc=False):
    """One step of a node, or one fault.

    Attributes:
        id: its place in the run, from 0.
        time: virtual nanoseconds since the run began.
        kind: see `Kind`. A sync and a fault have no states; `detail` tells a fault as a schedule
            would.
        node: who stepped, or whom the fault hit ("" for the network).
        incarnation: how often that node had crashed before.
        series, ordinal: its label, as `fire n2 Election` and 4 for `fire n2 Election #4`.
        event: what the handler was given.
        cause: the record that sent the message, set the timer, or provoked the fault; -1 for none.
        flight: the message's journey, for a delivery.
        before, after: the states around the step; fields that are the same object did not change.
        effects: what the handler asked for, in order.
        flights: the messages of this step, once they have left.
        released: when the step became visible to others, -1 if a crash came before.
        now, wall: the node's clocks as the handler saw them.
        choices: what `env.choose` answered, in order.
    """

    id: int
    time: int
    kind: Kind
    node: NodeId
    incarnation: int
    series: str
    ordinal: int
    event: Event | None
    cause: int
    flight: Flight | None
    before: Node | None
    after: Node | None
    effects: Sequence[Effect]
    flights: list[Flight]
    released: int
    now: int
    wall: int
    choices: tuple[Any, ...] = ()
    detail: str = ""

    @property
    def label(self) -> str:
        """The name by which schedules know this record."""
        return f"{self.series} #{self.ordinal}"


class Violation(msgspec.Struct, frozen=True):
    """A property that did not hold: its name, the record that showed it, and what was seen.

    `witnesses` are further records that belong to the picture: the steps by which other nodes took
    on the role that the node of `record` has.
    """

    property: str
    record: int
    message: str
    witnesses: tuple[int, ...] = ()
