"""How Raft is tried: a key-value store under every fault, in each of its configurations."""

import sys

from quorate.kernel import ms
from quorate.protocols.consensus import raft_properties
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_state import Config
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: Raft) -> str:
    return node.role


configurations = (
    Configuration("default", {"config": Config()}),
    Configuration("snapshots", {"config": Config(snapshot_every=8, chunk_parts=4)}),
    Configuration("plain", {"config": Config(pre_vote=False, check_quorum=False, no_op=False, batching=False)}),
)

scenario = Scenario(
    name="raft",
    node=Raft,
    nodes=5,
    configurations=configurations,
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(40), slots=100),
    role=role,
)
