"""Commands on hashes. Source: t_hash.c of Redis 7.0.

Fields come in the order of their bytes, where Redis has that of insertion or none.
"""

from zlib import crc32

from quorate.kernel import Map
from quorate.systems.kv.draft import Draft
from quorate.systems.kv.glob import glob
from quorate.systems.kv.keys import cursor_of, scan_options
from quorate.systems.kv.numbers import HIGHEST, LOWEST, integer, real, total, written
from quorate.systems.kv.strings import ONE, SYNTAX, WOULD_OVERFLOW
from quorate.systems.kv.table import Refused, command, wrong_arity
from quorate.wire.resp import Command, Failure, Pairs, Reply, Rows

EMPTY: Map[bytes, bytes] = Map()
MOST_RANDOM = 1 << 16
"""How many random fields HRANDFIELD repeats at most: one command must not hold up all others."""
SMALL = 512
"""A hash of so many fields comes whole from one HSCAN, and a larger one in 64 parts or fewer."""


@command("hset", -4, "write denyoom fast", "hash", ONE)
def hset(db: Draft, words: Command) -> Reply:
    """Set the string value of a hash field."""
    if len(words) % 2:
        return wrong_arity(words[0].decode("latin-1").lower())
    before = db.fields(words[1]) or EMPTY
    fields = before.update(dict(zip(words[2::2], words[3::2], strict=True)))
    db.put_fields(words[1], fields)
    return len(fields) - len(before)


@command("hmset", -4, "write denyoom fast", "hash", ONE)
def hmset(db: Draft, words: Command) -> Reply:
    """Set multiple hash fields to multiple values."""
    done = hset(db, words)
    return done if isinstance(done, Failure) else "OK"


@command("hsetnx", 4, "write denyoom fast", "hash", ONE)
def hsetnx(db: Draft, words: Command) -> Reply:
    """Set the value of a hash field, only if the field does not exist."""
    _, key, field, value = words
    fields = db.fields(key) or EMPTY
    if field in fields:
        return 0
    db.put_fields(key, fields.set(field, value))
    return 1


@command("hdel", -3, "write fast", "hash", ONE)
def hdel(db: Draft, words: Command) -> Reply:
    """Delete one or more hash fields."""
    before = fields = db.fields(words[1]) or EMPTY
    for field in words[2:]:
        if field in fields:
            fields = fields.remove(field)
    if len(fields) != len(before):
        db.put_fields(words[1], fields)
    return len(before) - len(fields)


@command("hget", 3, "readonly fast", "hash", ONE)
def hget(db: Draft, words: Command) -> Reply:
    """Get the value of a hash field."""
    return (db.fields(words[1]) or EMPTY).get(words[2])


@command("hmget", -3, "readonly fast", "hash", ONE)
def hmget(db: Draft, words: Command) -> Reply:
    """Get the values of all the given hash fields."""
    return tuple(map((db.fields(words[1]) or EMPTY).get, words[2:]))


@command("hgetall", 2, "readonly", "hash", ONE)
def hgetall(db: Draft, words: Command) -> Reply:
    """Get all the fields and values in a hash."""
    return Pairs((db.fields(words[1]) or EMPTY).items())


@command("hkeys", 2, "readonly", "hash", ONE)
def hkeys(db: Draft, words: Command) -> Reply:
    """Get all the fields in a hash."""
    return (db.fields(words[1]) or EMPTY).keys()


@command("hvals", 2, "readonly", "hash", ONE)
def hvals(db: Draft, words: Command) -> Reply:
    """Get all the values in a hash."""
    return (db.fields(words[1]) or EMPTY).values()


@command("hlen", 2, "readonly fast", "hash", ONE)
def hlen(db: Draft, words: Command) -> Reply:
    """Get the number of fields in a hash."""
    return len(db.fields(words[1]) or EMPTY)


@command("hexists", 3, "readonly fast", "hash", ONE)
def hexists(db: Draft, words: Command) -> Reply:
    """Determine if a hash field exists."""
    return int(words[2] in (db.fields(words[1]) or EMPTY))


