"""A client of any service that answers one operation per request.

Clients are nodes too. Their operations come from the workload as `Invoke`, and end by
`env.complete`; what they observe is the history that checkers judge.
"""

from quorate.kernel.canonical import Plain
from quorate.kernel.env import Env, ms
from quorate.kernel.node import Invoke, Message, Node, Operation, Timer, on
from quorate.kernel.values import NodeId


class Request(Message, repr_omit_defaults=True):  # client -> node
    """One operation. (sender, number) is its identity: a retry carries the same number.

    With `once` false the client never repeats it, so that nobody needs to remember it: it happens
    as often as it is taken, and the number only tells answers apart.
    """

    number: int
    operation: Operation
    once: bool = True


class Response(Message):  # node -> client
    """The outcome of request `number`: its result, or None with `ok` false if it surely failed."""

    number: int
    value: Plain = None
    ok: bool = True


class Redirect(Message):  # node -> client
    """Not done here: ask `leader`, or anybody else if that is None."""

    number: int
    leader: NodeId | None = None


class Retry(Timer):
    number: int


class GiveUp(Timer):
    number: int


class Client(Node, kw_only=True):
    """Sends each operation to one of `peers`, the servers, until it is answered or times out.

    Attributes:
        retry: nanoseconds until an unanswered request goes to another server; 0 for never, as a
            service needs that does not recognise a repeated request.
        timeout: nanoseconds until the operation is given up: it may still happen (info).
    """

    retry: int = ms(200)
    timeout: int = ms(1000)
    number: int = 0
    operation: Operation | None = None
    server: NodeId | None = None

    @on(Invoke)
    def invoke(self, event: Invoke, env: Env) -> None:
        self.number += 1
        self.operation = event.operation
        env.after(self.timeout, GiveUp(self.number))
        self._ask(self.server or env.choose("server", self.peers), env)

    @on(Response)
    def finish(self, msg: Response, env: Env) -> None:
        if msg.number == self.number and self.operation is not None:
            self._end("ok" if msg.ok else "fail", msg.value, env)

    @on(Redirect)
    def follow(self, msg: Redirect, env: Env) -> None:
        if msg.number != self.number or self.operation is None:
            return
        if msg.leader is None or msg.leader == env.sender:
            self.server = None
            env.after(max(self.retry // 10, ms(1)), Retry(self.number))
        else:
            self._ask(msg.leader, env)

    @on(Retry)
    def ask_another(self, event: Retry, env: Env) -> None:
        if event.number == self.number and self.operation is not None:
            others = tuple(peer for peer in self.peers if peer != self.server)
            self._ask(env.choose("server", others or self.peers), env)

    @on(GiveUp)
    def give_up(self, event: GiveUp, env: Env) -> None:
        if event.number == self.number and self.operation is not None:
            self._end("info", None, env)

    def _ask(self, server: NodeId, env: Env) -> None:
        assert self.operation is not None
        self.server = server
        env.send(server, Request(self.number, self.operation))
        if self.retry:
            env.after(self.retry, Retry(self.number))

    def _end(self, status: str, value: object, env: Env) -> None:
        self.operation = None
        env.cancel(Retry(self.number))
        env.cancel(GiveUp(self.number))
        if status == "info":
            self.server = None
        env.complete(status, value)
