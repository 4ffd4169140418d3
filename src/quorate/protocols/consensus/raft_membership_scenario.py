"""Raft while an operator is at work: servers come and go, leaders hand over, reads go by leases."""

from functools import partial
from itertools import combinations

import quorate.protocols.consensus.raft_membership_properties as claims
from quorate.kernel import Client, Env, NodeId, Operation, Request, Start, Timer, ms, on
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_membership_mutants import MUTANTS
from quorate.protocols.consensus.raft_scenario import BARE, role, within
from quorate.protocols.consensus.raft_scenario import scenario as raft
from quorate.protocols.consensus.raft_state import Config
from quorate.scenario.adversaries import (
    IsolatedRejoin,
    LeaderStrike,
    PartialBroadcast,
    Reboots,
)
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.lease_adversaries import lease_adversaries
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import KEYS, Workload, append_key_value


class Intervene(Timer):
    """Pending while the operator has interventions left."""


class Operator(Client, kw_only=True):
    """A client that may also be the operator, who changes the cluster now and then.

    Whoever leads when the request arrives takes it; nobody waits for the answer.
    """

    interventions: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        if self.interventions:
            env.after((0, ms(200)), Intervene())

    @on(Intervene)
    def intervene(self, event: Intervene, env: Env) -> None:
        self.interventions -= 1
        changes = ("add-learner", "promote", "remove", "transfer")
        possible = [Operation(f, server) for f in changes for server in self.peers]
        possible += [Operation("reconfigure", None, c) for c in combinations(self.peers, 3)]
        operation = env.choose("intervention", (None, *possible))
        if operation is not None:
            env.multicast(self.peers, Request(0, operation, once=False))
        if self.interventions:
            env.after((ms(50), ms(250)), Intervene())


LONG = (ms(300), ms(450))
"""An election timeout that leaves time for a new leader's writes within an old one's lease."""

QUIET = 5
"""Slots in which all clients only read, before as many in which they do all things."""

everything = append_key_value(2)


def in_phases(bits: int, client: int, slot: int) -> Operation:
    """A server that hears nobody has missed nothing while nobody writes, and so can be elected."""
    is_quiet = slot // QUIET % 2
    return Operation("get", KEYS[bits % 2]) if is_quiet else everything(bits, client, slot)


def asks(operation: Operation, server: str) -> Script:
    """A client that asks once, this server."""
    return Script((operation,), {"server": NodeId(server), "retry": 0})


scenario = Scenario(
    name="raft-membership",
    node=Raft,
    nodes=5,
    client=Operator,
    clients=5,
    # Two ask others while a lease lasts; the others go on believing their leader.
    each_client=({"interventions": 24}, {}, {}, {"retry": ms(30)}, {"retry": ms(30)}),
    configurations=(
        Configuration(
            "default",
            {"config": Config(initial=3, snapshot_every=12, chunk_parts=4)},
            whole_core=True,
        ),
        Configuration(
            "leases",
            {
                "config": Config(
                    election=LONG, initial=3, snapshot_every=12, chunk_parts=4, lease_reads=True
                )
            },
            whole_core=True,
        ),
        Configuration(
            "all at first",
            {"config": Config(election=LONG, snapshot_every=40, max_entries=2, lease_reads=True)},
            whole_core=True,
        ),
    ),
    workload=Workload(model="kv", draw=in_phases, interval=ms(100), spread=0, slots=45),
    role=role,
    adversaries=(
        *lease_adversaries(role),
        partial(LeaderStrike, role),
        partial(IsolatedRejoin, role),
        PartialBroadcast,
        Reboots,
    ),
    duration=ms(6000),
    # About a third of what 60 seeds of a default campaign reach at the least.
    minima={
        "operations ok": 7000,
        "operations concurrent on a key": 4500,
        "reads after the heal": 1200,
        "became leader": 110,
        "reached a_leader_hands_over": 12,
        "reached a_newcomer_votes": 4,
        "reached a_joint_configuration_is_committed": 9,
        "reached a_leader_leads_others": 12,
        "reached a_lease_is_held": 20,
        "reached a_snapshot_is_installed": 20,
        "crashes that lost steps": 20,
        "messages lost": 800,
    },
    mutants=MUTANTS,
    modules=(*raft.modules, claims.__name__),
    # Two leaders in turn, each of whom is to remove the other: the bug of 2015 fits.
    exploration=Exploration(
        nodes=4,
        fields={"config": BARE},
        scripts=(
            asks(Operation("put", "x", "a"), "n1"),
            asks(Operation("remove", "n2"), "n1"),
            asks(Operation("remove", "n1"), "n2"),
        ),
        eager=True,
        network="rpc",
        newest_only=True,
        timers=2,
        bounds={"terms": 2, "log": 2, "rounds": 3, "candidates": 2},
        within=within,
        linearizable=False,  # What the clients ask for is no matter of the store.
        out_of_reach=(
            "a_snapshot_is_installed",
            "a_leader_hands_over",
            "a_newcomer_votes",
            "a_joint_configuration_is_committed",
            "a_lease_is_held",
        ),
    ),
)
