"""The stepping engine without sockets: what is released when, what fires, what is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.cli.host_mutants import HOST, HOST_MUTANTS
from quorate.explore.catalogue import mutate
from quorate.kernel import (
    BatchEnd,
    Durable,
    Env,
    Invoke,
    Map,
    Message,
    Node,
    NodeId,
    Operation,
    Stored,
    Timer,
    ms,
    on,
)
from quorate.live.clock import Clock
from quorate.live.codec import Codec
from quorate.live.durable import Durable as DurableState
from quorate.live.host import FREED, Host
from quorate.scenario.mutant import Mutant

N1, N2 = NodeId("n1"), NodeId("n2")


class Put(Message):
    value: int


class Ack(Message):
    value: int


class Look(Message):
    pass


class Seen(Message):
    value: int


class Ahead(Message):
    value: int


class Alarm(Timer):
    value: int


class Keeper(Node):
    """Keeps each value, acknowledges it, and tells n2 of it ahead of the sync."""

    kept: Durable[tuple[int, ...]] = ()
    batches: int = 0
    alarms: tuple[int, ...] = ()
    acknowledged: int = 0
    stored: tuple[str, ...] = ()

    @on(Put)
    def put(self, msg: Put, env: Env) -> None:
        self.kept = (*self.kept, msg.value)
        env.reply(Ack(msg.value))
        env.send(N2, Ahead(msg.value), ahead=True)

    @on(Look)
    def show(self, msg: Look, env: Env) -> None:
        env.reply(Seen(self.kept[-1]))

    @on(Ack, Ahead, Seen)
    def note(self, msg: Ack | Ahead | Seen, env: Env) -> None:
        self.acknowledged += 1

    @on(BatchEnd)
    def end(self, event: BatchEnd, env: Env) -> None:
        self.batches += 1

    @on(Alarm)
    def ring(self, event: Alarm, env: Env) -> None:
        self.alarms = (*self.alarms, event.value)

    @on(Invoke)
    def ask(self, event: Invoke, env: Env) -> None:
        match event.operation.f:
            case "set":
                env.after(ms(event.operation.value), Alarm(7))
            case "cancel":
                env.cancel(Alarm(7))
            case "store":
                env.store("big", 5)
            case _:
                env.complete("ok", event.operation.value)

    @on(Stored)
    def durable(self, event: Stored, env: Env) -> None:
        self.stored = (*self.stored, event.name)


class World:
    """The network and the disk of a host, which note the order of what is done to them."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.buffered = 0
        self.fails = self.is_slow = False
        self.syncs: list[Callable[[], None]] = []
        codec = Codec((Keeper,))
        self.clock = SetClock()
        self.host = Host(codec, self.clock, self, self)
        self.hosted = self.host.add(Keeper(id=N1, peers=(N1, N2)), DurableState(Keeper, codec))
        self._codec = codec
        self.stores: list[Callable[[], None]] = []

    def send(self, source: NodeId, target: NodeId, origin: int, message: bytes) -> None:
        self.log.append(("send", target, self._codec.message(message)))

    def flush(self) -> None:
        if not self.log or self.log[-1] != ("flush",):
            self.log.append(("flush",))

    def append(self, record: bytes) -> None:
        self.buffered += 1

    def sync(self, done: Callable[[], None]) -> None:
        if self.fails:
            raise OSError("the disk is gone")
        self.log.append(("sync", self.buffered))
        self.buffered = 0
        if self.is_slow:
            self.syncs.append(done)
        else:
            done()

    def store(self, name: str, value: Any, done: Callable[[], None]) -> None:
        self.stores.append(done)

    @property
    def node(self) -> Any:
        return self.hosted.node


class SetClock(Clock):
    """A clock that stands until it is set."""

    time = 0

    def now(self) -> int:
        return self.time


def test_a_batch_has_one_sync_and_only_what_may_goes_ahead_of_it() -> None:
    world = World()
    world.host.deliver(N2, N1, Put(1), 0)
    world.host.deliver(N2, N1, Put(2), 0)
    assert not [event for event in world.log if event[0] == "sync"]
    world.host.turn()
    assert world.log == [
        ("send", N2, Ahead(1)),
        ("send", N2, Ahead(2)),
        ("flush",),
        ("sync", 2),
        ("send", N2, Ack(1)),
        ("send", N2, Ack(2)),
        ("flush",),
    ]
    assert (world.node.batches, world.host.syncs) == (1, 1)


def test_what_happens_while_the_disk_syncs_is_the_next_batch() -> None:
    world = World()
    world.is_slow = True
    world.host.deliver(N2, N1, Put(1), 0)
    world.host.turn()
    world.host.deliver(N2, N1, Look(), 0)
    world.host.deliver(N2, N1, Put(2), 0)
    world.host.deliver(N2, N1, Look(), 0)
    world.host.turn()
    world.log.clear()
    (first,) = world.syncs
    first()
    assert world.log == [("send", N2, Ack(1)), ("send", N2, Seen(1))]
    world.host.turn()
    assert world.log[2:] == [("flush",), ("sync", 1), ("flush",)]
    assert world.node.batches == 2
    world.log.clear()
    world.syncs[1]()
    assert world.log == [("send", N2, Ack(2)), ("send", N2, Seen(2))]
    world.host.deliver(N2, N1, Look(), 0)
    assert world.log[2:] == [("send", N2, Seen(2))], "nothing is unsynced: nothing waits"


