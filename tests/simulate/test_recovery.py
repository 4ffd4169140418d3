"""Whether crashed nodes come back is the scenario's to say, or its configuration's."""

import msgspec
import pytest

from quorate.explore.catalogue import Aim, load
from quorate.scenario.scenario import Configuration, Scenario
from quorate.scenario.tape import Tape
from tests.simulate.test_replay import recorded, run, summary

BACK, GONE = Configuration("back"), Configuration("gone", recovers=False)


def crashing(*configurations: Configuration) -> Scenario:
    return msgspec.structs.replace(load(Aim("paxos")), configurations=configurations)


def struck(scenario: Scenario) -> dict[str, int]:
    """How often nodes have crashed, and have come back."""
    total = {"Crash": 0, "Restart": 0}
    for seed in range(30):
        world = run(scenario, Tape(seed))
        assert world.violation is None
        for name in total:
            total[name] += world.faults.struck.get(name, 0)
    return total


def test_all_that_crash_come_back() -> None:
    total = struck(crashing(BACK))
    assert total["Restart"] == total["Crash"] > 20


def test_nobody_comes_back_where_the_configuration_says_so() -> None:
    """Not even when the faults end, and the core is of those that are left."""
    scenario = crashing(GONE)
    assert struck(scenario)["Restart"] == 0
    worlds = [run(scenario, Tape(seed)) for seed in range(30)]
    assert min(len(world.core) for world in worlds) == 2


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_knows_it_by_the_configuration(seed: int) -> None:
    scenario = crashing(BACK, GONE)
    original = run(scenario, Tape(seed))
    assert summary(run(scenario, recorded(original))) == summary(original)
