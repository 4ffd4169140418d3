"""The trace hash: equal for equal runs in any process, different for whatever differs."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from quorate.kernel import NodeId
from quorate.protocols.consensus.paxos_scenario import scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.trace import Record, trace_hash

SCRIPT = """
from quorate.protocols.consensus.paxos_scenario import scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.trace import trace_hash
for seed in range(20):
    world = World(scenario, Tape(seed))
    world.run()
    print(trace_hash(world.records))
"""


def run(seed: int) -> list[Record]:
    world = World(scenario, Tape(seed))
    world.run()
    return world.records


def test_equal_in_processes_that_hash_differently() -> None:
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].split())) == 20
    assert outputs[0].decode().split()[3] == trace_hash(run(3))


def deliveries(records: list[Record]) -> list[Record]:
    return [record for record in records if record.kind == "deliver"]


def another_event(record: Record) -> Record:
    return replace(record, event=deliveries(run(9))[-1].event)


SABOTAGES: dict[str, Callable[[Record], Record]] = {
    "time": lambda record: replace(record, time=record.time + 1),
    "node": lambda record: replace(record, node=NodeId("n9")),
    "incarnation": lambda record: replace(record, incarnation=1),
    "label": lambda record: replace(record, ordinal=record.ordinal + 1),
    "cause": lambda record: replace(record, cause=record.cause - 1),
    "event": another_event,
    "release": lambda record: replace(record, released=record.released + 1),
    "choices": lambda record: replace(record, choices=("n2",)),
}


@pytest.mark.parametrize("what", SABOTAGES)
def test_every_part_of_a_step_counts(what: str) -> None:
    records = run(3)
    place = deliveries(records)[10].id
    altered = [*records[:place], SABOTAGES[what](records[place]), *records[place + 1 :]]
    assert trace_hash(altered) != trace_hash(records)


def test_final_states_count() -> None:
    records = run(3)
    last = next(record for record in reversed(records) if record.node == "n1" and record.after)
    altered = last.after.__copy__()
    altered.decided = 99
    changed = [*records[: last.id], replace(last, after=altered), *records[last.id + 1 :]]
    assert trace_hash(changed) != trace_hash(records)


def test_a_missing_step_counts() -> None:
    records = run(3)
    assert trace_hash(records[:-1]) != trace_hash(records)
