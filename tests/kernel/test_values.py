"""Map, Set and Log behave as dict, set and list do, in every version at once."""

import gc
import weakref
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from quorate.kernel import values
from quorate.kernel.canonical import encode, fingerprint
from quorate.kernel.values import Log, Map, NodeId, Set

MACHINE = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Point(msgspec.Struct, frozen=True):
    x: int
    y: str | None


# Keys of every kind; the kinds do not overlap, as 1 and True would.
keys = (
    st.integers(0, 5)
    | st.sampled_from(["a", "b", "c"])
    | st.sampled_from([NodeId("n1"), NodeId("n2")])
    | st.tuples(st.integers(0, 2), st.sampled_from([None, NodeId("n1"), 7]))
    | st.builds(Point, st.integers(0, 1), st.sampled_from(["a", None]))
)
contents = st.sampled_from([0, 1, True, False, None, "", "1", b"1", (1,), (True,), Map({1: 2})])
picks = st.integers(0, 1000)


class Item:
    """Something whose death can be seen."""


class Versions(RuleBasedStateMachine):
    """Grows a tree of versions, each beside its model, by operations on any of them."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[tuple[Any, Any]] = []

    def derive(self, pick: int, operate: Callable[[Any], Any], model: Callable[[Any], Any]) -> None:
        version, its_model = self.pick(pick)
        if pick % 2:  # What a version caches must not be taken for its successor's.
            fingerprint(version)
            list(version)
        self.versions.append((operate(version), model(its_model)))

    def pick(self, number: int) -> tuple[Any, Any]:
        return self.versions[number % len(self.versions)]

    def agree(self, version: Any, model: Any) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        for version, model in self.versions:
            self.agree(version, model)
            assert fingerprint(version) == blake2b(encode(version), digest_size=16).digest()


class MapVersions(Versions):
    @initialize(content=st.dictionaries(keys, contents, max_size=4))
    def create(self, content: dict[Any, Any]) -> None:
        self.versions += [(Map(), {}), (Map(content), content)]

    @rule(pick=picks, key=keys, value=contents)
    def set(self, pick: int, key: Any, value: Any) -> None:
        self.derive(pick, lambda m: m.set(key, value), lambda d: d | {key: value})

    @rule(pick=picks, new=st.dictionaries(keys, contents, max_size=3), as_map=st.booleans())
    def update(self, pick: int, new: dict[Any, Any], as_map: bool) -> None:
        self.derive(pick, lambda m: m | (Map(new) if as_map else new), lambda d: d | new)

    @rule(pick=picks, number=picks)
    def remove(self, pick: int, number: int) -> None:
        _, model = self.pick(pick)
        if model:
            gone = list(model)[number % len(model)]
            without = {key: value for key, value in model.items() if key != gone}
            self.derive(pick, lambda m: m.remove(gone), lambda _: without)

    @rule(new=picks, old=picks)
    def change(self, new: int, old: int) -> None:
        (newer, new_model), (older, old_model) = self.pick(new), self.pick(old)
        items, removed = newer.changes_since(older)
        applied = old_model | dict(items)
        for key in removed:
            del applied[key]
        assert encode(Map(applied)) == encode(newer)
        # The change depends on the content alone, not on how the versions came about.
        assert (items, removed) == Map(new_model).changes_since(Map(old_model))

    @rule(pick=picks, key=keys)
    def look(self, pick: int, key: Any) -> None:
        version, model = self.pick(pick)
        assert (key in version) == (key in model)
        assert version.get(key, "absent") == model.get(key, "absent")
        assert list(version) == [key for key, _ in version.items()]

    def agree(self, version: Map[Any, Any], model: dict[Any, Any]) -> None:
        assert dict(version.items()) == model
        assert len(version) == len(model)
        assert version == Map(model)
        assert hash(version) == hash(Map(model))
        backwards = Map(dict(reversed(model.items())))
        assert list(version) == list(backwards) == list(version.keys())
        assert version.values() == tuple(model[key] for key in version)
        assert repr(version) == repr(backwards)
        assert encode(version) == encode(backwards)


class SetVersions(Versions):
    @initialize(content=st.frozensets(keys, max_size=4))
    def create(self, content: frozenset[Any]) -> None:
        self.versions += [(Set(), frozenset()), (Set(content), content)]

    @rule(pick=picks, key=keys)
    def add(self, pick: int, key: Any) -> None:
        self.derive(pick, lambda s: s.add(key), lambda f: f | {key})

    @rule(
        pick=picks,
        other=st.frozensets(keys, max_size=3),
        operator=st.sampled_from(["__or__", "__and__", "__sub__"]),
        as_set=st.booleans(),
    )
    def combine(self, pick: int, other: frozenset[Any], operator: str, as_set: bool) -> None:
        operand = Set(other) if as_set else other
        self.derive(
            pick,
            lambda s: getattr(s, operator)(operand),
            lambda f: getattr(f, operator)(other),
        )

    @rule(pick=picks, number=picks)
    def remove(self, pick: int, number: int) -> None:
        _, model = self.pick(pick)
        if model:
            gone = sorted(model, key=repr)[number % len(model)]
            self.derive(pick, lambda s: s.remove(gone), lambda f: f - {gone})

    @rule(new=picks, old=picks)
    def change(self, new: int, old: int) -> None:
        (newer, new_model), (older, old_model) = self.pick(new), self.pick(old)
        added, removed = newer.changes_since(older)
        assert frozenset(added) == new_model - old_model
        assert frozenset(removed) == old_model - new_model
        assert (added, removed) == Set(new_model).changes_since(Set(old_model))

    def agree(self, version: Set[Any], model: frozenset[Any]) -> None:
        assert frozenset(version) == model
        assert len(version) == len(model)
        assert all(element in version for element in model)
        assert version == Set(model)
        assert hash(version) == hash(Set(model))
        backwards = Set(reversed(list(version)))
        assert list(version) == list(backwards)
        assert encode(version) == encode(backwards)


class LogVersions(Versions):
    """The model is (start, items)."""

    @initialize(items=st.lists(contents, max_size=4), start=st.integers(0, 3))
    def create(self, items: list[Any], start: int) -> None:
        self.versions += [(Log(), (0, [])), (Log(items, start=start), (start, items))]

    @rule(pick=picks, item=contents)
    def append(self, pick: int, item: Any) -> None:
        self.derive(pick, lambda log: log.append(item), lambda m: (m[0], [*m[1], item]))

    @rule(pick=picks, count=st.integers(0, 40), item=contents)
    def extend(self, pick: int, count: int, item: Any) -> None:
        more = [item] * count
        self.derive(pick, lambda log: log.extend(more), lambda m: (m[0], m[1] + more))

    @rule(pick=picks, kept=st.integers(0, 60))
    def truncate(self, pick: int, kept: int) -> None:
        self.derive(pick, lambda log: log.truncate(log.start + kept), lambda m: (m[0], m[1][:kept]))

    @rule(pick=picks, dropped=st.integers(-2, 60))
    def compact(self, pick: int, dropped: int) -> None:
        gone = max(0, dropped)
        self.derive(
            pick, lambda log: log.compact(log.start + dropped), lambda m: (m[0] + gone, m[1][gone:])
        )

    @rule(new=picks, old=picks)
    def change(self, new: int, old: int) -> None:
        (newer, _), (older, _) = self.pick(new), self.pick(old)
        start, kept, appended = newer.changes_since(older)
        assert start <= kept <= max(start, older.end)
        rest = older[start:kept] if kept > start else ()
        assert encode(Log((*rest, *appended), start=start)) == encode(newer)
        assert (start, kept, appended) == _anew(newer).changes_since(_anew(older))

    @rule(pick=picks, low=st.integers(0, 12), size=st.integers(0, 12))
    def look(self, pick: int, low: int, size: int) -> None:
        log, (start, items) = self.pick(pick)
        assert log[start + low : start + low + size] == tuple(items[low : low + size])
        if low < len(items):
            assert log[start + low] is items[low]
            assert log[-1 - low] is items[-1 - low]
            assert log[-1 - low :] == tuple(items[-1 - low :])
        else:
            with pytest.raises(IndexError):
                log[start + low]
            with pytest.raises(IndexError):
                log[-1 - low]
        with pytest.raises(IndexError):
            log[start - 1 - log.end if start == 0 else start - 1]

    def agree(self, log: Log[Any], model: tuple[int, list[Any]]) -> None:
        start, items = model
        assert (log.start, log.end) == (start, start + len(items))
        assert len(log) == len(items)
        assert encode(tuple(log)) == encode(tuple(items))
        assert log == Log(items, start=start)
        assert log != Log([*items, 1], start=start)
        assert log != Log(["another", *items[1:]], start=start)
        assert log != Log(items, start=start + 1)
        assert hash(log) == hash(Log(items, start=start))


def _anew(log: Log[Any]) -> Log[Any]:
    return Log(log, start=log.start)


@pytest.mark.parametrize("slack", [0, values.SLACK])
@pytest.mark.parametrize("machine", [MapVersions, SetVersions, LogVersions])
def test_every_version_stays_as_its_model(
    machine: type[Versions], slack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "SLACK", slack)
    run_state_machine_as_test(machine, settings=MACHINE)


def test_two_forks_of_a_log_never_see_each_others_entry() -> None:
    trunk = Log("ab")
    left, right = trunk.append("left"), trunk.append("right")
    assert (*trunk,) == ("a", "b")
    assert (*left.append("x"),) == ("a", "b", "left", "x")
    assert (*right.extend("yz"),) == ("a", "b", "right", "y", "z")


@given(st.lists(keys, unique_by=repr), st.randoms())
def test_order_does_not_depend_on_insertion(elements: list[Any], random: Any) -> None:
    shuffled = random.sample(elements, len(elements))
    assert list(Set(elements)) == list(Set(shuffled))
    grown = Set()
    for element in shuffled:
        grown |= {element}
    assert list(grown) == list(Set(elements))


def test_elements_of_one_type_iterate_in_their_natural_order() -> None:
    assert [*Set([10, 9, -1])] == [-1, 9, 10]
    assert [*Set([(2, "a"), (1, "b"), (1, "a")])] == [(1, "a"), (1, "b"), (2, "a")]
    assert Map({NodeId("n2"): 1, NodeId("n1"): 2}).values() == (2, 1)


def test_a_change_tells_types_apart() -> None:
    assert Map({"x": 1}).set("x", True).changes_since(Map({"x": 1})).items == (("x", True),)
    assert Log([True]).changes_since(Log([1])).kept == 0


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each pair of values that a search for changes has looked at."""
    seen: list[object] = []
    same = values.same

    def counted(one: object, other: object) -> bool:
        seen.append(one)
        return same(one, other)

    monkeypatch.setattr(values, "same", counted)
    return seen


