"""A node's durable fields as records for a disk: the changes of each step, or all of them.

A record is an array of (place of the field, kind of change, change). Replaying the records since a
checkpoint, in order, yields the fields as they were after the last of them. Of a node made of nodes
the children are fields too, whose changes are records.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from quorate.kernel.canonical import same
from quorate.kernel.node import Node, child_fields, durable_fields
from quorate.kernel.values import Log, Map, NodeId, Set
from quorate.live.codec import Codec, Undecodable, of

NodeT = TypeVar("NodeT", bound=Node)

_WHOLE, _LOG, _MAP, _SET, _CHILD, _CHILDREN = range(6)
Decode = Callable[[bytes | memoryview], Any]
_Record = list[tuple[int, int, msgspec.Raw]]
_Change = tuple[int, int, Any]


class _Born(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A child that has come into a `Map`, by its key; it begins as its class says."""

    key: str
    kind: str
    id: str
    peers: tuple[str, ...]


class _Children(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How the children in a `Map` have changed; `anew` if those before do not count."""

    anew: bool
    gone: list[str]
    born: list[_Born]
    changed: list[tuple[str, msgspec.Raw]]


class Durable(Generic[NodeT]):
    """Writes and reads the durable state of one class of nodes, and of their children.

    Attributes:
        outdated: items that logs have forgotten: to let go of many at once takes long.
    """

    def __init__(self, kind: type[NodeT], codec: Codec, outdated: list[Any] | None = None) -> None:
        self.outdated: list[Any] = [] if outdated is None else outdated
        names = durable_fields(kind)
        self._plain = len(names)
        self._names = names = names + child_fields(kind)
        self._codec = codec
        self._fields = _getter(names)
        hints = get_type_hints(kind)
        self._decoders = [_decoders(codec, hints[name]) for name in names[: self._plain]]
        self._record = codec.typed(_Record)
        self._children = codec.typed(_Children)
        self._by_class: dict[type[Node], Durable[Any]] = {}

    def changes(self, before: NodeT, after: NodeT) -> bytes | None:
        """The record of a step's durable changes; None if there are none."""
        record = self._changes(before, after)
        return self._codec.encode(record) if record else None

    def whole(self, node: NodeT) -> bytes:
        """The record that alone restores all durable fields."""
        return self._codec.encode(self._whole(node))

    def restore(self, fresh: NodeT, records: Iterable[bytes]) -> NodeT:
        """`fresh` with the durable fields that the records tell. Raises Undecodable."""
        node: NodeT = fresh.__copy__()  # type: ignore[attr-defined]  # absent from its stubs
        for record in records:
            self._apply(node, record, fresh)
        return node

    def _changes(self, before: NodeT, after: NodeT) -> list[_Change]:
        record: list[_Change] = []
        old, new = self._fields(before), self._fields(after)
        for place, value in enumerate(new):
            if value is old[place]:
                continue
            if place >= self._plain:
                change = self._child_change(old[place], value)
            else:
                change = difference(old[place], value)
                if change is not None and change[0] == _LOG and value.start > old[place].start:
                    self.outdated += old[place][: value.start]
            if change is not None:
                record.append((place, *change))
        return record

    def _whole(self, node: NodeT) -> list[_Change]:
        record: list[_Change] = []
        for place, value in enumerate(self._fields(node)):
            if place < self._plain:
                record.append((place, _WHOLE, value))
            elif isinstance(value, Map):
                record.append((place, _CHILDREN, self._all_of(value)))
            else:
                record.append((place, _CHILD, self._of(value)._whole(value)))
        return record

    def _of(self, child: Node) -> "Durable[Any]":
        """For the class of that child."""
        kind = type(child)
        if kind not in self._by_class:
            self._by_class[kind] = Durable(kind, self._codec, self.outdated)
        return self._by_class[kind]

    def _child_change(self, old: Any, new: Any) -> tuple[int, Any] | None:
        if not isinstance(new, Map):
            inner = self._of(new)._changes(old, new)
            return (_CHILD, inner) if inner else None
        items, gone = new.changes_since(old)
        born, changed = [], []
        for key, child in items:
            before = old.get(key)
            if type(before) is type(child):
                inner = self._of(child)._changes(before, child)
            else:
                born.append(_born(key, child))
                inner = self._of(child)._whole(child)
            if inner:
                changed.append((key, inner))
        is_same = not (gone or born or changed)
        return None if is_same else (_CHILDREN, (False, gone, born, changed))

    def _all_of(self, children: Map[str, Node]) -> Any:
        born = [_born(key, child) for key, child in children.items()]
        return True, [], born, [(key, self._of(c)._whole(c)) for key, c in children.items()]

    def _apply(self, node: NodeT, record: bytes | msgspec.Raw, fresh: NodeT) -> None:
        """Set the fields of `node` as the record says."""
        for place, kind, change in self._record(record):
            try:
                name = self._names[place]
                value: Any = getattr(node, name)
                if place < self._plain:
                    value = _KINDS[kind](value, self._decoders[place][kind](change))
                elif kind == _CHILD:
                    value = self._of(value).restore(value, [change])
                elif kind == _CHILDREN:
                    value = self._grown(value, self._children(change), getattr(fresh, name))
                else:
                    raise LookupError(f"{name} cannot change in way {kind}")
                setattr(node, name, value)
            except (LookupError, TypeError, AttributeError) as error:
                raise Undecodable(f"a record does not fit what precedes it: {error}") from error

    def _grown(
        self, children: Map[str, Node], change: _Children, fresh: Map[str, Node]
    ) -> Map[str, Node]:
        children = Map() if change.anew else children
        for key in change.gone:
            children = children.remove(key)
        for born in change.born:
            children = children.set(born.key, fresh.get(born.key) or self._blank(born))
        for key, record in change.changed:
            child = children[key]
            children = children.set(key, self._of(child).restore(child, [record]))
        return children

    def _blank(self, born: _Born) -> Node:
        kind = self._codec.class_of(born.kind)
        if not issubclass(kind, Node):
            raise TypeError(f"{born.kind} is no node")
        return kind(id=NodeId(born.id), peers=tuple(map(NodeId, born.peers)))


def _born(key: str, child: Node) -> _Born:
    return _Born(key, type(child).__name__, child.id, child.peers)


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
