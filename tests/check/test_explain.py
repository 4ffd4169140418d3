"""Explanations are true, short, and read well."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.check import (
    MODELS,
    NEVER,
    Explanation,
    History,
    Model,
    Status,
    Value,
    check_history,
    model_named,
)
from quorate.check.explain import explain
from quorate.check.models import CasRegister
from quorate.verdict import Verdict
from tests.check.clients import DISTINCT, Workload, answers_match, follows_time, record
from tests.check.test_linearizability import search

Event = tuple[int, str, str, Value]
"""process, event type, f, value."""


def explained(events: list[Event], model: str, key: str | None = "x") -> Explanation:
    history = History()
    for place, (process, event_type, f, value) in enumerate(events):
        if event_type == "invoke":
            history.invoke(process, f, key, value, place, 100 + place)
        else:
            status: Status = "ok" if event_type == "ok" else "info"
            history.complete(process, status, value, place, 100 + place)
    result = check_history(history, model_named(model))
    assert result.explanation is not None
    return result.explanation


def done(process: int, f: str, value: Value, result: Value = None) -> list[Event]:
    """An operation that nothing overlaps."""
    return [(process, "invoke", f, value), (process, "ok", f, result)]


STORIES: dict[str, tuple[str, list[Event]]] = {
    "stale_read": (
        "cas-register",
        [
            *done(0, "write", 3),
            *done(1, "read", None, 3),
            *done(0, "write", 4),
            *done(1, "write", 7),
            *done(2, "read", None, 7),
            *done(3, "read", None, 4),
            *done(3, "read", None, 7),
        ],
    ),
    "new_old_inversion": (
        "register",
        [
            *done(0, "write", 4),
            (0, "invoke", "write", 7),
            *done(1, "read", None, 7),
            *done(2, "read", None, 4),
            (0, "ok", "write", None),
        ],
    ),
    "never_written": ("register", [*done(0, "write", 1), *done(1, "read", None, 9)]),
    "lost_append": (
        "kv",
        [
            *done(0, "append", "a"),
            (1, "invoke", "append", "b"),
            *done(0, "append", "c"),
            *done(2, "get", None, "ab"),
            (1, "ok", "append", None),
        ],
    ),
    "appends_in_the_wrong_order": (
        "kv",
        [*done(0, "append", "a"), *done(1, "append", "b"), *done(2, "get", None, "ba")],
    ),
    "cas_on_a_value_long_gone": (
        "cas-register",
        [*done(0, "write", 1), *done(1, "write", 2), *done(2, "cas", (1, 3), True)],
    ),
    "held_twice": (
        "mutex",
        [*done(0, "acquire", None), *done(1, "acquire", None), *done(0, "release", None)],
    ),
    "unknown_outcome": (
        "register",
        [
            (0, "invoke", "write", 1),
            (0, "info", "write", None),
            *done(1, "read", None, 1),
            *done(1, "write", 2),
            *done(1, "read", None, 2),
            *done(2, "read", None, 1),
        ],
    ),
    "counted_too_much": (
        "counter",
        [*done(0, "increment", None), *done(1, "read", None, 1), *done(2, "read", None, 2)],
    ),
    "dequeued_twice": (
        "queue",
        [
            *done(0, "enqueue", 1),
            *done(0, "enqueue", 2),
            *done(1, "dequeue", None, 1),
            *done(2, "dequeue", None, 1),
        ],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_stories(name: str, golden: Callable[[str, str], None]) -> None:
    model, events = STORIES[name]
    golden(f"{name}.txt", explained(events, model).render())


def test_an_explanation_leads_to_its_trace_events() -> None:
    model, events = STORIES["stale_read"]
    explanation = explained(events, model)
    assert explanation.trace_events() == (104, 105, 106, 107, 110, 111)
    assert explanation.impossible.complete_event == 111
    assert explanation.prefix_events == 11


lying = st.integers(0, 2**32).map(Random)


@settings(max_examples=300, deadline=None)
@given(lying, st.sampled_from(sorted(MODELS)).map(model_named), st.sampled_from([3, DISTINCT]))
def test_explanations_are_true(random: Random, model: Model, values: int) -> None:
    load = Workload(model, 25, clients=4, keys=2, values=values, unknown=0.1, lies=0.2)
    history = record(random, load)
    result = check_history(history, model)
    if result.verdict is not Verdict.FAIL:
        assert result.explanation is None
        return
    told = result.explanation
    assert told is not None
    assert search(list(told.smallest), model).found is False
    assert {op.key for op in told.smallest} == {told.key}
    assert told.impossible.invoked in {op.invoked for op in told.smallest}
    assert follows_time(told.prefix)
    assert answers_match(told.prefix, model)
    begun = [op for op in history.operations if op.key == told.key and op.status == "ok"]
    in_time = {op.invoked for op in begun if op.completed < told.impossible.completed}
    assert in_time <= {op.invoked for op in told.prefix}


@settings(max_examples=300, deadline=None)
@given(lying)
def test_every_value_that_is_read_keeps_its_writer(random: Random) -> None:
    load = Workload(CasRegister(), 25, clients=4, values=3, unknown=0.1, lies=0.2)
    history = record(random, load)
    told = check_history(history, load.model).explanation
    if told is None:
        return
    writes = [op for op in history.operations if op.f == "write" and op.status != "fail"]
    kept = {op.value for op in told.smallest if op.f == "write"}
    kept |= {op.value[1] for op in told.smallest if op.f == "cas" and isinstance(op.value, tuple)}
    for op in told.smallest:
        written = {write.value for write in writes if write.invoked < op.completed}
        if op.f == "read" and op.status == "ok" and op.result in written:
            assert op.result in kept


@settings(max_examples=200, deadline=None)
@given(lying, st.sampled_from(["register", "cas-register", "kv", "set", "queue", "mutex"]))
def test_what_is_left_out_makes_no_difference(random: Random, name: str) -> None:
    """No single operation that was left out would have made the story possible."""
    model = model_named(name)
    load = Workload(model, 20, clients=3, values=DISTINCT, unknown=0, lies=0.2)
    history = record(random, load)
    told = check_history(history, model).explanation
    if told is None:
        return
    shown = {op.invoked for op in told.smallest}
    for op in history.operations:
        if (
            op.invoked not in shown
            and op.status == "ok"
            and op.completed < told.impossible.completed
        ):
            more = sorted([*told.smallest, op], key=lambda op: op.invoked)
            assert search(more, model).found is False


def test_an_explanation_out_of_steps_is_not_minimal_but_true() -> None:
    history = History()
    for number in range(50):
        history.invoke(0, "write", "x", number)
        history.complete(0, "ok")
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", 7)
    told = explain(history.operations, CasRegister(), history, "x", steps=400)
    assert not told.is_minimal
    assert "Shortened" in told.render()
    assert search(list(told.smallest), CasRegister()).found is False
    full = explain(history.operations, CasRegister(), history, "x")
    assert full.is_minimal
    assert len(full.smallest) == 3


def test_operations_that_complete_later_are_shown_as_pending() -> None:
    model, events = STORIES["new_old_inversion"]
    explanation = explained(events, model)
    pending = [op for op in explanation.smallest if op.completed == NEVER]
    assert [op.f for op in pending] == ["write"]
