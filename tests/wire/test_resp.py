"""Commands are found however they are cut; nothing that a client sends does harm."""

import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.wire.resp import (
    MAX_LINE,
    Command,
    Double,
    Failure,
    NullArray,
    Pairs,
    Parser,
    Reply,
    Rows,
    Unordered,
    Verbatim,
    encode_replies,
    encode_reply,
    split_words,
)


def spell(command: Command) -> bytes:
    """A command as clients send it."""
    return encode_reply(command)


def fed(parser: Parser, data: bytes, cuts: list[int]) -> list[Command]:
    """What the parser finds if the data comes in pieces that end at the cuts."""
    found: list[Command] = []
    ends = [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    start = 0
    for end in ends:
        found += parser.feed(data[start:end])
        start = end
    return found


arguments = st.binary(max_size=20) | st.sampled_from([b"\r\n", b"$1\r\na\r\n", b"*", b"x" * 5000])
commands = st.lists(st.lists(arguments, min_size=1, max_size=5).map(tuple), max_size=8)
cuts = st.lists(st.integers(0, 10**6), max_size=12)


@given(commands, cuts)
def test_any_cutting_yields_the_same_commands(script: list[Command], cuts: list[int]) -> None:
    parser = Parser()
    assert fed(parser, b"".join(map(spell, script)), cuts) == script
    assert parser.failure is None


@pytest.mark.parametrize("size", [1, 2, 3, 17])
def test_what_looks_like_commands_inside_an_argument_is_none(size: int) -> None:
    command = (b"a\r\n" + spell((b"b",)) * size + b"*1\r\n$1\r\nc",)
    assert Parser().feed(spell(command)) == [command]
    pair = (b"SET", b"k\r\n$1\r\nv\r\n*3\r\n$3\r\nSET\r\n$1\r\nk", b"v")
    assert Parser().feed(spell(pair) * size) == [pair] * size


def test_commands_of_both_kinds_may_follow_each_other() -> None:
    found = Parser().feed(b"*1\r\n$1\r\na\r\nFOO\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n")
    assert found == [(b"a",), (b"FOO",), (b"$1",), (b"b",), (b"c",)]


SCRAPS = (
    rb"*1\r\n,*2\r\n,*-1\r\n,*0\r\n,*03\r\n,*9999999\r\n,*1 \r\n,*+1\r\n,*1\r\n:1\r\n,$3\r\n"
    rb",$-1\r\n,$ 1\r\n,$99999999999\r\n,$1\r\nx\r\n,GET\r\n,PING\r\n,'a b' c\n,\r,\n,'," + b'"'
)
scraps = st.sampled_from(SCRAPS.replace(rb"\r", b"\r").replace(rb"\n", b"\n").split(b","))


@given(st.lists(scraps | st.binary(max_size=6), max_size=20).map(b"".join), cuts)
def test_garbage_is_told_and_nothing_else(data: bytes, cuts: list[int]) -> None:
    whole, pieces = Parser(), Parser()
    found = whole.feed(data)
    assert fed(pieces, data, cuts) == found
    assert pieces.failure == whole.failure
    assert all(command and set(map(type, command)) == {bytes} for command in found)
    if whole.failure is not None:
        assert whole.failure.text.startswith("ERR Protocol error: ")
        assert whole.feed(spell((b"PING",))) == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$01\r\n", "invalid bulk length"),
        (b"GET 'a\r\n", "unbalanced quotes in request"),
        (b'GET "a"b\r\n', "unbalanced quotes in request"),
        (b"*" + b"1" * MAX_LINE, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * MAX_LINE, "too big bulk count string"),
        (b"a" * (MAX_LINE + 1), "too big inline request"),
    ],
)
def test_protocol_errors_are_in_the_words_of_redis(data: bytes, told: str) -> None:
    parser = Parser()
    good = spell((b"GET", b"k"))
    assert parser.feed(good + data) == [(b"GET", b"k")]  # What came before is still answered.
    assert parser.failure == Failure(f"ERR Protocol error: {told}")


def test_a_client_without_password_gets_little_memory() -> None:
    parser = Parser()
    parser.restricted = True
    assert len(parser.feed(spell((b"x",) * 10))) == 1
    parser.feed(spell((b"x",) * 11))
    assert parser.failure == Failure("ERR Protocol error: unauthenticated multibulk length")
    parser = Parser()
    parser.restricted = True
    assert parser.feed(spell((b"x",) * 11) * 3) == []  # Nor by a pipeline.
    assert parser.failure is not None
    parser = Parser()
    parser.restricted = True
    parser.feed(b"*1\r\n$16385\r\n")
    assert parser.failure == Failure("ERR Protocol error: unauthenticated bulk length")


