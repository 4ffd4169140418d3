"""A client's connection to a live member, as a node."""

from quorate.kernel import Client, Env, NodeId, Request, ms


class Connection(Client):
    """Asks the member at hand, and whom that names; asks nobody twice.

    What a connection asks for has no identity, so to ask again could do it twice. Only where a
    server says that it has not done it, another one is asked: at once if it names one, else a
    tenth of `retry` later. Numbers tell answers apart.
    """

    retry: int = ms(100)
    timeout: int = ms(2000)

    def _ask(self, server: NodeId, env: Env) -> None:
        assert self.operation is not None
        self.server = server
        env.send(server, Request(self.number, self.operation, once=False))
