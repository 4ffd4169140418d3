"""Fuzz a decoder for some time: `python -m tests.fuzz.run TARGET --seconds N`.

With the package atheris (the extra `fuzz`) inputs are led by what code they reach; without it they
are drawn from the seeds. An input that breaks a claim, takes more than `HANG_SECONDS`, or more
than `MEMORY_BYTES`, is written to a file, and told. The exit code is 1 then, else 0.
"""

import random
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutation import drawn

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

HANG_SECONDS = 5
MEMORY_BYTES = 2 << 30


_alarm: Callable[[int], object] = getattr(signal, "alarm", lambda seconds: 0)
"""Not on Windows."""


class Hang(BaseException):
    """An input took too long."""


def hung(*_: object) -> None:
    """End what takes too long."""
    raise Hang(f"more than {HANG_SECONDS} seconds")


def guarded(check: Callable[[bytes], None], data: bytes) -> BaseException | None:
    """What the input breaks, if anything."""
    _alarm(HANG_SECONDS)
    try:
        check(data)
    except (Exception, Hang) as error:
        return error
    finally:
        _alarm(0)
    return None


def draw_and_check(target: "Target", seconds: float, seed: int) -> tuple[int, bytes, Any]:
    """How many inputs were tried; and the first bad one, with what it broke."""
    seeds, chance = list(target.seeds()), random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    for data in seeds:
        broken = guarded(target.check, data)
        if broken is not None:
            return count, data, broken
    while time.monotonic() < end:
        count += 1
        data = drawn(chance, seeds)
        broken = guarded(target.check, data)
        if broken is not None:
            return count, data, broken
    return count, b"", None


def led(name: str, seconds: int, folder: Path) -> None:
    """Let atheris lead; it ends the process."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with atheris.instrument_imports(include=["quorate"]):
        from tests.fuzz.targets import TARGETS
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}", "-max_len=8192"]
    options += [f"-rss_limit_mb={MEMORY_BYTES >> 20}", f"-artifact_prefix={folder / name}-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name].check)
    atheris.Fuzz()


def main() -> int:
    """Fuzz one target, or all in turn."""
    parser = ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("target", help="a name in tests/fuzz/targets.py, or all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--folder", type=Path, default=Path("out"), help="for what is found")
    parser.add_argument("--plain", action="store_true", help="without atheris, if it is there")
    options = parser.parse_args()
    if options.target != "all" and not options.plain and find_spec("atheris"):
        led(options.target, options.seconds, options.folder)
    from tests.fuzz.targets import TARGETS

    if options.target not in {"all", *TARGETS}:
        parser.error(f"no target is called {options.target}; there are {', '.join(TARGETS)}")
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, hung)
    _limit_memory()
    print(f"seed {options.seed}")
    is_bad = False
    for name in TARGETS if options.target == "all" else [options.target]:
        count, data, broken = draw_and_check(TARGETS[name], options.seconds, options.seed)
        print(f"{name:12}{count:10} inputs", flush=True)
        if broken is not None:
            is_bad = True
            options.folder.mkdir(parents=True, exist_ok=True)
            path = options.folder / f"{name}-{options.seed}"
            path.write_bytes(data)
            print(f"  {path}: {type(broken).__name__}: {broken}")
    return int(is_bad)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return  # Not on Windows.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main())
