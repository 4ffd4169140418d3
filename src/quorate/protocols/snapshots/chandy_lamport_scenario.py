"""How Chandy-Lamport is tried: tokens move all the time, and audits count them meanwhile."""

from collections.abc import Sequence

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.snapshots.chandy_lamport import ChandyLamport
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload

AUDIT = Operation("audit")


def move_and_count(bits: int, client: int, slot: int) -> Operation:
    """Transfers of 1 to 4 tokens along some channel; one operation in eight is an audit."""
    if bits % 8 == 0:
        return AUDIT
    return Operation("transfer", None, ((bits >> 8) % 16, 1 + (bits >> 16) % 4))


def all_answered(nodes: Sequence[ChandyLamport]) -> bool:
    """No snapshot is still under way."""
    return not any(node.recordings or node.asked for node in nodes)


def asks(server: str, *operations: Operation) -> Script:
    """A client of one server."""
    return Script(operations, {"server": NodeId(server)})


ONE_TOKEN = Operation("transfer", None, (0, 1))

MUTANTS = (
    Mutant(
        name="state-recorded-late",
        rule="a process records its state when the first marker comes",
        section="3.2, marker-receiving rule",
        old="env.send(initiator, Report(snapshot, recording))",
        new="env.send(initiator, Report(snapshot, msgspec.structs.replace("
        "recording, tokens=self.tokens)))",
    ),
    Mutant(
        name="channels-not-recorded",
        rule="what arrives between the own recording and the marker belongs to the channel",
        section="3.2, marker-receiving rule",
        old="if env.sender in recording.open:",
        new="if False:",
    ),
    Mutant(
        name="recorded-beyond-the-marker",
        rule="what arrives after a channel's marker does not belong to it",
        section="3.2, marker-receiving rule",
        old="if env.sender in recording.open:",
        new="if True:",
    ),
    Mutant(
        name="last-message-counts",
        rule="a channel's state is the whole sequence of messages",
        section="3.2, marker-receiving rule",
        old="contents = (*recording.channels.get(env.sender, ()), msg.amount)",
        new="contents = (msg.amount,)",
        bounds={"scripts": (asks("n1", ONE_TOKEN, ONE_TOKEN), asks("n2", AUDIT))},
    ),
    Mutant(
        name="first-channel-not-empty",
        rule="the channel of the first marker is empty, and is done with",
        section="3.2, marker-receiving rule",
        old="self.record(msg.snapshot, Set(self.incoming()) - {env.sender}, env)",
        new="self.record(msg.snapshot, Set(self.incoming()), env)",
    ),
    Mutant(
        name="first-marker-closes-all",
        rule="a marker ends the recording of its own channel only",
        section="3.2, marker-receiving rule",
        old="self.record(msg.snapshot, Set(self.incoming()) - {env.sender}, env)",
        new="self.record(msg.snapshot, Set(), env)",
    ),
    Mutant(
        name="second-marker-closes-all",
        rule="a marker ends the recording of its own channel only",
        section="3.2, marker-receiving rule",
        old="open=recording.open - {env.sender})",
        new="open=Set())",
    ),
    Mutant(
        name="initiator-records-no-channel",
        rule="who begins records all channels that lead to it",
        section="3.2, marker-sending rule",
        old="self.record(snapshot, Set(self.incoming()), env)",
        new="self.record(snapshot, Set(), env)",
    ),
    Mutant(
        name="markers-not-passed-on",
        rule="whoever has recorded sends a marker along each outgoing channel",
        section="3.2, marker-sending rule",
        old="env.multicast(self.outgoing(), Marker(snapshot))",
        new="env.multicast(self.outgoing() if snapshot[0] == self.id else (), Marker(snapshot))",
    ),
    Mutant(
        name="marker-along-one-channel",
        rule="whoever has recorded sends a marker along each outgoing channel",
        section="3.2, marker-sending rule",
        old="env.multicast(self.outgoing(), Marker(snapshot))",
        new="env.multicast(self.outgoing()[:1], Marker(snapshot))",
    ),
    Mutant(
        name="snapshots-share-a-recording",
        rule="markers of different snapshots are told apart",
        section="3.1, several snapshots",
        old="recording = self.recordings.get(msg.snapshot)",
        new="recording = next(iter(self.recordings.values()), None)",
    ),
    Mutant(
        name="one-snapshot-records",
        rule="every snapshot under way records the channels",
        section="3.1, several snapshots",
        old="for snapshot, recording in self.recordings.items():",
        new="for snapshot, recording in self.recordings.items()[:1]:",
    ),
    Mutant(
        name="snapshots-not-numbered",
        rule="markers of different snapshots are told apart",
        section="3.1, several snapshots",
        old="snapshot = (self.id, self.begun)",
        new="snapshot = (self.id, 1)",
        bounds={"scripts": (asks("n1", ONE_TOKEN), asks("n2", AUDIT, AUDIT))},
    ),
    Mutant(
        name="reports-of-a-majority",
        rule="the global state has a part from every process",
        section="3.3",
        old="if len(reports) < len(self.peers):",
        new="if 2 * len(reports) < len(self.peers):",
    ),
)

scenario = Scenario(
    name="chandy-lamport",
    node=ChandyLamport,
    nodes=4,
    configurations=(
        # So rich that hardly any transfer fails, wherever tokens gather.
        Configuration("all joined", {"endowment": 1000}),
        Configuration("ring", {"endowment": 1000, "ring": True}),
    ),
    clients=5,
    # A repeated transfer would be a second transfer, and every answer comes in the end.
    client_fields={"retry": 0, "timeout": ms(1_000_000)},
    workload=Workload(model="bank", draw=move_and_count, interval=ms(25), slots=100),
    # It has no timer and nothing on disk, so clocks and disks cannot matter.
    faults=frozenset(("delay", "pause", "slow", "bandwidth")),
    crashes=0,
    ordered_links=True,
    minima={
        "operations ok": 15_000,
        "reached caught_in_a_channel": 10,
        "reached snapshots_overlap": 30,
    },
    duration=ms(4000),
    heal=ms(2000),
    mutants=MUTANTS,
    exploration=Exploration(
        scripts=(
            asks("n1", ONE_TOKEN),
            asks("n2", AUDIT),
            asks("n3", AUDIT),
        ),
        eager=True,
        network="fifo",
        ends=all_answered,
    ),
)
