"""`quorate replay --pdb`: Python's debugger inside the handler of one event of a schedule."""

import pdb  # noqa: T100  # What a person asked for, not a left-over.

from quorate.cli.screen import Screen
from quorate.errors import Mistake
from quorate.explore.replay import Replayed, find_event, replay
from quorate.kernel.env import Env
from quorate.kernel.node import Event, Node, step
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
    if type(target.event) not in target.before.handlers:
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
        handler = node.handlers[type(event)]
        debugger = _Debugger(nosigint=True)
        with unwatched():
            debugger.runcall(handler, successor, event, env)
        if debugger.was_quit:
            env.effects.clear()
            return step(node, event, env)
        return successor
