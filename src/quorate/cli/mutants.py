"""`quorate mutants`: the table of who notices which broken rule, hunting and exploring."""

import textwrap
from argparse import Namespace
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from quorate.cli.aim import fresh_seed
from quorate.cli.screen import Screen, command
from quorate.explore.catalogue import CATALOGUE
from quorate.explore.mutants import JUDGES, Budget, Explored, Hunted, Row, aims, try_mutants
from quorate.verdict import Verdict, worst

HUNT_HEADS = ("killed by", "run", "s", "size")
EXPLORE_HEADS = ("killed by", "steps", "states", "s")
LEGEND = {
    "hunt": "run: the first that failed, or how many did not; size: decisions, once it was shrunk",
    "explore": (
        "steps: of a shortest counterexample; states: visited until then. `none in all`: of all "
        "states within its bounds, and no others; `none so far`: there are more, and any may fail"
    ),
}
LEAST = 10
"""Columns of a property's name, at least."""


def main(options: Namespace) -> int:
    """Try every mutant, and print the table."""
    screen = Screen(options.json)
    wanted = aims(options.names or list(CATALOGUE))
    budget = Budget(
        judges=JUDGES if options.judge == "both" else (options.judge,),
        first=fresh_seed() if options.seed is None else options.seed,
        seeds=options.seeds,
        states=options.states,
        seconds=options.seconds,
    )
    screen.note(f"{len(wanted)} rows, {' and '.join(_effort(budget))} each")
    rows = _try(screen, wanted, budget, options.jobs)
    for line in table(rows, budget.judges, screen.width):
        screen.say(line)
    screen.say()
    for judge in budget.judges:
        _wrap(screen, judge, LEGEND[judge])
    verdict = worst(row.verdict for row in rows)
    is_whole = len(rows) == len(wanted)
    if not is_whole and verdict is Verdict.PASS:
        verdict = Verdict.UNKNOWN
    _tell_sum(screen, rows, len(wanted))
    screen.say(f"verdict  {verdict.value}", "bold")
    screen.say(f"{'again   ' if is_whole else 'go on   '} {_again(options, budget)}")
    screen.json(
        {
            "command": "mutants",
            "verdict": verdict.value,
            "judges": budget.judges,
            "first_seed": budget.first,
            "seeds": budget.seeds,
            "states": budget.states,
            "seconds": budget.seconds,
            "is_whole": is_whole,
            "rows": [_entry(row) for row in rows],
        }
    )
    return verdict.exit_code


def _try(screen: Screen, wanted: list[Any], budget: Budget, jobs: int | None) -> list[Row]:
    done: list[Row] = []
    with screen.progress("mutants", len(wanted)) as bar:

        def progress(row: Row) -> None:
            done.append(row)
            bar(len(done), f"{len(done)} of {len(wanted)}, last {row.name}")

        return try_mutants(wanted, budget, jobs, progress)


def _effort(budget: Budget) -> list[str]:
    words = {
        "hunt": f"up to {budget.seeds:,} runs from seed {budget.first}",
        "explore": f"up to {budget.states:,} states",
    }
    return [words[judge] for judge in budget.judges] + [f"{budget.seconds:g} s"]


def _again(options: Namespace, budget: Budget) -> str:
    words = ["--judge", options.judge] if options.judge != "both" else []
    if "hunt" in budget.judges:
        words += ["--seed", str(budget.first), "--seeds", str(budget.seeds)]
    if "explore" in budget.judges:
        words += ["--states", str(budget.states)]
    words += ["--seconds", f"{budget.seconds:g}"]
    return command("mutants", *options.names, *words)


# The table


