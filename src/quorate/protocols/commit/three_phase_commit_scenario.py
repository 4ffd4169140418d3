"""How three-phase commit is tried: coordinators that crash, in a network that only delays."""

from functools import partial

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.commit.three_phase_commit import ThreePhaseCommit
from quorate.scenario.adversaries import LEADER, HalfSent, LeaderStrike, PartialBroadcast, Reboots
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload

CLIENTS = 4


def transact(bits: int, client: int, slot: int) -> Operation:
    """A transaction that others may ask for too, or a look at a recent one."""
    if bits % 2:
        return Operation("commit", f"t{1 + client % 2}.{slot}")
    recent = max(0, slot - (bits >> 1) % 2)
    return Operation("look", f"t{1 + (bits >> 8) % 2}.{recent}")


def role(node: ThreePhaseCommit) -> str:
    """The node's role, in the paper's words."""
    return "coordinator" if node.phases else "participant"


def leads(node: ThreePhaseCommit) -> str:
    """Whoever coordinates is the one to strike."""
    return LEADER if node.phases else ""


MUTANTS = (
    Mutant(
        name="two-phases",
        rule="nobody commits before all who are up know that they can",
        section="5, the nonblocking theorem",
        old="        elif len(yes) == len(self.others):\n            self.precommit(msg.tid, env)",
        new="        elif len(yes) == len(self.others):\n"
        "            self.conclude(msg.tid, COMMITTED, env)",
    ),
    Mutant(
        name="first-ack-commits",
        rule="the coordinator commits once all who are up have acknowledged",
        section="6, the third phase",
        old="if len(acks) == len(self.others):",
        new="if acks:",
    ),
    Mutant(
        name="silence-is-yes",
        rule="a vote that is missing is no yes",
        section="6, timeout transitions",
        old="case Voting():\n                self.conclude(timer.tid, ABORTED, env)",
        new="case Voting():\n                self.precommit(timer.tid, env)",
    ),
    Mutant(
        name="no-is-ignored",
        rule="one no aborts the transaction",
        section="6, the first phase",
        old="if not msg.is_yes:",
        new="if False:",
    ),
    Mutant(
        name="precommit-before-forcing",
        rule="the coordinator records that all have voted yes before it tells anybody",
        section="6, the second phase",
        old="env.multicast(self.others, PreCommit(tid))",
        new="env.multicast(self.others, PreCommit(tid), ahead=True)",
    ),
    Mutant(
        name="decide-alone",
        rule="participants end a transaction together, by the termination protocol",
        section="7",
        old="            env.send(backup, TakeOver(tid))\n"
        "            self.follow(tid, backup, env)",
        new="            self.finish(\n"
        "                tid, COMMITTED if self.log[tid] is PRECOMMITTED else ABORTED, env\n"
        "            )",
    ),
    Mutant(
        name="backup-aborts",
        rule="a backup coordinator commits if any that is up could have committed",
        section="7, the decision rule",
        old="elif PRECOMMITTED in reported and ABORTED not in reported:",
        new="elif False:",
    ),
    Mutant(
        name="backup-commits-at-once",
        rule="a backup coordinator lets all know that they can commit before it does",
        section="7, phase one of termination",
        old="self.precommit(tid, env)  # Others who are up may not know yet that they can commit.",
        new="self.conclude(tid, COMMITTED, env)",
    ),
    Mutant(
        name="backup-ignores-commits",
        rule="a backup coordinator keeps to a decision that it hears of",
        section="7, the decision rule",
        old="if COMMITTED in reported:",
        new="if False:",
        # Whoever is up could commit by then, and so the next rule says the same.
        equivalent=True,
    ),
    Mutant(
        name="backup-commits-what-none-could",
        rule="a backup coordinator aborts if none that is up could have committed",
        section="7, the decision rule",
        old="        else:\n            self.conclude(tid, ABORTED, env)\n\n    # Recovery",
        new="        else:\n            self.precommit(tid, env)\n\n    # Recovery",
    ),
    Mutant(
        name="coordinator-recovers-alone",
        rule="a coordinator that had let others precommit asks them for the outcome",
        section="4, failure transitions",
        old="if self.id == self.peers[0] and self.log[tid] is PREPARED:",
        new="if self.id == self.peers[0]:",
    ),
    Mutant(
        name="impatient",
        rule="silence tells a crash only once any answer must have arrived",
        section="2, crashes are detected",
        old="env.after(2 * self.round_trip, Silence(tid))",
        new="env.after(self.round_trip // 4, Silence(tid))",
        bounds={"crashes": 1, "liveness": True},
    ),
    Mutant(
        name="no-one-takes-over",
        rule="when the coordinator is silent the next one takes over",
        section="7",
        old="if tid not in self.active:\n            return",
        new="if True:\n            return",
    ),
    Mutant(
        name="no-inquiry",
        rule="who has crashed asks for the outcome",
        section="4, recovery",
        old="self.ask(Ignorance(tid), env)",
        new="pass",
        bounds={"crashes": 1, "liveness": True},
    ),
    Mutant(
        name="vote-again",
        rule="a participant votes once on a transaction",
        section="6, the first phase",
        old="if msg.tid in self.log:\n            return  # A duplicate",
        new="if False:\n            return  # A duplicate",
        bounds={"duplicate": 1},
    ),
)

scenario = Scenario(
    name="three-phase-commit",
    node=ThreePhaseCommit,
    nodes=4,
    configurations=(Configuration("default", {"willing": (True,) * 7 + (False,)}),),
    clients=CLIENTS,
    client_fields={"retry": 0, "timeout": ms(900)},
    workload=Workload(
        model="transaction", draw=transact, interval=ms(120), spread=ms(20), slots=26
    ),
    # Synchronous: then no message takes longer than 61 ms, and a record 3 ms at the most.
    faults=frozenset({"duplicate", "slow", "crash"}),
    crashes=3,
    role=role,
    adversaries=(partial(LeaderStrike, leads), HalfSent, PartialBroadcast, Reboots),
    duration=ms(4000),
    heal=ms(2400),
    minima={
        "operations ok": 3300,
        "operations concurrent on a key": 300,
        "reached some_can_commit": 30,
        "reached a_backup_commits": 4,
        "reached a_backup_aborts": 5,
        "messages crash": 20,
    },
    mutants=MUTANTS,
    # Two crashes of three: the coordinator's, and that of the backup which takes over.
    exploration=Exploration(
        nodes=3,
        timing="synchronous",
        timers=None,
        fields={"willing": (True, False)},
        scripts=(Script((Operation("commit", "t"),), {"server": NodeId("n1")}),),
        crashes=2,
    ),
    modules=("quorate.protocols.commit.atomic_commitment",),
)
