"""Lamport's mutual exclusion: one resource, granted in the order in which it was asked for.

Paper       Leslie Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System",
            CACM 21(7), 1978 ("Ordering the Events Totally": rules 1 to 5).
Model       Asynchronous; no process fails; each link loses nothing and keeps the order of sending.
Safety      mutual_exclusion: condition I, one process at a time has the resource.
            GrantedInOrder: condition II, requests are granted in their total order.
            clock_condition: the implementation rules IR1 and IR2, which both rest on.
Liveness    every_request_is_granted: condition III, if each process that has the resource gives it
            back. One process that stops for ever stops all: the paper says so.
Departures  A process asks on behalf of clients, one after the other. A client that asks for what it
            has, or gives back what it has not, is refused. With `spare_acknowledgements` processes
            leave out those acknowledgements that the paper's footnote calls needless.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Env,
    Event,
    Map,
    Message,
    Monitor,
    Node,
    NodeId,
    Request,
    Response,
    Set,
    always,
    each_step,
    eventually,
    on,
    sometimes,
)

Time = int  # of the logical clocks
Stamp = tuple[Time, NodeId]  # a request, "Tm:Pi": totally ordered, ties broken by the process


class Stamped(Message):
    """Every message carries the time at which it was sent (IR2a)."""

    time: Time


class RequestsResource(Stamped):  # rule 1: process -> all others
    pass


class Acknowledges(Stamped):  # rule 2: process -> who requests
    pass


class ReleasesResource(Stamped):  # rule 3: process -> all others
    pass


class LamportMutex(Node):
    spare_acknowledgements: bool = False
    # Clock
    clock: Time = 0
    told: Map[NodeId, Time] = Map()  # the times of our last messages to each other process
    heard: Map[NodeId, Time] = Map()  # and those of their last messages to us
    # Resource
    queue: Set[Stamp] = Set()
    mine: Stamp | None = None  # our own request, also while we have the resource
    has_resource: bool = False
    clients: tuple[tuple[NodeId, int], ...] = ()  # whom we ask for, and their requests' numbers

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """A client asks for the resource, or gives it back."""
        asked = [client for client, _ in self.clients]
        if msg.operation.f == "release":
            if not self.has_resource or asked[0] != env.sender:
                env.reply(Response(msg.number, ok=False))
                return
            env.reply(Response(msg.number))
            self.release(env)
        elif env.sender in asked:
            env.reply(Response(msg.number, ok=False))
        else:
            self.clients = (*self.clients, (env.sender, msg.number))
            if self.mine is None:
                self.request(env)

    def request(self, env: Env) -> None:
        """Rule 1. Request the resource of all others, and of ourselves."""
        time = self.tick()
        self.mine = (time, self.id)
        self.queue |= {self.mine}
        self.tell(self.others(), RequestsResource(time), env)
        self.enter(env)

    @on(RequestsResource)
    def acknowledge(self, msg: RequestsResource, env: Env) -> None:
        """Rule 2. Remember the request, and let its sender know that we do."""
        self.hear(msg, env)
        self.queue |= {(msg.time, env.sender)}
        # Whoever has a later message of ours already knows that no earlier request can follow.
        if not self.spare_acknowledgements or self.told.get(env.sender, 0) <= msg.time:
            self.tell((env.sender,), Acknowledges(self.tick()), env)
        self.enter(env)

    def release(self, env: Env) -> None:
        """Rule 3. Take our request out of our queue, and tell all others to do so."""
        assert self.mine is not None
        self.queue = self.queue.remove(self.mine)
        self.mine, self.has_resource = None, False
        self.clients = self.clients[1:]
        self.tell(self.others(), ReleasesResource(self.tick()), env)
        if self.clients:
            self.request(env)

    @on(ReleasesResource)
    def forget(self, msg: ReleasesResource, env: Env) -> None:
        """Rule 4. Take the requests of that process out of our queue."""
        self.hear(msg, env)
        self.queue -= {stamp for stamp in self.queue if stamp[1] == env.sender}
        self.enter(env)

    @on(Acknowledges)
    def note(self, msg: Acknowledges, env: Env) -> None:
        """That process has our request."""
        self.hear(msg, env)
        self.enter(env)

    def enter(self, env: Env) -> None:
        """Rule 5. The resource is ours once (i) ours is the earliest request that we know of, and
        (ii) no earlier one can come any more: links keep order, and all have been heard since."""
        if self.mine is None or self.has_resource:
            return
        is_first = min(self.queue) == self.mine
        time, _ = self.mine
        if is_first and all(self.heard.get(other, 0) > time for other in self.others()):
            self.has_resource = True
            client, number = self.clients[0]
            env.send(client, Response(number))

    def tick(self) -> Time:
        """IR1. The clock advances between any two events: the time of the next one."""
        self.clock += 1
        return self.clock

    def hear(self, msg: Stamped, env: Env) -> None:
        """IR2b. The clock advances beyond the time of what is received."""
        self.clock = max(self.clock, msg.time) + 1
        self.heard = self.heard.set(env.sender, msg.time)

    def tell(self, to: tuple[NodeId, ...], message: Stamped, env: Env) -> None:
        """Send, and remember what time they have heard from us."""
        self.told |= dict.fromkeys(to, message.time)
        env.multicast(to, message)

    def others(self) -> tuple[NodeId, ...]:
        """All processes but this one."""
        return tuple(peer for peer in self.peers if peer != self.id)


@always
def mutual_exclusion(nodes: Sequence[LamportMutex]) -> bool:
    """At most one process has the resource."""
    return sum(node.has_resource for node in nodes) <= 1


class GrantedInOrder(Monitor):
    """Whoever is granted the resource has requested it later than all before, in total order."""

    reads = ("has_resource", "mine")
    last: Stamp = (0, NodeId(""))

    def watch(self, before: LamportMutex, event: Event, after: LamportMutex) -> bool:
        if not after.has_resource or after.mine is None or after.mine == self.last:
            return True
        earlier, self.last = self.last, after.mine
        return earlier < self.last


@each_step
def clock_condition(before: LamportMutex, event: Event, after: LamportMutex) -> bool:
    """Messages are sent at later and later times, and received later than they were sent."""
    if isinstance(event, Stamped) and after.clock <= event.time:
        return False
    earlier = max(before.told.values(), default=0)
    return after.told == before.told or earlier < max(after.told.values()) <= after.clock


@sometimes
def contention(nodes: Sequence[LamportMutex]) -> bool:
    """A process waits for another one, which has the resource."""
    waits = any(node.mine is not None and not node.has_resource for node in nodes)
    return waits and any(node.has_resource for node in nodes)


@sometimes
def tie(nodes: Sequence[LamportMutex]) -> bool:
    """Two requests are made at the same logical time."""
    times = [node.mine[0] for node in nodes if node.mine is not None]
    return len(times) > len(set(times))


@sometimes
def yielding(nodes: Sequence[LamportMutex]) -> bool:
    """A process has heard from all since its request, and yet is not the first in its queue."""
    return any(
        node.mine is not None
        and min(node.queue) != node.mine
        and all(node.heard.get(other, 0) > node.mine[0] for other in node.others())
        for node in nodes
    )


@eventually
def every_request_is_granted(nodes: Sequence[LamportMutex]) -> bool:
    """While nobody has the resource, nobody waits for it."""
    return any(n.has_resource for n in nodes) or not any(n.clients for n in nodes)
