"""How Viewstamped Replication is tried: a key-value store whose replicas forget what they knew."""

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.consensus.vr import Vr
from quorate.protocols.consensus.vr_mutants import MUTANTS
from quorate.protocols.consensus.vr_state import RECOVERING
from quorate.scenario.adversaries import LEADER, Echoes, all_adversaries
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: Vr) -> str:
    """The replica's status; of the primary, what adversaries call whoever leads."""
    return LEADER if node.is_primary else node.status


def recovering(node: Vr) -> bool:
    """A replica that has crashed counts as failed until it has recovered (§4.3)."""
    return node.status == RECOVERING


scenario = Scenario(
    name="vr",
    node=Vr,
    nodes=3,
    clients=4,
    configurations=(
        # A replica that hears nobody, but is heard, could change views for ever.
        Configuration("patient", whole_core=True),
        Configuration(
            "hasty", {"patience": (ms(60), ms(120)), "heartbeat": ms(30)}, whole_core=True
        ),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    recovering=recovering,
    adversaries=(*all_adversaries(role), Echoes),
    minima={
        "operations ok": 4000,
        "operations concurrent on a key": 1600,
        "reads after the heal": 200,
        "became leader": 90,
        "reached a_view_is_changed": 24,
        "reached a_replica_recovers": 12,
        "reached a_request_is_given_up": 8,
        "reached an_old_primary_lives_on": 10,
        "messages lost": 1500,
        "fault Crash": 90,
        "fault Cut": 70,
        "fault Pause": 30,
    },
    mutants=MUTANTS,
    # One request, one view change, one crash: each once, at any time.
    exploration=Exploration(
        scripts=(Script((Operation("append", "x", "a"),), {"server": NodeId("n1")}),),
        network="rpc",
        timers=1,
        crashes=1,
        bounds={"views": 1},
        within=lambda node, bounds: node.view <= bounds["views"],
    ),
    modules=tuple(
        f"quorate.protocols.consensus.vr_{part}"
        for part in ("state", "normal", "view_change", "recovery", "properties")
    ),
)
