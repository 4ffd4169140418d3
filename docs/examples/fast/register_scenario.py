"""How the register is tried: three servers, three clients that read and write."""

from register import Register

from quorate.kernel import Operation, ms
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, register

WRITE, READ = Operation("write", value=1), Operation("read")

scenario = Scenario(
    name="register",
    node=Register,
    nodes=3,
    # A write must never be done twice, so clients do not repeat what is not answered.
    client_fields={"retry": 0},
    workload=Workload(model="register", draw=register(compare_and_set=False), interval=ms(50)),
    # Nothing can be written while the primary is out of reach: only safety is promised.
    configurations=(Configuration(live=False),),
    # Small enough for every order of events to be tried, later.
    exploration=Exploration(nodes=2, scripts=(Script((WRITE,)), Script((READ,)), Script((READ,)))),
)
