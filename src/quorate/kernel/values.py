"""The immutable collections that a node's fields are made of: `Map`, `Set` and `Log`.

Each operation returns a new version and leaves the old one as it was; versions share structure.
All iterate in canonical order, so that nothing depends on hashes or on insertion. Versions that
grew from one another are of one *lineage*: they share an append-only list, of the changes made
(Map, Set) or of the items themselves (Log), and tell their difference in time that grows with the
difference alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar, overload

import immutables

from quorate.kernel.canonical import Collection, NodeId, canonical_order, same

__all__ = ["Log", "LogChange", "Map", "MapChange", "NodeId", "Set", "SetChange"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")
KeyedT = TypeVar("KeyedT", bound="_Keyed[Any, Any]")

SLACK = 32
"""Items that a version may keep alive without need, beyond as many as it holds itself."""


class MapChange(NamedTuple, Generic[K, V]):
    """The newer Map is the older one with these items set and these keys removed."""

    items: tuple[tuple[K, V], ...]
    removed: tuple[K, ...]


class SetChange(NamedTuple, Generic[T]):
    """The newer Set is the older one with these elements added and removed."""

    added: tuple[T, ...]
    removed: tuple[T, ...]


class LogChange(NamedTuple, Generic[T]):
    """The newer Log begins at `start` with the older one's items from there to `kept`.

    Then come the `appended`. With `kept == start` nothing of the older Log is left.
    """

    start: int
    kept: int
    appended: tuple[T, ...]


class _Keyed(Collection, Generic[K, V]):
    """Values by key, as both Map and Set (of keys alone) hold them."""

    __slots__ = ("_data", "_journal", "_order", "_position")

    _data: immutables.Map[K, V]
    _order: tuple[K, ...] | None  # The keys in canonical order, once somebody asked.
    _journal: list[K]  # The keys that this lineage has changed; ours are the first _position.
    _position: int

    def _fill(self, data: immutables.Map[K, V]) -> None:
        self._data = data
        self._order = self._fingerprint = None
        self._journal = []
        self._position = 0

    def _next(self: KeyedT, data: immutables.Map[Any, Any], changed: Iterable[Any]) -> KeyedT:
        """The version after this one: `data`, which differs from ours at `changed` alone."""
        version = object.__new__(type(self))
        version._data = data
        size = len(data)
        # Keys are added or removed here, never both: as many as before are the same ones.
        version._order = self._order if size == len(self._data) else None
        version._fingerprint = None
        journal, position = self._journal, self._position
        # A lineage has one newest version; from an older one, a new lineage begins. So it does
        # once the journal outgrows the content, and at the empty Map, which is shared by all.
        if position != len(journal) or position > 2 * size + SLACK or not self._data:
            journal = []
        journal.extend(changed)
        version._journal = journal
        version._position = len(journal)
        return version

    def _changed_keys(self, older: "_Keyed[K, V]") -> tuple[K, ...]:
        """Every key at which the two may differ, in canonical order."""
        if self._data is older._data:
            return ()
        if self._journal is older._journal:
            low, high = sorted((self._position, older._position))
            return canonical_order(dict.fromkeys(self._journal[low:high]))
        return canonical_order(dict.fromkeys(chain(self._data, older._data)))

    def _keys(self) -> tuple[K, ...]:
        if self._order is None:
            self._order = canonical_order(self._data)
        return self._order

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys())

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, _Keyed)
        return self._data is other._data or self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)


class Map(_Keyed[K, V]):
    """An immutable dict: `votes = votes.set(node, vote)`. `a | b` is `a.update(b)`."""

    __slots__ = ()

    def __init__(self, items: "Mapping[K, V] | Map[K, V] | Iterable[tuple[K, V]]" = ()) -> None:
        self._fill(items._data if isinstance(items, Map) else immutables.Map(items))

    def __getitem__(self, key: K) -> V:
        return self._data[key]

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        """The value at `key`, or `default`."""
        return self._data.get(key, default)

    def set(self, key: K, value: V) -> "Map[K, V]":
        """With `value` at `key`."""
        return self._next(self._data.set(key, value), (key,))

    def update(self, items: "Mapping[K, V] | Map[K, V]") -> "Map[K, V]":
        """With all of `items` set: cheaper than one `set` for each."""
        new = items._data if isinstance(items, Map) else items
        return self._next(self._data.update(new), new) if new else self

    __or__ = update

    def remove(self, key: K) -> "Map[K, V]":
        """Without `key`. Raises KeyError if it is not there."""
        return self._next(self._data.delete(key), (key,))

    def keys(self) -> tuple[K, ...]:
        """The keys in canonical order."""
        return self._keys()

    def values(self) -> tuple[V, ...]:
        """The values, in the canonical order of their keys."""
        return tuple(map(self._data.__getitem__, self._keys()))

    def items(self) -> tuple[tuple[K, V], ...]:
        """The pairs of key and value, in the canonical order of the keys."""
        return tuple(zip(self._keys(), self.values(), strict=True))

    def changes_since(self, older: "Map[K, V]") -> MapChange[K, V]:
        """What was set and removed between `older` and this version."""
        new, old = self._data, older._data
        keys = self._changed_keys(older)
        items = (
            (key, new[key])
            for key in keys
            if key in new and not (key in old and same(new[key], old[key]))
        )
        return MapChange(tuple(items), tuple(k for k in keys if k in old and k not in new))

    def canonical_parts(self) -> Iterable[object]:
        return chain.from_iterable(self.items())

    def __repr__(self) -> str:
        return f"Map({{{_listing(f'{key!r}: {value!r}' for key, value in self.items())}}})"


class Set(_Keyed[T, None]):
    """An immutable set: `votes |= {node}` rebinds the name to the larger Set."""

    __slots__ = ()

    def __init__(self, elements: Iterable[T] = ()) -> None:
        self._fill(immutables.Map(dict.fromkeys(elements)))

    def add(self, element: T) -> "Set[T]":
        """With `element`."""
        if element in self._data:
            return self
        return self._next(self._data.set(element, None), (element,))

    def remove(self, element: T) -> "Set[T]":
        """Without `element`. Raises KeyError if it is not there."""
        return self._next(self._data.delete(element), (element,))

    def __or__(self, other: "AbstractSet[T] | Set[T]") -> "Set[T]":
        if len(other) == 1:
            (element,) = other
            return self.add(element)
        new = [element for element in other if element not in self._data]
        return self._next(self._data.update(dict.fromkeys(new)), new) if new else self

    def __sub__(self, other: "AbstractSet[T] | Set[T]") -> "Set[T]":
        return self._without([element for element in self._data if element in other])

    def __and__(self, other: "AbstractSet[T] | Set[T]") -> "Set[T]":
        return self._without([element for element in self._data if element not in other])

    def _without(self, gone: list[T]) -> "Set[T]":
        if not gone:
            return self
        data = self._data.mutate()
        for element in gone:
            del data[element]
        return self._next(data.finish(), gone)

    def changes_since(self, older: "Set[T]") -> SetChange[T]:
        """What was added and removed between `older` and this version."""
        new, old = self._data, older._data
        changed = self._changed_keys(older)
        return SetChange(
            tuple(x for x in changed if x in new and x not in old),
            tuple(x for x in changed if x in old and x not in new),
        )

    def canonical_parts(self) -> Iterable[object]:
        return self._keys()

    def __repr__(self) -> str:
        return f"Set({{{_listing(map(repr, self))}}})" if self._data else "Set()"


class Log(Collection, Generic[T]):
    """An immutable sequence that grows at its end, and may be cut at both.

    Indices are absolute: the item at index i keeps it for ever, also when earlier items are
    compacted away. `start` is the index of the first item (1 in most papers: `Log(start=1)`) and
    `end` that of the next to come; both are read-only. Negative indices count from the end.
    A slice is a tuple. Reading below `start` raises IndexError; a slice may reach beyond `end`.
    """

    __slots__ = ("_base", "_items", "end", "start")

    _items: list[T]  # Shared by the lineage: grows, and is never changed below anyone's end.
    _base: int  # The index of _items[0].
    start: int
    end: int

    def __init__(self, items: Iterable[T] = (), start: int = 0) -> None:
        self._items = list(items)
        self._base = self.start = start
        self.end = start + len(self._items)
        self._fingerprint = None

    def _version(self, items: list[T], base: int, start: int, end: int) -> "Log[T]":
        version: Log[T] = object.__new__(Log)
        version._items = items
        version._base = base
        version.start = start
        version.end = end
        version._fingerprint = None
        return version

    def append(self, item: T) -> "Log[T]":
        """With one more item at `end`."""
        items, base, end = self._items, self._base, self.end
        if len(items) != end - base or not items:
            return Log((*self, item), self.start)  # Others own the list from `end` on.
        items.append(item)
        return self._version(items, base, self.start, end + 1)

    def extend(self, new: Iterable[T]) -> "Log[T]":
        """With more items from `end` on."""
        items, base = self._items, self._base
        if len(items) != self.end - base or not items:
            return Log((*self, *new), self.start)
        items.extend(new)
        return self._version(items, base, self.start, base + len(items))

    def truncate(self, end: int) -> "Log[T]":
        """Only the items before index `end`. Raises IndexError if that is below `start`."""
        if end < self.start:
            raise IndexError(f"truncate to {end}: the log starts at {self.start}")
        return self if end >= self.end else self._cut(self.start, end)

    def compact(self, start: int) -> "Log[T]":
        """Only the items from index `start` on; beyond `end`, an empty Log that starts there."""
        return self if start <= self.start else self._cut(start, max(start, self.end))

    def _cut(self, start: int, end: int) -> "Log[T]":
        """A part of this log, which keeps no more alive than about twice what it holds."""
        items, base = self._items, self._base
        if len(items) > 2 * (end - start) + SLACK or end > self.end:
            return Log(items[start - base : end - base], start)
        return self._version(items, base, start, end)

    @property
    def last(self) -> T | None:
        """The newest item, or None."""
        return self._items[self.end - self._base - 1] if self.end > self.start else None

    def _offset(self, index: int) -> int:
        """Where in `_items` an index is."""
        if index < 0:
            index += self.end
        if index < self.start:
            raise IndexError(f"index {index}: the log starts at {self.start}")
        return index - self._base

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            assert index.step is None, "a slice of a Log has no step"
            low = self.start if index.start is None else index.start
            high = self.end if index.stop is None else min(index.stop, self.end)
            return tuple(self._items[self._offset(low) : self._offset(high)])
        offset = self._offset(index)
        if index >= self.end:
            raise IndexError(f"index {index}: the log ends before {self.end}")
        return self._items[offset]

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[T]:
        base = self._base
        return iter(self._items[self.start - base : self.end - base])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Log):
            return NotImplemented
        if (self.start, self.end) != (other.start, other.end):
            return False
        return self._items is other._items or self[:] == other[:]

    def __hash__(self) -> int:
        return hash((self.start, self[:]))

    def changes_since(self, older: "Log[T]") -> LogChange[T]:
        """What was cut and appended between `older` and this version."""
        start = self.start
        kept = max(start, min(self.end, older.end)) if older.start <= start else start
        if self._items is not older._items:
            pairs = enumerate(zip(self[start:kept], older[start:kept], strict=True), start)
            kept = next((i for i, (new, old) in pairs if not same(new, old)), kept)
        return LogChange(start, kept, self[kept:])

    def canonical_parts(self) -> Iterable[object]:
        return (self.start, *self)

    def __repr__(self) -> str:
        start = f", start={self.start}" if self.start else ""
        return f"Log([{_listing(map(repr, self))}]{start})"


def _listing(parts: Iterable[str]) -> str:
    """The parts, with the middle of a long row left out."""
    texts = list(parts)
    if len(texts) > 20:
        texts[10:-5] = [f"... {len(texts) - 15} more ..."]
    return ", ".join(texts)
