"""Quorate inside other people's tests, run by a pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from quorate.explore.catalogue import load
from tests.explore.protocols import LOCK

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from lock import Lock
from quorate.scenario.scenario import Scenario

def test_class(quorate):
    quorate.hunt(Lock, seeds=200, seed=100)

def test_scenario(quorate):
    tally = quorate.hunt(Scenario(name="mine", node=Lock, nodes=1), seeds=5)
    assert tally.runs == 5

def test_name(quorate):
    quorate.hunt("paxos", seeds=4, faults=())

def test_nothing(quorate):
    with pytest.raises(TypeError, match="a node class"):
        quorate.hunt(7)
"""


@pytest.fixture
def folder(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the lock in it."""
    load.cache_clear()  # Another folder may have had another lock.
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(lock=LOCK.read_text("utf-8"))
    return pytester


def test_a_failing_hunt_shows_its_schedule_and_the_command_that_replays_it(
    folder: pytest.Pytester,
) -> None:
    folder.makepyfile(test_lock=TESTS)
    result = folder.runpytest("-k", "test_class")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*lock.py:Lock violates one_holder: At most one node holds the lock.*",
            "*quorate schedule 1*",
            "*violates one_holder*",
            "*replay: quorate replay *.schedule*",
        ]
    )
    line = next(line for line in result.outlines if "replay: quorate replay" in line)
    path = Path(line.split("quorate replay ")[1].strip())
    assert path.read_text("utf-8").startswith("quorate schedule 1\n")
    told = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "replay", str(path)],
        capture_output=True,
        text=True,
        cwd=folder.path,
        check=False,
    )
    assert told.returncode == 1, told.stderr
    assert "it still violates one_holder" in told.stdout


EXPLORING = """
from lock import Lock
from quorate.scenario.scenario import Scenario

def test_two_holders(quorate):
    quorate.explore(Lock, timers=4)

def test_one_alone(quorate):
    result = quorate.explore(Scenario(name="mine", node=Lock, nodes=1), timers=2)
    assert result.is_exhausted

def test_never(quorate):
    quorate.explore(Lock, timers=1)

def test_not_all(quorate):
    quorate.explore(Scenario(name="mine", node=Lock, nodes=1), timers=2, states=2)

def test_a_bound_that_is_none(quorate):
    quorate.explore("paxos", balots=2)
"""


def test_a_failing_exploration_shows_its_path_and_the_command_that_replays_it(
    folder: pytest.Pytester,
) -> None:
    folder.makepyfile(test_lock=EXPLORING)
    result = folder.runpytest()
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*lock.py:Lock violates one_holder: At most one node holds the lock.*",
            "*a shortest way has 4 transitions; * states visited*",
            "*quorate schedule 1*",
            "*violates one_holder*",
            "*in this order:*",
            "*fire n? Want #0*",
            "*replay: quorate replay *.schedule*",
        ]
    )
    result.stdout.fnmatch_lines(["*lock.py:Lock never reaches is_held in all its * states:*"])
    result.stdout.fnmatch_lines(["*lock.py:Lock: * states decide nothing, as there may be more:*"])
    result.stdout.fnmatch_lines(["*declares no bound 'balots'*"])
    line = next(line for line in result.outlines if "replay: quorate replay" in line)
    words = [sys.executable, "-m", "quorate.cli.main", "replay", line.split()[-1]]
    told = subprocess.run(words, capture_output=True, text=True, cwd=folder.path, check=False)
    assert told.returncode == 1, told.stderr
    assert "it still violates one_holder" in told.stdout


def test_hunts_that_find_nothing_pass(folder: pytest.Pytester) -> None:
    folder.makepyfile(test_lock=TESTS.replace("seeds=4, faults=()", "seeds=40, seed=1"))
    folder.runpytest("-k", "not test_class").assert_outcomes(passed=3)


def test_a_hunt_that_decides_nothing_does_not_pass(folder: pytest.Pytester) -> None:
    folder.makepyfile(
        test_lock="""
        from lock import Lock
        from quorate.scenario.scenario import Scenario

        def test_nothing_happens(quorate):
            idle = Scenario(name="idle", node=Lock, duration=1, heal=0)
            quorate.hunt(idle, seeds=3, seed=5)
        """
    )
    result = folder.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*3 runs from seed 5 decide nothing:*", "*never reached: is_held. Somebody holds*"]
    )


LOST = "quorate schedule 1\nscenario lock.py:Lock\nviolates one_holder\nlose n2->n1 Ask #0\n"


def test_kept_schedules_are_tests(folder: pytest.Pytester) -> None:
    folder.makefile(
        ".schedule",
        fails=LOST,
        passes=LOST.replace("lose n2->n1 Ask #0", "deliver n2->n1 Ask #0 after 3ms"),
        parts=LOST.replace("Ask #0", "Ask #5"),
        malformed=LOST.replace("lose", "loose"),
    )
    result = folder.runpytest()
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "*fails.schedule: it still violates one_holder*",
            "*parts.schedule: it no longer violates one_holder, but it does not fit any more*",
            "*deliver n2→n1 Ask #5 never came up: there were only 1 of these*",
            "*malformed.schedule:4: no decision begins with 'loose'; did you mean lose?*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_a_mended_protocol_passes_its_kept_schedule(folder: pytest.Pytester) -> None:
    folder.makefile(".schedule", kept=LOST)
    mended = LOCK.read_text("utf-8").replace("self.holds = self.asks", "self.holds = False")
    folder.makepyfile(lock=mended)
    folder.runpytest("kept.schedule").assert_outcomes(passed=1)


def test_the_fixture_replays_a_file(folder: pytest.Pytester) -> None:
    folder.makefile(".txt", kept=LOST)
    folder.makepyfile(
        test_lock="""
        from lock import Lock

        def test_fails(quorate):
            quorate.replay("kept.txt", Lock)
        """
    )
    result = folder.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*kept.txt: it still violates one_holder*"])


def test_a_pytest_that_does_not_use_it_imports_nothing_of_it(folder: pytest.Pytester) -> None:
    folder.makepyfile(
        test_none="""
        import sys

        def test_none():
            assert "quorate.explore.pytest_plugin" in sys.modules
            assert not {"msgspec", "rich", "quorate.kernel"} & set(sys.modules)
        """
    )
    folder.runpytest_subprocess().assert_outcomes(passed=1)
