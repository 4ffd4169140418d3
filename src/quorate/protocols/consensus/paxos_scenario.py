"""How single-decree Paxos is tried: duelling proposers, crashes, and a consensus register."""

from collections.abc import Mapping

from quorate.kernel import NodeId, Operation, ms
from quorate.protocols.consensus.paxos import Paxos
from quorate.scenario.adversaries import PartialBroadcast, Reboots
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.workload import Workload


def propose(bits: int, client: int, slot: int) -> Operation:
    """Every proposal is of a value of its own."""
    return Operation("propose", None, 1 + client + 10 * slot)


MUTANTS = (
    Mutant(
        name="vote-despite-promise",
        rule="an acceptor that has promised a ballot votes in no lower one",
        section="2.2, P1a",
        old="if ballot >= self.promised:",
        new="if True:",
    ),
    Mutant(
        name="vote-is-no-promise",
        rule="who has voted in a ballot votes in no lower one",
        section="2.2, P1a",
        old="self.promised, self.last_vote = ballot, msg.vote",
        new="self.last_vote = msg.vote",
    ),
    Mutant(
        name="ignore-earlier-votes",
        rule="a proposer takes over the value of the highest-numbered vote reported",
        section="2.2, P2c",
        old="votes = [vote for vote in self.promises.values() if vote]",
        new="votes: list[Vote] = []",
    ),
    Mutant(
        name="adopt-any-vote",
        rule="of the votes reported, the highest-numbered counts",
        section="2.2, P2c",
        old="_, value = max(votes, default=(self.ballot, self.proposal))",
        new="_, value = next(iter(votes), (self.ballot, self.proposal))",
        bounds={"timers": 1},
    ),
    Mutant(
        name="adopt-lowest-vote",
        rule="of the votes reported, the highest-numbered counts",
        section="2.2, P2c",
        old="_, value = max(votes, default=(self.ballot, self.proposal))",
        new="_, value = min(votes, default=(self.ballot, self.proposal))",
        bounds={"timers": 1},
    ),
    Mutant(
        name="propose-twice-in-a-ballot",
        rule="a proposer issues one proposal in a ballot",
        section="2.2",
        old="if len(self.promises) == majority(self.peers):",
        new="if len(self.promises) >= majority(self.peers):",
    ),
    Mutant(
        name="propose-after-restart",
        rule="a proposer that has forgotten its proposal begins a new ballot",
        section="2.5",
        old="if msg.ballot != self.ballot or self.proposal is None:",
        new="if msg.ballot != self.ballot:",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="count-stale-promises",
        rule="a proposal rests on promises to its own ballot",
        section="2.2, phase 2a",
        old="if msg.ballot != self.ballot or self.proposal is None:",
        new="if self.proposal is None:",
        bounds={"timers": 1},
    ),
    Mutant(
        name="promise-quorum-of-one",
        rule="a proposal rests on the promises of a majority",
        section="2.2, phase 2a",
        old="if len(self.promises) == majority(self.peers):",
        new="if len(self.promises) == 1:",
    ),
    Mutant(
        name="vote-quorum-of-one",
        rule="a value is chosen by the votes of a majority",
        section="2.1",
        old="for _, vote in self.votes) >= majority(self.peers):",
        new="for _, vote in self.votes) >= 1:",
    ),
    Mutant(
        name="votes-counted-across-ballots",
        rule="a value is chosen by a majority's votes in one ballot",
        section="2.2",
        old="if sum(vote == msg.vote for _, vote in self.votes)",
        new="if sum(vote[1] == msg.vote[1] for _, vote in self.votes)",
        bounds={"timers": 1},
    ),
    Mutant(
        name="votes-counted-by-message",
        rule="a value is chosen by the votes of distinct acceptors",
        section="2.1",
        old="self.votes |= {(env.sender, msg.vote)}",
        new="self.votes = (*self.votes, (env.sender, msg.vote))",
    ),
    Mutant(
        name="vote-told-as-decision",
        rule="a vote is no decision",
        section="2.3",
        old=(
            "        if self.decided is not None:\n            env.reply(Decided(self.decided))\n"
        ),
        new=(
            "        if self.last_vote is not None:\n"
            "            env.reply(Decided(self.last_vote[1]))\n"
        ),
    ),
    Mutant(
        name="promise-volatile",
        rule="an acceptor remembers its promise through a crash",
        section="2.5",
        old="promised: Durable[Ballot] = NO_BALLOT",
        new="promised: Ballot = NO_BALLOT",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="vote-volatile",
        rule="an acceptor remembers its last vote through a crash",
        section="2.5",
        old="last_vote: Durable[Vote | None] = None",
        new="last_vote: Vote | None = None",
        bounds={"crashes": 1},
    ),
    Mutant(
        name="ballot-volatile",
        rule="a proposer never uses a ballot twice, not even after a crash",
        section="2.5",
        old="ballot: Durable[Ballot] = NO_BALLOT",
        new="ballot: Ballot = NO_BALLOT",
        needs="explore",
        bounds={"network": "set", "crashes": 1, "ballots": 1},
    ),
    Mutant(
        name="vote-only-above-promise",
        rule="an acceptor votes in the very ballot that it has promised",
        section="2.2, P1a",
        old="if ballot >= self.promised:",
        new="if ballot > self.promised:",
    ),
    Mutant(
        name="no-second-try",
        rule="a proposer that got nowhere begins a higher ballot",
        section="2.4",
        old="if self.decided is None and self.proposal is not None:",
        new="if False:",
    ),
    Mutant(
        name="promise-again",
        rule="an acceptor answers a prepare request above all earlier ones",
        section="2.2, phase 1b",
        old="if msg.ballot > self.promised:",
        new="if msg.ballot >= self.promised:",
        equivalent=True,
    ),
)


def within(node: Paxos, bounds: Mapping[str, int]) -> bool:
    """Whether a node has claimed no ballot beyond the round that is explored."""
    return node.ballot[0] <= bounds["ballots"]


def proposes(value: int, *servers: str) -> Script:
    """A client that proposes a value through one of these servers."""
    return Script((Operation("propose", None, value),), {"peers": tuple(map(NodeId, servers))})


scenario = Scenario(
    name="paxos",
    node=Paxos,
    configurations=(
        Configuration("patient"),
        Configuration("hasty", {"retry": (ms(10), ms(50))}),
    ),
    clients=5,
    workload=Workload(model="consensus", draw=propose, interval=ms(100), slots=4),
    adversaries=(PartialBroadcast, Reboots),
    minima={
        "operations ok": 800,
        "operations concurrent on a key": 100,
        "reached duel": 20,
        "reached rediscovery": 10,
        "crashes that lost steps": 20,
    },
    duration=ms(2500),
    heal=ms(1500),
    mutants=MUTANTS,
    # Two proposers, or one that is asked twice. Each tries once: in round 1 or, if it has promised
    # that, in 2.
    exploration=Exploration(
        scripts=(proposes(1, "n1"), proposes(2, "n1", "n2")),
        network="rpc",
        bounds={"ballots": 2},
        within=within,
    ),
)
