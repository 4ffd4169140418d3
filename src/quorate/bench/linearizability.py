"""Histories with known verdicts, judged; beside Porcupine where there is a command for it."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from quorate.bench.checker import WHOLE
from quorate.bench.key_value import key_value_history
from quorate.bench.options import Options
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.timing import in_turns, output_of
from quorate.errors import Mistake
from quorate.verdict import Verdict

ETCD_SECONDS = 3.0
ETCD_FILES = 102
"""So many recorded etcd histories are to be judged within `ETCD_SECONDS`; fewer in their share."""
TIMES = 2.0
"""A hard history may take so many times what Porcupine takes."""
PATIENCE = 120.0
QUICK_PATIENCE = 20.0
"""Seconds after which a checker is stopped."""
OURS = (sys.executable, "-m", "quorate.bench.checker")
GENERATED = ((50, 2000, "kv"), (10, 400, "kv-whole"))
"""Clients, operations and model of the histories that are made up here."""
MADE_FROM = 1
"""Their seed: always the same, so that figures can be compared from one day to the next."""


class Wrong(list[str]):
    """Verdicts that are not the known ones."""

    def expect(self, known: Mapping[str, str], found: Mapping[str, str]) -> None:
        """Compare, file by file."""
        for file, verdict in known.items():
            if found.get(file) != verdict:
                text = f"{Path(file).name}: {found.get(file, 'no verdict')}, not {verdict}"
                if text not in self:
                    self.append(text)


def linearizability(options: Options) -> Row:
    """Recorded histories, if there is a folder of them, and made-up ones."""
    rounds = 2 if options.quick else 5
    return measure_histories(options, rounds, GENERATED)


def measure_histories(
    options: Options, rounds: int, generated: Sequence[tuple[int, int, str]]
) -> Row:
    """Judge all of them in each round, ours and Porcupine in turns."""
    wrong = Wrong()
    notes = []
    if not options.porcupine:
        notes.append("Porcupine was not there: QUORATE_PORCUPINE names no command (docs/bench.md)")
    measures: list[Measure] = []
    if options.histories is None:
        notes.append("recorded histories skipped: neither --histories nor QUORATE_HISTORIES")
    else:
        measures += _recorded(options, options.histories, rounds, wrong)
    with TemporaryDirectory() as folder:
        for clients, operations, model in generated:
            known = _generate(Path(folder), clients, operations)
            measures += _hard(options, model, known, rounds, wrong)
    return Row(
        name="linearizability", measures=tuple(measures), notes=tuple(notes), wrong=tuple(wrong)
    )


def _recorded(options: Options, folder: Path, rounds: int, wrong: Wrong) -> list[Measure]:
    verdicts = folder / "etcd" / "verdicts.txt"
    if not verdicts.is_file():
        raise Mistake(f"{folder}: it has no etcd/verdicts.txt, so it is no folder of histories")
    rows = [line.split() for line in verdicts.read_text(encoding="utf-8").splitlines() if line]
    etcd = {str(folder / "etcd" / name): verdict for name, verdict in rows}
    measures = [_etcd(options, etcd, rounds, wrong)]
    for model in ("kv", "kv-whole"):
        files = {
            str(path): (Verdict.PASS if path.stem.endswith("ok") else Verdict.FAIL).value
            for path in sorted((folder / "kv").glob("*.txt"))
        }
        hard = {file: verdict for file, verdict in files.items() if "c01" not in file}
        measures += _hard(options, model, hard, rounds, wrong)
    return measures


def _generate(folder: Path, clients: int, operations: int) -> dict[str, str]:
    known = {}
    for verdict in (Verdict.PASS, Verdict.FAIL):
        path = folder / f"{clients} clients, made up, {verdict.value}.txt"
        is_ok = verdict is Verdict.PASS
        text = key_value_history(clients, operations, MADE_FROM, linearizable=is_ok)
        path.write_text(text, encoding="utf-8")
        known[str(path)] = verdict.value
    return known


def _etcd(options: Options, known: Mapping[str, str], rounds: int, wrong: Wrong) -> Measure:
    """All in one process, its start included."""

    def subject(checker: Sequence[str]) -> Callable[[], float]:
        def seconds() -> float:
            started = perf_counter()
            found = _verdicts([*checker, "cas-register", *known])
            took = perf_counter() - started
            wrong.expect(known, {file: verdict for file, (verdict, _) in found.items()})
            return took

        return seconds

    options.tell(f"{len(known)} recorded etcd histories")
    subjects = [subject(checker) for checker in (OURS, options.porcupine) if checker]
    taken = in_turns(rounds, *subjects)
    ours = samples("s", taken[0])
    share = ETCD_SECONDS * len(known) / ETCD_FILES
    return Measure(
        what=f"{len(known)} recorded etcd histories, with start",
        ours=ours,
        peer="Porcupine" if options.porcupine else "",
        theirs=samples("s", taken[1]) if options.porcupine else None,
        goals=(Goal(f"less than {share:.2g} s", ours.median, share, at_least=False),),
    )


def _hard(
    options: Options, model: str, known: Mapping[str, str], rounds: int, wrong: Wrong
) -> list[Measure]:
    """Each by itself: the seconds of the check alone, as each checker tells them."""
    measures = []
    for file, verdict in known.items():
        contest = _Contest(options, model, file, verdict, wrong)
        checkers = [checker for checker in (OURS, options.porcupine) if checker]
        taken = in_turns(rounds, *(partial(contest.seconds, checker) for checker in checkers))
        measures.append(contest.measure(taken))
    return measures


class _Contest:
    """One hard history, and the checkers that judge it."""

    def __init__(self, options: Options, model: str, file: str, verdict: str, wrong: Wrong) -> None:
        self._options = options
        self._model = model
        self._file = file
        self._verdict = verdict
        self._wrong = wrong
        self._patience = QUICK_PATIENCE if options.quick else PATIENCE
        self._gave_up: set[Sequence[str]] = set()

    def seconds(self, checker: Sequence[str]) -> float:
        """What the check took; the patience for a checker that did not come to an end."""
        who = "Quorate" if checker is OURS else "Porcupine"
        self._options.tell(f"{Path(self._file).stem}, by {who}")
        if checker not in self._gave_up:
            try:
                found = _verdicts([*checker, self._model, self._file], self._patience)
            except TimeoutError:
                self._gave_up.add(checker)
            else:
                verdict, took = found.get(self._file, ("no verdict", self._patience))
                self._wrong.expect({self._file: self._verdict}, {self._file: verdict})
                return took
        return self._patience

    def measure(self, taken: Sequence[Sequence[float]]) -> Measure:
        ours, *theirs = (samples("s", column) for column in taken)
        keys = "all keys at once" if WHOLE in self._model else "key by key"
        what = f"{Path(self._file).stem}, {keys}"
        if not theirs:
            return Measure(what=what, ours=ours)
        peer = "Porcupine"
        if self._options.porcupine in self._gave_up:
            peer = f"Porcupine, stopped after {self._patience:g} s"
        ratio = Measure(what=what, ours=ours, theirs=theirs[0]).ratio or 0.0
        goal = Goal("at most 2 times Porcupine", ratio, TIMES, at_least=False)
        return Measure(what=what, ours=ours, peer=peer, theirs=theirs[0], goals=(goal,))


def _verdicts(command: Sequence[str], timeout: float | None = None) -> dict[str, tuple[str, float]]:
    """What a checker prints, by file."""
    found = {}
    for line in output_of(command, timeout).splitlines():
        verdict, _, rest = line.partition(" ")
        seconds, _, file = rest.partition(" ")
        try:
            found[file] = (verdict, float(seconds))
        except ValueError:
            raise Mistake(
                f"{command[0]} printed {line!r}; expected a verdict, seconds and a file"
            ) from None
    return found
