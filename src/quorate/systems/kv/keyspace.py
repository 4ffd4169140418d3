"""The store as a deterministic machine: what a log replicates, and Redis's clients ask.

Its operation is `Operation("commands", None, (time, commands))`: what one client sent at once, with
the time in milliseconds since 1970 at which the leader took it; until then, by the clock of the
member that it came to. The result is a tuple of their replies. The operations of `KeyValue` (read,
write, cas, ...) act on the same strings.

Expiry is decided in the log. `clock` is the greatest time of any operation that was applied as a
write; a key is expired once the clock has reached its expiry, and no replica's own clock matters.
An operation that only reads, but may touch a key that would be expired at its time and is not yet,
counts as a write: so it goes through the log and advances the clock, and what is expired for one
reader is expired for all that follow.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import overload

import msgspec

from quorate.kernel import MILLISECOND, Env, Map, Operation, Set
from quorate.protocols.machines.key_value import READS, KeyValue
from quorate.protocols.machines.machine import Items, Machine, Part, Parts, Result
from quorate.systems.kv.agenda import agenda_of, is_any_due
from quorate.systems.kv.content import Content, Entry, Hash, Text, is_large, slot_of
from quorate.systems.kv.draft import Draft
from quorate.systems.kv.execution import EXEC, commands_of, execute, is_executable
from quorate.systems.kv.numbers import HIGHEST, LOWEST
from quorate.systems.kv.table import spec_of
from quorate.wire.resp import Command


class Moment(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A part of a snapshot: how far the store has come."""

    clock: int
    version: int


