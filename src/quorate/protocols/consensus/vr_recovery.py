"""Viewstamped Replication §4.3: a replica that has forgotten everything learns it from others."""

from quorate.kernel import Env, Log, Start, on
from quorate.protocols.consensus.vr_state import (
    NORMAL,
    RECOVERING,
    Recovery,
    RecoveryResponse,
    RecoveryTimeout,
)
from quorate.protocols.consensus.vr_view_change import ViewChanges


class Recoveries(ViewChanges):
    """Until it has recovered, a replica takes part in nothing."""

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """The first incarnation is normal in view 0, with an empty log; all later ones recover."""
        self.others = tuple(peer for peer in self.peers if peer != self.id)
        if not event.recovered:
            self.incarnations = (0,) * len(self.peers)
            self.enter(0, self.log, 0, env)
            return
        self.incarnation += 1
        self.incarnations = tuple(self.incarnation * (peer == self.id) for peer in self.peers)
        self.status = RECOVERING
        self.ask(RecoveryTimeout(), env)

    @on(RecoveryTimeout)
    def ask(self, timer: RecoveryTimeout, env: Env) -> None:
        """Step 1. Ask all others, with a nonce, so that no answer to an earlier crash counts."""
        if self.status == RECOVERING:
            env.multicast(self.others, Recovery(self.incarnation))
            env.after(self.patience, RecoveryTimeout())

    @on(Recovery)
    def respond(self, msg: Recovery, env: Env) -> None:
        """Step 2. Only who is normal answers; the primary sends its log too."""
        self.learn(tuple(msg.nonce * (peer == env.sender) for peer in self.peers))
        if self.status == NORMAL:
            log = self.log[:] if self.is_primary else None
            response = RecoveryResponse(
                self.view, msg.nonce, log, self.commit_number, self.incarnations
            )
            env.reply(response)

    @on(RecoveryResponse)
    def recover(self, msg: RecoveryResponse, env: Env) -> None:
        """Step 3. With f + 1 answers, one of them of the primary of the latest view among them.

        Who has crashed since it answered may have forgotten that we crashed, and could later let
        an account of ours from before the crash pass: its answer does not count.
        """
        if self.status != RECOVERING or msg.nonce != self.incarnation:
            return
        self.learn(msg.incarnations)
        self.responses = self.responses.set(env.sender, msg)
        answers = {id: r for id, r in self.responses.items() if self.is_current(id, r.incarnations)}
        if len(answers) < self.quorum:
            return
        view = max(answer.view for answer in answers.values())
        latest = answers.get(self.primary_of(view))
        if latest is not None and latest.view == view and latest.log is not None:
            self.enter(view, Log(latest.log, start=1), latest.commit_number, env)
