"""Raft §6, thesis §4: servers come and go while the cluster works.

A configuration is an entry of the log. A server uses the latest one in its log, whether it is
committed or not (§4.1), and so goes back to the one before if the entry is overwritten. There are
single-server changes (thesis §4.1) and joint consensus (§6; thesis §4.3); new servers begin as
learners (thesis §4.2.1). What clients may ask stands in `Configuration.changed`.
"""

import msgspec
from msgspec.structs import replace

from quorate.kernel import Env, Map, NodeId, Redirect, Request, Response, Start, Timer, on
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import LEADER, AppendReply, Covered
from quorate.protocols.consensus.raft_transfer import Transfers

CHANGES = frozenset({"add-learner", "promote", "remove", "reconfigure"})

PATIENCE = 10
"""Election timeouts until new voters must have caught up (thesis §4.2.1)."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """A change whose new voters are catching up.

    Attributes:
        configuration: what is to be; `client` and `number` are the request.
        newcomers: who votes in it and not yet.
        target: a round replicates what was in the leader's log when it began: up to here.
        is_slow: whether the round has taken an election timeout.
        timeouts: election timeouts since the change began.
    """

    configuration: Configuration
    client: NodeId
    number: int
    newcomers: tuple[NodeId, ...]
    target: int
    is_slow: bool = False
    timeouts: int = 0


class RoundTimeout(Timer):
    """Pending while new voters catch up."""


class Membership(Transfers):
    """Cluster membership changes."""

    change: Change | None = None

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """§4.1. The configuration is that of the log, and of the snapshot before it."""
        super().start(event, env)
        self.note_configurations(self.log.start, self.log[:])

    # Thesis §4.1: the latest configuration in the log

    def merge(self, start: int, entries: tuple[Entry, ...]) -> None:
        """Thesis §4.1. Use a configuration as soon as it is in the log, and no longer."""
        super().merge(start, entries)
        if entries:
            self.note_configurations(start, entries)

    def note_configurations(self, start: int, entries: tuple[Entry, ...]) -> None:
        """Our log is as these entries from `start` on, and ends with it or goes on as before."""
        end = start + len(entries)
        (base, *later), low = self.configurations, max(start, self.configurations[0][0] + 1)
        found = [
            (index, entry.configuration)
            for index, entry in enumerate(entries, start)
            if entry.configuration is not None and index >= low
        ]
        if later or found:
            before = [pair for pair in later if pair[0] < start]
            beyond = [pair for pair in later if end <= pair[0] < self.log.end]
            self.configure((base, *before, *found, *beyond))

    def install(self, snapshot: Covered) -> None:
        """§7. A snapshot has the latest configuration of what it covers."""
        super().install(snapshot)
        inside = [p for p in self.configurations if self.log.start <= p[0] < self.log.end]
        self.configure(((snapshot.index, snapshot.configuration), *inside))

    # Changes

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        """Thesis §4.1. One change at a time, and none before an entry of our term is committed.

        Else majorities of two configurations, neither of which knows the other, need not overlap.
        """
        if msg.operation.f not in CHANGES or self.role != LEADER or self.heir is not None:
            super().serve(msg, env)
            return
        is_settled = len(self.configurations) == 1 and self.change is None
        if not is_settled or self.term_at(self.commit_index) != self.current_term:
            env.reply(Redirect(msg.number, None))  # Not now: ask again.
            return
        wanted = self.configuration.changed(msg.operation)
        if wanted is None:
            env.reply(Response(msg.number, ok=False))
        elif wanted == self.configuration:
            env.reply(Response(msg.number, True))
        else:
            self.begin(wanted, msg, env)

    def begin(self, wanted: Configuration, msg: Request, env: Env) -> None:
        """Thesis §4.2.1. Let those catch up first who are to vote."""
        newcomers = tuple(id for id in wanted.voters if id not in self.configuration.voters)
        change = Change(wanted, env.sender, msg.number, newcomers, self.last_index)
        env.after(self.config.election[0], RoundTimeout())
        self.proceed(change, env)

    def proceed(self, change: Change, env: Env) -> None:
        """Thesis §4.2.1. A round that takes less than an election timeout is the last one."""
        self.change = change
        if any(self.match_index[newcomer] < change.target for newcomer in change.newcomers):
            return
        if change.is_slow:
            self.change = replace(change, target=self.last_index, is_slow=False)
            env.after(self.config.election[0], RoundTimeout())
            return
        self.change = None
        env.cancel(RoundTimeout())
        self.append_configuration(change.configuration, change.client, change.number, env)

    @on(RoundTimeout)
    def lose_patience(self, event: RoundTimeout, env: Env) -> None:
        """Thesis §4.2.1. There has to be another round; but who is too slow shall not vote."""
        if self.change is None:
            return
        if self.change.timeouts + 1 < PATIENCE:
            self.change = replace(self.change, timeouts=self.change.timeouts + 1, is_slow=True)
            env.after(self.config.election[0], RoundTimeout())
        else:
            env.send(self.change.client, Response(self.change.number, ok=False))
            self.change = None

    def append_configuration(
        self, configuration: Configuration, client: NodeId | None, number: int, env: Env
    ) -> None:
        """Thesis §4.1. The change begins with an entry in the leader's log."""
        entry = Entry(self.current_term, client, number, configuration=configuration)
        self.log = self.log.append(entry)
        self.configure((*self.configurations, (self.last_index, configuration)))
        for server in self.others:
            if server not in self.match_index:
                self.next_index = self.next_index.set(server, self.last_index)
                self.match_index = self.match_index.set(server, 0)
                self.answered = self.answered.set(server, 0)
        staying = [pair for pair in self.transfers.items() if pair[0] in self.others]
        self.transfers = Map(staying)
        self.replicate(env)

    def commit(self, commit_index: int, env: Env) -> None:
        """Thesis §4.1, §4.3. A committed configuration makes room for the next one."""
        super().commit(commit_index, env)
        if len(self.configurations) > 1 or self.configuration.outgoing:
            self.conclude(env)

    def conclude(self, env: Env) -> None:
        """A change is committed: go on to C_new if it is joint; else it is done."""
        self.configure(self.configurations)
        index, configuration = self.configurations[0]
        if self.role != LEADER or len(self.configurations) > 1:
            return
        entry = self.log[index] if index >= self.log.start else Entry(0)
        if configuration.outgoing:
            self.append_configuration(configuration.settled(), entry.client, entry.number, env)
            return
        if entry.client is not None:
            env.send(entry.client, Response(entry.number, True))
        if self.id not in configuration.voters:
            # Thesis §4.2.2: we have led a cluster of others, up to here.
            self.replicate(env)
            self.step_down(self.current_term)

    @on(AppendReply)
    def acknowledge(self, msg: AppendReply, env: Env) -> None:
        """Thesis §4.2.1. The new voters get on."""
        super().acknowledge(msg, env)
        if self.change is not None and self.role == LEADER:
            self.proceed(self.change, env)

    def lead(self, env: Env) -> None:
        """A new leader begins no change by itself."""
        self.change = None
        super().lead(env)

    def campaign(self, env: Env, *, pre: bool, disrupt: bool = False) -> None:
        """Thesis §4.2.2. Stand for election if we vote, or have not surely ceased to.

        But everybody votes for anybody (thesis §4.1): who is to vote may be the last to know.
        """
        if any(self.id in each.electors for _, each in self.configurations):
            super().campaign(env, pre=pre, disrupt=disrupt)
