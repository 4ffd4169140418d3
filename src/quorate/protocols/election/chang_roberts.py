"""Chang-Roberts election: in a ring, only the highest number comes back to its process.

Paper       Ernest Chang, Rosemary Roberts, "An Improved Algorithm for Decentralized Extrema-Finding
            in Circular Configurations of Processes", CACM 22(5), 1979.
Model       Asynchronous; no process fails and no message is lost, but messages may be repeated and
            overtake one another. Each process knows its number, which no other process has, and
            its neighbour in the ring; nobody knows how many there are.
Safety      one_leader, highest_leads: only the process with the highest number is ever elected.
            elected_for_good: and nobody changes its mind.
Liveness    everybody_knows: once any process has begun, all get to know the leader.
Departures  The one that is elected lets its number go round once more, so that all know. Clients
            make their process begin, and wait for the leader's number.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Env,
    Event,
    Map,
    Message,
    Node,
    NodeId,
    Request,
    Response,
    always,
    each_step,
    eventually,
    on,
    sometimes,
)

Number = int


class Candidate(Message):  # election: process -> its neighbour
    number: Number


class Elected(Message):  # announcement: process -> its neighbour
    number: Number


class ChangRoberts(Node):
    # The numbers of the first processes in the ring; the next ones have higher numbers, likewise.
    arrangement: tuple[Number, ...] = (0,)
    is_marked: bool = False  # whether our number has left, or need not, as a higher one has come
    leader: Number | None = None
    asking: Map[NodeId, int] = Map()  # clients, and the number of each one's request

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """A client wants to know who leads."""
        self.asking = self.asking.set(env.sender, msg.number)
        if self.leader is not None:
            self.answer(env)
        elif not self.is_marked:
            self.begin(env)

    def begin(self, env: Env) -> None:
        """Any process may begin, whether or not others do: its number leaves for the neighbour."""
        self.is_marked = True
        env.send(self.neighbour(), Candidate(self.number()))

    @on(Candidate)
    def compare(self, msg: Candidate, env: Env) -> None:
        """Pass on a higher number, and let a lower one end here: it cannot be the highest."""
        if msg.number > self.number():
            self.is_marked = True
            env.send(self.neighbour(), msg)
        elif msg.number == self.number():
            self.lead(env)
        elif not self.is_marked:
            self.begin(env)

    def lead(self, env: Env) -> None:
        """Our number has come back: no process in the whole ring has a higher one."""
        if self.leader is None:
            self.leader = self.number()
            env.send(self.neighbour(), Elected(self.leader))
            self.answer(env)

    @on(Elected)
    def learn(self, msg: Elected, env: Env) -> None:
        """Pass on who leads, until everybody knows."""
        if self.leader is None:
            self.leader = msg.number
            env.send(self.neighbour(), msg)
            self.answer(env)

    def answer(self, env: Env) -> None:
        """Tell every client that asked."""
        for client, number in self.asking.items():
            env.send(client, Response(number, self.leader))
        self.asking = Map()

    def neighbour(self) -> NodeId:
        """The next process in the ring: nothing is ever sent to any other."""
        return self.peers[(self.peers.index(self.id) + 1) % len(self.peers)]

    def number(self) -> Number:
        """This process's own number."""
        rounds, place = divmod(self.peers.index(self.id), len(self.arrangement))
        return self.arrangement[place] + rounds * len(self.arrangement)


@always
def one_leader(nodes: Sequence[ChangRoberts]) -> bool:
    """Whoever knows a leader knows the same one."""
    return len({node.leader for node in nodes} - {None}) <= 1


@always
def highest_leads(nodes: Sequence[ChangRoberts]) -> bool:
    """No process with a lower number than another's is elected."""
    highest = max(node.number() for node in nodes)
    return all(node.leader in (None, highest) for node in nodes)


@each_step
def elected_for_good(before: ChangRoberts, event: Event, after: ChangRoberts) -> bool:
    """Who leads does not change."""
    return before.leader is None or after.leader == before.leader


@sometimes
def rivals(nodes: Sequence[ChangRoberts]) -> bool:
    """Two processes, between which there is one that nothing has reached, have begun."""
    marked = [node.is_marked for node in nodes]
    changes = sum(a != b for a, b in zip(marked, marked[1:] + marked[:1], strict=True))
    return changes > 2


@sometimes
def some_know(nodes: Sequence[ChangRoberts]) -> bool:
    """The leader is known to some, and others still wait."""
    return any(n.leader is not None for n in nodes) and any(n.leader is None for n in nodes)


@eventually
def everybody_knows(nodes: Sequence[ChangRoberts]) -> bool:
    """Once any process has begun, the election comes to an end."""
    return not any(n.is_marked for n in nodes) or all(n.leader is not None for n in nodes)
