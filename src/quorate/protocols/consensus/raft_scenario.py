"""How Raft is tried: a key-value store under every fault and adversary, in each configuration."""

from quorate.kernel import ms
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_mutants import MUTANTS
from quorate.protocols.consensus.raft_state import Config
from quorate.scenario.adversaries import all_adversaries
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: Raft) -> str:
    """The node's role, in the paper's words."""
    return node.role


NO_PRE_VOTE = Config(snapshot_every=5, max_entries=3, pre_vote=False, check_quorum=False)
PLAIN = Config(max_entries=3, pre_vote=False, check_quorum=False, no_op=False, batching=False)

scenario = Scenario(
    name="raft",
    node=Raft,
    nodes=5,
    clients=5,
    configurations=(
        # Small limits are met often, and leave little to explain.
        Configuration("default", {"config": Config(snapshot_every=12, chunk_parts=4)}),
        Configuration(
            "small",
            {"config": Config(snapshot_every=3, chunk_parts=1, max_entries=2, max_in_flight=2)},
        ),
        # A server that hears only some could disturb for ever.
        Configuration("no pre-vote", {"config": NO_PRE_VOTE}, whole_core=True),
        # Without no-op a new leader cannot answer a read before the next write.
        Configuration("plain", {"config": PLAIN}, live=False),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    adversaries=all_adversaries(role),
    # About a third of what 60 seeds of a default campaign reach at the least.
    minima={
        "operations ok": 5000,
        "operations concurrent on a key": 3000,
        "reads after the heal": 300,
        "became leader": 110,
        "reached a_leader_is_deposed": 12,
        "reached a_snapshot_is_installed": 14,
        "crashes that lost steps": 15,
        "messages lost": 1300,
        "fault Crash": 120,
        "fault Cut": 70,
        "fault Pause": 25,
        "fault Slow": 55,
        "fault Limit": 20,
        "fault ClockRate": 12,
        "fault ClockStep": 10,
    },
    mutants=MUTANTS,
    modules=tuple(
        f"quorate.protocols.consensus.raft_{part}"
        for part in (
            "state",
            "sessions",
            "election",
            "replication",
            "snapshot",
            "clients",
            "properties",
        )
    ),
)
