"""Whatever clients ask, our store replies as a real Redis does, byte for byte.

Left out, and why: RANDOMKEY and HRANDFIELD with a count, which Redis draws by chance; PTTL and what
else depends on the millisecond; cursors of unfinished scans; OBJECT ENCODING, which Redis makes
depend on a value's history; HELLO inside MULTI, which we refuse; more than a million arguments,
which we refuse; a watched key that is absent, comes and goes, which for us has not changed; and
what tells of the server itself (INFO, CLIENT LIST, CONFIG). Where Redis has no order, neither have
we.
"""

import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.systems.kv.table import TABLE
from quorate.wire.resp import Command
from tests.systems.kv.rig import (
    REDIS,
    Connection,
    OurConnection,
    Ours,
    Redis,
    comparable,
    replies_in,
    spell,
)
from tests.systems.kv.scripts import SESSION, call, keys, scripts, values

pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server is installed")
compared = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PASSWORD = "a secret"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("guarded"), PASSWORD)
    yield server
    server.stop()


def compare(real: Connection, ours: OurConnection, script: list[Command]) -> None:
    """Send all at once to both, and compare each reply."""
    data = b"".join(map(spell, script))
    real.send(data)
    found = replies_in(ours.ask(data, time.time_ns() // 1000))
    for command, reply in zip(script, found, strict=True):
        wanted = real.reply()
        assert comparable(command, reply) == comparable(command, wanted), (command, script)


@compared
@given(script=scripts, version=st.sampled_from([b"2", b"3"]))
def test_a_pipeline(redis: Redis, script: list[Command], version: bytes) -> None:
    with redis.connect() as real:
        ours = Ours().connect()
        for command in ((b"HELLO", version), (b"FLUSHALL",)):
            real.send(spell(command))
            real.reply()
            ours.ask(spell(command), 0)
        compare(real, ours, script)


data = st.one_of(call("SET", keys, values), call("INCR", keys), call("GET", keys))
turns = st.tuples(st.integers(0, 1), st.lists(st.one_of(SESSION) | data, min_size=1, max_size=5))


@compared
@given(st.lists(turns, max_size=12))
def test_two_connections(redis: Redis, script: list[tuple[int, list[Command]]]) -> None:
    store = Ours()
    with redis.connect() as first, redis.connect() as second:
        real, ours = (first, second), (store.connect(), store.connect())
        compare(first, ours[0], [(b"FLUSHALL",)])
        for who, commands in script:
            compare(real[who], ours[who], commands)


def test_the_table_of_commands(redis: Redis) -> None:
    """Arity, flags, keys and categories of each command; what only we have is absent there."""
    ours = Ours().connect()
    differ = []
    with redis.connect() as real:
        for name in sorted(TABLE):
            asked = spell((b"COMMAND", b"INFO", name.encode()))
            real.send(asked)
            wanted, found = real.reply(), ours.ask(asked, 0)
            if _details(wanted) != _details(found):
                differ.append((name, _details(found), _details(wanted)))
    assert {name for name, _, _ in differ} == {
        *("quorate", "quorate|consistency", "quorate|identity"),
        "client|setinfo",  # Since Redis 7.2.
    }, differ


def test_the_names_of_commands(redis: Redis) -> None:
    """COMMAND LIST gives those of Redis that we have, with the commands of containers."""
    ours = Ours().connect()
    known = {spell((name.encode(),))[4:] for name in TABLE}
    for words in ("COMMAND LIST", "COMMAND LIST FILTERBY PATTERN c*|*e*"):
        asked = spell(tuple(words.encode().split()))
        with redis.connect() as real:
            real.send(asked)
            names = _set(real.reply()) & known
        assert b"$11\r\nclient|list\r\n" in names or "FILTERBY" in words
        assert {*_set(ours.ask(asked, 0)) - names} <= {
            spell((name.encode(),))[4:]
            for name in ("quorate", "quorate|consistency", "quorate|identity", "client|setinfo")
        }
        assert names <= _set(ours.ask(asked, 0))


def _details(reply: bytes) -> object:
    (details,) = replies_in(reply[4:])
    if details[:1] != b"*" or details.startswith(b"*-1"):
        return None
    name, arity, flags, first, last, step, categories, *_ = replies_in(details[5:])
    return name, arity, _set(flags), first, last, step, _set(categories)


def _set(reply: bytes) -> set[bytes]:
    return set(replies_in(reply[reply.index(b"\r\n") + 2 :]))


passwords = st.sampled_from([PASSWORD.encode(), b"guess", b""])
guesses = st.one_of(
    passwords.map(lambda word: (b"AUTH", word)),
    passwords.map(lambda word: (b"AUTH", b"default", word)),
    passwords.map(lambda word: (b"AUTH", b"somebody", word)),
    passwords.map(lambda word: (b"HELLO", b"3", b"AUTH", b"nobody", word)),
    st.sampled_from(
        [(b"HELLO", b"3"), (b"GET", b"k"), (b"GET",), (b"x",), (b"RESET",), (b"EXEC",)]
    ),
)


@compared
@given(st.lists(guesses, max_size=6))
def test_a_password(guarded: Redis, script: list[Command]) -> None:
    with guarded.connect() as real:
        compare(real, Ours(PASSWORD).connect(), script)


LINES = rb"""*1|$4|PING|*2|GET k|"a b"|'|"|*x|$x|*0|*-1|$-1|$536870913|:1||   |set k "\x41\n"|*03"""
raw = st.sampled_from(LINES.split(b"|")).map(lambda line: line + b"\r\n")


@compared
@given(st.lists(raw | st.sampled_from([b"*", b"$", b"\n", b"a\n"]), max_size=8).map(b"".join))
def test_raw_bytes(redis: Redis, data: bytes) -> None:
    """Until the connection ends: inline commands, frames and what is neither."""
    with redis.connect() as real:
        ours = Ours().connect()
        compare(real, ours, [(b"FLUSHALL",)])
        real.send(data)
        assert ours.ask(data, 0) == real.all_until_closed()
