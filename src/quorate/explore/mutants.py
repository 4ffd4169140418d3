"""Break each rule of a protocol in turn, and see which judge notices: hunting, exploring, or both.

A mutant that survives both means a weak scenario or a needless line, unless it says what else it
needs, or that it breaks nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing import active_children
from time import monotonic

import msgspec

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import Limits, explore
from quorate.explore.hunt import Found, cores, shrink_seed, try_seeds, workers
from quorate.explore.resources import SHARE, available
from quorate.scenario.mutant import Mutant
from quorate.verdict import Verdict

SHRINK_SECONDS = 60.0
JUDGES = ("hunt", "explore")
BY_EXPLORING = "explore"
"""What a mutant `needs` that hunting rarely or never finds."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How hard each judge tries each mutant.

    Attributes:
        judges: those that are asked, of `JUDGES`.
        first, seeds: the first seed of the default campaign, and how many.
        states: how many states are visited at the most.
        seconds: how long each judge may take.
        memory_bytes: of a process that explores; None for its part of what is free.
    """

    judges: tuple[str, ...] = JUDGES
    first: int = 0
    seeds: int = 2000
    states: int = 1_000_000
    seconds: float = 60.0
    memory_bytes: int | None = None


class Hunted(msgspec.Struct, frozen=True):
    """What the default campaign came to.

    Attributes:
        runs: how many were made, the failing one included.
        seconds: until one failed, or until enough had been tried.
        found: the failure, shrunk.
    """

    runs: int
    seconds: float
    found: Found | None = None


class Explored(msgspec.Struct, frozen=True):
    """What exploring came to.

    Attributes:
        states: how many were visited.
        violates: the property that does not hold, or "".
        transitions: of a shortest way to where that shows; None if it is a state that is missing.
        stopped: why there may be more states; "" if there are none within the bounds.
        bounds: those of the exploration, in words.
        refused: why there was nothing to explore, or "".
    """

    states: int = 0
    seconds: float = 0.0
    violates: str = ""
    transitions: int | None = None
    stopped: str = ""
    bounds: tuple[str, ...] = ()
    refused: str = ""


class Row(msgspec.Struct, frozen=True):
    """What became of one mutant, or of the real protocol.

    Attributes:
        name: the scenario's, with the mutant's.
        mutant: None for the real protocol.
        hunted, explored: what each judge came to; None if it was not asked.
    """

    name: str
    mutant: Mutant | None
    hunted: Hunted | None = None
    explored: Explored | None = None

    @property
    def killers(self) -> tuple[str, ...]:
        """The judges that have noticed something."""
        hunts = self.hunted is not None and self.hunted.found is not None
        explores = self.explored is not None and bool(self.explored.violates)
        return tuple(j for j, kills in zip(JUDGES, (hunts, explores), strict=True) if kills)

    @property
    def verdict(self) -> Verdict:
        """`fail` for what nothing explains, `unknown` if a judge that may explain it was silent."""
        mutant = self.mutant
        if mutant is None or mutant.equivalent:
            if self.killers:
                return Verdict.FAIL
            return Verdict.PASS if self._was_judged else Verdict.UNKNOWN
        if self.killers:
            is_missed = mutant.needs == BY_EXPLORING and "explore" not in self.killers
            return Verdict.FAIL if is_missed and self.explored is not None else Verdict.PASS
        if mutant.needs:
            is_due = mutant.needs == BY_EXPLORING and self.explored is not None
            return Verdict.FAIL if is_due else Verdict.PASS
        return Verdict.UNKNOWN if self.hunted is None else Verdict.FAIL

    @property
    def _was_judged(self) -> bool:
        return self.hunted is not None or (self.explored is not None and not self.explored.refused)

    @property
    def remark(self) -> str:
        """Why the row is as it should be, or that nothing explains it."""
        mutant = self.mutant
        if mutant is None:
            return "FAILED: the real protocol" if self.killers else "clean"
        if mutant.equivalent:
            return "REPORTED, but breaks nothing" if self.killers else "survives: breaks nothing"
        if self.verdict is Verdict.FAIL:
            return "SURVIVES exploration, which it needs" if mutant.needs else "SURVIVES"
        if self.killers:
            return f"needs {mutant.needs}, as a rule" if mutant.needs else ""
        return f"survives: needs {mutant.needs or 'another judge'}"


def aims(names: Sequence[str]) -> list[Aim]:
    """Each protocol as it is, followed by its mutants; or the one mutant that is named."""
    found = []
    for name in names:
        plain = name.partition("@")[0]
        load(Aim(name))
        mutants = [name] if "@" in name else [f"{name}@{m.name}" for m in load(Aim(name)).mutants]
        found += [Aim(plain), *map(Aim, mutants)]
    return list(dict.fromkeys(found))


def try_mutant(aim: Aim, budget: Budget) -> Row:
    """What each judge makes of it, in this process."""
    name, _, mutant_name = aim.name.partition("@")
    mutants = {mutant.name: mutant for mutant in load(Aim(name)).mutants}
    return Row(
        aim.name,
        mutants.get(mutant_name),
        _hunted(aim, budget) if "hunt" in budget.judges else None,
        _explored(aim, budget) if "explore" in budget.judges else None,
    )


def _hunted(aim: Aim, budget: Budget) -> Hunted:
    """One default campaign; what it finds is shrunk."""
    started = monotonic()
    runs = 0
    while runs < budget.seeds and monotonic() - started < budget.seconds:
        tally = try_seeds(aim, budget.first + runs, 1, False)
        runs += 1
        if tally.failures:
            took = monotonic() - started
            found = shrink_seed(aim, tally.failures[0].seed, SHRINK_SECONDS)
            return Hunted(runs, took, found)
    return Hunted(runs, monotonic() - started)


def _explored(aim: Aim, budget: Budget) -> Explored:
    """The scenario's exploration, with the bounds that the mutant needs."""
    scenario = load(aim)
    if scenario.exploration is None:
        return Explored(refused="its scenario declares no exploration")
    limits = Limits(states=budget.states, seconds=budget.seconds, memory_bytes=budget.memory_bytes)
    try:
        result = explore(scenario, limits=limits)
    except Mistake as mistake:
        return Explored(refused=str(mistake))
    return Explored(
        result.progress.states,
        result.progress.seconds,
        result.violates,
        result.failed.transitions if result.failed else None,
        result.stopped,
        tuple(result.exploration.in_words()),
    )


def try_mutants(
    aims: Sequence[Aim],
    budget: Budget,
    jobs: int | None = None,
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Every one of them, over all cores, in the order of `aims`. Ctrl-C keeps the rows so far."""
    if budget.memory_bytes is None:
        share = int(available() * SHARE) // (jobs or cores())
        budget = msgspec.structs.replace(budget, memory_bytes=share)
    rows: dict[int, Row] = {}
    with workers(jobs) as pool:
        futures: dict[Future[Row], int] = {
            pool.submit(try_mutant, aim, budget): index for index, aim in enumerate(aims)
        }
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    row = rows[futures[future]] = future.result()
                    if progress is not None:
                        progress(row)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():
                worker.terminate()
    return [rows[index] for index in sorted(rows)]
