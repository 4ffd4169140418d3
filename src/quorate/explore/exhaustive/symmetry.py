"""States that differ only by a renaming of interchangeable nodes, recognised as one.

A canonical form is *true* if two states have the same one exactly if some renaming turns one into
the other. Two ways lead to it:

- What a state says of one node, with this node called `me` and all other interchangeable ones
  `another`, is that node's view. Where no part of the state relates two of them to each other, the
  multiset of views is the state up to renaming, and is all that has to be looked at.
- Otherwise the views sort the nodes; those with equal views are tried in every order, unless
  exchanging any two neighbours changes nothing, and the least renamed state stands for all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain, pairwise, permutations, product
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.exhaustive.space import FifoSpace, Found, Space, State
from quorate.explore.exhaustive.way import NOTHING, Way
from quorate.kernel.canonical import encode, fingerprint
from quorate.kernel.node import Node
from quorate.kernel.values import Log, Map, NodeId, Set

MOST_ORDERS = 5040
"""Renamings of one state that are tried at the most."""

Part = tuple[str, int]
"""A component of a state: `local`, `message`, `queue` or `memory`, and its number."""


class Symmetric:
    """A space whose states are orbits. `visited` fingerprints are those of canonical forms."""

    def __init__(self, space: Space, ids: Sequence[NodeId]) -> None:
        self._space = space
        self._ids = tuple(ids)
        self._named = frozenset(ids)
        self.moves, self.memories = space.moves, space.memories
        self._slots = {space.moves.slots[id] for id in ids}
        self._kind = "queue" if isinstance(space, FifoSpace) else "message"
        self._views: dict[Part, tuple[int, ...]] = {}
        self._relates: dict[Part, bool] = {}
        self._renamed: dict[tuple[Part, tuple[NodeId, ...]], int] = {}
        self._mentioned: dict[Part, tuple[NodeId, ...]] = {}
        self._mixed: dict[int, int] = {}
        self._changes: dict[int, tuple[Way, tuple[int, ...]]] = {}

    def roots(self) -> list[tuple[int, State, tuple[Way, ...]]]:
        """As the space's, one of each orbit being enough."""
        return [(self.canonical(state), state, ways) for _, state, ways in self._space.roots()]

    def successors(self, print_: int, state: State) -> Found:
        """As the space's, with canonical fingerprints."""
        parts = self._parts(state)
        is_plain = not any(map(self._is_relation, parts))
        views = self._views_of(parts)
        found: Found = []
        for _, way in self._space.successors(0, state):
            if is_plain and not way.is_special:
                change = self._change(way)
                if change is not None:
                    after = [view + more for view, more in zip(views, change, strict=True)]
                    found.append((self._sum(after), way))
                    continue
            found.append((self.canonical(self._space.apply(state, way)), way))
        return found

    def apply(self, state: State, way: Way) -> State:
        """As the space's: states keep the names with which they were reached first."""
        return self._space.apply(state, way)

    def arriving(self, messages: tuple[int, ...]) -> Sequence[int]:
        """As the space's."""
        return self._space.arriving(messages)

    def is_fenced(self, state: State) -> bool:
        """As the space's."""
        return self._space.is_fenced(state)

    # Canonical forms

    def canonical(self, state: State) -> int:
        """The fingerprint of the state's canonical form."""
        parts = self._parts(state)
        views = self._views_of(parts)
        if not any(map(self._is_relation, parts)):
            return self._sum(views)
        return self._least(parts, views)

    def _parts(self, state: State) -> list[Part]:
        locals_, messages, memory = state
        kind = self._kind
        return [
            *(("local", local) for local in locals_),
            *((kind, number) for number in messages),
            ("memory", memory),
        ]

    def _views_of(self, parts: Iterable[Part]) -> list[int]:
        known = self._views
        rows = [known.get(part) or self._look(part) for part in parts]
        return [sum(column) for column in zip(*rows, strict=True)]

    def _sum(self, views: Iterable[int]) -> int:
        """A multiset of views as one number: the sum of their digests."""
        mixed, total = self._mixed, 0
        for view in views:
            digest = mixed.get(view)
            if digest is None:
                length = (view.bit_length() + 8) // 8
                made = blake2b(view.to_bytes(length, "big", signed=True), digest_size=16).digest()
                digest = mixed[view] = int.from_bytes(made, "big")
            total += digest
        return total

    def _change(self, way: Way) -> tuple[int, ...] | None:
        """What a way that is not special adds to each view; None if it brings in a relation."""
        known = self._changes.get(id(way))
        if known is None:
            gone: list[Part] = []
            new: list[Part] = []
            for move in way.moves:
                if move.after != NOTHING:
                    gone.append(("local", move.before))
                    new.append(("local", move.after))
                if move.takes != NOTHING and not move.repeats:
                    gone.append(("message", move.takes))
                new += [("message", sent) for sent in move.sends]
            change: tuple[int, ...] = ()
            if not any(map(self._is_relation, new)):
                pairs = zip(self._views_of(new), self._views_of(gone), strict=True)
                change = tuple(one - other for one, other in pairs)
            known = self._changes[id(way)] = (way, change)
        return known[1] or None

    def _least(self, parts: Sequence[Part], views: Sequence[int]) -> int:
        """The least fingerprint among the renamings that sort the nodes by their views."""
        order = sorted(range(len(views)), key=views.__getitem__)
        classes: list[list[NodeId]] = []
        for at, place in enumerate(order):
            if at and views[place] == views[order[at - 1]]:
                classes[-1].append(self._ids[place])
            else:
                classes.append([self._ids[place]])
        choices = [self._orders(parts, members) for members in classes]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > MOST_ORDERS:
            raise Mistake(
                f"{count} renamings of one state would have to be tried: the symmetry reduction "
                "does not help here; leave it out"
            )
        targets = self._ids
        least: int | None = None
        for chosen in product(*choices):
            mapping = dict(zip(chain.from_iterable(chosen), targets, strict=True))
            print_ = sum(self._rename(part, mapping) for part in parts)
            least = print_ if least is None else min(least, print_)
        assert least is not None
        return least

    def _orders(self, parts: Sequence[Part], members: list[NodeId]) -> list[tuple[NodeId, ...]]:
        """The orders of nodes with equal views that may lead to different states."""
        if len(members) == 1:
            return [tuple(members)]
        same = {id: id for id in self._ids}
        now = sum(self._rename(part, same) for part in parts)
        for one, other in pairwise(members):
            swapped = {**same, one: other, other: one}
            if sum(self._rename(part, swapped) for part in parts) != now:
                return list(permutations(members))
        return [tuple(members)]

    # Parts

    def _value(self, part: Part) -> Any:
        kind, number = part
        if kind == "local":
            return self.moves.locals[number]
        if kind == "message":
            return tuple(self.moves.envelopes[number])
        if kind == "memory":
            return self.memories.value(number)
        assert isinstance(self._space, FifoSpace)
        return self._space.contents(number)

    def _look(self, part: Part) -> tuple[int, ...]:
        """What the part says of each node."""
        value = self._value(part)
        views = self._views[part] = tuple(
            int.from_bytes(fingerprint((part[0], seen(value, me, self._named))), "big")
            for me in self._ids
        )
        return views

    def _is_relation(self, part: Part) -> bool:
        """Whether the part may relate two interchangeable nodes to each other."""
        known = self._relates.get(part)
        if known is None:
            kind, number = part
            value = self._value(part)
            if kind == "local":
                is_one = self.moves.slot_of(number) in self._slots
            else:
                is_one = kind in ("message", "queue")
            # Of many parts of its kind, each may mention one node; the only one, any number.
            is_too_much = is_one and len(set(names_in(value, self._named))) > 1
            known = self._relates[part] = is_too_much or relates(value, self._named)
        return known

    def _rename(self, part: Part, mapping: Mapping[NodeId, NodeId]) -> int:
        """The fingerprint of the part, as a number, with other names in it."""
        mentioned = self._mentioned.get(part)
        if mentioned is None:
            names = dict.fromkeys(names_in(self._value(part), self._named))
            mentioned = self._mentioned[part] = tuple(names)
        key = (part, tuple(mapping[id] for id in mentioned))
        known = self._renamed.get(key)
        if known is None:
            value = renamed(self._value(part), mapping)
            known = self._renamed[key] = int.from_bytes(fingerprint((part[0], value)), "big")
        return known


