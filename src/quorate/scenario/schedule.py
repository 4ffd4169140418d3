"""Schedule files: one run as text to read, edit, keep and replay.

A schedule states only what differs from the quiet default. *Timed* schedules hold decisions, and
faults with the event that each follows; *ordered* ones list every event in the order in which it
happens. The seed line only says where a schedule came from: nothing depends on it.
"""

from pathlib import Path
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.scenario.fault import Fault
from quorate.scenario.notation import (
    format_entry,
    format_fault,
    format_label,
    parse_entry,
    parse_fault,
    parse_label,
)
from quorate.scenario.tape import Label, Tape

VERSION = 1
HEADER = f"quorate schedule {VERSION}"
SUFFIX = ".schedule"
LONGEST = 4_000_000
"""Characters in a schedule file at the most."""
LONGEST_LINE = 1 << 16


class Schedule(msgspec.Struct, kw_only=True):
    """What a schedule file says.

    Attributes:
        scenario: name of the protocol, as the command line takes it.
        nodes: number of servers; 0 for the scenario's own.
        configuration: name of the scenario's configuration; "" for the first.
        violates: the property that fails, or "".
        only: the properties and monitors that judge; all, if none is named.
        seed: where the schedule came from, for people to read.
        entries, faults: the tape of a timed schedule. An ordered one has entries for choices only.
        order: for an ordered schedule, its events and faults, first to last.
        causes: what the record of a label was caused by, where the schedule says so.
    """

    scenario: str
    nodes: int = 0
    configuration: str = ""
    violates: str = ""
    only: tuple[str, ...] = ()
    seed: int | None = None
    entries: dict[Label, Any] = {}
    faults: dict[Label, list[Fault]] = {}
    order: list[Label | Fault] | None = None
    causes: dict[Label, str] = {}

    def decisions(self) -> int:
        """How many decisions differ from the default."""
        events = self.order or ()
        struck = sum(not isinstance(item, tuple) for item in events)
        return len(self.entries) + sum(map(len, self.faults.values())) + struck

    def tape(self) -> Tape:
        """The tape that makes the run happen again."""
        return Tape(None, self.entries, self.faults, self.configuration)


def format_schedule(schedule: Schedule, comments: tuple[str, ...] = ()) -> str:
    """The file's text. Decisions that belong together stand together, in the order of labels."""
    lines = [HEADER, *(f"# {' '.join(comment.split())}" for comment in comments)]
    lines.append(f"scenario {schedule.scenario}")
    if schedule.nodes:
        lines.append(f"nodes {schedule.nodes}")
    if schedule.configuration:
        lines.append(f"configuration {schedule.configuration}")
    if schedule.violates:
        lines.append(f"violates {schedule.violates}")
    if schedule.only:
        lines.append(f"only {' '.join(schedule.only)}")
    if schedule.seed is not None:
        lines.append(f"seed {schedule.seed}")
    lines.append("")
    for label, value in schedule.entries.items():
        cause = schedule.causes.get(label)
        lines.append(format_entry(label, value) + (f"  # caused by {cause}" if cause else ""))
    for label, faults in schedule.faults.items():
        lines += (f"after {format_label(label)}: {format_fault(fault)}" for fault in faults)
    if schedule.order is not None:
        lines.append("in this order:")
        lines += (
            format_label(item) if isinstance(item, tuple) else format_fault(item)
            for item in schedule.order
        )
    return "\n".join(lines) + "\n"


def parse_schedule(text: str, source: str) -> Schedule:
    """Read a schedule. Raises Mistake with the line and what was expected there."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != HEADER:
        raise Mistake(f"{source}:1: not a schedule: its first line must be {HEADER!r}")
    schedule = Schedule(scenario="")
    for number, raw in enumerate(lines[1:], start=2):
        line, _, cause = raw.partition("  # caused by ")
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if len(raw) > LONGEST_LINE:
            raise Mistake(f"{source}:{number}: a line of {len(raw)} characters; none needs that")
        try:
            _parse_line(schedule, line, cause)
        except ValueError as error:
            raise Mistake(f"{source}:{number}: {error}") from error
    if not schedule.scenario:
        raise Mistake(f"{source}: no line says which scenario it is for; add: scenario NAME")
    return schedule


def read_schedule(path: Path) -> Schedule:
    """Read a schedule file. Raises Mistake if it cannot be read or is none."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: not a schedule: it is not text ({error.reason})") from error
    if len(text) > LONGEST:
        raise Mistake(f"{path}: longer than {LONGEST} characters; no schedule needs that")
    return parse_schedule(text, str(path))


def _parse_line(schedule: Schedule, line: str, cause: str) -> None:
    word, *others = line.split(maxsplit=1)
    rest = others[0] if others else ""
    if schedule.order is not None:
        schedule.order.append(_parse_event(line))
    elif line == "in this order:":
        schedule.order = []
    elif word in ("scenario", "configuration", "violates"):
        setattr(schedule, word, rest)
    elif word == "only":
        schedule.only = tuple(rest.split())
    elif word in ("nodes", "seed"):
        if not rest.isdecimal() or len(rest) > 19:
            raise ValueError(f"expected a whole number after {word}, found {rest!r}")
        setattr(schedule, word, int(rest))
    elif word == "after":
        anchor, separator, fault = rest.partition(": ")
        if not separator:
            raise ValueError(f"expected a label, a colon and a fault, found {rest!r}")
        schedule.faults.setdefault(parse_label(anchor), []).append(parse_fault(fault))
    else:
        label, value = parse_entry(line)
        if label in schedule.entries:
            raise ValueError(f"a second decision on {format_label(label)}; keep one of them")
        schedule.entries[label] = value
        if cause:
            schedule.causes[label] = format_label(parse_label(cause))


_EVENTS = ("start", "deliver", "fire", "batch", "sync", "store", "invoke", "calm")


def _parse_event(line: str) -> Label | Fault:
    word = line.split(" ", 1)[0]
    return parse_label(line) if word in _EVENTS else parse_fault(line)
