"""The search against brute force, against histories that are right by construction, and budgets."""

import tracemalloc
from collections.abc import Collection
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.check import (
    MODELS,
    Budget,
    History,
    Model,
    Operation,
    check_history,
    model_named,
)
from quorate.check import models as models_module
from quorate.check.models import CasRegister, KeyValue
from quorate.check.part import Part, Room
from quorate.check.search import Search
from quorate.errors import Mistake
from quorate.verdict import Verdict
from tests.check.clients import (
    DISTINCT,
    Workload,
    answers_match,
    follows_time,
    is_linearizable,
    record,
)

randoms = st.integers(0, 2**32).map(Random)
models = st.sampled_from(sorted(MODELS)).map(model_named)


def search(operations: list[Operation], model: Model, *, patience: int | None = None) -> Search:
    """Run one search to its end, in slices; it looks ahead from the start if `patience` is 0."""
    part = Part(operations, model, lambda op: str(op.invoked), Room(1 << 30))
    found = Search(part)
    if patience is not None:
        found.patience = patience
    while found.run(7) is None:
        pass
    return found


@settings(max_examples=2000, deadline=None)
@given(randoms, models, st.integers(1, 6), st.sampled_from([0, 0.1, 0.5]), st.booleans())
def test_verdicts_are_those_of_brute_force(
    random: Random, model: Model, operations: int, unknown: float, hurried: bool
) -> None:
    load = Workload(model, operations, clients=3, values=2, unknown=unknown, lies=0.3)
    history = record(random, load)
    effective = [op for op in history.operations if op.status != "fail"]
    found = search(effective, model, patience=0 if hurried else None).found
    assert found == is_linearizable(effective, model)


texts = st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=6, unique=True)


def texts_judged(random: Random, parts: list[str], unknown: float) -> bool:
    """Whether the search agrees with brute force on a history of texts; most appends differ."""
    load = Workload(KeyValue(), 6, clients=3, values=2, unknown=unknown, lies=0.2, texts=parts)
    effective = [op for op in record(random, load).operations if op.status != "fail"]
    return search(effective, load.model).found == is_linearizable(effective, load.model)


@settings(max_examples=2000, deadline=None)
@given(randoms, texts, st.sampled_from([0, 0.1, 0.5]))
def test_verdicts_on_texts_are_those_of_brute_force(
    random: Random, parts: list[str], unknown: float
) -> None:
    assert texts_judged(random, parts, unknown)


def test_a_place_that_texts_do_not_tell_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_place(
        texts: list[str], openings: Collection[str], parts: Collection[str]
    ) -> dict[str, str]:
        return {part: text[: text.index(part)] for text in texts for part in parts if part in text}

    monkeypatch.setattr(models_module, "before_each", first_place)
    assert not all(
        texts_judged(Random(seed), ["a", "b", "ab", "ba", "c"], 0.1) for seed in range(2000)
    )


def test_appends_whose_places_are_known_are_not_tried_elsewhere() -> None:
    history = History()
    written = [f"c{client} " for client in range(12)]
    for client, text in enumerate(written):
        history.invoke(client, "append", "x", text)
    history.invoke(99, "get", "x", None)
    history.complete(99, "ok", "".join(reversed(written)))
    for client in range(12):
        history.complete(client, "info" if client % 2 else "ok")
    result = check_history(history, KeyValue(), Budget(steps=100, seconds=None))
    assert result.verdict is Verdict.PASS


@settings(max_examples=200, deadline=None)
@given(randoms, models, st.integers(1, 3), st.integers(1, 8), st.sampled_from([2, 1000]))
def test_what_an_atomic_object_answered_is_linearizable(
    random: Random, model: Model, keys: int, clients: int, values: int
) -> None:
    load = Workload(model, 60, clients, keys, values, unknown=0.05)
    history = record(random, load)
    result = check_history(history, model, Budget(steps=30_000))
    hard = result.verdict is Verdict.UNKNOWN and "steps" in result.reason
    assert result.verdict is Verdict.PASS or hard or not _any_ok(history)


@settings(max_examples=150, deadline=None)
@given(randoms, models, st.sampled_from([0, None]))
def test_a_found_order_can_be_replayed(random: Random, model: Model, patience: int | None) -> None:
    history = record(random, Workload(model, 25, values=4, keys=2))
    effective = [op for op in history.operations if op.status != "fail"]
    order = search(effective, model, patience=patience).order()
    assert {op.invoked for op in effective if op.status == "ok"} <= {op.invoked for op in order}
    assert len(order) == len({op.invoked for op in order})
    assert follows_time(order)
    assert answers_match(order, model)


