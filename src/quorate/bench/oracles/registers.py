"""Stateright's actors for registers: one copy, ABD, and Paxos, with clients that put and get.

Source: the examples `single-copy-register`, `linearizable-register` and `paxos` of Stateright
0.31, whose clients ask eagerly. Messages arrive in any order, once; those that change nothing stay.
"""

from collections.abc import Sequence

from quorate.kernel import (
    Env,
    Invoke,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Set,
    majority,
    on,
    sometimes,
)
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Scenario
from quorate.scenario.workload import Workload, register

Value = str | None
Ballot = tuple[int, NodeId]


class Put(Message):  # client -> server
    request: int
    value: Value


class Get(Message):  # client -> server
    request: int


class PutOk(Message):  # server -> client
    request: int


class GetOk(Message):  # server -> client
    request: int
    value: Value


class Client(Node):
    """Puts to one server, and gets from the next."""

    index: int = 0
    asked: int = 0

    @on(Invoke)
    def ask(self, event: Invoke, env: Env) -> None:
        """Every operation goes to another server."""
        server = self.peers[(self.index + self.asked) % len(self.peers)]
        self.asked += 1
        request = self.asked * self.index
        if event.operation.f == "write":
            env.send(server, Put(request, event.operation.value))
        else:
            env.send(server, Get(request))

    @on(PutOk)
    def put(self, msg: PutOk, env: Env) -> None:
        """The put took effect."""
        if msg.request == self.asked * self.index:
            env.complete("ok")

    @on(GetOk)
    def got(self, msg: GetOk, env: Env) -> None:
        """This is the value."""
        if msg.request == self.asked * self.index:
            env.complete("ok", msg.value)


class SingleCopy(Node):
    """A register without replication: right with one server, wrong with two."""

    value: Value = None

    @on(Put)
    def put(self, msg: Put, env: Env) -> None:
        """Remember the value."""
        self.value = msg.value
        env.reply(PutOk(msg.request))

    @on(Get)
    def get(self, msg: Get, env: Env) -> None:
        """Answer with the value."""
        env.reply(GetOk(msg.request, self.value))


# ABD


class Query(Message):
    request: int


class AckQuery(Message):
    request: int
    version: Ballot
    value: Value


class Record(Message):
    request: int
    version: Ballot
    value: Value


class AckRecord(Message):
    request: int


class Abd(Node):
    """One operation at a time; a server answers itself at once."""

    version: Ballot = (0, NodeId(""))
    value: Value = None
    phase: int = 0
    request: int = 0
    requester: NodeId = NodeId("")
    is_write: bool = False
    written: Value = None
    responses: Map[NodeId, tuple[Ballot, Value]] = Map()
    read: Value = None
    acks: Set[NodeId] = Set()

    @on(Put, Get)
    def begin(self, msg: Put | Get, env: Env) -> None:
        """Phase 1."""
        if self.phase:
            return
        self.phase, self.request, self.requester = 1, msg.request, env.sender
        self.is_write = isinstance(msg, Put)
        self.written = msg.value if isinstance(msg, Put) else None
        self.responses = Map({self.id: (self.own_version, self.value)})
        env.multicast(self.others, Query(msg.request))

    @property
    def own_version(self) -> Ballot:
        """The version before any write carries the server's own id."""
        return self.version if self.version[1] else (0, self.id)

    @property
    def others(self) -> tuple[NodeId, ...]:
        """All servers but this one."""
        return tuple(peer for peer in self.peers if peer != self.id)

    @on(Query)
    def answer(self, msg: Query, env: Env) -> None:
        """Phase 1, at a replica."""
        env.reply(AckQuery(msg.request, self.own_version, self.value))

    @on(AckQuery)
    def gather(self, msg: AckQuery, env: Env) -> None:
        """Phase 2 begins with a majority."""
        if self.phase != 1 or msg.request != self.request:
            return
        self.responses = self.responses.set(env.sender, (msg.version, msg.value))
        if len(self.responses) < majority(self.peers):
            return
        version, value = max(self.responses.values(), key=lambda pair: pair[0])
        if self.is_write:
            version, value = (version[0] + 1, self.id), self.written
        self.read = None if self.is_write else value
        env.multicast(self.others, Record(self.request, version, value))
        self.keep(version, value)
        self.phase, self.written, self.responses = 2, None, Map()
        self.acks = Set([self.id])

    @on(Record)
    def record(self, msg: Record, env: Env) -> None:
        """Phase 2, at a replica."""
        env.reply(AckRecord(msg.request))
        self.keep(msg.version, msg.value)

    def keep(self, version: Ballot, value: Value) -> None:
        """The newer version stays."""
        if version > self.own_version:
            self.version, self.value = version, value

    @on(AckRecord)
    def finish(self, msg: AckRecord, env: Env) -> None:
        """Phase 2 ends with a majority."""
        if self.phase != 2 or msg.request != self.request or env.sender in self.acks:
            return
        self.acks |= {env.sender}
        if len(self.acks) < majority(self.peers):
            return
        answer = PutOk(self.request) if self.is_write else GetOk(self.request, self.read)
        env.send(self.requester, answer)
        self.phase, self.request, self.requester = 0, 0, NodeId("")
        self.is_write, self.read, self.acks = False, None, Set()


