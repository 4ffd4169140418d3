"""Histories to judge, and a slow judge that is plainly right."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random

from quorate.check import IMPOSSIBLE, UNKNOWN, History, Mark, Model, Operation, State, Value

DISTINCT = 10**9
"""As `Workload.values`: every operation takes another value."""
ANSWERING = frozenset({"read", "get", "contains", "dequeue", "cas", "propose", "commit", "look"})


@dataclass
class Workload:
    """How many clients do how much, and how often something goes wrong."""

    model: Model
    operations: int = 12
    clients: int = 4
    keys: int = 1
    values: int = 3
    unknown: float = 0.2
    lies: float = 0.0
    texts: Sequence[str] = ()
    """What is put and appended; by default numbers are put, and a or b appended."""


@dataclass
class _Pending:
    process: int
    f: str
    key: str
    value: Value
    done: bool = False
    result: Value = None


def record(random: Random, load: Workload) -> History:
    """Let clients work on an atomic object; each effect is one moment within its operation.

    The history is linearizable unless `lies` falsify answers.
    """
    history = History()
    states: dict[str, State] = {}
    pending: dict[int, _Pending] = {}
    processes = list(range(load.clients))
    fresh = load.clients
    left = load.operations
    while left or pending:
        client = random.randrange(load.clients)
        op = pending.get(client)
        if op is None:
            if left:
                left -= 1
                op = pending[client] = _begin(random, load, processes[client], left)
                history.invoke(op.process, op.f, op.key, op.value)
        elif not op.done and random.random() < 0.6:
            _take_effect(op, load.model, states)
        elif random.random() < 0.5:
            del pending[client]
            if random.random() < load.unknown:
                history.complete(op.process, "info")
                processes[client], fresh = fresh, fresh + 1
            else:
                _end(random, load, history, op)
    return history


def _begin(random: Random, load: Workload, process: int, left: int) -> _Pending:
    f = random.choice(sorted(load.model.operations))
    some = left if load.values == DISTINCT else random.randrange(load.values)
    value: Value = None
    if f == "append":
        value = random.choice(load.texts or "ab")
    elif f in ("put", "write") and load.texts:
        value = random.choice(load.texts)
    elif f == "cas":
        value = random.choice([None, some]), random.randrange(load.values)
    elif f not in ("read", "get", "dequeue", "acquire", "release", "delete", "commit", "look"):
        value = some
    return _Pending(process, f, f"k{random.randrange(load.keys)}", value)


def _take_effect(op: _Pending, model: Model, states: dict[str, State]) -> None:
    before = states.get(op.key, model.initial)
    after = model.step(before, op.f, op.value, UNKNOWN)
    assert not isinstance(after, Mark)
    states[op.key] = after
    op.done = True
    op.result = _answer(op, before, after)


def _answer(op: _Pending, before: State, after: State) -> Value:
    if op.f in ("read", "get"):
        return tuple(sorted(before)) if isinstance(before, frozenset) else before  # type: ignore[return-value]
    if op.f == "contains":
        assert isinstance(before, frozenset)
        return op.value in before
    if op.f == "dequeue":
        assert isinstance(before, tuple)
        return before[0] if before else None
    if op.f == "cas":
        assert isinstance(op.value, tuple)
        return before == op.value[0]
    if op.f == "look":
        return before == "committed"
    if op.f in ("propose", "commit"):
        return after  # type: ignore[return-value]
    return before != after if op.f in ("acquire", "release") else None


def _end(random: Random, load: Workload, history: History, op: _Pending) -> None:
    refused = op.f in ("acquire", "release") and op.result is False
    if not op.done or refused:
        history.complete(op.process, "fail")
        return
    if op.f in ANSWERING and random.random() < load.lies:
        op.result = _lie(random, load, op)
    history.complete(op.process, "ok", op.result)


def _lie(random: Random, load: Workload, op: _Pending) -> Value:
    if isinstance(op.result, bool):
        return not op.result
    some = random.randrange(load.values)
    if isinstance(op.result, tuple):
        return tuple({*op.result} ^ {some})
    if isinstance(op.result, str):
        return random.choice([None, some, "ab", *load.texts, "".join(load.texts)])
    return some


def is_linearizable(operations: Sequence[Operation], model: Model) -> bool:
    """Try every order of every choice of the operations that may have taken effect."""
    sure = [op for op in operations if op.status == "ok"]
    unsure = [op for op in operations if op.status == "info"]
    return any(
        follows_time(order) and answers_match(order, model)
        for count in range(len(unsure) + 1)
        for chosen in permutations(unsure, count)
        if list(chosen) == sorted(chosen, key=lambda op: op.invoked)
        for order in permutations([*sure, *chosen])
    )


def follows_time(order: Sequence[Operation]) -> bool:
    """No operation stands after one that was invoked when it had completed already."""
    return not any(
        later.status == "ok" and later.completed < earlier.invoked
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def answers_match(order: Sequence[Operation], model: Model) -> bool:
    """Replayed one by one, each operation answers what it did."""
    states: dict[str | None, State | Mark] = {}
    for op in order:
        before = states.get(op.key, model.initial)
        assert not isinstance(before, Mark)
        result = op.result if op.status == "ok" else UNKNOWN
        after = states[op.key] = model.step(before, op.f, op.value, result)
        if after is IMPOSSIBLE:
            return False
    return True
