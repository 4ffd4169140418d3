"""The ABD register: shared memory out of messages, whatever minority of the nodes is down.

Paper       Hagit Attiya, Amotz Bar-Noy, Danny Dolev, "Sharing Memory Robustly in Message-Passing
            Systems", J. ACM 42(1), 1995. For many writers: Nancy Lynch, Alexander Shvartsman,
            "Robust Emulation of Shared Memory Using Dynamic Quorum-Acknowledged Broadcasts",
            FTCS 1997, whose query and propagation phases these are.
Model       Asynchronous; nodes crash and recover; messages are lost, reordered, duplicated.
Safety      Every register is linearizable, which histories show. It rests on acknowledged,
            versions_grow and OneValuePerTimestamp.
Liveness    operations_end: wait-free at every node that stays up, once a majority can be heard.
Departures  Nodes read and write for clients, who must not repeat a request: a repeated write is
            another write. A node runs many operations at a time, so its timestamps exceed its own
            earlier ones, not only those it is told. The papers' channels are reliable, and what
            crashes stays down; ours are not, so phases are sent again, and versions are durable.
            Registers have names. With `unanimous_reads` a read that is told of one version by a
            whole majority does not propagate it, for that has been done.
"""

from collections.abc import Sequence

import msgspec

from quorate.kernel import (
    Durable,
    Env,
    Event,
    Map,
    Message,
    Monitor,
    Node,
    NodeId,
    Operation,
    Request,
    Response,
    Set,
    Timer,
    always,
    each_step,
    eventually,
    majority,
    ms,
    on,
    sometimes,
)

Key = str
Value = int | str | None
Timestamp = tuple[int, NodeId]  # (number, writer): ordered, and no two writes share one
Version = tuple[Timestamp, Value]
Tag = tuple[NodeId, int]  # an operation: its client, and the client's number for it
UNWRITTEN: Version = ((0, NodeId("")), None)
RETRANSMIT = ms(100)


class Query(Message):  # phase 1: coordinator -> replicas
    tag: Tag
    key: Key


class Report(Message):  # phase 1: replica -> coordinator
    tag: Tag
    version: Version


class Record(Message):  # phase 2: coordinator -> replicas
    tag: Tag
    key: Key
    version: Version


class Recorded(Message):  # phase 2: replica -> coordinator
    tag: Tag


class Retransmit(Timer):
    tag: Tag


class Querying(msgspec.Struct, frozen=True):
    """An operation in its first phase: what the replicas have reported."""

    tag: Tag
    operation: Operation
    reports: Map[NodeId, Version] = Map()


class Recording(msgspec.Struct, frozen=True):
    """An operation in its second phase: who has recorded the version that it propagates."""

    tag: Tag
    operation: Operation
    version: Version
    recorded: Set[NodeId] = Set()


