"""Chandy-Lamport snapshots: a global state of a system that does not stop for being recorded.

Paper       K. Mani Chandy, Leslie Lamport, "Distributed Snapshots: Determining Global States of
            Distributed Systems", ACM TOCS 3(1), 1985 (section 3: the two marker rules).
Model       Asynchronous; no process fails; each channel loses nothing and keeps the order of
            sending; every process can be reached from every other one along channels.
Safety      consistent: what is recorded of a channel is what its sender had sent along it before
            its own recording, and its receiver had not yet received (section 3.1).
            conserved: tokens are neither made nor lost in what is recorded (section 2's example).
            Reachable: the recorded state lies between those in which the snapshot began and ended
            (theorem 1).
Liveness    every_snapshot_ends: markers reach all processes along all channels (section 3.3).
Departures  The underlying computation moves tokens, as the paper's example does, on behalf of
            clients. Many snapshots may be under way; markers name theirs. Processes report what
            they have recorded to the one that began, which the paper leaves open; reports are no
            part of the system that is recorded. Channels join all processes, or form a `ring`.
"""

from collections.abc import Sequence

import msgspec

from quorate.kernel import (
    Env,
    Event,
    Map,
    Message,
    Monitor,
    Node,
    NodeId,
    Request,
    Response,
    Set,
    Start,
    always,
    eventually,
    on,
    sometimes,
)

Snapshot = tuple[NodeId, int]  # the process that began it, and that process's number for it
Counts = Map[NodeId, int]  # messages, by the process at the other end of the channel
Contents = tuple[int, ...]  # the messages in a channel, each as many tokens as it carries


class Recording(msgspec.Struct, frozen=True):
    """What a process records: its own state, and those of the channels that lead to it.

    `sent` and `received` are part of its state; `open` are the channels whose marker is to come.
    """

    tokens: int
    sent: Counts
    received: Counts
    channels: Map[NodeId, Contents]
    open: Set[NodeId]


class GlobalState(msgspec.Struct, frozen=True):
    """A snapshot that has ended."""

    snapshot: Snapshot
    recordings: Map[NodeId, Recording]

    def tokens(self) -> int:
        """All tokens in it, those in channels too."""
        channels = [c for r in self.recordings.values() for c in r.channels.values()]
        return sum(r.tokens for r in self.recordings.values()) + sum(map(sum, channels))


class Tokens(Message):  # underlying computation: process -> the next along a channel
    amount: int


class Marker(Message):  # process -> the next along each outgoing channel
    snapshot: Snapshot


class Report(Message):  # process -> the one that began the snapshot
    snapshot: Snapshot
    recording: Recording


