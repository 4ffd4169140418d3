"""What a log replicates: a deterministic machine, as an immutable value.

A protocol that replicates a machine knows no more of it than this. Operations, results and parts
are plain canonical data of the machine's own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import msgspec

from quorate.kernel import Env, Map, Operation, Plain

Result = Plain
Part = Plain

K = TypeVar("K")
V = TypeVar("V")


class Machine(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """One state of the machine: each operation turns it into the next one.

    A field that holds a machine of any class is annotated `AnyMachine`.
    """

    def accepts(self, operation: Operation) -> bool:
        """Whether the operation is one of ours, with an argument that it can take."""
        raise NotImplementedError

    def stamped(self, operation: Operation, env: Env) -> Operation:
        """The operation, which we accept, as a leader takes it: with its time, if that matters."""
        return operation

    def is_read(self, operation: Operation) -> bool:
        """Whether the operation leaves the machine as it is, whatever it finds."""
        raise NotImplementedError

    def apply(self, operation: Operation) -> tuple["Machine", Result]:
        """The machine after an operation that it accepts, and what the operation returns."""
        raise NotImplementedError

    def apply_all(self, operations: Iterable[Operation]) -> tuple["Machine", list[Result]]:
        """The machine after all of these, one after the other, and what each returns.

        A machine for which one large change costs less than many small ones does it its own way.
        """
        machine, results = self, list[Result]()
        for operation in operations:
            machine, result = machine.apply(operation)
            results.append(result)
        return machine, results

    def parts(self) -> Sequence[Part]:
        """All of it, as small frozen structs in canonical order, for a snapshot.

        A large machine must give them at little cost, and make a part when it is looked at: see
        `Parts`.
        """
        raise NotImplementedError

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Self:
        """The machine that has these parts: the inverse of `parts`."""
        raise NotImplementedError


if TYPE_CHECKING:
    AnyMachine = Machine
else:
    AnyMachine = Plain


class Items(Sequence[Part]):
    """The items of a Map as parts, each made by `make(key, value)` when it is looked at.

    The first look sorts the keys, which the Map then remembers.
    """

    def __init__(self, items: Map[K, V], make: Callable[[K, V], Part]) -> None:
        self._items: Map[Any, Any] = items
        self._make: Callable[[Any, Any], Part] = make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, index: int | slice) -> Part:
        keys, items, make = self._items.keys(), self._items, self._make
        if isinstance(index, slice):
            return tuple([make(key, items[key]) for key in keys[index]])
        return make(keys[index], items[keys[index]])

    def __iter__(self) -> Iterator[Part]:
        return map(self._make, self._items.keys(), self._items.values())


class Parts(Sequence[Part]):
    """Several sequences of parts, one after the other."""

    def __init__(self, *sections: Sequence[Part]) -> None:
        self._sections = sections

    def __len__(self) -> int:
        return sum(map(len, self._sections))

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, index: int | slice) -> Part:
        if not isinstance(index, slice):
            place = range(len(self))[index]
            return self[place : place + 1][0]
        low, high, step = index.indices(len(self))
        assert step == 1, "parts are looked at in their order"
        found: list[Part] = []
        for section in self._sections:
            found += section[max(0, low) : max(0, high)]
            low, high = low - len(section), high - len(section)
        return tuple(found)

    def __iter__(self) -> Iterator[Part]:
        return chain.from_iterable(self._sections)
