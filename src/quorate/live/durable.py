"""A node's durable fields as records for a disk: the changes of each step, or all of them.

A record is an array of (place of the field, kind of change, change). Replaying the records since a
checkpoint, in order, yields the fields as they were after the last of them.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from quorate.errors import Mistake
from quorate.kernel.canonical import same
from quorate.kernel.node import Node, child_fields, durable_fields
from quorate.kernel.values import Log, Map, Set
from quorate.live.codec import Codec, Undecodable, of

NodeT = TypeVar("NodeT", bound=Node)

_WHOLE, _LOG, _MAP, _SET = range(4)
Decode = Callable[[bytes | memoryview], Any]
_Record = list[tuple[int, int, msgspec.Raw]]


class Durable(Generic[NodeT]):
    """Writes and reads the durable state of one class of nodes.

    Attributes:
        outdated: items that logs have forgotten: to let go of many at once takes long.

    Raises Mistake for a node made of nodes: those do not run live yet.
    """

    def __init__(self, kind: type[NodeT], codec: Codec) -> None:
        if child_fields(kind):
            raise Mistake(f"{kind.__name__} is made of nodes, and such nodes do not run live yet")
        self.outdated: list[Any] = []
        self._names = names = durable_fields(kind)
        self._codec = codec
        self.fields = _getter(names)
        hints = get_type_hints(kind)
        self._decoders = [_decoders(codec, hints[name]) for name in names]
        self._record = codec.typed(_Record)

    def changes(self, before: NodeT, after: NodeT) -> bytes | None:
        """The record of a step's durable changes; None if there are none."""
        record = []
        old, new = self.fields(before), self.fields(after)
        for place, value in enumerate(new):
            if value is not old[place]:
                change = difference(old[place], value)
                if change is not None:
                    record.append((place, *change))
                    if change[0] == _LOG and value.start > old[place].start:
                        self.outdated += old[place][: value.start]
        return self._codec.encode(record) if record else None

    def whole(self, node: NodeT) -> bytes:
        """The record that alone restores all durable fields."""
        return self._codec.encode(
            [(place, _WHOLE, value) for place, value in enumerate(self.fields(node))]
        )

    def restore(self, fresh: NodeT, records: Iterable[bytes]) -> NodeT:
        """`fresh` with the durable fields that the records tell. Raises Undecodable."""
        node: NodeT = fresh.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
        for record in records:
            for place, kind, change in self._record(record):
                try:
                    name, decode = self._names[place], self._decoders[place][kind]
                    setattr(node, name, _KINDS[kind](getattr(node, name), decode(change)))
                except (LookupError, TypeError) as error:
                    raise Undecodable(f"a record does not fit what precedes it: {error}") from error
        return node


def _getter(names: tuple[str, ...]) -> Callable[[Node], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda node: tuple([getattr(node, name) for name in names])


def difference(old: Any, new: Any) -> tuple[int, Any] | None:
    """How a field's value has changed: in which way, and how; None if it is the same."""
    kind = type(new)
    if kind is type(old):
        if kind is Log:
            change = new.changes_since(old)
            is_same = not change.appended and (change.start, change.kept) == (old.start, old.end)
            return None if is_same else (_LOG, change)
        if kind is Map or kind is Set:
            change = new.changes_since(old)
            return (_MAP if kind is Map else _SET, change) if any(change) else None
    return None if same(old, new) else (_WHOLE, new)


def _decoders(codec: Codec, annotation: Any) -> dict[int, Decode]:
    """How each kind of change of a field with this annotation is read."""
    decoders = {_WHOLE: codec.typed(annotation)}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Log:
        decoders[_LOG] = codec.typed(of(tuple, int, int, of(list, *arguments)))
    elif origin is Map:
        pairs, keys = of(list, of(tuple, *arguments)), of(list, arguments[0])
        decoders[_MAP] = codec.typed(of(tuple, pairs, keys))
    elif origin is Set:
        elements = of(list, *arguments)
        decoders[_SET] = codec.typed(of(tuple, elements, elements))
    return decoders


def _replace(old: Any, new: Any) -> Any:
    return new


def _regrow(old: Log[Any], change: tuple[int, int, list[Any]]) -> Log[Any]:
    start, kept, appended = change
    if kept == start >= 0:  # Nothing of the old one is left.
        return Log(appended, start)
    if not old.start <= start < kept <= old.end:
        raise Undecodable(f"a log from {old.start} to {old.end} cannot keep {start} to {kept}")
    log = old.truncate(kept)
    log = log.extend(appended) if appended else log
    return log.compact(start)


def _update(old: Map[Any, Any], change: tuple[list[tuple[Any, Any]], list[Any]]) -> Map[Any, Any]:
    items, removed = change
    for key in removed:
        old = old.remove(key)
    return old.update(dict(items))


def _exchange(old: Set[Any], change: tuple[list[Any], list[Any]]) -> Set[Any]:
    added, removed = change
    return (old - set(removed)) | set(added)


_KINDS: tuple[Callable[[Any, Any], Any], ...] = (_replace, _regrow, _update, _exchange)