# Values with names in them

ME, ANOTHER = "me", "another"


def seen(value: Any, me: NodeId, named: frozenset[NodeId]) -> Any:
    """The value with `me` and `another` for the interchangeable ids, collections in no order."""
    if isinstance(value, NodeId):
        return (ME if value == me else ANOTHER) if value in named else str(value)
    if isinstance(value, Map):
        pairs = [(seen(k, me, named), seen(v, me, named)) for k, v in value.items()]
        return ("Map", tuple(sorted(pairs, key=encode)))
    if isinstance(value, Set) or _is_group(value):
        return ("Set", tuple(sorted((seen(item, me, named) for item in value), key=encode)))
    if isinstance(value, Log):
        return ("Log", value.start, tuple(seen(item, me, named) for item in value))
    if isinstance(value, tuple):
        return tuple(seen(item, me, named) for item in value)
    if isinstance(value, msgspec.Struct):
        fields = (seen(field, me, named) for field in _fields(value))
        return (type(value).__qualname__, *fields)
    return value


def renamed(value: Any, mapping: Mapping[NodeId, NodeId]) -> Any:
    """The value with other ids in it."""
    if isinstance(value, NodeId):
        return mapping.get(value, value)
    if isinstance(value, Map):
        pairs = ((renamed(k, mapping), renamed(v, mapping)) for k, v in value.items())
        return Map(pairs)
    if isinstance(value, Set):
        return Set(renamed(item, mapping) for item in value)
    if isinstance(value, Log):
        return Log((renamed(item, mapping) for item in value), value.start)
    if _is_group(value):
        return tuple(sorted(renamed(item, mapping) for item in value))
    if isinstance(value, tuple):
        return tuple(renamed(item, mapping) for item in value)
    if isinstance(value, msgspec.Struct):
        return (type(value).__qualname__, *(renamed(field, mapping) for field in _fields(value)))
    return value


