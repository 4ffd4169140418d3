"""One simulated machine: the node it runs, its disk, its clock, its timers and its links."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod, proxy

import msgspec

from quorate.kernel.env import Env
from quorate.kernel.node import Message, Node, Timer
from quorate.kernel.values import Map, NodeId
from quorate.scenario.notation import format_node
from quorate.scenario.tape import Series
from quorate.trace.record import Flight, Record

if TYPE_CHECKING:
    from quorate.simulate.judge import Plan

MILLION = 1_000_000
Action = Callable[[Any], None]


class Due(msgspec.Struct, gc=False):
    """Something that a host will do: end a batch or a sync, finish a store, begin an operation.

    It comes to nothing if the host's incarnation is over by then. `low` is the earliest time at
    which it could happen, `cause` the record that brought it about, `payload` what it is about.
    """

    host: "Host"
    incarnation: int
    series: Series
    ordinal: int
    low: int
    cause: int
    payload: Any = None


class Pending(msgspec.Struct, gc=False):
    """A timer that has been set; its bounds let it fire between `low` and `high`.

    It is due at `due`, as the event of that `place` among those of equal time. Most timers are set
    again before they fire, so one that takes the place of another is queued only when that comes
    up: by then it may have been replaced itself. `looked_at` is when that is.
    """

    host: "Host"
    timer: Timer
    series: Series
    ordinal: int
    cause: int
    low: int
    high: int
    due: int
    place: int
    looked_at: int
    is_queued: bool


class Host:
    """A node's world. `node` is what the node itself sees, `released` what all others see.

    Disk: `synced` is the state that a crash cannot undo, `unsynced` the steps written since, oldest
    first. `waiting` are the steps whose sends must stay behind those; a step without durable change
    waits too if it comes after one with. `let_go` are the messages that left by the last sync;
    `has_crashed` holds until the step in which it recovers.
    """

    def __init__(self, index: int, node: Node, choose: WeakMethod[Callable[..., Any]]) -> None:
        me = proxy(self)
        self.index = index
        self.id: NodeId = node.id
        self.fresh = node
        self.node = node
        self.released = node
        self.synced = node
        self.stored: Map[str, Any] = Map()
        self.env = Env(node.id, node.peers, lambda name, options: _alive(choose)(me, name, options))
        self.incarnation = 0
        self.up = True
        self.has_crashed = False
        self.paused = False
        self.stalled: list[tuple[Action, Any]] = []
        self.timers: dict[Timer, Pending] = {}
        self.unsynced: list[Record] = []
        self.waiting: deque[tuple[Record, Plan | None]] = deque()
        self.let_go: list[Flight] = []
        self.syncing = False
        self.rate_ppm = 0
        self.clock_base = (0, 0)
        self.has_own_clock = False
        self.wall_offset = 0
        self.extra_delay = 0
        self.interval = 0
        self.free_at: dict[NodeId, int] = {}
        self.arrives: dict[NodeId, int] = {}  # The last message under way on each ordered link.
        self.forget_series()

    def forget_series(self) -> None:
        """A new incarnation's decisions have labels of their own."""
        self.links: dict[type[Message] | str, dict[NodeId, Series]] = {}  # By class, or `kind_of`.
        self.timer_series: dict[type[Timer] | str, Series] = {}
        self.own_series: dict[str, Series] = {}

    @property
    def address(self) -> str:
        """The node's name in labels."""
        return format_node(self.id, self.incarnation)

    def clock(self, time: int) -> int:
        """This host's monotonic clock at a virtual time."""
        since, reading = self.clock_base
        return reading + (time - since) + (time - since) * self.rate_ppm // MILLION

    def set_rate(self, time: int, ppm: int) -> None:
        """Let the clock run fast or slow from now on."""
        self.clock_base = (time, self.clock(time))
        self.has_own_clock = True
        self.rate_ppm = ppm

    def virtual(self, duration: int) -> int:
        """How much virtual time passes while this host's clock counts `duration`."""
        return duration * MILLION // (MILLION + self.rate_ppm)


def _alive(method: WeakMethod[Callable[..., Any]]) -> Callable[..., Any]:
    """The world's method: hosts do not keep their world alive."""
    bound = method()
    assert bound is not None
    return bound
