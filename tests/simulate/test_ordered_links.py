"""Where a scenario says that links keep order, no message overtakes another on its link."""

from collections.abc import Sequence

import pytest

from quorate.explore.outcome import judge
from quorate.explore.shrink import shrink
from quorate.kernel import (
    Durable,
    Env,
    Map,
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
from quorate.kernel.properties import Property
from quorate.scenario.conditions import FAULTS
from quorate.scenario.notation import format_label
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Tape
from quorate.simulate.ordered import order_of, run_ordered
from quorate.simulate.world import World
from tests.simulate.test_replay import recorded, run, summary

SEEDS = range(60)


class Odd(Message):
    number: int


class Even(Message):
    number: int


class Beat(Timer):
    pass


class Counter(Node):
    """Counts aloud, and listens whether the others count in order."""

    number: Durable[int] = 0
    heard: Map[NodeId, int] = Map()
    overtaken: bool = False

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        env.after((ms(1), ms(9)), Beat())

    @on(Beat)
    def count(self, timer: Beat, env: Env) -> None:
        self.number += 1
        env.broadcast(Odd(self.number) if self.number % 2 else Even(self.number))
        env.after((ms(1), ms(9)), Beat())

    @on(Odd, Even)
    def hear(self, msg: Odd | Even, env: Env) -> None:
        last = self.heard.get(env.sender, 0)
        self.overtaken = self.overtaken or msg.number < last
        self.heard = self.heard.set(env.sender, max(last, msg.number))


@always
def in_order(nodes: Sequence[Counter]) -> bool:
    """Nobody hears a number after a higher one."""
    return not any(node.overtaken for node in nodes)


@sometimes
def heard_of_all(nodes: Sequence[Counter]) -> bool:
    """Some node has heard all others."""
    return any(len(node.heard) == len(nodes) for node in nodes)


def counting(
    *, ordered: bool, faults: Sequence[str] = FAULTS, more: Sequence[Property] = ()
) -> Scenario:
    return Scenario(
        name="counting",
        node=Counter,
        ordered_links=ordered,
        faults=frozenset(faults),
        duration=ms(900),
        heal=ms(700),
        properties=(in_order, heard_of_all, *more),
    )


def test_no_message_overtakes_another() -> None:
    scenario = counting(ordered=True)
    struck: dict[str, int] = {}
    for seed in SEEDS:
        world = run(scenario, Tape(seed))
        assert world.violation is None, f"seed {seed}"
        assert "heard_of_all" in world.judge.reached
        for name, times in world.faults.struck.items():
            struck[name] = struck.get(name, 0) + times
    assert {"Pause", "Resume", "Slow", "Limit", "Crash", "Cut"} <= set(struck)


def test_elsewhere_some_do() -> None:
    """Sabotage: the test above would notice."""
    outcomes = [judge(counting(ordered=False), Tape(seed)) for seed in SEEDS]
    assert sum(outcome.violation is not None for outcome in outcomes) > 10


def test_what_arrives_at_the_moment_of_a_resumption_does_not_overtake() -> None:
    """Links and nodes are so slow here that most messages wait for the one before."""
    scenario = counting(ordered=True, faults=("delay", "pause", "slow"))
    for seed in SEEDS:
        world = run(scenario, Tape(seed))
        assert world.violation is None, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_replay_is_exact(seed: int) -> None:
    scenario = counting(ordered=True)
    original = run(scenario, Tape(seed))
    assert summary(run(scenario, recorded(original))) == summary(original)


def ordered_run(scenario: Scenario, world: World, order: Sequence[object]) -> World:
    entries = {k: v for k, v in world.tape.entries().items() if k[0].startswith("choose")}
    return run_ordered(scenario, Tape(None, entries), order)  # type: ignore[arg-type]


def test_an_ordered_schedule_cannot_let_a_message_overtake() -> None:
    scenario = counting(ordered=True, faults=())
    world = run(scenario, Tape(1))
    order = order_of(world.records, {})[:40]
    again = ordered_run(scenario, world, order)
    assert not again.misfits
    first, second = ("deliver n1→n2 Odd", 0), ("deliver n1→n2 Even", 0)
    assert order.index(first) < order.index(second)
    swapped = [event for event in order if event != first]
    swapped.insert(swapped.index(second) + 1, first)
    [misfit] = ordered_run(scenario, world, swapped).misfits
    assert (
        misfit
        == f"{format_label(second)}: its link keeps order, and {format_label(first)} is first"
    )


@always
def nobody_counts_far(nodes: Sequence[Counter]) -> bool:
    """It is wrong: somebody hears n2 say four before n3 says anything at all."""
    return not any(n.heard.get(NodeId("n2"), 0) > 3 and NodeId("n3") not in n.heard for n in nodes)


def test_shrinking_keeps_to_the_order() -> None:
    scenario = counting(ordered=True, faults=("delay", "slow"), more=(nobody_counts_far,))
    found = next(o for o in (judge(scenario, Tape(seed)) for seed in SEEDS) if o.violation)
    assert found.violation is not None
    assert found.violation.property == "nobody_counts_far"
    shrunk = shrink(scenario, found, 20.0)
    assert shrunk.outcome.violation is not None
    assert shrunk.outcome.violation.property == "nobody_counts_far"
    assert len(shrunk.tape.entries()) < 12
    assert summary(run(scenario, recorded(shrunk.outcome.world))) == summary(shrunk.outcome.world)
