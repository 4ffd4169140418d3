"""Mutants that the scenario's own exploration is too small, or too different, to tell."""

import pytest

from quorate.explore.catalogue import CATALOGUE, Aim, load
from quorate.explore.exhaustive import Limits, explore
from quorate.scenario.mutant import Mutant


def widened() -> list[tuple[str, Mutant]]:
    """Every mutant of the catalogue that brings bounds of its own, with its protocol."""
    return [(name, m) for name in CATALOGUE for m in load(Aim(name)).mutants if m.bounds]


@pytest.mark.parametrize(
    ("mutant", "claim", "transitions"),
    [
        ("abd@late-acknowledgements-count", "acknowledged", 19),
        ("abd@no-retransmission", "operations_end", 4),
        ("bully@ask-one", "settled", 13),
        ("chandy-lamport@last-message-counts", "consistent", 15),
        ("chandy-lamport@snapshots-not-numbered", "deadlock", 17),
        ("lamport-mutex@release-forgets-all", "mutual_exclusion", 15),
        ("multi-paxos@count-stale-promises", "Chosen", 11),
        ("paxos@votes-counted-across-ballots", "agreement", 9),
        ("paxos-commit@adopt-lowest-vote", "Chosen", 9),
        ("ricart-agrawala@permissions-last", "OrderOfRequests", 22),
        ("two-phase-commit@no-inquiry", "none_in_doubt", 6),
        ("two-phase-commit@no-second-telling", "all_forgotten", 5),
        ("vr@commits-alone", "CommittedByQuorum", 7),
        ("vr@accepts-over-a-gap", "OneLogPerView", 6),
        ("vr@acknowledges-what-it-lacks", "CommittedByQuorum", 6),
        ("vr@keeps-its-tail", "OneLogPerView", 8),
        ("vr@longest-log-wins", "CommittedSurvives", 10),
        ("vr@gives-the-new-view-for-its-log", "CommittedSurvives", 10),
        ("zab@promises-again", "OneLeaderPerEpoch", 8),
        ("zab@promises-an-earlier-epoch", "never_backwards", 7),
        ("zab@its-own-history", "CommittedSurvives", 11),
        ("zab@takes-over-unpromised", "never_backwards", 9),
    ],
)
def test_shortest_way_to_a_mistake(mutant: str, claim: str, transitions: int) -> None:
    failed = explore(load(Aim(mutant))).failed
    assert failed is not None
    assert (failed.property, failed.transitions) == (claim, transitions)


@pytest.mark.parametrize(
    ("name", "mutant"), widened(), ids=lambda each: getattr(each, "name", each)
)
def test_the_real_protocol_is_right_there(name: str, mutant: Mutant) -> None:
    """As far as so many states go: those in which the mutants above have failed, and more."""
    result = explore(load(Aim(name)), limits=Limits(states=30_000), **mutant.bounds)
    assert result.failed is None
