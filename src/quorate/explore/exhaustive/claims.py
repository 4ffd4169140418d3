"""Properties of states, evaluated once for each different combination of what they read."""

from collections.abc import Sequence

from quorate.explore.exhaustive.machine import Local
from quorate.kernel.canonical import fingerprint
from quorate.kernel.node import Node
from quorate.kernel.properties import Property
from quorate.simulate.judge import holds


class Claim:
    """A property of states, evaluated once for each different combination of what it reads."""

    def __init__(self, claim: Property, node: type[Node]) -> None:
        self.name = claim.name
        self._check = claim.check
        self._fields = tuple(sorted(claim.fields(node)))
        self._views: dict[bytes, int] = {}
        self.view: list[int] = []
        self._known: dict[tuple[int, ...], bool] = {}

    def look(self, node: Node) -> None:
        """Note what the claim can see of one more local state."""
        seen = tuple(getattr(node, name) for name in self._fields)
        self.view.append(self._views.setdefault(fingerprint((node.id, seen)), len(self._views)))

    def holds(self, locals_: Sequence[int], states: Sequence[Local]) -> bool:
        """Whether it is true of the servers in these local states."""
        key = tuple(map(self.view.__getitem__, locals_))
        known = self._known.get(key)
        if known is None:
            nodes = [states[local].node for local in locals_]
            known = self._known[key] = holds(self.name, self._check, nodes)
        return known


def changed(claims: Sequence[Claim], before: int, after: int) -> tuple[int, ...]:
    """The claims that can see a difference between two local states of one node."""
    if before == after:
        return ()
    return tuple(at for at, c in enumerate(claims) if c.view[before] != c.view[after])
