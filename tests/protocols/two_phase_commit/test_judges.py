"""What judges two-phase commit turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Set, Start
from quorate.protocols.commit.atomic_commitment import (
    Agreement,
    AllVotedYes,
    State,
    decisions_stand,
)
from quorate.protocols.commit.two_phase_commit import (
    Record,
    TwoPhaseCommit,
    a_yes_is_in_vain,
    all_commit,
    all_forgotten,
    commits_are_prepared,
    coordinator_agrees,
    in_doubt_and_forgotten,
    none_in_doubt,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
PREPARED, COMMITTED, ABORTED = State.PREPARED, State.COMMITTED, State.ABORTED


def node(id: NodeId, state: State | None = None, **fields: object) -> TwoPhaseCommit:
    log = Map({"t": state} if state else {})
    return TwoPhaseCommit(id=id, peers=IDS, log=log, **fields)  # type: ignore[arg-type]


def recorded(outcome: State | None) -> TwoPhaseCommit:
    return node(N1, records=Map({"t": Record(outcome, Set([N2, N3]))}))


def watch(monitor: Agreement | AllVotedYes, id: NodeId, *states: State | None) -> bool:
    before, after = (node(id, state) for state in states)
    return monitor.watch(before, Start(), after)


def test_agreement() -> None:
    monitor = Agreement()
    assert watch(monitor, N2, None, PREPARED)
    assert watch(monitor, N2, PREPARED, COMMITTED)
    assert watch(monitor, N3, None, PREPARED)
    assert not watch(monitor, N3, PREPARED, ABORTED)


def test_decisions_stand() -> None:
    for before in (COMMITTED, ABORTED):
        for after in (None, PREPARED, COMMITTED, ABORTED):
            stands = decisions_stand.check(node(N2, before), Start(), node(N2, after))
            assert stands == (before is after)
    assert decisions_stand.check(node(N2, PREPARED), Start(), node(N2, ABORTED))


def test_all_voted_yes() -> None:
    monitor = AllVotedYes()
    assert watch(monitor, N2, None, PREPARED)
    assert not watch(monitor, N2, PREPARED, COMMITTED)
    assert watch(monitor, N3, None, PREPARED)
    assert watch(monitor, N2, PREPARED, COMMITTED)
    assert not watch(AllVotedYes(), N3, None, COMMITTED)


def test_who_only_reads_has_no_vote_to_wait_for() -> None:
    monitor, reads = AllVotedYes(), Set([N3])
    before, after = node(N2, PREPARED, read_only=reads), node(N2, COMMITTED, read_only=reads)
    assert monitor.watch(node(N2, read_only=reads), Start(), before)
    assert monitor.watch(before, Start(), after)


def test_commits_are_prepared() -> None:
    assert commits_are_prepared.check(node(N2, PREPARED), Start(), node(N2, COMMITTED))
    assert commits_are_prepared.check(node(N2), Start(), node(N2, ABORTED))
    assert not commits_are_prepared.check(node(N2), Start(), node(N2, COMMITTED))


def test_coordinator_agrees() -> None:
    assert coordinator_agrees.check([recorded(COMMITTED), node(N2, COMMITTED), node(N3, PREPARED)])
    assert coordinator_agrees.check([recorded(None), node(N2, ABORTED), node(N3)])
    assert not coordinator_agrees.check([recorded(ABORTED), node(N2, COMMITTED), node(N3)])
    assert not coordinator_agrees.check([recorded(COMMITTED), node(N2), node(N3, ABORTED)])


def test_all_commit_and_a_yes_is_in_vain() -> None:
    assert all_commit.check([node(N1), node(N2, COMMITTED), node(N3, COMMITTED)])
    assert not all_commit.check([node(N1), node(N2, COMMITTED), node(N3, PREPARED)])
    assert a_yes_is_in_vain.check([node(N1), node(N2, ABORTED), node(N3, PREPARED)])
    assert not a_yes_is_in_vain.check([node(N1), node(N2, COMMITTED), node(N3, PREPARED)])


def test_in_doubt_and_forgotten() -> None:
    assert in_doubt_and_forgotten.check([node(N1), node(N2, PREPARED), node(N3)])
    assert not in_doubt_and_forgotten.check([recorded(COMMITTED), node(N2, PREPARED), node(N3)])
    counting = node(N1, votes=Map({"t": Map()}))
    assert not in_doubt_and_forgotten.check([counting, node(N2, PREPARED), node(N3)])


def test_none_in_doubt_and_all_forgotten() -> None:
    assert none_in_doubt.check([node(N1), node(N2, COMMITTED), node(N3)])
    assert not none_in_doubt.check([node(N1), node(N2, COMMITTED), node(N3, PREPARED)])
    assert all_forgotten.check([node(N1), node(N2, COMMITTED)])
    assert not all_forgotten.check([recorded(COMMITTED), node(N2, COMMITTED)])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@majority-commits", "AllVotedYes"),
        ("@forget-at-first-ack", "Agreement"),
        ("@collecting-commits", "commits_are_prepared"),
        ("@vote-again", "decisions_stand"),
        ("@doubt-aborts", "coordinator_agrees"),
        ("@locks-freed-when-prepared", "linearizability"),
        ("@no-inquiry", "none_in_doubt"),
        ("@no-second-telling", "all_forgotten"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken commitment from the real one."""
    scenario = load(Aim(f"two-phase-commit{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if mutant else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("two-phase-commit")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"two-phase-commit@{mutant.name}")).node is not TwoPhaseCommit
