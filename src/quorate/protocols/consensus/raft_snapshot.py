"""Raft §7: snapshots take the place of the log's old entries, and bring laggards up to date."""

from quorate.kernel import Env, Log, NodeId, Start, Stored, on
from quorate.protocols.consensus.raft_replication import Replication
from quorate.protocols.consensus.raft_state import (
    LEADER,
    AppendReply,
    Covered,
    HeartbeatTimeout,
    Incoming,
    InstallSnapshot,
    Snapshot,
    SnapshotReply,
    TakeSnapshot,
    Transfer,
)


class Snapshots(Replication):
    """Log compaction. At most one snapshot is being stored at a time."""

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """Begin with the stored snapshot. It may be newer than the log, if a crash cut between."""
        super().start(event, env)
        snapshot = event.load("snapshot", Snapshot)
        if snapshot is not None:
            self.install(snapshot)

    def commit(self, commit_index: int, env: Env) -> None:
        """§7. Each server takes snapshots by itself, of what it has applied."""
        super().commit(commit_index, env)
        if self.storing is None and self.is_due(commit_index):
            self.store(self.present(), env)

    def is_due(self, commit_index: int) -> bool:
        """Whether the next snapshot is to be taken, of what is applied then."""
        every, last = self.config.snapshot_every, self.snapshot.index
        if not (every and self.config.staggered):
            return 0 < every <= commit_index - last
        servers = self.configuration.servers
        ahead = every * servers.index(self.id) // len(servers) if self.id in servers else 0
        return (commit_index + ahead) // every > (last + ahead) // every

    @on(TakeSnapshot)
    def take(self, msg: TakeSnapshot, env: Env) -> None:
        """§7. Whenever its operator wants one, a server can take a snapshot."""
        if self.commit_index > self.snapshot.index and self.storing is None:
            self.store(self.present(), env)

    def present(self) -> Snapshot:
        """§7. A snapshot of what is applied now."""
        index = self.commit_index
        term = self.term_at(index)
        assert term is not None, "what is committed is in the log, or ends the snapshot"
        configuration = self.configuration_at(index)
        return Snapshot(index, term, configuration, self.state)

    def store(self, snapshot: Snapshot, env: Env) -> None:
        """Begin to write a snapshot, in place of the one that is on disk."""
        self.storing = snapshot if snapshot.index > self.commit_index else snapshot.covered
        env.store("snapshot", snapshot)

    @on(Stored)
    def compact(self, event: Stored, env: Env) -> None:
        """§7. Only now that the snapshot is durable may the log forget what it covers."""
        if self.storing is not None:
            self.install(self.storing)
            self.storing = None
            if self.incoming.index <= self.commit_index:
                self.incoming = Incoming(self.incoming.index, self.incoming.term)

    def install(self, snapshot: Covered) -> None:
        """Figure 13. Keep the entries that follow the snapshot; if ours differs, keep none."""
        index = snapshot.index
        is_ours = index < self.log.start or self.term_at(index) == snapshot.term
        self.log = self.log.compact(index + 1) if is_ours else Log(start=index + 1)
        if index > self.commit_index:
            assert isinstance(snapshot, Snapshot), "what we have applied ourselves is our state"
            self.state = snapshot.state
            self.commit_index = index
        self.snapshot = snapshot.covered

    def send_snapshot(self, follower: NodeId, env: Env) -> None:
        """§7. Begin to bring `follower` up to date, unless we are at it.

        What is applied now does as well as what is stored, which needs not be kept in memory. We go
        on with that snapshot when there is a newer one, or it might never be done.
        """
        transfer = self.transfers.get(follower)
        if transfer is None or transfer.snapshot.index < self.next_index[follower]:
            self.transfers = self.transfers.set(follower, Transfer(self.present()))
            self.send_chunk(follower, env)

    def send_chunk(self, follower: NodeId, env: Env) -> None:
        """Figure 13. Send the part of the snapshot that the follower waits for.

        Not before what we have applied may be seen: so nobody has it from a snapshot first.
        """
        snapshot, offset = self.transfers[follower].snapshot, self.transfers[follower].offset
        parts, end = snapshot.state.parts(), offset + self.config.chunk_parts
        message = InstallSnapshot(
            self.current_term,
            snapshot.index,
            snapshot.term,
            snapshot.configuration,
            offset,
            tuple(parts[offset:end]),
            end >= len(parts),
            self.round,
        )
        env.send(follower, message)

    @on(HeartbeatTimeout)
    def heartbeat(self, event: HeartbeatTimeout, env: Env) -> None:
        """Repeat the chunks that have not been answered: they are heartbeats too."""
        super().heartbeat(event, env)
        if self.role == LEADER and self.transfers:
            for follower, transfer in self.transfers.items():
                if transfer.snapshot.index < self.next_index[follower]:
                    self.transfers = self.transfers.remove(follower)
                else:
                    self.send_chunk(follower, env)

    @on(InstallSnapshot)
    def receive(self, msg: InstallSnapshot, env: Env) -> None:
        """Figure 13. Put the chunks together; with the last one, store the snapshot."""
        if msg.term < self.current_term:
            env.reply(AppendReply(self.current_term, False, 0, 0))
            return
        self.follow(msg.term, env)
        if msg.last_index <= self.commit_index:
            # We have all this already, and all that is committed agrees with the leader's log.
            env.reply(AppendReply(self.current_term, True, self.commit_index, msg.round))
            return
        incoming = self.incoming
        if (incoming.index, incoming.term) != (msg.last_index, msg.last_term):
            incoming = Incoming(msg.last_index, msg.last_term)
        if msg.offset == len(incoming.parts):
            parts = incoming.parts.extend(msg.parts)
            incoming = Incoming(msg.last_index, msg.last_term, parts)
        self.incoming = incoming
        received = len(incoming.parts)
        if msg.done and received == msg.offset + len(msg.parts) and self.storing is None:
            state = self.state.of(incoming.parts)
            snapshot = Snapshot(msg.last_index, msg.last_term, msg.configuration, state)
            self.store(snapshot, env)
        env.reply(SnapshotReply(self.current_term, msg.last_index, received, msg.round))

    @on(SnapshotReply)
    def send_next_chunk(self, msg: SnapshotReply, env: Env) -> None:
        """Go on where the follower is."""
        if self.role != LEADER or msg.term != self.current_term:
            return
        self.note_answer(msg, env)
        follower = env.sender
        transfer = self.transfers.get(follower)
        if transfer is None or transfer.snapshot.index != msg.last_index:
            return
        if transfer.offset != msg.offset:
            self.transfers = self.transfers.set(follower, Transfer(transfer.snapshot, msg.offset))
        if transfer.offset < msg.offset < len(transfer.snapshot.state.parts()):
            self.send_chunk(follower, env)
