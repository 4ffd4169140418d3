"""Quorate in pytest: a fixture that hunts and explores, and schedules kept as tests for ever.

    def test_store(quorate):
        quorate.hunt(MyNode, seeds=200)
        quorate.explore(MyNode, timers=3)

Every `*.schedule` file that pytest comes across is a test too: it passes once the run that the file
describes no longer fails. Nothing of Quorate is imported until one of the two is used.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quorate.explore.exhaustive import Result
    from quorate.explore.hunt import Found, Tally
    from quorate.explore.replay import Replayed
    from quorate.kernel.node import Node
    from quorate.scenario.scenario import Scenario

    Target = str | type[Node] | Scenario

SUFFIX = ".schedule"


class Quorate:
    """What the fixture `quorate` offers. `folder` is where shrunk schedules are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hunt(
        self,
        target: "Target",
        *,
        seeds: int = 200,
        seed: int | None = None,
        nodes: int = 0,
        faults: tuple[str, ...] | None = None,
        configuration: str = "",
        jobs: int = 1,
        shrink_seconds: float = 20.0,
    ) -> "Tally":
        """Try so many seeds; returns what was done.

        Args:
            target: a name as on the command line, a node class, or a scenario.
            seed: the first seed; a fresh one unless given.
            nodes, faults, configuration: as `quorate.explore.catalogue.Aim`.
            jobs: processes. More than one need a target that has a name on the command line.
            shrink_seconds: how long a failure may be shrunk.

        Raises AssertionError for a failure, with the shrunk schedule and the command that replays
        it, and for a campaign that reached too little to say anything.
        """
        __tracebackhide__ = True
        from secrets import randbelow

        from quorate.explore.catalogue import Aim
        from quorate.explore.hunt import SerialExecutor, Tally, hunt, shrink_seed

        aim = Aim(_name_of(target), nodes, faults, configuration)
        tally = Tally(aim, randbelow(10**9) if seed is None else seed)
        executor = SerialExecutor() if jobs == 1 else None
        hunt(tally, seeds=seeds, executor=executor, jobs=jobs)
        if tally.interrupted:
            raise KeyboardInterrupt
        if tally.failures:
            found = shrink_seed(aim, tally.failures[0].seed, shrink_seconds)
            raise AssertionError(self._told(tally, found))
        shortfalls = tally.shortfalls()
        if shortfalls:
            words = "".join(f"\n  {line}" for line in shortfalls)
            raise AssertionError(
                f"{aim.name}: {tally.runs} runs from seed {tally.first} decide nothing:{words}"
            )
        return tally

    def explore(
        self,
        target: "Target",
        *,
        states: int | None = 1_000_000,
        seconds: float | None = None,
        self_check: bool = False,
        reduce: tuple[str, ...] = (),
        **bounds: Any,
    ) -> "Result":
        """Visit every state within the bounds; returns what was covered.

        Args:
            target: a name as on the command line, a node class, or a scenario.
            states, seconds: where to stop although there is more, which fails.
            self_check, reduce: as `quorate.explore.exhaustive.explore`.
            bounds: other values for fields of the scenario's `Exploration`, and by name for its
                `bounds`: `timers=3, crashes=1, ballots=2`.

        Raises AssertionError for a property that fails, with a shortest way to where it does as a
        schedule, and the command that replays it; for a `sometimes` that holds nowhere; and for a
        space that was not exhausted.
        """
        __tracebackhide__ = True
        from quorate.explore.catalogue import Aim, load
        from quorate.explore.exhaustive import Limits, explore

        result = explore(
            load(Aim(_name_of(target))),
            limits=Limits(states=states, seconds=seconds),
            self_check=self_check,
            reduce=reduce,
            **bounds,
        )
        if result.verdict.exit_code:
            raise AssertionError(self._told_exploration(result))
        return result

    def replay(self, path: str | Path, target: "Target | None" = None) -> "Replayed":
        """Play a schedule file again. Raises AssertionError if it fails, or no longer fits.

        `target` stands in for the scenario that the file names.
        """
        __tracebackhide__ = True
        return replay_kept(Path(path), target)

    def _told(self, tally: "Tally", found: "Found") -> str:
        """The message for a failure: what failed, the schedule, and how to play it again."""
        failure = found.failure
        return (
            f"{tally.aim.name} violates {failure.property}: {failure.message}\n"
            f"found in run {tally.runs} from seed {tally.first}, shrunk to {found.decisions} "
            f"decisions; {found.causal_steps} steps led to it\n\n"
        ) + self._kept(tally.aim.name, f"{failure.property}-{failure.seed}", found.schedule)

    def _told_exploration(self, result: "Result") -> str:
        """The message for an exploration that is no pass."""
        from quorate.explore.replay import replay
        from quorate.explore.report import claim
        from quorate.scenario.schedule import format_schedule

        name, states = result.scenario.name, f"{result.progress.states:,} states"
        if result.failed is None or result.schedule is None:
            if result.violates:
                doc = claim(result.scenario, result.violates)
                return f"{name} never reaches {result.violates} in all its {states}: {doc}"
            why = result.stopped or f"{result.undecided} histories are too hard to judge"
            grows = f"; growing: {', '.join(result.growing)}" if result.growing else ""
            return f"{name}: {states} decide nothing, as there may be more: {why}{grows}"
        violation = replay(result.schedule, scenario=result.scenario).outcome.violation
        violated = result.schedule.violates
        said = violation.message if violation else claim(result.scenario, violated)
        return (
            f"{name} violates {violated}: {said}\n"
            f"a shortest way has {result.failed.transitions} transitions; {states} visited\n\n"
        ) + self._kept(name, violated, format_schedule(result.schedule))

    def _kept(self, name: str, stem: str, schedule: str) -> str:
        """Write a schedule; returns it, and how to play it again."""
        plain = name.replace("/", "-").replace(":", "-")
        path = self._folder / f"{plain}-{stem}{SUFFIX}"
        path.write_text(schedule, encoding="utf-8")
        return (
            f"{schedule}\n"
            f"replay: quorate replay {path}\n"
            f"keep {path.name} in a folder of your tests to run it for ever"
        )