def test_a_change_within_a_lineage_takes_no_search(comparisons: list[object]) -> None:
    old_map = Map(dict.fromkeys(range(1000), 0))
    new_map = old_map.set(3, 1).remove(5)
    assert new_map.changes_since(old_map) == (((3, 1),), (5,))
    assert old_map.changes_since(new_map) == (((3, 0), (5, 0)), ())
    assert len(comparisons) == 2

    old_set = Set(range(1000))
    assert (old_set | {-1}).changes_since(old_set) == ((-1,), ())
    assert len(comparisons) == 2

    old_log = Log(range(1000))
    new_log = old_log.append(7).append(8).compact(10)
    assert new_log.changes_since(old_log) == (10, 1000, (7, 8))
    assert new_log.truncate(500).changes_since(new_log) == (10, 500, ())
    assert len(comparisons) == 2


def test_a_change_since_a_fork_takes_no_search(comparisons: list[object]) -> None:
    trunk = Map(dict.fromkeys(range(1000), 0))
    first, second = trunk.set(1, "first"), trunk.set(2, "second")
    assert second.changes_since(first) == (((1, 0), (2, "second")), ())
    assert second.set(3, "third").changes_since(trunk).items == ((2, "second"), (3, "third"))
    assert len(comparisons) == 4


def test_a_change_across_lineages_is_found_by_search(comparisons: list[object]) -> None:
    first, second = (Map(dict.fromkeys(range(1000), 0)).set(key, key) for key in (1, 2))
    assert second.changes_since(first) == (((1, 0), (2, 2)), ())
    assert len(comparisons) == 1000


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), st.integers(0, 3)), max_size=60))
def test_changes_between_any_two_of_a_tree_are_those_of_plain_maps(
    growth: list[tuple[int, int, int]],
) -> None:
    versions = [Map(dict.fromkeys(range(5), 0))]
    for parent, key, value in growth:
        old = versions[parent % len(versions)]
        versions.append(old.set(key, value) if value or key not in old else old.remove(key))
    for new in versions[-6:]:
        for old in versions:
            items = tuple((key, new[key]) for key in new if key not in old or new[key] != old[key])
            assert new.changes_since(old) == (items, tuple(key for key in old if key not in new))


