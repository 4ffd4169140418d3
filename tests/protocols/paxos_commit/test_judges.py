"""What judges Paxos Commit turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Set, Start
from quorate.kernel.properties import Monitor
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.paxos_commit import (
    FIRST,
    Ballot,
    Chosen,
    OneValuePerBallot,
    PaxosCommit,
    Vote,
    a_commit,
    a_second_leader_commits,
    a_vote_is_not_heard,
    all_decide,
    promises_kept,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
PREPARED, COMMITTED, ABORTED = State.PREPARED, State.COMMITTED, State.ABORTED
SECOND: Ballot = (1, N2)


def node(id: NodeId, state: State | None = None, **fields: object) -> PaxosCommit:
    log = Map({"t": state} if state else {})
    return PaxosCommit(id=id, peers=IDS, log=log, **fields)  # type: ignore[arg-type]


def watch(monitor: Monitor, id: NodeId, vote: Vote) -> bool:
    """An acceptor votes in the instance of n3."""
    after = node(id, accepted=Map({"t": Map({N3: vote})}))
    return monitor.watch(node(id), Start(), after)


def test_promises_kept() -> None:
    first, second = (node(N1, promised=Map({"t": ballot})) for ballot in (FIRST, SECOND))
    assert promises_kept.check(first, Start(), second)
    assert not promises_kept.check(second, Start(), first)
    assert not promises_kept.check(second, Start(), node(N1))


def test_one_value_per_ballot() -> None:
    monitor = OneValuePerBallot()
    assert watch(monitor, N1, (FIRST, PREPARED))
    assert watch(monitor, N1, (SECOND, ABORTED))
    assert watch(monitor, N2, (FIRST, PREPARED))
    assert not watch(monitor, N2, (FIRST, ABORTED))


def test_chosen() -> None:
    monitor = Chosen()
    assert watch(monitor, N1, (FIRST, PREPARED))
    assert watch(monitor, N1, (FIRST, PREPARED))
    assert watch(monitor, N2, (SECOND, ABORTED))
    assert watch(monitor, N2, (FIRST, PREPARED))
    assert not watch(monitor, N3, (SECOND, ABORTED))


def test_commits() -> None:
    assert a_commit.check([node(N1, COMMITTED), node(N2, COMMITTED)])
    assert not a_commit.check([node(N1, COMMITTED), node(N2, PREPARED)])
    promised = Map({"t": SECOND})
    assert a_second_leader_commits.check([node(N1), node(N2, COMMITTED, promised=promised)])
    assert not a_second_leader_commits.check([node(N1), node(N2, PREPARED, promised=promised)])
    assert not a_second_leader_commits.check([node(N1, COMMITTED)])


def test_a_vote_is_not_heard() -> None:
    acceptor = node(N1, accepted=Map({"t": Map({N3: (SECOND, ABORTED)})}))
    assert a_vote_is_not_heard.check([acceptor, node(N3, PREPARED)])
    assert not a_vote_is_not_heard.check([acceptor, node(N3, ABORTED)])


def test_all_decide() -> None:
    assert all_decide.check([node(N1, COMMITTED), node(N2)])
    assert not all_decide.check([node(N1, COMMITTED), node(N2, PREPARED)])
    asked = Map({"t": Set([(NodeId("c1"), 1)])})
    assert not all_decide.check([node(N1, COMMITTED), node(N2, askers=asked)])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@promise-again", ""),
        ("@abort-in-ballot-0-too", "OneValuePerBallot"),
        ("@ignore-earlier-votes", "Chosen"),
        ("@free-is-yes", "AllVotedYes"),
        ("@vote-despite-promise", "promises_kept"),
        ("@vote-volatile", "decisions_stand"),
        ("@no-second-leader", "all_decide"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken commitment from the real one."""
    scenario = load(Aim(f"paxos-commit{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("paxos-commit")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"paxos-commit@{mutant.name}")).node is not PaxosCommit
