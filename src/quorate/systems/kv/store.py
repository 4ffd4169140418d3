"""What is replicated: the keyspace, and which identified writes it has seen.

A client that got no answer may send a write again, to any member, under the identity that it gave
it (`QUORATE IDENTITY name number`): `Operation("once", name, (number, commands))`. The store
remembers each name's last number and its replies, so the repetition is answered and not executed.
It knows the `MOST_NAMES` names that were used last; whoever needs more certainty than that has to
look before he repeats.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from quorate.kernel import Env, Map, Operation, Plain
from quorate.protocols.machines.machine import Items, Machine, Part, Parts, Result
from quorate.systems.kv.keyspace import Keyspace
from quorate.wire.resp import Failure

MOST_NAMES = 10_000
PAST = Failure("IDENTITY a later write of this name has been done; this one is not done again")


class Identity(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """The last write of a name: its number, its replies, and when it came, counted in writes."""

    name: str
    number: int
    replies: Plain
    when: int


class Store(Machine, frozen=True, gc=False):
    """An immutable value, as the keyspace is.

    Attributes:
        identified: how many identified writes were executed.
    """

    keyspace: Keyspace = Keyspace()
    identities: Map[str, Identity] = Map()
    identified: int = 0

    def accepts(self, operation: Operation) -> bool:
        if operation.f != "once":
            return self.keyspace.accepts(operation)
        match operation:
            case Operation("once", str(), (int(), Operation("commands") as commands)):
                return self.keyspace.accepts(commands)
        return False

    def stamped(self, operation: Operation, env: Env) -> Operation:
        if operation.f != "once":
            return self.keyspace.stamped(operation, env)
        number, commands = operation.value
        return Operation("once", operation.key, (number, self.keyspace.stamped(commands, env)))

    def is_read(self, operation: Operation) -> bool:
        return operation.f != "once" and self.keyspace.is_read(operation)

    def apply(self, operation: Operation) -> tuple["Store", Result]:
        if operation.f != "once":
            keyspace, replies = self.keyspace.apply(operation)
            if keyspace is self.keyspace:
                return self, replies
            return Store(keyspace, self.identities, self.identified), replies
        name, (number, commands) = operation.key, operation.value
        assert name is not None
        known = self.identities.get(name)
        if known is not None and number <= known.number:
            count = len(commands.value[1])
            return self, known.replies if number == known.number else (PAST,) * count
        keyspace, replies = self.keyspace.apply(commands)
        when = self.identified + 1
        identities = self.identities.set(name, Identity(name, number, replies, when))
        if len(identities) > MOST_NAMES:
            oldest = sorted(identities.values(), key=lambda identity: identity.when)
            for identity in oldest[: 1 + MOST_NAMES // 10]:
                identities = identities.remove(identity.name)
        return Store(keyspace, identities, when), replies

    def apply_all(self, operations: Iterable[Operation]) -> tuple["Store", list[Result]]:
        store, results = self, list[Result]()
        for is_identified, run in groupby(operations, lambda operation: operation.f == "once"):
            if is_identified:
                for operation in run:
                    store, result = store.apply(operation)
                    results.append(result)
            else:
                keyspace, some = store.keyspace.apply_all(run)
                store = Store(keyspace, store.identities, store.identified)
                results += some
        return store, results

    def parts(self) -> Sequence[Part]:
        names = Items(self.identities, lambda name, identity: identity)
        return Parts(names, self.keyspace.parts())

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Store":
        identities: dict[str, Identity] = {}
        others: list[Part] = []
        for part in parts:
            if isinstance(part, Identity):
                identities[part.name] = part
            else:
                others.append(part)
        last = max((identity.when for identity in identities.values()), default=0)
        return cls(Keyspace.of(others), Map(identities), last)
