"""How two-phase commit is tried: transactions under each presumption, and looks at the data."""

from functools import partial

from quorate.kernel import NodeId, Operation, Set, ms
from quorate.protocols.commit.two_phase_commit import Presumption, TwoPhaseCommit
from quorate.scenario.adversaries import (
    LEADER,
    Echoes,
    HalfSent,
    LeaderStrike,
    PartialBroadcast,
    Reboots,
)
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload

CLIENTS = 4
WILLING = (True, True, True, True, False)


def transact(bits: int, client: int, slot: int) -> Operation:
    """A new transaction, or a look at a recent one, whoever's it is."""
    if bits % 2:
        return Operation("commit", f"t{client + 1}.{slot}")
    recent = max(0, slot - (bits >> 1) % 3)
    return Operation("look", f"t{1 + (bits >> 8) % CLIENTS}.{recent}")


def role(node: TwoPhaseCommit) -> str:
    """The node's role, in the paper's words."""
    return "coordinator" if node.id == node.coordinator else "subordinate"


def leads(node: TwoPhaseCommit) -> str:
    """The coordinator is the one to strike."""
    return LEADER if node.id == node.coordinator else ""


def configuration(name: str, presumption: Presumption, **fields: object) -> Configuration:
    """Nobody is blocked for ever only if all can be heard in the end."""
    fields = {"presumption": presumption, "willing": WILLING, **fields}
    return Configuration(name, fields, whole_core=True)


HASTY = (ms(3), ms(30))

ONE = Script((Operation("commit", "t"),), {"server": NodeId("n1")})
"""A client with one transaction."""

MUTANTS = (
    Mutant(
        name="majority-commits",
        rule="commit takes the votes of all",
        section="2, the first phase",
        old="elif len(votes) == len(self.subordinates):",
        new="elif len(votes) > len(self.subordinates) // 2:",
        bounds={"nodes": 4, "crashes": 0, "timers": 0},
    ),
    Mutant(
        name="silence-is-yes",
        rule="a vote that is missing is no yes",
        section="2, timeouts",
        old="self.decide(timer.tid, ABORTED, env)",
        new="self.decide(timer.tid, COMMITTED, env)",
    ),
    Mutant(
        name="no-is-ignored",
        rule="one no aborts the transaction",
        section="2, the first phase",
        old="if msg.answer is Answer.NO:",
        new="if False:",
    ),
    Mutant(
        name="prepared-volatile",
        rule="a participant forces its prepare record before it votes yes",
        section="2, the first phase",
        old="            self.log = self.log.set(msg.tid, PREPARED)\n"
        "            env.reply(Vote(msg.tid, Answer.YES))",
        new="            self.log = self.log.set(msg.tid, PREPARED)\n"
        "            env.send(env.sender, Vote(msg.tid, Answer.YES), ahead=True)",
    ),
    Mutant(
        name="commit-before-forcing",
        rule="the coordinator forces its decision before it tells anybody",
        section="2, the second phase",
        old="env.multicast(concerned.keys(), Commit(tid) if outcome is COMMITTED else Abort(tid))",
        new="env.multicast(concerned.keys(), Commit(tid) if outcome is COMMITTED else Abort(tid),"
        " ahead=True)",
    ),
    Mutant(
        name="decision-volatile",
        rule="the coordinator remembers its decision through a crash",
        section="2, recovery",
        old="records: Durable[Map[Tid, Record]] = Map()",
        new="records: Map[Tid, Record] = Map()",
    ),
    Mutant(
        name="forget-at-first-ack",
        rule="the coordinator forgets a decision only once all have acknowledged it",
        section="2, the end record",
        old="        if not owing:",
        new="        if True:",
    ),
    Mutant(
        name="forget-commit",
        rule="under presumed abort a commit is remembered until it is acknowledged",
        section="3.1",
        old="if self.is_presumed(outcome) or not concerned:",
        new="if self.presumption is Presumption.ABORT or self.is_presumed(outcome):",
    ),
    Mutant(
        name="no-collecting-record",
        rule="under presumed commit a collecting record is forced before the first phase",
        section="3.2",
        old="if self.presumption is Presumption.COMMIT:\n                # Before",
        new="if False:\n                # Before",
    ),
    Mutant(
        name="collecting-commits",
        rule="a transaction that was still collecting votes at the crash is aborted",
        section="3.2, recovery",
        old="self.conclude(tid, record.outcome or ABORTED, record.concerned, env)",
        new="self.conclude(tid, record.outcome or self.presumed, record.concerned, env)",
    ),
    Mutant(
        name="presume-while-voting",
        rule="an inquiry about a transaction that is not decided has to wait",
        section="2, recovery",
        old="if msg.tid in self.votes:\n            return  # We do not know it yet.",
        new="if False:\n            return",
    ),
    Mutant(
        name="doubt-aborts",
        rule="a participant that is prepared does not abort by itself",
        section="2, blocking",
        old="if self.log.get(timer.tid) is PREPARED:\n            self.ask(timer.tid, env)",
        new="if self.log.get(timer.tid) is PREPARED:\n"
        "            self.settle(timer.tid, ABORTED, env)",
    ),
    Mutant(
        name="vote-again",
        rule="a participant votes once on a transaction",
        section="departures: duplicates",
        old="if msg.tid in self.log:",
        new="if self.log.get(msg.tid) is COMMITTED:",
        bounds={"duplicate": True},
    ),
    Mutant(
        name="no-unforced",
        rule="only presumed abort lets a no leave before its record is forced",
        section="3.1 and 3.2",
        old="unforced = self.presumption is Presumption.ABORT",
        new="unforced = True",
        # Its no forgotten in a crash, a participant would say yes to a second Prepare.
        needs="explore",
        bounds={"duplicate": True, "channel": 2, "timers": 1, "scripts": (ONE,)},
    ),
    Mutant(
        name="locks-freed-when-prepared",
        rule="a participant in doubt keeps its locks",
        section="2, the second phase",
        module="atomic_commitment",
        old="if state is None or state in DECISIONS:",
        new="if True:",
    ),
    Mutant(
        name="no-inquiry",
        rule="a participant in doubt asks until it is told",
        section="2, recovery",
        old="if self.log.get(timer.tid) is PREPARED:\n            self.ask(timer.tid, env)",
        new="if False:\n            self.ask(timer.tid, env)",
        bounds={"timing": "synchronous", "timers": None, "liveness": True},
    ),
    Mutant(
        name="no-second-telling",
        rule="the coordinator tells its decision until all have acknowledged it",
        section="2, recovery",
        old="if timer.tid in self.owing:",
        new="if False:",
        bounds={"timing": "synchronous", "timers": None, "liveness": True},
    ),
)

