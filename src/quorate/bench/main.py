"""Runs the benchmarks that were asked for, and prints what each has found.

Exit code 0 if all could be measured, 1 if something was wrong whatever the speed (a verdict, a
hash). A goal that was missed is told, and no failure: machines differ, and are busy.
"""

import argparse
import difflib
import os
import platform
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from secrets import randbelow
from typing import Any, NoReturn

import msgspec

from quorate.bench.options import Options, silent
from quorate.bench.report import Row
from quorate.compiled import is_compiled
from quorate.errors import Mistake

ROWS = {
    "simulate": ("judged_runs", "judged Raft runs on one core"),
    "heartbeats": ("heartbeats", "heartbeats from all to all, beside SimPy"),
    "mutants": ("mutants", "each mutant found and shrunk"),
    "replay": ("replay", "the same trace in every process and every Python"),
    "memory": ("judged_runs", "resident memory over many runs"),
    "linearizability": ("linearizability", "recorded and hard histories, beside Porcupine"),
    "explore": ("exploration", "published numbers of states; transitions/s; bytes a state"),
    "live": ("live", "a real cluster's writes a second, beside etcd, PySyncObj and Redis"),
    "latency": ("live", "one write at a time, beside the sync alone"),
    "failover": ("failover", "writes again after the leader was killed"),
    "million": ("million", "a million keys: memory, restart, snapshots and stalls"),
    "start": ("start", "quorate --help, beside an empty Python"),
}
"""By name: the module that has a function of that name, and what it measures."""
FRESH = 10**9


class _Parser(argparse.ArgumentParser):
    """An error is a Mistake."""

    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message} (see {self.prog} --help)")


def main(arguments: list[str]) -> int:
    """Run `quorate bench` with these arguments; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    names = list(dict.fromkeys(chosen.names)) or list(ROWS)
    for name in names:
        if name not in ROWS:
            near = difflib.get_close_matches(name, ROWS, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ROWS)}"
            raise Mistake(f"no benchmark is called {name!r}; {hint}")
    options = _options(chosen)
    if not chosen.json:
        print("\n".join(_heading(options)), flush=True)
    rows: list[Row] = []
    try:
        for name in names:
            rows.append(_measure(name, options))
            if not chosen.json:
                print("\n" + "\n".join(rows[-1].lines()), flush=True)
    except KeyboardInterrupt:  # What has been measured stands.
        print("interrupted", file=sys.stderr)
    if chosen.json:
        print(msgspec.json.encode(_plain(rows, options)).decode())
    return int(any(row.wrong for row in rows))


def _parser() -> _Parser:
    listed = "\n".join(f"  {name:<18}{what}" for name, (_, what) in ROWS.items())
    parser = _Parser(
        prog="quorate bench",
        description="Measure each goal beside its peer, in turns.",
        epilog=f"names:\n{listed}\n\nPeers and how to set them up: docs/bench.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="less of everything; rougher figures")
    parser.add_argument("--long", action="store_true", help="explore: ten million states too")
    parser.add_argument("--seed", help="the first seed of long campaigns; default: a fresh one")
    parser.add_argument(
        "--histories", metavar="DIR", help="recorded histories (or QUORATE_HISTORIES)"
    )
    return parser


def _options(chosen: argparse.Namespace) -> Options:
    text = chosen.seed
    if text is not None and not (text.isdecimal() and len(text) < 19):
        raise Mistake(f"--seed takes a whole number below 10^18, not {text!r}")
    folder = chosen.histories or os.environ.get("QUORATE_HISTORIES", "")
    if folder and not Path(folder).is_dir():
        raise Mistake(f"{folder}: there is no such folder of histories")
    return Options(
        quick=chosen.quick,
        long=chosen.long,
        seed=randbelow(FRESH) if text is None else int(text),
        histories=Path(folder) if folder else None,
        porcupine=tuple(shlex.split(os.environ.get("QUORATE_PORCUPINE", ""))),
        tell=_tell if sys.stderr.isatty() else silent,
    )


def _measure(name: str, options: Options) -> Row:
    module, what = ROWS[name]
    options.tell(what)
    benchmark: Callable[[Options], Row] = getattr(import_module(f"quorate.bench.{module}"), name)
    row = benchmark(options)
    options.tell("")
    return row


def _tell(words: str) -> None:
    """On the terminal's last line, in place of what was told before."""
    print(f"\r\x1b[2K{words[:78]}", end="", file=sys.stderr, flush=True)


def _heading(options: Options) -> list[str]:
    machine = _machine()
    lines = [
        f"Python {machine['python']}{', compiled' if machine['compiled'] else ''}, "
        f"{machine['cores']} cores, load {machine['load']}, "
        f"seed {options.seed}{', quick' if options.quick else ''}",
    ]
    if machine["load"] > 0.5:
        lines.append("the machine is busy: trust ratios to peers more than figures")
    return lines


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {
        "python": platform.python_version(),
        "compiled": is_compiled(),
        "system": platform.system(),
        "cores": os.cpu_count() or 1,
        "load": round(load, 1),
    }


def _plain(rows: list[Row], options: Options) -> dict[str, Any]:
    return {
        "command": "bench",
        "quick": options.quick,
        "seed": options.seed,
        "machine": _machine(),
        "rows": [row.plain() for row in rows],
    }
