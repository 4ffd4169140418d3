"""How far a search may go, how far it has come, and what it found: as data."""

import msgspec

from quorate.errors import Mistake
from quorate.explore.exhaustive.way import Way
from quorate.scenario.schedule import Schedule


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search stops although there is more: `unknown`, with what was covered.

    Attributes:
        states: visited states.
        depth: transitions from an initial state; the states at that depth are not expanded.
        seconds: of wall-clock time.
        memory_bytes: of this process.
        is_breadth_first: else the newest state is expanded first.
        keeps_going: whether to count on when a property has failed.
    """

    states: int | None = None
    depth: int | None = None
    seconds: float | None = None
    memory_bytes: int | None = None
    is_breadth_first: bool = True
    keeps_going: bool = False


class Progress(msgspec.Struct):
    """How far a search has come.

    Attributes:
        states: unique states visited, which is also the number of the next one.
        transitions: successors met, also of states known before.
        depth: transitions to the deepest state.
        frontier: states that are still to be expanded.
        seconds: of wall-clock time.
        peak_bytes: the memory of the process.
    """

    states: int = 0
    transitions: int = 0
    depth: int = 0
    frontier: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


class Failed(msgspec.Struct, frozen=True):
    """A property that does not hold, and the ways from the beginning to where that shows.

    `transitions` counts them after every node has begun. A path that another process has found
    stays there: then `path` is empty.
    """

    property: str
    path: tuple[Way, ...]
    transitions: int


class Found(msgspec.Struct):
    """A failure, told by the process that has found it."""

    property: str
    schedule: Schedule
    transitions: int


class Report(msgspec.Struct):
    """What one process has done so far, the common beginning included."""

    progress: Progress
    common_states: int
    common_transitions: int
    found: Found | None
    reached: frozenset[str]
    stopped: str
    undecided: int
    handlers: int


def check_limits(limits: Limits) -> None:
    """Refuse limits that contradict each other."""
    if limits.depth is not None and not limits.is_breadth_first:
        raise Mistake("a depth bound needs the breadth-first search: depth first would miss states")
