"""A lock that is taken by whoever hears no objection in time. It is wrong: silence is no consent.

Model     Asynchronous, so an objection may be late or lost: then two nodes hold the lock.
Safety    one_holder: at most one node holds the lock at a time.
"""

from collections.abc import Sequence

from quorate.kernel import Durable, Env, Message, Node, Start, Timer, always, ms, on, sometimes

PATIENCE = ms(40)


class Ask(Message):  # candidate -> all
    pass


class Objection(Message):  # holder -> candidate
    pass


class Want(Timer):
    pass


class Decide(Timer):
    pass


class Lock(Node):
    holds: Durable[bool] = False
    asks: bool = False

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        env.after((ms(50), ms(500)), Want())

    @on(Want)
    def ask(self, event: Want, env: Env) -> None:
        self.asks = True
        env.broadcast(Ask())
        env.after(PATIENCE, Decide())

    @on(Ask)
    def object_to(self, msg: Ask, env: Env) -> None:
        if self.holds and env.sender != self.id:
            env.reply(Objection())

    @on(Objection)
    def yield_to(self, msg: Objection, env: Env) -> None:
        self.asks = False

    @on(Decide)
    def take(self, event: Decide, env: Env) -> None:
        self.holds = self.asks


@always
def one_holder(nodes: Sequence[Lock]) -> bool:
    """At most one node holds the lock."""
    return sum(node.holds for node in nodes) <= 1


@sometimes
def is_held(nodes: Sequence[Lock]) -> bool:
    """Somebody holds the lock."""
    return any(node.holds for node in nodes)
