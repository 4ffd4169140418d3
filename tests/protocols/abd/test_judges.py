"""What judges ABD turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Operation, Set, Start
from quorate.protocols.replication.abd import (
    Abd,
    OneValuePerTimestamp,
    Recording,
    acknowledged,
    operations_end,
    unfinished_write_is_read,
    versions_grow,
    writes_meet,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
C1, C2 = NodeId("c1"), NodeId("c2")
OLD, NEW = ((1, N1), 7), ((2, N1), 8)


def node(id: NodeId, *versions: tuple[str, object]) -> Abd:
    return Abd(id=id, peers=IDS, versions=Map(versions))  # type: ignore[arg-type]


def recording(f: str, client: NodeId, *acknowledgers: NodeId) -> Map[NodeId, Recording]:
    phase = Recording((client, 1), Operation(f, "x", 8), NEW, Set(acknowledgers))
    return Map({client: phase})


def test_acknowledged() -> None:
    first = node(N1, ("x", NEW))
    first.phases = recording("write", C1, N1, N2)
    assert acknowledged.check([first, node(N2, ("x", NEW)), node(N3)])
    assert acknowledged.check([first, node(N2, ("x", ((3, N3), 9))), node(N3)])
    assert not acknowledged.check([first, node(N2, ("x", OLD)), node(N3)])
    assert not acknowledged.check([first, node(N2), node(N3)])


def test_versions_grow() -> None:
    assert versions_grow.check(node(N1, ("x", OLD)), Start(), node(N1, ("x", NEW)))
    assert not versions_grow.check(node(N1, ("x", NEW)), Start(), node(N1, ("x", OLD)))
    assert not versions_grow.check(node(N1, ("x", NEW)), Start(), node(N1))


def test_one_value_per_timestamp() -> None:
    monitor = OneValuePerTimestamp()
    assert monitor.watch(node(N1), Start(), node(N1, ("x", NEW), ("y", ((2, N1), 9))))
    assert monitor.watch(node(N2), Start(), node(N2, ("x", NEW)))
    assert not monitor.watch(node(N3), Start(), node(N3, ("x", ((2, N1), 9))))


def test_unfinished_write_is_read() -> None:
    reader = node(N1, ("x", NEW))
    reader.phases = recording("read", C1)
    assert unfinished_write_is_read.check([reader, node(N2, ("x", NEW)), node(N3)])
    others = [node(N2, ("x", NEW)), node(N3, ("x", NEW))]
    assert not unfinished_write_is_read.check([reader, *others])
    reader.phases = recording("write", C1)
    assert not unfinished_write_is_read.check([reader, node(N2), node(N3)])


def test_writes_meet_and_operations_end() -> None:
    first, second = node(N1), node(N2)
    first.phases = recording("write", C1)
    assert not writes_meet.check([first, second])
    assert not operations_end.check([second, first])
    assert operations_end.check([second])
    second.phases = recording("write", C2)
    assert writes_meet.check([first, second])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@oldest-report-counts", "linearizability"),
        ("@older-version-recorded", "versions_grow"),
        ("@timestamp-without-writer", "OneValuePerTimestamp"),
        ("@late-acknowledgements-count", "acknowledged"),
        ("@no-retransmission", "operations_end"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken registers from the real one."""
    scenario = load(Aim(f"abd{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if mutant else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("abd")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"abd@{mutant.name}")).node is not Abd
