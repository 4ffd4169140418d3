"""A key-value store as a deterministic state machine, for any protocol that replicates one.

Operations are those of the models `kv` and `cas-register` of `quorate check`:

    read, get     return the value, None if the key is absent
    write, put    set the value
    append        add to the text of the value
    cas           takes (expected, new): set `new` if the value is `expected`; return whether
    delete        make the key absent

An absent key and an empty text are the same, since many stores cannot tell them apart.
"""

from collections.abc import Iterable

import msgspec

from quorate.kernel import Map, Operation
from quorate.protocols.machines.machine import Items, Machine

Value = str | int | bool | None

READS = frozenset({"read", "get"})
WRITES = frozenset({"write", "put", "append", "cas", "delete"})


class Pair(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """One key of the store and its value."""

    key: str | None
    value: Value


class KeyValue(Machine, frozen=True, gc=False):
    """The store: an immutable value, which an operation turns into the next one."""

    values: Map[str | None, Value] = Map()

    @staticmethod
    def accepts(operation: Operation) -> bool:
        """Whether the operation is one of ours, with an argument that it can take."""
        if operation.f == "cas":
            return isinstance(operation.value, tuple) and len(operation.value) == 2
        if operation.f == "append":
            return isinstance(operation.value, str)
        return operation.f in READS or operation.f in WRITES

    @staticmethod
    def is_read(operation: Operation) -> bool:
        """Whether the operation leaves the store as it is, whatever it finds."""
        return operation.f in READS

    def apply(self, operation: Operation) -> tuple["KeyValue", Value]:
        """The store after an operation that it accepts, and what the operation returns."""
        key, argument = operation.key, operation.value
        found = self.values.get(key)
        match operation.f:
            case "read" | "get":
                return self, found
            case "cas":
                expected, new = argument
                if found != _absent_if_empty(expected):
                    return self, False
                return self._with(key, new), True
            case "append":
                return self._with(key, f"{'' if found is None else found}{argument}"), None
            case "delete":
                return self._with(key, None), None
            case _:
                return self._with(key, argument), None

    def _with(self, key: str | None, value: Value) -> "KeyValue":
        value = _absent_if_empty(value)
        if value is not None:
            return KeyValue(self.values.set(key, value))
        return KeyValue(self.values.remove(key)) if key in self.values else self

    def parts(self) -> Items:
        """The pairs in canonical order."""
        return Items(self.values, Pair)

    @classmethod
    def of(cls, parts: Iterable[Pair]) -> "KeyValue":
        """The store with these pairs."""
        return cls(Map((pair.key, pair.value) for pair in parts))


def _absent_if_empty(value: Value) -> Value:
    return None if value == "" else value
