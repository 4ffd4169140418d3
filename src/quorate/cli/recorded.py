"""`quorate replay DIR`: what a live cluster has recorded, run again and judged."""

from argparse import Namespace
from pathlib import Path
from time import monotonic

from quorate.cli.files import write_page, write_text
from quorate.cli.screen import Screen, in_words
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.explore.recorded import Merged, Parted, play_all
from quorate.live import supervisor
from quorate.trace import shiviz, write_trace
from quorate.verdict import Verdict


def replay_recorded(directory: Path, options: Namespace, screen: Screen) -> int:
    """Run every recorded step again; say whether each did what it did, and what held."""
    if options.pdb or options.export_ordered or options.history:
        raise Mistake("--pdb, --export-ordered and --history take a schedule, not a directory")
    system = system_of(supervisor.find(directory)[0].config.system)
    members, plays = play_all(system, directory)
    merged = Merged(system, members)
    started, steps, parted = monotonic(), 0, ""
    try:
        with screen.progress("replaying", None) as bar:
            for played in plays:
                merged.take(played)
                steps += 1
                if not steps % 1000:
                    bar(0, f"{steps:,} steps")
    except Parted as error:
        parted = str(error)
    verdict = Verdict.FAIL if parted or merged.violation else Verdict.PASS
    screen.say(f"{directory}: {steps:,} recorded events of {len(members)} members", "bold")
    if parted:
        screen.say(f"conformance: {parted}", "red")
    if merged.violation is not None:
        screen.say(f"{merged.violation.property}: {merged.violation.message}", "red")
    screen.say(f"happened {in_words(merged.counters)}")
    written = _write(options, merged, parted)
    for kind, file in written.items():
        screen.say(f"{kind:<8} {file}")
    screen.say(f"verdict  {verdict.value}: {_bound(steps, monotonic() - started)}", "bold")
    screen.json(
        {
            "command": "replay",
            "scenario": system.scenario.name,
            "verdict": verdict.value,
            "steps": steps,
            "parted": parted,
            "violation": merged.violation.property if merged.violation else None,
            "counters": dict(merged.counters),
            "files": written,
        }
    )
    return verdict.exit_code


def _bound(steps: int, seconds: float) -> str:
    return f"each of {steps:,} steps run again by the same function, {seconds:.1f} s"


def _write(options: Namespace, merged: Merged, parted: str) -> dict[str, str]:
    if not (options.html or options.trace or options.shiviz):
        return {}
    some = f": its last {len(merged.records):,} steps" if merged.dropped else ""
    trace = merged.trace(parted or f"a live cluster{some}")
    written = {}
    if options.html:
        written["page"] = write_page(options.html, trace)
    if options.trace:
        write_trace(options.trace, trace.header, trace.steps)
        written["trace"] = options.trace
    if options.shiviz:
        written["shiviz"] = write_text(options.shiviz, (f"{line}\n" for line in shiviz(trace)))
    return written
