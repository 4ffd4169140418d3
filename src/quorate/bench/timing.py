"""How time is taken: in turns, in one process or in new ones; and the machine's yardstick."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from pathlib import Path
from time import perf_counter, process_time

from quorate.errors import Mistake

PENDING = 1000
"""Events in the yardstick's queue, as in a busy simulation."""


def in_turns(rounds: int, *subjects: Callable[[], float]) -> list[tuple[float, ...]]:
    """Each subject's figures, taken in turns: a slow moment of the machine then hits them all."""
    taken = [[subject() for subject in subjects] for _ in range(rounds)]
    return list(zip(*taken, strict=True))


def cpu_seconds(work: Callable[[], object]) -> float:
    """How long one core is kept busy. On an idle machine that is the time on the clock."""
    started = process_time()
    work()
    return process_time() - started


def bare_loop(events: int) -> float:
    """The yardstick: events/s of a bare event loop that only pops, calls and pushes."""

    def nothing(subject: int) -> None:
        """An event that does nothing."""

    heap = [(index, index, nothing, index) for index in range(PENDING)]
    started = process_time()
    for sequence in range(PENDING, PENDING + events):
        time, _, action, subject = heappop(heap)
        action(subject)
        heappush(heap, (time + sequence * 7919 % PENDING + 1, sequence, action, subject))
    return events / (process_time() - started)


def seconds_of(command: Sequence[str]) -> float:
    """How long a command takes on the clock, its start included."""
    started = perf_counter()
    output_of(command)
    return perf_counter() - started


def output_of(command: Sequence[str], timeout: float | None = None) -> str:
    """What a command prints. Raises Mistake if it cannot be run, or fails.

    Past `timeout` seconds it is killed, which raises TimeoutError.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} was stopped after {timeout:g} s") from error
    except OSError as error:
        raise Mistake(f"cannot run {command[0]}: {error.strerror or error}") from error
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Mistake(f"{command[0]} ended with exit code {done.returncode}: {last}")
    return done.stdout


def command_quorate(*arguments: str) -> list[str]:
    """The installed command, or what it stands for."""
    script = Path(sys.executable).with_name("quorate")
    if script.exists():
        return [str(script), *arguments]
    main = "import sys; from quorate.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", main, *arguments]
