"""Whether something good can still happen, from every state: what `@eventually` means here.

The graph of all transitions is kept, faults apart. Fairness: no further faults, and whatever could
happen again and again does happen. Then a run ends in a set of states that it never leaves and in
which it visits each, so a property comes true on every run exactly if from every reachable state
some path leads to a state where it holds. A state that has no such path is the failure.

Where a bound keeps something from happening, nobody knows what would come: such a state counts as
if it could reach the property, and the result says how many there are.
"""

from array import array
from collections.abc import Sequence

from quorate.explore.exhaustive.claims import Claim


class Graph:
    """The transitions of a space, by numbers of states.

    Attributes:
        fenced: how many states lie at the edge of the bounds.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.fenced = 0
        self._sources = array("I")
        self._targets = array("I")
        self._good = [bytearray() for _ in claims]

    def enter(self, holds: Sequence[bool]) -> None:
        """The next state, and which of the claims hold there."""
        for good, is_good in zip(self._good, holds, strict=True):
            good.append(is_good)

    def expand(self, number: int, targets: Sequence[int], *, is_fenced: bool) -> None:
        """Where a state leads to, faults apart."""
        if is_fenced:
            self.fenced += 1
            for good in self._good:
                good[number] = True
            return
        self._sources.extend([number] * len(targets))
        self._targets.extend(targets)

    def doomed(self) -> tuple[str, int] | None:
        """A claim, and the first state from which it can never come true."""
        for claim, good in zip(self.claims, self._good, strict=True):
            number = self._first_without_path(good)
            if number is not None:
                return claim.name, number
        return None

    def _first_without_path(self, good: bytearray) -> int | None:
        """Walks every transition backwards from the good states."""
        count = len(good)
        starts = array("I", bytes(4 * (count + 1)))
        for target in self._targets:
            starts[target + 1] += 1
        for number in range(count):
            starts[number + 1] += starts[number]
        into, place = array("I", bytes(4 * len(self._targets))), array("I", starts)
        for source, target in zip(self._sources, self._targets, strict=True):
            into[place[target]] = source
            place[target] += 1
        reached = bytearray(good)
        pending = [number for number in range(count) if good[number]]
        while pending:
            number = pending.pop()
            for source in into[starts[number] : starts[number + 1]]:
                if not reached[source]:
                    reached[source] = True
                    pending.append(source)
        missing = reached.find(0)
        return missing if missing >= 0 else None
