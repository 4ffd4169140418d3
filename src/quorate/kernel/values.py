"""The immutable collections that a node's fields are made of: `Map`, `Set` and `Log`.

Every operation returns a new version and leaves the old one as it was; versions share structure.
All iterate in canonical order, so that nothing depends on hashes or on insertion. Versions that
grew one from another are of one *lineage*: they share a list that only grows, of the keys changed
(Map, Set) or of the items themselves (Log), and so find their difference without a search.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Generic, NamedTuple, Self, TypeVar, overload

import immutables

from quorate.kernel.canonical import Collection, NodeId, canonical_order, same

__all__ = ["Log", "LogChange", "Map", "MapChange", "NodeId", "Set", "SetChange"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")

_new = object.__new__
SLACK = 32  # What a version may keep alive in vain: as many items as it holds, and this many.


class MapChange(NamedTuple, Generic[K, V]):
    """The newer Map is the older one with these items set and these keys removed."""

    items: tuple[tuple[K, V], ...]
    removed: tuple[K, ...]


class SetChange(NamedTuple, Generic[T]):
    """The newer Set is the older one with these elements added and removed."""

    added: tuple[T, ...]
    removed: tuple[T, ...]


class LogChange(NamedTuple, Generic[T]):
    """The newer Log is the older one's items from `start` to `kept`, and then those appended."""

    start: int
    kept: int
    appended: tuple[T, ...]


class _Keyed(Collection, Generic[K, V]):
    """What Map has in common with Set, which is a Map of keys alone."""

    __slots__ = ("_data", "_journal", "_order", "_origin", "_position")
    _data: immutables.Map[K, V]
    _order: tuple[K, ...] | None  # The keys in canonical order, once somebody asked.
    _journal: list[K]  # The keys that the lineage has changed, up to _position for this version.
    _position: int
    _origin: tuple[list[K], int] | None  # Where in another lineage ours began.

    def __init__(self, data: immutables.Map[K, V]) -> None:
        self._data = data
        self._order = self._fingerprint = self._origin = None
        # No lineage grows from a default like `Map()`.
        self._journal, self._position = [], 0 if data else -1

    def _next(self, data: immutables.Map[K, V], changed: Iterable[K]) -> Self:
        """The version after this one: `data`, which differs from ours at `changed` alone."""
        version = _new(self.__class__)
        version._data, version._fingerprint = data, None
        order = self._order  # Keys are added or removed, never both: as many are the same ones.
        version._order = order if order is None or len(order) == len(data) else None
        journal, position, origin = self._journal, self._position, self._origin
        # Only the newest version continues its lineage, and not once the journal is too long.
        if position != len(journal) or position > 2 * len(data) + SLACK:
            origin, journal = (journal, position), []
        journal += changed
        version._journal, version._origin = journal, origin
        version._position = len(journal)
        return version

    def _changes(self, older: Self) -> tuple[tuple[K, ...], tuple[K, ...]]:
        """The keys set and the keys removed since `older`, each in canonical order."""
        new, old, since = self._data, older._data, tuple[K, ...]()
        journal, position = self._journal, self._position
        if self._origin is not None and self._origin[0] is older._journal:
            since, (journal, position) = tuple(journal[:position]), self._origin
        if journal is older._journal:
            low, high = sorted((position, older._position))
            touched = {*journal[low:high], *since}
        else:
            touched = {*new, *old}
        changed = [k for k in touched if k in new and not (k in old and same(new[k], old[k]))]
        removed = [k for k in touched if k in old and k not in new]
        return canonical_order(changed), canonical_order(removed)

    def keys(self) -> tuple[K, ...]:
        """The keys (of a Set, its elements) in canonical order."""
        if self._order is None:
            self._order = canonical_order(self._data)
        return self._order

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._data is other._data or self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)


