"""One canonical form of every value: the same bytes in every process, whatever the hash seed.

`encode` keeps types apart (1, True, "1" and b"1" differ, as do a tuple and a Log of the same
items), and equal bytes mean equal values. Python's `hash` does neither: hash(-1) == hash(-2),
1 == True, and strings hash differently in each process.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import blake2b
from types import NoneType, UnionType
from typing import (
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

import msgspec
from msgspec.structs import astuple

T = TypeVar("T")


class NodeId(str):
    """The address of a node: written and compared as a string, yet a type of its own."""

    __slots__ = ()

    __repr__ = str.__str__


class Collection:
    """What `Map`, `Set` and `Log` share: immutable content whose fingerprint is cached."""

    __slots__ = ("_fingerprint",)

    _fingerprint: bytes | None

    def canonical_parts(self) -> Iterable[object]:
        """The content, flat and in canonical order."""
        raise NotImplementedError


def encode(value: object) -> bytes:
    """The canonical bytes of a value; distinct values have distinct bytes.

    A struct counts as its class's qualified name and its fields; the module is left out, so that
    a moved or mutated file keeps its fingerprints. A Map, Set or Log *inside* the value stands as
    its fingerprint, which it caches. Raises TypeError for what is not an immutable value (float,
    dict, list, ...) and for ints outside -2**63 .. 2**64 - 1.
    """
    plain = _collection(value) if isinstance(value, Collection) else _plain(value)
    try:
        return _msgpack(plain)
    except OverflowError:
        raise TypeError("int beyond 64 bits: use bytes, or a tuple of smaller ints") from None


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
    """The values in the one order that does not depend on how they came.

    The natural order where they have one among themselves, else the order of their encodings.
    """
    unordered = list(values)
    try:
        return tuple(sorted(unordered))  # type: ignore[type-var]
    except TypeError:
        return tuple(sorted(unordered, key=encode))


# The canonical tree, which msgpack then turns into bytes: scalars are themselves, all else is an
# array whose head tells its kind. A struct's head is its name, so the other heads are numbers.
_TUPLE, _NODE_ID, _ENUM, _COLLECTION, _FINGERPRINT = range(5)

_msgpack = msgspec.msgpack.Encoder().encode
_SCALARS = frozenset({int, bool, str, bytes, NoneType})


def _plain(value: Any) -> object:
    kind = type(value)
    if kind in _SCALARS:
        return value
    translate = _translators.get(kind)
    if translate is None:
        translate = _translators[kind] = _translator(kind)
    return translate(value)


def _tuple(value: tuple[object, ...]) -> list[object]:
    if _SCALARS.issuperset(map(type, value)):
        return [_TUPLE, *value]
    return [_TUPLE, *map(_plain, value)]


def _collection(value: Collection) -> list[object]:
    return [_COLLECTION, type(value).__name__, *map(_plain, value.canonical_parts())]


def _struct(name: str) -> Callable[[Any], list[object]]:
    def translate(value: Any) -> list[object]:
        fields = astuple(value)
        if _SCALARS.issuperset(map(type, fields)):
            return [name, *fields]
        return [name, *map(_plain, fields)]

    return translate


def _translator(kind: type) -> Callable[[Any], object]:
    """How values of exactly this type become a tree of scalars and lists."""
    if issubclass(kind, Collection):
        return lambda value: [_FINGERPRINT, fingerprint(value)]
    if issubclass(kind, msgspec.Struct):
        return _struct(kind.__qualname__)
    if issubclass(kind, Enum):
        return lambda member: [_ENUM, kind.__qualname__, member.name]
    raise TypeError(
        f"{kind.__qualname__} has no canonical encoding: "
        "use int, str, bytes, bool, None, tuple, a frozen struct, an Enum, Map, Set or Log"
    )


_translators: dict[type, Callable[[Any], object]] = {
    tuple: _tuple,
    NodeId: lambda value: [_NODE_ID, str(value)],
}


def immutable_type(annotation: Any) -> str | None:
    """None if every value that the annotation admits is immutable and canonical.

    Else the name of the part that is not: "dict", "float", "Any", "list in Vote.values".
    `annotation` must be resolved, as by `typing.get_type_hints(..., include_extras=True)`.
    """
    return _offence(annotation, frozenset())


def _offence(annotation: Any, trusted: frozenset[Any]) -> str | None:
    """As `immutable_type`. `trusted` are the structs and type variables already being checked."""
    if annotation is Any:
        return "Any"
    if isinstance(annotation, ForwardRef) or annotation in trusted:
        return None  # Recursive: checked where it began.
    if annotation in _SCALARS or annotation is NodeId or annotation is None:
        return None
    if isinstance(annotation, NewType):
        return _offence(annotation.__supertype__, trusted)
    if isinstance(annotation, TypeVar):
        bounds = annotation.__constraints__ or (annotation.__bound__ or Any,)
        return _first_offence(bounds, trusted)
    if hasattr(annotation, "__value__"):  # A `type` statement, from Python 3.12 on.
        return _offence(annotation.__value__, trusted)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _offence(arguments[0], trusted)
    if origin is Literal:
        return _first_offence(map(type, arguments), trusted)
    if origin is tuple or origin is Union or origin is UnionType:
        return _first_offence((a for a in arguments if a is not Ellipsis), trusted)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _first_offence(arguments, trusted)
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        parameters = getattr(origin, "__parameters__", ())
        return _first_offence(arguments, trusted) or _offence(origin, trusted | {*parameters})
    if isinstance(annotation, type):
        return _class_offence(annotation, trusted)
    return getattr(origin, "__name__", None) or repr(annotation)


def _first_offence(annotations: Iterable[Any], trusted: frozenset[Any]) -> str | None:
    offences = (_offence(annotation, trusted) for annotation in annotations)
    return next((offence for offence in offences if offence), None)


def _class_offence(kind: type, trusted: frozenset[Any]) -> str | None:
    if issubclass(kind, Enum):
        return None
    if not issubclass(kind, msgspec.Struct):
        return kind.__name__ if kind.__module__ == "builtins" else kind.__qualname__
    if not kind.__struct_config__.frozen:
        return f"{kind.__name__}, which is not frozen"
    hints = get_type_hints(kind, include_extras=True)
    for field in kind.__struct_fields__:
        offence = _offence(hints[field], trusted | {kind})
        if offence:
            return f"{offence} in {kind.__name__}.{field}"
    return None
