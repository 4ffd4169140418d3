"""How single-decree Paxos is tried: duelling proposers, crashes, and a consensus register."""

from quorate.kernel import Operation, ms
from quorate.protocols.consensus.paxos import Paxos
from quorate.scenario.scenario import Scenario
from quorate.scenario.workload import Workload


def propose(bits: int, client: int, slot: int) -> Operation:
    """Every proposal is of a value of its own."""
    return Operation("propose", None, 1 + client + 10 * slot)


scenario = Scenario(
    name="paxos",
    node=Paxos,
    workload=Workload(model="consensus", draw=propose, interval=ms(150), slots=10),
    duration=ms(3000),
    heal=ms(2000),
)