class Map(_Keyed[K, V]):
    """An immutable dict: `votes = votes.set(node, vote)`. `a | b` is `a.update(b)`."""

    __slots__ = ()

    def __init__(self, items: "Mapping[K, V] | Map[K, V] | Iterable[tuple[K, V]]" = ()) -> None:
        super().__init__(items._data if isinstance(items, Map) else immutables.Map(items))

    def __getitem__(self, key: K) -> V:
        return self._data[key]

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        """The value at `key`, or `default`."""
        return self._data.get(key, default)

    def set(self, key: K, value: V) -> Self:
        """With `value` at `key`."""
        return self._next(self._data.set(key, value), (key,))

    def update(self, items: "Mapping[K, V] | Map[K, V]") -> Self:
        """With all of `items`: cheaper than a `set` for each."""
        new = items._data if isinstance(items, Map) else items
        return self._next(self._data.update(new), new) if new else self

    __or__ = update

    def remove(self, key: K) -> Self:
        """Without `key`. Raises KeyError if it is not there."""
        return self._next(self._data.delete(key), (key,))

    def values(self) -> tuple[V, ...]:
        """The values, in the canonical order of their keys."""
        return tuple(map(self._data.__getitem__, self.keys()))

    def items(self) -> tuple[tuple[K, V], ...]:
        """The pairs of key and value, in the canonical order of the keys."""
        data = self._data
        return tuple([(key, data[key]) for key in self.keys()])

    def changes_since(self, older: Self) -> MapChange[K, V]:
        """How this version differs from `older`."""
        changed, removed = self._changes(older)
        return MapChange(tuple((key, self[key]) for key in changed), removed)

    def canonical_parts(self) -> Iterable[object]:
        return chain.from_iterable(self.items())

    def __repr__(self) -> str:
        return f"Map({{{_listing(f'{key!r}: {value!r}' for key, value in self.items())}}})"


class Set(_Keyed[T, None]):
    """An immutable set: `votes |= {node}` rebinds the name to the larger Set."""

    __slots__ = ()

    def __init__(self, elements: Iterable[T] = ()) -> None:
        super().__init__(immutables.Map(dict.fromkeys(elements)))

    def add(self, element: T) -> Self:
        """With `element`."""
        if element in self._data:
            return self
        return self._next(self._data.set(element, None), (element,))

    def remove(self, element: T) -> Self:
        """Without `element`. Raises KeyError if it is not there."""
        return self._next(self._data.delete(element), (element,))

    def __or__(self, other: "AbstractSet[T] | Set[T]") -> Self:
        if len(other) == 1:
            (element,) = other
            return self.add(element)
        new = [element for element in other if element not in self._data]
        return self._next(self._data.update(dict.fromkeys(new)), new) if new else self

    def __sub__(self, other: "AbstractSet[T] | Set[T]") -> Self:
        return self._without([element for element in self._data if element in other])

    def __and__(self, other: "AbstractSet[T] | Set[T]") -> Self:
        return self._without([element for element in self._data if element not in other])

    def _without(self, gone: list[T]) -> Self:
        data = self._data.mutate()
        for element in gone:
            del data[element]
        return self._next(data.finish(), gone) if gone else self

    def changes_since(self, older: Self) -> SetChange[T]:
        """How this version differs from `older`."""
        return SetChange(*self._changes(older))

    def canonical_parts(self) -> Iterable[object]:
        return self.keys()

    def __repr__(self) -> str:
        return f"Set({{{_listing(map(repr, self))}}})" if self else "Set()"


