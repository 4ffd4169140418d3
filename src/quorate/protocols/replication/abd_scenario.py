"""How the ABD register is tried: reads and writes of a few registers through every node."""

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.replication.abd import Abd
from quorate.scenario.adversaries import PartialBroadcast, Reboots
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload, unique_writes

READ = Operation("read", "x")


def asks(server: str, *operations: Operation) -> Script:
    """A client of one server."""
    return Script(operations, {"peers": (NodeId(server),)})


def write(value: int) -> Operation:
    """A write of the one register that is explored."""
    return Operation("write", "x", value)


MUTANTS = (
    Mutant(
        name="no-write-back",
        rule="a read propagates the version that it returns",
        section="ABD, read: the second communicate",
        old="elif self.unanimous_reads and min(reports.values()) == newest:",
        new="elif True:",
    ),
    Mutant(
        name="write-back-if-news-to-us",
        rule="a read propagates also what its own node has already",
        section="ABD, read: the second communicate",
        old="elif self.unanimous_reads and min(reports.values()) == newest:",
        new="elif self.version(key_of(operation)) == newest:",
    ),
    Mutant(
        name="write-without-query",
        rule="a write's timestamp exceeds those of a majority",
        section="Lynch-Shvartsman, query phase",
        old="(number, _), _ = max(newest, self.version(key))",
        new="(number, _), _ = self.version(key)",
    ),
    Mutant(
        name="one-report-is-exceeded",
        rule="a write's timestamp exceeds those of a majority",
        section="Lynch-Shvartsman, query phase",
        old="self.next_version(operation, newest), env)",
        new="self.next_version(operation, msg.version), env)",
        # Of three servers the coordinator, which exceeds its own too, and any other are a majority.
        needs="5 servers",
    ),
    Mutant(
        name="timestamps-shared",
        rule="concurrent writes of one node take different timestamps",
        section="Lynch-Shvartsman, tags are unique",
        old="(number, _), _ = max(newest, self.version(key))",
        new="(number, _), _ = newest",
    ),
    Mutant(
        name="timestamp-without-writer",
        rule="the writer's name breaks ties between timestamps",
        section="Lynch-Shvartsman, tags are unique",
        old="version = ((number + 1, self.id), operation.value)",
        new='version = ((number + 1, NodeId("")), operation.value)',
    ),
    Mutant(
        name="oldest-report-counts",
        rule="the newest version that a majority reports counts",
        section="ABD, read",
        old="newest = max(reports.values())",
        new="newest = min(reports.values())",
    ),
    Mutant(
        name="any-report-counts",
        rule="the newest version that a majority reports counts",
        section="ABD, read",
        old="newest = max(reports.values())",
        new="newest = reports.values()[0]",
    ),
    Mutant(
        name="ties-broken-by-chance",
        rule="the writer's name breaks ties between timestamps",
        section="Lynch-Shvartsman, tags are unique",
        old="newest = max(reports.values())",
        new="newest = max(reports.values(), key=lambda version: version[0][0])",
    ),
    Mutant(
        name="older-version-recorded",
        rule="a replica keeps the newest version",
        section="ABD, update",
        old="if msg.version > self.version(msg.key):",
        new="if True:",
    ),
    Mutant(
        name="older-version-unacknowledged",
        rule="a replica acknowledges also what it need not record",
        section="ABD, update",
        old=(
            "            self.versions = self.versions.set(msg.key, msg.version)\n"
            "        env.reply(Recorded(msg.tag))\n"
        ),
        new=(
            "            self.versions = self.versions.set(msg.key, msg.version)\n"
            "            env.reply(Recorded(msg.tag))\n"
        ),
    ),
    Mutant(
        name="late-reports-count",
        rule="reports count for the operation that asked for them",
        section="ABD, communicate",
        old="if not isinstance(phase, Querying) or phase.tag != msg.tag:",
        new="if not isinstance(phase, Querying):",
        bounds={"network": "multiset"},
    ),
    Mutant(
        name="late-acknowledgements-count",
        rule="acknowledgements count for the operation that asked for them",
        section="ABD, communicate",
        old="if not isinstance(phase, Recording) or phase.tag != msg.tag:",
        new="if not isinstance(phase, Recording):",
        bounds={"network": "multiset", "scripts": (asks("n1", write(1), write(2)),)},
    ),
    Mutant(
        name="duplicates-counted",
        rule="a majority is of distinct replicas",
        section="ABD, communicate",
        old="recorded = phase.recorded | {env.sender}",
        new="recorded = (*phase.recorded, env.sender)",
        # Of three servers the coordinator, which has recorded first, and any other are a majority.
        needs="5 servers",
    ),
    Mutant(
        name="query-quorum-of-one",
        rule="the first phase hears from a majority",
        section="ABD, communicate",
        old="if len(reports) < majority(self.peers):",
        new="if len(reports) < 1:",
    ),
    Mutant(
        name="record-quorum-of-one",
        rule="the second phase hears from a majority",
        section="ABD, communicate",
        old="if len(recorded) >= majority(self.peers):",
        new="if len(recorded) >= 1:",
    ),
    Mutant(
        name="versions-volatile",
        rule="a replica remembers what it has acknowledged through a crash",
        section="recovery, not in the papers",
        old="versions: Durable[Map[Key, Version]] = Map()",
        new="versions: Map[Key, Version] = Map()",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="no-retransmission",
        rule="a phase is sent again until a majority has answered",
        section="lossy channels, not in the papers",
        old="if phase is not None and phase.tag == timer.tag:",
        new="if False:",
        bounds={
            "network": "multiset",
            "timing": "synchronous",
            "timers": None,
            "drop": True,
            "liveness": True,
            "scripts": (asks("n1", write(1)),),
        },
    ),
)

scenario = Scenario(
    name="abd",
    node=Abd,
    configurations=(
        Configuration("two phases"),
        Configuration("unanimous reads", {"unanimous_reads": True}),
    ),
    clients=4,
    # A repeated write would be a second write, so clients ask once, and then do not know.
    client_fields={"retry": 0, "timeout": ms(400)},
    workload=Workload(model="register", draw=unique_writes(2), interval=ms(50), slots=16),
    adversaries=(PartialBroadcast, Reboots),
    minima={
        "operations ok": 2500,
        "operations concurrent on a key": 1000,
        "reached unfinished_write_is_read": 10,
        "reached writes_meet": 30,
        "crashes that lost steps": 10,
    },
    duration=ms(3000),
    heal=ms(1500),
    mutants=MUTANTS,
    # Two writers, the second of whom then looks twice: enough to see something new and then old.
    exploration=Exploration(
        scripts=(asks("n1", write(1)), asks("n2", write(2), READ, READ)),
        network="rpc",
    ),
)
