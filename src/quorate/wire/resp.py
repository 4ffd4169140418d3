"""RESP, the protocol of Redis: commands out of bytes, replies into bytes, versions 2 and 3.

Source: "Redis serialization protocol specification", redis.io; where that is silent, networking.c
of Redis 7.0, whose words of error these are. A reply is plain immutable data, so that it can stand
in a trace or a snapshot:

    str     a simple string, as "OK"          None    nil
    bytes   a bulk string                     tuple   an array
    int     a number                          bool    true or false

and the structs below for what has a form of its own in one of the versions. Errors and simple
strings are texts of one character per byte (latin-1), as they may quote what a client sent.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from quorate.kernel import Plain

Command = tuple[bytes, ...]
"""A command's name and its arguments, as received."""


class Failure(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """An error: a code in capitals and a sentence, as in "ERR syntax error"."""

    text: str


class Pairs(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A map; in RESP2, an array of keys and values by turns."""

    items: tuple[tuple[Plain, Plain], ...]


class Rows(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """An array of arrays; in RESP2, one array of all their elements."""

    items: tuple[tuple[Plain, ...], ...]


class Unordered(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A set; in RESP2, an array."""

    items: tuple[Plain, ...]


class Verbatim(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A text for people to read; in RESP2, a bulk string."""

    text: str


class Double(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A number with a fraction, written out; in RESP2, a bulk string."""

    text: str


class NullArray(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """What EXEC replies if a watched key has changed: in RESP2, not the nil of bulk strings."""


Reply: TypeAlias = (
    "str | bytes | int | bool | tuple[Reply, ...] | Failure | Pairs | Rows | Unordered | Verbatim"
    " | Double | NullArray | None"
)


# Commands

MAX_ARGUMENTS = 1 << 20
MAX_BULK = 512 << 20
MAX_LINE = 64 << 10
MAX_PENDING = 1 << 30
"""Bytes that an unfinished command may occupy, with what Python needs for each argument."""
ARGUMENT_COST = 48

RESTRICTED_ARGUMENTS = 10
RESTRICTED_BULK = 16384
"""What a client may send before it has told the password."""

# The heads of short commands and of short arguments: a look-up instead of a parsed number.
_COUNTS = {b"*%d" % count: count for count in range(1, 33)}
_LENGTHS = {b"$%d" % length: length for length in range(4097)}
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class Parser:
    """Finds commands in what one connection receives, however it is cut into pieces.

    Each byte is looked at a bounded number of times. After an error, `failure` says what is to be
    replied before the connection is closed, and whatever follows is ignored.

    Attributes:
        restricted: the client has yet to tell the password, and is trusted with little memory.
        failure: the protocol error, once there was one.
    """

    def __init__(
        self,
        max_bulk: int = MAX_BULK,
        max_arguments: int = MAX_ARGUMENTS,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.restricted = False
        self.failure: Failure | None = None
        self._max_bulk = max_bulk
        self._max_arguments = max_arguments
        self._max_pending = max_pending
        self._is_quick = max_bulk >= max(_LENGTHS.values()) and max_arguments >= len(_COUNTS)
        self._buffer = bytearray()
        self._position = 0  # Of the first byte in the buffer that is not understood yet.
        self._searched = 0  # From `_position` up to here there is no end of a line.
        self._arguments: list[bytes] = []
        self._missing = 0  # How many arguments of the command have yet to come.
        self._length = -1  # The length of the argument that has begun, -1 before its head.
        self._cost = 0  # Of the arguments that are here.

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are complete with `data`, in order."""
        commands: list[Command] = []
        if self.failure is not None:
            return commands
        if self._buffer or self._missing:
            self._buffer += data
            if not self._step(commands, 1):
                return commands
            data = bytes(memoryview(self._buffer)[self._position :])
            self._buffer.clear()
            self._position = self._searched = 0
        rest = self._quickly(data, commands) if self._is_quick else data
        if rest and self.failure is None:
            self._buffer += rest
            self._step(commands, None)
        return commands

    def _quickly(self, data: bytes, commands: list[Command]) -> bytes:
        """Take what has no surprises: short arguments without line ends. Returns the rest."""
        pieces = data.split(b"\r\n")
        last = len(pieces) - 1  # The piece after the last line end is not known to be complete.
        start = self._in_columns(pieces, last, commands)
        while start < last:
            count = _COUNTS.get(pieces[start])
            if count is None or (self.restricted and count > RESTRICTED_ARGUMENTS):
                break
            end = start + 2 * count + 1
            if end > last:
                break
            arguments = pieces[start + 2 : end : 2]
            # Each argument is as long as its head says, so no line end was a part of it.
            if [*map(len, arguments)] != [*map(_LENGTHS.get, pieces[start + 1 : end : 2])]:
                break
            commands.append(tuple(arguments))
            start = end
        return b"\r\n".join(pieces[start:]) if start else data

    def _in_columns(self, pieces: list[bytes], last: int, commands: list[Command]) -> int:
        """Take a pipeline of commands with equally many words, a column at a time.

        Returns how many pieces that took: all complete ones, or none.
        """
        width = 2 * _COUNTS.get(pieces[0], 0) + 1
        rows, rest = divmod(last, width)
        if width == 1 or rows < 2 or rest or self.restricted:
            return 0
        if pieces[0:last:width].count(pieces[0]) != rows:
            return 0
        columns = [pieces[start:last:width] for start in range(1, width)]
        for heads, column in zip(columns[::2], columns[1::2], strict=True):
            if [*map(len, column)] != [*map(_LENGTHS.get, heads)]:
                return 0
        commands += zip(*columns[1::2], strict=True)
        return last

    def _step(self, commands: list[Command], most: int | None) -> bool:
        """Take commands out of the buffer: all, or `most`. Whether the last one was complete."""
        wanted = None if most is None else len(commands) + most
        while self.failure is None and (wanted is None or len(commands) < wanted):
            if not (self._argument() if self._missing else self._head(commands)):
                break
            if self._arguments and not self._missing:
                commands.append(tuple(self._arguments))
                self._arguments, self._cost = [], 0
        else:
            return self.failure is None
        self._compact()
        return False

    def _compact(self) -> None:
        """Forget what is understood, and see that the rest stays within its bound."""
        if self._position:
            del self._buffer[: self._position]
            self._searched -= self._position
            self._position = 0
        if len(self._buffer) + self._cost > self._max_pending:
            self._fail("too much of an unfinished request")

    def _head(self, commands: list[Command]) -> bool:
        """Take the head of a command, or an inline command. Whether there was one."""
        if self._position == len(self._buffer):
            return False
        if self._buffer[self._position] != ord("*"):
            return self._inline(commands)
        line = self._line(b"\r", 2, "too big mbulk count string")
        if line is None:
            return False
        count = _integer(line[1:])
        if count is None or count > self._max_arguments:
            return self._fail("invalid multibulk length")
        if self.restricted and count > RESTRICTED_ARGUMENTS:
            return self._fail("unauthenticated multibulk length")
        self._missing = max(0, count)  # None at all is no command, and gets no reply.
        return True

    def _argument(self) -> bool:
        """Take one argument with its head. Whether it is complete."""
        if self._length < 0 and not self._argument_head():
            return False
        start, end = self._position, self._position + self._length
        if len(self._buffer) < end + 2:
            return False
        self._arguments.append(bytes(memoryview(self._buffer)[start:end]))
        self._cost += self._length + ARGUMENT_COST
        self._position = self._searched = end + 2
        self._length = -1
        self._missing -= 1
        if self._cost > self._max_pending:
            return self._fail("too much of an unfinished request")
        return True

    def _argument_head(self) -> bool:
        line = self._line(b"\r", 2, "too big bulk count string")
        if line is None:
            return False
        if line[:1] != b"$":
            found = line[:1].decode("latin-1") or "\r"
            return self._fail(f"expected '$', got '{found}'")
        length = _integer(line[1:])
        if length is None or not 0 <= length <= self._max_bulk:
            return self._fail("invalid bulk length")
        if self.restricted and length > RESTRICTED_BULK:
            return self._fail("unauthenticated bulk length")
        self._length = length
        return True

    def _inline(self, commands: list[Command]) -> bool:
        """Take a command as people type it: words with spaces between, perhaps quoted."""
        line = self._line(b"\n", 1, "too big inline request")
        if line is None:
            return False
        words = split_words(line.removesuffix(b"\r"))
        if words is None:
            return self._fail("unbalanced quotes in request")
        if words:
            commands.append(words)
        return True

    def _line(self, mark: bytes, size: int, too_long: str) -> bytes | None:
        """Take the bytes before `mark`, where a line end of `size` bytes is complete."""
        end = self._buffer.find(mark, max(self._position, self._searched))
        if (end if end >= 0 else len(self._buffer)) - self._position > MAX_LINE:
            self._fail(too_long)
            return None
        if end < 0 or end + size > len(self._buffer):
            self._searched = len(self._buffer) if end < 0 else end
            return None
        line = bytes(memoryview(self._buffer)[self._position : end])
        self._position = self._searched = end + size
        return line

    def _fail(self, why: str) -> bool:
        self.failure = Failure(f"ERR Protocol error: {why}")
        self._buffer.clear()
        self._arguments.clear()
        self._position = self._searched = 0
        return False


def _integer(text: bytes) -> int | None:
    """A number as Redis writes it: no sign +, no leading zeros; None if it is not one."""
    return int(text) if _INTEGER.fullmatch(text) else None


_SPACE = b" \n\r\t\v\f"
_WORD = re.compile(
    rb"""([^ \n\r\t"']*+)
    (?: "((?:\\.|[^"\\])*+)" | '((?:\\'|\\(?!')|[^'\\])*+)' )?
    (?=[ \n\r\t\v\f]|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_words(line: bytes) -> Command | None:
    r"""The words of an inline command; None if a quote is never closed or a word follows it.

    In double quotes, \n \r \t \b \a and \xhh stand for a byte, any other \ for what follows it; in
    single quotes only \' does. A word may begin without quotes and end with them.
    """
    words: list[bytes] = []
    rest = line.partition(b"\0")[0].lstrip(_SPACE)  # Redis reads no further than a zero byte.
    position = 0
    while position < len(rest):
        found = _WORD.match(rest, position)
        if found is None:
            return None
        bare, double, single = found.groups(b"")
        words.append(bare + _ESCAPE.sub(_escaped, double) + single.replace(b"\\'", b"'"))
        position = found.end()
        while position < len(rest) and rest[position] in _SPACE:
            position += 1
    return tuple(words)


def _escaped(found: re.Match[bytes]) -> bytes:
    code, letter = found.groups()
    return bytes.fromhex(code.decode()) if code else _ESCAPED.get(letter, letter)


# Replies


def encode_reply(reply: Reply, version: int = 2) -> bytes:
    """The bytes of one reply, in version 2 or 3 of the protocol."""
    return _SPELL[type(reply)](reply, version)


def encode_replies(replies: Iterable[Reply], version: int = 2) -> bytes:
    """The bytes of several replies, one after the other."""
    return b"".join([_SPELL[type(reply)](reply, version) for reply in replies])


def _simple(text: str, version: int) -> bytes:
    return b"+OK\r\n" if text == "OK" else b"+%b\r\n" % _one_line(text)


def _bulk(data: bytes, version: int) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _number(number: int, version: int) -> bytes:
    return b":%d\r\n" % number


def _boolean(value: bool, version: int) -> bytes:
    return (b"#t\r\n" if value else b"#f\r\n") if version == 3 else b":%d\r\n" % value


def _nil(nothing: None, version: int) -> bytes:
    return b"_\r\n" if version == 3 else b"$-1\r\n"


def _null_array(nothing: NullArray, version: int) -> bytes:
    return b"_\r\n" if version == 3 else b"*-1\r\n"


def _array(items: tuple[Reply, ...], version: int) -> bytes:
    return b"*%d\r\n%b" % (len(items), encode_replies(items, version))


def _failure(failure: Failure, version: int) -> bytes:
    return b"-%b\r\n" % _one_line(failure.text)


def _pairs(pairs: Pairs, version: int) -> bytes:
    flat = encode_replies([part for pair in pairs.items for part in pair], version)
    count = len(pairs.items)
    return (b"%%%d\r\n" % count if version == 3 else b"*%d\r\n" % (2 * count)) + flat


def _rows(rows: Rows, version: int) -> bytes:
    if version == 3:
        return _array(rows.items, version)
    return _array(tuple([element for row in rows.items for element in row]), version)


def _unordered(elements: Unordered, version: int) -> bytes:
    head = b"~%d\r\n" if version == 3 else b"*%d\r\n"
    return head % len(elements.items) + encode_replies(elements.items, version)


def _verbatim(verbatim: Verbatim, version: int) -> bytes:
    data = verbatim.text.encode()
    return b"=%d\r\ntxt:%b\r\n" % (len(data) + 4, data) if version == 3 else _bulk(data, version)


def _double(double: Double, version: int) -> bytes:
    data = _one_line(double.text)
    return b",%b\r\n" % data if version == 3 else _bulk(data, version)


def _one_line(text: str) -> bytes:
    """What may stand in a line: a line end would let a client's text pass for a further reply."""
    return text.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


_SPELL: dict[type, Callable[[Any, int], bytes]] = {
    str: _simple,
    bytes: _bulk,
    int: _number,
    bool: _boolean,
    type(None): _nil,
    tuple: _array,
    Failure: _failure,
    Pairs: _pairs,
    Rows: _rows,
    Unordered: _unordered,
    Verbatim: _verbatim,
    Double: _double,
    NullArray: _null_array,
}
