"""Trace files: what is written is read, and what is not a trace is refused with its line."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.errors import Mistake
from quorate.protocols.consensus.paxos_scenario import scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.trace import (
    Explanation,
    Header,
    JudgedOperation,
    Trace,
    Violation,
    from_records,
    read_trace,
    write_trace,
)
from quorate.trace.jsonl import lines


def paxos(seed: int = 7) -> Trace:
    world = World(scenario, Tape(seed))
    world.run()
    header = Header(
        scenario="paxos",
        nodes=[str(id) for id in scenario.servers()],
        clients=[str(id) for id in scenario.client_ids()],
        seed=seed,
        violation=Violation("agreement", 20, "n1: decided=1; n2: decided=2"),
        explanation=Explanation(
            "why", [JudgedOperation(process=1, f="read", invoke=6, complete=9)]
        ),
        features={"batching": True},
        counters={"leader changes": 2},
    )
    return from_records(header, world.records)


TRACE = paxos()
LINES = list(lines(TRACE.header, TRACE.steps))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read(tmp_path: Path, seed: int) -> None:
    trace = paxos(seed)
    write_trace(tmp_path / "t.jsonl", trace.header, trace.steps)
    assert read_trace(tmp_path / "t.jsonl") == trace


def test_steps_are_written_one_by_one() -> None:
    taken = 0

    def steps():
        nonlocal taken
        for step in TRACE.steps:
            taken += 1
            yield step

    written = lines(TRACE.header, steps())
    for _ in range(4):
        next(written)
    assert taken == 3


def line(number: int, old: bytes, new: bytes) -> list[bytes]:
    assert old in LINES[number - 1]
    return [*LINES[: number - 1], LINES[number - 1].replace(old, new, 1), *LINES[number:]]


FIRST = next(step for step in TRACE.steps if step.kind == "deliver")
CAUSE = b'"cause":%d' % FIRST.cause
ARRIVAL = b'"arrival":%d' % FIRST.id
SENT, ARRIVED = FIRST.cause + 2, FIRST.id + 2  # The lines of the first message's two steps.
NODE = FIRST.node
DEEP = b"[" * 400 + b"]" * 400
REFUSED = {
    "empty": ([], 1, "cut short"),
    "no trace": ([b"hello\n"], 1, "no line of a trace"),
    "another format": ([b'{"quorate":"schedule","version":1}\n'], 1, "no line of a trace"),
    "another version": (line(1, b'"version":1', b'"version":2'), 1, "version 2; this Quorate"),
    "cut within a line": ([*LINES[:9], LINES[9][:30]], 10, "cut short"),
    "cut between lines": (LINES[:-1], len(LINES), "cut short"),
    "a step is missing": (LINES[:5] + LINES[6:], 6, "step 4 should stand here, not step 5"),
    "the last ones are missing": ([*LINES[:5], LINES[-1]], 6, f"{len(TRACE.steps)} steps were"),
    "binary": ([LINES[0], b"\xff\xfe\x00\n"], 2, "no line of a trace"),
    "a wrong type": (line(4, b'"time":0', b'"time":"0"'), 4, "Expected `int`"),
    "a negative time": (line(4, b'"time":0', b'"time":-5'), 4, ">= 0"),
    "an unknown kind": (line(4, b'"kind":"start"', b'"kind":"stop"'), 4, "Invalid enum value"),
    "an unknown node": (line(4, b'"node":"n3"', b'"node":"n9"'), 4, "no node 'n9'"),
    "a later cause": (line(ARRIVED, CAUSE, b'"cause":99'), ARRIVED, "later cause, 99"),
    "an arrival before": (
        line(SENT, ARRIVAL, b'"arrival":0'),
        SENT,
        f"does not arrive at {NODE} in 0",
    ),
    "an arrival beyond": (
        line(SENT, ARRIVAL, b'"arrival":9999'),
        SENT,
        f"does not arrive at {NODE} in 9999",
    ),
    "two equal ids": (line(1, b'"n3"', b'"n1"'), 1, "same id"),
    "a violation nowhere": (line(1, b'"record":20', b'"record":99999'), 1, "not among these"),
    "an operation nowhere": (line(1, b'"complete":9', b'"complete":99999'), 1, "not among these"),
    "deep values": (line(4, b'"value":null', b'"value":' + DEEP), 4, "nested too deeply"),
    "very deep values": (line(4, b'"value":null', b'"value":' + b"[" * 9999), 4, "deeply"),
    "a Map that is none": (line(4, b'{"$map":[]}', b'{"$map":[1]}'), 4, "misspelled"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    content, number, why = REFUSED[case]
    path = write(tmp_path / "bad.jsonl", b"".join(content))
    with pytest.raises(Mistake) as refusal:
        read_trace(path)
    assert str(refusal.value).startswith(f"{path}:{number}: ")
    assert why in str(refusal.value)


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="cannot read the trace"):
        read_trace(tmp_path / "none.jsonl")


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_altered_file_gets_past_the_reader(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is altered: a trace or a Mistake, and nothing else."""
    content = bytearray(b"".join(LINES[:14]) + b'{"quorate":"end","steps":13}\n')
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(
            st.sampled_from(
                [b"", b"9", b'"', b"[", b"{", b"null", b"\n", b"\\ud800", b"-1", b"1e9"]
            )
        )
    path = write(tmp_path / "altered.jsonl", bytes(content))
    with suppress(Mistake):
        assert isinstance(read_trace(path), Trace)