@pytest.mark.parametrize("mutant", HOST_MUTANTS, ids=lambda mutant: mutant.name)
def test_a_host_that_releases_too_early_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: dict[str, Any] = {"__name__": HOST}
    exec(compile(mutate(HOST, mutant), "mutant", "exec"), broken)
    monkeypatch.setattr(Host, "_step", broken["Host"]._step)
    monkeypatch.setattr(Host, "_synced", broken["Host"]._synced)
    with pytest.raises(AssertionError):
        test_what_happens_while_the_disk_syncs_is_the_next_batch()


def test_nothing_is_released_if_the_sync_fails() -> None:
    world = World()
    world.fails = True
    world.host.deliver(N2, N1, Put(1), 0)
    with pytest.raises(OSError, match="gone"):
        world.host.turn()
    assert ("send", N2, Ack(1)) not in world.log


def test_a_message_to_oneself_arrives_in_the_same_turn_and_only_after_the_sync() -> None:
    world = World()
    world.host.deliver(N1, N1, Put(1), 0)
    assert world.node.acknowledged == 0
    world.host.turn()
    assert world.node.acknowledged == 1
    assert [event[0] for event in world.log] == ["send", "flush", "sync", "flush"]


def test_a_message_that_the_node_cannot_take_is_lost() -> None:
    world = World()
    before = world.node
    world.host.deliver(N2, NodeId("c9@n1.1"), Put(1), 0)
    world.host.deliver(N2, N1, Message(), 0)
    assert world.node is before


def test_a_timer_fires_once_when_due_and_the_last_setting_counts() -> None:
    world = World()
    wakings: list[int] = []
    world.host.wants_waking = wakings.append

    def set_to(milliseconds: int) -> None:
        world.host.invoke(world.hosted, Operation("set", None, milliseconds))

    set_to(10)
    set_to(30)  # Later: we may be woken at 10 all the same, but it must not fire.
    world.clock.time = ms(10)
    world.host.wake()
    assert world.node.alarms == ()
    world.clock.time = ms(30)
    world.host.wake()
    world.host.wake()
    assert world.node.alarms == (7,)
    set_to(50)
    set_to(20)  # Earlier.
    world.clock.time = ms(50)
    world.host.wake()
    world.clock.time = ms(90)
    world.host.wake()
    assert world.node.alarms == (7, 7)
    set_to(10)
    world.host.invoke(world.hosted, Operation("cancel"))
    world.clock.time = ms(200)
    world.host.wake()
    assert world.node.alarms == (7, 7)
    assert wakings[:4] == [ms(10), ms(30), ms(80), ms(50)]


def test_a_stored_value_is_told_when_it_is_done() -> None:
    world = World()
    world.host.invoke(world.hosted, Operation("store"))
    assert world.node.stored == ()
    world.stores[0]()
    assert world.node.stored == ("big",)


def test_an_operation_ends_where_the_client_is_told() -> None:
    world = World()
    ended: list[tuple[str, Any]] = []
    world.hosted.on_complete = lambda status, value: ended.append((status, value))
    world.host.invoke(world.hosted, Operation("say", None, 3))
    assert ended == [("ok", 3)]


def test_an_incarnation_begins_with_what_was_stored() -> None:
    world = World()
    world.host.start(world.hosted, True, Map({"big": 5}))
    assert world.host.steps == 1


def test_a_far_timer_fires_on_time_unless_it_was_cancelled_or_set_anew() -> None:
    world = World()

    def at(milliseconds: int) -> tuple[int, ...]:
        world.clock.time = ms(milliseconds)
        world.host.wake()
        alarms: tuple[int, ...] = world.node.alarms
        return alarms

    world.host.invoke(world.hosted, Operation("set", None, 2100))
    assert at(2000) == at(2099) == ()
    assert at(2100) == (7,)
    world.host.invoke(world.hosted, Operation("set", None, 2000))  # For 4100.
    world.host.invoke(world.hosted, Operation("set", None, 1200))  # For 3300.
    assert at(3299) == (7,)
    assert at(3300) == at(9000) == (7, 7)
    world.host.invoke(world.hosted, Operation("set", None, 2000))  # For 11000.
    world.host.invoke(world.hosted, Operation("cancel"))
    assert at(12_000) == (7, 7)
    world.host.invoke(world.hosted, Operation("set", None, 700))  # For 12700.
    world.host.invoke(world.hosted, Operation("set", None, 3000))  # For 15000.
    assert at(14_999) == (7, 7)
    assert at(15_000) == (7, 7, 7)


def test_what_logs_have_forgotten_goes_bit_by_bit() -> None:
    world = World()
    assert world.hosted.durable is not None
    outdated = world.hosted.durable.outdated
    outdated += range(2 * FREED + 1)
    for left in (FREED + 1, 1, 0, 0):
        world.host.turn()
        assert len(outdated) == left
