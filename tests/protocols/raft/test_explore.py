"""Raft explored: the same class that hunts run, with what hides Figure 8 switched off."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Limits, explore
from quorate.explore.replay import replay
from quorate.verdict import Verdict

SAFE = ("ElectionSafety", "LogMatching", "LeaderCompleteness", "StateMachineSafety")


@pytest.mark.parametrize(
    ("terms", "timers", "states", "depth"), [(1, 2, 2136, 11), (2, 2, 3992, 12), (3, 3, 36_586, 16)]
)
def test_the_space_within_small_bounds(terms: int, timers: int, states: int, depth: int) -> None:
    """Exhausted, clean, and exactly as large as it was."""
    result = explore(load(Aim("raft")), terms=terms, timers=timers, only=SAFE)
    assert result.verdict is Verdict.PASS
    assert result.is_exhausted
    assert (result.progress.states, result.progress.depth) == (states, depth)


def test_figure_8() -> None:
    """§5.4.2: an old entry on a majority is not committed. Three servers and four terms suffice."""
    scenario = load(Aim("raft@commits-old-terms"))
    result = explore(scenario, only=("StateMachineSafety",))
    assert result.violates == "StateMachineSafety"
    assert result.failed is not None
    assert result.failed.transitions == 16
    assert result.schedule is not None
    replayed = replay(result.schedule)
    assert replayed.is_same_failure
    world = replayed.outcome.world
    nodes = [world.hosts[id].released for id in world.servers]
    assert {node.current_term for node in nodes} == {4}
    assert {node.log[1].term for node in nodes if node.commit_index} == {1, 2}


def test_three_terms_are_too_few_for_figure_8() -> None:
    result = explore(load(Aim("raft@commits-old-terms")), terms=3, timers=3, only=SAFE)
    assert result.is_exhausted


@pytest.mark.parametrize(
    ("mutant", "changes", "violates", "transitions"),
    [
        ("vote-not-durable", {"terms": 1, "timers": 2, "crashes": 1}, "one_vote_per_term", 1),
        ("votes-twice", {"terms": 1, "timers": 2}, "one_vote_per_term", 3),
        ("longest-log-elects", {}, "LeaderCompleteness", 10),
        ("no-log-check", {}, "LeaderCompleteness", 6),
        ("minority-commits", {}, "CommittedByMajority", 3),
        ("commits-old-terms", {}, "commits_its_own_term", 8),
        ("never-truncates", {}, "CommittedByMajority", 7),
    ],
)
def test_mutants_die_at_small_bounds(
    mutant: str, changes: dict[str, int], violates: str, transitions: int
) -> None:
    result = explore(load(Aim(f"raft@{mutant}")), limits=Limits(states=150_000), **changes)
    assert result.violates == violates
    assert result.failed is not None
    assert result.failed.transitions == transitions