@settings(max_examples=200, deadline=None)
@given(randoms, models)
def test_splitting_by_key_changes_no_verdict(random: Random, model: Model) -> None:
    load = Workload(model, 20, keys=3, lies=random.choice([0, 0.1]), unknown=0.1)
    history = record(random, load)
    split = check_history(history, model, explained=False)
    whole = check_history(history, model, explained=False, split=False)
    assert split.verdict == whole.verdict


def _any_ok(history: History) -> bool:
    return any(op.status == "ok" for op in history.operations)


def stale_read(key: str | None = "x") -> History:
    history = History()
    for f, value in (("write", 4), ("write", 7), ("read", None)):
        history.invoke(0, f, key, value)
        history.complete(0, "ok", 4 if f == "read" else None)
    return history


def test_a_stale_read_fails() -> None:
    assert check_history(stale_read(), CasRegister()).verdict is Verdict.FAIL


def test_an_operation_that_timed_out_may_happen_at_any_later_time() -> None:
    history = History()
    history.invoke(0, "write", "x", 1)
    history.complete(0, "info")
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", None)
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", 1)
    assert check_history(history, CasRegister()).verdict is Verdict.PASS
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", None)
    assert check_history(history, CasRegister()).verdict is Verdict.FAIL


def test_an_operation_that_never_completed_is_like_one_that_timed_out() -> None:
    history = History()
    history.invoke(0, "write", "x", 1)
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", 1)
    assert check_history(history, CasRegister()).verdict is Verdict.PASS


def test_a_failed_operation_did_not_happen() -> None:
    history = History()
    history.invoke(0, "write", "x", 1)
    history.complete(0, "fail")
    history.invoke(1, "read", "x", None)
    history.complete(1, "ok", 1)
    assert check_history(history, CasRegister()).verdict is Verdict.FAIL


def test_nothing_to_judge_is_unknown() -> None:
    history = History()
    result = check_history(history, CasRegister())
    assert result.verdict is Verdict.UNKNOWN
    assert "no operation completed" in result.reason
    history.invoke(0, "write", "x", 1)
    history.complete(0, "fail")
    history.invoke(0, "write", "x", 1)
    history.complete(0, "info")
    assert check_history(history, CasRegister()).verdict is Verdict.UNKNOWN


def test_steps_that_run_out_make_the_verdict_unknown() -> None:
    history = impossible_sum()
    result = check_history(history, model_named("counter"), Budget(steps=3_000, seconds=None))
    assert result.verdict is Verdict.UNKNOWN
    assert "3000 steps" in result.reason
    assert result.steps <= 3_100


def impossible_sum(clients: int = 30) -> History:
    """A read that no subset of concurrent additions gives: there are 2**clients to try."""
    history = History()
    for client in range(clients):
        history.invoke(client, "add", "hard", 2 << client)
    history.invoke(clients, "read", "hard", None)
    history.complete(clients, "ok", (2 << clients) - 3)
    for client in range(clients):
        history.complete(client, "ok")
    return history


def test_time_that_runs_out_makes_the_verdict_unknown() -> None:
    result = check_history(impossible_sum(), model_named("counter"), Budget(seconds=0.05))
    assert result.verdict is Verdict.UNKNOWN
    assert "0.05 s" in result.reason


def test_memory_that_runs_out_makes_the_verdict_unknown() -> None:
    budget = Budget(seconds=None, memory_bytes=2_000_000)
    result = check_history(impossible_sum(), model_named("counter"), budget)
    assert result.verdict is Verdict.UNKNOWN
    assert "1 MB" in result.reason


def test_memory_stays_within_its_budget() -> None:
    budget = Budget(seconds=None, memory_bytes=8_000_000)
    history = impossible_sum()
    tracemalloc.start()
    try:
        check_history(history, model_named("counter"), budget)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 2_000_000 < peak < 8_000_000


