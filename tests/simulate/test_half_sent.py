"""A crash may come between two sends, also between those that had to wait for the disk."""

from collections.abc import Sequence

import pytest

from quorate.kernel import (
    MICROSECOND,
    Durable,
    Env,
    Message,
    Node,
    NodeId,
    Start,
    Timer,
    always,
    ms,
    on,
    sometimes,
)
from quorate.scenario.adversaries import HalfSent
from quorate.scenario.fault import Crash, Fault
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Label, Tape
from quorate.simulate.ordered import order_of, run_ordered
from quorate.simulate.world import World
from tests.simulate.test_replay import recorded, run, summary

N1, N2, N3, N4 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 5))


class Word(Message):
    number: int


class Again(Timer):
    pass


class Herald(Node):
    """n1 writes down what it says before it says it, twice in a row."""

    written: Durable[int] = 0
    heard: int = 0

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        if self.id == N1 and not event.recovered:
            env.after(100 * MICROSECOND, Again())  # The disk is still busy then.
            self.say(env)

    @on(Again)
    def again(self, timer: Again, env: Env) -> None:
        self.say(env)

    def say(self, env: Env) -> None:
        """Say one more word to all others."""
        self.written += 1
        env.multicast(self.peers[1:], Word(self.written))

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        self.heard = msg.number


@sometimes
def some_have_heard(nodes: Sequence[Herald]) -> bool:
    """Some have heard what others have not."""
    return len({node.heard for node in nodes[1:]}) > 1


@always
def heard_what_is_written(nodes: Sequence[Herald]) -> bool:
    """Nobody has heard what n1 has forgotten."""
    return all(node.heard <= nodes[0].written for node in nodes)


SCENARIO = Scenario(
    name="herald",
    node=Herald,
    nodes=4,
    crashes=1,
    faults=frozenset({"crash"}),
    adversaries=(HalfSent,),
    properties=(some_have_heard, heard_what_is_written),
    duration=ms(100),
    heal=ms(90),
)


def heard(world: World) -> list[int]:
    nodes = (world.hosts[id].node for id in IDS[1:])
    return [node.heard for node in nodes if isinstance(node, Herald)]


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (3, [1, 1, 1]),
        (4, [2, 1, 1]),
        (None, [2, 2, 2]),
    ],
)
def test_a_crash_after_a_sync_cuts_what_it_let_go(sends: int | None, expected: list[int]) -> None:
    """Both words waited for one sync; they leave in the order of the steps that said them."""
    tape = Tape(None, {("batch n1", 0): ms(1)}, {("sync n1", 0): [Crash(N1, sends=sends)]})
    world = run(SCENARIO, tape)
    assert not world.misfits
    assert heard(world) == expected
    assert world.violation is None


def test_what_has_left_before_is_not_called_back() -> None:
    """A later sync, of another step, is no longer about the first one's messages."""
    faults: dict[Label, list[Fault]] = {("sync n1", 1): [Crash(N1, sends=1)]}
    world = run(SCENARIO, Tape(None, {}, faults))
    assert heard(world) == [2, 1, 1]


def test_it_replays_also_in_order() -> None:
    faults: dict[Label, list[Fault]] = {("sync n1", 1): [Crash(N1, sends=1)]}
    world = run(SCENARIO, Tape(None, {}, faults))
    again = run(SCENARIO, recorded(world))
    assert summary(again) == summary(world)
    in_order = run_ordered(SCENARIO, Tape(None), order_of(world.records, faults))
    assert heard(in_order) == heard(world)


def test_an_adversary_strikes_between_two_sends() -> None:
    worlds = [run(SCENARIO, Tape(seed)) for seed in range(200)]
    assert not any(world.violation for world in worlds)
    assert sum("some_have_heard" in world.judge.reached for world in worlds) >= 5
