"""Commands on the lifetime of keys. Source: expire.c of Redis 7.0.

Time is that of the operation: it stands in the log, so that a key expires at one place among the
operations, for all replicas alike.
"""

from quorate.systems.kv.draft import Draft
from quorate.systems.kv.numbers import HIGHEST, LOWEST, integer
from quorate.systems.kv.strings import ONE
from quorate.systems.kv.table import Refused, command, shown
from quorate.wire.resp import Command, Reply

NO_KEY, NO_EXPIRY = -2, -1


@command("expire", -3, "write fast", "generic", ONE)
def expire(db: Draft, words: Command) -> Reply:
    """Set a key's time to live in seconds."""
    return _expire(db, words, 1000, db.now, "expire")


@command("pexpire", -3, "write fast", "generic", ONE)
def pexpire(db: Draft, words: Command) -> Reply:
    """Set a key's time to live in milliseconds."""
    return _expire(db, words, 1, db.now, "pexpire")


@command("expireat", -3, "write fast", "generic", ONE)
def expireat(db: Draft, words: Command) -> Reply:
    """Set the expiration for a key as a UNIX timestamp."""
    return _expire(db, words, 1000, 0, "expireat")


@command("pexpireat", -3, "write fast", "generic", ONE)
def pexpireat(db: Draft, words: Command) -> Reply:
    """Set the expiration for a key as a UNIX timestamp specified in milliseconds."""
    return _expire(db, words, 1, 0, "pexpireat")


def _expire(db: Draft, words: Command, unit: int, base: int, name: str) -> Reply:
    _, key, argument, *rest = words
    conditions = _conditions(rest)
    time = integer(argument)
    if not LOWEST <= time * unit <= HIGHEST - base:
        raise Refused(f"invalid expire time in '{name}' command")
    time = time * unit + base
    if db.get(key) is None or not _holds(conditions, time, db.expiry(key)):
        return 0
    db.touch(key)
    db.expire(key, time)
    return 1


def _conditions(words: list[bytes]) -> set[bytes]:
    conditions = set()
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise Refused(f"Unsupported option {shown(word)}")
        conditions.add(word.upper())
    if b"NX" in conditions and len(conditions) > 1:
        raise Refused("NX and XX, GT or LT options at the same time are not compatible")
    if conditions >= {b"GT", b"LT"}:
        raise Refused("GT and LT options at the same time are not compatible")
    return conditions


def _holds(conditions: set[bytes], time: int, before: int | None) -> bool:
    """Whether a key that expires at `before` may expire at `time` instead; None is never."""
    if before is None:
        return not conditions & {b"XX", b"GT"}
    if b"GT" in conditions and time <= before:
        return False
    return not (b"NX" in conditions or (b"LT" in conditions and time >= before))


@command("persist", 2, "write fast", "generic", ONE)
def persist(db: Draft, words: Command) -> Reply:
    """Remove the expiration from a key."""
    if db.get(words[1]) is None or db.expiry(words[1]) is None:
        return 0
    db.touch(words[1])
    db.expire(words[1], None)
    return 1


@command("ttl", 2, "readonly fast", "generic", ONE)
def ttl(db: Draft, words: Command) -> Reply:
    """Get the time to live for a key in seconds."""
    left = _left(db, words[1])
    return left if left < 0 else (left + 500) // 1000


@command("pttl", 2, "readonly fast", "generic", ONE)
def pttl(db: Draft, words: Command) -> Reply:
    """Get the time to live for a key in milliseconds."""
    return _left(db, words[1])


def _left(db: Draft, key: bytes) -> int:
    expiry = _time(db, key)
    return expiry if expiry < 0 else max(0, expiry - db.now)


@command("expiretime", 2, "readonly fast", "generic", ONE)
def expiretime(db: Draft, words: Command) -> Reply:
    """Get the expiration Unix timestamp for a key."""
    expiry = _time(db, words[1])
    return expiry if expiry < 0 else (expiry + 500) // 1000


@command("pexpiretime", 2, "readonly fast", "generic", ONE)
def pexpiretime(db: Draft, words: Command) -> Reply:
    """Get the expiration Unix timestamp for a key in milliseconds."""
    return _time(db, words[1])


def _time(db: Draft, key: bytes) -> int:
    if db.get(key) is None:
        return NO_KEY
    expiry = db.expiry(key)
    return NO_EXPIRY if expiry is None else expiry