@pytest.mark.parametrize("first", [True, False])
def test_a_hard_key_hides_no_failure_in_another(first: bool) -> None:
    def add_failure(history: History) -> None:
        for f, result in (("add", None), ("read", 9)):
            history.invoke(99, f, "easy", 1 if f == "add" else None)
            history.complete(99, "ok", result)

    history = History()
    if first:
        add_failure(history)
    for op in impossible_sum().operations:
        history.invoke(op.process, op.f, op.key, op.value)
    history.complete(30, "ok", (2 << 30) - 3)
    for client in range(30):
        history.complete(client, "ok")
    if not first:
        add_failure(history)
    for budget in (Budget(steps=20_000), Budget(memory_bytes=3_000_000)):
        result = check_history(history, model_named("counter"), budget)
        assert result.verdict is Verdict.FAIL
        assert result.explanation is not None
        assert result.explanation.key == "easy"


def test_a_large_part_gives_way_when_memory_runs_out() -> None:
    history = impossible_sum()
    for number in range(400):
        history.invoke(99, "add", "long", 1)
        history.complete(99, "ok")
        history.invoke(99, "read", "long", None)
        history.complete(99, "ok", 500 if number == 399 else number + 1)
    budget = Budget(seconds=None, memory_bytes=1_500_000)
    result = check_history(history, model_named("counter"), budget, explained=False)
    assert result.verdict is Verdict.FAIL


def test_the_part_that_was_read_may_fail_but_not_pass() -> None:
    history = History()
    history.invoke(0, "write", "x", 1)
    history.complete(0, "ok")
    history.cut_short = "the rest was not read"
    result = check_history(history, CasRegister())
    assert result.verdict is Verdict.UNKNOWN
    assert "the rest was not read" in result.reason
    failing = stale_read()
    failing.cut_short = "the rest was not read"
    assert check_history(failing, CasRegister()).verdict is Verdict.FAIL


def test_an_unknown_operation_is_named_with_its_place() -> None:
    history = History("some.log")
    history.invoke(0, "frobnicate", None, 1, line=17)
    with pytest.raises(Mistake, match=r"some\.log:17: unknown operation 'frobnicate'"):
        check_history(history, CasRegister())


def test_a_malformed_value_is_named_with_its_place() -> None:
    history = History("some.log")
    history.invoke(0, "cas", None, 5, line=3)
    history.complete(0, "ok", line=4)
    with pytest.raises(Mistake, match=r"some\.log:3: 'cas' takes a pair"):
        check_history(history, CasRegister())


def test_a_value_that_is_not_plain_data_is_named_with_its_place() -> None:
    history = History()
    history.invoke(0, "write", "x", [1], event=12)  # type: ignore[arg-type]
    history.complete(0, "ok")
    with pytest.raises(Mistake, match="trace event 12: 'write' has a value that is not plain"):
        check_history(history, CasRegister())


# Sabotage: what turns a good history into a bad one must turn the verdict.


@settings(max_examples=100, deadline=None)
@given(randoms, st.integers(0, 10**6))
def test_an_altered_answer_is_noticed(random: Random, choice: int) -> None:
    load = Workload(model_named("cas-register"), 30, clients=3, values=DISTINCT, unknown=0)
    history = record(random, load)
    reads = [op for op in history.operations if op.f == "read" and op.status == "ok"]
    if reads:
        reads[choice % len(reads)].result = -1
        assert check_history(history, load.model).verdict is Verdict.FAIL


@settings(max_examples=100, deadline=None)
@given(randoms, st.integers(0, 10**6))
def test_a_dropped_write_is_noticed_once_it_was_read(random: Random, choice: int) -> None:
    load = Workload(model_named("register"), 30, clients=3, values=DISTINCT, unknown=0)
    history = record(random, load)
    seen = {op.result for op in history.operations if op.f == "read" and op.status == "ok"}
    read = [op for op in history.operations if op.f == "write" and op.value in seen]
    if read:
        history.operations.remove(read[choice % len(read)])
        assert check_history(history, load.model).verdict is Verdict.FAIL


@settings(max_examples=100, deadline=None)
@given(randoms, models)
def test_a_dropped_read_changes_nothing(random: Random, model: Model) -> None:
    load = replace(Workload(model, 20, unknown=0.1), lies=0.0)
    history = record(random, load)
    before = check_history(history, model, explained=False).verdict
    reads = [op for op in history.operations if op.f in ("read", "get", "contains")]
    if before is Verdict.PASS and len(reads) < len(history.operations) and reads:
        history.operations.remove(reads[0])
        after = check_history(history, model, explained=False).verdict
        assert after is Verdict.PASS or not _any_ok(history)
