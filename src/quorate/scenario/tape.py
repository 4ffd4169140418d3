"""The tape: every decision that the world takes, by name.

A decision has a label, such as `deliver n1→n3 AppendEntries #17`, a domain of ordered values, and a
quiet default. Its value is the tape's entry for that label, else what the seed says, else the
default. A seed is no stream of random numbers: what it says is a pure function of (seed, label),
so one decision can change while every other keeps its value.

Labels that differ only in their ordinal form a `Series`; a new incarnation of a node begins new
ones. Faults are entries too, anchored to the event that they follow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import shake_128
from struct import unpack_from
from typing import Any, Protocol

from quorate.scenario.fault import Fault

Label = tuple[str, int]
"""A series' name and an ordinal."""

FIRST = 8
"""How many values a series decides at first; each further block doubles their number."""


class Domain(Protocol):
    """The values that one kind of decision can take."""

    @property
    def default(self) -> Any:
        """The quiet value."""

    def sample(self, bits: int) -> Any:
        """The value that 64 random bits stand for."""


class Series:
    """All decisions of one kind at one place, in the order in which they come up.

    `values[n]` is the value of decision n once `reserve(n)` was called; hot loops do this inline.
    """

    __slots__ = ("_sample", "_seed", "count", "default", "name", "overrides", "values")

    def __init__(
        self, name: str, domain: Domain, seed: int | None, overrides: Mapping[int, Any]
    ) -> None:
        self.name = name
        self.count = 0
        self.values: list[Any] = []
        self.default = domain.default
        self.overrides = dict(overrides)
        self._seed = seed
        self._sample: Callable[[int], Any] = domain.sample

    def next(self) -> tuple[int, Any]:
        """The next decision's ordinal and value."""
        ordinal = self.count
        self.count = ordinal + 1
        if ordinal >= len(self.values):
            self.extend()
        return ordinal, self.values[ordinal]

    def extend(self) -> None:
        """Decide more values ahead: twice as many each time, so that short series are cheap."""
        known = len(self.values)
        start = 0 if known < FIRST else 1 << known.bit_length() - 1
        count = start or FIRST
        new = start + count - known
        if self._seed is None:
            self.values += [self.default] * new
        else:
            secret = f"{self._seed}/{self.name}/{start}"
            words = shake_128(secret.encode()).digest(8 * count)
            self.values += map(self._sample, unpack_from(f"<{new}Q", words, 8 * (known - start)))
        if self.overrides:
            for ordinal, value in self.overrides.items():
                if known <= ordinal < known + new:
                    self.values[ordinal] = value

    def skip(self) -> int:
        """The ordinal of a decision that comes up where only the default is possible."""
        ordinal = self.count
        self.count = ordinal + 1
        if ordinal < len(self.values):
            self.values[ordinal] = self.default
        else:
            self.values.append(self.default)
        return ordinal

    def override(self, ordinal: int, value: Any) -> None:
        """Write an entry, for a decision that has not come up yet."""
        while ordinal >= len(self.values):
            self.extend()
        self.overrides[ordinal] = self.values[ordinal] = value

    def calm(self) -> None:
        """From here on the seed says nothing: what is still to come takes the default."""
        self._seed = None
        del self.values[self.count :]

    def taken(self) -> Iterator[tuple[int, Any]]:
        """The decisions that came up with a value that is not the default."""
        for ordinal, value in enumerate(self.values[: self.count]):
            if value != self.default:
                yield ordinal, value


class Tape:
    """The decisions of one run: entries, then the seed, then the defaults.

    Args:
        seed: what the labels without an entry are decided by; None for their defaults.
        configuration: the name of the scenario's configuration to run; "" for the seed's.
        entries: values by label.
        faults: what befalls the world right after an event, by the event's label.
    """

    def __init__(
        self,
        seed: int | None = None,
        entries: Mapping[Label, Any] | None = None,
        faults: Mapping[Label, list[Fault]] | None = None,
        configuration: str = "",
    ) -> None:
        self.seed = seed
        self.configuration = configuration
        self.series: dict[str, Series] = {}
        self._entries: dict[str, dict[int, Any]] = {}
        self._faults: dict[str, dict[int, list[Fault]]] = {}
        for (name, ordinal), value in (entries or {}).items():
            self._entries.setdefault(name, {})[ordinal] = value
        for (name, ordinal), anchored in (faults or {}).items():
            self._faults.setdefault(name, {})[ordinal] = list(anchored)

    def open(self, name: str, domain: Domain, *, calm: bool = False) -> Series:
        """The series of that name; begun with this domain when it is new.

        `calm` leaves the seed out of it, for decisions that no fault model has a say in.
        """
        series = self.series.get(name)
        if series is None:
            seed = None if calm else self.seed
            series = self.series[name] = Series(name, domain, seed, self._entries.get(name, {}))
        return series

    def anchor(self, label: Label, fault: Fault) -> None:
        """Write a fault that has just struck after the event of this label."""
        name, ordinal = label
        self._faults.setdefault(name, {}).setdefault(ordinal, []).append(fault)

    def struck_after(self, name: str, ordinal: int) -> Sequence[Fault]:
        """The faults anchored to an event."""
        anchored = self._faults.get(name)
        return anchored.get(ordinal, ()) if anchored else ()

    @property
    def has_faults(self) -> bool:
        """Whether any event has a fault anchored to it."""
        return any(self._faults.values())

    def entries(self) -> dict[Label, Any]:
        """Every decision that was taken otherwise than by default: the run without its seed."""
        return {
            (series.name, ordinal): value
            for series in self.series.values()
            for ordinal, value in series.taken()
        }

    def faults(self) -> dict[Label, list[Fault]]:
        """Every fault, by the label of the event that it follows."""
        return {
            (name, ordinal): list(anchored)
            for name, by_ordinal in self._faults.items()
            for ordinal, anchored in by_ordinal.items()
        }

    def unmatched(self, reached: Callable[[Label], bool]) -> list[Label]:
        """Labels with an entry or a fault that never came up in the run."""
        missed = [
            (name, ordinal)
            for name, values in self._entries.items()
            for ordinal in values
            if name not in self.series or ordinal >= self.series[name].count
        ]
        missed += [label for label in self.faults() if not reached(label)]
        return sorted(set(missed))
