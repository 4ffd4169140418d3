"""How Chang-Roberts is tried: rings of different orders, and clients that make processes begin."""

from collections.abc import Sequence

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.election.chang_roberts import ChangRoberts
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload

ELECT = Operation("elect")


def elect(bits: int, client: int, slot: int) -> Operation:
    """Everybody wants to know who leads."""
    return ELECT


def all_answered(nodes: Sequence[ChangRoberts]) -> bool:
    """No client still waits for a leader."""
    return not any(node.asking for node in nodes)


MUTANTS = (
    Mutant(
        name="lower-passed-on",
        rule="a number that is lower than a process's own ends there",
        section="the algorithm: message extinction",
        old="if msg.number > self.number():",
        new="if msg.number != self.number():",
    ),
    Mutant(
        name="higher-not-passed-on",
        rule="a number that is higher than a process's own is passed on",
        section="the algorithm",
        old="            env.send(self.neighbour(), msg)\n        elif",
        new="            pass\n        elif",
    ),
    Mutant(
        name="own-number-passed-on",
        rule="a process whose number has come back is the highest",
        section="the algorithm",
        old="if msg.number > self.number():",
        new="if msg.number >= self.number():",
    ),
    Mutant(
        name="own-number-in-place-of-a-higher",
        rule="a number is passed on as it came",
        section="the algorithm",
        old="            env.send(self.neighbour(), msg)\n        elif",
        new="            env.send(self.neighbour(), Candidate(self.number()))\n        elif",
    ),
    Mutant(
        name="lead-over-one-lower",
        rule="a process leads only once its own number has come back",
        section="the algorithm",
        old="elif msg.number == self.number():",
        new="elif msg.number <= self.number():",
    ),
    Mutant(
        name="sleeper-ends-it",
        rule="a process that lets a number end has begun itself",
        section="the algorithm",
        old="        elif not self.is_marked:\n            self.begin(env)\n\n    def lead",
        new="\n    def lead",
    ),
    Mutant(
        name="higher-begun-too-early",
        rule="a higher number on its way says nothing of who leads",
        section="the algorithm",
        old="            self.is_marked = True\n            env.send",
        new="            self.leader = msg.number\n            env.send",
    ),
    Mutant(
        name="announcement-not-passed-on",
        rule="everybody gets to know the leader",
        section="announcement, not in the paper",
        old="            self.leader = msg.number\n            env.send(self.neighbour(), msg)\n",
        new="            self.leader = msg.number\n",
    ),
    Mutant(
        name="leader-not-announced",
        rule="everybody gets to know the leader",
        section="announcement, not in the paper",
        old="env.send(self.neighbour(), Elected(self.leader))",
        new="pass",
    ),
    Mutant(
        name="announced-as-oneself",
        rule="who passes on an announcement learns of another's election",
        section="announcement, not in the paper",
        old="            self.leader = msg.number\n",
        new="            self.leader = self.number()\n",
    ),
    Mutant(
        name="begin-again",
        rule="a process begins once",
        section="the algorithm",
        old="        self.is_marked = True\n        env.send(self.neighbour(), Cand",
        new="        env.send(self.neighbour(), Cand",
        # Its number goes round again for every lower one that comes, which only costs messages.
        equivalent=True,
    ),
)

scenario = Scenario(
    name="chang-roberts",
    node=ChangRoberts,
    nodes=5,
    configurations=(
        Configuration("ascending"),
        Configuration("descending", {"arrangement": (4, 3, 2, 1, 0)}),
        Configuration("mixed", {"arrangement": (2, 0, 4, 1, 3)}),
    ),
    clients=4,
    # The answer comes, however long it takes.
    client_fields={"retry": 0, "timeout": ms(1_000_000)},
    workload=Workload(model="election", draw=elect, interval=ms(150), spread=ms(6), slots=20),
    # It has no timer and nothing on disk, so clocks and disks cannot matter.
    faults=frozenset(("delay", "duplicate", "pause", "slow", "bandwidth")),
    crashes=0,
    minima={
        "operations ok": 2000,
        "operations concurrent on a key": 200,
        "reached rivals": 20,
        "reached some_know": 30,
    },
    duration=ms(5000),
    heal=ms(1500),
    mutants=MUTANTS,
    exploration=Exploration(
        nodes=4,
        fields={"arrangement": (2, 0, 3, 1)},
        # Nobody asks n3, whose number is the highest: it begins because a lower number comes.
        scripts=tuple(Script((ELECT,), {"server": NodeId(id)}) for id in ("n1", "n2", "n4")),
        ends=all_answered,
    ),
)
