"""Values as bytes, and back: what nodes say to each other, and what they keep on disk.

Everything is msgpack. A message or another tagged struct is an array that begins with the name of
its class; a `Map` an array of pairs, a `Set` one of elements, a `Log` its items and its start; a
`NodeId` is a text. Decoding is typed: it yields what the annotations of the classes promise, or
raises `Undecodable`. Where the annotation is `Plain`, an array that begins with the name of a known
struct is that struct, and any other a tuple.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from types import FunctionType
from typing import Any, Union, get_args, get_origin

import msgspec

from quorate.errors import Mistake, one_line
from quorate.kernel.canonical import Collection, Plain
from quorate.kernel.client import Redirect, Request, Response
from quorate.kernel.composition import ChildTimer, ToChild
from quorate.kernel.node import (
    BatchEnd,
    Event,
    Invoke,
    Message,
    Node,
    Operation,
    Start,
    Stored,
    Timer,
    child_fields,
)
from quorate.kernel.values import Log, Map, NodeId, Set
from quorate.wire.malformed import MALFORMED


class Undecodable(Exception):
    """Bytes that are no value of the kind that was expected; the text says why."""


class Codec:
    """Encodes and decodes for the nodes of some classes, and the modules that these come from.

    Raises Mistake if two structs that could be confused on the wire have the same name.
    """

    def __init__(self, kinds: Iterable[type[Node]], modules: Iterable[str] = ()) -> None:
        kinds = tuple(kinds)
        self._structs = _structs(kinds, modules)
        messages = [kind for kind in self._structs.values() if issubclass(kind, Message)]
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_spell)
        self._message = self._decoder(_union(messages))
        self._events = {kind: self._decoder(_union({*kind.handlers, *_HOST})) for kind in kinds}
        self._plain = self._decoder(Plain)
        self._named = self._decoder(tuple[str, msgspec.Raw])
        candidates = (Map, Set, Log, *_candidates(kinds, modules, _is_struct))
        self._all = {kind.__name__: kind for kind in candidates}

    def encode(self, value: object) -> bytes:
        """The bytes of any canonical value."""
        return self._encoder.encode(value)

    def message(self, data: bytes | memoryview) -> Message:
        """The message that the bytes are. Raises Undecodable."""
        message: Message = _decode(self._message, data)
        return message

    def event(self, kind: type[Node], data: bytes | memoryview) -> Event:
        """The event, for a node of this class, that the bytes are. Raises Undecodable."""
        event: Event = _decode(self._events[kind], data)
        return event

    def plain(self, data: bytes | memoryview) -> Any:
        """The value of any kind that the bytes are. Raises Undecodable."""
        return _decode(self._plain, data)

    def named(self, data: bytes | memoryview) -> Any:
        """What `named_bytes` has made into these bytes. Raises Undecodable."""
        name, raw = _decode(self._named, data)
        return self.typed(self.class_of(name))(raw) if name else self.plain(raw)

    def named_bytes(self, value: object) -> bytes:
        """The bytes of a struct or collection, with its class's name, or of what is plain."""
        has_class = isinstance(value, msgspec.Struct | Collection)
        return self.encode((type(value).__name__ if has_class else "", value))

    def class_of(self, name: str) -> type:
        """The struct or collection of that name. Raises Undecodable if there is none."""
        kind = self._all.get(name)
        if kind is None:
            raise Undecodable(f"no struct is called {name!r:.80}")
        return kind

    def typed(self, annotation: Any) -> "Callable[[bytes | memoryview], Any]":
        """A decoder for values of this annotation; it raises Undecodable."""
        decoder = self._decoder(annotation)
        return lambda data: _decode(decoder, data)

    def _decoder(self, annotation: Any) -> "msgspec.msgpack.Decoder[Any]":
        return msgspec.msgpack.Decoder(annotation, dec_hook=self._make)

    def _make(self, kind: Any, value: Any) -> Any:
        """What msgspec decodes for a type of ours, as that type."""
        if kind is Plain:
            return self._as_plain(value)
        if kind is NodeId:
            if type(value) is not str:
                raise TypeError(f"expected the address of a node, found {value!r:.50}")
            return NodeId(value)
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin is Map:
            pair = of(tuple, *(arguments or (Plain, Plain)))
            return Map(self._convert(value, of(list, pair)))
        if origin is Set:
            return Set(self._convert(value, of(list, *(arguments or (Plain,)))))
        if origin is Log:
            items = of(list, *(arguments or (Plain,)))
            found, start = self._convert(value, of(tuple, items, int))
            if start < 0:
                raise ValueError(f"a log cannot begin at {start}")
            return Log(found, start)
        raise TypeError(f"{kind} cannot be decoded")

    def _convert(self, value: Any, kind: Any) -> Any:
        return msgspec.convert(value, kind, dec_hook=self._make)

    def _as_plain(self, value: Any) -> Any:
        if type(value) is not list:
            return _scalar(value)
        if value and type(value[0]) is str:
            struct = self._structs.get(value[0])
            if struct is not None:
                return self._convert(value, struct)
        if _SCALARS.issuperset(map(type, value)):
            return tuple(value)
        return tuple(
            [self._as_plain(item) if type(item) is list else _scalar(item) for item in value]
        )


