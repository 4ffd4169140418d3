"""How Paxos Commit is tried: transactions that many ask for, and any node may have to end."""

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.commit.paxos_commit import PaxosCommit
from quorate.scenario.adversaries import Echoes, HalfSent, PartialBroadcast, Reboots
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload


def transact(bits: int, client: int, slot: int) -> Operation:
    """A transaction that others may ask for too, or a look at a recent one."""
    if bits % 2:
        return Operation("commit", f"t{1 + client % 2}.{slot}")
    recent = max(0, slot - (bits >> 1) % 2)
    return Operation("look", f"t{1 + (bits >> 8) % 2}.{recent}")


WILLING = (True,) * 5 + (False,)

MUTANTS = (
    Mutant(
        name="abort-in-ballot-0-too",
        rule="a resource manager that has proposed to commit does not propose to abort",
        section="4.1, ballot 0 has one value",
        old="        tid = timer.tid\n        promised, _",
        new="        tid = timer.tid\n"
        "        if tid not in self.leading:\n"
        "            env.multicast(\n"
        "                self.acceptors, Phase2a(tid, FIRST, Map({self.id: ABORTED}))\n"
        "            )\n"
        "        promised, _",
    ),
    Mutant(
        name="vote-volatile",
        rule="a resource manager remembers its vote through a crash",
        section="4.1",
        module="atomic_commitment",
        old="log: Durable[Map[Tid, State]] = Map()",
        new="log: Map[Tid, State] = Map()",
    ),
    Mutant(
        name="vote-before-forcing",
        rule="a resource manager records its vote before it proposes it",
        section="4.1",
        old="env.multicast(nearest, Phase2a(msg.tid, FIRST, Map({self.id: vote})))",
        new="env.multicast(nearest, Phase2a(msg.tid, FIRST, Map({self.id: vote})), ahead=True)",
    ),
    Mutant(
        name="ignore-earlier-votes",
        rule="a leader proposes what may have been chosen in a lower ballot",
        section="4.1, phase 2a",
        old="votes = [votes[manager] for votes in promises.values() if manager in votes]",
        new="votes: list[Vote] = []",
    ),
    Mutant(
        name="adopt-lowest-vote",
        rule="of the votes reported, that of the highest ballot counts",
        section="4.1, phase 2a",
        old="_, value = max(votes, key=lambda vote: vote[0], default=(FIRST, ABORTED))",
        new="_, value = min(votes, key=lambda vote: vote[0], default=(FIRST, ABORTED))",
        bounds={"crashes": 0, "timers": 2},
    ),
    Mutant(
        name="free-is-yes",
        rule="for a resource manager that has not been heard of a leader proposes to abort",
        section="4.1, phase 2a",
        old="_, value = max(votes, key=lambda vote: vote[0], default=(FIRST, ABORTED))",
        new="_, value = max(votes, key=lambda vote: vote[0], default=(FIRST, PREPARED))",
    ),
    Mutant(
        name="vote-despite-promise",
        rule="an acceptor that has promised a ballot votes in no lower one",
        section="4.1, phase 2b",
        old="if msg.ballot < self.promised.get(msg.tid, FIRST):",
        new="if False:",
    ),
    Mutant(
        name="promise-volatile",
        rule="an acceptor remembers its promise through a crash",
        section="4.1",
        old="promised: Durable[Map[Tid, Ballot]] = Map()",
        new="promised: Map[Tid, Ballot] = Map()",
    ),
    Mutant(
        name="votes-volatile",
        rule="an acceptor remembers its votes through a crash",
        section="4.1",
        old="accepted: Durable[Map[Tid, Map[NodeId, Vote]]] = Map()",
        new="accepted: Map[Tid, Map[NodeId, Vote]] = Map()",
    ),
    Mutant(
        name="promise-quorum-of-one",
        rule="a proposal above ballot 0 rests on the promises of F + 1 acceptors",
        section="4.1, phase 2a",
        old="if len(promises) == self.faults + 1:",
        new="if len(promises) == 1:",
    ),
    Mutant(
        name="vote-quorum-of-one",
        rule="a value is chosen by F + 1 acceptors",
        section="4.1",
        old="if len(values := votes_for(manager, reports)) > self.faults",
        new="if len(values := votes_for(manager, reports)) > 0",
    ),
    Mutant(
        name="propose-after-restart",
        rule="a leader that has forgotten its promises begins a new ballot",
        section="4.1, phase 2a",
        old="if msg.ballot != self.leading.get(msg.tid):",
        new="if msg.ballot[1] != self.id or self.log.get(msg.tid) in DECISIONS:",
        needs="many seeds: promises that arrive again after a crash",
    ),
    Mutant(
        name="reports-across-ballots",
        rule="votes of different ballots do not add up",
        section="4.1",
        old="if msg.ballot != self.leading.get(tid, FIRST) or self.log.get(tid) in DECISIONS:",
        new="if self.log.get(tid) in DECISIONS:",
        needs="explore",
        bounds={"crashes": 0, "timers": 2},
    ),
    Mutant(
        name="one-instance-commits",
        rule="commit takes all instances",
        section="4.2",
        old="elif len(chosen) == len(self.peers):",
        new="elif chosen:",
    ),
    Mutant(
        name="no-second-leader",
        rule="if the outcome does not come, another leader begins a higher ballot",
        section="4.2",
        old="        tid = timer.tid\n        promised, _",
        new="        tid = timer.tid\n        return\n        promised, _",
    ),
    Mutant(
        name="promise-again",
        rule="an acceptor answers a phase 1a above all earlier ones",
        section="4.1, phase 1b",
        old="elif msg.ballot > self.promised.get(msg.tid, FIRST):",
        new="elif msg.ballot >= self.promised.get(msg.tid, FIRST):",
        equivalent=True,
    ),
)

scenario = Scenario(
    name="paxos-commit",
    node=PaxosCommit,
    nodes=5,
    configurations=(
        Configuration("F=2", {"faults": 2, "willing": WILLING}),
        # Nobody decides without a majority of the acceptors, which a core need not have.
        Configuration("F=1", {"faults": 1, "willing": WILLING}, whole_core=True),
        Configuration(
            "hasty", {"faults": 2, "willing": WILLING, "patience": (ms(4), ms(40))}, whole_core=True
        ),
    ),
    clients=4,
    client_fields={"retry": ms(150), "timeout": ms(500)},
    workload=Workload(
        model="transaction", draw=transact, interval=ms(200), spread=ms(40), slots=11
    ),
    adversaries=(Echoes, HalfSent, PartialBroadcast, Reboots),
    duration=ms(3500),
    heal=ms(1800),
    minima={
        "operations ok": 1200,
        "operations concurrent on a key": 180,
        "reached a_commit": 30,
        "reached a_vote_is_not_heard": 24,
        "reached a_second_leader_commits": 18,
        "crashes that lost steps": 500,
    },
    mutants=MUTANTS,
    exploration=Exploration(
        nodes=3,
        fields={"faults": 1, "willing": (True, False)},
        scripts=(Script((Operation("commit", "t"),), {"server": NodeId("n1")}),),
        network="rpc",
        crashes=1,
        timers=1,
    ),
    modules=("quorate.protocols.commit.atomic_commitment",),
)
