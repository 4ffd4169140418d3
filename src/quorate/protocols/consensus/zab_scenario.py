"""How Zab is tried: a key-value store under every fault, with leaders that come and go."""

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.consensus.zab import Zab
from quorate.protocols.consensus.zab_mutants import MUTANTS
from quorate.scenario.adversaries import LEADER, Echoes, all_adversaries
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, append_key_value


def role(node: Zab) -> str:
    """The process's role; of a primary, what adversaries call whoever leads."""
    return LEADER if node.is_primary else node.role


scenario = Scenario(
    name="zab",
    node=Zab,
    nodes=3,
    clients=4,
    configurations=(
        # A process that hears nobody, but is heard, could make others follow it for a while.
        Configuration("patient", whole_core=True),
        Configuration(
            "hasty", {"patience": (ms(60), ms(120)), "heartbeat": ms(20)}, whole_core=True
        ),
    ),
    workload=Workload(model="kv", draw=append_key_value(3), interval=ms(140), spread=0, slots=32),
    role=role,
    adversaries=(*all_adversaries(role), Echoes),
    minima={
        "operations ok": 4000,
        "operations concurrent on a key": 1700,
        "reads after the heal": 300,
        "became leader": 90,
        "reached a_follower_joins_late": 33,
        "reached a_transaction_is_given_up": 13,
        "reached an_old_primary_lives_on": 8,
        "crashes that lost steps": 18,
        "messages lost": 1300,
        "fault Crash": 100,
        "fault Cut": 60,
        "fault Pause": 30,
    },
    mutants=MUTANTS,
    # One request, and two processes that lead, one after the other or at the same time.
    exploration=Exploration(
        scripts=(Script((Operation("append", "x", "a"),), {"server": NodeId("n1")}),),
        network="rpc",
        timers=2,
        bounds={"epochs": 2},
        within=lambda node, bounds: node.accepted_epoch <= bounds["epochs"],
    ),
    modules=tuple(
        f"quorate.protocols.consensus.zab_{part}"
        for part in ("state", "discovery", "broadcast", "properties")
    ),
)
