"""How Ricart-Agrawala is tried: clients take turns through every node, on links without order."""

from collections.abc import Sequence

from quorate.kernel import NodeId, ms
from quorate.protocols.mutex.ricart_agrawala import RicartAgrawala
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import ACQUIRE, RELEASE, Workload, turns


def all_served(nodes: Sequence[RicartAgrawala]) -> bool:
    """Nobody waits any more."""
    return not any(node.clients for node in nodes)


MUTANTS = (
    Mutant(
        name="tie-gives-way",
        rule="of two requests with one sequence number, the lower node's is the earlier",
        section="the algorithm, Defer_it",
        old="self.ticket < msg.ticket",
        new="self.ticket[0] < msg.ticket[0]",
    ),
    Mutant(
        name="tie-defers",
        rule="of two requests with one sequence number, only the lower node's is the earlier",
        section="the algorithm, Defer_it",
        old="self.ticket < msg.ticket",
        new="self.ticket[0] <= msg.ticket[0]",
    ),
    Mutant(
        name="later-requests-first",
        rule="the earlier request has priority",
        section="the algorithm, Defer_it",
        old="(self.is_inside or self.ticket < msg.ticket)",
        new="(self.is_inside or self.ticket > msg.ticket)",
    ),
    Mutant(
        name="give-way-while-waiting",
        rule="a node that has asked earlier defers the later one",
        section="the algorithm, Defer_it",
        old="(self.is_inside or self.ticket < msg.ticket)",
        new="self.is_inside",
    ),
    Mutant(
        name="compare-with-a-fresh-number",
        rule="a request competes with the number that it was made with",
        section="the algorithm, Our_Sequence_Number",
        old="self.ticket < msg.ticket",
        new="(self.highest, self.id) < msg.ticket",
    ),
    Mutant(
        name="highest-not-followed",
        rule="a request's number exceeds all that its node has seen",
        section="the algorithm, Highest_Sequence_Number",
        old="self.highest = max(self.highest, number)",
        new="pass",
    ),
    Mutant(
        name="number-not-above",
        rule="a request's number exceeds all that its node has seen",
        section="the algorithm, Highest_Sequence_Number",
        old="self.ticket = (self.highest + 1, self.id)",
        new="self.ticket = (self.highest, self.id)",
    ),
    Mutant(
        name="deferred-never-answered",
        rule="who leaves permits all whom it has deferred",
        section="the algorithm, Reply_Deferred",
        old="env.send(node, Permit())",
        new="pass",
    ),
    Mutant(
        name="deferred-answered-twice",
        rule="who was deferred is permitted once",
        section="the algorithm, Reply_Deferred",
        old="        self.deferred = Set()\n",
        new="",
    ),
    Mutant(
        name="one-permission-short",
        rule="whoever enters has everyone's permission",
        section="the algorithm, Outstanding_Reply_Count",
        old="len(self.permissions) < len(self.others()):",
        new="len(self.permissions) < len(self.others()) - 1:",
    ),
    Mutant(
        name="permissions-last",
        rule="a permission is for one entry",
        section="the algorithm, Outstanding_Reply_Count",
        old="self.permissions - self.deferred if self.keep_permissions else Set()",
        new="self.permissions - self.deferred",
        bounds={"fields": {"keep_permissions": False}, "out_of_reach": ("permission_kept",)},
    ),
    Mutant(
        name="given-but-kept",
        rule="who permits another has its permission no longer",
        section="Carvalho-Roucairol",
        old="self.permissions = self.permissions.remove(env.sender)",
        new="pass",
    ),
    Mutant(
        name="deferred-but-kept",
        rule="who permits another has its permission no longer",
        section="Carvalho-Roucairol",
        old="self.permissions - self.deferred if self.keep_permissions else Set()",
        new="self.permissions if self.keep_permissions else Set()",
    ),
    Mutant(
        name="given-and-not-asked-back",
        rule="a node that waits asks again for the permission that it gave away",
        section="Carvalho-Roucairol",
        old="env.reply(Ask(self.ticket))",
        new="pass",
    ),
)

scenario = Scenario(
    name="ricart-agrawala",
    node=RicartAgrawala,
    nodes=4,
    configurations=(
        Configuration("ask everyone"),
        Configuration("keep permissions", {"keep_permissions": True}),
    ),
    clients=5,
    # What is asked for is granted however long it takes, and a second request would be another.
    client_fields={"retry": 0, "timeout": ms(1_000_000)},
    workload=Workload(model="mutex", draw=turns, interval=ms(40), slots=60),
    # It has no timer and nothing on disk, so clocks and disks cannot matter.
    faults=frozenset(("delay", "pause", "slow", "bandwidth")),
    crashes=0,
    minima={
        "operations ok": 8000,
        "reached contention": 30,
        "reached tie": 30,
        "reached permission_kept": 15,
    },
    duration=ms(4000),
    heal=ms(2000),
    mutants=MUTANTS,
    exploration=Exploration(
        fields={"keep_permissions": True},
        scripts=(
            Script((ACQUIRE, RELEASE) * 2, {"server": NodeId("n1")}),
            Script((ACQUIRE, RELEASE) * 2, {"server": NodeId("n2")}),
            Script((ACQUIRE, RELEASE), {"server": NodeId("n3")}),
        ),
        eager=True,
        ends=all_served,
    ),
)
