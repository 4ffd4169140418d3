"""Ricart-Agrawala mutual exclusion: whoever has everyone's permission enters the critical section.

Paper       Glenn Ricart, Ashok Agrawala, "An Optimal Algorithm for Mutual Exclusion in Computer
            Networks", CACM 24(1), 1981. Permissions that are kept: Osvaldo Carvalho,
            Gerard Roucairol, "On Mutual Exclusion in Computer Networks", CACM 26(2), 1983.
Model       Asynchronous; no node fails; messages are late and overtake one another, none is lost.
Safety      mutual_exclusion: at most one node is in its critical section.
            OrderOfRequests: they enter in the order of their requests, if none is kept.
            permission_is_exclusive: no two nodes have each other's permission.
Liveness    every_node_enters: no deadlock and no starvation, if each node leaves in the end.
Departures  A node asks on behalf of clients, one after the other. A client that asks for what it
            has, or gives back what it has not, is refused. With `keep_permissions` a permission
            lasts until its giver asks for it.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Env,
    Event,
    Message,
    Monitor,
    Node,
    NodeId,
    Request,
    Response,
    Set,
    always,
    eventually,
    on,
    sometimes,
)

Number = int  # sequence numbers, as a customer draws them in a bakery
Ticket = tuple[Number, NodeId]  # a request: totally ordered, ties broken by the node


class Ask(Message):  # "REQUEST": node -> all others whose permission it lacks
    ticket: Ticket


class Permit(Message):  # "REPLY": node -> who asked
    pass


class RicartAgrawala(Node):
    keep_permissions: bool = False
    highest: Number = 0  # the highest sequence number seen in any request
    ticket: Ticket | None = None  # our own request, also while we are inside
    permissions: Set[NodeId] = Set()  # whose we have
    deferred: Set[NodeId] = Set()  # who will get ours when we leave
    is_inside: bool = False
    clients: tuple[tuple[NodeId, int], ...] = ()  # whom we ask for, and their requests' numbers

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """A client wants to enter the critical section, or to leave it."""
        asked = [client for client, _ in self.clients]
        if msg.operation.f == "release":
            if not self.is_inside or asked[0] != env.sender:
                env.reply(Response(msg.number, ok=False))
                return
            env.reply(Response(msg.number))
            self.leave(env)
        elif env.sender in asked:
            env.reply(Response(msg.number, ok=False))
        else:
            self.clients = (*self.clients, (env.sender, msg.number))
            if self.ticket is None:
                self.ask(env)

    def ask(self, env: Env) -> None:
        """Choose a sequence number above all seen, and ask for every permission that we lack."""
        self.ticket = (self.highest + 1, self.id)
        for peer in self.others():
            if peer not in self.permissions:
                env.send(peer, Ask(self.ticket))
        self.enter(env)

    @on(Ask)
    def permit_or_defer(self, msg: Ask, env: Env) -> None:
        """Give way, unless we are inside, or have asked earlier."""
        number, _ = msg.ticket
        self.highest = max(self.highest, number)
        if self.ticket is not None and (self.is_inside or self.ticket < msg.ticket):
            self.deferred |= {env.sender}
            return
        env.reply(Permit())
        if env.sender in self.permissions:
            self.permissions = self.permissions.remove(env.sender)
            if self.ticket is not None:
                # We gave away what we had kept from an earlier time, and need it ourselves.
                env.reply(Ask(self.ticket))

    @on(Permit)
    def collect(self, msg: Permit, env: Env) -> None:
        """One permission more."""
        self.permissions |= {env.sender}
        self.enter(env)

    def enter(self, env: Env) -> None:
        """With the permission of all others the critical section is ours."""
        if self.ticket is None or self.is_inside or len(self.permissions) < len(self.others()):
            return
        self.is_inside = True
        client, number = self.clients[0]
        env.send(client, Response(number))

    def leave(self, env: Env) -> None:
        """Permit all whom we have kept waiting."""
        self.is_inside, self.ticket = False, None
        self.clients = self.clients[1:]
        for node in self.deferred:
            env.send(node, Permit())
        self.permissions = self.permissions - self.deferred if self.keep_permissions else Set()
        self.deferred = Set()
        if self.clients:
            self.ask(env)

    def others(self) -> tuple[NodeId, ...]:
        """All nodes but this one."""
        return tuple(peer for peer in self.peers if peer != self.id)


@always
def mutual_exclusion(nodes: Sequence[RicartAgrawala]) -> bool:
    """At most one node is inside."""
    return sum(node.is_inside for node in nodes) <= 1


@always
def permission_is_exclusive(nodes: Sequence[RicartAgrawala]) -> bool:
    """No two nodes have each other's permission."""
    given = {(giver, node.id) for node in nodes for giver in node.permissions}
    return not any((taker, giver) in given for giver, taker in given)


class OrderOfRequests(Monitor):
    """Nodes enter in the order of their requests, unless permissions are kept."""

    reads = ("is_inside",)
    last: Ticket = (0, NodeId(""))

    def watch(self, before: RicartAgrawala, event: Event, after: RicartAgrawala) -> bool:
        if not after.is_inside or after.ticket is None or after.keep_permissions:
            return True
        earlier, self.last = self.last, after.ticket
        return earlier <= self.last


@sometimes
def contention(nodes: Sequence[RicartAgrawala]) -> bool:
    """One node is inside, and keeps another one waiting."""
    return any(node.is_inside and node.deferred for node in nodes)


@sometimes
def tie(nodes: Sequence[RicartAgrawala]) -> bool:
    """Two nodes ask with the same sequence number."""
    numbers = [node.ticket[0] for node in nodes if node.ticket is not None]
    return len(numbers) > len(set(numbers))


@sometimes
def permission_kept(nodes: Sequence[RicartAgrawala]) -> bool:
    """A node that does not ask has a permission all the same."""
    return any(node.permissions and node.ticket is None for node in nodes)


@eventually
def every_node_enters(nodes: Sequence[RicartAgrawala]) -> bool:
    """While nobody is inside, nobody waits."""
    return any(n.is_inside for n in nodes) or not any(n.clients for n in nodes)
