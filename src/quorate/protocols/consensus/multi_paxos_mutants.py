"""Multi-Paxos with one rule broken at a time."""

from quorate.scenario.mutant import Mutant

MUTANTS = (
    Mutant(
        name="vote-despite-promise",
        rule="an acceptor that has promised a ballot votes in no lower one",
        section="PMMC figure 4, A2",
        old="""promised a higher ballot (figure 4).\"\"\"
        if msg.ballot < self.promised:""",
        new="""promised a higher ballot (figure 4).\"\"\"
        if False:""",
    ),
    Mutant(
        name="ignore-earlier-votes",
        rule="a new leader proposes what has been voted for",
        section="PMMC figure 7, C2",
        old="_, command = votes.get(slot, (NO_BALLOT, NO_OP))",
        new="command = NO_OP",
    ),
    Mutant(
        name="adopt-any-vote",
        rule="of the votes reported for a slot, the one of the highest ballot counts",
        section="PMMC figure 7, pmax",
        old="if vote[0] > ballot:",
        new="if True:",
        bounds={"timers": 3},
    ),
    Mutant(
        name="adopt-lowest-vote",
        rule="of the votes reported for a slot, the one of the highest ballot counts",
        section="PMMC figure 7, pmax",
        old="if vote[0] > ballot:",
        new="if slot not in highest or vote[0] < ballot:",
        bounds={"timers": 3},
    ),
    Mutant(
        name="watermark-ignored",
        rule="where an acceptor has forgotten its vote, the slot is decided",
        section="PMMC 4.2",
        old="first = max(promise.slot_out for promise in self.promises.values())",
        new="first = self.slot_out",
    ),
    Mutant(
        name="votes-forgotten-in-a-hole",
        rule="an acceptor forgets only the votes of slots that are executed",
        section="PMMC 4.2",
        old="self.votes = since(self.slot_out, self.votes)",
        new="self.votes = since(max((self.slot_out, *self.decisions)), self.votes)",
    ),
    Mutant(
        name="holes-left-open",
        rule="a new leader fills the slots that nobody has voted for",
        section="PMS 3",
        old="            if slot not in self.decisions:",
        new="            if slot in votes and slot not in self.decisions:",
    ),
    Mutant(
        name="holes-taken-for-no-ops",
        rule="a slot is executed once it is decided",
        section="PMMC figure 1, R2",
        old="""        while self.slot_out in self.decisions:
            self.perform(self.decisions[self.slot_out], env)""",
        new="""        while self.slot_out <= max(self.decisions, default=0):
            self.perform(self.decisions.get(self.slot_out, NO_OP), env)""",
    ),
    Mutant(
        name="begin-in-a-hole",
        rule="a new leader's own commands come after all that has been voted for",
        section="PMS 3",
        old="self.slot_in = max(first, max(votes, default=0) + 1)",
        new="self.slot_in = first",
    ),
    Mutant(
        name="slot-used-twice",
        rule="a leader proposes one command for a slot",
        section="PMMC figure 7, C1",
        old="            self.slot_in += 1\n",
        new="",
    ),
    Mutant(
        name="ballot-used-twice",
        rule="a leader never uses a ballot again, not even after a crash",
        section="PMMC 4.3",
        old="ballot: Ballot = NO_BALLOT  # Forgotten",
        new="ballot: Durable[Ballot] = NO_BALLOT  # Forgotten",
        needs="explore",
        bounds={
            "network": "set",
            "newest_only": False,
            "crashes": 1,
            "timers": 1,
            "ballots": 1,
            "slots": 1,
        },
    ),
    Mutant(
        name="count-stale-promises",
        rule="a leader needs promises of its own ballot",
        section="PMMC figure 6(b)",
        old="if msg.ballot != self.ballot or self.active:",
        new="if self.ballot == NO_BALLOT or self.active:",
        bounds={"newest_only": False, "slots": 1, "timers": 3},
    ),
    Mutant(
        name="count-stale-votes",
        rule="a slot is decided by votes in one ballot",
        section="PMMC figure 6(a)",
        old="if msg.ballot != self.ballot or commander is None:",
        new="if commander is None:",
        needs="four leaders, one after the other",
    ),
    Mutant(
        name="phase-1-quorum-of-one",
        rule="a leader needs the promises of a majority",
        section="PMMC figure 6(b)",
        old="return len(promisers) >= majority(self.peers)",
        new="return len(promisers) >= 1",
    ),
    Mutant(
        name="phase-2-quorum-of-one",
        rule="a slot is decided by the votes of a majority",
        section="PMMC figure 6(a)",
        old="return len(voters) >= majority(self.peers)",
        new="return len(voters) >= 1",
    ),
    Mutant(
        name="promise-volatile",
        rule="an acceptor remembers its promise through a crash",
        section="PMMC 4.3",
        old="promised: Durable[Ballot] = NO_BALLOT",
        new="promised: Ballot = NO_BALLOT",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="votes-volatile",
        rule="an acceptor remembers its votes through a crash",
        section="PMMC 4.3",
        old="votes: Durable[Map[Slot, Vote]] = Map()",
        new="votes: Map[Slot, Vote] = Map()",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="store-volatile",
        rule="what a replica has executed survives a crash, since votes for it are forgotten",
        section="PMMC 4.3",
        old="store: Durable[KeyValue] = KeyValue()",
        new="store: KeyValue = KeyValue()",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="repeated-command-executed",
        rule="a command is executed once, however many slots it has",
        section="PMMC figure 1, perform",
        old="if session is None or session.number < command.number:",
        new="if True:",
    ),
    Mutant(
        name="reads-bypass-the-log",
        rule="a read takes a slot, for another may lead by now",
        section="PMMC 4.5",
        old="""            env.reply(Response(msg.number, ok=False))
""",
        new="""            env.reply(Response(msg.number, ok=False))
        elif self.store.is_read(msg.operation):
            env.reply(Response(msg.number, self.store.apply(msg.operation)[1]))
""",
    ),
    Mutant(
        name="state-without-sessions",
        rule="a replica that gets the state also gets what tells repeated commands",
        section="PMMC 4.2",
        old="self.sessions = Map((session.client, session) for session in msg.sessions)",
        new="pass",
    ),
    Mutant(
        name="older-state-installed",
        rule="a replica never takes back what it has executed",
        section="PMMC figure 1, R4",
        old="if msg.slot_out <= self.slot_out:",
        new="if False:",
    ),
    Mutant(
        name="no-state-transfer",
        rule="a replica that needs forgotten decisions gets the state instead",
        section="PMMC 4.2",
        old="elif msg.slot_out < self.slot_out:\n            env.reply(State",
        new="elif False:\n            env.reply(State",
    ),
    Mutant(
        name="no-retransmission",
        rule="a proposal is sent again until a quorum has voted for it",
        section="Kirsch-Amir",
        old="for slot, commander in self.commanders.items():",
        new="for slot, commander in tuple[tuple[Slot, Commander], ...]():",
    ),
    Mutant(
        name="outlived-leader-heard",
        rule="a leader is told once it is outlived, and nobody waits for it",
        section="PMMC figure 7, preempted",
        old="""lags behind: that may be a new leader as well.\"\"\"
        if msg.ballot < self.promised:""",
        new="""lags behind: that may be a new leader as well.\"\"\"
        if False:""",
    ),
    Mutant(
        name="vote-for-executed-slot",
        rule="below slot_out nothing is kept",
        section="PMMC 4.2",
        old="if msg.slot >= self.slot_out:  # Below",
        new="if True:  # Below",
        equivalent=True,
    ),
)
