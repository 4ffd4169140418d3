"""What led to a step, and the vector clocks that ShiViz reads."""

import json
import re

import pytest

from quorate.protocols.consensus.paxos_scenario import scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.trace import Header, Step, Trace, causal_past, from_records, shiviz
from quorate.trace.trace import Assignment, Sending


def paxos(seed: int) -> tuple[World, Trace]:
    world = World(scenario, Tape(seed))
    world.run()
    nodes = [str(id) for id in scenario.servers()]
    clients = [str(id) for id in scenario.client_ids()]
    return world, from_records(
        Header(scenario="paxos", nodes=nodes, clients=clients), world.records
    )


def step(id: int, node: str, cause: int = -1, changes: bool = False, **more: object) -> Step:
    changed = {"x": Assignment(id)} if changes else {}
    return Step(
        id=id, time=id, kind="deliver", node=node, label=f"{node} #{id}", type="M", cause=cause,
        changes=changed, **more,
    )  # fmt: skip


def test_a_step_rests_on_its_cause_and_on_its_nodes_last_change() -> None:
    steps = [
        step(0, "a", changes=True),
        step(1, "b", changes=True),
        step(2, "a"),  # Changes nothing, and nothing comes of it.
        step(3, "a"),  # Changes nothing, but sends what step 4 handles.
        step(4, "b", cause=3, changes=True),
        step(5, "a", changes=True),  # Comes later at another node.
        step(6, "b", cause=4),
    ]
    assert causal_past(steps, 6) == {6, 4, 3, 1, 0}


@pytest.mark.parametrize("seed", range(4))
def test_records_and_steps_have_the_same_past(seed: int) -> None:
    world, trace = paxos(seed)
    for id in range(0, len(trace.steps), 17):
        past = causal_past(world.records, id)
        assert past == causal_past(trace.steps, id)
        assert max(past) == id
        assert {trace.steps[one].cause for one in past} - {-1} <= past


@pytest.mark.parametrize("seed", range(4))
def test_shiviz_clocks_are_those_of_the_messages(seed: int) -> None:
    _, trace = paxos(seed)
    text = "\n".join(shiviz(trace))
    parser, delimiter, log = text.split("\n", 2)
    assert delimiter == ""
    found = list(re.finditer(parser.replace("(?<", "(?P<"), log))
    steps = [one for one in trace.steps if one.node]
    assert len(found) == len(steps)
    clocks = {one.id: json.loads(match["clock"]) for one, match in zip(steps, found, strict=True)}
    counts: dict[str, int] = {}
    for one, match in zip(steps, found, strict=True):
        counts[one.node] = counts.get(one.node, 0) + 1
        assert match["host"] == one.node
        assert clocks[one.id][one.node] == counts[one.node]
        if one.kind == "deliver" and one.source != one.node:
            sender = clocks[one.cause]
            assert all(clocks[one.id].get(node, 0) >= count for node, count in sender.items())


def test_a_shiviz_event_is_one_line_whatever_its_label() -> None:
    evil = step(0, "a", sends=[Sending(to="a", type="M")])
    evil.label = 'x\n{"a": 9}\r\u2028"'
    log = list(shiviz(Trace(Header(scenario="evil", nodes=["a"]), [evil])))
    assert len(log) == 4
    assert not any(len(one.splitlines()) > 1 for one in log if one)
