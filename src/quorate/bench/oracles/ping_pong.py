"""Stateright's actors that count messages back and forth: 4 094 states if any may be lost."""

from collections.abc import Sequence

from quorate.kernel import Env, Message, Node, Start, always, on
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


class Ping(Message):
    count: int


class Pong(Message):
    count: int


class Player(Node):
    count: int = 0

    @on(Start)
    def serve(self, event: Start, env: Env) -> None:
        """The first player begins."""
        if self.id == self.peers[0]:
            env.send(self.peers[1], Ping(0))

    @on(Ping)
    def answer(self, msg: Ping, env: Env) -> None:
        """Only the expected number counts."""
        if msg.count == self.count:
            self.count += 1
            env.reply(Pong(msg.count))

    @on(Pong)
    def go_on(self, msg: Pong, env: Env) -> None:
        """Only the expected number counts."""
        if msg.count == self.count:
            self.count += 1
            env.reply(Ping(msg.count + 1))


@always
def within_one(nodes: Sequence[Player]) -> bool:
    """The two counts differ by one at the most."""
    return abs(nodes[0].count - nodes[1].count) <= 1


def players(limit: int, network: str, *, drop: bool) -> Scenario:
    """Two players, who count to `limit`."""
    return Scenario(
        name="stateright-ping-pong",
        node=Player,
        nodes=2,
        exploration=Exploration(
            nodes=2,
            network=network,
            drop=drop,
            bounds={"count": limit},
            within=lambda node, bounds: node.count <= bounds["count"],
        ),
    )
