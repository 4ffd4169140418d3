"""Nodes made of nodes: one step, one record, one crash, and addresses that are paths."""

import msgspec
import pytest

from quorate.kernel import (
    ChildStepped,
    Durable,
    Env,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Request,
    Response,
    Start,
    Stored,
    Timer,
    ToChild,
    on,
    run_child,
    step,
)
from quorate.kernel.composition import ChildTimer
from quorate.kernel.env import Send, SetTimer, Store
from quorate.kernel.node import check_classes, recover
from quorate.scenario.fault import Crash, Fault, Restart
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Label, Tape
from quorate.scenario.workload import Workload
from quorate.simulate.world import World
from quorate.trace.encoding import spell_out
from quorate.trace.record import kind_of
from quorate.trace.trace import Header


class Add(Message):
    amount: int


class Flush(Timer):
    pass


class Counter(Node):
    """Adds up what its peers tell it; `total` is durable, `heard` is not."""

    total: Durable[int] = 0
    heard: int = 0
    flushed: int = 0
    started: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        self.started += 1
        env.after(1000, Flush())

    @on(Add)
    def add(self, msg: Add, env: Env) -> None:
        self.total += msg.amount
        self.heard += 1

    @on(Flush)
    def flush(self, timer: Flush, env: Env) -> None:
        self.flushed += 1
        env.store("total", self.total)

    @on(Stored)
    def stored(self, event: Stored, env: Env) -> None:
        self.flushed += 100


class Shop(Node):
    """Has one counter of its own, and one for each key."""

    counter: Counter = msgspec.field(default_factory=lambda: Counter(id=NodeId("counter")))
    shards: Map[str, Counter] = Map()
    told: int = 0

    @on(Request)
    def buy(self, msg: Request, env: Env) -> None:
        key = msg.operation.key or "x"
        if key not in self.shards:
            self.shards = self.shards.set(key, Counter(id=NodeId(f"{self.id}/shards.{key}")))
        run_child(self, f"shards.{key}", Add(1), env)
        for peer in self.peers:
            env.send(peer, ToChild("counter", "", Add(1)))
        env.reply(Response(msg.number, None))

    @on(ChildStepped)
    def count(self, event: ChildStepped, env: Env) -> None:
        self.told += 1

    @on(Add)
    def never(self, msg: Add, env: Env) -> None:
        raise AssertionError("the message was for the child")


N1, N2 = NodeId("n1"), NodeId("n2")


def env_of(node: Node) -> Env:
    return Env(node.id, node.peers, lambda name, options: options[0])


def shop(id: NodeId) -> Shop:
    return Shop(id=id, peers=(N1, N2))


def test_a_message_for_a_child_is_handled_in_one_step_of_the_parent() -> None:
    node = shop(N2)
    env = env_of(node)
    env.sender = N1
    after = step(node, ToChild("counter", "counter", Add(5)), env)
    assert (after.counter.total, after.told) == (5, 1)
    assert node.counter.total == 0


def test_what_a_child_sends_sets_and_stores_is_addressed_by_its_path() -> None:
    node = shop(N1)
    env = env_of(node)
    started = step(node, Start(), env)
    assert started.counter.started == 1
    assert env.effects == [SetTimer(ChildTimer("counter", Flush()), 1000, 1000)]
    env.effects = []
    flushed = step(started, ChildTimer("counter", Flush()), env)
    assert env.effects == [Store("counter/total", 0)]
    env.effects = []
    stored = step(flushed, Stored("counter/total"), env)
    assert stored.counter.flushed == 101


def test_a_child_of_a_child_is_reached_level_by_level() -> None:
    class Mall(Node):
        shop: Shop = msgspec.field(default_factory=lambda: Shop(id=NodeId("shop")))

    node = Mall(id=N1, peers=(N1, N2))
    env = env_of(node)
    env.sender = NodeId("c1")
    step(node, ToChild("shop", "", Request(1, Operation("buy", "x"))), env)
    sends = [effect for effect in env.effects if isinstance(effect, Send)]
    inner = ToChild("counter", "", Add(1))  # Sent by the shop itself, to the other's counter.
    assert Send((N2,), ToChild("shop", "shop", inner)) in sends


def test_recovery_keeps_the_durable_fields_of_children() -> None:
    crashed = shop(N1)
    crashed.counter = Counter(id=NodeId("n1/counter"), total=7, heard=3)
    crashed.shards = Map({"x": Counter(id=NodeId("n1/shards.x"), total=2, heard=2)})
    node = recover(shop(N1), crashed)
    assert (node.counter.total, node.counter.heard) == (7, 0)
    assert (node.shards["x"].total, node.shards["x"].heard) == (2, 0)


def test_a_key_with_a_slash_names_no_child() -> None:
    node = msgspec.structs.replace(shop(N1), shards=Map({"a/b": Counter(id=N1)}))
    with pytest.raises(LookupError, match=r"'shards\.a/b' names no child: a slash separates"):
        run_child(node, "shards.a/b", Add(1), env_of(node))


def test_children_are_fields_whose_class_handles_what_its_parent_does_not() -> None:
    check_classes([Shop])


def test_an_unknown_child_is_named() -> None:
    with pytest.raises(LookupError, match="Shop has no child 'cellar'"):
        step(shop(N1), ToChild("cellar", "", Add(1)), env_of(shop(N1)))


def buy(bits: int, client: int, slot: int) -> Operation:
    return Operation("buy", "xy"[slot % 2])


def bought(count: int, faults: dict[Label, list[Fault]] | None = None) -> World:
    """Two shops, in one of which a client has bought so often."""
    scenario = Scenario(
        name="shop",
        node=Shop,
        client_fields={"retry": 0},
        nodes=2,
        clients=1,
        workload=Workload(model="", draw=buy, slots=count),
        heal=0,
    )
    choices = {("invoke c1", slot): (slot, buy(0, 0, slot)) for slot in range(count)}
    world = World(scenario, Tape(None, choices, faults))
    world.run()
    return world


def test_children_live_crash_and_recover_in_a_world() -> None:
    world = bought(4, {("deliver c1→n1 Request", 3): [Crash(N1), Restart(N1)]})
    other = world.hosts[N2].node
    assert isinstance(other, Shop)
    assert world.violation is None
    assert other.counter.total == 3  # The fourth left n1 no more: it was not yet on its disk.
    node = world.hosts[N1].node
    assert isinstance(node, Shop)
    assert node.counter.total == 2  # The third had arrived, but was not synced either.
    assert sum(child.total for child in node.shards.values()) == 3
    assert all(child.heard == 0 for child in node.shards.values())


def test_labels_name_what_children_are_told() -> None:
    world = bought(2)
    told = [record for record in world.records if record.series == "deliver n1→n2 counter/Add"]
    assert [record.ordinal for record in told] == [0, 1]
    assert any(record.series == "fire n1 counter/Flush" for record in world.records)
    step = next(step for step in spell_out(Header(scenario="shop", nodes=["n1", "n2"]), told))
    assert (step.type, step.fields) == ("counter/Add", {"amount": 1})
    inner = ToChild("shards.x", "", ToChild("left", "", Add(1)))
    assert kind_of(inner) == "shards/left/Add"
    assert kind_of(ChildTimer("shards.x", Flush())) == "shards/Flush"
