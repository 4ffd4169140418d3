"""Nodes: the handler table, steps, durable fields, and what is refused as a node."""

import sys
from types import ModuleType

import msgspec
import pytest

from quorate.kernel import (
    BatchEnd,
    Durable,
    Env,
    Event,
    Log,
    Map,
    Message,
    Node,
    NodeId,
    Set,
    Start,
    Stored,
    Timer,
    fingerprint,
    on,
    step,
)
from quorate.kernel.env import CancelTimer, Send, SetTimer, Store
from quorate.kernel.node import check_classes, child_fields, durable_fields, recover

N1, N2 = IDS = (NodeId("n1"), NodeId("n2"))


class Ping(Message):
    number: int


class Pong(Message):
    number: int


class Tick(Timer):
    pass


class Counter(Node):
    total: Durable[int] = 0
    seen: Durable[Set[int]] = Set()
    last: int | None = None

    @on(Ping)
    def count(self, msg: Ping, env: Env) -> None:
        self.total += msg.number
        self.seen |= {msg.number}
        self.last = msg.number
        env.reply(Pong(self.total))

    @on(Pong, Tick)
    def rest(self, event: Pong | Tick, env: Env) -> None:
        self.last = None


class Pair(Node):
    left: Counter = msgspec.field(default_factory=lambda: Counter(id=NodeId("n1/left")))
    name: Durable[str] = ""

    @on(Ping, Pong, Tick)
    def ignore(self, event: Event, env: Env) -> None:
        pass


def env_of(id: NodeId = N1) -> Env:
    env = Env(id, IDS, lambda name, options: options[0])
    env.sender = N2
    return env


def counter(**fields: object) -> Counter:
    return Counter(id=N1, peers=IDS, **fields)  # type: ignore[arg-type]


