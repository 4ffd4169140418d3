"""One trace hash for each seed: in any process, of any Python, and from the explicit tape alone."""

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from quorate.bench.hasher import TAPES
from quorate.bench.interpreters import Interpreter, others, this
from quorate.bench.options import Options, Tell, silent
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.errors import Mistake
from quorate.explore.hunt import cores

NAME = "raft"
BLOCK = 250
"""Seeds for one process: its start is then lost in the rest."""
SHOWN = 5


class _Variant(msgspec.Struct, frozen=True):
    """One way to run a seed."""

    what: str
    interpreter: Interpreter
    hash_seed: str
    tapes: bool = False


def replay(options: Options) -> Row:
    """Ten thousand seeds of Raft, or a few."""
    with TemporaryDirectory() as folder:
        options.tell("making the other Pythons ready")
        pythons = others(Path(folder))
        count = 200 if options.quick else 10_000
        return measure_replay(count, options.seed, pythons, options.tell)


def measure_replay(
    count: int, first: int, pythons: Sequence[Interpreter], tell: Tell = silent
) -> Row:
    """Run so many seeds in every way, over all cores, and compare the hashes."""
    mine = this()
    variants = [
        _Variant(f"Python {mine.version}, PYTHONHASHSEED=0", mine, "0"),
        _Variant(f"Python {mine.version}, PYTHONHASHSEED=4242", mine, "4242", tapes=True),
    ]
    present = [python for python in pythons if not python.absent]
    variants += [_Variant(f"Python {p.version}", p, "7") for p in present]
    found = _all_hashes(variants, count, first, tell)
    reference, again = found[0], found[1]
    columns = {
        variant.what: {seed: row[0] for seed, row in hashes.items()}
        for variant, hashes in zip(variants[1:], found[1:], strict=True)
    }
    columns["the replay of its explicit tape"] = {seed: row[-1] for seed, row in again.items()}
    wrong = [
        f"{NAME}, seed {seed}: {what} has another hash than {variants[0].what}"
        for what, column in columns.items()
        for seed, (expected,) in reference.items()
        if column.get(seed) != expected
    ]
    bad = len({text.split(":")[0] for text in wrong})
    versions = " and ".join(python.version for python in (mine, *present))
    goal = Goal("every one of them", count - bad, count)
    what = f"of {count:,} seeds with one hash in all ways"
    return Row(
        name="replay",
        measures=(Measure(what=what, ours=samples("", [count - bad]), goals=(goal,)),),
        notes=(
            f"from seed {first}; Python {versions}; compared with {variants[0].what}: "
            + ", ".join(columns),
            *(python.absent for python in pythons if python.absent),
        ),
        wrong=tuple(wrong[:SHOWN]),
    )


Hashes = dict[int, list[str]]
"""What `hasher` prints, by seed."""


def _all_hashes(variants: Sequence[_Variant], count: int, first: int, tell: Tell) -> list[Hashes]:
    """By variant. A thread for each core waits for one process after the other."""
    found: list[Hashes] = [{} for _ in variants]
    blocks = [
        (index, start, min(BLOCK, first + count - start))
        for start in range(first, first + count, BLOCK)
        for index in range(len(variants))
    ]
    done = 0
    with ThreadPoolExecutor(cores()) as threads:
        waiting = {
            threads.submit(_hashes, variants[index], start, size): index
            for index, start, size in blocks
        }
        try:
            for future in as_completed(waiting):
                found[waiting[future]].update(future.result())
                done += 1
                tell(f"{done * 100 // len(blocks)} % of {count:,} seeds in {len(variants)} ways")
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _hashes(variant: _Variant, first: int, count: int) -> Hashes:
    """In a process of its own."""
    words = [variant.interpreter.python, "-m", "quorate.bench.hasher"]
    words += [NAME, str(first), str(count)]
    words += [TAPES] if variant.tapes else []
    path = {"PYTHONPATH": variant.interpreter.path, "PYTHONHASHSEED": variant.hash_seed}
    done = subprocess.run(
        words, env={**os.environ, **path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Mistake(f"{variant.what}: {last}")
    rows = (line.split() for line in done.stdout.splitlines())
    return {int(seed): hashes for seed, *hashes in rows}
