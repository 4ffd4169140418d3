"""Raft while an operator is at work: servers come and go, leaders hand over, reads go by leases."""

from itertools import combinations

import quorate.protocols.consensus.raft_membership_properties as claims
from quorate.kernel import Client, Env, Operation, Request, Start, Timer, ms, on
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_membership_mutants import MUTANTS
from quorate.protocols.consensus.raft_scenario import role
from quorate.protocols.consensus.raft_scenario import scenario as raft
from quorate.protocols.consensus.raft_state import Config
from quorate.scenario.adversaries import all_adversaries
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


class Intervene(Timer):
    """Pending while the operator has interventions left."""


class Operator(Client, kw_only=True):
    """A client that may also be the operator, who changes the cluster now and then.

    Whoever leads when the request arrives takes it; nobody waits for the answer.
    """

    interventions: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.after((0, ms(200)), Intervene())

    @on(Intervene)
    def intervene(self, event: Intervene, env: Env) -> None:
        if self.interventions:
            self.interventions -= 1
            servers = tuple(str(peer) for peer in self.peers)
            changes = ("add-learner", "promote", "remove", "transfer")
            possible = [Operation(f, server) for f in changes for server in servers]
            possible += [Operation("reconfigure", None, c) for c in combinations(self.peers, 3)]
            operation = env.choose("intervention", (None, *possible))
            if operation is not None:
                env.multicast(self.peers, Request(0, operation, once=False))
            env.after((ms(50), ms(250)), Intervene())


scenario = Scenario(
    name="raft-membership",
    node=Raft,
    nodes=5,
    client=Operator,
    clients=5,
    each_client=({"interventions": 24}, {}, {}, {}, {}),
    configurations=(
        Configuration(
            "default",
            {"config": Config(initial=3, snapshot_every=12, chunk_parts=4)},
            whole_core=True,
        ),
        Configuration(
            "leases",
            {"config": Config(initial=3, snapshot_every=12, chunk_parts=4, lease_reads=True)},
            whole_core=True,
        ),
        Configuration(
            "all at first",
            {"config": Config(snapshot_every=3, chunk_parts=1, max_entries=2, lease_reads=True)},
            whole_core=True,
        ),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    adversaries=all_adversaries(role),
    minima={"operations ok": 1000},
    mutants=MUTANTS,
    modules=(*raft.modules, claims.__name__),
)
