"""Changes of a small cluster, explored: the bug of 2015, and that the rule against it is enough."""

import pytest
from msgspec.structs import replace

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Limits, explore
from quorate.scenario.scenario import Scenario
from quorate.verdict import Verdict

THREE_TERMS = {"terms": 3, "timers": 3, "log": 1, "rounds": 2}
HARM = ("ElectionSafety", "LeaderCompleteness", "StateMachineSafety")


def with_changes_alone(name: str) -> Scenario:
    """Without the client that writes: each leader is to remove the other, and that is all."""
    scenario = load(Aim(name))
    assert scenario.exploration is not None
    exploration = replace(scenario.exploration, scripts=scenario.exploration.scripts[1:])
    return replace(scenario, exploration=exploration)


def test_the_space_within_small_bounds() -> None:
    """Exhausted, clean, and exactly as large as it was."""
    result = explore(load(Aim("raft-membership")), only=HARM, log=1, rounds=2)
    assert result.verdict is Verdict.PASS
    assert result.is_exhausted
    assert (result.progress.states, result.progress.depth) == (58_860, 17)


def test_the_bug_of_2015() -> None:
    """Thesis §4.1: four servers and three terms suffice for two leaders, each of whom removes the
    other before it has committed anything, to lose an entry that was committed.
    """
    scenario = with_changes_alone("raft-membership@changes-before-own-commit")
    limits = Limits(states=300_000)
    result = explore(scenario, only=("LeaderCompleteness",), limits=limits, **THREE_TERMS)
    assert result.violates == "LeaderCompleteness"
    assert result.failed is not None
    assert result.failed.transitions == 12
    assert result.schedule is not None


def test_the_rule_against_it_is_enough() -> None:
    result = explore(with_changes_alone("raft-membership"), only=HARM, **THREE_TERMS)
    assert result.is_exhausted
    assert not result.violates


def test_two_terms_are_too_few_for_it() -> None:
    scenario = with_changes_alone("raft-membership@changes-before-own-commit")
    assert explore(scenario, only=HARM, log=1, rounds=2).is_exhausted


@pytest.mark.parametrize(
    ("mutant", "violates", "transitions"),
    [
        ("changes-before-own-commit", "one_change_at_a_time", 4),
        ("removed-leader-stays", "who_is_removed_leads_no_more", 10),
        ("two-changes-at-once", "one_change_at_a_time", 7),
        ("new-majority-alone", "CommittedByMajority", 6),
        ("heir-asks-first", "an_heir_stands_at_once", 6),
    ],
)
def test_mutants_die_at_small_bounds(mutant: str, violates: str, transitions: int) -> None:
    result = explore(load(Aim(f"raft-membership@{mutant}")), limits=Limits(states=150_000))
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == (violates, transitions)
