"""`quorate check`: is a recorded history linearizable?"""

from argparse import Namespace
from time import monotonic

from quorate.check import Budget, Result, check_history, model_named, read_history
from quorate.cli.files import write_page
from quorate.cli.screen import Screen
from quorate.explore.report import history_trace
from quorate.verdict import Verdict

MEGABYTE = 1 << 20


def main(options: Namespace) -> int:
    """Read a history, judge it, and explain it if it fails."""
    screen = Screen(options.json)
    model = model_named(options.model)
    started = monotonic()
    history = read_history(options.file, options.format, options.memory * MEGABYTE)
    budget = Budget(10**12, options.seconds, options.memory * MEGABYTE)
    result = check_history(history, model, budget, split=not options.no_split)
    seconds = monotonic() - started
    reasons = result.explanation
    if reasons is not None:
        screen.say(reasons.render())
    _tell(screen, result, len(history.operations), seconds)
    if options.html:
        trace = history_trace(history, reasons, result.verdict)
        screen.say(f"page     {write_page(options.html, trace)}")
    screen.json(
        {
            "command": "check",
            "history": options.file,
            "model": options.model,
            "verdict": result.verdict.value,
            "reason": result.reason,
            "operations": len(history.operations),
            "steps": result.steps,
            "seconds": round(seconds, 3),
            "keys": [
                {"key": part.key, "verdict": part.verdict.value, "operations": part.operations}
                for part in result.parts
            ],
            "explanation": reasons.render() if reasons else None,
        }
    )
    return result.verdict.exit_code


def _tell(screen: Screen, result: Result, operations: int, seconds: float) -> None:
    reason = f": {result.reason}" if result.reason else ""
    screen.say(f"verdict  {result.verdict.value}{reason}", "bold")
    keys = len(result.parts)
    parts = f", {keys} keys each by itself" if keys > 1 else ""
    screen.say(
        f"bound    {operations:,} operations{parts}; {result.steps:,} steps in {seconds:.2f} s"
    )
    if result.verdict is Verdict.UNKNOWN and keys > 1:
        for part in result.parts:
            if part.verdict is Verdict.UNKNOWN and part.reason:
                screen.say(f"unknown  key {part.key}: {part.reason}", "yellow")
