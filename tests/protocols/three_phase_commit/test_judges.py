"""What judges three-phase commit turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Set
from quorate.protocols.commit.atomic_commitment import State
from quorate.protocols.commit.three_phase_commit import (
    ThreePhaseCommit,
    a_backup_aborts,
    a_backup_commits,
    all_decide,
    nonblocking,
    some_can_commit,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
PREPARED, PRECOMMITTED = State.PREPARED, State.PRECOMMITTED
COMMITTED, ABORTED = State.COMMITTED, State.ABORTED


def node(
    id: NodeId, state: State, *, crashed: bool = False, leader: NodeId = N1
) -> ThreePhaseCommit:
    active = Set() if crashed or state in (COMMITTED, ABORTED) else Set(["t"])
    return ThreePhaseCommit(
        id=id, peers=IDS, log=Map({"t": state}), active=active, leaders=Map({"t": leader})
    )


def test_nonblocking() -> None:
    assert nonblocking.check([node(N1, COMMITTED), node(N2, PRECOMMITTED)])
    assert nonblocking.check([node(N1, PRECOMMITTED), node(N2, PREPARED)])
    assert nonblocking.check([node(N1, COMMITTED), node(N2, PREPARED, crashed=True)])
    assert not nonblocking.check([node(N1, COMMITTED), node(N2, PREPARED)])


def test_some_can_commit() -> None:
    assert some_can_commit.check([node(N1, PRECOMMITTED), node(N2, PREPARED)])
    assert not some_can_commit.check([node(N1, PRECOMMITTED), node(N2, PREPARED, crashed=True)])
    assert not some_can_commit.check([node(N1, PREPARED), node(N2, PREPARED)])


def test_backups() -> None:
    for state, claim, other in (
        (COMMITTED, a_backup_commits, a_backup_aborts),
        (ABORTED, a_backup_aborts, a_backup_commits),
    ):
        assert claim.check([node(N1, PREPARED), node(N3, state, leader=N2)])
        assert not claim.check([node(N1, PREPARED), node(N3, state)])
        assert not other.check([node(N1, PREPARED), node(N3, state, leader=N2)])


def test_all_decide() -> None:
    assert all_decide.check([node(N1, COMMITTED), node(N2, COMMITTED)])
    assert not all_decide.check([node(N1, PREPARED), node(N2, PREPARED, crashed=True)])
    assert not all_decide.check([node(N1, COMMITTED), node(N2, PRECOMMITTED, crashed=True)])
    in_vain = [node(id, PRECOMMITTED, crashed=True) for id in IDS]
    assert all_decide.check(in_vain)


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@backup-ignores-commits", ""),
        ("@two-phases", "nonblocking"),
        ("@no-is-ignored", "Agreement"),
        ("@silence-is-yes", "AllVotedYes"),
        ("@vote-again", "decisions_stand"),
        ("@no-inquiry", "all_decide"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken commitment from the real one."""
    scenario = load(Aim(f"three-phase-commit{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("three-phase-commit")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"three-phase-commit@{mutant.name}")).node is not ThreePhaseCommit
