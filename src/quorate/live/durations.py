"""How long things took: counted by size, so that a million of them take no room."""

from bisect import bisect_left

BOUNDS = (100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)
"""Microseconds: each bucket holds what took at most so long, and longer than the one before."""


class Durations:
    """Some durations.

    Attributes:
        counts: how many fell in each bucket; the last holds what took longer than all bounds.
        total, longest: in nanoseconds.
    """

    __slots__ = ("counts", "longest", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0
        self.longest = 0

    def add(self, nanoseconds: int) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS, nanoseconds / 1000)] += 1
        self.total += nanoseconds
        if nanoseconds > self.longest:
            self.longest = nanoseconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def buckets(self) -> list[tuple[str, int]]:
        """As Prometheus wants them: up to how many seconds, and how many took no longer."""
        found, reached = [], 0
        counts = tuple(self.counts)
        for bound, count in zip(BOUNDS, counts, strict=False):
            reached += count
            found.append((f"{bound / 1e6:g}", reached))
        return [*found, ("+Inf", reached + counts[-1])]
