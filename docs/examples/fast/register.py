"""One value, kept on every server: writes go through the primary, reads to whoever is near."""

from quorate.kernel import Durable, Env, Message, Node, NodeId, Redirect, Request, Response, on

PRIMARY = NodeId("n1")


class Copy(Message):  # primary -> all
    version: int
    value: int | None


class Register(Node):
    version: Durable[int] = 0
    value: Durable[int | None] = None

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """Read here; write at the primary, which tells the others."""
        if msg.operation.f == "read":
            env.reply(Response(msg.number, self.value))
        elif self.id != PRIMARY:
            env.reply(Redirect(msg.number, PRIMARY))
        else:
            self.version += 1
            self.value = msg.operation.value
            env.reply(Response(msg.number))
            env.broadcast(Copy(self.version, self.value))

    @on(Copy)
    def keep(self, msg: Copy, env: Env) -> None:
        """Copies may overtake one another: only a newer one counts."""
        if msg.version > self.version:
            self.version, self.value = msg.version, msg.value