# Paxos

Proposal = tuple[int, NodeId, Value]
Vote = tuple[Ballot, Proposal]


class Prepare(Message):
    ballot: Ballot


class Prepared(Message):
    ballot: Ballot
    last_accepted: Vote | None


class Accept(Message):
    ballot: Ballot
    proposal: Proposal


class Accepted(Message):
    ballot: Ballot


class Decided(Message):
    ballot: Ballot
    proposal: Proposal


class Paxos(Node):
    """Each server proposes the first value that it is given, once; all may accept."""

    ballot: Ballot = (0, NodeId(""))
    proposal: Proposal | None = None
    prepares: Map[NodeId, Vote | None] = Map()
    accepts: Set[NodeId] = Set()
    accepted: Vote | None = None
    is_decided: bool = False

    @property
    def others(self) -> tuple[NodeId, ...]:
        """All servers but this one."""
        return tuple(peer for peer in self.peers if peer != self.id)

    @on(Get)
    def get(self, msg: Get, env: Env) -> None:
        """Only who knows the decision answers."""
        if self.is_decided and self.accepted is not None:
            env.reply(GetOk(msg.request, self.accepted[1][2]))

    @on(Put)
    def put(self, msg: Put, env: Env) -> None:
        """Phase 1a."""
        if self.is_decided or self.proposal is not None:
            return
        self.proposal = (msg.request, env.sender, msg.value)
        self.ballot = (self.ballot[0] + 1, self.id)
        self.prepares, self.accepts = Map({self.id: self.accepted}), Set()
        env.multicast(self.others, Prepare(self.ballot))

    @on(Prepare)
    def prepare(self, msg: Prepare, env: Env) -> None:
        """Phase 1b."""
        if not self.is_decided and self.ballot < msg.ballot:
            self.ballot = msg.ballot
            env.reply(Prepared(msg.ballot, self.accepted))

    @on(Prepared)
    def prepared(self, msg: Prepared, env: Env) -> None:
        """Phase 2a."""
        if self.is_decided or msg.ballot != self.ballot:
            return
        self.prepares = self.prepares.set(env.sender, msg.last_accepted)
        if len(self.prepares) == majority(self.peers):
            votes = [vote for vote in self.prepares.values() if vote is not None]
            if votes:
                self.proposal = max(votes, key=lambda vote: vote[0])[1]
            assert self.proposal is not None
            self.accepted = (msg.ballot, self.proposal)
            self.accepts |= {self.id}
            env.multicast(self.others, Accept(msg.ballot, self.proposal))

    @on(Accept)
    def accept(self, msg: Accept, env: Env) -> None:
        """Phase 2b."""
        if not self.is_decided and self.ballot <= msg.ballot:
            self.ballot = msg.ballot
            self.accepted = (msg.ballot, msg.proposal)
            env.reply(Accepted(msg.ballot))

    @on(Accepted)
    def learn(self, msg: Accepted, env: Env) -> None:
        """A majority decides."""
        if self.is_decided or msg.ballot != self.ballot:
            return
        self.accepts |= {env.sender}
        if len(self.accepts) == majority(self.peers):
            self.is_decided = True
            assert self.proposal is not None
            env.multicast(self.others, Decided(msg.ballot, self.proposal))
            env.send(self.proposal[1], PutOk(self.proposal[0]))

    @on(Decided)
    def decided(self, msg: Decided, env: Env) -> None:
        """Another server knows."""
        if not self.is_decided:
            self.ballot, self.accepted = msg.ballot, (msg.ballot, msg.proposal)
            self.is_decided = True


@sometimes
def holds_a_value(nodes: Sequence[Node]) -> bool:
    """Some server has been given a value."""
    return any(getattr(node, name, None) for node in nodes for name in ("value", "accepted"))


def servers(kind: type[Node], servers: int, clients: int) -> Scenario:
    """So many servers of that kind, and clients that put once and get once."""
    scripts = tuple(
        Script(
            (Operation("write", None, "ABCDEFGH"[index]), Operation("read")),
            {"index": servers + index},
        )
        for index in range(clients)
    )
    return Scenario(
        name=f"stateright-{kind.__name__.lower()}",
        node=kind,
        nodes=servers,
        client=Client,
        workload=Workload(model="register", draw=register()),
        properties=(holds_a_value,),
        exploration=Exploration(nodes=servers, scripts=scripts, eager=True),
    )