class ChandyLamport(Node):
    endowment: int = 10  # what each process begins with
    ring: bool = False
    # Underlying computation
    tokens: int = 0
    sent: Counts = Map()
    received: Counts = Map()
    # Snapshots
    recordings: Map[Snapshot, Recording] = Map()  # those under way
    recorded: Set[Snapshot] = Set()  # those that are complete: none is recorded twice
    # Who began a snapshot
    begun: int = 0
    asked: Map[Snapshot, tuple[NodeId, int]] = Map()  # by which client, with which request
    reports: Map[Snapshot, Map[NodeId, Recording]] = Map()
    last: GlobalState | None = None

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Every process has its endowment."""
        self.tokens = self.endowment

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """A client wants tokens moved, or all of them counted."""
        if msg.operation.f == "audit":
            self.begin((env.sender, msg.number), env)
            return
        place, amount = msg.operation.value
        channels = self.outgoing()
        if amount > self.tokens or not channels:
            env.reply(Response(msg.number, ok=False))
            return
        target = channels[place % len(channels)]
        self.tokens -= amount
        self.sent = self.sent.set(target, self.sent.get(target, 0) + 1)
        env.send(target, Tokens(amount))
        env.reply(Response(msg.number))

    @on(Tokens)
    def receive(self, msg: Tokens, env: Env) -> None:
        """Tokens arrive; snapshots under way record those that they find in a channel."""
        self.tokens += msg.amount
        self.received = self.received.set(env.sender, self.received.get(env.sender, 0) + 1)
        for snapshot, recording in self.recordings.items():
            if env.sender in recording.open:
                contents = (*recording.channels.get(env.sender, ()), msg.amount)
                channels = recording.channels.set(env.sender, contents)
                recording = msgspec.structs.replace(recording, channels=channels)
                self.recordings = self.recordings.set(snapshot, recording)

    def begin(self, client: tuple[NodeId, int], env: Env) -> None:
        """Any process may record its state by itself, and so begin a snapshot."""
        self.begun += 1
        snapshot = (self.id, self.begun)
        self.asked = self.asked.set(snapshot, client)
        self.record(snapshot, Set(self.incoming()), env)

    def record(self, snapshot: Snapshot, channels: Set[NodeId], env: Env) -> None:
        """Marker-sending rule. Record the own state, and before any further message send a marker
        along each outgoing channel."""
        recording = Recording(self.tokens, self.sent, self.received, Map(), channels)
        env.multicast(self.outgoing(), Marker(snapshot))
        self.update(snapshot, recording, env)

    @on(Marker)
    def mark(self, msg: Marker, env: Env) -> None:
        """Marker-receiving rule. The first marker makes us record; the channel that it came along
        is then empty. Any other one ends what we record of its channel."""
        if msg.snapshot in self.recorded:
            return
        recording = self.recordings.get(msg.snapshot)
        if recording is None:
            self.record(msg.snapshot, Set(self.incoming()) - {env.sender}, env)
        else:
            recording = msgspec.structs.replace(recording, open=recording.open - {env.sender})
            self.update(msg.snapshot, recording, env)

    def update(self, snapshot: Snapshot, recording: Recording, env: Env) -> None:
        """Our part is complete when a marker has come along every channel."""
        if recording.open:
            self.recordings = self.recordings.set(snapshot, recording)
            return
        if snapshot in self.recordings:
            self.recordings = self.recordings.remove(snapshot)
        self.recorded |= {snapshot}
        initiator, _ = snapshot
        env.send(initiator, Report(snapshot, recording))

    @on(Report)
    def assemble(self, msg: Report, env: Env) -> None:
        """All parts together are the global state: tell the client how many tokens are in it."""
        if msg.snapshot not in self.asked:
            return
        reports = self.reports.get(msg.snapshot, Map()).set(env.sender, msg.recording)
        self.reports = self.reports.set(msg.snapshot, reports)
        if len(reports) < len(self.peers):
            return
        self.last = GlobalState(msg.snapshot, reports)
        self.reports = self.reports.remove(msg.snapshot)
        client, number = self.asked[msg.snapshot]
        self.asked = self.asked.remove(msg.snapshot)
        env.send(client, Response(number, self.last.tokens()))

    def outgoing(self) -> tuple[NodeId, ...]:
        """The processes to which a channel leads from here."""
        return self.neighbours(1)

    def incoming(self) -> tuple[NodeId, ...]:
        """The processes from which a channel leads here."""
        return self.neighbours(-1)

    def neighbours(self, direction: int) -> tuple[NodeId, ...]:
        """All others, or of a ring the next one in a direction."""
        if not self.ring:
            return tuple(peer for peer in self.peers if peer != self.id)
        place = self.peers.index(self.id) + direction
        return (self.peers[place % len(self.peers)],)


@always
def consistent(nodes: Sequence[ChandyLamport]) -> bool:
    """A recorded channel holds what was sent before its sender recorded, and not yet received."""
    return all(node.last is None or is_consistent(node.last) for node in nodes)


def is_consistent(state: GlobalState) -> bool:
    """Whether each channel holds as many messages as its two ends imply."""
    return all(
        len(ours.channels.get(sender, ()))
        == theirs.sent.get(receiver, 0) - ours.received.get(sender, 0)
        for sender, theirs in state.recordings.items()
        for receiver, ours in state.recordings.items()
    )


@always
def conserved(nodes: Sequence[ChandyLamport]) -> bool:
    """A snapshot holds as many tokens as there have been from the start."""
    return all(n.last is None or n.last.tokens() == n.endowment * len(n.peers) for n in nodes)


class Reachable(Monitor):
    """No process is recorded earlier than its snapshot began, or later than it ended."""

    reads = ("sent", "received", "begun", "last")
    now: Map[NodeId, tuple[int, int]] = Map()  # how many messages each has sent and received
    then: Map[Snapshot, Map[NodeId, tuple[int, int]]] = Map()  # and had, when a snapshot began

    def watch(self, before: ChandyLamport, event: Event, after: ChandyLamport) -> bool:
        self.now = self.now.set(after.id, progress(after))
        if after.begun != before.begun:
            self.then = self.then.set((after.id, after.begun), self.now)
        state = after.last
        if state is None or state == before.last:
            return True
        then = self.then.get(state.snapshot, Map())
        return all(
            earliest <= recorded <= latest
            for id, recording in state.recordings.items()
            for earliest, recorded, latest in zip(
                then.get(id, (0, 0)), progress(recording), self.now.get(id, (0, 0)), strict=True
            )
        )


def progress(process: ChandyLamport | Recording) -> tuple[int, int]:
    """How many messages a process has sent, and how many received."""
    return sum(process.sent.values()), sum(process.received.values())


@sometimes
def caught_in_a_channel(nodes: Sequence[ChandyLamport]) -> bool:
    """A snapshot finds tokens on their way."""
    return any(
        recording.channels
        for node in nodes
        if node.last is not None
        for recording in node.last.recordings.values()
    )


@sometimes
def snapshots_overlap(nodes: Sequence[ChandyLamport]) -> bool:
    """A process records for two snapshots at a time."""
    return any(len(node.recordings) > 1 for node in nodes)


@eventually
def every_snapshot_ends(nodes: Sequence[ChandyLamport]) -> bool:
    """Nobody is still recording, or waits for reports."""
    return not any(node.recordings or node.asked for node in nodes)