def test_the_journal_stays_short() -> None:
    counter = Map({"count": 0})
    for count in range(1000):
        older, counter = counter, counter.set("count", count)
        assert len(counter._journal) <= 2 + values.SLACK + 1
    assert counter.changes_since(older).items == (("count", 999),)


def test_what_a_default_grows_into_is_not_kept_by_it() -> None:
    for default in (Map(), Set(), Log()):
        item = Item()
        grown: Any = default.set(item, 1) if isinstance(default, Map) else None
        grown = default.add(item) if isinstance(default, Set) else grown
        grown = default.append(item) if isinstance(default, Log) else grown
        watch = weakref.ref(item)
        del item, grown
        assert watch() is None


@pytest.mark.parametrize("cut", [lambda log: log.truncate(5), lambda log: log.compact(995)])
def test_a_cut_log_does_not_keep_what_was_cut(cut: Callable[[Log[Item]], Log[Item]]) -> None:
    log = Log(Item() for _ in range(1000))
    watch = weakref.ref(log[500])
    log = cut(log)
    assert len(log) == 5
    assert watch() is None


def test_a_log_compacted_little_by_little_keeps_little() -> None:
    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    log: Log[Item] = Log()
    for _ in range(500):
        item = Item()
        alive.add(item)
        log = log.append(item).compact(log.end - 10)
        assert len(alive) <= 2 * len(log) + values.SLACK + 1
    assert len(log) == 11


