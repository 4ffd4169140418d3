"""What led to a step, and what cannot have."""

from collections.abc import Sequence

from quorate.trace.encoding import is_changed
from quorate.trace.record import Record
from quorate.trace.trace import Step


def causal_past(steps: Sequence[Record] | Sequence[Step], id: int) -> set[int]:
    """The ids of all steps that step `id` rests on, itself included; their number is its size.

    A step rests on what it handles, so on the step that sent or set that (its cause), and on its
    node's state, so on the node's last step before it that changed the state. A step that changed
    nothing therefore counts only if a message or timer of its own led on.
    """
    before = _last_changes(steps)
    past: set[int] = set()
    pending = [id]
    while pending:
        one = pending.pop()
        if one >= 0 and one not in past:
            past.add(one)
            pending += [steps[one].cause, before[one]]
    return past


def _last_changes(steps: Sequence[Record] | Sequence[Step]) -> list[int]:
    """For each step, its node's last step before it that changed the state, or -1."""
    latest: dict[str, int] = {}
    before: list[int] = []
    for step in steps:
        before.append(latest.get(step.node, -1) if step.node else -1)
        if step.kind in ("fault", "start") or _changed(step):
            latest[step.node] = step.id
    return before


def _changed(step: Record | Step) -> bool:
    if isinstance(step, Step):
        return bool(step.changes)
    if step.before is None or step.after is None:
        return False
    return is_changed(step.before, step.after)
