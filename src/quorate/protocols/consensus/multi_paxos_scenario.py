"""How Multi-Paxos is tried: a key-value store whose leaders come and go."""

from collections.abc import Mapping

import quorate.protocols.consensus.multi_paxos_properties as claims
from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.consensus.multi_paxos import NO_BALLOT, MultiPaxos
from quorate.protocols.consensus.multi_paxos_mutants import MUTANTS
from quorate.scenario.adversaries import all_adversaries
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: MultiPaxos) -> str:
    """Whether it leads, wants to, or waits."""
    if node.active:
        return "leader"
    return "follower" if node.ballot == NO_BALLOT else "scout"


def within(node: MultiPaxos, bounds: Mapping[str, int]) -> bool:
    """Whether a node knows of no ballot and no slot beyond those that are explored."""
    return node.promised[0] <= bounds["ballots"] and node.slot_in <= bounds["slots"] + 1


def appends(server: str, *texts: str) -> Script:
    """A client of one server that appends to a text."""
    operations = tuple(Operation("append", "x", text) for text in texts)
    return Script(operations, {"peers": (NodeId(server),)})


scenario = Scenario(
    name="multi-paxos",
    node=MultiPaxos,
    nodes=3,
    clients=5,
    configurations=(
        # A server that hears only some claims ballots for ever.
        Configuration("default", whole_core=True),
        Configuration("forgetful", {"keep": 1}, whole_core=True),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    adversaries=all_adversaries(role),
    # About a third of what 60 seeds of a default campaign reach.
    minima={
        "operations ok": 5000,
        "operations concurrent on a key": 2500,
        "reads after the heal": 400,
        "became leader": 150,
        "reached a_hole_is_filled": 1,
        "reached a_leader_is_outlived": 13,
        "reached a_replica_needs_the_state": 30,
        "reached a_vote_is_found": 16,
        "reached decided_beyond_a_hole": 25,
        "crashes that lost steps": 20,
        "messages lost": 3000,
        "fault Crash": 350,
        "fault Cut": 100,
        "fault Pause": 25,
    },
    mutants=MUTANTS,
    modules=(claims.__name__,),
    # Two commands through one leader, whom another one may follow; links lose what is overtaken.
    exploration=Exploration(
        fields={"keep": 1},
        scripts=(appends("n1", "a"), appends("n1", "b")),
        network="rpc",
        newest_only=True,
        timers=2,
        bounds={"ballots": 2, "slots": 2},
        within=within,
    ),
)
