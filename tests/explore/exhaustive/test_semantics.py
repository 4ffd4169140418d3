"""What can happen next, on each network and to each part of a node, counted by hand."""

from typing import Any

import pytest

from quorate.explore.exhaustive import Limits, Result, explore
from quorate.explore.exhaustive.machine import Waiting, in_order, may_fire
from quorate.kernel import Set, ms
from tests.explore.exhaustive.systems import (
    Alarm,
    Asker,
    Coin,
    Hasty,
    Heard,
    Keeper,
    Sleeper,
    Speaker,
    Writer,
    all_heard,
    both,
    never_ba,
    scenario,
    short,
)


def reached(result: Result, field: str) -> set[Any]:
    """Every value that a field has anywhere."""
    moves = result.moves
    assert moves is not None
    return {getattr(local.node, field) for local in moves.locals if hasattr(local.node, field)}


def test_a_multiset_delivers_in_any_order_and_once() -> None:
    result = explore(scenario(Speaker, both))
    assert reached(result, "heard") == {"", "a", "b", "ab", "ba"}
    # Two in flight; one heard, of either; both, in either order.
    assert result.progress.states == 5
    assert result.progress.transitions == 4
    assert result.progress.depth == 2
    assert result.is_exhausted


def test_fifo_keeps_the_order_of_a_link() -> None:
    result = explore(scenario(Speaker, never_ba, network="fifo"))
    assert reached(result, "heard") == {"", "a", "ab"}
    assert result.progress.states == 3


def test_a_set_delivers_as_often_as_it_likes() -> None:
    result = explore(scenario(Speaker, network="set", within=short))
    assert reached(result, "heard") == {"", "a", "b", "ab", "ba", "aa", "bb"} | {
        word for word in reached(result, "heard") if len(word) > 2
    }
    assert result.progress.states == 7
    assert result.is_exhausted


def test_loss_and_duplicates_are_choices() -> None:
    plain = explore(scenario(Speaker))
    lossy = explore(scenario(Speaker, drop=True))
    twice = explore(scenario(Speaker, duplicate=True, within=short))
    assert plain.progress.states == 5
    # Nothing heard with 4 sets in flight, one word heard with the other there or not, or both.
    assert lossy.progress.states == 4 + 2 * 2 + 2
    assert {"aa", "bb"} <= reached(twice, "heard")


def test_a_message_to_oneself_is_never_lost_or_repeated() -> None:
    lossy = explore(scenario(Asker, nodes=1, drop=True, duplicate=True))
    assert lossy.progress.states == 3
    assert reached(lossy, "answers") == {0, 1}


def test_rpc_answers_within_the_call() -> None:
    loose = explore(scenario(Asker, nodes=3))
    calls = explore(scenario(Asker, nodes=3, network="rpc"))
    assert loose.progress.states == 3**3  # For each peer: asked, answering, counted.
    # What n1 asks itself is answered at once; the other two calls come in any order.
    assert calls.progress.states == 4
    assert reached(calls, "answers") == {0, 1, 2, 3}


def test_a_timer_cannot_overtake_one_that_always_fires_earlier() -> None:
    strict = explore(scenario(Sleeper, nodes=1, timers=None))
    assert reached(strict, "rung") == {"", "a", "ab"}
    fields = {"first": (ms(100), ms(300))}
    loose = explore(scenario(Sleeper, nodes=1, timers=None, fields=fields))
    assert reached(loose, "rung") == {"", "a", "ab", "b", "ba"}
    bounded = explore(scenario(Sleeper, nodes=1, timers=1, fields=fields))
    assert bounded.progress.states == 3


def test_timers_that_may_fire_in_any_order_are_a_set() -> None:
    one, other = Waiting(Alarm("a"), 0, 10), Waiting(Alarm("b"), 5, 15)
    assert in_order([one, other]) == in_order([other, one])
    early, late = Waiting(Alarm("a"), 0, 10), Waiting(Alarm("b"), 10, 15)
    assert in_order([early, late]) != in_order([late, early])
    assert may_fire([early, late]) == [0]
    assert may_fire([late, early]) == [0, 1]
    assert may_fire([one, other]) == [0, 1]


def test_choices_are_enumerated() -> None:
    result = explore(scenario(Coin, nodes=2))
    assert result.progress.states == 9
    assert result.progress.depth == 0
    assert reached(result, "side") == {"", "heads", "tails", "edge"}


