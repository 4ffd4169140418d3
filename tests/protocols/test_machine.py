"""Parts of a machine: a sequence that is made piece by piece, and is whole in the end."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.kernel import Map, NodeId, Operation
from quorate.kernel.node import check_classes
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_sessions import Entry, StateMachine
from quorate.protocols.machines.key_value import KeyValue, Pair
from quorate.protocols.machines.machine import Items, Machine, Parts

texts = st.dictionaries(st.text(max_size=2), st.integers(0, 3), max_size=6)


@given(st.lists(texts, max_size=4), st.integers(1, 5))
def test_chunks_are_slices_of_the_whole(sections: list[dict[str, int]], size: int) -> None:
    whole = [Pair(k, v) for section in sections for k, v in sorted(section.items())]
    parts = Parts(*(Items(Map(section), Pair) for section in sections))
    assert len(parts) == len(whole)
    assert list(parts) == whole
    chunks = [parts[start : start + size] for start in range(0, len(parts), size)]
    assert [part for chunk in chunks for part in chunk] == whole


def test_a_part_is_made_when_it_is_looked_at() -> None:
    made: list[str] = []

    def make(key: str, value: int) -> Pair:
        made.append(key)
        return Pair(key, value)

    parts = Parts((Pair("first", 0),), Items(Map({"c": 3, "a": 1, "b": 2}), make))
    assert parts[1:3] == (Pair("a", 1), Pair("b", 2))
    assert made == ["a", "b"]
    assert parts[-1] == Pair("c", 3)
    with pytest.raises(IndexError):
        parts[4]


class Total(Machine, frozen=True, gc=False):
    """Another machine than the usual one: the sum of what was added."""

    total: int = 0

    def accepts(self, operation: Operation) -> bool:
        return operation.f == "add"

    def is_read(self, operation: Operation) -> bool:
        return False

    def apply(self, operation: Operation) -> tuple["Total", int]:
        total = self.total + operation.value
        return Total(total), total

    def parts(self) -> tuple[int, ...]:
        return (self.total,)

    @classmethod
    def of(cls, parts: Iterable[int]) -> "Total":
        return cls(sum(parts))


def test_raft_replicates_any_machine() -> None:
    """Its snapshots are put together as a machine of the same class."""
    state = StateMachine(machine=Total())
    for index, number in enumerate([3, 4], 1):
        entry = Entry(1, NodeId("alice"), index, Operation("add", None, number))
        state, answer = state.apply(index, entry, 10)
        assert answer is not None
    assert answer.value == 7
    assert state.of(state.parts()) == state
    assert isinstance(state.of(state.parts()).machine, Total)
    check_classes([type(Raft(id=NodeId("n1"), state=state))])


def test_the_key_value_machine_is_one() -> None:
    assert isinstance(StateMachine().machine, KeyValue)
