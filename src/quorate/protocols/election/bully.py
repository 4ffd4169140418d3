"""The bully election: the strongest node that is up coordinates, and says so to all weaker ones.

Paper       Hector Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions
            on Computers C-31(1), 1982 (the bully algorithm).
Model       Synchronous: every message arrives in time, none is lost, and a node that is up answers
            at once. Nodes crash, forget everything, and may come back, at any time.
Safety      nobody_bows_to_a_weaker: a node's coordinator is never weaker than the node.
            settled: once a coordinator has had time to reach all, nobody weaker has a weaker one.
            answered_nodes_wait: nobody leads whom a stronger node has answered in its election.
            heard_no_stronger: nor does anybody take the lead that has received an answer.
Liveness    strongest_coordinates: when crashes have ended, all follow the strongest that is up.
Departures  This is the form in which textbooks have it, with three messages. The paper first halts
            the weaker nodes, then tells them of the coordinator and of their task, so that no two
            nodes ever disagree; here they may, for as long as messages take. A coordinator repeats
            its announcement, by which it is missed when it crashes (the paper: AreYouThere), and
            answers an election with it. Strength is a node's place among its peers.
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
    Set,
    Start,
    Timer,
    always,
    each_step,
    eventually,
    ms,
    on,
    sometimes,
)

SLOWEST = ms(65)  # No message takes longer than this: what the model promises.
DOWN, ELECTION, WAITING, NORMAL = "down", "election", "waiting", "normal"
SETTLED = 3  # After so many repeated announcements all that went before has arrived.


class Election(Message):  # who holds an election -> all stronger nodes
    pass


class Answer(Message):  # stronger node -> who holds an election
    pass


class Coordinator(Message):  # coordinator -> all weaker nodes
    pass


class Silence(Timer):
    """Nobody has answered, announced itself, or been heard of in time."""


class Beat(Timer):
    """Time to announce again."""


class Bully(Node):
    patience: int = 2 * SLOWEST + ms(5)  # for an answer: there and back
    wait: tuple[int, int] = (5 * SLOWEST, 6 * SLOWEST)  # for whoever has answered to take over
    beat: int = SLOWEST + ms(5)  # from one announcement to the next
    watch: tuple[int, int] = (2 * SLOWEST + ms(15), 3 * SLOWEST)  # for the next announcement
    state: str = DOWN  # As it is after a crash, until the node starts again.
    coordinator: NodeId | None = None
    beats: int = 0  # how often we have repeated our announcement, up to SETTLED
    answered: Set[NodeId] = Set()  # the weaker nodes that we keep from leading by our election
    asking: Map[NodeId, int] = Map()  # clients, and the number of each one's request

    @on(Start)
    def recover(self, event: Start, env: Env) -> None:
        """Whoever starts, or comes back, holds an election: it may be the strongest."""
        self.elect(env)

    def elect(self, env: Env) -> None:
        """Ask all stronger nodes whether they are up. If there is none, take the lead."""
        self.state, self.coordinator = ELECTION, None
        if self.stronger():
            env.multicast(self.stronger(), Election())
            env.after(self.patience, Silence())
        else:
            self.lead(env)

    @on(Election)
    def bully(self, msg: Election, env: Env) -> None:
        """A weaker node must not lead: answer it, and hold an election of our own."""
        if self.coordinator == self.id:
            env.reply(Coordinator())
            return
        if self.state == NORMAL:
            self.elect(env)
        self.answered |= {env.sender}
        env.reply(Answer())

    @on(Answer)
    def give_way(self, msg: Answer, env: Env) -> None:
        """A stronger node is up, and will take over."""
        if self.state == ELECTION:
            self.state = WAITING
            env.after(self.wait, Silence())

    @on(Silence)
    def miss(self, timer: Silence, env: Env) -> None:
        """No stronger node has answered: lead. If one did, or did lead, it has crashed since."""
        if self.state == ELECTION:
            self.lead(env)
        else:
            self.elect(env)

    def lead(self, env: Env) -> None:
        """We are the strongest that is up."""
        self.state, self.coordinator, self.answered = NORMAL, self.id, Set()
        env.cancel(Silence())
        self.announce(env)
        self.answer(env)

    def announce(self, env: Env) -> None:
        """Let all weaker nodes know who coordinates."""
        env.multicast(self.weaker(), Coordinator())
        env.after(self.beat, Beat())

    @on(Beat)
    def repeat(self, timer: Beat, env: Env) -> None:
        """Let them know that we are still there."""
        if self.coordinator == self.id:
            self.beats = min(self.beats + 1, SETTLED)
            self.announce(env)

    @on(Coordinator)
    def follow(self, msg: Coordinator, env: Env) -> None:
        """A stronger node coordinates; if it falls silent we shall hold an election."""
        self.state, self.coordinator, self.answered = NORMAL, env.sender, Set()
        self.beats = 0
        env.after(self.watch, Silence())
        self.answer(env)

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """A client wants to know who coordinates; it waits while nobody does."""
        self.asking = self.asking.set(env.sender, msg.number)
        self.answer(env)

    def answer(self, env: Env) -> None:
        """Tell every client that asked."""
        if self.coordinator is not None:
            for client, number in self.asking.items():
                env.send(client, Response(number, self.coordinator))
            self.asking = Map()

    def stronger(self) -> tuple[NodeId, ...]:
        """The nodes that this one has to give way to."""
        return self.peers[self.peers.index(self.id) + 1 :]

    def weaker(self) -> tuple[NodeId, ...]:
        """The nodes that have to give way to this one."""
        return self.peers[: self.peers.index(self.id)]


@always
def nobody_bows_to_a_weaker(nodes: Sequence[Bully]) -> bool:
    """A node's coordinator is the node itself or a stronger one."""
    return all(node.coordinator not in node.weaker() for node in nodes)


@always
def settled(nodes: Sequence[Bully]) -> bool:
    """Nodes weaker than a coordinator that all have heard of have no weaker coordinator."""
    return all(
        other.coordinator not in node.weaker()
        for node in nodes
        if node.coordinator == node.id and node.beats == SETTLED
        for other in nodes
        if other.id in node.weaker()
    )


@always
def answered_nodes_wait(nodes: Sequence[Bully]) -> bool:
    """As long as the election of a node lasts, none that it has answered leads."""
    leaders = {node.id for node in nodes if node.coordinator == node.id}
    return not any(node.answered & leaders for node in nodes)


@each_step
def heard_no_stronger(before: Bully, event: Event, after: Bully) -> bool:
    """Whoever takes the lead was not answered in its election."""
    takes_over = after.coordinator == after.id != before.coordinator
    return not takes_over or before.state == ELECTION or not after.stronger()


@sometimes
def stand_in(nodes: Sequence[Bully]) -> bool:
    """All have heard of a coordinator that is not the strongest node."""
    return any(node.beats == SETTLED and node.stronger() for node in nodes)


@sometimes
def two_coordinators(nodes: Sequence[Bully]) -> bool:
    """Two nodes coordinate, as one has not yet heard of the other."""
    return sum(node.coordinator == node.id for node in nodes) > 1


@eventually
def strongest_coordinates(nodes: Sequence[Bully]) -> bool:
    """All nodes that are up follow the strongest of them."""
    places = [node.peers.index(node.id) for node in nodes]
    strongest = nodes[places.index(max(places))].id
    return all(node.coordinator == strongest for node in nodes)
