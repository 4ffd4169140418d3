"""What a disk is told of a node's steps: replayed in order, it is the node's durable state."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quorate.kernel import Durable, Log, Map, Node, NodeId, Operation, Set
from quorate.kernel.canonical import same
from quorate.kernel.node import recover
from quorate.live.codec import Codec, Undecodable
from quorate.live.durable import Durable as DurableState


class Keeper(Node):
    """A node with a durable field of every kind."""

    term: Durable[int] = 0
    vote: Durable[NodeId | None] = None
    log: Durable[Log[Operation]] = Log(start=1)
    names: Durable[Set[str]] = Set()
    ages: Durable[Map[NodeId, int]] = Map()
    volatile: int = 0


FIRST = Keeper(id=NodeId("n1/others.first"), volatile=7)


class Parent(Node):
    """A node made of nodes: one that it always has, and others that come and go."""

    count: Durable[int] = 0
    child: Keeper = msgspec.field(default_factory=lambda: Keeper(id=NodeId("n1/child")))
    others: Map[str, Keeper] = Map({"first": FIRST})


class Grandparent(Node):
    """A node made of nodes that are made of nodes."""

    child: Parent = msgspec.field(default_factory=lambda: Parent(id=NodeId("n1/child")))
    others: Map[str, Parent] = Map()


CODEC = Codec((Keeper,))
STATE = DurableState(Keeper, CODEC)
FRESH = Keeper(id=NodeId("n1"))
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.binary(max_size=3)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
OPERATIONS = st.builds(Operation, st.text(max_size=3), st.none() | st.text(max_size=3), VALUES)
CHANGES = st.one_of(
    st.tuples(st.just("term"), st.integers(0, 9)),
    st.tuples(st.just("vote"), st.none() | st.just(NodeId("n2"))),
    st.tuples(st.just("append"), st.lists(OPERATIONS, max_size=3)),
    st.tuples(st.just("truncate"), st.integers(0, 6)),
    st.tuples(st.just("compact"), st.integers(0, 12)),
    st.tuples(st.just("restart"), st.integers(1, 12)),
    st.tuples(st.just("name"), st.text(max_size=2)),
    st.tuples(st.just("unname"), st.text(max_size=2)),
    st.tuples(st.just("age"), st.tuples(st.sampled_from("ab"), st.integers(0, 3))),
    st.tuples(st.just("ageless"), st.sampled_from("ab")),
    st.tuples(st.just("volatile"), st.integers(0, 3)),
)


def changed(node: Keeper, what: str, value: Any) -> Keeper:
    """The node after one change of its fields."""
    node = node.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    match what:
        case "append":
            node.log = node.log.extend(value)
        case "truncate":
            node.log = node.log.truncate(max(node.log.end - value, node.log.start))
        case "compact":
            node.log = node.log.compact(value)
        case "restart":
            node.log = Log(start=value)
        case "name":
            node.names |= {value}
        case "unname":
            node.names -= {value}
        case "age":
            node.ages = node.ages.set(NodeId(value[0]), value[1])
        case "ageless":
            if value in node.ages:
                node.ages = node.ages.remove(NodeId(value))
        case _:
            setattr(node, what, value)
    return node


CHILDREN = st.lists(st.sampled_from(["child", "first", "a", "b"]), min_size=1, max_size=2)
FAMILY_CHANGES = st.lists(st.tuples(CHILDREN, st.none() | CHANGES), max_size=3)


def moved(node: Node, path: list[str], change: tuple[str, Any] | None) -> Node:
    """The node after one change of a child, which is born if need be; without one, it goes."""
    if isinstance(node, Keeper):
        return changed(node, *change) if change else node
    assert isinstance(node, Parent | Grandparent)
    name, rest = path[0], path[1:] or ["child"]
    node = node.__copy__()  # type: ignore[union-attr]  # absent from its stubs
    if name == "child":
        node.child = moved(node.child, rest, change)  # type: ignore[assignment]
    elif change is None:
        node.others = node.others.remove(name) if name in node.others else node.others
    else:
        kind = Keeper if isinstance(node, Parent) else Parent
        child = node.others.get(name) or kind(id=NodeId(f"{node.id}/others.{name}"))
        node.others = node.others.set(name, moved(child, rest, change))  # type: ignore[arg-type]
    if isinstance(node, Parent):
        node.count += 1
    return node


@given(
    st.lists(FAMILY_CHANGES, max_size=8), st.integers(0, 8), st.sampled_from([Parent, Grandparent])
)
@example([[(["first"], None)]], 0, Parent)
@example([[(["first"], None)], [(["first"], ("term", 1))]], 9, Parent)
def test_the_records_of_all_steps_restore_children(
    steps: list[list[tuple[list[str], tuple[str, Any] | None]]],
    checkpoint_at: int,
    kind: type[Parent | Grandparent],
) -> None:
    state = DurableState(kind, Codec((kind,)))
    fresh: Node = kind(id=NodeId("n1"))
    node, records = fresh, list[bytes]()
    for number, changes in enumerate(steps):
        before = node
        for path, change in changes:
            node = moved(node, path, change)
        record = state.changes(before, node)  # type: ignore[arg-type]
        if record is not None:
            records.append(record)
        if number == checkpoint_at:
            records = [state.whole(node)]  # type: ignore[arg-type]
    restored = state.restore(fresh, records)  # type: ignore[arg-type]
    assert same(restored, recover(fresh, node))


@given(st.lists(st.lists(CHANGES, max_size=3), max_size=8), st.integers(0, 8))
def test_the_records_of_all_steps_restore_the_durable_fields(
    steps: list[list[tuple[str, Any]]], checkpoint_at: int
) -> None:
    node, records = FRESH, list[bytes]()
    for number, changes in enumerate(steps):
        before = node
        for what, value in changes:
            node = changed(node, what, value)
        record = STATE.changes(before, node)
        if record is not None:
            records.append(record)
        if number == checkpoint_at:
            records = [STATE.whole(node)]
    restored = STATE.restore(FRESH, records)
    for name in ("term", "vote", "log", "names", "ages"):
        assert same(getattr(restored, name), getattr(node, name)), name
    assert restored.volatile == 0


def test_a_step_that_changes_nothing_durable_has_no_record() -> None:
    assert STATE.changes(FRESH, changed(FRESH, "volatile", 3)) is None
    assert STATE.changes(FRESH, changed(FRESH, "name", "a")) is not None


@given(st.binary(max_size=30))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(Undecodable):
        STATE.restore(FRESH, [b"\x91\x93\xc1" + data])


@pytest.mark.parametrize(
    "record",
    [
        [(9, 0, 1)],  # no such field
        [(0, 9, 1)],  # no such way
        [(0, 1, (1, 1, []))],  # a number changed as a log
        [(0, 0, "one")],  # of another type
        [(2, 1, (1, 5, []))],  # keeps what was never there
    ],
)
def test_a_record_that_does_not_fit_is_refused(record: object) -> None:
    with pytest.raises(Undecodable):
        STATE.restore(FRESH, [CODEC.encode(record)])


def test_a_record_of_children_that_does_not_fit_is_refused() -> None:
    codec = Codec((Parent,))
    state = DurableState(Parent, codec)
    fresh = Parent(id=NodeId("n1"))
    for children in [
        (False, ["nobody"], [], []),
        (False, [], [("x", "Nobody", "n1/others.x", [])], []),
        (False, [], [("x", "Operation", "n1/others.x", [])], []),
        (False, [], [], [("nobody", [])]),
        (False, [], [], [("first", [(0, 0, "one")])]),
    ]:
        with pytest.raises(Undecodable):
            state.restore(fresh, [codec.encode([(2, 5, children)])])


def test_what_a_log_forgets_is_kept_until_it_is_let_go_of() -> None:
    state = DurableState(Keeper, CODEC)
    before = Keeper(id=NodeId("n1"), log=Log([Operation(f"{n}") for n in range(1, 6)], 1))
    after = Keeper(id=NodeId("n1"), log=before.log.compact(4))
    assert state.changes(before, after) is not None
    assert state.outdated == list(before.log[:4])
