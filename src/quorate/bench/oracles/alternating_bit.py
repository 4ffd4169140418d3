"""The alternating bit protocol as in TLA+: two lossy queues of at most two messages, two values.

The specification begins in 8 states, whose bits agree; as nodes begin independently of each other,
the states are those of one exploration for each bit, put together: 240.
"""

from collections.abc import Sequence

from quorate.kernel import Env, Message, Node, NodeId, Start, Timer, always, on
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


class Packet(Message):
    bit: int
    value: int


class Ack(Message):
    bit: int


class Act(Timer):
    """Send something new, send it again, or acknowledge."""

    what: str


class End(Node):
    """n1 sends, n2 receives; each has the one's variables or the other's."""

    bit: int = 0
    acknowledged: int = 0
    value: int = 0

    @property
    def sends(self) -> bool:
        """Whether this is the sender."""
        return self.id == self.peers[0]

    @property
    def other(self) -> NodeId:
        """The other end."""
        return self.peers[1] if self.sends else self.peers[0]

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Any value was sent last, and any was received."""
        self.value = env.choose("value", (0, 1))
        if not self.sends:
            self.acknowledged = 0
        self.offer(env)

    @on(Act)
    def act(self, timer: Act, env: Env) -> None:
        """SndNewValue, ReSndMsg or SndAck."""
        if timer.what == "acknowledge":
            env.send(self.other, Ack(self.bit))
        else:
            if timer.what == "send":
                self.value = env.choose("value", (0, 1))
                self.bit = 1 - self.bit
            env.send(self.other, Packet(self.bit, self.value))
        self.offer(env)

    @on(Packet)
    def receive(self, msg: Packet, env: Env) -> None:
        """RcvMsg."""
        self.bit, self.value = msg.bit, msg.value

    @on(Ack)
    def acknowledge(self, msg: Ack, env: Env) -> None:
        """RcvAck."""
        self.acknowledged = msg.bit
        self.offer(env)

    def offer(self, env: Env) -> None:
        """Let exactly what is enabled be pending."""
        if not self.sends:
            env.after((0, 1), Act("acknowledge"))
            return
        is_done = self.acknowledged == self.bit
        env.cancel(Act("again" if is_done else "send"))
        env.after((0, 1), Act("send" if is_done else "again"))


@always
def received_in_order(nodes: Sequence[End]) -> bool:
    """What is acknowledged has been received."""
    sender, receiver = nodes
    fresh = sender.acknowledged == sender.bit
    return not fresh or receiver.bit == sender.bit


def link(bit: int) -> Scenario:
    """The two ends, both beginning with that bit."""
    fields = {"bit": bit, "acknowledged": bit}
    return Scenario(
        name="tla-alternating-bit",
        node=End,
        nodes=2,
        exploration=Exploration(
            nodes=2, fields=fields, network="fifo", drop=True, channel=2, timers=None
        ),
    )
