"""Viewstamped Replication with one rule broken at a time: what its campaign has to notice."""

from quorate.kernel import NodeId, Operation
from quorate.scenario.exploration import Script
from quorate.scenario.mutant import Mutant

STATE = "vr_state"
NORMAL = "vr_normal"
VIEW_CHANGE = "vr_view_change"
RECOVERY = "vr_recovery"

TWO_VIEWS = {
    "crashes": 0,
    "timers": 2,
    "views": 2,
    "newest_only": True,
    "scripts": (
        Script((Operation("append", "x", "a"),), {"server": NodeId("n1")}),
        Script((Operation("append", "x", "b"),), {"server": NodeId("n2")}),
    ),
}
"""Two requests, of which each primary may have one that the other does not know."""

MUTANTS: tuple[Mutant, ...] = (
    # Normal operation
    Mutant(
        name="commits-alone",
        rule="a request is committed once f backups have it too",
        section="§4.1, step 5",
        module=NORMAL,
        old="self.execute(reached[self.quorum - 1], env)",
        new="self.execute(reached[self.quorum - 2], env)",
        bounds=TWO_VIEWS,
    ),
    Mutant(
        name="accepts-over-a-gap",
        rule="a backup takes a request only when it has all earlier ones",
        section="§4.1, step 4",
        module=NORMAL,
        old="        if msg.op_number > self.op_number + 1:\n"
        "            self.fetch(msg.view, env)\n            return\n"
        "        if msg.op_number == self.op_number + 1:",
        new="        if msg.op_number > self.op_number:",
        bounds=TWO_VIEWS,
    ),
    Mutant(
        name="acknowledges-what-it-lacks",
        rule="an acknowledgement covers all earlier requests",
        section="§4.1, step 4",
        module=NORMAL,
        old="        if msg.op_number > self.op_number + 1:\n            self.fetch(msg.view, env)",
        new="        if msg.op_number > self.op_number + 1:\n"
        "            env.reply(PrepareOk(self.view, msg.op_number))",
        bounds=TWO_VIEWS,
    ),
    Mutant(
        name="accepts-from-an-old-view",
        rule="a replica processes only messages of its own view",
        section="§4.1",
        module=NORMAL,
        old="        if self.status == RECOVERING or view < self.view:\n",
        new="        if self.status == RECOVERING:\n",
    ),
    Mutant(
        name="counts-for-another-view",
        rule="acknowledgements count for the view that they name",
        section="§4.1, step 5",
        module=NORMAL,
        old="if not self.is_primary or msg.view != self.view:",
        new="if not self.is_primary:",
        # Two views with the same primary lie n views apart, and a late answer must span them.
        needs="a schedule of its own",
    ),
    Mutant(
        name="keeps-what-was-prepared",
        rule="how far the backups' logs reach is found out anew in each view",
        section="§4.1, step 5",
        module=NORMAL,
        old="self.prepared = Map((peer, 0) for peer in self.others)",
        new="self.prepared = Map((peer, self.prepared.get(peer, 0)) for peer in self.others)",
        # Of three replicas one acknowledgement commits, and what is committed is never taken back.
        needs="5 servers",
    ),
    Mutant(
        name="executes-again",
        rule="the client-table tells a repeated request",
        section="§4.1, step 2",
        module=NORMAL,
        old="if msg.number <= self.newest_request(env.sender):",
        new="if msg.number < self.newest_request(env.sender):",
    ),
    Mutant(
        name="forgets-what-waits",
        rule="the client-table knows of requests that are not executed yet",
        section="§4.1, step 3",
        module=STATE,
        old="return max([*waiting, outcome.number if outcome else 0])",
        new="return outcome.number if outcome else 0",
    ),
    # State transfer
    Mutant(
        name="joins-a-view-without-its-log",
        rule="who has not got a view's log yet is not normal in it",
        section="§5.2",
        module=NORMAL,
        old="        if view > self.view or self.status != NORMAL:\n",
        new="        if view > self.view or self.status != NORMAL:\n"
        "            log = self.log.truncate(self.commit_number + 1)\n"
        "            self.enter(view, log, self.commit_number, env)\n",
        bounds={"timers": 2, "crashes": 0},
    ),
    Mutant(
        name="keeps-its-tail",
        rule="what was not committed in an earlier view gives way to the log of the later one",
        section="§5.2",
        module=NORMAL,
        old="log = self.log.truncate(msg.op_number + 1).extend(msg.entries)",
        new="log = self.log.extend(msg.entries[self.op_number - msg.op_number :])",
        bounds=TWO_VIEWS,
    ),
    # View changes
    Mutant(
        name="longest-log-wins",
        rule="the log of the latest normal view is taken",
        section="§4.2, step 3",
        module=VIEW_CHANGE,
        old="key=lambda vote: (vote.last_normal, len(vote.log))",
        new="key=lambda vote: len(vote.log)",
        bounds=TWO_VIEWS,
    ),
    Mutant(
        name="any-log-of-the-latest-view",
        rule="of the logs of the latest normal view the longest is taken",
        section="§4.2, step 3",
        module=VIEW_CHANGE,
        old="key=lambda vote: (vote.last_normal, len(vote.log))",
        new="key=lambda vote: vote.last_normal",
    ),
    Mutant(
        name="view-of-too-few",
        rule="a view starts from the accounts of f + 1 replicas",
        section="§4.2, step 3",
        module=VIEW_CHANGE,
        old="if len(votes) < self.quorum:",
        new="if len(votes) < self.quorum - 1:",
    ),
    Mutant(
        name="works-on-while-changing",
        rule="a replica that is for a new view takes no part in the old one",
        section="§4.2, step 1",
        module=VIEW_CHANGE,
        old="        self.view = view\n        self.status = VIEW_CHANGE\n",
        new="        self.status = VIEW_CHANGE\n",
    ),
    Mutant(
        name="gives-the-new-view-for-its-log",
        rule="an account says in which view its log was last normal",
        section="§4.2, step 2",
        module=VIEW_CHANGE,
        old="self.view, self.log[:], self.last_normal, self.commit_number, self.incarnations",
        new="self.view, self.log[:], self.view, self.commit_number, self.incarnations",
        bounds=TWO_VIEWS,
    ),
    Mutant(
        name="starts-a-view-again",
        rule="a view that has started is not started again",
        section="§4.2, step 3",
        module=VIEW_CHANGE,
        old="return self.status == VIEW_CHANGE",
        new="return True",
    ),
    Mutant(
        name="accounts-from-before-a-crash",
        rule="an account does not count once its sender is known to have crashed",
        section="DISC 2017, crash-consistent quorums",
        module=VIEW_CHANGE,
        old="votes = [v for id, v in self.votes.items() if self.is_current(id, v.incarnations)]",
        new="votes = self.votes.values()",
        needs="a schedule of its own",
    ),
    Mutant(
        name="no-view-change",
        rule="who hears nothing of the primary starts a view change",
        section="§4.2, step 1",
        module=VIEW_CHANGE,
        old="if self.status != RECOVERING and not self.is_primary:",
        new="if False:",
    ),
    # Recovery
    Mutant(
        name="goes-on-without-recovery",
        rule="a replica that has forgotten its state recovers it before it takes part",
        section="§4.3",
        module=RECOVERY,
        old="if not event.recovered:",
        new="if True:",
    ),
    Mutant(
        name="recovers-from-any-answers",
        rule="the primary of the latest view must be among those who answered",
        section="§4.3, step 3",
        module=RECOVERY,
        old="        latest = answers.get(self.primary_of(view))\n",
        new="        latest = next((a for a in answers.values() if a.log is not None), None)\n"
        "        view = latest.view if latest is not None else view\n",
    ),
    Mutant(
        name="recovers-from-too-few",
        rule="f + 1 others must answer",
        section="§4.3, step 3",
        module=RECOVERY,
        old="if len(answers) < self.quorum:",
        new="if len(answers) < self.quorum - 1:",
    ),
    Mutant(
        name="answers-while-changing",
        rule="only a replica that is normal answers a recovery",
        section="§4.3, step 2",
        module=RECOVERY,
        old="        if self.status == NORMAL:\n            log = self.log[:] if self.is_primary",
        new="        if self.status != RECOVERING:\n"
        "            log = self.log[:] if self.primary_of(self.view) == self.id",
    ),
    Mutant(
        name="nonce-used-again",
        rule="a nonce is never used twice",
        section="§4.3, step 1",
        module=STATE,
        old="incarnation: Durable[int] = 0",
        new="incarnation: int = 0",
    ),
    Mutant(
        name="answers-to-an-earlier-crash",
        rule="an answer counts for the recovery whose nonce it repeats",
        section="§4.3, step 3",
        module=RECOVERY,
        old="if self.status != RECOVERING or msg.nonce != self.incarnation:",
        new="if self.status != RECOVERING:",
    ),
    Mutant(
        name="answers-from-before-a-crash",
        rule="an answer does not count once its sender is known to have crashed",
        section="DISC 2017, crash-consistent quorums",
        module=RECOVERY,
        old="id: r for id, r in self.responses.items() if self.is_current(id, r.incarnations)",
        new="id: r for id, r in self.responses.items()",
        needs="a schedule of its own, 5 servers",
    ),
    Mutant(
        name="votes-while-recovering",
        rule="a recovering replica takes part in no view change",
        section="§4.3",
        module=VIEW_CHANGE,
        old="        if self.status == RECOVERING or view < self.view:\n",
        new="        if view < self.view:\n",
    ),
)