_SCALARS = frozenset({type(None), bool, int, str, bytes})


def _scalar(value: Any) -> Any:
    """The value, if a plain one may hold it: msgpack has also floats, maps, times and whatever."""
    if type(value) not in _SCALARS:
        raise TypeError(f"a {type(value).__name__} is not a plain value")
    return value


def of(generic: Any, *arguments: Any) -> Any:
    """The annotation `generic[arguments]`, where the arguments are known only at run time."""
    return generic[arguments]


def _decode(decoder: "msgspec.msgpack.Decoder[Any]", data: bytes | memoryview) -> Any:
    try:
        return decoder.decode(data)
    except (*MALFORMED, TypeError, ValueError) as error:
        raise Undecodable(one_line(error)) from error


def _spell(value: Any) -> Any:
    """What msgspec does not know, as what it does."""
    if isinstance(value, NodeId):
        return str(value)
    if isinstance(value, Map):
        return value.items()
    if isinstance(value, Set):
        return list(value)
    if isinstance(value, Log):
        return [list(value), value.start]
    if isinstance(value, Enum):
        return value.name
    raise TypeError(f"{type(value).__name__} is not a canonical value")


def _union(kinds: Iterable[type]) -> Any:
    return Union[tuple(kinds)]  # noqa: UP007  # As many as there are.


_HOST = (Start, BatchEnd, Stored, Invoke, ToChild, ChildTimer)
"""Events that any node may be given."""
_SHARED = (Request, Response, Redirect, Operation, ToChild, ChildTimer)
"""Structs that any member may meet on the wire."""


def _structs(kinds: Iterable[type[Node]], modules: Iterable[str]) -> dict[str, type]:
    """The tagged structs by name: what the classes handle, and all that their modules hold.

    A node's timers never leave it, so that two classes may well have timers of the same name; but
    a child's are told apart from its parent's by their names.
    """
    kinds = tuple(kinds)
    are_apart = not any(map(child_fields, kinds))
    found: dict[str, type] = {}
    for struct in _candidates(kinds, modules, _is_tagged):
        known = found.setdefault(struct.__name__, struct)
        if known is not struct and not (are_apart and issubclass(struct, Timer)):
            raise Mistake(
                f"{known.__module__} and {struct.__module__} both define {struct.__name__}: "
                "on the wire they could not be told apart; rename one"
            )
    return found


def _candidates(
    kinds: Iterable[type[Node]], modules: Iterable[str], wanted: Callable[[Any], bool]
) -> Iterator[type]:
    yield from _SHARED
    pending = [vars(sys.modules[name]) for name in modules]
    for kind in kinds:
        yield from filter(wanted, kind.handlers)
        pending += map(_namespace, kind.__mro__)
    seen: set[int] = set()
    while pending:
        namespace = pending.pop()
        if id(namespace) not in seen:
            seen.add(id(namespace))
            yield from filter(wanted, namespace.values())
            pending += map(_namespace, filter(_is_struct, namespace.values()))


def _namespace(kind: type) -> dict[str, Any]:
    """What the module that defines a class holds: also of a mutant, which is no module any more."""
    for value in vars(kind).values():
        function = value.fget if isinstance(value, property) else value
        if isinstance(function, FunctionType) and function.__module__ == kind.__module__:
            return function.__globals__
    namespace = vars(sys.modules[kind.__module__])
    return namespace if namespace.get(kind.__name__) is kind else {}


def _is_struct(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, msgspec.Struct)


def _is_tagged(value: Any) -> bool:
    if not _is_struct(value) or value in (Event, Message, Timer):
        return False
    config = value.__struct_config__
    return config.tag is not None and config.array_like