class Abd(Node):
    unanimous_reads: bool = False
    # Replica
    versions: Durable[Map[Key, Version]] = Map()
    # Coordinator
    phases: Map[NodeId, Querying | Recording] = Map()  # by client, each of which waits for one

    @on(Request)
    def query(self, msg: Request, env: Env) -> None:
        """Phase 1. Ask which version of the register a majority has."""
        tag = (env.sender, msg.number)
        self.begin(Querying(tag, msg.operation), env)

    @on(Query)
    def report(self, msg: Query, env: Env) -> None:
        """Phase 1, at a replica."""
        env.reply(Report(msg.tag, self.version(msg.key)))

    @on(Report)
    def choose(self, msg: Report, env: Env) -> None:
        """Phase 1 ends with a majority's reports; a write now takes its timestamp."""
        phase = self.phases.get(msg.tag[0])
        if not isinstance(phase, Querying) or phase.tag != msg.tag:
            return  # Late: from a phase that is over.
        reports = phase.reports.set(env.sender, msg.version)
        operation = phase.operation
        self.phases = self.phases.set(msg.tag[0], Querying(msg.tag, operation, reports))
        if len(reports) < majority(self.peers):
            return
        newest = max(reports.values())
        if operation.f == "write":
            self.propagate(msg.tag, operation, self.next_version(operation, newest), env)
        elif self.unanimous_reads and min(reports.values()) == newest:
            self.finish(msg.tag, newest, env)
        else:
            # A read's version may be known to few; unless most know it, the next read may miss it.
            self.propagate(msg.tag, operation, newest, env)

    def next_version(self, operation: Operation, newest: Version) -> Version:
        """A version above all reported ones, and above those of our own writes under way."""
        key = key_of(operation)
        (number, _), _ = max(newest, self.version(key))
        version = ((number + 1, self.id), operation.value)
        self.versions = self.versions.set(key, version)
        return version

    def propagate(self, tag: Tag, operation: Operation, version: Version, env: Env) -> None:
        """Phase 2. Have the version recorded by a majority."""
        self.begin(Recording(tag, operation, version), env)

    @on(Record)
    def record(self, msg: Record, env: Env) -> None:
        """Phase 2, at a replica. Never go back to an older version, but acknowledge it."""
        if msg.version > self.version(msg.key):
            self.versions = self.versions.set(msg.key, msg.version)
        env.reply(Recorded(msg.tag))

    @on(Recorded)
    def acknowledge(self, msg: Recorded, env: Env) -> None:
        """Phase 2 ends once a majority has recorded the version."""
        phase = self.phases.get(msg.tag[0])
        if not isinstance(phase, Recording) or phase.tag != msg.tag:
            return  # Late: its operation has ended.
        recorded = phase.recorded | {env.sender}
        phase = Recording(msg.tag, phase.operation, phase.version, recorded)
        self.phases = self.phases.set(msg.tag[0], phase)
        if len(recorded) >= majority(self.peers):
            self.finish(msg.tag, phase.version, env)

    def finish(self, tag: Tag, version: Version, env: Env) -> None:
        """Answer the client: a read with the value, a write with what it has written."""
        client, number = tag
        self.phases = self.phases.remove(client)
        env.cancel(Retransmit(tag))
        env.send(client, Response(number, version[1]))

    def begin(self, phase: Querying | Recording, env: Env) -> None:
        """Start a phase; an earlier operation of the client, given up by it, is forgotten."""
        self.phases = self.phases.set(phase.tag[0], phase)
        self.ask(phase, env)

    @on(Retransmit)
    def retransmit(self, timer: Retransmit, env: Env) -> None:
        """Requests or answers may have been lost."""
        phase = self.phases.get(timer.tag[0])
        if phase is not None and phase.tag == timer.tag:
            self.ask(phase, env)

    def ask(self, phase: Querying | Recording, env: Env) -> None:
        """Send the phase's request to all who have not answered it."""
        tag, key = phase.tag, key_of(phase.operation)
        if isinstance(phase, Querying):
            silent = tuple(peer for peer in self.peers if peer not in phase.reports)
            env.multicast(silent, Query(tag, key))
        else:
            silent = tuple(peer for peer in self.peers if peer not in phase.recorded)
            env.multicast(silent, Record(tag, key, phase.version))
        env.after(RETRANSMIT, Retransmit(tag))

    def version(self, key: Key) -> Version:
        """The newest version of a register that we know of."""
        return self.versions.get(key, UNWRITTEN)


def key_of(operation: Operation) -> Key:
    """The register that an operation is about; the one without a name has the empty name."""
    return operation.key or ""


@always
def acknowledged(nodes: Sequence[Abd]) -> bool:
    """Whoever has acknowledged a version holds it, or a newer one, also after a crash."""
    replicas = {node.id: node for node in nodes}
    return all(
        replicas[id].version(key_of(phase.operation)) >= phase.version
        for node in nodes
        for phase in node.phases.values()
        if isinstance(phase, Recording)
        for id in phase.recorded
    )


@each_step
def versions_grow(before: Abd, event: Event, after: Abd) -> bool:
    """A replica never goes back to an older version."""
    return all(after.version(key) >= version for key, version in before.versions.items())


class OneValuePerTimestamp(Monitor):
    """No two writes of a register share a timestamp."""

    reads = ("versions",)
    written: Map[tuple[Key, Timestamp], Value] = Map()

    def watch(self, before: Abd, event: Event, after: Abd) -> bool:
        for key, (timestamp, value) in after.versions.items():
            if self.written.get((key, timestamp), value) != value:
                return False
            self.written = self.written.set((key, timestamp), value)
        return True


@sometimes
def unfinished_write_is_read(nodes: Sequence[Abd]) -> bool:
    """A read propagates a version that no majority would hold without the reader."""
    return any(
        phase.operation.f == "read"
        and sum(n.version(key_of(phase.operation)) >= phase.version for n in nodes if n is not node)
        < majority(nodes)
        for node in nodes
        for phase in node.phases.values()
        if isinstance(phase, Recording)
    )


@sometimes
def writes_meet(nodes: Sequence[Abd]) -> bool:
    """Two writes of one register are propagated at the same time."""
    keys = [
        phase.operation.key
        for node in nodes
        for phase in node.phases.values()
        if isinstance(phase, Recording) and phase.operation.f == "write"
    ]
    return len(keys) > len(set(keys))


@eventually
def operations_end(nodes: Sequence[Abd]) -> bool:
    """While a majority can be heard, no operation lasts for ever."""
    return not any(node.phases for node in nodes)
