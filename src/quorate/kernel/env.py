"""What a handler may ask of the world, and the effects that it leaves behind.

An `Env` only records. The host (simulator, explorer or live process) carries the effects out:
timers and `ahead` sends at once, all else once every earlier durable change of the node has
reached the disk.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from quorate.kernel.node import Message, Timer
from quorate.kernel.values import NodeId

T = TypeVar("T")

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


def ms(milliseconds: int) -> int:
    """A duration. All durations and times are whole nanoseconds."""
    return milliseconds * MILLISECOND


class Send(msgspec.Struct, frozen=True, gc=False):
    """`message` leaves for each of `to`, in this order. See `Env.send` for `ahead`."""

    to: tuple[NodeId, ...]
    message: Message
    ahead: bool = False


class SetTimer(msgspec.Struct, frozen=True, gc=False):
    """`timer` fires once, after a duration between `low` and `high`; replaces an equal timer."""

    timer: Timer
    low: int
    high: int


class CancelTimer(msgspec.Struct, frozen=True, gc=False):
    """`timer` will not fire."""

    timer: Timer


class Store(msgspec.Struct, frozen=True, gc=False):
    """`value` is written in the background under `name`; then comes `Stored(name)`."""

    name: str
    value: Any


class Complete(msgspec.Struct, frozen=True, gc=False):
    """The client's open operation ended: `status` is ok, fail (did not happen) or info."""

    status: str
    value: Any


Effect = Send | SetTimer | CancelTimer | Store | Complete


class Env:
    """One node's window on the world, made once by the host and filled anew for each step.

    Attributes:
        id: the node's address; `peers`: all nodes of its group, itself included.
        sender: who sent the message that is being handled; the node itself for other events.
        now: this node's monotonic clock in nanoseconds; its rate may be skewed.
        wall: this node's wall clock in nanoseconds; it may also step.
        effects: what the step has asked for so far, in order.
    """

    __slots__ = ("chooser", "effects", "id", "now", "peers", "sender", "wall")

    def __init__(
        self,
        id: NodeId,
        peers: tuple[NodeId, ...],
        choose: Callable[[str, Sequence[Any]], Any],
    ) -> None:
        self.id = self.sender = id
        self.peers = peers
        self.now = self.wall = 0
        self.effects: list[Effect] = []
        self.chooser = choose

    def inner(self, name: str, source: NodeId | None) -> "Env":
        """The window of the child `name`, which handles what `source` sent it, or itself."""
        child = Env(
            NodeId(f"{self.id}/{name}"),
            tuple(NodeId(f"{peer}/{name}") for peer in self.peers),
            lambda choice, options: self.choose(f"{name}/{choice}", options),
        )
        child.sender = source or child.id
        child.now, child.wall = self.now, self.wall
        return child

    def send(self, to: NodeId, message: Message, *, ahead: bool = False) -> None:
        """Send, once every earlier durable change of this node is on disk.

        With `ahead` the send may leave before: it must not rest on this node's own disk, as the
        AppendEntries of a Raft leader, which counts itself only when a message that it sends to
        itself *without* `ahead` arrives. A message to oneself is never lost, cut or duplicated.
        """
        self.effects.append(Send((to,), message, ahead))

    def reply(self, message: Message) -> None:
        """Send to the sender of the message that is being handled."""
        self.effects.append(Send((self.sender,), message))

    def broadcast(self, message: Message, *, ahead: bool = False) -> None:
        """Send to all peers, this node included."""
        self.effects.append(Send(self.peers, message, ahead))

    def multicast(self, to: tuple[NodeId, ...], message: Message, *, ahead: bool = False) -> None:
        """Send the same message to each of `to`."""
        self.effects.append(Send(to, message, ahead))

    def after(self, delay: int | tuple[int, int], timer: Timer) -> None:
        """Let `timer` fire once after `delay`, or after some duration between two bounds.

        At most one timer is pending for each equal value: this one replaces it.
        """
        low, high = delay if isinstance(delay, tuple) else (delay, delay)
        if type(low) is not int or type(high) is not int or not 0 <= low <= high:
            raise ValueError(f"env.after takes nanoseconds such as ms(150), or two, not {delay!r}")
        self.effects.append(SetTimer(timer, low, high))

    def cancel(self, timer: Timer) -> None:
        """Forget the pending timer that equals this one, if there is one."""
        self.effects.append(CancelTimer(timer))

    def choose(self, name: str, options: Sequence[T]) -> T:
        """One of `options`, by chance: named, so that it can be replayed and enumerated.

        The first option is the quiet default.
        """
        if not options:
            raise ValueError(f"env.choose: {name} has no options")
        choice: T = self.chooser(name, options)
        return choice

    def store(self, name: str, value: object) -> None:
        """Write a large value in the background; `Stored(name)` tells when it is durable."""
        self.effects.append(Store(name, value))

    def complete(self, status: str, value: object = None) -> None:
        """For a client: end the operation that `Invoke` began, with ok, fail or info."""
        self.effects.append(Complete(status, value))
