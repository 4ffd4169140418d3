"""Encodings tell values apart by content and type, and are the same in every process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.kernel.canonical import (
    Collection,
    Plain,
    canonical_order,
    encode,
    fingerprint,
    immutable_type,
    same,
)
from quorate.kernel.values import Log, Map, NodeId, Set


class Prepare(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    ballot: Any
    value: Any = None


class Promise(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    ballot: Any
    value: Any = None


class Untagged(msgspec.Struct, frozen=True):
    ballot: Any
    value: Any = None


class Colour(Enum):
    RED = 1
    BLUE = "1"


class Level(IntEnum):
    LOW = 1


STRUCTS = (Prepare, Promise, Untagged)

scalars = st.sampled_from(
    [
        *(0, 1, -1, True, False, None, "", "0", "1", b"", b"1", 2**63, -(2**63)),
        *("Prepare", "Map", NodeId(""), NodeId("1"), Colour.RED, Colour.BLUE, Level.LOW),
    ]
)
canonical_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(Set)
        | st.builds(Log, st.lists(inner, max_size=3), start=st.integers(0, 1))
        | st.dictionaries(inner, inner, max_size=3).map(Map)
        | st.builds(lambda kind, x, y: kind(x, y), st.sampled_from(STRUCTS), inner, inner)
    ),
    max_leaves=5,
)


def typed(value: Any) -> tuple[Any, ...]:
    """The value and its types in builtins that compare as they should: the model."""
    kind = type(value).__name__
    if isinstance(value, Map):
        return kind, frozenset((typed(key), typed(item)) for key, item in value.items())
    if isinstance(value, Set):
        return kind, frozenset(map(typed, value))
    if isinstance(value, Log):
        return kind, value.start, *map(typed, value)
    if isinstance(value, tuple):
        return kind, *map(typed, value)
    if isinstance(value, STRUCTS):
        return kind, typed(value.ballot), typed(value.value)
    return kind, repr(value)


@settings(max_examples=500, deadline=None)
@given(canonical_values, canonical_values)
def test_encodings_are_equal_for_equal_values_of_equal_types_only(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (typed(one) == typed(other))
    assert (fingerprint(one) == fingerprint(other)) == (typed(one) == typed(other))
    assert same(one, other) == (typed(one) == typed(other))


def test_values_that_python_or_msgpack_take_for_equal_differ() -> None:
    look_alikes = [
        *(1, True, "1", b"1", NodeId("1"), Colour.RED, Level.LOW, Colour.BLUE),
        *((), None, "", Map(), Set(), Log(), Log(start=1)),
        *((1,), (True,), Set([1]), Log([1]), Map({1: None}), (1, None), ((1, None),)),
        *((1, -1), (1, -2)),
        *(Prepare(1), Promise(1), Untagged(1), ("Prepare", 1, None), (0, "Prepare", 1, None)),
        *((Log([1]),), (Set([1]),), (fingerprint(Log([1])),), (4, fingerprint(Log([1])))),
    ]
    assert len({encode(value) for value in look_alikes}) == len(look_alikes)


@given(canonical_values)
def test_a_fingerprint_is_a_cached_digest_of_128_bits(value: Any) -> None:
    first = fingerprint(value)
    assert len(first) == 16
    assert fingerprint(value) == first
    if isinstance(value, Collection):
        assert fingerprint(value) is first


def test_a_new_version_has_a_new_fingerprint() -> None:
    collections = Map({1: 2}), Set([1]), Log([1])
    before = [fingerprint(version) for version in collections]
    numbers, elements, log = collections
    changed = numbers.set(1, 3), elements | {2}, log.append(2)
    assert all(fingerprint(new) != old for new, old in zip(changed, before, strict=True))
    log = Log([1, 2])
    assert fingerprint(log.append(3).truncate(2)) == fingerprint(log)
    assert fingerprint(log.compact(1)) == fingerprint(Log([2], start=1))


COMPOSITE = """
from enum import Enum
from quorate.kernel.canonical import encode, fingerprint
from quorate.kernel.values import Log, Map, NodeId, Set
names = [NodeId(f"n{number}") for number in range(9)]
mixed = Set([*names, "x", 1, None, (1, "a"), (1, None), b"x", Set(names), Log("ab")])
value = (Map({name: Set([name, "x"]) for name in names}), mixed, Log(["a", Map({"b": 1})]))
change = Map(dict.fromkeys(names, 1)).changes_since(Map(dict.fromkeys("abcdef", 2)))
print(encode(value).hex(), fingerprint(value).hex(), repr(value), change)
"""


def test_encoding_and_order_do_not_depend_on_the_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", COMPOSITE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_the_encoding_is_pinned() -> None:
    """A change here changes every fingerprint that anybody has recorded."""
    value = (1, True, NodeId("n1"), Prepare((2, "x")), Colour.RED)
    assert msgspec.msgpack.decode(encode(value)) == [
        *(0, 1, True, [1, "n1"]),
        *(["Prepare", [0, 2, "x"], None], [2, "Colour", "RED"]),
    ]
    assert msgspec.msgpack.decode(encode(Map({"b": 2, "a": ()}))) == [*(3, "Map", "a", [0], "b", 2)]
    assert fingerprint(Log(["a", "b"], start=1)).hex() == "058f787f0bed495bcb19ecbce4348204"
    assert msgspec.msgpack.decode(encode((Log(),))) == [0, [4, fingerprint(Log())]]


class Name(str):
    pass


class Pair(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1.0, "float"),
        ({}, "dict"),
        ([], "list"),
        ({1}, "set"),
        (frozenset([1]), "frozenset"),
        (bytearray(b"x"), "bytearray"),
        (object(), "object"),
        (Name("x"), "Name"),
        (Pair(1, 2), "Pair"),
        (int, "type"),
    ],
)
def test_anything_else_is_refused_wherever_it_stands(value: Any, kind: str) -> None:
    for inside in (value, (1, (value,)), Prepare(value), Map({1: value}), Log([value])):
        with pytest.raises(TypeError, match=f"^{kind} is not a canonical value"):
            encode(inside)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_ints_beyond_64_bits_are_refused(number: int) -> None:
    for inside in (number, (number,), Map({1: number})):
        with pytest.raises(TypeError, match="beyond 64 bits"):
            encode(inside)


@given(st.lists(st.integers(-3, 3) | st.sampled_from(["a", NodeId("b"), None]), unique=True))
def test_canonical_order_is_one_order(elements: list[Any]) -> None:
    expected = canonical_order(elements)
    assert set(expected) == set(elements)
    assert canonical_order(reversed(elements)) == expected


def test_order_is_natural_where_there_is_one() -> None:
    assert canonical_order([300, 2, -1]) == (-1, 2, 300)
    assert canonical_order(["bb", "a", "c"]) == ("a", "bb", "c")


class Tree(msgspec.Struct, frozen=True):
    value: int
    children: tuple["Tree", ...] = ()


class Holder(msgspec.Struct, frozen=True):
    content: Map[str, "list[int]"]


class Outer(msgspec.Struct, frozen=True):
    holder: Holder | None


class Mutable(msgspec.Struct):
    value: int


T = TypeVar("T")
B = TypeVar("B", bound=int | str)
C = TypeVar("C", int, float)
Term = NewType("Term", int)
Ratio = NewType("Ratio", float)
Vote = tuple[tuple[int, NodeId], str]
Recursive = int | tuple["Recursive", ...]


class Box(msgspec.Struct, frozen=True):
    content: Recursive


class Chain(msgspec.Struct, Generic[B], frozen=True):
    value: B
    rest: "Chain[B] | None" = None


@pytest.mark.parametrize(
    "annotation",
    [
        *(int, str, bytes, bool, None, type(None), NodeId, Colour, Level, Vote),
        *(tuple[int, ...], tuple[int, str], tuple[()], Literal["a", 1, None]),
        *(Map[NodeId, Set[tuple[int, str]]], Log[Tree], Log[Vote | None]),
        *(int | None, Map[str, int] | None, Vote | None),
        *(
            Plain,
            Annotated[int, []],
            Annotated[Set[int], "durable"],
            Term,
            B,
            Tree,
            Box,
            Chain[int],
        ),
        *(Map[str, B], tuple[Annotated[Term, 1], ...]),
    ],
)
def test_immutable_types_are_admitted(annotation: Any) -> None:
    assert immutable_type(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "culprit"),
    [
        (dict[str, int], "dict"),
        (list, "list"),
        (frozenset[int], "frozenset"),
        (set[int], "set"),
        (float, "float"),
        (bytearray, "bytearray"),
        (Any, "Any"),
        (object, "object"),
        (T, "Any"),
        (C, "float"),
        (Ratio, "float"),
        (tuple, "tuple"),
        (Map, "Map"),
        (Sequence[int], "Sequence"),
        (Pair, "Pair"),
        (type[int], "type"),
        (int | float, "float"),
        (dict[str, int] | None, "dict"),
        (tuple[int, list[int]], "list"),
        (Map[str, float], "float"),
        (Log[Annotated[bytearray, 1]], "bytearray"),
        (Mutable, "Mutable"),
        (Outer, "list in Holder"),
        (Set[Outer | int], "list in Holder"),
        (Chain[float], "float in Chain"),
    ],
)
def test_what_can_change_is_named(annotation: Any, culprit: str) -> None:
    assert immutable_type(annotation) == culprit


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is of Python 3.12")
def test_a_type_statement_is_seen_through_even_if_it_contains_itself() -> None:
    names: dict[str, Any] = {}
    exec("type Good = int | tuple[Good, ...]; type Bad = int | list[Bad]", names)
    assert immutable_type(names["Good"]) is None
    assert immutable_type(Map[str, names["Bad"]]) == "list in Bad"