def table(rows: Sequence[Row], judges: Sequence[str], width: int) -> list[str]:
    """The lines of the table: a mutant's name, and what each judge came to.

    Where there is not enough room the names of properties are cut; JSON has them whole.
    """
    blocks = [[list(HUNT_HEADS if j == "hunt" else EXPLORE_HEADS) for j in judges]]
    blocks += [[_cells(row, judge) for judge in judges] for row in rows]
    names = ["mutant", *(_short(row) for row in rows)]
    room = width - max(map(len, names))
    for at in range(len(judges)):
        cells = [line[at] for line in blocks]
        rest = sum(1 + max(len(line[column]) for line in cells) for column in range(1, 4))
        longest = max(len(line[0]) for line in cells)
        share = min(longest, max(LEAST, room // (len(judges) - at) - rest - 2))
        room -= _fit(cells, share) + 2
    wide = max(map(len, names))
    titles = "  ".join(
        judge.ljust(len(block)) for judge, block in zip(judges, map(_line, blocks[0]), strict=True)
    )
    lines = [f"{'':<{wide}}  {titles}".rstrip()]
    for name, line in zip(names, blocks, strict=True):
        lines.append("  ".join([name.ljust(wide), *map(_line, line)]).rstrip())
    return lines


def _line(cells: Sequence[str]) -> str:
    return " ".join(cells)


def _fit(cells: list[list[str]], share: int) -> int:
    """Cut and pad the cells of one judge to columns; returns how wide they are together."""
    for line in cells:
        if len(line[0]) > share:
            line[0] = line[0][: share - 1] + "…"
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    for line in cells:
        line[0] = line[0].ljust(widths[0])
        for column in range(1, 4):
            line[column] = line[column].rjust(widths[column])
    return sum(widths) + 3


def _short(row: Row) -> str:
    """`paxos`, and below it `  @vote-volatile`."""
    return f"  @{row.name.partition('@')[2]}" if "@" in row.name else row.name


def _cells(row: Row, judge: str) -> list[str]:
    if judge == "hunt":
        return _hunt_cells(row.hunted) if row.hunted else [""] * 4
    return _explore_cells(row.explored) if row.explored else [""] * 4


def _hunt_cells(hunted: Hunted) -> list[str]:
    found = hunted.found
    if found is None:
        return ["none", f"{hunted.runs:,}", f"{hunted.seconds:.1f}", ""]
    size = f"{'' if found.is_minimal else '≤ '}{found.decisions}"
    return [found.failure.property, f"{hunted.runs:,}", f"{hunted.seconds:.1f}", size]


def _explore_cells(explored: Explored) -> list[str]:
    if explored.refused:
        return ["not explored", "", "", ""]
    name = explored.violates or ("none so far" if explored.stopped else "none in all")
    steps = "" if explored.transitions is None else str(explored.transitions)
    if explored.violates and not steps:
        steps = "never"
    return [name, steps, f"{explored.states:,}", f"{explored.seconds:.1f}"]


# What it comes to


def _tell_sum(screen: Screen, rows: list[Row], wanted: int) -> None:
    mutants = [row for row in rows if row.mutant]
    killed = [row for row in mutants if row.killers]
    screen.say(f"killed   {len(killed)} of {len(mutants)} mutants")
    _tell_hunted(screen, [row.hunted for row in mutants if row.hunted])
    _tell_explored(screen, [row.explored for row in mutants if row.explored])
    for judge, other in (JUDGES, JUDGES[::-1]):
        alone = [row for row in killed if row.killers == (judge,) and _was_asked(row, other)]
        _tell_list(screen, "killed", f"by {judge} alone: ", {row.name: "" for row in alone})
    _tell_list(screen, "survive", "", {row.name: _why(row) for row in mutants if not row.killers})
    _tell_bounds(screen, rows)
    if len(rows) < wanted:
        screen.say(f"interrupted: {wanted - len(rows)} were not tried to the end")
    for row in rows:
        if row.verdict is Verdict.FAIL:
            screen.say(f"unexplained: {row.name}: {row.remark}", "bold red")


def _was_asked(row: Row, judge: str) -> bool:
    return row.hunted is not None if judge == "hunt" else row.explored is not None


def _why(row: Row) -> str:
    return row.remark.removeprefix("survives: ")


def _tell_hunted(screen: Screen, hunted: list[Hunted]) -> None:
    found = [(one.seconds, one.found) for one in hunted if one.found]
    if found:
        times = [seconds + kill.seconds for seconds, kill in found]
        screen.say(
            f"hunt     {len(found)}, found and shrunk in {median(times):.1f} s (median; at most "
            f"{max(times):.1f} s) to {median(kill.decisions for _, kill in found):g} decisions"
        )


def _tell_explored(screen: Screen, explored: list[Explored]) -> None:
    found = [one for one in explored if one.violates]
    if found:
        times = [one.seconds for one in found]
        steps = [one.transitions for one in found if one.transitions is not None]
        length = f" with {median(steps):g} steps" if steps else ""
        screen.say(
            f"explore  {len(found)}, found in {median(times):.1f} s (median; at most "
            f"{max(times):.1f} s){length}"
        )


def _tell_bounds(screen: Screen, rows: Sequence[Row]) -> None:
    """What of each protocol was explored, and for which mutants more than that."""
    for row in rows:
        if row.explored is not None and row.mutant is None:
            words = row.explored.refused or ", ".join(row.explored.bounds)
            ended = f"; stopped: {row.explored.stopped}" if row.explored.stopped else ""
            _wrap(screen, "bound", f"{row.name}: {words}{ended}")
    wider = [row for row in rows if row.explored and row.mutant and row.mutant.bounds]
    bounds = {row.name: row.mutant.bounds for row in wider if row.mutant}
    told = {name: ", ".join(_bound(*one) for one in more.items()) for name, more in bounds.items()}
    _tell_list(screen, "bound", "", told)


def _bound(name: str, value: Any) -> str:
    """A bound in words; of scripts and settings only that they are others."""
    if isinstance(value, tuple | Mapping):
        return f"other {name}"
    return f"{name} {'all' if value is None else value}"


def _tell_list(screen: Screen, title: str, lead: str, names: Mapping[str, str]) -> None:
    if names:
        words = (f"{name} ({more})" if more else name for name, more in names.items())
        _wrap(screen, title, lead + ", ".join(words))


def _wrap(screen: Screen, title: str, text: str) -> None:
    lines = textwrap.wrap(
        f"{title:<9}{text}", screen.width, subsequent_indent=" " * 9, break_on_hyphens=False
    )
    screen.say("\n".join(lines))


def _entry(row: Row) -> dict[str, Any]:
    mutant = row.mutant
    return {
        "name": row.name,
        "rule": mutant.rule if mutant else None,
        "section": mutant.section if mutant else None,
        "needs": mutant.needs if mutant else None,
        "equivalent": mutant.equivalent if mutant else None,
        "verdict": row.verdict.value,
        "remark": row.remark,
        "killed_by": row.killers,
        "hunt": _hunt_entry(row.hunted) if row.hunted else None,
        "explore": _explore_entry(row.explored) if row.explored else None,
    }


def _hunt_entry(hunted: Hunted) -> dict[str, Any]:
    found = hunted.found
    return {
        "runs": hunted.runs,
        "seconds": round(hunted.seconds, 3),
        "violates": found.failure.property if found else None,
        "seed": found.failure.seed if found else None,
        "decisions": found.decisions if found else None,
        "causal_steps": found.causal_steps if found else None,
        "is_minimal": found.is_minimal if found else None,
        "shrink_seconds": round(found.seconds, 3) if found else None,
        "schedule": found.schedule if found else None,
    }


def _explore_entry(explored: Explored) -> dict[str, Any]:
    return {
        "violates": explored.violates or None,
        "transitions": explored.transitions,
        "states": explored.states,
        "seconds": round(explored.seconds, 3),
        "is_exhausted": not (explored.stopped or explored.violates or explored.refused),
        "stopped": explored.stopped,
        "bounds": explored.bounds,
        "refused": explored.refused,
    }
