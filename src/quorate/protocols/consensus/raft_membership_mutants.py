"""Raft with one rule broken of membership changes, transfer or leases, for their own scenario."""

from typing import Any

from msgspec.structs import replace

from quorate.kernel import NodeId, Operation
from quorate.protocols.consensus.raft_scenario import BARE
from quorate.scenario.exploration import Script
from quorate.scenario.mutant import Mutant

CONFIGURATION = "raft_configuration"
STATE = "raft_state"
ELECTION = "raft_election"
SNAPSHOT = "raft_snapshot"
TRANSFER = "raft_transfer"
MEMBERSHIP = "raft_membership"
LEASES = "raft_leases"


def alone(*operations: Operation, terms: int) -> dict[str, Any]:
    """An exploration of what clients ask of n1 alone, which may change things once it leads."""
    fields = {"server": NodeId("n1"), "retry": 0}
    scripts = tuple(Script((operation,), fields) for operation in operations)
    config = {"config": replace(BARE, no_op=True)}
    return {
        "scripts": scripts,
        "fields": config,
        "terms": terms,
        "timers": 1,
        "log": 3,
        "rounds": 4,
    }


MUTANTS: tuple[Mutant, ...] = (
    # Membership
    Mutant(
        name="changes-before-own-commit",
        rule="no change before the leader has committed an entry of its own term",
        section="thesis §4.1, as corrected on raft-dev in July 2015",
        module=MEMBERSHIP,
        old="if not is_settled or self.term_at(self.commit_index) != self.current_term:",
        new="if not is_settled:",
    ),
    Mutant(
        name="two-changes-at-once",
        rule="the last configuration is committed before the next one is begun",
        section="thesis §4.1",
        module=MEMBERSHIP,
        old="is_settled = len(self.configurations) == 1 and self.change is None",
        new="is_settled = self.change is None",
        bounds=alone(Operation("remove", "n2"), Operation("remove", "n3"), terms=1),
    ),
    Mutant(
        name="configured-on-commit",
        rule="a server uses the latest configuration in its log, committed or not",
        section="§6; thesis §4.1",
        module=STATE,
        old="return self.configurations[-1][1]",
        new="return self.configurations[0][1]",
    ),
    Mutant(
        name="keeps-overwritten-configuration",
        rule="a server goes back to the configuration before one that is overwritten",
        section="thesis §4.1",
        module=MEMBERSHIP,
        old="beyond = [pair for pair in later if end <= pair[0] < self.log.end]",
        new="beyond = [pair for pair in later if end <= pair[0]]",
    ),
    Mutant(
        name="new-majority-alone",
        rule="a joint configuration decides by majorities of both",
        section="§6; thesis §4.3",
        module=CONFIGURATION,
        old="return (self.voters, self.outgoing) if self.outgoing else (self.voters,)",
        new="return (self.voters,)",
        bounds=alone(Operation("reconfigure", None, ("n1",)), terms=1),
    ),
    Mutant(
        name="reconfigures-at-once",
        rule="many voters change only through a joint configuration",
        section="§6",
        module=CONFIGURATION,
        old="return Configuration(voters, self.voters, learners)",
        new="return Configuration(voters, (), learners)",
    ),
    Mutant(
        name="learners-count",
        rule="learners count for no majority",
        section="thesis §4.2.1",
        module=CONFIGURATION,
        old="return (self.voters, self.outgoing) if self.outgoing else (self.voters,)",
        new="sides = (self.voters, self.outgoing) if self.outgoing else (self.voters,)\n"
        "        return tuple(side + self.learners for side in sides)",
    ),
    Mutant(
        name="learners-stand",
        rule="learners do not stand for election",
        section="thesis §4.2.1",
        module=MEMBERSHIP,
        old="if any(self.id in each.electors for _, each in self.configurations):",
        new="if True:",
    ),
    Mutant(
        name="strangers-do-not-vote",
        rule="a server votes also when it is not, or not yet, in its own configuration",
        section="thesis §4.1",
        module=ELECTION,
        old="        if msg.pre:\n            # Thesis §9.6",
        new="        if self.id not in self.configuration.electors:\n            return\n"
        "        if msg.pre:\n            # Thesis §9.6",
        needs="a promotion that is committed and has not reached a voter without whom nobody wins",
    ),
    Mutant(
        name="promotes-at-once",
        rule="a learner catches up before it votes",
        section="thesis §4.2.1",
        module=MEMBERSHIP,
        old="if any(self.match_index[newcomer] < change.target for newcomer in change.newcomers):",
        new="if False:",
    ),
    Mutant(
        name="removed-leader-counts-itself",
        rule="a leader that is not in the configuration does not count itself",
        section="thesis §4.2.2",
        module=STATE,
        old="return self.configuration.reached(progress)",
        new="configuration = self.configuration\n"
        "        if self.id not in configuration.electors:\n"
        "            voters = (*configuration.voters, self.id)\n"
        "            configuration = Configuration(voters, configuration.outgoing)\n"
        "        return configuration.reached(progress)",
    ),
    Mutant(
        name="removed-leader-stays",
        rule="a leader that is not in the configuration steps down when it is committed",
        section="thesis §4.2.2",
        module=MEMBERSHIP,
        old="if self.id not in configuration.voters:",
        new="if False:",
    ),
    Mutant(
        name="stays-joint",
        rule="the leader goes on to C_new when the joint configuration is committed",
        section="§6; thesis §4.3",
        module=MEMBERSHIP,
        old="        if configuration.outgoing:\n",
        new="        if configuration.outgoing and False:\n",
    ),
    Mutant(
        name="snapshot-without-configuration",
        rule="the configuration is part of the snapshot",
        section="§7; thesis §5.1",
        module=SNAPSHOT,
        old="configuration = self.configuration_at(index)",
        new="configuration = Configuration(self.peers[: self.config.initial or None])",
    ),
    Mutant(
        name="snapshot-with-latest-configuration",
        rule="a snapshot has the configuration that it covers, not a later one",
        section="§7; thesis §5.1",
        module=SNAPSHOT,
        old="configuration = self.configuration_at(index)",
        new="configuration = self.configuration",
    ),
    Mutant(
        name="forgets-configurations-in-log",
        rule="after a crash the configuration is read from the log",
        section="thesis §4.1",
        module=MEMBERSHIP,
        old="        self.note_configurations(self.log.start, self.log[:])\n",
        new="",
    ),
    # Transfer
    Mutant(
        name="proposes-while-handing-over",
        rule="a leader that hands over takes no requests",
        section="thesis §3.10, 1",
        module=TRANSFER,
        old="        elif self.heir is not None:\n",
        new="        elif self.heir is not None and False:\n",
    ),
    Mutant(
        name="never-resumes",
        rule="a transfer that takes an election timeout is given up",
        section="thesis §3.10",
        module=TRANSFER,
        old="            self.settle(False, env)",
        new="            pass",
        needs="a server that is removed while it is to take over",
    ),
    Mutant(
        name="hands-over-too-early",
        rule="an heir's log is brought up to date first",
        section="thesis §3.10",
        module=TRANSFER,
        old="if self.match_index[self.heir.server] == self.last_index:",
        new="if True:",
    ),
    Mutant(
        name="heeds-a-late-hand-over",
        rule="TimeoutNow counts in the term of the leader who sent it",
        section="thesis §3.10",
        module=TRANSFER,
        old="if msg.term == self.current_term:",
        new="if msg.term <= self.current_term:",
    ),
    Mutant(
        name="heir-asks-first",
        rule="an heir stands at once, as all still hear the leader",
        section="thesis §3.10, §4.2.3",
        module=TRANSFER,
        old="self.campaign(env, pre=False, disrupt=True)",
        new="self.campaign(env, pre=True)",
        bounds=alone(Operation("transfer", "n2"), terms=2),
    ),
    # Leases
    Mutant(
        name="lease-from-answer",
        rule="a lease begins when its round is sent",
        section="thesis §6.4.1",
        module=LEASES,
        old="self.lease_end = sent + self.lease()",
        new="self.lease_end = env.now + self.lease()",
    ),
    Mutant(
        name="lease-outlives-transfer",
        rule="a transfer ends the lease",
        section="thesis §6.4.1",
        module=LEASES,
        old="            and not self.has_yielded\n",
        new="",
        needs="a hand-over that arrives after it was given up",
    ),
    Mutant(
        name="lease-without-drift",
        rule="a lease is shorter than the timeout by how much clocks may differ",
        section="thesis §6.4.1",
        module=LEASES,
        old="return self.config.election[0] * slowest // fastest",
        new="return self.config.election[0]",
        needs="clocks that differ by more than those of simulated worlds",
    ),
    Mutant(
        name="lease-of-a-minority",
        rule="a majority grants a lease",
        section="thesis §6.4.1",
        module=LEASES,
        old="if self.reached_by_majority(self.answered) >= number:",
        new="if True:",
    ),
    Mutant(
        name="lease-before-own-commit",
        rule="a new leader reads once an entry of its term is committed",
        section="thesis §6.4, 1",
        module=LEASES,
        old="            and self.term_at(self.commit_index) == self.current_term\n",
        new="",
    ),
    Mutant(
        name="crash-forgets-promise",
        rule="a server that comes back may have promised its vote to a leader",
        section="thesis §6.4.1",
        module=LEASES,
        old="if self.config.lease_reads and event.recovered:",
        new="if False:",
        needs="a candidate that lacks nothing though it hears no leader",
    ),
    Mutant(
        name="lease-without-promise",
        rule="who has answered a leader votes for nobody else within the least timeout",
        section="thesis §6.4.1",
        module=LEASES,
        old="if is_free or msg.disrupt:",
        new="if True:",
        needs="a candidate that lacks nothing though it hears no leader",
    ),
)
