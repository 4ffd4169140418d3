"""How the operations of a history are asked for over a socket, and what the replies mean.

Clients speak RESP to any live member. What the words are depends on the service behind it.
"""

import asyncio
from typing import Protocol

import msgspec

from quorate.check.history import Value
from quorate.errors import Mistake
from quorate.wire.resp import Failure

SURELY_NOT = ("FAILED", "MOVED", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "NOAUTH")
"""Codes of errors after which the operation surely does not happen. Of any other nobody knows."""
READS = ("get", "read")
KINDS_OF = {
    "kv": ("get",) * 4 + ("append",) * 3 + ("put",) * 2 + ("cas",),
    "cas-register": ("read",) * 4 + ("write",) * 3 + ("cas",) * 3,
    "register": ("read",) * 5 + ("write",) * 5,
}
"""What to ask a service for, by the model of `quorate check` that judges it."""
MOST_BYTES = 1 << 20
MOST_ITEMS = 1000


class Broken(Exception):
    """What came back is no reply."""


class Dialect(Protocol):
    """The operations of one service, all of them known to the model `kv` of `quorate check`."""

    kinds: tuple[str, ...]
    """Names of operations, as often as they shall be drawn; the first is a read."""

    def command(self, f: str, key: str, value: Value) -> tuple[bytes, ...]:
        """The words that ask for an operation."""

    def expected(self, seen: Value) -> Value:
        """What a `cas` expects, by a client that saw this value last."""

    def result(self, f: str, reply: object) -> Value:
        """What the operation returned. Raises Broken."""


class WordsDialect(Dialect):
    """A protocol of the catalogue behind its plainest front: `put x 5`.

    Raises Mistake for a protocol whose clients ask for something else than keys and values.
    """

    def __init__(self, model: object = "kv") -> None:
        kinds = KINDS_OF.get(model) if isinstance(model, str) else None
        if kinds is None:
            raise Mistake(f"chaos asks for keys and values, not for what {model!r:.40} judges")
        self.kinds = kinds

    def command(self, f: str, key: str, value: Value) -> tuple[bytes, ...]:
        words = (f.encode(), key.encode())
        if value is None:
            return words
        text = msgspec.json.encode(value) if isinstance(value, tuple) else str(value).encode()
        return (*words, text)

    def expected(self, seen: Value) -> Value:
        return seen

    def result(self, f: str, reply: object) -> Value:
        if f in READS:
            return _text(reply)
        return bool(reply) if f == "cas" else None


class RedisDialect(Dialect):
    """A service for clients of Redis. A `cas` is SET with NX: of an absent key to a value."""

    kinds = ("get",) * 4 + ("append",) * 3 + ("put", "delete", "cas")

    def command(self, f: str, key: str, value: Value) -> tuple[bytes, ...]:
        match f:
            case "get":
                return (b"GET", key.encode())
            case "delete":
                return (b"DEL", key.encode())
            case "cas":
                assert isinstance(value, tuple)
                return (b"SET", key.encode(), str(value[1]).encode(), b"NX")
            case _:
                verb = b"APPEND" if f == "append" else b"SET"
                return (verb, key.encode(), str(value).encode())

    def expected(self, seen: Value) -> Value:
        return None

    def result(self, f: str, reply: object) -> Value:
        if f == "get":
            return _text(reply)
        return reply is not None if f == "cas" else None


def _text(reply: object) -> Value:
    if reply is None:
        return None
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "replace")
    raise Broken(f"a value came back as {reply!r:.80}")


def encode_command(words: tuple[bytes, ...]) -> bytes:
    """A command as clients send it."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


async def read_reply(reader: asyncio.StreamReader) -> object:
    """The next reply, of RESP2: bytes, an int, None, a text, a tuple or a `Failure`.

    Raises Broken, also if the connection ends before the reply does.
    """
    try:
        line = await reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode("latin-1")
        if kind == b"-":
            return Failure(rest.decode("latin-1"))
        number = int(rest)
        if kind == b":":
            return number
        if kind == b"$" and number <= MOST_BYTES:
            return None if number < 0 else (await reader.readexactly(number + 2))[:-2]
        if kind == b"*" and number <= MOST_ITEMS:
            return None if number < 0 else tuple([await read_reply(reader) for _ in range(number)])
    except (ValueError, EOFError, asyncio.LimitOverrunError, OSError) as error:
        raise Broken(str(error)) from error
    raise Broken(f"no reply begins with {line[:40]!r}")


def is_surely_undone(failure: Failure) -> bool:
    """Whether the operation that got this error did not, and will not, happen."""
    return failure.text.partition(" ")[0] in SURELY_NOT
