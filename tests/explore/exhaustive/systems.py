"""Small systems whose states can be counted by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.kernel import (
    Durable,
    Env,
    Message,
    Monitor,
    Node,
    NodeId,
    Set,
    Start,
    Stored,
    Timer,
    always,
    eventually,
    ms,
    on,
    sometimes,
)
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


def scenario(node: type[Node], *properties: Any, monitors: Any = (), **bounds: Any) -> Scenario:
    """A scenario of that class, judged by these properties alone."""
    return Scenario(
        name="small",
        node=node,
        properties=tuple(properties),
        monitors=tuple(monitors),
        exploration=Exploration(**{"nodes": 2, **bounds}),
    )


class Word(Message):
    text: str


class Speaker(Node):
    """n1 says `words` to n2, who writes down what it hears."""

    words: tuple[str, ...] = ("a", "b")
    heard: str = ""

    @on(Start)
    def speak(self, event: Start, env: Env) -> None:
        if self.id == self.peers[0]:
            for word in self.words:
                env.send(self.peers[1], Word(word))

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        self.heard += msg.text


def short(node: Speaker, bounds: Mapping[str, int]) -> bool:
    """A bound on what is heard."""
    return len(node.heard) <= 2


class Question(Message):
    pass


class Answer(Message):
    pass


class Asker(Node):
    """n1 asks everybody, itself included, and counts the answers."""

    answers: int = 0

    @on(Start)
    def ask(self, event: Start, env: Env) -> None:
        if self.id == self.peers[0]:
            env.broadcast(Question())

    @on(Question)
    def answer(self, msg: Question, env: Env) -> None:
        env.reply(Answer())

    @on(Answer)
    def count(self, msg: Answer, env: Env) -> None:
        self.answers += 1


class Hasty(Node):
    """n1 asks n2, which answers before its note of that is on disk, and only once."""

    has_noted: Durable[bool] = False
    is_back: bool = False
    heard: Set[str] = Set()

    @on(Start)
    def ask(self, event: Start, env: Env) -> None:
        self.is_back = event.recovered
        if self.id == self.peers[0] and not event.recovered:
            env.send(self.peers[1], Question())

    @on(Question)
    def answer(self, msg: Question, env: Env) -> None:
        if not self.has_noted:
            self.has_noted = True
            env.send(env.sender, Word("again" if self.is_back else "first"), ahead=True)

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        self.heard |= {msg.text}


class Alarm(Timer):
    name: str


class Sleeper(Node):
    """Sets two alarms and notes the order in which they ring."""

    first: tuple[int, int] = (ms(100), ms(100))
    second: tuple[int, int] = (ms(200), ms(200))
    rung: str = ""

    @on(Start)
    def sleep(self, event: Start, env: Env) -> None:
        env.after(self.first, Alarm("a"))
        env.after(self.second, Alarm("b"))

    @on(Alarm)
    def ring(self, timer: Alarm, env: Env) -> None:
        self.rung += timer.name


class Coin(Node):
    """Chooses when it starts."""

    side: str = ""

    @on(Start)
    def toss(self, event: Start, env: Env) -> None:
        self.side = env.choose("side", ("heads", "tails", "edge"))


class Write(Timer):
    pass


class Writer(Node):
    """n1 writes once, and tells both peers."""

    written: Durable[int] = 0
    told: int = 0

    @on(Start)
    def wait(self, event: Start, env: Env) -> None:
        if self.id == self.peers[0] and not event.recovered:
            env.after(ms(1), Write())

    @on(Write)
    def write(self, timer: Write, env: Env) -> None:
        self.written += 1
        for peer in self.peers[1:]:
            env.send(peer, Word("written"))

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        self.told += 1


class Keeper(Node):
    """Stores a large value, and knows when it is kept."""

    kept: bool = False

    @on(Start)
    def keep(self, event: Start, env: Env) -> None:
        self.kept = event.load("large", str) is not None
        if not self.kept:
            env.store("large", "value")

    @on(Stored)
    def done(self, event: Stored, env: Env) -> None:
        self.kept = True


class Heard(Monitor):
    """Never hears b first."""

    reads = ("heard",)
    first: str = ""

    def watch(self, before: Speaker, event: Any, after: Speaker) -> bool:
        self.first = self.first or after.heard[:1]
        return self.first != "b"


@always
def never_ba(nodes: Sequence[Speaker]) -> bool:
    """The words arrive in order."""
    return not any(node.heard.startswith("b") for node in nodes)


@sometimes
def both(nodes: Sequence[Speaker]) -> bool:
    """Both words are heard."""
    return any(len(node.heard) == 2 for node in nodes)


@eventually
def all_heard(nodes: Sequence[Speaker]) -> bool:
    """In the end both words are heard."""
    return len(nodes[1].heard) >= 2


class Gossip(Node):
    """Everybody once tells some other, who remembers whom it has heard first."""

    friend: NodeId | None = None
    told: bool = False

    @on(Start)
    def wait(self, event: Start, env: Env) -> None:
        env.after((0, 1), Write())

    @on(Write)
    def tell(self, timer: Write, env: Env) -> None:
        self.told = True
        others = tuple(peer for peer in self.peers if peer != self.id)
        env.send(env.choose("whom", others), Word(""))

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        if self.friend is None:
            self.friend = env.sender
