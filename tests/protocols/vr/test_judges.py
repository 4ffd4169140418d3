"""What judges Viewstamped Replication turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Event, Log, NodeId, Start
from quorate.kernel.properties import Monitor
from quorate.protocols.consensus.vr import (
    AtMostOnce,
    CommittedByQuorum,
    CommittedSurvives,
    NothingForgotten,
    OneLogPerView,
    OnePrimaryPerView,
    Vr,
    a_replica_recovers,
    a_request_is_given_up,
    a_view_is_changed,
    an_old_primary_lives_on,
    never_backwards,
    one_view_and_one_log,
)
from quorate.protocols.consensus.vr_state import Commit, Entry
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict
from tests.protocols.vr.cluster import N1, N2, N3, entry

A, B, C = entry("a"), entry("b", 2), entry("c", 3)
FRESH = {id: Vr(id=id, peers=(N1, N2, N3)) for id in (N1, N2, N3)}


def node(id: NodeId, entries: tuple[Entry, ...] = (), **fields: object) -> Vr:
    """A replica with this log; its view is that of its log unless told otherwise."""
    made: Vr = FRESH[id].__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    made.log = Log(entries, start=1)
    fields.setdefault("last_normal", fields.get("view", 0))
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def watch(
    monitor: Monitor, after: Vr, before: Vr | None = None, event: Event | None = None
) -> bool:
    return monitor.watch(before or FRESH[after.id], event or Commit(0, 0), after)


def test_one_log_per_view() -> None:
    monitor = OneLogPerView()
    assert watch(monitor, node(N1, (A, B)))
    assert watch(monitor, node(N2, (A,)))
    assert watch(monitor, node(N3, (A, C), view=1))
    assert watch(monitor, node(N2, (A, B, C)), node(N2, (A,)))
    assert not watch(monitor, node(N3, (A, C)))
    assert not watch(monitor, node(N1, (A, B), view=1), node(N1, (A, B)))


def test_committed_survives() -> None:
    monitor = CommittedSurvives()
    assert watch(monitor, node(N1, (A, B), commit_number=1))
    assert watch(monitor, node(N2, (), view=0))
    assert watch(monitor, node(N2, (A, C), view=1))
    assert not watch(monitor, node(N3, (), view=1))
    assert not watch(monitor, node(N3, (B,), view=1))
    assert not watch(monitor, node(N2, (C,), commit_number=1))


def test_committed_by_quorum() -> None:
    monitor = CommittedByQuorum()
    assert watch(monitor, node(N1, (A, B)))
    assert not watch(monitor, node(N1, (A, B), commit_number=1))
    monitor = CommittedByQuorum()
    assert watch(monitor, node(N1, (A, B)))
    assert watch(monitor, node(N2, (A,)))
    assert watch(monitor, node(N1, (A, B), commit_number=1))
    assert not watch(monitor, node(N1, (A, B), commit_number=2))


def test_nothing_forgotten() -> None:
    monitor = NothingForgotten()
    assert watch(monitor, node(N1, (A, B)))
    assert watch(monitor, node(N1, (), status="recovering"))
    assert watch(monitor, node(N1, (A, B, C)))
    assert watch(monitor, node(N1, (A,), view=1))
    assert not watch(monitor, node(N1, (A, B, C)))
    assert not watch(monitor, node(N1, (), view=1))


def test_at_most_once() -> None:
    monitor = AtMostOnce()
    assert watch(monitor, node(N1, (A, B), commit_number=2))
    assert watch(monitor, node(N2, (A, B), commit_number=2))
    assert not watch(monitor, node(N1, (A, B, A), commit_number=3), node(N1, commit_number=2))


def test_one_primary_per_view() -> None:
    monitor = OnePrimaryPerView()
    backup, primary = node(N2), node(N2, view=1)
    assert watch(monitor, primary, backup)
    assert watch(monitor, node(N2, (A,), view=1), primary)
    assert watch(monitor, node(N3, view=2), backup)
    assert not watch(monitor, primary, node(N2, view=1, status="recovering"))


def test_never_backwards() -> None:
    ahead = node(N1, (A, B), view=2, commit_number=1)
    assert never_backwards.check(ahead, Commit(2, 2), node(N1, (A, B), view=2, commit_number=2))
    assert never_backwards.check(ahead, Start(True), node(N1))
    assert not never_backwards.check(ahead, Commit(2, 2), node(N1, (A, B), view=1, commit_number=1))
    assert not never_backwards.check(ahead, Commit(2, 2), node(N1, (A, B), view=2))
    assert not never_backwards.check(ahead, Commit(2, 2), node(N1, (A,), view=2, commit_number=2))


def test_what_is_to_be_reached() -> None:
    first = [node(N1, (A,), commit_number=1), node(N2, (A,)), node(N3)]
    assert not a_view_is_changed.check(first)
    assert a_view_is_changed.check([*first[:2], node(N3, view=1)])
    assert not a_view_is_changed.check([*first[:2], node(N3, view=1, status="view-change")])
    assert not a_replica_recovers.check([*first[:2], node(N3, incarnation=1)])
    assert a_replica_recovers.check([*first[:2], node(N3, (A,), incarnation=1, commit_number=1)])
    assert not an_old_primary_lives_on.check(first)
    assert an_old_primary_lives_on.check([first[0], node(N2, view=1), first[2]])
    assert not a_request_is_given_up.check([node(N1, (A,)), node(N2, (A, B), view=1), node(N3)])
    assert a_request_is_given_up.check([node(N1, (A,)), node(N2, (B,), view=1), node(N3)])
    assert a_request_is_given_up.check([node(N1, (A,)), node(N2, (), view=1), node(N3)])


def test_one_view_and_one_log() -> None:
    assert one_view_and_one_log.check([node(N1), node(N2), node(N3)])
    assert not one_view_and_one_log.check([node(N1), node(N2, view=1), node(N3)])
    recovering = [node(id, status="recovering") for id in (N1, N2, N3)]
    assert not one_view_and_one_log.check(recovering)
    assert not one_view_and_one_log.check([node(N1, commit_number=11), node(N2), node(N3)])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@commits-alone", "CommittedByQuorum"),
        ("@accepts-over-a-gap", "OneLogPerView"),
        ("@joins-a-view-without-its-log", "CommittedSurvives"),
        ("@executes-again", "AtMostOnce"),
        ("@goes-on-without-recovery", "NothingForgotten"),
        ("@no-view-change", "one_view_and_one_log"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken replicas from the real ones."""
    scenario = load(Aim(f"vr{mutant}"))
    failed = set()
    for seed in range(30):
        outcome = judge(scenario, Tape(seed))
        assert outcome.verdict in (Verdict.PASS, Verdict.FAIL)
        if outcome.violation:
            failed.add(outcome.violation.property)
        if claim in failed:
            return
    assert not failed
    assert not claim


def test_no_more_than_f_are_failed_at_a_time() -> None:
    """The campaign keeps to the model: who has not recovered counts as failed."""
    scenario = load(Aim("vr"))
    assert scenario.recovering is not None
    for seed in range(15):
        outcome = judge(scenario, Tape(seed))
        failed = dict.fromkeys(scenario.servers(), False)
        for record in outcome.world.records:
            if record.kind == "fault" and record.detail.startswith("crash"):
                failed[record.node] = True
            elif record.node in failed and isinstance(record.after, Vr):
                failed[record.node] = scenario.recovering(record.after)
            assert sum(failed.values()) <= 1


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("vr")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"vr@{mutant.name}")).node is not Vr
