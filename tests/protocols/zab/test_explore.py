"""Zab explored exhaustively: how many states there are, and what breaks it."""

from typing import Any

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"timers": 1, "epochs": 1}, 3_210),
        ({"timers": 1, "crashes": 1}, 20_196),
        ({"timers": 1, "network": "multiset"}, 63_060),
    ],
)
def test_all_states(changes: dict[str, Any], states: int) -> None:
    """One request; what may happen besides is in the bounds."""
    result = explore(load(Aim("zab")), **changes)
    assert result.failed is None
    assert result.is_exhausted
    assert result.progress.states == states


def test_everything_that_should_be_reached_is() -> None:
    """The default bounds are wide enough for two primaries, one of which outlives its epoch."""
    result = explore(load(Aim("zab")))
    assert result.verdict is Verdict.PASS
    assert result.progress.states == 273_266


@pytest.mark.parametrize(
    ("mutant", "claim", "length"),
    [
        ("one-epoch", "CommittedSurvives", 14),
        ("accepted-epoch-volatile", "never_backwards", 7),
        ("current-epoch-volatile", "never_backwards", 8),
        ("history-volatile", "within_an_epoch_histories_grow", 10),
        ("leads-without-a-promise-of-its-own", "epochs_in_order", 7),
        ("history-of-too-few", "OneLeaderPerEpoch", 8),
        ("keeps-its-tail", "epochs_in_order", 11),
        ("takes-over-what-is-late", "within_an_epoch_histories_grow", 15),
        ("acknowledges-before-it-is-on-disk", "CommittedByQuorum", 12),
        ("commits-alone", "CommittedByQuorum", 10),
    ],
)
def test_counterexamples(mutant: str, claim: str, length: int) -> None:
    """The shortest way to what each mutant breaks."""
    result = explore(load(Aim(f"zab@{mutant}")))
    assert result.verdict is Verdict.FAIL
    assert result.failed is not None
    assert (result.failed.property, len(result.failed.path)) == (claim, length)
