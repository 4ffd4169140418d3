"""Every model has histories that it accepts, and one that it must reject."""

from collections.abc import Sequence

import pytest

from quorate.check import (
    IMPOSSIBLE,
    MODELS,
    History,
    Mark,
    Model,
    State,
    Value,
    check_history,
    model_named,
)
from quorate.errors import Mistake
from quorate.verdict import Verdict

Step = tuple[str, Value, Value]
"""f, value, result: one operation after another, by one process."""


def verdict(steps: Sequence[Step], model: Model) -> Verdict:
    history = History()
    for f, value, result in steps:
        history.invoke(0, f, "x", value)
        history.complete(0, "ok", result)
    return check_history(history, model, explained=False).verdict


ACCEPTED: list[tuple[str, list[Step]]] = [
    ("register", [("read", None, None), ("write", 1, None), ("read", None, 1)]),
    ("cas-register", [("write", 1, 1), ("cas", (1, 2), True), ("read", None, 2)]),
    ("cas-register", [("write", 1, 1), ("cas", (3, 2), False), ("read", None, 1)]),
    ("cas-register", [("cas", (None, 2), (None, 2)), ("read", None, 2)]),
    ("kv", [("get", None, ""), ("append", "a", None), ("put", "b", None), ("get", None, "b")]),
    ("kv", [("get", None, None), ("append", "a", "a"), ("append", "b", "b"), ("get", None, "ab")]),
    ("kv", [("put", "a", None), ("delete", "ignored", None), ("get", None, None)]),
    ("kv", [("write", 1, None), ("cas", (1, 2), True), ("read", None, 2)]),
    ("kv", [("write", 1, None), ("append", "a", None), ("read", None, "1a")]),
    ("kv", [("put", "", None), ("cas", (None, "a"), True), ("read", None, "a")]),
    ("counter", [("add", 5, None), ("increment", None, None), ("read", None, 6)]),
    ("counter", [("add", -2, None), ("decrement", None, None), ("read", None, -3)]),
    ("set", [("add", 1, None), ("add", 2, None), ("remove", 1, None), ("read", None, (2,))]),
    ("set", [("contains", 1, False), ("add", 1, None), ("contains", 1, True)]),
    ("set", [("read", None, None), ("add", 1, None), ("add", 2, None), ("read", None, (2, 1))]),
    ("queue", [("enqueue", 1, None), ("enqueue", 2, None), ("dequeue", None, 1)]),
    ("queue", [("dequeue", None, None), ("enqueue", 1, None), ("dequeue", None, 1)]),
    ("mutex", [("acquire", None, None), ("release", None, None), ("acquire", None, None)]),
    ("consensus", [("propose", 1, 1), ("propose", 2, 1)]),
    ("election", [("elect", None, "n3"), ("elect", None, "n3")]),
    ("bank", [("transfer", (0, 3), None), ("audit", None, 40), ("audit", None, 40)]),
    ("transaction", [("look", None, False), ("commit", None, "committed"), ("look", None, True)]),
    ("transaction", [("commit", None, "aborted"), ("look", None, False)]),
    ("transaction", [("commit", None, "aborted"), ("commit", None, "aborted")]),
]

REJECTED: list[tuple[str, list[Step]]] = [
    ("register", [("write", 1, None), ("write", 2, None), ("read", None, 1)]),
    ("register", [("read", None, 1)]),
    ("cas-register", [("write", 1, 1), ("cas", (2, 3), True)]),
    ("cas-register", [("write", 1, 1), ("cas", (1, 3), False)]),
    ("kv", [("append", "a", None), ("append", "b", None), ("get", None, "ba")]),
    ("kv", [("put", "a", None), ("append", "b", None), ("get", None, "a")]),
    ("kv", [("put", "a", None), ("delete", None, None), ("get", None, "a")]),
    ("counter", [("increment", None, None), ("read", None, 2)]),
    ("set", [("add", 1, None), ("read", None, (1, 2))]),
    ("set", [("add", 1, None), ("remove", 1, None), ("contains", 1, True)]),
    ("queue", [("enqueue", 1, None), ("enqueue", 2, None), ("dequeue", None, 2)]),
    ("queue", [("enqueue", 1, None), ("dequeue", None, None)]),
    ("queue", [("enqueue", 1, None), ("dequeue", None, 1), ("dequeue", None, 1)]),
    ("mutex", [("acquire", None, None), ("acquire", None, None)]),
    ("mutex", [("release", None, None)]),
    ("consensus", [("propose", 1, 1), ("propose", 2, 2)]),
    ("consensus", [("propose", 1, 3)]),
    ("election", [("elect", None, "n3"), ("elect", None, "n2")]),
    ("bank", [("audit", None, 40), ("transfer", (0, 3), None), ("audit", None, 37)]),
    ("transaction", [("commit", None, "committed"), ("look", None, False)]),
    ("transaction", [("commit", None, "aborted"), ("look", None, True)]),
    ("transaction", [("commit", None, None)]),
    ("transaction", [("look", None, True), ("commit", None, "committed")]),
    ("transaction", [("commit", None, "aborted"), ("commit", None, "committed")]),
]


