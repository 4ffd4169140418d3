"""Nodes, and the events that they handle.

A node is pure data: its fields are the whole of its state, and every value is immutable, so a
handler rebinds fields and never changes a value in place. Behaviour is methods marked `@on(Event)`.
What a handler wants done goes to `env` (see `quorate.kernel.env`).
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from quorate.kernel.canonical import Plain, immutable_type
from quorate.kernel.values import Map, NodeId

if TYPE_CHECKING:
    from quorate.kernel.env import Env

T = TypeVar("T")
EventT = TypeVar("EventT", bound="Event")
NodeT = TypeVar("NodeT", bound="Node")
Handler = Callable[[Any, Any, Any], None]


class _DurableMark:
    """Marks an annotation; see `Durable`."""


Durable = Annotated[T, _DurableMark]
"""`field: Durable[T]` survives a crash. All durable changes of one step are one atomic record."""


@dataclass_transform(frozen_default=True)
class _FrozenMeta(msgspec.StructMeta):
    """Tells type checkers what msgspec does anyway: subclasses of a frozen struct are frozen."""


class Event(
    msgspec.Struct, metaclass=_FrozenMeta, frozen=True, tag=True, array_like=True, gc=False
):
    """Anything that a node can handle: a message, a timer, or one of the host's events below."""


class Message(Event):
    """What one node sends to another. Subclass it with the paper's noun and typed fields."""


class Timer(Event):
    """What a node sends to its later self, by `env.after`. Equal timers are one timer."""


class Start(Event):
    """The first event of every incarnation; timers and volatile fields of earlier ones are gone.

    `recovered` is false only for a node's very first incarnation. `stored` holds, by name, the
    values whose `env.store` had completed.
    """

    recovered: bool = False
    stored: Map[str, Any] = Map()

    def load(self, name: str, kind: type[T]) -> T | None:
        """The value that was stored under `name`, or None."""
        value = self.stored.get(name)
        assert value is None or isinstance(value, kind), f"{name} is not a {kind.__name__}"
        return value


class Stored(Event):
    """The value given to `env.store(name, ...)` has reached the disk and will survive a crash."""

    name: str


class BatchEnd(Event):
    """Every message that had arrived is delivered, and a sync of the disk is about to begin.

    The one place for batching: sends made here cover all that the batch changed.
    """


