"""Scripts of commands, some of them wrong, on few keys so that they meet."""

from hypothesis import strategies as st

from quorate.wire.resp import Command

keys = st.sampled_from([b"a", b"b", b"c", b"h", b"g"])
fields = st.sampled_from([b"f", b"g", b"1", b"", b"\xff\r\n"])


def some(text: str) -> st.SearchStrategy[bytes]:
    """One of the words; `''` is the empty one, `_` stands for a space."""
    words = [word.replace("_", " ").replace("''", "").encode() for word in text.split()]
    return st.sampled_from(words)


integers = some(
    "0 1 -1 10 100 3000 01 +1 _1 1.5 x '' -0 4294967296 2147483648 9223372036854775 "
    "9223372036854776 9223372036854775807 -9223372036854775808 9223372036854775808 "
    "-9223372036854775809"
)
reals = some(
    "0.1 -0.3 3 1e3 5.0e3 1e-20 1e400 1e5000 inf -inf nan infinity INF .5 5. . '' _1 1_ 1e +2.5 "
    "-0 -0.0 0x1p3 0x.8 x 1e4932 -1e4932 0e99999999999 1e-4960 1e-99999 3.00000000000000000001 "
    "12345678901234567890.123456789"
) | st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: repr(x).encode())
values = st.one_of(
    st.binary(max_size=12), integers, reals, st.sampled_from([b"hello world", b"x" * 50])
)
indices = some("0 1 2 -1 -2 -100 5 100 x")
patterns = some("* ? a [a-c] [^a] h* *[ \\a [\\a-] ** '' [c-a] a*b")
junk = some("EX NX foo '' GET KEEPTTL 1")

# Times that lie far enough from now that a slow machine changes nothing.
far = st.sampled_from([b"100", b"1000", b"100000"])
far_ms = st.sampled_from([b"100400", b"1000400", b"100000400"])
stamps = st.sampled_from([b"1", b"4000000000", b"5000000000"])
stamps_ms = st.sampled_from([b"1", b"4000000000123", b"5000000000987"])
bad_times = some(
    "0 -1 x 9223372036854775807 9223372036854775 -9223372036854775 -9223372036854776 ''"
)
lifetimes = st.one_of(
    st.tuples(st.sampled_from([b"EX", b"ex"]), far | bad_times),
    st.tuples(st.just(b"PX"), far_ms | bad_times),
    st.tuples(st.just(b"EXAT"), stamps | bad_times),
    st.tuples(st.just(b"PXAT"), stamps_ms | bad_times),
)
words = st.sampled_from([b"NX", b"XX", b"GET", b"KEEPTTL", b"nx", b"get", b"PERSIST", b"EX"])
set_options = st.lists(st.one_of(words.map(lambda w: (w,)), lifetimes), max_size=3).map(
    lambda groups: tuple(word for group in groups for word in group)
)
conditions = st.lists(st.sampled_from([b"NX", b"XX", b"GT", b"LT", b"lt", b"ZZ"]), max_size=2).map(
    tuple
)


def call(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Command]:
    """A command; an argument that is a tuple stands for its words."""

    def build(found: tuple[object, ...]) -> Command:
        command = [name.encode()]
        for argument in found:
            command += argument if isinstance(argument, tuple) else (argument,)  # type: ignore[arg-type]
        return tuple(command)

    return st.tuples(*arguments).map(build)


def several(one: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, min_size=1, max_size=most).map(tuple)


def pairs(
    one: st.SearchStrategy[object], other: st.SearchStrategy[object]
) -> st.SearchStrategy[tuple[object, ...]]:
    groups = st.lists(st.tuples(one, other), min_size=1, max_size=3)
    return groups.map(lambda found: tuple(word for pair in found for word in pair))


