"""Viewstamped Replication §4.1: normal operation, and §5.2: state transfer for who falls behind."""

from quorate.kernel import Env, Log, Map, Redirect, Request, Response, Set, on
from quorate.protocols.consensus.vr_state import (
    NORMAL,
    RECOVERING,
    Commit,
    CommitTimeout,
    Entry,
    GetState,
    NewState,
    Outcome,
    Prepare,
    PrepareOk,
    ViewTimeout,
    VrState,
)
from quorate.protocols.machines.key_value import KeyValue


class NormalOperation(VrState):
    """The primary orders requests, the backups follow."""

    def enter(self, view: int, log: Log[Entry], commit_number: int, env: Env) -> None:
        """Be normal in `view`, whose log this is: by a view change, recovery or state transfer."""
        self.status = NORMAL
        self.view = self.last_normal = view
        self.log = log
        self.starters, self.votes, self.responses = Set(), Map(), Map()
        self.prepared = Map((peer, 0) for peer in self.others)
        self.execute(commit_number, env)
        if self.is_primary:
            env.cancel(ViewTimeout())
            env.after(self.heartbeat, CommitTimeout())
        else:
            env.after(self.patience, ViewTimeout())

    @on(Request)
    def prepare(self, msg: Request, env: Env) -> None:
        """Steps 1 to 3. The primary gives the request the next op-number, unless it knows it."""
        if not self.is_primary:
            leader = self.primary_of(self.view) if self.status == NORMAL else None
            env.reply(Redirect(msg.number, leader))
            return
        if not KeyValue.accepts(msg.operation):
            env.reply(Response(msg.number, ok=False))
            return
        if msg.number <= self.newest_request(env.sender):
            self.repeat_outcome(msg, env)
            return
        self.log = self.log.append(Entry(env.sender, msg.number, msg.operation))
        self.send_prepare(self.op_number, env)
        env.after(self.heartbeat, CommitTimeout())

    def repeat_outcome(self, msg: Request, env: Env) -> None:
        """Step 2. A request that is not new is not executed again; its result is sent again."""
        outcome = self.outcomes.get(env.sender)
        if outcome is not None and outcome.number == msg.number:
            env.reply(Response(msg.number, outcome.result))

    def send_prepare(self, op_number: int, env: Env) -> None:
        """Step 3. Tell the backups which request has this op-number."""
        entry = self.log[op_number]
        env.multicast(self.others, Prepare(self.view, op_number, entry, self.commit_number))

    @on(Prepare)
    def accept(self, msg: Prepare, env: Env) -> None:
        """Step 4. Only when all earlier requests are in its log does a backup take the next."""
        if not self.follows(msg.view, env):
            return
        if msg.op_number > self.op_number + 1:
            self.fetch(msg.view, env)
            return
        if msg.op_number == self.op_number + 1:
            self.log = self.log.append(msg.entry)
        env.reply(PrepareOk(self.view, self.op_number))
        self.execute(msg.commit_number, env)

    def follows(self, view: int, env: Env) -> bool:
        """Whether we are a backup of this view, whose primary we have just heard."""
        if self.status == RECOVERING or view < self.view:
            return False
        if view > self.view or self.status != NORMAL:
            self.fetch(view, env)
            return False
        env.after(self.patience, ViewTimeout())
        return True

    @on(PrepareOk)
    def count(self, msg: PrepareOk, env: Env) -> None:
        """Step 5. A request is committed once f backups have it, and all before it."""
        if not self.is_primary or msg.view != self.view:
            return
        known = self.prepared[env.sender]
        self.prepared = self.prepared.set(env.sender, max(known, msg.op_number))
        reached = sorted([self.op_number, *self.prepared.values()], reverse=True)
        self.execute(reached[self.quorum - 1], env)

    def execute(self, commit_number: int, env: Env) -> None:
        """Steps 5 and 7. Execute what is committed, in order; the primary answers the clients."""
        for number in range(self.commit_number + 1, commit_number + 1):
            entry = self.log[number]
            self.store, result = self.store.apply(entry.operation)
            self.outcomes = self.outcomes.set(entry.client, Outcome(entry.number, result))
            self.commit_number = number
            if self.is_primary:
                env.send(entry.client, Response(entry.number, result))

    @on(CommitTimeout)
    def remind(self, timer: CommitTimeout, env: Env) -> None:
        """Step 6. An idle primary tells what is committed, and prepares anew what is not."""
        if not self.is_primary:
            return
        for op_number in range(self.commit_number + 1, self.log.end):
            self.send_prepare(op_number, env)
        if self.commit_number == self.op_number:
            env.multicast(self.others, Commit(self.view, self.commit_number))
        env.after(self.heartbeat, CommitTimeout())

    @on(Commit)
    def hear_of_commit(self, msg: Commit, env: Env) -> None:
        """Step 7. A backup executes what the primary has committed, once it has it."""
        if not self.follows(msg.view, env):
            return
        if msg.commit_number > self.op_number:
            self.fetch(msg.view, env)
        else:
            self.execute(msg.commit_number, env)

    def fetch(self, view: int, env: Env) -> None:
        """§5.2. Ask for what follows our last committed request, and change nothing as yet.

        The paper drops the rest of the log here. A view change that came before the answer would
        then take the shorter log for one of the later view.
        """
        env.reply(GetState(view, self.commit_number))

    @on(GetState)
    def hand_over(self, msg: GetState, env: Env) -> None:
        """§5.2. Only a replica that is normal in that view, or in a later one, has the log."""
        if self.status == NORMAL and self.view >= msg.view:
            entries = self.log[msg.commit_number + 1 :]
            env.reply(NewState(self.view, msg.commit_number, entries, self.commit_number))

    @on(NewState)
    def catch_up(self, msg: NewState, env: Env) -> None:
        """§5.2. What was committed stays; the rest of the log is replaced."""
        if self.status == RECOVERING or msg.view < self.view:
            return
        is_longer = msg.op_number + len(msg.entries) > self.op_number
        if msg.view == self.view and self.status == NORMAL and not is_longer:
            return
        log = self.log.truncate(msg.op_number + 1).extend(msg.entries)
        self.enter(msg.view, log, msg.commit_number, env)
        env.reply(PrepareOk(self.view, self.op_number))