@command("hstrlen", 3, "readonly fast", "hash", ONE)
def hstrlen(db: Draft, words: Command) -> Reply:
    """Get the length of the value of a hash field."""
    return len((db.fields(words[1]) or EMPTY).get(words[2], b""))


# Numbers


@command("hincrby", 4, "write denyoom fast", "hash", ONE)
def hincrby(db: Draft, words: Command) -> Reply:
    """Increment the integer value of a hash field by the given number."""
    _, key, field, argument = words
    amount = integer(argument)
    fields = db.fields(key) or EMPTY
    number = amount + integer(fields.get(field, b"0"), "hash value is not an integer")
    if not LOWEST <= number <= HIGHEST:
        return Failure(f"ERR {WOULD_OVERFLOW}")
    db.put_fields(key, fields.set(field, b"%d" % number))
    return number


@command("hincrbyfloat", 4, "write denyoom fast", "hash", ONE)
def hincrbyfloat(db: Draft, words: Command) -> Reply:
    """Increment the float value of a hash field by the given amount."""
    _, key, field, argument = words
    amount = real(argument)
    if isinstance(amount, float):
        return Failure("ERR value is NaN or Infinity")
    fields = db.fields(key) or EMPTY
    text = written(total(real(fields.get(field, b"0"), "hash value is not a float"), amount))
    db.put_fields(key, fields.set(field, text))
    return text


# Some of the fields


@command("hrandfield", -2, "readonly", "hash", ONE)
def hrandfield(db: Draft, words: Command) -> Reply:
    """Get one or multiple random fields from a hash; chosen by the time, so that replicas agree."""
    _, key, *rest = words
    seed = crc32(b"%d" % db.now)
    if not rest:
        fields = db.fields(key)
        return None if fields is None else fields.keys()[seed % len(fields)]
    count = integer(rest[0])
    if count == LOWEST:
        raise Refused(f"value is out of range, value must between {-HIGHEST} and {HIGHEST}")
    with_values = len(rest) == 2 and rest[1].upper() == b"WITHVALUES"
    if len(rest) > 1 and not with_values:
        raise Refused(SYNTAX)
    if count < -MOST_RANDOM or (with_values and count > HIGHEST // 2):
        raise Refused("value is out of range")
    fields = db.fields(key) or EMPTY
    chosen = _chosen(fields.keys(), count, seed)
    if not with_values:
        return tuple(chosen)
    return Rows(tuple([(field, fields[field]) for field in chosen]))


def _chosen(fields: tuple[bytes, ...], count: int, seed: int) -> list[bytes]:
    """Some fields: different ones, or at a negative count as many as that, perhaps repeated."""
    if count >= 0:
        start = seed % max(1, len(fields))
        return [*fields[start:], *fields[:start]][:count]
    if not fields:
        return []
    return [fields[crc32(b"%d %d" % (seed, step)) % len(fields)] for step in range(-count)]


@command("hscan", -3, "readonly", "hash", ONE)
def hscan(db: Draft, words: Command) -> Reply:
    """Incrementally iterate hash fields and associated values.

    Fields come in the order of their checksums, which never change; the cursor is the next one.
    """
    cursor = cursor_of(words[2])
    fields = db.fields(words[1])
    if fields is None:
        return b"0", ()
    pattern, count, kind = scan_options(words[3:])
    if kind is not None:
        raise Refused(SYNTAX)
    order, following = fields.keys(), 0
    if len(order) > SMALL:
        sums = sorted([(crc32(field), field) for field in order if crc32(field) >= cursor])
        # Fields of one checksum come together, or the cursor could not tell them apart.
        last = sums[: max(count, len(order) // 64)][-1][0] if sums else 0
        order = tuple([field for sum_, field in sums if sum_ <= last])
        following = sums[len(order)][0] if len(order) < len(sums) else 0
    shown = [field for field in order if pattern is None or glob(pattern).matches(field)]
    return b"%d" % following, tuple([part for field in shown for part in (field, fields[field])])