scenario = Scenario(
    name="two-phase-commit",
    node=TwoPhaseCommit,
    nodes=4,
    configurations=(
        configuration("presumed nothing", Presumption.NOTHING),
        configuration("presumed abort", Presumption.ABORT),
        configuration("presumed commit", Presumption.COMMIT),
        configuration("read-only", Presumption.ABORT, read_only=Set([NodeId("n4")])),
        configuration("hasty nothing", Presumption.NOTHING, patience=HASTY),
        configuration("hasty abort", Presumption.ABORT, patience=HASTY),
        configuration("hasty commit", Presumption.COMMIT, patience=HASTY),
    ),
    clients=CLIENTS,
    # A transaction's name is used once, so clients ask once, and then do not know.
    client_fields={"retry": 0, "timeout": ms(300)},
    workload=Workload(model="transaction", draw=transact, interval=ms(60), slots=30),
    crashes=4,
    role=role,
    adversaries=(partial(LeaderStrike, leads), Echoes, HalfSent, PartialBroadcast, Reboots),
    duration=ms(3000),
    heal=ms(1800),
    minima={
        "operations ok": 3500,
        "operations concurrent on a key": 120,
        "reached all_commit": 30,
        "reached a_yes_is_in_vain": 30,
        "reached in_doubt_and_forgotten": 25,
        "crashes that lost steps": 200,
    },
    mutants=MUTANTS,
    exploration=Exploration(
        nodes=3,
        fields={"presumption": Presumption.COMMIT, "willing": (True, False)},
        scripts=(
            ONE,
            Script((Operation("look", "t"),), {"server": NodeId("n2")}),
        ),
        crashes=1,
        timers=2,
        interchangeable=lambda servers: servers[1:],
    ),
    modules=("quorate.protocols.commit.atomic_commitment",),
)
