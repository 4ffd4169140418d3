"""Time, where an exploration is synchronous: it passes only while nothing else is to happen.

Deadlines are kept as the time that is left, so that states which differ only by when they are
reached are one. Messages take no time: what happens at all happens when some timer is due.
"""

from collections.abc import Iterable, Sequence

import msgspec

from quorate.explore.exhaustive.machine import Local, Waiting
from quorate.kernel.canonical import fingerprint


def by_deadline(timers: Iterable[Waiting]) -> tuple[Waiting, ...]:
    """The timers in the order in which they are due; when they were set says nothing more."""
    return tuple(sorted(timers, key=lambda waiting: (waiting.low, fingerprint(waiting))))


def due(timers: Sequence[Waiting]) -> list[int]:
    """The places of the timers whose time has come."""
    return [place for place, waiting in enumerate(timers) if not waiting.low]


def until_next(locals_: Iterable[Local]) -> int:
    """How much time is left until the first of all timers is due; 0 if there is none."""
    return min((waiting.low for local in locals_ for waiting in local.timers), default=0)


def later(local: Local, duration: int) -> Local:
    """The same, that much later: nothing is due before."""
    timers = (
        Waiting(each.timer, each.low - duration, each.high - duration) for each in local.timers
    )
    return msgspec.structs.replace(local, timers=tuple(timers))
