"""Zab with one rule broken at a time: what the campaign of `zab_scenario` has to notice."""

from quorate.scenario.mutant import Mutant

STATE = "zab_state"
DISCOVERY = "zab_discovery"
BROADCAST = "zab_broadcast"

MUTANTS: tuple[Mutant, ...] = (
    # Persistent state
    Mutant(
        name="one-epoch",
        rule="to promise an epoch is not to have taken over its history",
        section="§IV, f.p and f.a",
        module=DISCOVERY,
        old="        self.accepted_epoch = msg.epoch\n",
        new="        self.accepted_epoch = self.current_epoch = msg.epoch\n",
    ),
    Mutant(
        name="accepted-epoch-volatile",
        rule="a promise survives a crash",
        section="§IV, f.p",
        module=STATE,
        old="accepted_epoch: Durable[int] = 0",
        new="accepted_epoch: int = 0",
        bounds={"timers": 1, "crashes": 1},
    ),
    Mutant(
        name="current-epoch-volatile",
        rule="which epoch's history it is survives a crash",
        section="§IV, f.a",
        module=STATE,
        old="current_epoch: Durable[int] = 0",
        new="current_epoch: int = 0",
        bounds={"timers": 1, "crashes": 1},
    ),
    Mutant(
        name="history-volatile",
        rule="the history survives a crash",
        section="§IV, h_f",
        module=STATE,
        old="history: Durable[Log[Transaction]] = Log(start=1)",
        new="history: Log[Transaction] = Log(start=1)",
        bounds={"timers": 1, "crashes": 1},
    ),
    # Discovery
    Mutant(
        name="promises-again",
        rule="a process promises an epoch to one leader only",
        section="§IV, step f.1.2",
        module=DISCOVERY,
        old="        if not msg.is_first:\n            return\n",
        new="",
    ),
    Mutant(
        name="promises-an-earlier-epoch",
        rule="who has promised an epoch follows in no earlier one",
        section="§IV, step f.1.2",
        module=DISCOVERY,
        old="        if msg.epoch < self.accepted_epoch:\n            self.look(env)\n"
        "            return\n        is_first = msg.epoch > self.accepted_epoch\n",
        new="        is_first = True\n",
    ),
    Mutant(
        name="leads-without-a-promise-of-its-own",
        rule="the leader has promised its epoch, as its followers have",
        section="§IV, step l.1.1",
        module=DISCOVERY,
        old="            self.accepted_epoch = self.epoch\n",
        new="",
    ),
    Mutant(
        name="history-of-too-few",
        rule="the initial history is the latest of a quorum's",
        section="§IV, step l.1.2",
        module=DISCOVERY,
        old="if len(self.promises) < self.quorum:",
        new="if len(self.promises) < self.quorum - 1:",
    ),
    Mutant(
        name="history-of-the-highest-zxid",
        rule="of the histories that of the latest current epoch is taken",
        section="§IV, step l.1.2",
        module=DISCOVERY,
        old="key=lambda p: (p.current_epoch, last_of(p.history))",
        new="key=lambda p: last_of(p.history)",
    ),
    Mutant(
        name="any-history-of-the-latest-epoch",
        rule="of the histories of the latest epoch the longest is taken",
        section="§IV, step l.1.2",
        module=DISCOVERY,
        old="key=lambda p: (p.current_epoch, last_of(p.history))",
        new="key=lambda p: p.current_epoch",
    ),
    Mutant(
        name="its-own-history",
        rule="the initial history is the latest of a quorum's",
        section="§IV, step l.1.2",
        module=DISCOVERY,
        old="self.history = Log(best.history, start=1)",
        new="assert best",
    ),
    # Synchronization
    Mutant(
        name="takes-over-before-it-is-on-disk",
        rule="a follower acknowledges NEWLEADER once its history is on disk",
        section="§IV, step f.2.1",
        module=BROADCAST,
        old="env.reply(AckLeader(msg.epoch, self.last))",
        new="env.send(env.sender, AckLeader(msg.epoch, self.last), ahead=True)",
    ),
    Mutant(
        name="takes-over-unpromised",
        rule="a follower takes over the history of the epoch that it has promised",
        section="§IV, step f.2.1",
        module=BROADCAST,
        old="if msg.epoch != self.accepted_epoch:",
        new="if False:",
    ),
    Mutant(
        name="keeps-its-tail",
        rule="the leader's history replaces the follower's",
        section="§IV, step f.2.1",
        module=BROADCAST,
        old="if msg.epoch != self.current_epoch or last_of(msg.history) > self.last:",
        new="if last_of(msg.history) > self.last:",
    ),
    Mutant(
        name="takes-over-what-is-late",
        rule="within an epoch a history only grows",
        section="§IV, phase 3",
        module=BROADCAST,
        old="if msg.epoch != self.current_epoch or last_of(msg.history) > self.last:",
        new="if True:",
    ),
    Mutant(
        name="broadcasts-before-it-is-established",
        rule="a leader broadcasts once a quorum has taken over the initial history",
        section="§IV, step l.2.2; §III, primary integrity",
        module=STATE,
        old="return self.role == LEADING and self.phase == BROADCAST",
        new='return self.role == LEADING and self.phase != "discovery"',
    ),
    Mutant(
        name="hands-over-what-it-has-delivered",
        rule="followers take over the whole initial history",
        section="§IV, step l.2.1",
        module=BROADCAST,
        old="env.multicast(followers, NewLeader(self.epoch, self.history[:]))",
        new="env.multicast(followers, NewLeader(self.epoch, self.history[: self.delivered + 1]))",
    ),
    # Broadcast
    Mutant(
        name="accepts-over-a-gap",
        rule="a follower accepts proposals in the order of their zxids",
        section="§IV, step f.3.1",
        module=BROADCAST,
        old="if msg.transaction.zxid == self.next_zxid():",
        new="if msg.transaction.zxid > self.last:",
    ),
    Mutant(
        name="acknowledges-before-it-is-on-disk",
        rule="a follower acknowledges a proposal once it is on disk",
        section="§IV, step f.3.1",
        module=BROADCAST,
        old="if msg.transaction.zxid <= self.last:\n"
        "            env.reply(Ack(self.epoch, self.last))",
        new="if msg.transaction.zxid <= self.last:\n"
        "            env.send(env.sender, Ack(self.epoch, self.last), ahead=True)",
        bounds={"timers": 1, "crashes": 1},
    ),
    Mutant(
        name="commits-alone",
        rule="a transaction is committed once a quorum has it on disk",
        section="§IV, step l.3.2",
        module=BROADCAST,
        old="return sorted(self.acked.values(), reverse=True)[self.quorum - 1]",
        new="return sorted(self.acked.values(), reverse=True)[self.quorum - 2]",
    ),
    Mutant(
        name="counts-for-another-epoch",
        rule="acknowledgements count for the epoch that they name",
        section="§IV, step l.3.2",
        module=BROADCAST,
        old="if self.role != LEADING or msg.epoch != self.epoch or self.phase == DISCOVERY:",
        new="if self.role != LEADING or self.phase == DISCOVERY:",
    ),
    Mutant(
        name="delivers-again",
        rule="a request is broadcast once",
        section="clients, not in the paper",
        module=BROADCAST,
        old="if msg.number <= self.newest_request(env.sender):",
        new="if msg.number < self.newest_request(env.sender):",
    ),
    # Phase 0
    Mutant(
        name="leads-on-without-a-quorum",
        rule="a leader that hears from no quorum gives up",
        section="§IV, phase 3: back to phase 0",
        module=DISCOVERY,
        old="len(self.heard | {self.id}) >= self.quorum:",
        new="True:",
    ),
)
