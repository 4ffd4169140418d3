"""Every state of one writer and one reader among three servers; the shortest ways to mistakes."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.protocols.replication.abd_scenario import READ, asks, write
from quorate.verdict import Verdict

WRITER = asks("n1", write(1))


def test_a_writer_and_a_reader() -> None:
    """W | R,R: a read that has begun after another one has ended never returns something older."""
    result = explore(load(Aim("abd")), scripts=(WRITER, asks("n2", READ, READ)))
    assert result.failed is None
    assert (result.progress.states, result.progress.depth) == (32_439, 21)
    assert result.unreached == ["writes_meet"]


def test_two_writers() -> None:
    """W | W,R: of writes at the same time, everybody comes to see the same one last."""
    result = explore(load(Aim("abd")), scripts=(WRITER, asks("n2", write(2), READ)))
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (38_651, 21)


def test_with_two_servers_reads_need_no_write_back() -> None:
    """A majority of two is both: what one read has seen, the next one sees as well."""
    scripts = (WRITER, asks("n2", READ, READ))
    assert explore(load(Aim("abd@no-write-back")), scripts=scripts, nodes=2).failed is None


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("no-write-back", "linearizability", 21),
        ("write-without-query", "linearizability", 20),
        ("timestamps-shared", "versions_grow", 12),
        ("timestamp-without-writer", "OneValuePerTimestamp", 11),
        ("oldest-report-counts", "linearizability", 15),
        ("any-report-counts", "linearizability", 15),
        ("older-version-recorded", "versions_grow", 12),
        ("query-quorum-of-one", "linearizability", 17),
        ("record-quorum-of-one", "linearizability", 17),
        ("versions-volatile", "versions_grow", 9),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, length: int) -> None:
    """W | W,R,R shows all mistakes but those that need a message to be late."""
    scenario = load(Aim(f"abd@{mutant}"))
    (bounds,) = (dict[str, Any](m.bounds) for m in scenario.mutants if m.name == mutant)
    failed = explore(scenario, **bounds).failed
    assert failed is not None
    assert (failed.property, len(failed.path)) == (claim, length)
