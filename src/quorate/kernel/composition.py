"""Nodes made of nodes: a child is a field of its parent, or a value of a `Map` field.

Parent and child act in one step, write one durable record, and crash together. A child's address
is a path below its parent's, `n1/log` for the field `log` and `n1/shards.7` for key "7" of the
field `shards`, so that keys have no slash; its peers, unless it was made with others, are the
children at the same path of the parent's peers. Its parent makes it with any id: its address
follows from where it stands. Children get `Start` just before their parent does.
"""

import msgspec

from quorate.kernel.canonical import Plain
from quorate.kernel.env import CancelTimer, Complete, Effect, Env, Send, SetTimer, Store
from quorate.kernel.node import (
    Event,
    Message,
    Node,
    Start,
    Stored,
    Timer,
    child_fields,
    for_children,
    step,
)
from quorate.kernel.values import Map, NodeId


class ToChild(Message):
    """What is meant for the child `child`; `source` is the sending child's name, or empty."""

    child: str
    source: str
    message: Plain


class ChildTimer(Timer):
    """A timer of the child `child`."""

    child: str
    timer: Plain


class ChildStepped(Event):
    """To a parent that handles it: its child `child` has just handled an event in this step."""

    child: str


def child_of(parent: Node, name: str) -> Node:
    """The child of that name. Raises LookupError if there is none."""
    if "/" in name:
        raise LookupError(f"{name!r} names no child: a slash separates the parts of an address")
    field, _, key = name.partition(".")
    value = getattr(parent, field, None)
    child = value.get(key) if isinstance(value, Map) else value
    if not isinstance(child, Node):
        raise LookupError(f"{type(parent).__name__} has no child {name!r}")
    return child


def run_child(parent: Node, name: str, event: Event, env: Env, source: str = "") -> None:
    """Let a child handle an event now, as part of its parent's step; `source` is who sent it."""
    child = child_of(parent, name)
    inner = env.inner(name, NodeId(source) if source else None)
    if child.id != inner.id:
        child = msgspec.structs.replace(child, id=inner.id, peers=child.peers or inner.peers)
    successor = step(child, event, inner)
    field, _, key = name.partition(".")
    setattr(parent, field, getattr(parent, field).set(key, successor) if key else successor)
    for effect in inner.effects:
        env.effects += _outward(name, env.id.count("/"), effect)


def _deliver(parent: Node, event: ToChild, env: Env) -> bool:
    sender = f"{env.sender}/{event.source}" if event.source else env.sender
    return _pass_on(parent, event.child, event.message, env, sender)


def _fire(parent: Node, event: ChildTimer, env: Env) -> bool:
    return _pass_on(parent, event.child, event.timer, env)


def _stored(parent: Node, event: Stored, env: Env) -> bool:
    name, slash, rest = event.name.partition("/")
    return bool(slash) and _pass_on(parent, name, Stored(rest), env)


def _start(parent: Node, event: Start, env: Env) -> bool:
    for name in child_names(parent):
        prefix = f"{name}/"
        stored = {
            key.removeprefix(prefix): value
            for key, value in event.stored.items()
            if key.startswith(prefix)
        }
        run_child(parent, name, Start(event.recovered, Map(stored)), env)
    return False


for_children.update({ToChild: _deliver, ChildTimer: _fire, Stored: _stored, Start: _start})


def child_names(parent: Node) -> list[str]:
    """The names of all children that there are now."""
    names = []
    for field in child_fields(type(parent)):
        value = getattr(parent, field)
        names += [f"{field}.{key}" for key in value] if isinstance(value, Map) else [field]
    return names


def _pass_on(parent: Node, name: str, event: Event, env: Env, source: str = "") -> bool:
    """Run a child in a step that is about it alone, and tell the parent if it wants to know."""
    run_child(parent, name, event, env, source)
    handler = parent.handlers.get(ChildStepped)
    if handler is not None:
        handler(parent, ChildStepped(name), env)
    return True


def _outward(name: str, depth: int, effect: Effect) -> list[Effect]:
    """A child's effect as its parent's."""
    match effect:
        case Send(targets, message, ahead):
            return [_send(name, depth, target, message, ahead) for target in targets]
        case SetTimer(timer, low, high):
            return [SetTimer(ChildTimer(name, timer), low, high)]
        case CancelTimer(timer):
            return [CancelTimer(ChildTimer(name, timer))]
        case Store(what, value):
            return [Store(f"{name}/{what}", value)]
        case Complete():
            return [effect]


def _send(name: str, depth: int, target: NodeId, message: Message, ahead: bool) -> Send:
    """To a node at the parent's depth, with the rest of the path around the message."""
    while target.count("/") > depth:
        above, _, child = target.rpartition("/")
        target = NodeId(above)
        message = ToChild(child, name if target.count("/") == depth else "", message)
    return Send((target,), message, ahead)
