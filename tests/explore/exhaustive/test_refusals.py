"""Nodes that cannot be explored, and bounds that make no sense: named, and never a crash."""

from typing import Any

import pytest

from quorate.errors import Mistake
from quorate.explore.exhaustive import Limits, explore
from quorate.explore.exhaustive.growth import size
from quorate.explore.resources import Room
from quorate.kernel import Env, Map, Message, Node, NodeId, Start, on
from quorate.scenario.scenario import Scenario
from tests.explore.exhaustive.systems import Asker, Speaker, scenario

MEMORY = [0]


class Note(Message):
    value: Any = None


class Clocked(Node):
    started: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        self.started = env.now


class Walled(Node):
    started: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        self.started = env.wall


class Moody(Node):
    mood: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        MEMORY[0] += 1
        self.mood = MEMORY[0]


class Vague(Node):
    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.send(self.id, Note(0.5))

    @on(Note)
    def hear(self, msg: Note, env: Env) -> None:
        pass


class Lost(Node):
    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.send(NodeId("n9"), Note())

    @on(Note)
    def hear(self, msg: Note, env: Env) -> None:
        pass


class Raises(Node):
    count: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.send(self.id, Note(1))

    @on(Note)
    def hear(self, msg: Note, env: Env) -> None:
        self.count = 1 // (1 - int(msg.value))


class Endless(Node):
    count: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.send(self.id, Note(0))

    @on(Note)
    def hear(self, msg: Note, env: Env) -> None:
        self.count += 1
        env.send(self.id, Note(0))


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        (Clocked, {}, ["n1", "env.now"]),
        (Walled, {}, ["n1", "env.wall"]),
        (Moody, {"self_check": True}, ["Moody.mood", "same step"]),
        (Moody, {}, ["Moody.mood", "same step"]),
        (Vague, {}, ["Note", "float"]),
        (Lost, {}, ["n1", "n9", "no node"]),
    ],
)
def test_nodes_that_cannot_be_explored_are_named(
    kind: type[Node], how: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(Mistake) as caught:
        explore(scenario(kind, nodes=1), **how)
    for word in words:
        assert word in str(caught.value)


def test_a_property_that_raises_is_named() -> None:
    from quorate.kernel import always

    @always
    def odd(nodes: Any) -> bool:
        """Nothing has this field."""
        return bool(nodes[0].heard[7])

    with pytest.raises(Mistake, match="property odd raised IndexError"):
        explore(scenario(Speaker, odd))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "pigeons"}, "set, multiset, fifo, rpc"),
        ({"network": "set", "duplicate": True}, "leave out duplicate"),
        ({"network": "rpc", "duplicate": True}, "cannot be duplicated"),
        ({"crashes": -1}, "whole numbers"),
        ({"balots": 2}, "no bound 'balots'"),
        ({"reduce": ("symetry",)}, "there are symmetry"),
        ({"reduce": ("symmetry",), "crashes": 1}, "not sound with crashes"),
        ({"reduce": ("symmetry",)}, "declares no interchangeable nodes"),
        ({"limits": Limits(depth=3, is_breadth_first=False)}, "depth first would miss states"),
    ],
)
def test_bounds_that_make_no_sense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Mistake, match=words):
        explore(scenario(Speaker), **changes)


def test_a_handler_that_raises_is_a_failure_of_the_node() -> None:
    result = explore(scenario(Raises, nodes=1))
    assert result.violates == "no_exception"
    assert result.schedule is not None
    assert result.schedule.violates == "no_exception"


def test_a_handler_that_never_ends_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from quorate.simulate import watchdog

    class Hangs(Node):
        @on(Start)
        def start(self, event: Start, env: Env) -> None:
            while env is not None:
                pass

    monkeypatch.setattr(watchdog, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(watchdog, "_watchdogs", watchdog.threading.local())
    result = explore(scenario(Hangs, nodes=1))
    assert result.violates == "step_ends"


def infinite() -> Scenario:
    return scenario(Endless, nodes=1)


@pytest.mark.parametrize(
    ("limits", "stopped"),
    [
        (Limits(states=5000), "states"),
        (Limits(seconds=0.05), "0.05 s"),
        (Limits(depth=50), "depth 50"),
    ],
)
def test_an_infinite_space_is_stopped_and_unknown(limits: Limits, stopped: str) -> None:
    result = explore(infinite(), limits=limits)
    assert result.verdict.value == "unknown"
    assert stopped in result.stopped
    assert not result.is_exhausted
    assert result.progress.states > 0


def test_states_are_counted_to_the_limit_and_hardly_beyond() -> None:
    assert explore(infinite(), limits=Limits(states=70)).progress.states in range(70, 73)


def test_memory_that_is_used_up_stops_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter(range(50, 10**6))
    monkeypatch.setattr(Room, "used", lambda self: next(used) << 20)
    result = explore(infinite(), limits=Limits(memory_bytes=60 << 20))
    assert "MiB of memory" in result.stopped
    assert result.verdict.value == "unknown"


def test_a_limit_below_what_is_used_already_is_refused() -> None:
    with pytest.raises(Mistake, match="a limit of 1 MiB is too small: the process holds"):
        explore(infinite(), limits=Limits(memory_bytes=1 << 20))


@pytest.mark.parametrize("breadth", [True, False])
def test_what_grows_without_end_is_named(breadth: bool) -> None:
    limits = Limits(states=300, is_breadth_first=breadth)
    result = explore(infinite(), limits=limits)
    assert result.growing[0].startswith("Endless.count (to ")
    assert not explore(infinite(), limits=Limits(states=300), within=few).growing


def few(node: Endless, bounds: object) -> bool:
    return node.count < 9


def test_sizes_are_of_what_is_inside() -> None:
    assert size(-7) == 7
    assert size(True) == size(None) == 0
    assert size("abc") == 3
    assert size((1, (2, 3))) == 2 + 1 + 2 + 2 + 3
    assert size(Note(4)) == 4
    assert size(Map({"a": 5})) == 6


def test_an_interrupt_keeps_what_was_covered() -> None:
    def interrupt(progress: Any) -> None:
        if progress.states > 3000:
            raise KeyboardInterrupt

    result = explore(infinite(), report=interrupt)
    assert result.stopped == "interrupted"
    assert result.verdict.value == "unknown"
    assert result.progress.states > 3000


def test_several_processes_need_what_they_can_load() -> None:
    with pytest.raises(Mistake, match="the catalogue has no 'small'"):
        explore(scenario(Asker), jobs=2)
