"""How Raft is tried: a key-value store under every fault and adversary, in each configuration."""

from collections.abc import Mapping

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_mutants import MUTANTS
from quorate.protocols.consensus.raft_state import FOLLOWER, Config
from quorate.scenario.adversaries import all_adversaries
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: Raft) -> str:
    """The node's role, in the paper's words."""
    return node.role


NO_PRE_VOTE = Config(snapshot_every=5, max_entries=3, pre_vote=False, check_quorum=False)
STICKY = Config(snapshot_every=12, chunk_parts=4, pre_vote=False)
PLAIN = Config(
    snapshot_every=20,
    max_entries=3,
    max_sessions=3,
    pre_vote=False,
    check_quorum=False,
    no_op=False,
    batching=False,
)

BARE = Config(
    max_entries=1,
    max_in_flight=1,
    snapshot_every=0,
    pre_vote=False,
    check_quorum=False,
    no_op=False,
    batching=False,
)
"""Without all that hides Figure 8: what is left is the paper's Figure 2."""


def within(node: Raft, bounds: Mapping[str, int]) -> bool:
    """Whether a server is within the bounds of an exploration.

    `terms` bounds its term, `log` the entries of its log, `rounds` how often it sends to all in one
    term, and `candidates` says how many servers, the first ones, stand for election.
    """
    is_candidate = node.role != FOLLOWER
    return (
        node.current_term <= bounds["terms"]
        and node.last_index <= bounds["log"]
        and node.round <= bounds["rounds"]
        and (not is_candidate or node.peers.index(node.id) < bounds["candidates"])
    )


def puts(value: str, server: str) -> Script:
    """A client that writes once, through this server."""
    return Script((Operation("put", "x", value),), {"server": NodeId(server), "retry": 0})


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
        # Who was cut off comes back with a newer term, and nobody who hears a leader listens.
        Configuration("no pre-vote, sticky", {"config": STICKY}, whole_core=True),
        # Without no-op a new leader cannot answer a read before the next write; and clients whose
        # sessions are forgotten have to wait until they ask for more than others have. Nobody is
        # missing after the heal, or of some runs no operation would be left to judge.
        Configuration("plain", {"config": PLAIN}, live=False, whole_core=True),
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
    # Figure 8 fits: two servers in turn lead four terms, with an entry each.
    exploration=Exploration(
        nodes=3,
        fields={"config": BARE},
        scripts=(puts("a", "n1"), puts("b", "n2")),
        eager=True,
        network="rpc",
        newest_only=True,
        timers=4,
        bounds={"terms": 4, "log": 1, "rounds": 2, "candidates": 2},
        within=within,
        out_of_reach=("a_snapshot_is_installed",),
    ),
    modules=tuple(
        f"quorate.protocols.consensus.raft_{part}"
        for part in (
            "configuration",
            "state",
            "sessions",
            "election",
            "replication",
            "snapshot",
            "clients",
            "transfer",
            "membership",
            "leases",
            "properties",
        )
    ),
)