def names_in(value: Any, named: frozenset[NodeId]) -> Iterator[NodeId]:
    """The interchangeable ids in a value."""
    if isinstance(value, NodeId):
        if value in named:
            yield value
    elif isinstance(value, Map):
        for item in chain.from_iterable(value.items()):
            yield from names_in(item, named)
    elif isinstance(value, Set | Log | tuple):
        for item in value:
            yield from names_in(item, named)
    elif isinstance(value, msgspec.Struct):
        for field in _fields(value):
            yield from names_in(field, named)


def relates(value: Any, named: frozenset[NodeId]) -> bool:
    """Whether some element of an unordered collection mentions two interchangeable ids."""
    if isinstance(value, Map | Set):
        items: Iterable[Any] = value.items() if isinstance(value, Map) else value
        return any(len(set(names_in(item, named))) > 1 or relates(item, named) for item in items)
    if isinstance(value, Log | tuple):
        return any(relates(item, named) for item in value)
    if isinstance(value, msgspec.Struct):
        return any(relates(field, named) for field in _fields(value))
    return False


def _fields(value: msgspec.Struct) -> Iterator[Any]:
    """A struct's fields, but for the list of all nodes, which is the same for everybody."""
    names = value.__struct_fields__
    skipped = "peers" if isinstance(value, Node) else ""
    return (getattr(value, name) for name in names if name != skipped)


def _is_group(value: Any) -> bool:
    """Whether a tuple is a list of nodes in the order of their names, which says nothing."""
    if not isinstance(value, tuple) or len(value) < 2:
        return False
    return all(isinstance(item, NodeId) for item in value) and all(
        one < other for one, other in pairwise(value)
    )
