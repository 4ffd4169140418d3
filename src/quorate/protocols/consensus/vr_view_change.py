"""Viewstamped Replication §4.2: view changes, which mask failures of the primary."""

from quorate.kernel import Env, Log, Map, Set, on
from quorate.protocols.consensus.vr_normal import NormalOperation
from quorate.protocols.consensus.vr_state import (
    NORMAL,
    RECOVERING,
    VIEW_CHANGE,
    DoViewChange,
    PrepareOk,
    StartView,
    StartViewChange,
    ViewTimeout,
)


class ViewChanges(NormalOperation):
    """From one primary to the next."""

    @on(ViewTimeout)
    def suspect(self, timer: ViewTimeout, env: Env) -> None:
        """Step 1. Nothing heard of a primary: be for the next view."""
        if self.status != RECOVERING and not self.is_primary:
            self.start_view_change(self.view + 1, env)

    def start_view_change(self, view: int, env: Env) -> None:
        """Step 1. Leave the old view, and tell everybody."""
        self.view = view
        self.status = VIEW_CHANGE
        self.starters, self.votes = Set(), Map()
        env.multicast(self.others, StartViewChange(view))
        env.after(self.patience, ViewTimeout())

    @on(StartViewChange)
    def join(self, msg: StartViewChange, env: Env) -> None:
        """Steps 1 and 2. Once f others are for the view, tell its primary all that we know."""
        if not self.is_about_to_change(msg.view, env):
            return
        self.starters |= {env.sender}
        if len(self.starters) == self.quorum - 1:
            vote = DoViewChange(
                self.view, self.log[:], self.last_normal, self.commit_number, self.incarnations
            )
            env.send(self.primary_of(self.view), vote)

    def is_about_to_change(self, view: int, env: Env) -> bool:
        """Whether we are changing to this view: from now on, if it is later than ours."""
        if self.status == RECOVERING or view < self.view:
            return False
        if view > self.view:
            self.start_view_change(view, env)
        return self.status == VIEW_CHANGE

    @on(DoViewChange)
    def start_view(self, msg: DoViewChange, env: Env) -> None:
        """Step 3. From f + 1 accounts, take the log of the latest normal view; of these, longest.

        Who has crashed since it gave its account may have gone back to the old view, and so may
        have helped it to commit what the account does not know: its account does not count.
        """
        if not self.is_about_to_change(msg.view, env):
            return
        self.learn(msg.incarnations)
        self.votes = self.votes.set(env.sender, msg)
        votes = [v for id, v in self.votes.items() if self.is_current(id, v.incarnations)]
        if len(votes) < self.quorum:
            return
        best = max(votes, key=lambda vote: (vote.last_normal, len(vote.log)))
        commit_number = max(vote.commit_number for vote in votes)
        env.multicast(self.others, StartView(msg.view, best.log, commit_number))
        self.enter(msg.view, Log(best.log, start=1), commit_number, env)

    @on(StartView)
    def follow(self, msg: StartView, env: Env) -> None:
        """Step 5. The new primary's log replaces ours; acknowledge what it has not committed."""
        if self.status == RECOVERING or msg.view < self.view:
            return
        if msg.view == self.view and self.status == NORMAL:
            return
        self.enter(msg.view, Log(msg.log, start=1), msg.commit_number, env)
        if self.op_number > msg.commit_number:
            env.reply(PrepareOk(self.view, self.op_number))
