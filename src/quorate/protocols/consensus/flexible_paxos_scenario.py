"""How Flexible Paxos is tried: with quorums that no majority rule would allow."""

from collections.abc import Mapping

from msgspec.structs import replace

import quorate.protocols.consensus.multi_paxos as multi_paxos
import quorate.protocols.consensus.multi_paxos_properties as claims
from quorate.kernel import ms
from quorate.protocols.consensus.flexible_paxos import FlexiblePaxos, Grid, Simple
from quorate.protocols.consensus.multi_paxos_mutants import MUTANTS as OF_MULTI_PAXOS
from quorate.protocols.consensus.multi_paxos_scenario import appends, role
from quorate.protocols.consensus.multi_paxos_scenario import within as within_multi_paxos
from quorate.scenario.adversaries import all_adversaries
from quorate.scenario.exploration import Exploration
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value

INHERITED = ("ignore-earlier-votes", "watermark-ignored")
"""Mutants of Multi-Paxos without whose rules quorums would meet in vain."""

MUTANTS = (
    *(replace(m, module="multi_paxos") for m in OF_MULTI_PAXOS if m.name in INHERITED),
    Mutant(
        name="quorums-side-by-side",
        rule="every quorum of phase 1 meets every quorum of phase 2: |Q1| + |Q2| > n",
        section="simple quorums",
        old="len(acceptors) + 1 - self.size",
        new="len(acceptors) - self.size",
    ),
    Mutant(
        name="both-quorums-small",
        rule="where quorums of phase 2 shrink, those of phase 1 grow",
        section="simple quorums",
        old="len(acceptors) + 1 - self.size",
        new="self.size",
    ),
    Mutant(
        name="majority-for-any-size",
        rule="a majority meets only quorums of half of the acceptors, or more",
        section="simple quorums",
        old="len(acceptors) + 1 - self.size",
        new="majority(acceptors)",
        bounds={"fields": {"quorums": Simple(1), "keep": 1}},
    ),
    Mutant(
        name="one-vote-short",
        rule="a command is chosen by a whole quorum of phase 2",
        section="simple quorums",
        old="return len(voters) >= self.size",
        new="return len(voters) >= max(1, self.size - 1)",
    ),
    Mutant(
        name="rows-in-both-phases",
        rule="quorums of one kind need not meet, so phase 1 takes the other kind",
        section="grid quorums",
        old="acceptors[start :: self.width] for start in range(self.width)",
        new="acceptors[i : i + self.width] for i in range(0, len(acceptors), self.width)",
    ),
    Mutant(
        name="part-of-a-column",
        rule="a leader hears a whole column, and so of every row",
        section="grid quorums",
        old="any(set(column) <= set(promisers) for column in columns)",
        new="any(set(column) & set(promisers) for column in columns)",
    ),
    Mutant(
        name="part-of-a-row",
        rule="a command is chosen by a whole row",
        section="grid quorums",
        old="any(set(acceptors[end - self.width : end]) <= set(voters) for end in ends)",
        new="any(set(acceptors[end - self.width : end]) & set(voters) for end in ends)",
    ),
)


def within(node: FlexiblePaxos, bounds: Mapping[str, int]) -> bool:
    """As in Multi-Paxos, and only those may lead whom a client asks."""
    may_lead = node.id in ("n1", "n3") or node.ballot == multi_paxos.NO_BALLOT
    return may_lead and within_multi_paxos(node, bounds)


scenario = Scenario(
    name="flexible-paxos",
    node=FlexiblePaxos,
    nodes=4,
    clients=4,
    configurations=(
        Configuration("half", {"quorums": Simple(2)}, whole_core=True),
        Configuration("single", {"quorums": Simple(1)}, whole_core=True),
        Configuration("grid", {"quorums": Grid(2), "keep": 2}, whole_core=True),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    adversaries=all_adversaries(role),
    # About a third of what 60 seeds of a default campaign reach.
    minima={
        "operations ok": 4000,
        "operations concurrent on a key": 1700,
        "reads after the heal": 350,
        "became leader": 150,
        "reached a_leader_is_outlived": 9,
        "reached a_minority_decides": 20,
        "reached a_replica_needs_the_state": 28,
        "reached a_vote_is_found": 11,
        "reached decided_beyond_a_hole": 20,
        "crashes that lost steps": 20,
        "messages lost": 3000,
        "fault Crash": 350,
        "fault Cut": 80,
        "fault Pause": 25,
    },
    mutants=MUTANTS,
    modules=(multi_paxos.__name__, claims.__name__),
    # One slot, and four acceptors of whom any two are a quorum of phase 2. That shows which quorums
    # meet; what holes do to a log is explored with Multi-Paxos.
    exploration=Exploration(
        nodes=4,
        fields={"quorums": Simple(2), "keep": 1},
        scripts=(appends("n1", "a"), appends("n3", "b")),
        network="rpc",
        newest_only=True,
        timers=2,
        bounds={"ballots": 2, "slots": 1},
        within=within,
        out_of_reach=("decided_beyond_a_hole", "a_hole_is_filled", "a_replica_needs_the_state"),
    ),
)
