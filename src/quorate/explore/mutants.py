"""Break each rule of a protocol in turn, and see whether the default campaign notices.

A mutant that survives means a weak scenario or a needless line, unless it says what else it needs,
or that it breaks nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing import active_children
from time import monotonic

import msgspec

from quorate.explore.catalogue import Aim, load
from quorate.explore.hunt import Found, shrink_seed, try_seeds, workers
from quorate.scenario.mutant import Mutant
from quorate.verdict import Verdict

SHRINK_SECONDS = 60.0


class Row(msgspec.Struct, frozen=True):
    """What became of one mutant, or of the real protocol.

    Attributes:
        name: the scenario's, with the mutant's.
        mutant: None for the real protocol.
        runs: how many runs were made, the failing one included.
        seconds: how long it took until one failed, or until enough had been tried.
        found: the failure, shrunk.
    """

    name: str
    mutant: Mutant | None
    runs: int
    seconds: float
    found: Found | None = None

    @property
    def verdict(self) -> Verdict:
        """`fail` for what nothing explains."""
        mutant = self.mutant
        if mutant is None or mutant.equivalent:
            return Verdict.FAIL if self.found else Verdict.PASS
        return Verdict.PASS if self.found or mutant.needs else Verdict.FAIL

    @property
    def remark(self) -> str:
        """Why the row is as it should be, or that nothing explains it."""
        mutant = self.mutant
        if mutant is None:
            return "FAILED: the real protocol" if self.found else "clean"
        if mutant.equivalent:
            return "REPORTED, but breaks nothing" if self.found else "survives: breaks nothing"
        if self.found:
            return f"needs {mutant.needs}, as a rule" if mutant.needs else ""
        return f"survives: needs {mutant.needs}" if mutant.needs else "SURVIVES"


def aims(names: Sequence[str]) -> list[Aim]:
    """Each protocol as it is, followed by its mutants; or the one mutant that is named."""
    found = []
    for name in names:
        plain = name.partition("@")[0]
        load(Aim(name))
        mutants = [name] if "@" in name else [f"{name}@{m.name}" for m in load(Aim(name)).mutants]
        found += [Aim(plain), *map(Aim, mutants)]
    return list(dict.fromkeys(found))


def try_mutant(aim: Aim, first: int, seeds: int, seconds: float) -> Row:
    """One default campaign, in this process; what it finds is shrunk."""
    name, _, mutant_name = aim.name.partition("@")
    mutants = {m.name: m for m in load(Aim(name)).mutants}
    started = monotonic()
    runs = 0
    while runs < seeds and monotonic() - started < seconds:
        tally = try_seeds(aim, first + runs, 1, False)
        runs += 1
        if tally.failures:
            took = monotonic() - started
            found = shrink_seed(aim, tally.failures[0].seed, SHRINK_SECONDS)
            return Row(aim.name, mutants.get(mutant_name), runs, took, found)
    return Row(aim.name, mutants.get(mutant_name), runs, monotonic() - started)


def try_mutants(
    aims: Sequence[Aim],
    first: int,
    seeds: int,
    seconds: float,
    jobs: int | None = None,
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Every one of them, over all cores, in the order of `aims`. Ctrl-C keeps the rows so far."""
    rows: dict[int, Row] = {}
    with workers(jobs) as pool:
        futures: dict[Future[Row], int] = {
            pool.submit(try_mutant, aim, first, seeds, seconds): index
            for index, aim in enumerate(aims)
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
