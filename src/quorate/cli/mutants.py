"""`quorate mutants`: the table of who notices which broken rule."""

from argparse import Namespace
from statistics import median
from typing import Any

from quorate.cli.aim import fresh_seed
from quorate.cli.screen import Screen, command
from quorate.explore.catalogue import CATALOGUE
from quorate.explore.mutants import Row, aims, try_mutants
from quorate.verdict import Verdict, worst

HEADS = (
    "mutant", "rule broken", "section", "killed by", "run", "found", "shrunk to", "shrunk in",
    "remark",
)  # fmt: skip


def main(options: Namespace) -> int:
    """Try every mutant, and print the table."""
    screen = Screen(options.json)
    wanted = aims(options.names or list(CATALOGUE))
    seed = fresh_seed() if options.seed is None else options.seed
    screen.note(f"{len(wanted)} campaigns of up to {options.seeds} seeds from seed {seed}")
    done: list[Row] = []
    with screen.progress("mutants", len(wanted)) as bar:

        def progress(row: Row) -> None:
            done.append(row)
            bar(len(done), f"{len(done)} of {len(wanted)}, last {row.name}")

        rows = try_mutants(wanted, seed, options.seeds, options.seconds, options.jobs, progress)
    screen.table(HEADS, [_cells(row) for row in rows])
    verdict = worst(row.verdict for row in rows)
    is_whole = len(rows) == len(wanted)
    if not is_whole and verdict is Verdict.PASS:
        verdict = Verdict.UNKNOWN
    again = command("mutants", *options.names, "--seed", str(seed), "--seeds", str(options.seeds))
    _tell_sum(screen, rows, len(wanted))
    screen.say(f"verdict  {verdict.value}", "bold")
    screen.say(f"{'again   ' if is_whole else 'go on   '} {again}")
    screen.json(
        {
            "command": "mutants",
            "verdict": verdict.value,
            "first_seed": seed,
            "seeds": options.seeds,
            "is_whole": is_whole,
            "rows": [_entry(row) for row in rows],
        }
    )
    return verdict.exit_code


def _cells(row: Row) -> list[str]:
    mutant, found = row.mutant, row.found
    cells = [row.name, "", "", "", f"{row.runs:,}", f"{row.seconds:.1f} s", "", "", row.remark]
    if mutant is not None:
        cells[1:3] = mutant.rule, mutant.section
    if found is not None:
        least = "" if found.is_minimal else "≤ "
        cells[3] = found.failure.property
        cells[6] = f"{least}{found.decisions} decisions, {found.causal_steps} steps"
        cells[7] = f"{found.seconds:.1f} s"
    else:
        cells[5] = f"({row.seconds:.1f} s)"
    return cells


def _tell_sum(screen: Screen, rows: list[Row], wanted: int) -> None:
    found = [(row, row.found) for row in rows if row.mutant and row.found]
    mutants = [row for row in rows if row.mutant]
    screen.say(f"killed   {len(found)} of {len(mutants)} mutants")
    if found:
        times = [row.seconds + kill.seconds for row, kill in found]
        decisions = [kill.decisions for _, kill in found]
        screen.say(
            f"to find and shrink: median {median(times):.1f} s, at most {max(times):.1f} s; "
            f"median {median(decisions):g} decisions"
        )
    if len(rows) < wanted:
        screen.say(f"interrupted: {wanted - len(rows)} were not tried to the end")
    for row in rows:
        if row.verdict is Verdict.FAIL:
            screen.say(f"unexplained: {row.name}: {row.remark}", "bold red")


def _entry(row: Row) -> dict[str, Any]:
    mutant, found = row.mutant, row.found
    return {
        "name": row.name,
        "rule": mutant.rule if mutant else None,
        "section": mutant.section if mutant else None,
        "needs": mutant.needs if mutant else None,
        "equivalent": mutant.equivalent if mutant else None,
        "verdict": row.verdict.value,
        "remark": row.remark,
        "runs": row.runs,
        "seconds": round(row.seconds, 3),
        "killed_by": found.failure.property if found else None,
        "seed": found.failure.seed if found else None,
        "decisions": found.decisions if found else None,
        "causal_steps": found.causal_steps if found else None,
        "is_minimal": found.is_minimal if found else None,
        "shrink_seconds": round(found.seconds, 3) if found else None,
        "schedule": found.schedule if found else None,
    }