class Operation(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """What a client asks of the system: `f` names it, as in `Operation("write", "x", 1)`."""

    f: str
    key: str | None = None
    value: Plain = None


class Invoke(Event):
    """To a client node: the workload starts this operation. It ends at `env.complete`."""

    operation: Operation


def on(*kinds: type[Event]) -> Callable[[Callable[[NodeT, EventT, "Env"], None]], Any]:
    """Make the method below the handler of these events."""

    def mark(method: Callable[[NodeT, EventT, "Env"], None]) -> Any:
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise TypeError(f"@on({kind!r}): not a Message, a Timer or an event of the host")
        method.__dict__["handled_events"] = kinds
        return method

    return mark


class Node(msgspec.Struct, kw_only=True, gc=False):
    """A deterministic state machine. Subclass it with fields, `@on` handlers, and nothing else.

    `id` is this node's address and `peers` are all nodes of its group, itself included.
    """

    id: NodeId
    peers: tuple[NodeId, ...] = ()

    handlers: ClassVar[Mapping[type[Event], Handler]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table: dict[type[Event], Handler] = {}
        for name, method in vars(cls).items():
            for kind in getattr(method, "handled_events", ()):
                if kind in table:
                    raise TypeError(f"{cls.__name__} handles {kind.__name__} twice, see {name}")
                table[kind] = _children_first(kind, method) if kind in for_children else method
        cls.handlers = {**cls.handlers, **table}


for_children: dict[type[Event], Callable[[Any, Any, "Env"], bool]] = {}
"""What every node does with these events, before its own handler if it has one: it passes them to
its children. True if that was all. Filled by `quorate.kernel.composition`."""


def _children_first(kind: type[Event], method: Handler) -> Handler:
    def handler(node: Any, event: Any, env: Any) -> None:
        if not for_children[kind](node, event, env):
            method(node, event, env)

    return handler


def step(node: NodeT, event: Event, env: "Env") -> NodeT:
    """Run one handler to its end: the successor state. Effects are left in `env`.

    Every judge and every host runs nodes by this function alone. `node` is not changed.
    Raises `LookupError` for an event that the class has no handler for, save the optional
    `Start` and `BatchEnd`, and whatever the handler raises.
    """
    successor: NodeT = node.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    kind = type(event)
    handler = node.handlers.get(kind)
    if handler is not None:
        handler(successor, event, env)
    else:
        passed_on = kind in for_children and for_children[kind](successor, event, env)
        if not passed_on and kind not in _OPTIONAL:
            raise LookupError(f"{type(node).__name__} has no handler for {kind.__name__}")
    return successor


_OPTIONAL = frozenset({Start, BatchEnd})


@cache
def durable_fields(kind: type[Node]) -> tuple[str, ...]:
    """The names of the fields that survive a crash, in the order in which they are declared."""
    hints = _field_types(kind).items()
    return tuple(name for name, hint in hints if _DurableMark in get_args(hint))


def recover(fresh: NodeT, crashed: NodeT) -> NodeT:
    """The state at the start of the next incarnation: `fresh`, with the durable fields kept."""
    node: NodeT = fresh.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
    for name in durable_fields(type(fresh)):
        setattr(node, name, getattr(crashed, name))
    for name in child_fields(type(fresh)):
        kept = getattr(crashed, name)
        if isinstance(kept, Map):
            made = getattr(fresh, name)
            for key, child in kept.items():
                blank = made.get(key) or type(child)(id=child.id, peers=child.peers)
                kept = kept.set(key, recover(blank, child))
            setattr(node, name, kept)
        else:
            setattr(node, name, recover(getattr(fresh, name), kept))
    return node


@cache
def child_fields(kind: type[Node]) -> tuple[str, ...]:
    """The names of the fields that hold a child node, or a `Map` of them."""
    return tuple(name for name, hint in _field_types(kind).items() if _child_class(hint))


def _child_class(annotation: Any) -> type[Node] | None:
    if get_origin(annotation) is Map:
        annotation = get_args(annotation)[1]
    is_class = isinstance(annotation, type) and issubclass(annotation, Node)
    return annotation if is_class else None


def check_classes(kinds: Iterable[type[Node]]) -> None:
    """Refuse node classes, and those of their children, that cannot work, naming what is wrong.

    Every field must be of an immutable type. Every Message and Timer of the modules that define
    the classes must have a handler in one of them. Raises TypeError.
    """
    classes = list(kinds)
    for kind in classes:
        children = map(_child_class, _field_types(kind).values())
        classes += [child for child in dict.fromkeys(children) if child and child not in classes]
    handled = {event for kind in classes for event in kind.handlers}
    for kind in classes:
        for name, annotation in _field_types(kind).items():
            culprit = None if _child_class(annotation) else immutable_type(annotation)
            if culprit:
                raise TypeError(
                    f"{kind.__name__}.{name}: {culprit} is not immutable canonical data; "
                    "use int, str, tuple, a frozen struct, Map, Set or Log"
                )
    for module in dict.fromkeys(kind.__module__ for kind in classes):
        for name, event in inspect.getmembers(sys.modules[module], inspect.isclass):
            defined_here = issubclass(event, Message | Timer) and event.__module__ == module
            if defined_here and event not in handled and not event.__subclasses__():
                names = ", ".join(kind.__name__ for kind in classes)
                raise TypeError(f"{module}: nothing handles {name}: add @on({name}) to {names}")


@cache
def _field_types(kind: type[Node]) -> dict[str, Any]:
    """Resolved annotations by field; they may be strings, and name what is defined later."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.__struct_fields__}
