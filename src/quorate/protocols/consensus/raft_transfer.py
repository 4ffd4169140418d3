"""Raft, thesis §3.10: a leader hands over to a server of the client's choice.

Operation("transfer", "n3")    the result tells whether n3 leads
"""

import msgspec

from quorate.kernel import Env, Message, NodeId, Redirect, Request, Response, Timer, on
from quorate.protocols.consensus.raft_clients import Clients
from quorate.protocols.consensus.raft_state import LEADER, AppendReply


class Heir(msgspec.Struct, frozen=True, gc=False):
    """Whom a leader hands over to, and which request of which client asked for it."""

    server: NodeId
    client: NodeId
    number: int


class TimeoutNow(Message):  # leader -> heir
    term: int


class TransferTimeout(Timer):
    """Pending while a leader hands over."""


class Transfers(Clients):
    """Leadership transfer extension."""

    heir: Heir | None = None
    has_yielded: bool = False  # Whether a TimeoutNow of ours may be under way in this term.

    def lead(self, env: Env) -> None:
        """A new leader has no heir."""
        self.heir, self.has_yielded = None, False
        super().lead(env)

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """Thesis §3.10, 1. The prior leader stops accepting new client requests."""
        if self.role != LEADER:
            super().serve(msg, env)
        elif self.heir is not None:
            env.reply(Redirect(msg.number, None))
        elif msg.operation.f == "transfer":
            self.hand_over(msg, env)
        else:
            super().serve(msg, env)

    def hand_over(self, msg: Request, env: Env) -> None:
        """Thesis §3.10. Begin, if the target is one of those who may lead."""
        if msg.operation.key not in self.configuration.electors:
            env.reply(Response(msg.number, ok=False))
        elif msg.operation.key == self.id:
            env.reply(Response(msg.number, True))
        else:
            self.heir = Heir(NodeId(msg.operation.key), env.sender, msg.number)
            env.after(self.config.election[0], TransferTimeout())
            self.urge(env)

    @on(AppendReply)
    def acknowledge(self, msg: AppendReply, env: Env) -> None:
        """Thesis §3.10, 2. Replication brings the target's log up to date."""
        super().acknowledge(msg, env)
        if self.heir is not None and self.role == LEADER and env.sender == self.heir.server:
            self.urge(env)

    def urge(self, env: Env) -> None:
        """Thesis §3.10, 3. Once the target's log is like ours, have it stand for election."""
        assert self.heir is not None
        if self.match_index[self.heir.server] == self.last_index:
            self.has_yielded = True
            env.send(self.heir.server, TimeoutNow(self.current_term))

    @on(TimeoutNow)
    def take_over(self, msg: TimeoutNow, env: Env) -> None:
        """Thesis §3.10. Stand for election at once, against a leader that all still hear."""
        if msg.term == self.current_term:
            self.leader = None
            self.campaign(env, pre=False, disrupt=True)

    @on(TransferTimeout)
    def resume(self, event: TransferTimeout, env: Env) -> None:
        """Thesis §3.10. After about an election timeout, take requests again."""
        if self.heir is not None:
            self.settle(False, env)

    def follow(self, term: int, env: Env) -> None:
        """Thesis §3.10. The transfer is over when another server leads."""
        super().follow(term, env)
        if self.heir is not None:
            self.settle(env.sender == self.heir.server, env)

    def settle(self, is_done: bool, env: Env) -> None:
        """Tell the client how the transfer ended."""
        assert self.heir is not None
        env.send(self.heir.client, Response(self.heir.number, is_done))
        env.cancel(TransferTimeout())
        self.heir = None