STRINGS = [
    call("SET", keys, values),
    call("SET", keys, values, set_options),
    call("GET", keys),
    call("GETSET", keys, values),
    call("GETDEL", keys),
    call("GETEX", keys, set_options),
    call("SETNX", keys, values),
    call("SETEX", keys, far | bad_times, values),
    call("PSETEX", keys, far_ms | bad_times, values),
    call("APPEND", keys, values),
    call("STRLEN", keys),
    call("GETRANGE", keys, indices, indices),
    call("SUBSTR", keys, indices, indices),
    call("SETRANGE", keys, indices, values),
    call("INCR", keys),
    call("DECR", keys),
    call("INCRBY", keys, integers),
    call("DECRBY", keys, integers),
    call("INCRBYFLOAT", keys, reals),
    call("MGET", several(keys)),
    call("MSET", pairs(keys, values)),
    call("MSET", several(values, 4)),
    call("MSETNX", pairs(keys, values)),
]
KEYS = [
    call("DEL", several(keys)),
    call("UNLINK", several(keys)),
    call("EXISTS", several(keys)),
    call("TOUCH", several(keys)),
    call("TYPE", keys),
    call("RENAME", keys, keys),
    call("RENAMENX", keys, keys),
    call("COPY", keys, keys),
    call("COPY", keys, keys, st.sampled_from([(b"REPLACE",), (b"DB", b"0"), (b"DB", b"1")])),
    call("COPY", keys, keys, several(st.sampled_from([b"DB", b"x", b"replace", b"-1"]))),
    call("KEYS", patterns),
    call("SCAN", st.just(b"0"), st.just(b"COUNT"), st.just(b"1000")),
    call("SCAN", st.just(b"0"), st.just(b"MATCH"), patterns, st.just(b"COUNT"), st.just(b"1000")),
    call("SCAN", st.just(b"0"), st.just(b"TYPE"), st.sampled_from([b"hash", b"string", b"x"])),
    call("SCAN", st.sampled_from([b"0", b"x", b"", b" 0"]), several(junk)),
    call("DBSIZE"),
    call("FLUSHDB", st.sampled_from([(), (b"ASYNC",), (b"x",)])),
    call("FLUSHALL", st.sampled_from([(), (b"sync",), (b"x", b"y")])),
]
EXPIRY = [
    call("EXPIRE", keys, far | bad_times, conditions),
    call("PEXPIRE", keys, far_ms | bad_times, conditions),
    call("EXPIREAT", keys, stamps | bad_times, conditions),
    call("PEXPIREAT", keys, stamps_ms | bad_times, conditions),
    call("TTL", keys),
    call("PERSIST", keys),
]
HASHES = [
    call("HSET", keys, pairs(fields, values)),
    call("HSET", keys, several(values, 5)),
    call("HMSET", keys, pairs(fields, values)),
    call("HSETNX", keys, fields, values),
    call("HGET", keys, fields),
    call("HMGET", keys, several(fields)),
    call("HGETALL", keys),
    call("HDEL", keys, several(fields)),
    call("HLEN", keys),
    call("HEXISTS", keys, fields),
    call("HKEYS", keys),
    call("HVALS", keys),
    call("HSTRLEN", keys, fields),
    call("HINCRBY", keys, fields, integers),
    call("HINCRBYFLOAT", keys, fields, reals),
    call("HSCAN", keys, st.just(b"0")),
    call("HSCAN", keys, st.just(b"0"), st.just(b"MATCH"), patterns),
    call("HSCAN", keys, st.sampled_from([b"0", b"x"]), several(junk)),
    call("HRANDFIELD", keys, st.just(b"0")),
    call("HRANDFIELD", keys, st.just(b"x"), several(junk)),
]
SESSION = [
    call("MULTI"),
    call("EXEC"),
    call("EXEC"),
    call("DISCARD"),
    call("WATCH", several(keys)),
    call("UNWATCH"),
    call("PING"),
    call("PING", values),
    call("ECHO", values),
    call("SELECT", integers),
    call("WAIT", st.just(b"0"), st.just(b"0")),
    call("CLIENT", st.just(b"SETNAME"), st.sampled_from([b"me", b"a b", b"", b"x\n"])),
    call("CLIENT", st.just(b"GETNAME")),
    call("CLIENT", st.just(b"nothing")),
    call("AUTH", several(values)),
    call("ACL", st.just(b"WHOAMI")),
    call("RESET"),
    call("COMMAND", st.just(b"GETKEYS"), some("GET mset PING x"), several(keys)),
]
_GOOD = [*STRINGS, *KEYS, *EXPIRY, *HASHES, *SESSION]


def _broken(command: Command) -> Command:
    return command[:-1] if len(command) > 1 else (*command, b"x")


commands = st.one_of(
    st.one_of(STRINGS),
    st.one_of(HASHES),
    st.one_of(KEYS),
    st.one_of(EXPIRY),
    st.one_of(SESSION),
    st.one_of(_GOOD).map(_broken),
    st.one_of(_GOOD).map(lambda command: (command[0].lower(), *command[1:])),
    call("FOO", st.lists(values, max_size=4).map(tuple)),
)
scripts = st.lists(commands, min_size=1, max_size=40)
