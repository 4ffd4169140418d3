"""Every state of a small system, as its model has it; and what holds even without synchrony."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict

ALWAYS = ("nobody_bows_to_a_weaker", "heard_no_stronger")  # They need no synchrony.
IN_TIME = (*ALWAYS, "answered_nodes_wait", "settled")


@pytest.mark.parametrize(("crashes", "states", "depth"), [(1, 5_177, 23), (2, 35_634, 28)])
def test_all_states(crashes: int, states: int, depth: int) -> None:
    """Whoever crashes and comes back, whenever: in the end the strongest coordinates."""
    result = explore(load(Aim("bully")), crashes=crashes, liveness=True)
    assert result.verdict is Verdict.PASS
    assert (result.progress.states, result.progress.depth) == (states, depth)


def test_four_nodes_without_a_crash() -> None:
    result = explore(load(Aim("bully")), nodes=4, crashes=0, only=IN_TIME)
    assert result.verdict is Verdict.PASS
    assert result.progress.states == 78_848


@pytest.mark.parametrize(
    ("nodes", "crashes", "timers", "only", "states"),
    [
        (3, 0, 3, (*ALWAYS, "two_coordinators"), 21_853),
        (3, 1, 1, (*ALWAYS, "two_coordinators"), 8_208),
        (3, 1, 0, IN_TIME, 675),
        (4, 0, 0, IN_TIME, 6_944),
    ],
)
def test_without_synchrony(
    nodes: int, crashes: int, timers: int, only: tuple[str, ...], states: int
) -> None:
    result = explore(
        load(Aim("bully")),
        timing="asynchronous", nodes=nodes, crashes=crashes, timers=timers, only=only,
    )  # fmt: skip
    assert result.verdict is Verdict.PASS
    assert result.progress.states == states


def test_without_synchrony_an_answered_node_may_lead() -> None:
    """What the model excludes: a time-out that ends while the answer is on its way."""
    result = explore(load(Aim("bully")), timing="asynchronous", crashes=0, timers=1, only=IN_TIME)
    assert result.violates == "answered_nodes_wait"


@pytest.mark.parametrize(
    ("mutant", "claim", "transitions"),
    [
        ("lead-although-answered", "heard_no_stronger", 11),
        ("answers-not-heeded", "answered_nodes_wait", 9),
        ("elections-not-answered", "answered_nodes_wait", 8),
        ("recover-as-coordinator", "heard_no_stronger", 0),
        ("announce-to-all", "nobody_bows_to_a_weaker", 8),
        ("announce-to-one", "settled", 13),
        ("answer-taken-for-coordinator", "settled", 14),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, transitions: int) -> None:
    failed = explore(load(Aim(f"bully@{mutant}"))).failed
    assert failed is not None
    assert (failed.property, failed.transitions) == (claim, transitions)


def test_who_comes_back_in_silence_leads_nobody() -> None:
    result = explore(load(Aim("bully@recover-without-election")))
    assert result.is_exhausted
    assert result.unreached == ["stand_in", "two_coordinators"]


def test_an_answer_without_an_election_breaks_nothing() -> None:
    assert explore(load(Aim("bully@answer-without-election"))).verdict is Verdict.PASS