def test_versions_make_no_cycles() -> None:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)  # Others may leave garbage; ours would be among it.
    try:
        versions = [Map({1: 2}).set(3, 4), Set([1]) | {2}, Log([1]).append(2)]
        for version in versions:
            repr(version)
            encode(version)
        del versions, version
        gc.collect()
        assert not [kept for kept in gc.garbage if isinstance(kept, Map | Set | Log)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_operations_that_change_nothing_return_the_same_version() -> None:
    numbers, log = Set([1, 2]), Log([1, 2], start=1)
    assert numbers.add(1) is numbers
    assert numbers | {1, 2} is numbers
    assert numbers - {3} is numbers
    assert numbers & {1, 2, 3} is numbers
    assert log.truncate(9) is log
    assert log.compact(0) is log


def test_what_is_absent_cannot_be_removed_or_read() -> None:
    for absent in (lambda: Map().remove(1), lambda: Map()[1], lambda: Set([2]).remove(1)):
        with pytest.raises(KeyError):
            absent()
    with pytest.raises(IndexError, match="starts at 3"):
        Log([1, 2], start=3).truncate(2)
    with pytest.raises(IndexError, match="starts at 3"):
        Log([1, 2], start=3)[2:4]


def test_collections_of_different_kinds_are_never_equal() -> None:
    assert Map() != Set()
    assert Set([1]) != frozenset([1])
    assert Log([1]) != (1,)


def test_repr_reads_as_the_value() -> None:
    assert (
        repr(Map({NodeId("n2"): "x", NodeId("n1"): (1, None)})) == "Map({n1: (1, None), n2: 'x'})"
    )
    assert repr(Set(["b", "a"])) == "Set({'a', 'b'})"
    assert (repr(Map()), repr(Set()), repr(Log())) == ("Map({})", "Set()", "Log([])")
    assert repr(Log(["x"], start=1)) == "Log(['x'], start=1)"
    assert repr(Log(range(100))) == (
        "Log([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 85 more ..., 95, 96, 97, 98, 99])"
    )


def test_a_node_id_is_a_string_of_its_own_type() -> None:
    node = NodeId("n1")
    assert node == "n1"
    assert sorted([NodeId("n2"), node]) == ["n1", "n2"]
    assert (repr(node), str(node), f"{node}") == ("n1", "n1", "n1")
    assert type(node) is NodeId
    assert not hasattr(node, "__dict__")
