"""A step that is checked: run twice, with the same answers from the world, it must do the same.

Names a node that reads a clock or draws chance outside `env`, remembers something outside its
fields, or changes a value in place.
"""

from collections.abc import Callable, Sequence
from typing import Any

from quorate.errors import Mistake
from quorate.kernel.canonical import encode
from quorate.kernel.env import Env
from quorate.kernel.node import Event, Node, step


def checked_step(node: Node, event: Event, env: Env) -> Node:
    """As `kernel.step`. Raises Mistake if the node is no pure function of its input."""
    before = _encoded(node)
    asked: list[Any] = []
    choose = env.chooser

    def remember(name: str, options: Sequence[Any]) -> Any:
        asked.append(choose(name, options))
        return asked[-1]

    env.chooser = remember
    first = step(node, event, env)
    effects, answers = env.effects, iter(asked)
    if _encoded(node) != before:
        raise Mistake(f"{_changed(node, before)} changed in place; rebind the field instead")
    env.chooser = lambda name, options: next(answers)
    env.effects = []
    second = step(node, event, env)
    again, env.effects, env.chooser = env.effects, effects, choose
    if _encoded(first) != _encoded(second):
        raise Mistake(
            f"{_changed(second, _encoded(first))} differs when the same step runs again; "
            "take time and chance from env only"
        )
    if effects != again:
        raise Mistake(
            f"{type(node).__name__} asks for different things when the same step runs again; "
            "take time and chance from env only"
        )
    return first


def checked_at_first(count: int) -> Callable[[Node, Event, Env], Node]:
    """A step that is checked so many times, and then no more."""
    left = count

    def run_step(node: Node, event: Event, env: Env) -> Node:
        nonlocal left
        if left <= 0:
            return step(node, event, env)
        left -= 1
        return checked_step(node, event, env)

    return run_step


def _encoded(node: Node) -> dict[str, bytes]:
    """Each field's canonical encoding. Raises Mistake for a value that has none."""
    fields = {}
    for name in node.__struct_fields__:
        try:
            fields[name] = encode(getattr(node, name))
        except (TypeError, OverflowError) as error:
            raise Mistake(f"{type(node).__name__}.{name}: {error}") from error
    return fields


def _changed(node: Node, before: dict[str, bytes]) -> str:
    after = _encoded(node)
    name = next(name for name in after if after[name] != before[name])
    return f"{type(node).__name__}.{name}"