def test_a_copy_survives_a_crash_that_cuts_the_arrival() -> None:
    """n2 answers before it has noted what it was asked, crashes, and is asked again."""
    both_times = Set(("first", "again"))
    assert both_times not in reached(explore(scenario(Hasty, crashes=1)), "heard")
    twice = explore(scenario(Hasty, crashes=1, duplicate=True, channel=2))
    assert both_times in reached(twice, "heard")


def test_a_crash_cuts_a_step_at_every_place() -> None:
    whole = explore(scenario(Writer, nodes=3, timers=1))
    assert whole.progress.states == 1 + 4  # Before; then each of two words heard or not.
    cut = explore(scenario(Writer, nodes=3, timers=1, crashes=1))
    assert cut.is_exhausted
    moves = cut.moves
    assert moves is not None
    ways = [way for local in range(len(moves.locals)) for way in moves.own(local)]
    own = [way.moves[0] for way in ways]
    kinds = {(move.crash.of, move.crash.is_kept, move.crash.sends) for move in own if move.crash}
    # At rest; before the record; after it with none or one of two words sent.
    assert kinds == {
        (None, True, 0), ("fire", False, 0), ("fire", True, 0), ("fire", True, 1),
    }  # fmt: skip
    assert reached(cut, "written") == {0, 1}


def test_a_stored_value_is_there_after_a_crash_once_it_is_complete() -> None:
    result = explore(scenario(Keeper, nodes=1, crashes=1))
    assert reached(result, "kept") == {False, True}
    assert result.is_exhausted


def test_a_monitor_is_part_of_the_state() -> None:
    result = explore(scenario(Speaker, monitors=[Heard]))
    assert result.violates == "Heard"
    assert result.failed is not None
    assert result.failed.transitions == 1


def test_a_property_fails_by_a_shortest_path() -> None:
    result = explore(scenario(Speaker, never_ba))
    assert result.violates == "never_ba"
    assert result.failed is not None
    assert result.failed.transitions == 1
    everything = explore(scenario(Speaker, never_ba), limits=Limits(keeps_going=True))
    assert everything.progress.states == 5
    assert everything.violates == "never_ba"


def test_what_is_never_reached_fails_an_exhausted_space_and_no_other() -> None:
    missed = explore(scenario(Speaker, both, fields={"words": ("a",)}))
    assert missed.violates == "both"
    assert missed.verdict.value == "fail"
    stopped = explore(scenario(Speaker, both), limits=Limits(depth=1))
    assert stopped.verdict.value == "unknown"
    assert stopped.unreached == ["both"]
    assert stopped.stopped == "depth 1"


def test_deadlock_is_where_nothing_can_happen_and_not_all_is_done() -> None:
    done = scenario(Speaker, ends=lambda nodes: nodes[1].heard in ("ab", "ba"))
    assert explore(done).is_exhausted
    stuck = scenario(Speaker, ends=lambda nodes: nodes[1].heard == "ab")
    result = explore(stuck)
    assert result.violates == "deadlock"
    assert result.failed is not None
    assert result.failed.transitions == 2
    # Where only a bound keeps something from happening, nobody knows.
    fenced = scenario(Speaker, ends=lambda nodes: False, within=lambda node, _: not node.heard)
    assert explore(fenced).violates == ""


def test_eventually_is_judged_on_all_transitions() -> None:
    good = explore(scenario(Speaker, all_heard), liveness=True)
    assert good.is_exhausted
    assert good.fenced == 0
    bad = explore(scenario(Speaker, all_heard, drop=True), liveness=True)
    assert bad.violates == "all_heard"
    assert bad.failed is not None
    assert bad.failed.transitions == 1  # One word is lost: that cannot be made good.
    fenced = explore(
        scenario(Speaker, all_heard, within=lambda node, _: len(node.heard) < 2), liveness=True
    )
    assert fenced.is_exhausted
    assert fenced.fenced == 2


@pytest.mark.parametrize("is_breadth_first", [True, False])
def test_both_orders_visit_the_same_states(is_breadth_first: bool) -> None:
    result = explore(scenario(Asker, nodes=4), limits=Limits(is_breadth_first=is_breadth_first))
    assert result.progress.states == 3**4
