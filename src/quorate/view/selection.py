"""Which steps to show, and which to fold: a reader's attention is the scarcest thing in a view."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from quorate.trace.causality import causal_past
from quorate.trace.trace import Assignment, Header, MapChange, Step, Trace, Value

LIMIT = 60
"""How many rows a text shows, about."""
TAIL = 16
"""How many of the last steps never fold."""
TELLING, NEW, SEEN_BEFORE, AGAIN = range(4)
"""How dull a step is: of its kind the first, one like others before, a mere repetition."""


class Row(msgspec.Struct):
    """One step to show, or several that are not worth a line each.

    Numbers count steps, so that a folded row takes as many as it holds.
    """

    steps: list[Step]
    number: int = 0

    @property
    def is_folded(self) -> bool:
        return len(self.steps) > 1

    @property
    def step(self) -> Step:
        """The only step, or the last of them."""
        return self.steps[-1]

    def summary(self) -> str:
        """`12 steps: 6 AppendEntries, 6 AppendReply`."""
        kinds = Counter(step.type for step in self.steps).most_common(3)
        shown = sum(count for _, count in kinds)
        names = [f"{count} {name}" for name, count in kinds]
        rest = [f"{len(self.steps) - shown} more"] if shown < len(self.steps) else []
        return f"{len(self.steps)} steps: {', '.join(names + rest)}"


def what_led_to_it(trace: Trace) -> set[int]:
    """The ids of the violation's causal past, with all faults up to it. Empty if all is well."""
    ends = _ends(trace.header)
    if not ends or not trace.steps:
        return set()
    past: set[int] = set()
    for end in ends:
        past |= causal_past(trace.steps, end)
    faults = (step.id for step in trace.steps[: max(ends) + 1] if step.kind == "fault")
    return past.union(faults)


def _ends(header: Header) -> set[int]:
    """What shows the violation: its step, its witnesses, the operations that explain it."""
    if header.violation is None:
        return set()
    operations = header.explanation.operations if header.explanation else []
    ends = {header.violation.record, *header.violation.witnesses}
    ends.update(max(op.invoke, op.complete) for op in operations)
    return ends - {-1}


def select_rows(trace: Trace, ids: Iterable[int] | None = None, limit: int = LIMIT) -> list[Row]:
    """About `limit` rows of the steps with these ids (by default what led to it, or else all)."""
    chosen = set(ids) if ids is not None else what_led_to_it(trace) or range(len(trace.steps))
    steps = [trace.steps[id] for id in sorted(chosen) if _is_news(trace, id)]
    dullness = _dullness(trace, steps)
    for threshold in (AGAIN, SEEN_BEFORE, NEW):
        rows = _fold(steps, dullness, threshold)
        if len(rows) <= limit:
            break
    else:
        rows = _cut(rows, limit)
    number = 1
    for row in rows:
        row.number = number
        number += len(row.steps)
    return rows


def new_roles(trace: Trace) -> set[int]:
    """The ids of the steps after which a node has another role than before."""
    roles: dict[str, str] = {}
    found: set[int] = set()
    for step in trace.steps:
        if step.role:
            if roles.get(step.node, step.role) != step.role:
                found.add(step.id)
            roles[step.node] = step.role
    return found


def repetitions(trace: Trace) -> set[int]:
    """The ids of the steps that only do again what was done before, as heartbeats do.

    Such a step handles the same as the last one of its kind and sender, but for one number; it
    changes nothing but numbers, and what it sends leads to nothing else either.
    """
    last: dict[tuple[object, ...], dict[str, Value]] = {}
    again: set[int] = set()
    for step in trace.steps:
        losses = tuple((sending.to, sending.type) for sending in step.sends if sending.lost)
        key = (step.kind, step.node, step.type, step.source, step.role, losses)
        before = last.get(key)
        last[key] = step.fields
        if step.kind in ("start", "invoke", "fault") or step.completed:
            continue
        if before is not None and _is_repeated(before, step.fields) and _counts_only(step):
            again.add(step.id)
    arrivals = {step.id: [one.arrival for one in step.sends] for step in trace.steps}
    return {id for id in again if all(to in again for to in arrivals[id] if to >= 0)}


def _is_repeated(before: dict[str, Value], fields: dict[str, Value]) -> bool:
    different = [name for name, value in fields.items() if before.get(name) != value]
    return len(different) <= 1 and all(type(fields[name]) is int for name in different)


def _counts_only(step: Step) -> bool:
    """Whether a step changes numbers at most."""
    for change in step.changes.values():
        if isinstance(change, Assignment):
            values = [change.value]
        elif isinstance(change, MapChange) and not change.removed:
            values = [value for _, value in change.items]
        else:
            return False
        if not all(type(value) is int for value in values):
            return False
    return True


def _is_news(trace: Trace, id: int) -> bool:
    """Not the first start of a node, which says nothing, nor a restart, which the start tells."""
    step = trace.steps[id]
    if step.kind == "start":
        return step.incarnation > 0 or bool(step.sends)
    following = trace.steps[id + 1] if id + 1 < len(trace.steps) else None
    return not (step.type == "restart" and following and following.kind == "start")


def _dullness(trace: Trace, steps: list[Step]) -> list[int]:
    """How little is new about each step."""
    clients = set(trace.header.clients)
    telling = new_roles(trace)
    telling.update(_ends(trace.header))
    again = repetitions(trace)
    seen: set[tuple[object, ...]] = set()
    dullness = []
    for step in steps:
        losses = tuple(sending.type for sending in step.sends if sending.lost)
        place = ("", "") if clients & {step.node, step.source} else (step.node, step.source)
        sight = (*place, step.type, tuple(step.changes), losses)
        if step.id in telling or step.kind in ("fault", "start"):
            dullness.append(TELLING)
        elif step.id in again:
            dullness.append(AGAIN)
        else:
            dullness.append(SEEN_BEFORE if sight in seen else NEW)
        seen.add(sight)
    return [*dullness[:-TAIL], *(d if d == AGAIN else TELLING for d in dullness[-TAIL:])]


def _fold(steps: list[Step], dullness: list[int], threshold: int) -> list[Row]:
    """Make one row of neighbours that are at least so dull."""
    rows: list[Row] = []
    previous = 0
    for step, dull in zip(steps, dullness, strict=True):
        if dull >= threshold and previous >= threshold:
            rows[-1].steps.append(step)
        else:
            rows.append(Row([step]))
        previous = dull
    return rows


def _cut(rows: list[Row], limit: int) -> list[Row]:
    """Make one row of those in the middle, so that `limit` remain."""
    first, last = limit // 3, len(rows) - (limit - limit // 3 - 1)
    while first and rows[first - 1].is_folded:  # Or two folded rows would meet.
        first -= 1
    while last < len(rows) and rows[last].is_folded:
        last += 1
    middle = Row([step for row in rows[first:last] for step in row.steps])
    return [*rows[:first], middle, *rows[last:]]
