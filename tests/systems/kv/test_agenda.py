"""The agenda is the sorted pairs, in chunks that follow from them alone."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.systems.kv import agenda as agenda_module
from quorate.systems.kv.agenda import (
    Agenda,
    Due,
    agenda_of,
    changed,
    count_due,
    first_due,
    is_any_due,
)

dues = st.tuples(st.integers(0, 20), st.sampled_from([b"%d" % i for i in range(30)]))
changes = st.lists(st.tuples(st.sets(dues, max_size=4), st.sets(dues, max_size=8)), max_size=20)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few pairs have many chunks."""
    monkeypatch.setattr(agenda_module, "MEAN_CHUNK", 3)


def history(script: list[tuple[set[Due], set[Due]]]) -> tuple[Agenda, set[Due]]:
    agenda: Agenda = ()
    pairs: set[Due] = set()
    for gone, come in script:
        gone, come = gone & pairs, come - pairs
        agenda = changed(agenda, gone, come)
        pairs = (pairs - gone) | come
    return agenda, pairs


@given(changes)
def test_it_is_the_sorted_pairs_however_it_came_about(
    script: list[tuple[set[Due], set[Due]]],
) -> None:
    agenda, pairs = history(script)
    assert [*chain.from_iterable(agenda)] == sorted(pairs)
    assert all(agenda)
    assert agenda == agenda_of([*pairs])


@given(changes, st.integers(-1, 21), st.integers(-1, 21), st.integers(0, 40))
def test_it_tells_what_is_due(
    script: list[tuple[set[Due], set[Due]]], after: int, until: int, most: int
) -> None:
    agenda, pairs = history(script)
    due = sorted(pair for pair in pairs if pair[0] <= until)
    assert count_due(agenda, until) == len(due)
    assert first_due(agenda, most, until) == due[:most]
    assert is_any_due(agenda, after, until) == any(after < time for time, _ in due)


def test_chunks_are_many_and_small() -> None:
    agenda = agenda_of([(i, b"%d" % i) for i in range(3000)])
    assert 500 < len(agenda) < 2000
    assert max(map(len, agenda)) < 50
