"""Lamport's distributed mutual exclusion as in TLA+, with the clocks bounded: 724 274 states."""

from collections.abc import Sequence

from quorate.kernel import Env, Map, Message, Node, NodeId, Set, Start, Timer, always, on, sometimes
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


class Ask(Message):
    clock: int


class Ack(Message):
    pass


class Release(Message):
    pass


class Act(Timer):
    """Request, enter or leave, whenever that is enabled."""

    what: str


class Process(Node):
    clock: int = 1
    requests: Map[NodeId, int] = Map()
    acks: Set[NodeId] = Set()
    is_critical: bool = False

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Nobody asks yet."""
        self.offer(env)

    @on(Act)
    def act(self, timer: Act, env: Env) -> None:
        """Request(p), Enter(p) or Exit(p)."""
        if timer.what == "request":
            self.requests = self.requests.set(self.id, self.clock)
            self.acks = Set([self.id])
            env.multicast(self.others, Ask(self.clock))
        elif timer.what == "enter":
            self.is_critical = True
        else:
            self.is_critical = False
            self.requests, self.acks = self.requests.remove(self.id), Set()
            env.multicast(self.others, Release())
        self.offer(env)

    @on(Ask)
    def receive_request(self, msg: Ask, env: Env) -> None:
        """ReceiveRequest(p, q)."""
        self.requests = self.requests.set(env.sender, msg.clock)
        self.clock = max(msg.clock, self.clock) + 1
        env.reply(Ack())
        self.offer(env)

    @on(Ack)
    def receive_ack(self, msg: Ack, env: Env) -> None:
        """ReceiveAck(p, q)."""
        self.acks |= {env.sender}
        self.offer(env)

    @on(Release)
    def receive_release(self, msg: Release, env: Env) -> None:
        """ReceiveRelease(p, q)."""
        if env.sender in self.requests:
            self.requests = self.requests.remove(env.sender)
        self.offer(env)

    @property
    def others(self) -> tuple[NodeId, ...]:
        """All processes but this one."""
        return tuple(peer for peer in self.peers if peer != self.id)

    def offer(self, env: Env) -> None:
        """Let exactly what is enabled be pending."""
        asked = self.id in self.requests
        first = asked and min((clock, id) for id, clock in self.requests.items())[1] == self.id
        enabled = {
            "request": not asked,
            "enter": first and len(self.acks) == len(self.peers) and not self.is_critical,
            "exit": self.is_critical,
        }
        for what, holds in enabled.items():
            if holds:
                env.after((0, 1), Act(what))
            else:
                env.cancel(Act(what))


@always
def mutex(nodes: Sequence[Process]) -> bool:
    """At most one process is in the critical section."""
    return sum(node.is_critical for node in nodes) <= 1


@sometimes
def enters(nodes: Sequence[Process]) -> bool:
    """Some process gets in."""
    return any(node.is_critical for node in nodes)


def processes(count: int, clock: int) -> Scenario:
    """So many processes, whose clocks go no further than `clock`."""
    return Scenario(
        name="tla-lamport-mutex",
        node=Process,
        nodes=count,
        exploration=Exploration(
            nodes=count,
            network="fifo",
            timers=None,
            bounds={"clock": clock},
            within=lambda node, bounds: node.clock <= bounds["clock"],
        ),
    )
