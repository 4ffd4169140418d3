"""Commands on strings.

Source: t_string.c of Redis 7.0, whose order of checks these keep: which error a client sees when
several would fit.
"""

from typing import NamedTuple

from quorate.systems.kv.draft import Draft
from quorate.systems.kv.numbers import HIGHEST, LOWEST, integer, real, total, written
from quorate.systems.kv.table import Refused, command, wrong_arity
from quorate.wire.resp import Command, Failure, Reply

ONE = (1, 1, 1)
SYNTAX = "syntax error"
MOST_BYTES = 4 << 20
"""Of a string, however it came about: no more than a client may send as one argument."""
TOO_LONG = "string exceeds maximum allowed size (proto-max-bulk-len)"
WOULD_OVERFLOW = "increment or decrement would overflow"


@command("get", 2, "readonly fast", "string", ONE)
def get(db: Draft, words: Command) -> Reply:
    """Get the value of a key."""
    return db.text(words[1])


@command("strlen", 2, "readonly fast", "string", ONE)
def strlen(db: Draft, words: Command) -> Reply:
    """Get the length of the value stored in a key."""
    return len(db.text(words[1]) or b"")


@command("mget", -2, "readonly fast", "string", (1, -1, 1))
def mget(db: Draft, words: Command) -> Reply:
    """Get the values of all the given keys."""
    return tuple([_text_or_nil(db, key) for key in words[1:]])


def _text_or_nil(db: Draft, key: bytes) -> bytes | None:
    try:
        return db.text(key)
    except Refused:
        return None  # MGET knows no wrong type.


@command("getrange", 4, "readonly", "string", ONE)
def getrange(db: Draft, words: Command) -> Reply:
    """Get a substring of the string stored at a key."""
    start, end = integer(words[2]), integer(words[3])
    text = db.text(words[1]) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + len(text)) if start < 0 else start
    end = max(0, end + len(text)) if end < 0 else end
    return text[start : end + 1]


@command("substr", 4, "readonly", "string", ONE)
def substr(db: Draft, words: Command) -> Reply:
    """Get a substring of the string stored at a key."""
    return getrange(db, words)


# Setting


class Lifetime(NamedTuple):
    """What options say of a key's expiry: a unit with its time, and whether it is absolute."""

    argument: bytes
    unit: int
    is_absolute: bool


_LIFETIMES = {
    b"EX": (1000, False),
    b"PX": (1, False),
    b"EXAT": (1000, True),
    b"PXAT": (1, True),
}


class Options(NamedTuple):
    """The options of SET and GETEX, in capitals, and the expiry among them."""

    flags: frozenset[bytes]
    lifetime: Lifetime | None


_CONFLICTS = {
    b"NX": {b"XX"},
    b"XX": {b"NX"},
    b"GET": set[bytes](),
    b"KEEPTTL": {*_LIFETIMES},
    b"PERSIST": {*_LIFETIMES},
}


def _options(words: Command, allowed: frozenset[bytes]) -> Options:
    """The options that begin at the first word. Raises Refused if they contradict each other."""
    flags: set[bytes] = set()
    lifetime = None
    position = 0
    while position < len(words):
        word = words[position].upper()
        if word in _LIFETIMES:
            conflicts = {b"KEEPTTL", b"PERSIST", *_LIFETIMES} - {word}
        elif word in allowed:
            conflicts = _CONFLICTS[word]
        else:
            raise Refused(SYNTAX)
        if flags & conflicts or (word in _LIFETIMES and position + 1 == len(words)):
            raise Refused(SYNTAX)
        flags.add(word)
        if word in _LIFETIMES:
            position += 1
            lifetime = Lifetime(words[position], *_LIFETIMES[word])
        position += 1
    return Options(frozenset(flags), lifetime)


def _expiry(lifetime: Lifetime, db: Draft, name: str) -> int:
    """The time in milliseconds at which the lifetime ends. Raises Refused."""
    time = integer(lifetime.argument)
    if time <= 0 or time > HIGHEST // lifetime.unit:
        raise Refused(f"invalid expire time in '{name}' command")
    time *= lifetime.unit
    if not lifetime.is_absolute:
        if time > HIGHEST - db.now:
            raise Refused(f"invalid expire time in '{name}' command")
        time += db.now
    return time


_OF_SET = frozenset({b"NX", b"XX", b"GET", b"KEEPTTL"})


@command("set", -3, "write denyoom", "string", ONE)
def set_(db: Draft, words: Command) -> Reply:
    """Set the string value of a key."""
    if len(words) == 3:
        db.replace(words[1], words[2])
        return "OK"
    _, key, value, *rest = words
    flags, lifetime = _options(tuple(rest), _OF_SET)
    expiry = None if lifetime is None else _expiry(lifetime, db, "set")
    before = db.text(key) if b"GET" in flags else None
    is_there = db.get(key) is not None
    if (b"NX" in flags and is_there) or (b"XX" in flags and not is_there):
        return before
    if b"KEEPTTL" in flags:
        db.put_text(key, value)
    else:
        db.replace(key, value)
        if expiry is not None:
            db.expire(key, expiry)
    return before if b"GET" in flags else "OK"


