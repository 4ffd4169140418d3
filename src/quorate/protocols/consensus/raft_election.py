"""Raft §5.1, §5.2, §5.4.1: terms and elections; PreVote and CheckQuorum of the thesis."""

from quorate.kernel import Env, Set, Start, on
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    ElectionTimeout,
    RaftState,
    RequestVote,
    Vote,
)


class Elections(RaftState):
    """Who leads, in which term."""

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        """When servers start up, they begin as followers (§5.2)."""
        self.configure(((0, Configuration(self.peers[: self.config.initial or None])),))
        env.after(self.config.election, ElectionTimeout())

    def step_down(self, term: int) -> None:
        """§5.1. Become a follower, in `term` if that is newer than ours."""
        if term > self.current_term:
            self.current_term = term
            self.voted_for = None
        self.role = FOLLOWER
        self.leader = None

    @on(ElectionTimeout)
    def time_out(self, event: ElectionTimeout, env: Env) -> None:
        """§5.2. Without a leader for so long, stand for election; as one, count our followers."""
        if self.role != LEADER and self.leader is not None:
            self.miss_leader(env)
            return
        env.after(self.config.election, ElectionTimeout())
        if self.role != LEADER:
            self.campaign(env, pre=self.config.pre_vote)
        elif self.config.check_quorum and not self.has_quorum():
            self.step_down(self.current_term)
        self.checked_round = self.round

    def miss_leader(self, env: Env) -> None:
        """Thesis §4.2.3. The least timeout has passed: protect the leader no longer.

        We stand for election ourselves when the random rest of our timeout has passed too.
        """
        least, greatest = self.config.election
        self.leader = None
        env.after((0, greatest - least), ElectionTimeout())

    def has_quorum(self) -> bool:
        """Thesis §6.2. Whether a majority has answered since we last looked."""
        return self.reached_by_majority(self.answered) > self.checked_round

    def campaign(self, env: Env, *, pre: bool, disrupt: bool = False) -> None:
        """§5.2. Ask everyone, ourselves too: our own vote counts once it is on our disk."""
        if pre:
            self.role = PRE_CANDIDATE
        else:
            self.role = CANDIDATE
            self.current_term += 1
            self.voted_for = self.id
            env.after(self.config.election, ElectionTimeout())
        self.votes = Set()
        term = self.current_term + pre
        request = RequestVote(term, self.last_index, self.last_term, pre, disrupt)
        env.multicast(self.configuration.electors, request)

    @on(RequestVote)
    def vote(self, msg: RequestVote, env: Env) -> None:
        """§5.2. Vote for at most one candidate in a term, first come, first served."""
        is_protected = self.leader is not None and not msg.disrupt
        if is_protected and (msg.pre or self.config.check_quorum):
            return  # Thesis §4.2.3: while a leader is heard, nobody may disturb it.
        if msg.pre:
            # Thesis §9.6: say how we would vote, in a term that need not come.
            granted = msg.term > self.current_term and self.is_up_to_date(msg)
            env.reply(Vote(msg.term if granted else self.current_term, granted, True))
            return
        if msg.term > self.current_term:
            self.step_down(msg.term)
        granted = (
            msg.term == self.current_term
            and self.voted_for in (None, env.sender)
            and self.is_up_to_date(msg)
        )
        if granted:
            self.voted_for = env.sender
            env.after(self.config.election, ElectionTimeout())
        env.reply(Vote(self.current_term, granted, False))

    def is_up_to_date(self, msg: RequestVote) -> bool:
        """§5.4.1. Whether the candidate's log ends in a later term, or is at least as long."""
        if msg.last_log_term != self.last_term:
            return msg.last_log_term > self.last_term
        return msg.last_log_index >= self.last_index

    @on(Vote)
    def count(self, msg: Vote, env: Env) -> None:
        """§5.2. A majority of votes in one term makes a leader."""
        if not msg.granted:
            if msg.term > self.current_term:
                self.step_down(msg.term)
            return
        if self.role != (PRE_CANDIDATE if msg.pre else CANDIDATE):
            return
        if msg.term != self.current_term + msg.pre:
            return
        self.votes |= {env.sender}
        if self.configuration.is_quorum(self.votes):
            if msg.pre:
                self.campaign(env, pre=False)
            else:
                self.lead(env)

    def lead(self, env: Env) -> None:
        """§5.2. Won: what a new leader does first is added by the sections that follow."""
        self.role = LEADER
        self.leader = self.id
        env.after(self.config.election, ElectionTimeout())

    def follow(self, term: int, env: Env) -> None:
        """§5.2. The sender leads `term`: accept it, and stay quiet for an election timeout."""
        if term > self.current_term or self.role != FOLLOWER:
            self.step_down(term)
        self.leader = env.sender
        env.after(self.config.election[0], ElectionTimeout())
