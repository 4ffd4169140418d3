"""Chang and Roberts' election on a ring as in TLA+: whoever likes initiates, the least id wins."""

from collections.abc import Sequence

from quorate.kernel import Env, Message, Node, NodeId, Start, Timer, always, on
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


class Candidate(Message):
    who: NodeId


class Begin(Timer):
    pass


class Member(Node):
    initiates: bool = False
    has_begun: bool = False
    is_early: bool = False  # A message was handled before: not enabled, so out of bounds.
    state: str = "lost"

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Any set of nodes initiates."""
        self.initiates = env.choose("initiates", (False, True))
        self.state = "candidate" if self.initiates else "lost"
        env.after((0, 1), Begin())

    @on(Begin)
    def begin(self, timer: Begin, env: Env) -> None:
        """An initiator sends its id to its neighbour."""
        self.has_begun = True
        if self.initiates:
            env.send(self.successor, Candidate(self.id))

    @on(Candidate)
    def receive(self, msg: Candidate, env: Env) -> None:
        """Forward what is smaller; one's own id has been all around."""
        self.is_early = not self.has_begun
        if self.state == "lost" or msg.who < self.id:
            self.state = "lost"
            env.send(self.successor, msg)
        elif msg.who == self.id:
            self.state = "won"

    @property
    def successor(self) -> NodeId:
        """The next node of the ring."""
        return self.peers[(self.peers.index(self.id) + 1) % len(self.peers)]


@always
def one_winner(nodes: Sequence[Member]) -> bool:
    """The winner is the initiator with the least id, and nobody else is left."""
    winners = [node.id for node in nodes if node.state == "won"]
    return not winners or winners == [min(node.id for node in nodes if node.initiates)]


def ring(count: int) -> Scenario:
    """A ring of so many nodes."""
    return Scenario(
        name="tla-chang-roberts",
        node=Member,
        nodes=count,
        exploration=Exploration(
            nodes=count, timers=None, within=lambda node, bounds: not node.is_early
        ),
    )
