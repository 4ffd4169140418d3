"""One value, kept on every server; all that clients ask is answered by the primary."""

from quorate.kernel import (
    Durable,
    Env,
    Map,
    Message,
    Node,
    NodeId,
    Redirect,
    Request,
    Response,
    Timer,
    ms,
    on,
)

PRIMARY = NodeId("n1")
RESEND = ms(30)


class Copy(Message):  # primary -> all
    version: int
    value: int | None


class Copied(Message):  # all -> primary
    version: int


class Resend(Timer):
    pass


class Register(Node):
    version: Durable[int] = 0
    value: Durable[int | None] = None
    # Primary
    waiting: Map[int, tuple[NodeId, int]] = Map()  # by version: a client, its request's number
    copied: Map[NodeId, int] = Map()  # the newest version that each server has

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """Only the primary knows what is newest; it answers a write once all servers have it."""
        if self.id != PRIMARY:
            env.reply(Redirect(msg.number, PRIMARY))
        elif msg.operation.f == "read":
            env.reply(Response(msg.number, self.value))
        else:
            self.version += 1
            self.value = msg.operation.value
            self.waiting = self.waiting.set(self.version, (env.sender, msg.number))
            self.tell(env)

    def tell(self, env: Env) -> None:
        """Send the newest value, again and again: messages are lost, and servers crash."""
        env.broadcast(Copy(self.version, self.value))
        env.after(RESEND, Resend())

    @on(Resend)
    def tell_again(self, timer: Resend, env: Env) -> None:
        if self.waiting:
            self.tell(env)

    @on(Copy)
    def keep(self, msg: Copy, env: Env) -> None:
        """Copies may overtake one another: only a newer one counts."""
        if msg.version > self.version:
            self.version, self.value = msg.version, msg.value
        env.reply(Copied(self.version))

    @on(Copied)
    def count(self, msg: Copied, env: Env) -> None:
        """Answer every write that has reached all servers."""
        known = self.copied.get(env.sender, 0)
        self.copied = self.copied.set(env.sender, max(known, msg.version))
        everywhere = min(self.copied.get(peer, 0) for peer in self.peers)
        for version, (client, number) in self.waiting.items():
            if version <= everywhere:
                env.send(client, Response(number))
                self.waiting = self.waiting.remove(version)
