"""Raft §8: clients; linearizable reads by the ReadIndex of the thesis (§6.4)."""

from quorate.kernel import Env, Redirect, Request, Response, on
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_snapshot import Snapshots
from quorate.protocols.consensus.raft_state import LEADER, AppendReply, Read


class Clients(Snapshots):
    """What clients ask, and what they are answered."""

    def step_down(self, term: int) -> None:
        """§8. Who no longer leads cannot answer reads: the clients will ask another."""
        super().step_down(term)
        self.reads = ()

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """§8. The leader serves; others name it. Repetitions are told apart when applied."""
        machine = self.state.machine
        if self.role != LEADER:
            env.reply(Redirect(msg.number, self.leader))
            return
        if not machine.accepts(msg.operation):
            env.reply(Response(msg.number, ok=False))
            return
        operation = machine.stamped(msg.operation, env)
        if machine.is_read(operation):
            self.read(Read(env.sender, msg.number, operation, self.round + 1), env)
        else:
            entry = Entry(self.current_term, env.sender, msg.number, operation, msg.once)
            self.log = self.log.append(entry)
            if not self.config.batching:
                self.replicate(env)

    def read(self, read: Read, env: Env) -> None:
        """§8. Before a read, exchange heartbeats with a majority: a newer leader may exist.

        The round must start after the read has arrived. Reads that arrive while one is under way
        share the next.
        """
        is_under_way = bool(self.reads) and self.reads[0].round <= self.round
        self.reads = (*self.reads, read)
        if not is_under_way:
            self.replicate(env)

    @on(AppendReply)
    def acknowledge(self, msg: AppendReply, env: Env) -> None:
        """§8. What followers answer may confirm reads, too."""
        super().acknowledge(msg, env)
        if self.reads and self.role == LEADER:
            self.serve_reads(env)

    def serve_reads(self, env: Env) -> None:
        """§8. Answer the reads whose round a majority has answered.

        All that is committed is applied, so what was committed when they came is, too.
        """
        # Until an entry of our term is committed, we do not know what else is.
        if self.term_at(self.commit_index) != self.current_term:
            return
        confirmed = self.reached_by_majority(self.answered)
        ready = [read for read in self.reads if read.round <= confirmed]
        for read in ready:
            self.answer(read, env)
        self.reads = self.reads[len(ready) :]
        if self.reads and self.reads[0].round > self.round:
            self.replicate(env)

    def answer(self, read: Read, env: Env) -> None:
        """Return what the state machine says to a read.

        To what has been applied since it came it may be no mere read any more, as where it finds
        that something is due to expire: then it goes through the log.
        """
        if self.state.machine.is_read(read.operation):
            _, value = self.state.machine.apply(read.operation)
            env.send(read.client, Response(read.number, value))
        elif self.role == LEADER:
            late = Entry(self.current_term, read.client, read.number, read.operation, once=False)
            self.log = self.log.append(late)
            if not self.config.batching:
                self.replicate(env)
        else:
            env.send(read.client, Redirect(read.number, self.leader))
