"""What a measurement found, and how it reads: our figure, the peer's, the goal."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec


class Samples(msgspec.Struct, frozen=True):
    """One thing, measured several times."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def text(self) -> str:
        """`52.1 runs/s (49.9 to 53.0)`: the median, the least and the greatest."""
        if len(self.values) == 1:
            return f"{figure(self.median)} {self.unit}".rstrip()
        low, high = figure(min(self.values)), figure(max(self.values))
        return f"{figure(self.median)} {self.unit} ({low} to {high})"


class Goal(msgspec.Struct, frozen=True):
    """What a figure should be.

    Attributes:
        text: the goal in words.
        found, bound: the figure, and what it should be.
        at_least: whether the bound is a lower one.
    """

    text: str
    found: float
    bound: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the figure is on the right side of the bound."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def verdict(self) -> str:
        """`met`, or by how much of the bound it was missed."""
        if self.is_met:
            return "met"
        if not self.bound:
            return f"missed: {figure(self.found)}"
        off = abs(self.found - self.bound) / self.bound
        return f"missed by {max(off * 100, 0.1):.3g} %"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing: ours, and the peer's if it was there."""

    what: str
    ours: Samples
    peer: str = ""
    theirs: Samples | None = None
    goals: tuple[Goal, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Ours to the peer's: the median over the rounds, as each round had its own weather."""
        if self.theirs is None:
            return None
        ours, theirs = self.ours.values, self.theirs.values
        if len(ours) != len(theirs):
            return self.ours.median / self.theirs.median
        return median(mine / other for mine, other in zip(ours, theirs, strict=True))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """All that one benchmark found.

    Attributes:
        notes: what to know when reading the figures.
        wrong: what is not as it has to be, whatever the speed: a wrong verdict, a differing hash.
        skipped: why nothing was measured.
    """

    name: str
    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    skipped: str = ""

    def lines(self) -> list[str]:
        """For people."""
        if self.skipped:
            return [f"{self.name}: skipped: {self.skipped}"]
        lines = [self.name]
        for measure in self.measures:
            lines += _measure_lines(measure)
        lines += (f"  note: {note}" for note in self.notes)
        lines += (f"  WRONG: {text}" for text in self.wrong)
        return lines

    def plain(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "measures": [_plain(measure) for measure in self.measures],
            "notes": self.notes,
            "wrong": self.wrong,
            "skipped": self.skipped,
        }


def _measure_lines(measure: Measure) -> list[str]:
    lines = [f"  {measure.what:<44}{measure.ours.text()}"]
    if measure.theirs is not None and measure.ratio is not None:
        lines.append(f"    {measure.peer:<42}{measure.theirs.text()}; ratio {measure.ratio:.3g}")
    elif measure.peer:
        lines.append(f"    peer: {measure.peer}")
    lines += (f"    goal: {goal.text}: {goal.verdict()}" for goal in measure.goals)
    return lines


def _plain(measure: Measure) -> dict[str, Any]:
    return {
        "what": measure.what,
        "ours": _spread(measure.ours),
        "peer": measure.peer,
        "theirs": measure.theirs and _spread(measure.theirs),
        "ratio": measure.ratio,
        "goals": [{"goal": g.text, "met": g.is_met, "verdict": g.verdict()} for g in measure.goals],
    }


def _spread(samples: Samples) -> dict[str, Any]:
    return {
        "unit": samples.unit,
        "median": samples.median,
        "min": min(samples.values),
        "max": max(samples.values),
        "rounds": len(samples.values),
    }


def figure(value: float) -> str:
    """Three digits that matter: `1,234,567`, `52.1`, `0.0123`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def samples(unit: str, values: Sequence[float]) -> Samples:
    """One or more measurements."""
    return Samples(unit, tuple(values))
