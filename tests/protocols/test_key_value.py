"""The key-value machine answers as the model of `quorate check` demands, whatever it is asked."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quorate.check.models import IMPOSSIBLE, CasRegister
from quorate.check.models import KeyValue as Model
from quorate.kernel import Operation
from quorate.protocols.machines.key_value import READS, WRITES, KeyValue, Pair

texts = st.sampled_from(["", "a", "b"])
values = st.none() | texts
operations = st.one_of(
    st.builds(Operation, st.sampled_from(["get", "read", "delete"]), st.sampled_from("xy")),
    st.builds(Operation, st.sampled_from(["put", "write"]), st.sampled_from("xy"), values),
    st.builds(Operation, st.just("append"), st.sampled_from("xy"), texts),
    st.builds(Operation, st.just("cas"), st.sampled_from("xy"), st.tuples(values, values)),
)


@given(st.lists(operations, max_size=30))
def test_it_agrees_with_the_checkers_model(script: list[Operation]) -> None:
    model, machine = Model(), KeyValue()
    states: dict[str, Any] = {"x": model.initial, "y": model.initial}
    for operation in script:
        assert operation.key
        machine, result = machine.apply(operation)
        state = model.step(states[operation.key], operation.f, operation.value, result)
        assert state is not IMPOSSIBLE, (operation, result, states)
        states[operation.key] = state


@given(st.lists(st.tuples(st.sampled_from(["read", "write", "cas"]), st.integers(0, 2))))
def test_it_is_a_register_of_numbers(script: list[tuple[str, int]]) -> None:
    model, machine = CasRegister(), KeyValue()
    state = model.initial
    for f, number in script:
        argument = {"read": None, "write": number, "cas": (number, (number + 1) % 3)}[f]
        machine, result = machine.apply(Operation(f, None, argument))
        state = model.step(state, f, argument, result)
        assert state is not IMPOSSIBLE, (f, argument, result)


@given(st.lists(operations, max_size=30))
def test_its_parts_are_all_of_it(script: list[Operation]) -> None:
    machine = KeyValue()
    for operation in script:
        machine, _ = machine.apply(operation)
    assert KeyValue.of(machine.parts()) == machine
    assert [pair.key for pair in machine.parts()] == list(machine.values)


@given(operations)
def test_reads_leave_it_as_it_is(operation: Operation) -> None:
    machine = KeyValue.of((Pair("x", "a"),))
    after, _ = machine.apply(operation)
    if KeyValue.is_read(operation):
        assert after is machine


def test_it_tells_what_it_can_execute() -> None:
    good = [Operation(f, "x") for f in (READS | WRITES) - {"append", "cas"}]
    good += [Operation("append", "x", "a"), Operation("cas", "x", (1, 2))]
    bad = [Operation("fly"), Operation("cas", "x", (1,)), Operation("cas", "x", 1)]
    bad += [Operation("append", "x", 1), Operation("append", "x")]
    assert all(map(KeyValue.accepts, good))
    assert not any(map(KeyValue.accepts, bad))


def test_empty_texts_are_absent() -> None:
    machine = KeyValue.of((Pair("x", "a"),))
    machine, _ = machine.apply(Operation("put", "x", ""))
    assert machine == KeyValue()
    machine, swapped = machine.apply(Operation("cas", "x", ("", "b")))
    assert swapped is True
    assert tuple(machine.parts()) == (Pair("x", "b"),)
