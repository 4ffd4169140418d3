"""Enough of EDN to read histories that Jepsen wrote (https://github.com/edn-format/edn).

Keywords and symbols become their names, vectors, lists and sets tuples, maps tuples of pairs;
tags such as `#jepsen.history.Op` are dropped.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from quorate.check.history import Value
from quorate.check.readers.recorder import Recorder

DEEPEST = 64
LARGEST_FORM = 1_000_000
"""How many tokens one event may have."""
LONGEST_TOKEN = 1 << 20
_CHUNK_BYTES = 1 << 16

_TOKEN = re.compile(
    r"""(?P<space>[\s,]+|;[^\n]*)
    |(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<char>\\(?:[a-zA-Z]\w*|.))
    |(?P<open>\#\{|[(\[{])
    |(?P<close>[)\]}])
    |(?P<discard>\#_)
    |(?P<tag>\#[a-zA-Z][^\s,()\[\]{}"\\;]*)
    |(?P<atom>[^\s,()\[\]{}"\\;\#][^\s,()\[\]{}"\\;]*)
    |(?P<unknown>[^"\\])""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"([+-]?\d{1,400})N?")
_NUMBER = re.compile(r"[+-]?\d")
_CLOSING = {"(": ")", "[": "]", "{": "}", "#{": "}"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read_edn(stream: BinaryIO, recorder: Recorder) -> None:
    """Read one map after another, or one vector of maps."""
    parser = _Parser(_tokens(_text(stream, recorder), recorder), recorder)
    for line, size, form in parser.events():
        _record(line, size, form, recorder)


def parse_value(text: str, line: int, recorder: Recorder) -> Value:
    """Parse one value that stands alone in a line."""
    tokens = _tokens(iter([text]), recorder, line)
    parser = _Parser(tokens, recorder)
    value = parser.value()
    if parser.next_token() is not None:
        raise recorder.wrong(line, f"more than one value: {text[:60]!r}.")
    return value


def _record(line: int, size: int, form: dict[str, Value], recorder: Recorder) -> None:
    process = form.get("process")
    if type(process) is not int:
        if process is None:
            raise recorder.wrong(line, "an event without :process.")
        return  # The nemesis and its like are no clients.
    event_type, f = form.get("type"), form.get("f")
    if not isinstance(event_type, str) or not isinstance(f, str):
        raise recorder.wrong(line, "an event needs :type and :f, both keywords.")
    key, time_ns = form.get("key"), form.get("time", 0)
    if key is not None and not isinstance(key, str):
        key = str(key)
    recorder.record(
        line,
        size,
        event_type,
        process,
        f,
        key,
        form.get("value"),
        time_ns if isinstance(time_ns, int) else 0,
    )


class _Parser:
    """Builds values from tokens, to a bounded depth and size."""

    def __init__(self, tokens: Iterator[_Token], recorder: Recorder) -> None:
        self._tokens = tokens
        self._recorder = recorder
        self._line = 1
        self._count = 0
        self._size = 0

    def next_token(self) -> _Token | None:
        token = next(self._tokens, None)
        if token is not None:
            self._line = token.line
            self._count += 1
            self._size += len(token.text)
            if self._count > LARGEST_FORM:
                raise self._recorder.wrong(
                    token.line, f"a form of more than {LARGEST_FORM} tokens."
                )
        return token

    def events(self) -> Iterator[tuple[int, int, dict[str, Value]]]:
        """Yield (line, size, map) for each event."""
        closing: str | None = None
        while (token := self.next_token()) is not None:
            if token.kind == "discard":
                self._form(self._required(), 0)
            elif token.kind == "tag":
                continue
            elif token.text == "{":
                yield token.line, self._size, self._map(0)
            elif token.text in ("[", "(") and closing is None:
                closing = _CLOSING[token.text]
            elif token.kind == "close" and token.text == closing:
                closing = None
            else:
                raise self._recorder.wrong(token.line, f"expected a map, not {token.text[:40]!r}.")
            self._count = self._size = 0
        if closing is not None:
            raise self._recorder.wrong(
                self._line, f"the file ends before its {closing!r}; is it cut off?"
            )

    def value(self) -> Value:
        return self._form(self._required(), 0)

    def _required(self) -> _Token:
        token = self.next_token()
        if token is None:
            raise self._recorder.wrong(self._line, "the file ends in the middle of a value.")
        return token

    def _form(self, token: _Token, depth: int) -> Value:
        if depth > DEEPEST:
            raise self._recorder.wrong(token.line, f"values are nested deeper than {DEEPEST}.")
        match token.kind:
            case "tag":
                return self._form(self._required(), depth + 1)
            case "discard":
                self._form(self._required(), depth + 1)
                return self._form(self._required(), depth + 1)
            case "open" if token.text == "{":
                return tuple((key, value) for key, value in self._map(depth).items())
            case "open":
                return tuple(self._items(_CLOSING[token.text], depth))
            case "string":
                return self._string(token)
            case "char":
                return _CHARACTERS.get(token.text[1:], token.text[1:2])
            case "atom":
                return self._atom(token)
        raise self._recorder.wrong(token.line, f"unexpected {token.text!r}.")

    def _items(self, closing: str, depth: int) -> Iterator[Value]:
        while True:
            token = self._required()
            if token.kind == "close":
                if token.text != closing:
                    raise self._recorder.wrong(
                        token.line, f"{token.text!r} where {closing!r} belongs."
                    )
                return
            if token.kind == "discard":
                self._form(self._required(), depth + 1)
            else:
                yield self._form(token, depth + 1)

    def _map(self, depth: int) -> dict[str, Value]:
        items = list(self._items("}", depth))
        if len(items) % 2:
            raise self._recorder.wrong(self._line, "a map with a key and no value.")
        return {str(key): value for key, value in zip(items[::2], items[1::2], strict=True)}

    def _string(self, token: _Token) -> str:
        body = token.text[1:-1]
        if "\\" not in body:
            return body

        def unescape(found: re.Match[str]) -> str:
            code = found[1]
            if len(code) == 5:
                return chr(int(code[1:], 16))
            if code not in _ESCAPED:
                raise self._recorder.wrong(token.line, f"unknown escape {found[0]!r} in a string.")
            return _ESCAPED[code]

        return _ESCAPE.sub(unescape, body)

    def _atom(self, token: _Token) -> Value:
        text = token.text
        if text[0] == ":":
            return text[1:]
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        integer = _INTEGER.fullmatch(text)
        if integer:
            return int(integer[1])
        if _NUMBER.match(text):
            raise self._recorder.wrong(
                token.line, f"{text[:40]!r} is not an integer; models need those."
            )
        return text


_CONSTANTS: dict[str, Value] = {"nil": None, "true": True, "false": False}


def _text(stream: BinaryIO, recorder: Recorder) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    line = 1
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        try:
            text = decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line += chunk.count(b"\n", 0, error.start)
            raise recorder.wrong(line, "this is not text in UTF-8.") from None
        if "\0" in text:
            line += text.count("\n", 0, text.index("\0"))
            raise recorder.wrong(line, "this is binary data, not a history.")
        if not chunk:
            return
        line += text.count("\n")
        yield text


def _tokens(chunks: Iterator[str], recorder: Recorder, line: int = 1) -> Iterator[_Token]:
    rest = ""
    at_end = False
    while not at_end:
        chunk = next(chunks, None)
        at_end = chunk is None
        text = rest + (chunk or "")
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            # A token that touches the end may go on in the next chunk.
            if found is None or (found.end() == len(text) and not at_end):
                break
            if found.lastgroup != "space":
                yield _Token(found.lastgroup or "", found[0], line)
            line += found[0].count("\n")
            place = found.end()
        rest = text[place:]
        if len(rest) > LONGEST_TOKEN:
            raise recorder.wrong(line, f"a value longer than {LONGEST_TOKEN} characters.")
    if rest:
        what = "an unterminated string" if rest[0] == '"' else f"unexpected {rest[:20]!r}"
        raise recorder.wrong(line, f"{what}; is the file cut off?")
