"""How the bully election is tried: crashes, most of all of whoever coordinates."""

from functools import partial

from quorate.kernel import Operation, ms
from quorate.protocols.election.bully import Bully
from quorate.scenario.adversaries import ChangeOfRole, LeaderStrike
from quorate.scenario.exploration import Exploration
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload

ASK = Operation("coordinator")


def ask(bits: int, client: int, slot: int) -> Operation:
    """Who coordinates?"""
    return ASK


def role(node: Bully) -> str:
    """A coordinator is what adversaries call a leader."""
    return "leader" if node.coordinator == node.id else node.state


MUTANTS = (
    Mutant(
        name="lead-although-answered",
        rule="who was answered leaves the lead to stronger nodes",
        section="the bully algorithm",
        old="        if self.state == ELECTION:\n            self.lead(env)",
        new="        if self.state != NORMAL:\n            self.lead(env)",
    ),
    Mutant(
        name="answers-not-heeded",
        rule="who was answered leaves the lead to stronger nodes",
        section="the bully algorithm",
        old="            self.state = WAITING\n            env.after(self.wait, Silence())",
        new="            pass",
    ),
    Mutant(
        name="elections-not-answered",
        rule="a stronger node answers, and so keeps a weaker one from leading",
        section="the bully algorithm",
        old="        env.reply(Answer())\n",
        new="        pass\n",
    ),
    Mutant(
        name="recover-without-election",
        rule="a node that comes back holds an election",
        section="the bully algorithm, recovery",
        old='may be the strongest."""\n        self.elect(env)',
        new='may be the strongest."""\n        self.state = NORMAL',
    ),
    Mutant(
        name="recover-as-coordinator",
        rule="a node that comes back does not lead before it has asked all stronger ones",
        section="the bully algorithm, recovery",
        old='may be the strongest."""\n        self.elect(env)',
        new='may be the strongest."""\n        self.lead(env)',
    ),
    Mutant(
        name="ask-one",
        rule="an election asks all stronger nodes",
        section="the bully algorithm",
        old="env.multicast(self.stronger(), Election())",
        new="env.multicast(self.stronger()[:1], Election())",
        # Here the strongest repeats its announcement before anybody's patience ends.
        needs="a coordinator that announces itself only once",
        bounds={"fields": {"beat": ms(10_000), "watch": (ms(20_000), ms(20_000))}},
    ),
    Mutant(
        name="announce-to-all",
        rule="a coordinator imposes itself on weaker nodes only",
        section="the bully algorithm",
        old="env.multicast(self.weaker(), Coordinator())",
        new="env.multicast(self.peers, Coordinator())",
    ),
    Mutant(
        name="announce-to-one",
        rule="a coordinator announces itself to all weaker nodes",
        section="the bully algorithm",
        old="env.multicast(self.weaker(), Coordinator())",
        new="env.multicast(self.weaker()[-1:], Coordinator())",
    ),
    Mutant(
        name="answer-taken-for-coordinator",
        rule="an answer says that a node is up, and not that it coordinates",
        section="the bully algorithm",
        old="            self.state = WAITING\n            env.after(self.wait, Silence())",
        new="            self.follow(Coordinator(), env)",
    ),
    Mutant(
        name="patience-below-a-round-trip",
        rule="a time-out is longer than a message there and back may take",
        section="assumption: bounded response time",
        old="patience: int = 2 * SLOWEST + ms(5)",
        new="patience: int = ms(20)",
    ),
    Mutant(
        name="watch-below-a-beat",
        rule="a time-out is longer than the coordinator's next announcement may take",
        section="assumption: bounded response time",
        old="watch: tuple[int, int] = (2 * SLOWEST + ms(15), 3 * SLOWEST)",
        new="watch: tuple[int, int] = (SLOWEST // 2, SLOWEST)",
    ),
    Mutant(
        name="coordinator-not-watched",
        rule="a coordinator that has crashed is missed",
        section="the bully algorithm, time-out",
        old="        env.after(self.watch, Silence())\n",
        new="        env.cancel(Silence())\n",
    ),
    Mutant(
        name="wait-without-end",
        rule="a node that has answered may crash before it leads",
        section="the bully algorithm, time-out",
        old="            env.after(self.wait, Silence())\n",
        new="            env.cancel(Silence())\n",
    ),
    Mutant(
        name="answer-without-election",
        rule="who answers an election holds its own",
        section="the bully algorithm",
        old="        if self.state == NORMAL:\n            self.elect(env)\n",
        new="",
        # Whoever is asked watches the coordinator too, and misses it before long.
        equivalent=True,
    ),
)

scenario = Scenario(
    name="bully",
    node=Bully,
    nodes=5,
    configurations=(
        Configuration("crashed nodes come back"),
        Configuration("crashed nodes stay down", recovers=False),
    ),
    clients=6,
    # What one node knows another need not know yet, so there is no history to hold it to.
    workload=Workload(model="", draw=ask, interval=ms(150), slots=32),
    # Whatever is slow is at most so much slower that no message takes longer than it may.
    faults=frozenset(("crash", "slow")),
    crashes=3,
    role=role,
    adversaries=(partial(ChangeOfRole, role), partial(LeaderStrike, role)),
    minima={
        "operations ok": 5000,
        "became leader": 50,
        "reached stand_in": 8,
        "reached two_coordinators": 4,
    },
    heal=ms(3500),
    mutants=MUTANTS,
    # Nobody asks: who coordinates is in the nodes.
    exploration=Exploration(nodes=3, timing="synchronous", timers=None, crashes=2),
)