class TextPart(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A part of a snapshot: a key that holds a string."""

    key: bytes
    value: bytes | int | bool
    version: int
    expiry: int | None


class HashPart(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A part of a snapshot: a key that holds a hash. The fields of a large one come later."""

    key: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    version: int
    expiry: int | None


class FieldPart(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A part of a snapshot: a field of a large hash."""

    key: bytes
    field: bytes
    value: bytes


class Keyspace(Machine, frozen=True, gc=False):
    """The store: an immutable value, which an operation turns into the next one.

    Attributes:
        clock: milliseconds since 1970.
        version: how many operations have been applied as writes.
    """

    content: Content = Content()
    clock: int = 0
    version: int = 0

    def accepts(self, operation: Operation) -> bool:
        if operation.f != "commands":
            given = operation.value if operation.f == "cas" else (operation.value,)
            return KeyValue().accepts(operation) and all(map(_is_value, given))
        value = operation.value
        if type(value) is not tuple or len(value) != 2 or type(value[0]) is not int:
            return False
        return 0 <= value[0] < 2**62 and is_executable(value[1])

    def stamped(self, operation: Operation, env: Env) -> Operation:
        if operation.f != "commands":
            return operation
        return Operation("commands", None, (env.wall // MILLISECOND, operation.value[1]))

    def is_read(self, operation: Operation) -> bool:
        if operation.f != "commands":
            return operation.f in READS
        time, steps = operation.value
        agenda = self.content.agenda
        may_be_late = bool(agenda) and agenda[0][0][0] <= time
        names = {step[0] for step in steps}
        commands = steps
        if EXEC in names:
            commands = commands_of(steps)
            names = {command[0] for command in commands}
        for name in names:
            spec = spec_of(name)
            if spec is not None and spec.writes:
                return False
        return not may_be_late or not any(self._is_late(command, time) for command in commands)

    def _is_late(self, command: Command, time: int) -> bool:
        """Whether a key that it may touch expires at that time, and has not yet."""
        spec = spec_of(command[0])
        if spec is None:
            return False
        clock, expiries = self.clock, self.content.expiries
        if not spec.keys[0]:
            return not spec.is_local and is_any_due(self.content.agenda, clock, time)
        return any(clock < expiries.get(key, 0) <= time for key in spec.keys_of(command))

    def apply(self, operation: Operation) -> tuple["Keyspace", Result]:
        if operation.f != "commands":
            return self._apply_generic(operation)
        time, steps = operation.value
        if self.is_read(operation):
            db = Draft(self.content, self.clock, max(self.clock, time), self.version)
            return self, tuple([execute(db, step) for step in steps])
        clock, version = max(self.clock, time), self.version + 1
        db = Draft(self.content, clock, clock, version)
        db.purge()
        replies = tuple([execute(db, step) for step in steps])
        return Keyspace(db.finish(), clock, version), replies

    def apply_all(self, operations: Iterable[Operation]) -> tuple["Keyspace", list[Result]]:
        """As one after the other, but with one draft for all of them as long as no key expires."""
        keyspace, results, db = self, list[Result](), None
        for operation in operations:
            if operation.f != "commands" or keyspace.content.agenda:
                keyspace, db = keyspace._with(db), None
                keyspace, result = keyspace.apply(operation)
                results.append(result)
                continue
            time, steps = operation.value
            if db is None:
                db = Draft(keyspace.content, keyspace.clock, keyspace.clock, keyspace.version)
            db.now = max(db.clock, time)
            if not keyspace.is_read(operation):
                db.clock, db.version = db.now, db.version + 1
            results.append(tuple([execute(db, step) for step in steps]))
            if db.has_expiries:
                keyspace, db = keyspace._with(db), None
        return keyspace._with(db), results

    def _with(self, db: Draft | None) -> "Keyspace":
        """As the draft has it, if there is one and it has written."""
        if db is None or db.version == self.version:
            return self
        return Keyspace(db.finish(), db.clock, db.version)

    def _apply_generic(self, operation: Operation) -> tuple["Keyspace", Result]:
        """An operation of KeyValue, on the string that its key holds."""
        key = (operation.key or "").encode(errors="surrogatepass")
        db = Draft(self.content, self.clock, self.clock, self.version + 1)
        entry = db.get(key)
        if isinstance(entry, Hash):
            return self, None
        found = None if entry is None else _as_value(entry.value)
        before = KeyValue(Map() if found in (None, "") else Map({operation.key: found}))
        after, result = before.apply(operation)
        value = after.values.get(operation.key)
        if after is before or operation.f in READS:
            return self, result
        if value is None:
            db.drop(key)
        else:
            if operation.f in ("write", "put"):
                db.drop(key)  # As SET, these end an expiry that there was.
            data = value.encode(errors="surrogatepass") if isinstance(value, str) else value
            db.put(key, Text(data, db.version))
        return Keyspace(db.finish(), self.clock, db.version), result

    def parts(self) -> Sequence[Part]:
        entries = self.content.entries
        fields = [_field_parts(key, entries[key]) for key in self.content.large]
        return Parts((Moment(self.clock, self.version),), KeyParts(self.content), *fields)

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Keyspace":
        entries: dict[bytes, Entry] = {}
        expiries: dict[bytes, int] = {}
        fields: dict[bytes, list[tuple[bytes, bytes]]] = {}  # Of large hashes.
        clock = version = 0
        for part in parts:
            if isinstance(part, FieldPart):
                fields.setdefault(part.key, []).append((part.field, part.value))
                continue
            if isinstance(part, Moment):
                clock, version = part.clock, part.version
                continue
            if isinstance(part, TextPart):
                entries[part.key] = Text(part.value, part.version)
            else:
                entries[part.key] = Hash(Map(part.fields), part.version)
            if part.expiry is not None:
                expiries[part.key] = part.expiry
        for key, pairs in fields.items():
            entries[key] = Hash(Map(pairs), entries[key].version)
        return cls(_content(entries, expiries), clock, version)


class KeyParts(Sequence[Part]):
    """The keys as parts, in the order of their slots: nothing is sorted, however many there are."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._slots = content.slots.keys()
        self._ends = [*accumulate(len(content.slots[slot]) for slot in self._slots)]

    def __len__(self) -> int:
        return len(self._content.entries)

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
        place = bisect_right(self._ends, low)
        while low < high:
            keys = self._content.slots[self._slots[place]]
            start = low - (self._ends[place] - len(keys))
            some = keys[start : start + high - low]
            found += map(self._part, some)
            low += len(some)
            place += 1
        return tuple(found)

    def _part(self, key: bytes) -> Part:
        entry, expiry = self._content.entries[key], self._content.expiries.get(key)
        if isinstance(entry, Text):
            return TextPart(key, entry.value, entry.version, expiry)
        fields = () if is_large(entry) else entry.fields.items()
        return HashPart(key, fields, entry.version, expiry)


def _field_parts(key: bytes, entry: Entry) -> Items:
    assert isinstance(entry, Hash)
    return Items(entry.fields, lambda field, value: FieldPart(key, field, value))


def _content(entries: dict[bytes, Entry], expiries: dict[bytes, int]) -> Content:
    """The content with what follows from the entries and their expiries."""
    slots: dict[int, list[bytes]] = {}
    for key in sorted(entries):
        slots.setdefault(slot_of(key), []).append(key)
    agenda = agenda_of([(time, key) for key, time in expiries.items()])
    by_slot = Map({slot: tuple(keys) for slot, keys in slots.items()})
    large = Set(key for key, entry in entries.items() if is_large(entry))
    return Content(Map(entries), Map(expiries), agenda, by_slot, large)


def _is_value(value: object) -> bool:
    """Whether an operation of KeyValue may store it here."""
    if isinstance(value, int):
        return LOWEST <= value <= HIGHEST
    return value is None or isinstance(value, str)


def _as_value(value: bytes | int | bool) -> str | int | bool:
    """A string as the operations of KeyValue see it."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