@pytest.fixture
def quorate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Quorate:
    """Hunts, explores and replays: see `Quorate.hunt`, `Quorate.explore`, `Quorate.replay`."""
    cache = getattr(request.config, "cache", None)
    folder = cache.mkdir("quorate") if cache else tmp_path_factory.mktemp("quorate")
    return Quorate(folder)


def replay_kept(path: Path, target: "Target | None" = None) -> "Replayed":
    """Replay a schedule that is to fail no more. Raises AssertionError if it does, or parts."""
    __tracebackhide__ = True
    from quorate.explore.catalogue import Aim, load, withdraw
    from quorate.explore.replay import replay
    from quorate.scenario.schedule import read_schedule

    schedule = read_schedule(path)
    if target is None:  # A test may have made another scenario of that class.
        withdraw(schedule.scenario)
    name = schedule.scenario if target is None else _name_of(target)
    replayed = replay(schedule, scenario=load(Aim(name, schedule.nodes)))
    lines = [f"{path}: {replayed.sentence()}"]
    if replayed.outcome.violation is not None:
        lines.append(replayed.outcome.violation.message)
    lines += (parting.text for parting in replayed.partings)
    if replayed.partings and replayed.outcome.violation is None:
        lines.append("if the code was mended, delete what never came up; else hunt anew")
    if replayed.verdict.exit_code:
        raise AssertionError("\n".join([*lines, f"replay: quorate replay {path}"]))
    return replayed


def _name_of(target: "Target") -> str:
    """A name under which this process can load the target, and others too if that is possible."""
    from quorate.explore.catalogue import CATALOGUE, Aim, load, provide
    from quorate.kernel.node import Node
    from quorate.scenario.scenario import Scenario

    if isinstance(target, str):
        return target
    if isinstance(target, Scenario):
        if target.name in CATALOGUE and load(Aim(target.name)) == target:
            return target.name
        scenario = target
    elif isinstance(target, type) and issubclass(target, Node):
        found = vars(sys.modules[target.__module__]).values()
        own = (v for v in found if isinstance(v, Scenario) and v.node is target)
        scenario = next(own, None) or Scenario(name=target.__name__, node=target)
    else:
        raise TypeError(f"give a name, a node class or a Scenario, not {target!r}")
    return provide(scenario, _command_name(scenario.node))


def _command_name(node: "type[Node]") -> str:
    """`tests/test_store.py:Store`."""
    path = Path(inspect.getfile(node))
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{node.__name__}"


# Schedules that are kept


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take every schedule file for a test."""
    if file_path.suffix != SUFFIX:
        return None
    collector: pytest.Collector = KeptFile.from_parent(parent, path=file_path)
    return collector


class KeptFile(pytest.File):
    """A schedule file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its one test."""
        yield KeptSchedule.from_parent(self, name=self.path.stem)


class KeptSchedule(pytest.Item):
    """The run that a schedule file describes; it must no longer fail."""

    def runtest(self) -> None:
        """Play it."""
        replay_kept(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A failure, or a mistake in the file, tells itself; anything else needs a traceback."""
        from quorate.errors import Mistake

        if isinstance(excinfo.value, AssertionError | Mistake):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where and what."""
        return self.path, 0, f"schedule {self.name}"
