"""How the store is tried: three registers, written and read through every node."""

from sharded import Sharded

from quorate.kernel import Operation, ms
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Scenario
from quorate.scenario.workload import Workload, unique_writes

scenario = Scenario(
    name="sharded",
    node=Sharded,
    nodes=3,
    client_fields={"retry": 0},
    workload=Workload(model="register", draw=unique_writes(3), interval=ms(50)),
    exploration=Exploration(
        nodes=2,
        scripts=(Script((Operation("write", "x", 1),)), Script((Operation("read", "x"),))),
    ),
)
