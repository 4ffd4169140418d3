"""How Lamport's mutual exclusion is tried: clients take turns through every process."""

from collections.abc import Sequence

from quorate.kernel import NodeId, ms
from quorate.protocols.mutex.lamport_mutex import LamportMutex
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import ACQUIRE, RELEASE, Workload, turns


def all_served(nodes: Sequence[LamportMutex]) -> bool:
    """Nobody waits any more."""
    return not any(node.clients for node in nodes)


def takes_turns(server: str, times: int = 1) -> Script:
    """A client of one server that acquires the resource and releases it."""
    return Script((ACQUIRE, RELEASE) * times, {"server": NodeId(server)})


MUTANTS = (
    Mutant(
        name="enter-unheard",
        rule="whoever enters has heard from all others since its request",
        section="rule 5 (ii)",
        old="if is_first and all(self.heard.get(other, 0) > time for other in self.others()):",
        new="if is_first:",
    ),
    Mutant(
        name="enter-when-one-is-heard",
        rule="whoever enters has heard from all others since its request",
        section="rule 5 (ii)",
        old="if is_first and all(",
        new="if is_first and any(",
    ),
    Mutant(
        name="enter-when-heard-at-all",
        rule="what was heard before the request does not count",
        section="rule 5 (ii)",
        old="all(self.heard.get(other, 0) > time for other in self.others()):",
        new="all(self.heard.get(other, 0) > 0 for other in self.others()):",
    ),
    Mutant(
        name="enter-out-of-turn",
        rule="whoever enters knows of no earlier request",
        section="rule 5 (i)",
        old="is_first = min(self.queue) == self.mine",
        new="is_first = True",
    ),
    Mutant(
        name="ties-unbroken",
        rule="requests of one time are ordered by their processes",
        section="the total order =>",
        old="is_first = min(self.queue) == self.mine",
        new="is_first = min(self.queue)[0] == self.mine[0]",
    ),
    Mutant(
        name="request-not-queued",
        rule="a request is remembered before it is acknowledged",
        section="rule 2",
        old="self.queue |= {(msg.time, env.sender)}",
        new="pass",
    ),
    Mutant(
        name="no-acknowledgement",
        rule="a request is acknowledged",
        section="rule 2",
        old="if not self.spare_acknowledgements or self.told.get(env.sender, 0) <= msg.time:",
        new="if False:",
    ),
    Mutant(
        name="spare-too-much",
        rule="only who has sent a message later than the request need not acknowledge it",
        section="footnote to rule 2",
        old="self.told.get(env.sender, 0) <= msg.time:",
        new="self.told.get(env.sender, 0) < msg.time:",
    ),
    Mutant(
        name="release-forgets-all",
        rule="a release takes its sender's requests out of the queue, and no others",
        section="rule 4",
        old="self.queue -= {stamp for stamp in self.queue if stamp[1] == env.sender}",
        new="self.queue -= {stamp for stamp in self.queue if stamp != self.mine}",
        bounds={"scripts": (takes_turns("n1"), takes_turns("n2"), takes_turns("n3"))},
    ),
    Mutant(
        name="release-forgets-none",
        rule="a release takes its sender's requests out of the queue",
        section="rule 4",
        old="self.queue -= {stamp for stamp in self.queue if stamp[1] == env.sender}",
        new="pass",
    ),
    Mutant(
        name="clock-not-advanced-by-messages",
        rule="a clock advances beyond the time of every message received",
        section="IR2b",
        old="self.clock = max(self.clock, msg.time) + 1",
        new="self.clock = self.clock + 1",
    ),
    Mutant(
        name="clock-does-not-tick",
        rule="a clock advances between any two events",
        section="IR1",
        old="self.clock += 1",
        new="pass",
    ),
    Mutant(
        name="enter-when-heard-at-that-time",
        rule="what is heard was sent later than the request",
        section="rule 5 (ii)",
        old="all(self.heard.get(other, 0) > time for other in self.others()):",
        new="all(self.heard.get(other, 0) >= time for other in self.others()):",
        # Whoever has sent at that very time can only make later requests from then on.
        equivalent=True,
    ),
)

scenario = Scenario(
    name="lamport-mutex",
    node=LamportMutex,
    configurations=(
        Configuration("acknowledge all"),
        Configuration("spare acknowledgements", {"spare_acknowledgements": True}),
    ),
    clients=5,
    # What is asked for is granted however long it takes, and a second request would be another.
    client_fields={"retry": 0, "timeout": ms(1_000_000)},
    workload=Workload(model="mutex", draw=turns, interval=ms(40), slots=60),
    # It has no timer and nothing on disk, so clocks and disks cannot matter.
    faults=frozenset(("delay", "pause", "slow", "bandwidth")),
    crashes=0,
    ordered_links=True,
    minima={
        "operations ok": 8000,
        "reached contention": 30,
        "reached tie": 30,
        "reached yielding": 30,
    },
    duration=ms(4000),
    heal=ms(2000),
    mutants=MUTANTS,
    exploration=Exploration(
        scripts=(
            takes_turns("n1", times=2),
            takes_turns("n2"),
        ),
        eager=True,
        network="fifo",
        ends=all_served,
    ),
)
