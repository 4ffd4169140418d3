"""`quorate replay --pdb`: Python's debugger inside the handler of one event of a schedule."""

import pdb  # noqa: T100  # What a person asked for, not a left-over.
from collections.abc import Callable
from typing import Any

from quorate.cli.screen import Screen
from quorate.errors import Mistake
from quorate.explore.replay import Replayed, find_event, replay
from quorate.kernel.composition import child_names
from quorate.kernel.env import Env
from quorate.kernel.node import Event, Node, for_children, step
from quorate.scenario.schedule import Schedule
from quorate.simulate.watchdog import unwatched


def replay_to(schedule: Schedule, event: str, screen: Screen) -> Replayed:
    """Replay once to find the event, and again to stop there.

    `event` is a record's id, as `@17`, or its label. Raises Mistake if no handler ran there.
    """
    if schedule.order is not None:
        raise Mistake("--pdb takes a schedule with times, not one that lists an order")
    records = replay(schedule, explained=False).outcome.world.records
    target = records[find_event(event, records, "--pdb")]
    if target.event is None or target.before is None:
        raise Mistake(f"{target.label} runs no handler: no node takes part in it")
    if _handler(target.before, target.event) is None:
        name = type(target.event).__name__
        raise Mistake(f"{type(target.before).__name__} has no handler for {name}")
    screen.note(f"stopping in {target.label} (@{target.id}) at {target.node}; q goes on to the end")
    steps = [record.id for record in records if record.event is not None]
    return replay(schedule, run_step=_Stop(steps.index(target.id)).step)


class _Debugger(pdb.Pdb):
    """Remembers whether the person had enough before the handler had ended."""

    was_quit = False

    def set_quit(self) -> None:
        self.was_quit = True
        super().set_quit()


class _Stop:
    """Runs steps as the kernel does, but one of them under the debugger."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._count = -1

    def step(self, node: Node, event: Event, env: Env) -> Node:
        self._count += 1
        if self._count != self._wanted:
            return step(node, event, env)
        successor: Node = node.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
        handler = _handler(node, event)
        assert handler is not None, "it was looked for before"
        debugger = _Debugger(nosigint=True)
        with unwatched():
            debugger.runcall(handler, successor, event, env)
        if debugger.was_quit:
            env.effects.clear()
            return step(node, event, env)
        return successor


def _handler(node: Node, event: Event) -> Callable[..., Any] | None:
    """What handles an event: the node's own method, or else what passes it to a child."""
    kind = type(event)
    return node.handlers.get(kind) or (for_children.get(kind) if child_names(node) else None)
