"""Adversaries strike hard, but only with the faults that are allowed."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.scenario.adversaries import Comeback, LeaderStrike, StaleSnapshot, Unheard
from quorate.scenario.adversary import Adversary
from quorate.scenario.tape import Tape
from quorate.simulate.world import World

SEEDS = range(30)


def struck(allowed: tuple[str, ...] | None) -> dict[str, int]:
    """How often each kind of fault struck in a campaign, besides what ends one."""
    scenario = load(Aim("raft", faults=allowed))
    total: dict[str, int] = {}
    for seed in SEEDS:
        world = World(scenario, Tape(seed))
        world.run()
        assert world.violation is None
        for name, times in world.faults.struck.items():
            total[name] = total.get(name, 0) + times
        lost = sum(f.lost == "lost" for record in world.records for f in record.flights)
        total["lost"] = total.get("lost", 0) + lost
    return total


def test_all_faults_strike_by_default() -> None:
    found = struck(None)
    assert {"Crash", "Restart", "Cut", "Heal", "Pause", "Resume"} <= set(found)
    assert found["lost"] > 0


@pytest.mark.parametrize(
    ("allowed", "forbidden"),
    [
        (("crash",), {"Cut", "Pause", "Slow", "Limit"}),
        (("partition", "loss"), {"Crash", "Restart", "Pause"}),
    ],
)
def test_a_forbidden_fault_never_strikes(allowed: tuple[str, ...], forbidden: set[str]) -> None:
    found = struck(allowed)
    assert not forbidden & set(found)
    assert (found["lost"] > 0) == ("loss" in allowed)


def first_failure(name: str, kind: type[Adversary], seeds: int) -> str:
    """What breaks first where this adversary plays; "" if nothing does."""
    scenario = load(Aim(name))
    makers = [getattr(maker, "func", maker) for maker in scenario.adversaries]
    for seed in range(seeds):
        drawn = scenario.conditions(seed).adversary
        if drawn is not None and makers[drawn] is kind:
            violation = judge(scenario, Tape(seed)).violation
            if violation is not None:
                return violation.property
    return ""


@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        ("keeps-match-index", Comeback),
        ("one-answer-confirms", LeaderStrike),
        ("repeats-without-result", Unheard),
        ("repeats-older-requests", Unheard),
        ("installs-with-gaps", StaleSnapshot),
    ],
)
def test_each_finds_what_it_is_there_for(mutant: str, kind: type[Adversary]) -> None:
    assert first_failure(f"raft@{mutant}", kind, 4000)
    assert not first_failure("raft", kind, 40)


def test_without_faults_nothing_strikes() -> None:
    assert struck(()) == {"lost": 0}
