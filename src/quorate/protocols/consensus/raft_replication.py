"""Raft §5.3, §5.4.2: the leader's log becomes everyone's, and what a majority has is applied."""

from quorate.kernel import BatchEnd, Env, Map, NodeId, on
from quorate.protocols.consensus.raft_election import Elections
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    LEADER,
    AppendEntries,
    AppendReply,
    HeartbeatTimeout,
    SnapshotReply,
)


class Replication(Elections):
    """The log."""

    def lead(self, env: Env) -> None:
        """§5.2, §5.3. Assert our authority at once; assume that all logs are like ours."""
        super().lead(env)
        servers = (*self.others, self.id)
        nothing = Map((server, 0) for server in servers)
        self.next_index = Map((server, self.log.end) for server in servers)
        self.match_index = self.answered = nothing
        self.transfers = Map()
        self.round = self.checked_round = 0
        if self.config.no_op:
            self.log = self.log.append(Entry(self.current_term))
        self.heartbeat(HeartbeatTimeout(), env)

    @on(HeartbeatTimeout)
    def heartbeat(self, event: HeartbeatTimeout, env: Env) -> None:
        """§5.2. Repeat during idle periods, so that nobody stands for election."""
        if self.role == LEADER:
            self.replicate(env)
            env.after(self.config.heartbeat, HeartbeatTimeout())

    @on(BatchEnd)
    def replicate_batch(self, event: BatchEnd, env: Env) -> None:
        """One AppendEntries carries all the requests that arrived together."""
        if self.role == LEADER and self.config.batching:
            self.replicate(env)

    def replicate(self, env: Env) -> None:
        """§5.3. A round: send each follower what it lacks, or a heartbeat, and answer it too.

        Our own answer is an ordinary message, so it counts us only once our disk has the log
        (thesis §10.2.1).
        """
        self.round += 1
        self.sent_index = self.last_index
        self.send_entries(self.others, env)
        env.send(self.id, AppendReply(self.current_term, True, self.last_index, self.round))

    def send_entries(self, followers: tuple[NodeId, ...], env: Env) -> None:
        """Send each of `followers` the entries from its next_index on, and expect success."""
        window = self.config.max_in_flight * self.config.max_entries
        alike: dict[tuple[int, int], list[NodeId]] = {}
        for follower in followers:
            start = self.next_index[follower]
            if start < self.log.start:
                self.send_snapshot(follower, env)
                continue
            end = self.log.end
            if start < end:
                open_to = self.match_index[follower] + window + 1
                end = max(start, min(end, start + self.config.max_entries, open_to))
            alike.setdefault((start, end), []).append(follower)
        for (start, end), targets in alike.items():
            prev_term = self.term_at(start - 1)
            assert prev_term is not None, "what comes before the log's start ends the snapshot"
            entries = self.log[start:end] if start < end else ()
            message = AppendEntries(
                self.current_term, start - 1, prev_term, entries, self.commit_index, self.round
            )
            env.multicast(tuple(targets), message, ahead=True)
            if entries:
                self.next_index = self.next_index.update(dict.fromkeys(targets, end))

    def send_snapshot(self, follower: NodeId, env: Env) -> None:
        """§7. The log no longer has what `follower` lacks: see `raft_snapshot`."""
        raise NotImplementedError

    @on(AppendEntries)
    def append(self, msg: AppendEntries, env: Env) -> None:
        """§5.3. Take over the leader's entries, if our log agrees with what precedes them."""
        if msg.term < self.current_term:
            # No round: the sender may lead our term too by now, and has begun to count anew.
            env.reply(AppendReply(self.current_term, False, 0, 0))
            return
        self.follow(msg.term, env)
        if not self.agrees(msg.prev_log_index, msg.prev_log_term):
            # What is committed agrees for certain (§5.3 allows to go back by more than one).
            is_gap = msg.prev_log_index > self.last_index
            resume = self.last_index if is_gap else self.commit_index
            env.reply(AppendReply(self.current_term, False, resume, msg.round))
            return
        self.merge(msg.prev_log_index + 1, msg.entries)
        match_index = msg.prev_log_index + len(msg.entries)
        # Beyond the entries of this message our log may differ from the leader's.
        commit_index = min(msg.leader_commit, match_index)
        if commit_index > self.commit_index:
            self.commit(commit_index, env)
        env.reply(AppendReply(self.current_term, True, match_index, msg.round))

    def agrees(self, index: int, term: int) -> bool:
        """§5.3. Whether our entry at `index` is of `term`; by the snapshot's start all agree."""
        return index < self.log.start - 1 or self.term_at(index) == term

    def merge(self, start: int, entries: tuple[Entry, ...]) -> None:
        """§5.3. Append what is new, after deleting what conflicts with it."""
        for index, entry in enumerate(entries, start):
            if index < self.log.start:
                continue
            if index < self.log.end:
                if self.log[index].term == entry.term:
                    continue
                self.log = self.log.truncate(index)
            self.log = self.log.extend(entries[index - start :])
            return

    @on(AppendReply)
    def acknowledge(self, msg: AppendReply, env: Env) -> None:
        """§5.3. Note how far the follower's log agrees; where it does not, go back."""
        if msg.term > self.current_term:
            self.step_down(msg.term)
        if self.role != LEADER or msg.term != self.current_term:
            return
        follower = env.sender
        known = self.match_index.get(follower)
        if known is None:
            return  # It does not belong to us, and refuses what we have sent in an earlier term.
        self.note_answer(msg, env)
        if not msg.success:
            self.next_index = self.next_index.set(follower, max(msg.match_index, known) + 1)
            self.send_entries((follower,), env)
        elif msg.match_index > known:
            self.match_index = self.match_index.set(follower, msg.match_index)
            if self.next_index[follower] <= msg.match_index:
                self.next_index = self.next_index.set(follower, msg.match_index + 1)
            self.advance_commit_index(env)
            if self.next_index[follower] <= self.sent_index and follower in self.others:
                self.send_entries((follower,), env)

    def note_answer(self, msg: AppendReply | SnapshotReply, env: Env) -> None:
        """The sender still took us for its leader in that round."""
        if msg.round > self.answered[env.sender]:
            self.answered = self.answered.set(env.sender, msg.round)

    def advance_commit_index(self, env: Env) -> None:
        """§5.3, §5.4.2. An entry of our term is committed once a majority has stored it."""
        index = self.reached_by_majority(self.match_index)
        if index <= self.commit_index:
            return
        # An older entry that a majority has may still be overwritten (Figure 8).
        if self.term_at(index) == self.current_term:
            self.commit(index, env)

    def commit(self, commit_index: int, env: Env) -> None:
        """§5.3. Let the state machine execute all entries up to `commit_index`, in their order.

        The leader returns the results.
        """
        start, self.commit_index = self.commit_index + 1, commit_index
        entries = self.log[start : commit_index + 1]
        self.state, responses = self.state.apply_all(start, entries, self.config.max_sessions)
        if self.role != LEADER:
            return
        for entry, response in zip(entries, responses, strict=True):
            if response is not None and entry.client is not None:
                env.send(entry.client, response)
