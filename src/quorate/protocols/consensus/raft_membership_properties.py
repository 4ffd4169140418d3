"""What must hold of Raft when servers come and go, leaders hand over, and reads go by the clock."""

from collections.abc import Sequence

from quorate.kernel import Event, Log, Monitor, each_step, eventually, sometimes
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_leases import Leases
from quorate.protocols.consensus.raft_properties import ON_ITS_WAY
from quorate.protocols.consensus.raft_state import CANDIDATE, FOLLOWER, LEADER
from quorate.protocols.consensus.raft_transfer import TimeoutNow


class ConfigurationsAreCommitted(Monitor):
    """Servers agree on the configuration at each committed index, also after a snapshot (§4.1)."""

    reads = ("commit_index", "configurations")
    known: Log[Configuration] = Log()  # by index, as far as anybody has committed

    def watch(self, before: Leases, event: Event, after: Leases) -> bool:
        if not self.known:
            self.known = Log((after.configurations[0][1],))
        index, configuration = after.configurations[0]
        if after.log.start > self.known.end:
            return True
        for entry in after.log[self.known.end : after.commit_index + 1]:
            self.known = self.known.append(entry.configuration or self.known[-1])
        return index >= self.known.end or self.known[index] == configuration


def is_changing(before: Leases, after: Leases) -> bool:
    """Whether a leader has just appended a configuration."""
    leads = before.role == after.role == LEADER and before.current_term == after.current_term
    return leads and after.configurations[-1][0] >= before.log.end


@each_step
def one_change_at_a_time(before: Leases, event: Event, after: Leases) -> bool:
    """A leader has committed the last configuration, and an entry of its term (thesis §4.1)."""
    if not is_changing(before, after):
        return True
    is_informed = after.term_at(after.commit_index) == after.current_term
    return len(after.configurations) == 2 and is_informed


@each_step
def majorities_overlap(before: Leases, event: Event, after: Leases) -> bool:
    """Voters change one by one, or through a joint configuration with the old ones (thesis §4)."""
    if not is_changing(before, after):
        return True
    old, new = before.configuration, after.configuration
    if new.outgoing:
        return new.outgoing == old.voters and not old.outgoing
    if old.outgoing:
        return new.voters == old.voters
    return len({*old.voters} ^ {*new.voters}) <= 1


@each_step
def new_voters_have_caught_up(before: Leases, event: Event, after: Leases) -> bool:
    """Who becomes a voter has what is committed, but for what is on its way (thesis §4.2.1)."""
    if not is_changing(before, after):
        return True
    voters = before.configuration.electors
    newcomers = [id for id in after.configuration.voters if id not in voters]
    least = before.commit_index - ON_ITS_WAY
    return all(after.match_index[newcomer] >= max(least, 1) for newcomer in newcomers)


@each_step
def who_is_removed_leads_no_more(before: Leases, event: Event, after: Leases) -> bool:
    """A leader steps down when a configuration without it is committed (thesis §4.2.2)."""
    if after.role != LEADER or len(after.configurations) > 1:
        return True
    return after.id in after.configuration.electors


@each_step
def only_voters_stand(before: Leases, event: Event, after: Leases) -> bool:
    """A learner, or who has surely been removed, does not stand for election (thesis §4.2)."""
    if after.role in (FOLLOWER, LEADER) or after.role == before.role:
        return True
    return any(after.id in configuration.electors for _, configuration in before.configurations)


@each_step
def who_hands_over_takes_no_requests(before: Leases, event: Event, after: Leases) -> bool:
    """While there is an heir, the log grows by no request (thesis §3.10)."""
    if before.heir is None or after.heir is None or before.role != LEADER:
        return True
    return all(entry.operation is None for entry in after.log[before.log.end :])


@each_step
def an_heir_has_the_whole_log(before: Leases, event: Event, after: Leases) -> bool:
    """Who is told to stand for election has all entries of the prior leader (thesis §3.10)."""
    if after.heir is None or after.has_yielded <= before.has_yielded:
        return True
    return after.match_index[after.heir.server] == after.last_index


@each_step
def an_heir_stands_at_once(before: Leases, event: Event, after: Leases) -> bool:
    """TimeoutNow has the effect of an election timeout, without PreVote (thesis §3.10).

    It has none when its author's term is over.
    """
    if not isinstance(event, TimeoutNow):
        return True
    if event.term != before.current_term:
        return after.role == before.role
    is_voter = any(after.id in pair[1].electors for pair in before.configurations)
    return after.role == CANDIDATE or not is_voter


@eventually
def no_change_is_left_half_done(nodes: Sequence[Leases]) -> bool:
    """Whoever leads in the end goes on from a joint configuration to C_new (thesis §4.3)."""
    return not any(node.role == LEADER and node.configuration.outgoing for node in nodes)


@sometimes
def a_leader_hands_over(nodes: Sequence[Leases]) -> bool:
    """Some leader has told another server to take over, and it stands for election."""
    terms = [node.current_term for node in nodes if node.role == CANDIDATE]
    return any(node.has_yielded and node.current_term + 1 in terms for node in nodes)


@sometimes
def a_newcomer_votes(nodes: Sequence[Leases]) -> bool:
    """Some server that did not belong to the cluster at first is a voter, and surely so."""
    return any(
        set(node.configurations[0][1].voters) - set(node.peers[: node.config.initial or None])
        for node in nodes
        if node.configurations
    )


@sometimes
def a_joint_configuration_is_committed(nodes: Sequence[Leases]) -> bool:
    """Both majorities have agreed to go on to C_new."""
    return any(node.configurations and node.configurations[0][1].outgoing for node in nodes)


@sometimes
def a_leader_leads_others(nodes: Sequence[Leases]) -> bool:
    """Some leader is on its way out: it does not belong to its own configuration."""
    return any(n.role == LEADER and n.id not in n.configuration.electors for n in nodes)


@sometimes
def a_lease_is_held(nodes: Sequence[Leases]) -> bool:
    """Some leader may answer reads without a round."""
    return any(node.role == LEADER and node.lease_end for node in nodes)