def module_of(name: str, source: str) -> ModuleType:
    """A module of that source, as a user's file would be."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(source, vars(module))
    return module


def test_the_handler_table_names_each_event_once() -> None:
    assert set(Counter.handlers) == {Ping, Pong, Tick}
    assert Counter.handlers[Pong] is Counter.handlers[Tick]


def test_a_subclass_inherits_and_replaces_handlers() -> None:
    class Doubling(Counter):
        @on(Ping)
        def double(self, msg: Ping, env: Env) -> None:
            self.total += 2 * msg.number

    node = Doubling(id=N1, peers=IDS)
    assert step(node, Ping(4), env_of()).total == 8
    assert step(node, Tick(), env_of()).last is None
    assert step(counter(), Ping(4), env_of()).total == 4


def test_an_event_has_one_handler() -> None:
    with pytest.raises(TypeError, match="Twice handles Ping twice, see second"):

        class Twice(Node):
            @on(Ping)
            def first(self, msg: Ping, env: Env) -> None:
                pass

            @on(Ping)
            def second(self, msg: Ping, env: Env) -> None:
                pass


@pytest.mark.parametrize("culprit", [int, Counter, "Ping", Ping(1)])
def test_only_events_have_handlers(culprit: object) -> None:
    with pytest.raises(TypeError, match="not a Message, a Timer or an event of the host"):
        on(culprit)(lambda self, event, env: None)  # type: ignore[arg-type]


def test_a_step_leaves_the_state_before_it_unchanged() -> None:
    before = counter(total=1, seen=Set({1}))
    print_before = fingerprint(before)
    after = step(before, Ping(4), env_of())
    assert (after.total, after.seen, after.last) == (5, Set({1, 4}), 4)
    assert (before.total, before.seen, before.last) == (1, Set({1}), None)
    assert fingerprint(before) == print_before != fingerprint(after)


def test_a_step_shares_what_it_does_not_change() -> None:
    before = counter(total=1, seen=Set({1}))
    after = step(before, Tick(), env_of())
    assert after.seen is before.seen
    assert after is not before


def test_equal_steps_have_equal_outcomes() -> None:
    first, second = env_of(), env_of()
    node = counter()
    assert step(node, Ping(4), first) == step(node, Ping(4), second)
    assert first.effects == second.effects == [Send((N2,), Pong(4))]


def test_an_event_without_a_handler_is_an_error() -> None:
    with pytest.raises(LookupError, match="Counter has no handler for Stored"):
        step(counter(), Stored("snapshot"), env_of())


@pytest.mark.parametrize("event", [Start(), BatchEnd()])
def test_the_start_and_the_end_of_a_batch_need_no_handler(event: Event) -> None:
    node = counter(total=3)
    assert step(node, event, env_of()) == node


def test_effects_are_left_in_order() -> None:
    env = env_of()
    env.send(N2, Ping(1))
    env.broadcast(Ping(2), ahead=True)
    env.multicast((N2,), Ping(3))
    env.after(5, Tick())
    env.after((5, 9), Tick())
    env.cancel(Tick())
    env.store("snapshot", (1, 2))
    assert env.effects == [
        Send((N2,), Ping(1)),
        Send(IDS, Ping(2), ahead=True),
        Send((N2,), Ping(3)),
        SetTimer(Tick(), 5, 5),
        SetTimer(Tick(), 5, 9),
        CancelTimer(Tick()),
        Store("snapshot", (1, 2)),
    ]
    assert env.choose("side", ("left", "right")) == "left"


def test_messages_are_values() -> None:
    assert Ping(1) == Ping(1) != Pong(1)
    assert len({Ping(1), Ping(1), Tick(), Tick()}) == 2
    with pytest.raises(AttributeError):
        Ping(1).number = 2  # type: ignore[misc]


def test_durable_fields_survive_a_crash_and_others_do_not() -> None:
    assert durable_fields(Counter) == ("total", "seen")
    crashed = counter(total=3, seen=Set({3}), last=3)
    assert recover(counter(), crashed) == counter(total=3, seen=Set({3}))
    assert recover(counter(last=7), crashed).last == 7


def test_durable_fields_of_annotations_that_are_strings() -> None:
    """As they are under `from __future__ import annotations`, in whatever order of definition."""
    module = module_of(
        "strings",
        "from __future__ import annotations\n"
        "from quorate.kernel import Durable, Node\n"
        "class Register(Node):\n"
        "    kept: Durable[Value | None] = None\n"
        "    lost: Value | None = None\n"
        "Value = int\n",
    )
    assert durable_fields(module.Register) == ("kept",)
    check_classes((module.Register,))


def test_a_child_recovers_with_its_parent() -> None:
    assert child_fields(Pair) == ("left",)
    child = Counter(id=NodeId("n1/left"), total=3, last=3)
    crashed = Pair(id=N1, left=child, name="pair")
    recovered = recover(Pair(id=N1), crashed)
    assert (recovered.name, recovered.left.total, recovered.left.last) == ("pair", 3, None)
    assert crashed.left.last == 3


def test_what_was_stored_is_loaded_by_name_and_kind() -> None:
    start = Start(True, Map({"snapshot": (1, 2)}))
    assert start.load("snapshot", tuple) == (1, 2)
    assert start.load("other", tuple) is None
    with pytest.raises(AssertionError, match="snapshot is not a str"):
        start.load("snapshot", str)


def test_complete_classes_are_accepted() -> None:
    check_classes((Counter, Pair))


def test_a_forgotten_handler_is_refused() -> None:
    module = module_of(
        "forgetful",
        "from quorate.kernel import Env, Message, Node, Timer, on\n"
        "class Ask(Message):\n    pass\n"
        "class Wake(Timer):\n    pass\n"
        "class Sleeper(Node):\n"
        "    @on(Ask)\n"
        "    def hear(self, msg, env):\n        pass\n",
    )
    with pytest.raises(TypeError, match=r"nothing handles Wake: add @on\(Wake\) to Sleeper"):
        check_classes((module.Sleeper,))


@pytest.mark.parametrize(
    ("annotation", "culprit"),
    [
        ("dict[str, int]", "dict"),
        ("list[int]", "list"),
        ("frozenset[int]", "frozenset"),
        ("float", "float"),
        ("Any", "Any"),
        ("Map[str, list[int]]", "list"),
        ("Durable[set[int]]", "set"),
        ("int | bytearray", "bytearray"),
    ],
)
def test_a_field_that_can_change_in_place_is_refused(annotation: str, culprit: str) -> None:
    module = module_of(
        "mutable",
        "from typing import Any\nfrom quorate.kernel import Durable, Map, Node\n"
        f"class Shelf(Node):\n    books: {annotation} = None\n",
    )
    with pytest.raises(TypeError, match=f"Shelf.books: {culprit} is not immutable"):
        check_classes((module.Shelf,))


class Fine(Node):
    number: int = 0
    flag: bool | None = None
    pairs: tuple[tuple[str, int], ...] = ()
    votes: Map[NodeId, Set[int]] = Map()
    log: Durable[Log[Ping]] = Log()


def test_immutable_fields_are_accepted() -> None:
    check_classes((Fine, Counter))
    node = Fine(id=N1)
    with pytest.raises(AttributeError):
        node.color = 1  # type: ignore[attr-defined]
    assert msgspec.structs.asdict(node)["votes"] == Map()