def test_limits_may_be_smaller() -> None:
    parser = Parser(max_bulk=10, max_arguments=3)
    assert parser.feed(spell((b"x" * 10,) * 3)) == [(b"x" * 10,) * 3]
    assert parser.feed(b"*1\r\n$11\r\n" + b"x" * 11 + b"\r\n") == []
    assert parser.failure is not None
    parser = Parser(max_arguments=3)
    parser.feed(b"*4\r\n")
    assert parser.failure is not None
    parser = Parser(max_pending=10_000)
    parser.feed(b"*1000\r\n" + b"$2\r\nab\r\n" * 300)  # Few bytes on the wire, many in memory.
    assert parser.failure == Failure("ERR Protocol error: too much of an unfinished request")
    parser = Parser(max_pending=10_000)
    parser.feed(b"*1\r\n$20000\r\n" + b"x" * 11_000)
    assert parser.failure is not None


def test_a_promise_of_much_costs_nothing() -> None:
    tracemalloc.start()
    try:
        parser = Parser()
        parser.feed(b"*1000000\r\n$536870912\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.failure is None
    assert peak < 100_000


def test_a_command_that_comes_byte_by_byte_costs_no_more_than_its_length() -> None:
    steps = []
    for size in (2_000, 8_000):
        data = spell((b"SET", b"k", b"x" * size))
        parser = Parser()
        count = 0

        def trace(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(trace)
        try:
            for position in range(len(data)):
                parser.feed(data[position : position + 1])
        finally:
            sys.setprofile(None)
        steps.append(count)
    assert steps[1] < 4.2 * steps[0]


def test_a_line_is_searched_once() -> None:
    """However slowly it comes: what has been searched is not searched again."""
    parser = Parser()
    for _ in range(1000):
        parser.feed(b"x" * 60)
    assert parser._searched == len(parser._buffer) == 60_000
    assert parser.feed(b"\n") == [(b"x" * 60_000,)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", ()),
        (b"  \t ", ()),
        (b" set  k v ", (b"set", b"k", b"v")),
        (b'set k ""', (b"set", b"k", b"")),
        (b"'a b' \"c\\n\\x41\\q\"", (b"a b", b"c\nAq")),
        (b"a'b c'", (b"ab c",)),
        (b"'it\\'s \\n'", (b"it's \\n",)),
        (b"a\0b", (b"a",)),
        (b"'a", None),
        (b"'a\\'", None),
        (b'"a\\"', None),
        (b"\"a\"'b'", None),
        (b"'a'b", None),
    ],
)
def test_people_may_type_commands(line: bytes, words: Command | None) -> None:
    assert split_words(line) == words
    parser = Parser()
    for end in (b"\n", b"\r\n"):
        if words is not None:
            assert parser.feed(line + end) == ([words] if words else [])


@pytest.mark.parametrize(
    ("reply", "second", "third"),
    [
        ("OK", b"+OK\r\n", None),
        (b"a\r\nb", b"$4\r\na\r\nb\r\n", None),
        (-1, b":-1\r\n", None),
        (None, b"$-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        ((1, (None, b"")), b"*2\r\n:1\r\n*2\r\n$-1\r\n$0\r\n\r\n",
         b"*2\r\n:1\r\n*2\r\n_\r\n$0\r\n\r\n"),
        (Failure("ERR x\r\n+OK"), b"-ERR x  +OK\r\n", None),
        (Failure("ERR \xff"), b"-ERR \xff\r\n", None),
        (Pairs(((b"a", 1), (b"b", 2))), b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n",
         b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n"),
        (Rows(((1, 2), (3, 4))), b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
         b"*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n"),
        (Unordered(("a",)), b"*1\r\n+a\r\n", b"~1\r\n+a\r\n"),
        (Verbatim("a"), b"$1\r\na\r\n", b"=5\r\ntxt:a\r\n"),
        (Double("1.5"), b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (NullArray(), b"*-1\r\n", b"_\r\n"),
    ],
)  # fmt: skip
def test_replies_in_both_versions(reply: Reply, second: bytes, third: bytes | None) -> None:
    assert encode_reply(reply) == second
    assert encode_reply(reply, 3) == (second if third is None else third)
    assert encode_replies([reply, "OK"]) == second + b"+OK\r\n"