class Log(Collection, Generic[T]):
    """An immutable sequence that grows at its end and may be cut at both.

    Indices are absolute: an item keeps its index when earlier ones are compacted away. `start` is
    the index of the first item (1 in most papers: `Log(start=1)`), `end` the index of the next to
    come; both are to be read only. Negative indices count back from `end`. A slice is a tuple; it
    may reach beyond `end`, but reading below `start` raises IndexError.
    """

    __slots__ = ("_base", "_items", "end", "start")
    _items: list[T]  # Shared by the lineage: only grows, so that nobody's items ever change.
    _base: int  # The index of _items[0].
    start: int
    end: int

    def __init__(self, items: Iterable[T] = (), start: int = 0) -> None:
        self._items = list(items)
        self._base = self.start = start
        self.end = start + len(self._items)
        self._fingerprint = None

    def append(self, item: T) -> "Log[T]":
        """With one more item, at index `end`."""
        items, base, end = self._items, self._base, self.end
        if len(items) != end - base or not items:
            return self.extend((item,))
        items.append(item)
        return _part(items, base, self.start, end + 1)

    def extend(self, new: Iterable[T]) -> "Log[T]":
        """With more items, from index `end` on."""
        items, base = self._items, self._base
        # Another version has appended before us; or all logs begin at this default, `Log()`.
        if len(items) != self.end - base or not items:
            return Log((*self, *new), self.start)
        items.extend(new)
        return _part(items, base, self.start, base + len(items))

    def truncate(self, end: int) -> "Log[T]":
        """The items below index `end`. Raises IndexError if `end` is below `start`."""
        if end < self.start:
            raise IndexError(f"truncate({end}): the log starts at {self.start}")
        return self if end >= self.end else self._cut(self.start, end)

    def compact(self, start: int) -> "Log[T]":
        """The items from index `start` on: none, if it lies beyond `end`."""
        return self if start <= self.start else self._cut(start, max(start, self.end))

    def _cut(self, start: int, end: int) -> "Log[T]":
        """A part, on a list of its own if the shared one would keep too much alive."""
        items, base = self._items, self._base
        if len(items) > 2 * (end - start) + SLACK:
            return Log(items[start - base : end - base], start)
        return _part(items, base, start, end)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if type(index) is int and self.start <= index < self.end:
            return self._items[index - self._base]  # The common case, without a further call.
        if isinstance(index, slice):
            assert index.step is None, "a slice of a Log has no step"
            low = self.start if index.start is None else index.start
            high = self.end if index.stop is None else min(index.stop, self.end)
            return tuple(self._items[self._offset(low) : self._offset(high)])
        if index >= self.end:
            raise IndexError(f"index {index}: the log ends before {self.end}")
        return self._items[self._offset(index)]

    def _offset(self, index: int) -> int:
        """Where in `_items` an index is."""
        absolute = index + self.end if index < 0 else index
        if absolute < self.start:
            raise IndexError(f"index {index}: the log starts at {self.start}")
        return absolute - self._base

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[T]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Log):
            return NotImplemented
        if (self.start, self.end) != (other.start, other.end):
            return False
        return self._items is other._items or self[:] == other[:]

    def __hash__(self) -> int:
        return hash((self.start, self[:]))

    def changes_since(self, older: "Log[T]") -> LogChange[T]:
        """How this version differs from `older`."""
        start = self.start
        kept = max(start, min(self.end, older.end)) if older.start <= start else start
        if self._items is not older._items and kept > start:
            pairs = zip(self[start:kept], older[start:kept], strict=True)
            kept = next((i for i, pair in enumerate(pairs, start) if not same(*pair)), kept)
        return LogChange(start, kept, self[kept:])

    def canonical_parts(self) -> Iterable[object]:
        return (self.start, *self)

    def __repr__(self) -> str:
        start = f", start={self.start}" if self.start else ""
        return f"Log([{_listing(map(repr, self))}]{start})"


def _part(items: list[T], base: int, start: int, end: int) -> Log[T]:
    """A Log of the items from `start` to `end`, on a list that it shares."""
    version: Log[T] = _new(Log)
    version._items = items
    version._base = base
    version.start = start
    version.end = end
    version._fingerprint = None
    return version


def _listing(parts: Iterable[str]) -> str:
    """The parts, with the middle of a long row left out."""
    texts = list(parts)
    if len(texts) > 20:
        texts[10:-5] = [f"... {len(texts) - 15} more ..."]
    return ", ".join(texts)
