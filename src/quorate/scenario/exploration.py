"""What to explore: a small configuration of the same class, and the bounds that make it finite."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from quorate.kernel.node import Operation
from quorate.kernel.values import NodeId

NETWORKS = ("set", "multiset", "fifo", "rpc")
"""How messages travel in an exploration.

set: a message stays in flight once it is sent, and may arrive at any time, any number of times.
multiset: each message arrives at most once, in any order.
fifo: each message arrives at most once, and each directed link keeps the order of sending.
rpc: as multiset, but a step's answers to the node that caused it, and what a node sends to itself,
arrive within the same transition: a call and its reply are one atomic step.
"""


TIMINGS = ("asynchronous", "synchronous")
"""When timers fire in an exploration.

asynchronous: whenever they like, as messages take any time; only one that was set before another,
and always fires earlier, does so here too.
synchronous: at their deadlines, and time passes only while no message is under way and no value on
its way to the disk. A timer that was set for a range counts from either end of it.
"""


class Script(msgspec.Struct, frozen=True):
    """One client of an exploration: what it asks for, in order, and settings of its node.

    Among these may be `peers`, if it is to know a part of the servers only.
    """

    operations: tuple[Operation, ...]
    fields: Mapping[str, Any] = {}


class Exploration(msgspec.Struct, frozen=True, kw_only=True):
    """How a scenario is explored unless the caller says otherwise.

    Every bound here can be overridden on the command line by the flag of its name.

    Attributes:
        nodes: how many servers.
        fields: settings of the node class: the one configuration that is explored.
        scripts: the clients; an operation may begin whenever its client is idle.
        eager: whether clients begin each operation in the very step in which they become idle:
            fewer states, but also fewer orders that a history is held to.
        network: one of `NETWORKS`.
        drop: whether any message may be lost.
        duplicate: whether any message may stay in flight when it arrives, to arrive again.
        crashes: how many crashes may happen in all, each at any cut of any step.
        timing: one of `TIMINGS`.
        timers: how many timers of servers may fire in all; None for no limit. Those of clients
            never fire, so clients wait for their answers.
        newest_only: whether a message takes the place of an earlier one that is still under way on
            its link, which is lost: far fewer states, none with old messages.
        channel: how many messages may be under way on one directed link; None for no limit.
        bounds: named limits of the protocol's own, such as ballots or terms; each is a flag.
        within: whether a server's state is inside the bounds. A state outside is neither counted
            nor expanded.
        interchangeable: of all servers those whose ids the class never compares, so that states
            which differ by a renaming of these are one state to the symmetry reduction.
        ends: whether the servers may come to rest like this, with nothing left that could happen.
            Anywhere else that is a `deadlock`. None if they may come to rest anywhere.
        out_of_reach: names of `sometimes` properties that this configuration cannot reach, because
            what they need is switched off or too far; the result lists them.
        linearizable: whether the clients' history is part of the state, and is judged.
        liveness: whether `eventually` is judged too; then all transitions are kept.
    """

    nodes: int = 3
    fields: Mapping[str, Any] = {}
    scripts: tuple[Script, ...] = ()
    eager: bool = False
    network: str = "multiset"
    drop: bool = False
    duplicate: bool = False
    crashes: int = 0
    timing: str = "asynchronous"
    timers: int | None = 0
    newest_only: bool = False
    channel: int | None = None
    bounds: Mapping[str, int] = {}
    within: Callable[[Any, Mapping[str, int]], bool] | None = None
    interchangeable: Callable[[Sequence[NodeId]], Sequence[NodeId]] | None = None
    ends: Callable[[Sequence[Any]], bool] | None = None
    out_of_reach: tuple[str, ...] = ()
    linearizable: bool = True
    liveness: bool = False

    def in_words(self) -> list[str]:
        """The bounds, one by one."""
        words = [f"{self.nodes} servers", f"network {self.network}"]
        words += [self.timing] if self.timing != "asynchronous" else []
        words += ["loss"] if self.drop else []
        words += ["duplicates"] if self.duplicate else []
        words.append(f"crashes {self.crashes}")
        words.append("timers without limit" if self.timers is None else f"timers {self.timers}")
        words += [f"channel {self.channel}"] if self.channel is not None else []
        words += [f"{name} {value}" for name, value in self.bounds.items()]
        words += ["liveness"] if self.liveness else []
        operations = sum(len(script.operations) for script in self.scripts)
        words.append(f"{len(self.scripts)} clients with {operations} operations")
        return words
