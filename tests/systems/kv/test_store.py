"""Writes that carry an identity happen once, however often they come."""

import pytest

from quorate.kernel import Operation
from quorate.systems.kv import store as module
from quorate.systems.kv.store import PAST, Store


def commands(*words: tuple[bytes, ...]) -> Operation:
    """What a client sends at once."""
    return Operation("commands", None, (1000, words))


def once(name: str, number: int, *words: tuple[bytes, ...]) -> Operation:
    """The same, under an identity."""
    return Operation("once", name, (number, commands(*words)))


INCR = (b"INCR", b"n")
GET = (b"GET", b"n")


def test_a_repetition_is_answered_and_not_executed() -> None:
    store, first = Store().apply(once("a", 1, INCR))
    again, second = store.apply(once("a", 1, INCR))
    assert first == second == (1,)
    assert again is store
    assert again.apply(commands(GET))[1] == (b"1",)


def test_numbers_of_a_name_only_grow_and_names_do_not_meet() -> None:
    store, _ = Store().apply(once("a", 5, INCR))
    store, replies = store.apply(once("a", 4, INCR, GET))
    assert replies == (PAST, PAST)
    store, replies = store.apply(once("b", 4, INCR))
    assert replies == (2,)
    store, replies = store.apply(once("a", 6, INCR))
    assert replies == (3,)


def test_the_names_used_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 10)
    store = Store()
    for number in range(11):
        store, _ = store.apply(once(f"name{number}", 1, INCR))
    assert sorted(store.identities) == sorted(f"name{number}" for number in range(2, 11))


def test_a_snapshot_holds_the_identities() -> None:
    store, _ = Store().apply(once("a", 1, INCR))
    store, _ = store.apply(once("b", 7, INCR, GET))
    again = Store.of(store.parts())
    assert again == store
    assert again.apply(once("b", 7, INCR, GET)) == (again, (2, b"2"))


def test_only_commands_of_the_store_are_accepted() -> None:
    store = Store()
    assert store.accepts(once("a", 1, INCR))
    assert store.accepts(commands(INCR))
    assert not store.accepts(Operation("once", None, (1, commands(INCR))))
    assert not store.accepts(Operation("once", "a", (1, Operation("put", "x", "y"))))
    assert not store.accepts(Operation("once", "a", ("1", commands(INCR))))
    assert not store.accepts(Operation("once", "a", 1))
    assert not store.is_read(once("a", 1, GET))
    assert store.is_read(commands(GET))
