"""Time that passes only while nothing else is to happen, against a clock that runs on and on."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from quorate.errors import Mistake
from quorate.explore.exhaustive import explore
from quorate.explore.replay import replay
from quorate.kernel import Env, Node, Start, Timer, always, eventually, ms, on, sometimes
from quorate.scenario.schedule import format_schedule, parse_schedule
from tests.explore.exhaustive.systems import Sleeper, Word, scenario
from tests.explore.exhaustive.test_semantics import reached

PERIOD, LOW, HIGH = ms(2), ms(3), ms(4)


class Tick(Timer):
    pass


class Tock(Timer):
    pass


class Watch(Node):
    """n1 is heard of every 2 ms; n2 notes that it has missed it for 3 ms, or for 4."""

    heard: int = 0
    is_alone: bool = False

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        if self.id == self.peers[0]:
            env.after(PERIOD, Tick())
        else:
            env.after((LOW, HIGH), Tock())

    @on(Tick)
    def tell(self, timer: Tick, env: Env) -> None:
        env.send(self.peers[1], Word("here"))
        env.after(PERIOD, Tick())

    @on(Word)
    def hear(self, msg: Word, env: Env) -> None:
        self.heard = (self.heard + 1) % 3
        self.is_alone = False
        env.after((LOW, HIGH), Tock())

    @on(Tock)
    def miss(self, timer: Tock, env: Env) -> None:
        self.is_alone = True


@always
def in_company(nodes: Sequence[Watch]) -> bool:
    """Nobody misses anybody."""
    return not any(node.is_alone for node in nodes)


@sometimes
def alone(nodes: Sequence[Watch]) -> bool:
    """Somebody misses somebody."""
    return any(node.is_alone for node in nodes)


@eventually
def heard_again(nodes: Sequence[Watch]) -> bool:
    """In the end n2 has heard of n1 twice."""
    return nodes[1].heard == 2


class Both(NamedTuple):
    """The system of two, by a clock: when the nodes' timers are due (None for a node that is down,
    -1 for one that waits for nothing), what n2 knows, what is under way, and crashes to come."""

    tick: int | None
    tock: int | None
    heard: int
    is_alone: bool
    under_way: int
    crashes: int


def everything(crashes: int, *, is_back: bool) -> tuple[int, int]:
    """How many states there are, up to the time of day, and how far the last one is away."""
    first = [(0, Both(PERIOD, tock, 0, False, 0, crashes)) for tock in (LOW, HIGH)]
    distances = {relative(now, both): 0 for now, both in first}
    pending = deque(first)
    while pending:
        now, both = pending.popleft()
        for then, after in successors(now, both, is_back):
            if relative(then, after) not in distances:
                distances[relative(then, after)] = distances[relative(now, both)] + 1
                pending.append((then, after))
    return len(distances), max(distances.values())


def relative(now: int, both: Both) -> Both:
    tick, tock = (at - now if at is not None and at >= 0 else at for at in (both.tick, both.tock))
    return both._replace(tick=tick, tock=tock)


def successors(now: int, both: Both, is_back: bool) -> Iterator[tuple[int, Both]]:
    tick, tock, heard, _, under_way, crashes = both
    if under_way:
        rest = both._replace(under_way=under_way - 1)
        if tock is not None:
            heard = (heard + 1) % 3
            for due in (now + LOW, now + HIGH):
                yield now, rest._replace(tock=due, heard=heard, is_alone=False)
        elif is_back:
            yield now, rest
    if tick == now:
        yield now, both._replace(tick=now + PERIOD, under_way=under_way + 1)
    if tock == now:
        yield now, both._replace(tock=-1, is_alone=True)
    if crashes and tick is not None:
        yield now, both._replace(tick=None, crashes=crashes - 1)
    if crashes and tock is not None:
        yield now, both._replace(tock=None, heard=0, is_alone=False, crashes=crashes - 1)
    if is_back and tick is None:
        yield now, both._replace(tick=now + PERIOD)
    if is_back and tock is None:
        for due in (now + LOW, now + HIGH):
            yield now, both._replace(tock=due)
    is_quiet = not under_way or tock is None
    deadlines = [at for at in (tick, tock) if at is not None and at >= 0]
    if is_quiet and deadlines and min(deadlines) > now:
        yield min(deadlines), both._replace(under_way=0)


@pytest.mark.parametrize("recovers", [True, False])
@pytest.mark.parametrize("crashes", [0, 1, 2, 3])
def test_as_many_states_as_by_a_clock(crashes: int, recovers: bool) -> None:
    watch = scenario(Watch, timing="synchronous", timers=None, crashes=crashes)
    result = explore(replace(watch, recovers=recovers))
    assert result.is_exhausted
    found = (result.progress.states, result.progress.depth)
    assert found == everything(crashes, is_back=recovers)


def test_nobody_is_missed_who_is_up() -> None:
    watch = scenario(Watch, in_company, timing="synchronous", timers=None)
    assert explore(watch).is_exhausted
    hasty = explore(watch, timing="asynchronous")
    assert hasty.violates == "in_company"


def test_a_failure_plays_at_the_times_that_it_had() -> None:
    watch = scenario(Watch, in_company, timing="synchronous", timers=None, crashes=1)
    result = explore(watch)
    assert result.schedule is not None
    again = replay(
        parse_schedule(format_schedule(result.schedule), "the schedule"), scenario=result.scenario
    )
    assert again.is_same_failure
    assert again.outcome.violation is not None
    assert again.outcome.world.records[again.outcome.violation.record].time == LOW


def test_whoever_was_down_is_missed_and_comes_back() -> None:
    watch = scenario(Watch, alone, heard_again, timing="synchronous", timers=None, crashes=1)
    assert explore(watch, liveness=True).is_exhausted
    assert explore(replace(watch, recovers=False), liveness=True).violates == "heard_again"


def test_deadlines_decide_and_not_the_order_of_setting() -> None:
    late = {"first": (ms(300), ms(300)), "second": (ms(200), ms(200))}
    result = explore(scenario(Sleeper, nodes=1, timing="synchronous", timers=None, fields=late))
    assert reached(result, "rung") == {"", "b", "ba"}
    same = {"first": (ms(200), ms(200))}
    result = explore(scenario(Sleeper, nodes=1, timing="synchronous", timers=None, fields=same))
    assert reached(result, "rung") == {"", "a", "b", "ab", "ba"}
    either = {"first": (ms(100), ms(300))}
    result = explore(scenario(Sleeper, nodes=1, timing="synchronous", timers=None, fields=either))
    assert reached(result, "rung") == {"", "a", "b", "ab", "ba"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"network": "set"}, "time would never pass"),
        ({"reduce": ("sleep",)}, "time passes for all nodes at once"),
        ({"timing": "punctual"}, "asynchronous, synchronous"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], why: str) -> None:
    watch = scenario(Watch, timing="synchronous", timers=None)
    with pytest.raises(Mistake, match=why):
        explore(watch, **changes)  # type: ignore[arg-type]  # one at a time
