"""How long `quorate --help` takes, beside an empty Python."""

import sys

from quorate.bench.options import Options
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.timing import command_quorate, in_turns, seconds_of

SECONDS = 0.2
TIMES = 6.0


def start(options: Options) -> Row:
    """Both, in turns."""
    return measure_start(10 if options.quick else 20)


def measure_start(rounds: int) -> Row:
    """So many starts of each."""
    help_command = command_quorate("--help")
    empty = [sys.executable, "-c", "pass"]
    seconds_of(help_command)  # The first start compiles, and reads from the disk.
    ours, python = in_turns(rounds, lambda: seconds_of(help_command), lambda: seconds_of(empty))
    found, peer = samples("s", ours), samples("s", python)
    ratio = Measure(what="", ours=found, theirs=peer).ratio or 0.0
    return Row(
        name="start",
        measures=(
            Measure(
                what="quorate --help",
                ours=found,
                peer="python -c pass",
                theirs=peer,
                goals=(
                    Goal("less than 0.2 s", found.median, SECONDS, at_least=False),
                    Goal("at most 6 times an empty Python", ratio, TIMES, at_least=False),
                ),
            ),
        ),
    )
