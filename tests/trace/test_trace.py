"""Traces spelled out: nothing is lost on the way, and any state can be rebuilt."""

from functools import cache

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.kernel import Log, Map, Message, Node, NodeId, Set, Start
from quorate.protocols.consensus.paxos_scenario import scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.trace import Header, Record, Trace, from_records, spell, state_at
from quorate.trace.trace import Assignment, LogChange, MapChange, SetChange


@cache
def run(seed: int) -> list[Record]:
    world = World(scenario, Tape(seed))
    world.run()
    return world.records


def header() -> Header:
    nodes = [str(id) for id in scenario.servers()]
    return Header(scenario="paxos", nodes=nodes, clients=[str(id) for id in scenario.client_ids()])


def assert_states_rebuild(records: list[Record], trace: Trace) -> None:
    for record in records:
        if record.after is not None:
            fields = (f for f in record.after.__struct_fields__ if f != "id")
            spelled = {field: spell(getattr(record.after, field)) for field in fields}
            assert state_at(trace, record.node, record.id) == spelled


def test_any_state_can_be_rebuilt_from_the_changes() -> None:
    for seed in range(6):
        assert_states_rebuild(run(seed), from_records(header(), run(seed)))


def test_sends_name_the_step_in_which_they_arrive() -> None:
    losses = set()
    for seed in range(6):
        trace = from_records(header(), run(seed))
        losses |= {sending.lost for step in trace.steps for sending in step.sends}
        arrivals = {s.arrival: step for step in trace.steps for s in step.sends if s.arrival >= 0}
        for step in trace.steps:
            if step.kind == "deliver":
                sender = arrivals[step.id]
                assert (sender.node, sender.id) == (step.source, step.cause)
    assert {"", "lost"} <= losses


class Inner(msgspec.Struct, frozen=True):
    table: Map[str, int] = Map()
    number: int = 0


class Ping(Message):
    pass


class Toy(Node):
    number: int | None = None
    table: Map[NodeId, tuple[int, str]] = Map()
    members: Set[tuple[NodeId, int]] = Set()
    log: Log[int] = Log(start=1)
    inner: Inner = Inner()
    maybe: Inner | None = None


numbers = st.integers(-3, 300)
nodes = st.sampled_from([NodeId("n1"), NodeId("n10"), NodeId("n2"), NodeId("ü")])
edits = st.one_of(
    st.tuples(st.just("number"), st.none() | numbers),
    st.tuples(st.just("set"), nodes, numbers),
    st.tuples(st.just("remove"), nodes),
    st.tuples(st.just("add"), nodes, numbers),
    st.tuples(st.just("clear")),
    st.tuples(st.just("append"), numbers),
    st.tuples(st.just("truncate"), numbers),
    st.tuples(st.just("compact"), numbers),
    st.tuples(st.just("inner"), st.text(max_size=2), numbers),
    st.tuples(st.just("maybe"), st.booleans()),
)


def edit(node: Toy, what: str, *arguments: object) -> None:
    match what, *arguments:
        case "number", number:
            node.number = number
        case "set", key, number:
            node.table = node.table.set(key, (number, "x"))
        case "remove", key:
            node.table = node.table.remove(key) if key in node.table else node.table
        case "add", key, number:
            node.members |= {(key, number)}
        case ("clear",):
            node.members = Set()
        case "append", number:
            node.log = node.log.append(number)
        case "truncate", number:
            node.log = node.log.truncate(max(node.log.start, number))
        case "compact", number:
            node.log = node.log.compact(min(node.log.start + abs(number) % 5, node.log.end))
        case "inner", key, number:
            node.inner = Inner(node.inner.table.set(key, number), number)
        case "maybe", exists:
            node.maybe = node.inner if exists else None


def record(id: int, before: Toy, after: Toy) -> Record:
    node, kind, event = NodeId("n1"), "deliver" if id else "start", Ping() if id else Start()
    return Record(
        id, id, kind, node, 0, "toy", id, event, -1, None, before, after, (), [], id, id, id
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(edits, max_size=3), max_size=12))
def test_whatever_a_step_does_to_its_values_can_be_rebuilt(steps: list[list[tuple]]) -> None:
    node = Toy(id=NodeId("n1"))
    records = [record(0, node, node)]
    for several in steps:
        after: Toy = node.__copy__()
        for one in several:
            edit(after, *one)
        records.append(record(len(records), node, after))
        node = after
    trace = from_records(Header(scenario="toy", nodes=["n1"]), records)
    assert_states_rebuild(records, trace)
    for one, spelled in zip(records, trace.steps, strict=True):
        assert one.before is not None
        assert bool(spelled.changes) == (one.id == 0 or spell(one.before) != spell(one.after))


def test_a_change_is_spelled_as_a_change() -> None:
    before = Toy(id=NodeId("n1"), table=Map({NodeId("n1"): (1, "x")}), log=Log([1, 2, 3], start=1))
    after: Toy = before.__copy__()
    after.number = 7
    after.table = before.table.set(NodeId("n2"), (2, "y")).remove(NodeId("n1"))
    after.members |= {(NodeId("n3"), 1)}
    after.log = before.log.truncate(2).append(9)
    after.inner = Inner(Map({"k": 1}))
    steps = [record(0, before, before), record(1, before, after)]
    trace = from_records(Header(scenario="toy", nodes=["n1"]), steps)
    assert trace.steps[1].changes == {
        "number": Assignment(7),
        "table": MapChange([("n2", [2, "y"])], ["n1"]),
        "members": SetChange([["n3", 1]], []),
        "log": LogChange(1, 2, [9], cut=2),
        "inner.table": MapChange([("k", 1)], []),
    }


def test_the_role_stands_in_every_step_of_a_server() -> None:
    trace = from_records(header(), run(1), role=lambda node: "decided" if node.decided else "open")
    roles = {step.role for step in trace.steps if step.node.startswith("n") and step.changes}
    assert roles == {"open", "decided"}
    assert all(not step.role for step in trace.steps if step.node.startswith("c"))