@pytest.mark.parametrize(("name", "steps"), ACCEPTED)
def test_accepted(name: str, steps: list[Step]) -> None:
    assert verdict(steps, model_named(name)) is Verdict.PASS


@pytest.mark.parametrize(("name", "steps"), REJECTED)
def test_rejected(name: str, steps: list[Step]) -> None:
    assert verdict(steps, model_named(name)) is Verdict.FAIL


def test_every_model_rejects_something() -> None:
    assert {name for name, _ in REJECTED} == set(MODELS)


@pytest.mark.parametrize(
    ("name", "step", "told"),
    [
        ("cas-register", ("cas", 3, None), "'cas' takes a pair"),
        ("kv", ("append", 3, None), "'append' takes a string"),
        ("counter", ("add", "three", None), "'add' takes an integer"),
        ("set", ("read", None, 3), "'read' of a set returns a list"),
        ("queue", ("enqueue", None, None), "'enqueue' takes a value"),
        ("consensus", ("propose", None, None), "'propose' takes a value"),
        ("mutex", ("lock", None, None), "unknown operation 'lock'"),
    ],
)
def test_malformed_operations_are_mistakes(name: str, step: Step, told: str) -> None:
    with pytest.raises(Mistake, match=told):
        verdict([step], model_named(name))


def test_an_unknown_model_is_told_with_the_nearest() -> None:
    with pytest.raises(Mistake, match="'cas-registre'; did you mean 'cas-register'"):
        model_named("cas-registre")
    with pytest.raises(Mistake, match=r"known are .*kv"):
        model_named("zzzzzzz")


def test_a_commit_of_unknown_outcome_may_have_happened_but_not_after_an_abort() -> None:
    for known, later, judged in [
        (None, (False, True, True), Verdict.PASS),
        (None, (True, False), Verdict.FAIL),
        ("aborted", (False, False), Verdict.PASS),
        ("aborted", (False, True), Verdict.FAIL),
    ]:
        history = History()
        history.invoke(0, "commit", "t", None)
        if known:
            history.invoke(1, "commit", "t", None)
            history.complete(1, "ok", known)
        for seen in later:
            history.invoke(2, "look", "t", None)
            history.complete(2, "ok", seen)
        history.complete(0, "info")
        assert check_history(history, model_named("transaction")).verdict is judged, (known, later)


@pytest.mark.parametrize(("name", "f"), [("election", "elect"), ("bank", "audit")])
def test_an_unseen_answer_fits_any_other(name: str, f: str) -> None:
    history = History()
    history.invoke(0, f, None, None)
    for process, result in ((1, 40), (2, 40)):
        history.invoke(process, f, None, None)
        history.complete(process, "ok", result)
    assert check_history(history, model_named(name)).verdict is Verdict.PASS
    history.invoke(3, f, None, None)
    history.complete(3, "ok", 39)
    assert check_history(history, model_named(name)).verdict is Verdict.FAIL


class Stack(Model):
    """A model as a user would write it: the three required parts and no more."""

    operations = frozenset({"push", "pop"})
    initial = ()

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        assert isinstance(state, tuple)
        if f == "push":
            return (*state, value)
        return state[:-1] if state and result in (state[-1], Mark.UNKNOWN) else IMPOSSIBLE


def test_a_model_of_the_users_own() -> None:
    pushes: list[Step] = [("push", 1, None), ("push", 2, None)]
    assert verdict([*pushes, ("pop", None, 2), ("pop", None, 1)], Stack()) is Verdict.PASS
    assert verdict([*pushes, ("pop", None, 1)], Stack()) is Verdict.FAIL
    history = History()
    history.invoke(0, "push", None, 1)
    history.invoke(1, "pop", None, None)
    history.complete(1, "ok", 5)
    result = check_history(history, Stack())
    assert result.explanation is not None
    assert "pop → 5" in result.explanation.render()
