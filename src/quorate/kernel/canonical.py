"""One canonical form of every value: the same bytes in every process, whatever its hash seed.

`encode` keeps types apart: 1, True, "1" and b"1" differ, as do a tuple and a Log of equal items.
Python's `hash` does not: hash(-1) == hash(-2), hash(1) == hash(True), and strings hash
differently in each process.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import blake2b
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ForwardRef,
    Literal,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import Struct
from msgspec.msgpack import Encoder
from msgspec.structs import astuple

T = TypeVar("T")


class NodeId(str):
    """The address of a node: written and compared as a string, yet a type of its own."""

    __slots__ = ()
    __repr__ = str.__str__


class Collection:
    """What `Map`, `Set` and `Log` have in common: immutable content, its fingerprint cached."""

    __slots__ = ("_fingerprint",)
    _fingerprint: bytes | None

    def canonical_parts(self) -> Iterable[object]:
        """The content, flat and in canonical order."""
        raise NotImplementedError


def encode(value: object) -> bytes:
    """The canonical bytes of a value: equal for equal values of equal types, else distinct.

    A struct is its class's qualified name and its fields; the module is left out, so that a moved
    or mutated file keeps its fingerprints. A Map, Set or Log *inside* the value stands as its
    fingerprint. Raises TypeError for anything mutable, for floats, and for ints beyond 64 bits.
    """
    if isinstance(value, Collection):
        plain: object = [_COLLECTION, type(value).__name__, *map(_plain, value.canonical_parts())]
    else:
        plain = _plain(value)
    try:
        return _msgpack(plain)
    except OverflowError:
        raise TypeError("int beyond 64 bits (-2**63 to 2**64 - 1): encode it as bytes") from None


def fingerprint(value: object) -> bytes:
    """128 bits that stand for the value: a digest of `encode(value)`."""
    if not isinstance(value, Collection):
        return blake2b(encode(value), digest_size=16).digest()
    if value._fingerprint is None:
        value._fingerprint = blake2b(encode(value), digest_size=16).digest()
    return value._fingerprint


def same(one: object, other: object) -> bool:
    """Whether two values are equal in content *and* types; `==` would take True for 1."""
    return one is other or (one == other and encode(one) == encode(other))


def canonical_order(values: Iterable[T]) -> tuple[T, ...]:
    """The values in natural order if they have one among themselves, else by their encodings."""
    unordered = list(values)
    try:
        return tuple(sorted(unordered))  # type: ignore[type-var]
    except TypeError:
        return tuple(sorted(unordered, key=encode))


# What msgpack then turns into bytes: scalars stand for themselves, all else is a list whose head
# tells its kind. The head of a struct is its name, so the others are numbers.
_TUPLE, _NODE_ID, _ENUM, _COLLECTION, _FINGERPRINT = range(5)
_SCALARS = frozenset({int, bool, str, bytes, NoneType})
_msgpack = Encoder().encode


def _plain(value: Any) -> object:
    kind = type(value)
    if kind in _SCALARS:
        return value
    translate = _translators.get(kind)
    if translate is None:
        translate = _translators[kind] = _translator(kind)
    return translate(value)


def _translator(kind: type) -> Callable[[Any], list[object]]:
    """How values of exactly this type become a list of scalars and lists."""
    name = kind.__qualname__
    if kind is tuple:
        return lambda value: [_TUPLE, *map(_plain, value)]
    if kind is NodeId:
        return lambda value: [_NODE_ID, str(value)]
    if issubclass(kind, Struct):
        return lambda value: [name, *map(_plain, astuple(value))]
    if issubclass(kind, Collection):
        return lambda value: [_FINGERPRINT, fingerprint(value)]
    if issubclass(kind, Enum):
        return lambda value: [_ENUM, name, value.name]
    raise TypeError(
        f"{name} is not a canonical value: use int, str, bytes, bool, None, tuple, "
        "NodeId, a frozen struct, an Enum, Map, Set or Log"
    )


_translators: dict[type, Callable[[Any], list[object]]] = {}


if TYPE_CHECKING:
    Plain = Any
else:
    _OfAnyKind = type("_OfAnyKind", (type,), {"__instancecheck__": lambda cls, value: True})

    class Plain(metaclass=_OfAnyKind):
        """The annotation of canonical values that only their owner can tell apart.

        Decoders meet it as a type of its own, and so know that lists are tuples there.
        """


def immutable_type(annotation: Any) -> str | None:
    """None if all values that the annotation admits are canonical, else the name of the culprit.

    The culprit reads as "dict", "float", "Any" or "list in Vote". `annotation` must be resolved,
    as by `typing.get_type_hints(..., include_extras=True)`.
    """
    pending, seen = [(annotation, "")], set()
    while pending:
        part, where = pending.pop()
        inner = _components(part)
        if inner is None:
            return getattr(part, "__name__", repr(part)) + where
        kind = get_origin(part) or part
        struct = isinstance(kind, type) and issubclass(kind, Struct)
        if struct or hasattr(part, "__value__"):
            if part in seen:
                continue  # It contains itself.
            seen.add(part)
            where = f" in {kind.__name__}"
        pending += [(component, where) for component in inner]
    return None


def _components(part: Any) -> Iterable[Any] | None:
    """The annotations that this one is made of, or None if it admits what is not canonical."""
    origin, arguments = get_origin(part), get_args(part)
    kind = origin or part
    if kind is Annotated:
        return arguments[:1]
    if kind is Literal:
        return map(type, arguments)
    if origin in (tuple, Union, UnionType):
        return arguments
    if isinstance(part, TypeVar):
        return part.__constraints__ or (part.__bound__ or Any,)
    if isinstance(part, NewType):
        return (part.__supertype__,)
    if hasattr(part, "__value__"):  # A `type` statement, from Python 3.12 on.
        return (part.__value__,)
    # A ForwardRef is left only where a type contains itself.
    if part in (*_SCALARS, NodeId, Plain, None, ...) or isinstance(part, ForwardRef):
        return ()
    if not isinstance(kind, type):
        return None
    if issubclass(kind, Enum):
        return ()
    if issubclass(kind, Collection):
        return arguments or None
    if issubclass(kind, Struct) and kind.__struct_config__.frozen:
        hints = get_type_hints(kind, include_extras=True)
        return (*arguments, *(hints[field] for field in kind.__struct_fields__))
    return None
