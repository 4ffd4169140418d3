"""Viewstamped Replication explored exhaustively: how many states there are, and what breaks it."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"crashes": 0, "timers": 0}, 9),
        ({"crashes": 1, "timers": 0}, 205),
        ({"crashes": 0, "timers": 1, "network": "multiset"}, 23_876),
    ],
)
def test_all_states(changes: dict[str, Any], states: int) -> None:
    """One request; what may happen besides is in the bounds."""
    result = explore(load(Aim("vr")), **changes)
    assert result.failed is None
    assert result.is_exhausted
    assert result.progress.states == states


def test_everything_that_should_be_reached_is() -> None:
    """The default bounds are wide enough to see a recovery, and a request that is given up."""
    result = explore(load(Aim("vr")))
    assert result.verdict is Verdict.PASS
    assert result.progress.states == 132_297


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("joins-a-view-without-its-log", "CommittedSurvives", 11),
        ("any-log-of-the-latest-view", "CommittedSurvives", 9),
        ("view-of-too-few", "CommittedSurvives", 9),
        ("works-on-while-changing", "OnePrimaryPerView", 8),
        ("no-view-change", "a_request_is_given_up", 0),
        ("goes-on-without-recovery", "NothingForgotten", 6),
        ("recovers-from-any-answers", "NothingForgotten", 10),
        ("recovers-from-too-few", "NothingForgotten", 8),
        ("answers-while-changing", "CommittedSurvives", 11),
        ("votes-while-recovering", "OnePrimaryPerView", 8),
    ],
)
def test_counterexamples(mutant: str, claim: str, length: int) -> None:
    """The shortest way to what each mutant breaks; for the last kind, what is never reached."""
    result = explore(load(Aim(f"vr@{mutant}")))
    assert result.verdict is Verdict.FAIL
    assert result.violates == claim
    assert length == (len(result.failed.path) if result.failed else 0)