@command("setnx", 3, "write denyoom fast", "string", ONE)
def setnx(db: Draft, words: Command) -> Reply:
    """Set the value of a key, only if the key does not exist."""
    if db.get(words[1]) is not None:
        return 0
    db.replace(words[1], words[2])
    return 1


@command("setex", 4, "write denyoom", "string", ONE)
def setex(db: Draft, words: Command) -> Reply:
    """Set the value and expiration of a key."""
    return _set_for(db, words, 1000, "setex")


@command("psetex", 4, "write denyoom", "string", ONE)
def psetex(db: Draft, words: Command) -> Reply:
    """Set the value and expiration in milliseconds of a key."""
    return _set_for(db, words, 1, "psetex")


def _set_for(db: Draft, words: Command, unit: int, name: str) -> Reply:
    _, key, time, value = words
    expiry = _expiry(Lifetime(time, unit, False), db, name)
    db.replace(key, value)
    db.expire(key, expiry)
    return "OK"


@command("getset", 3, "write denyoom fast", "string", ONE)
def getset(db: Draft, words: Command) -> Reply:
    """Set the string value of a key and return its old value."""
    before = db.text(words[1])
    db.replace(words[1], words[2])
    return before


@command("getdel", 2, "write fast", "string", ONE)
def getdel(db: Draft, words: Command) -> Reply:
    """Get the value of a key and delete the key."""
    before = db.text(words[1])
    if before is not None:
        db.drop(words[1])
    return before


@command("getex", -2, "write fast", "string", ONE)
def getex(db: Draft, words: Command) -> Reply:
    """Get the value of a key and optionally set its expiration."""
    key = words[1]
    flags, lifetime = _options(words[2:], frozenset({b"PERSIST"}))
    found = db.text(key)
    if found is None:
        return None
    if lifetime is not None:
        expiry = _expiry(lifetime, db, "getex")
        db.touch(key)
        db.expire(key, expiry)
    elif b"PERSIST" in flags and db.expiry(key) is not None:
        db.touch(key)
        db.expire(key, None)
    return found


@command("mset", -3, "write denyoom", "string", (1, -1, 2))
def mset(db: Draft, words: Command) -> Reply:
    """Set multiple keys to multiple values."""
    if len(words) % 2 == 0:
        return wrong_arity("mset")
    for key, value in zip(words[1::2], words[2::2], strict=True):
        db.replace(key, value)
    return "OK"


@command("msetnx", -3, "write denyoom", "string", (1, -1, 2))
def msetnx(db: Draft, words: Command) -> Reply:
    """Set multiple keys to multiple values, only if none of the keys exist."""
    if len(words) % 2 == 0:
        return wrong_arity("msetnx")
    if any(db.get(key) is not None for key in words[1::2]):
        return 0
    mset(db, words)
    return 1


# Changing a part


@command("append", 3, "write denyoom fast", "string", ONE)
def append(db: Draft, words: Command) -> Reply:
    """Append a value to a key."""
    text = (db.text(words[1]) or b"") + words[2]
    if len(text) > MOST_BYTES:
        return Failure(f"ERR {TOO_LONG}")
    db.put_text(words[1], text)
    return len(text)


@command("setrange", 4, "write denyoom", "string", ONE)
def setrange(db: Draft, words: Command) -> Reply:
    """Overwrite part of a string at key starting at the specified offset."""
    _, key, offset, part = words
    start = integer(offset)
    if start < 0:
        return Failure("ERR offset is out of range")
    text = db.text(key) or b""
    if not part:
        return len(text)
    if start + len(part) > MOST_BYTES:
        return Failure(f"ERR {TOO_LONG}")
    text = text[:start].ljust(start, b"\0") + part + text[start + len(part) :]
    db.put_text(key, text)
    return len(text)


# Numbers


@command("incr", 2, "write denyoom fast", "string", ONE)
def incr(db: Draft, words: Command) -> Reply:
    """Increment the integer value of a key by one."""
    return _add(db, words[1], 1)


@command("decr", 2, "write denyoom fast", "string", ONE)
def decr(db: Draft, words: Command) -> Reply:
    """Decrement the integer value of a key by one."""
    return _add(db, words[1], -1)


@command("incrby", 3, "write denyoom fast", "string", ONE)
def incrby(db: Draft, words: Command) -> Reply:
    """Increment the integer value of a key by the given amount."""
    return _add(db, words[1], integer(words[2]))


@command("decrby", 3, "write denyoom fast", "string", ONE)
def decrby(db: Draft, words: Command) -> Reply:
    """Decrement the integer value of a key by the given number."""
    amount = integer(words[2])
    if amount == LOWEST:
        return Failure("ERR decrement would overflow")
    return _add(db, words[1], -amount)


def _add(db: Draft, key: bytes, amount: int) -> Reply:
    found = db.text(key)
    number = amount + (0 if found is None else integer(found))
    if not LOWEST <= number <= HIGHEST:
        return Failure(f"ERR {WOULD_OVERFLOW}")
    db.put_text(key, b"%d" % number)
    return number


@command("incrbyfloat", 3, "write denyoom fast", "string", ONE)
def incrbyfloat(db: Draft, words: Command) -> Reply:
    """Increment the float value of a key by the given amount."""
    found = db.text(words[1])
    text = written(total(real(b"0" if found is None else found), real(words[2])))
    db.put_text(words[1], text)
    return text
