"""What the world can do to a system. A fault on the tape follows an event, never a time."""

import msgspec

from quorate.kernel.values import NodeId

Link = tuple[NodeId, NodeId]


class Crash(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The node stops; volatile state and timers are gone.

    Of its steps that were written but not yet synced, the first `keep` survive. Of the messages
    that its last step has just sent, the first `sends` leave (None: all of them).
    """

    node: NodeId
    keep: int = 0
    sends: int | None = None


class Restart(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A crashed node begins its next incarnation from its disk."""

    node: NodeId


class Cut(msgspec.Struct, frozen=True, tag=True, gc=False):
    """From now on nothing arrives over these directed links, nor what is under way there."""

    links: tuple[Link, ...]


class Heal(msgspec.Struct, frozen=True, tag=True, gc=False):
    """These directed links carry messages again; all links if none is named."""

    links: tuple[Link, ...] = ()


class Pause(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The node does nothing, and loses nothing, until it is resumed; its clock goes on."""

    node: NodeId


class Resume(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The node catches up with all that has arrived and expired meanwhile."""

    node: NodeId


class Slow(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Every message to the node takes `extra` nanoseconds longer; 0 ends it."""

    node: NodeId
    extra: int


class Limit(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Each link out of the node carries one message per `interval` nanoseconds; 0 ends it."""

    node: NodeId
    interval: int


class ClockRate(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The node's clocks run `ppm` millionths fast (slow if negative), and its timers with them."""

    node: NodeId
    ppm: int


class ClockStep(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The node's wall clock jumps by `step` nanoseconds; its monotonic clock does not."""

    node: NodeId
    step: int


Fault = Crash | Restart | Cut | Heal | Pause | Resume | Slow | Limit | ClockRate | ClockStep
