"""Commands on keys of any type. Source: db.c of Redis 7.0."""

import re
from bisect import bisect_left
from zlib import crc32

from quorate.systems.kv.agenda import count_due
from quorate.systems.kv.content import SLOTS, Hash, Text
from quorate.systems.kv.draft import Draft
from quorate.systems.kv.glob import glob
from quorate.systems.kv.numbers import integer
from quorate.systems.kv.strings import ONE, SYNTAX
from quorate.systems.kv.table import Refused, command, subcommand
from quorate.wire.resp import Command, Failure, Reply

ALL = (1, -1, 1)
TWO = (1, 2, 1)
NO_SUCH_KEY = "no such key"
TYPES = {Text: "string", Hash: "hash"}


@command("del", -2, "write", "generic", ALL)
def delete(db: Draft, words: Command) -> Reply:
    """Delete a key."""
    count = 0
    for key in words[1:]:
        if db.get(key) is not None:
            db.drop(key)
            count += 1
    return count


@command("unlink", -2, "write fast", "generic", ALL)
def unlink(db: Draft, words: Command) -> Reply:
    """Delete a key asynchronously in another thread; here, as DEL does."""
    return delete(db, words)


@command("exists", -2, "readonly fast", "generic", ALL)
def exists(db: Draft, words: Command) -> Reply:
    """Determine if a key exists."""
    return sum([db.get(key) is not None for key in words[1:]])


@command("touch", -2, "readonly fast", "generic", ALL)
def touch(db: Draft, words: Command) -> Reply:
    """Count the keys that exist; nothing remembers when they were last used."""
    return exists(db, words)


@command("type", 2, "readonly fast", "generic", ONE)
def type_(db: Draft, words: Command) -> Reply:
    """Determine the type stored at key."""
    entry = db.get(words[1])
    return "none" if entry is None else TYPES[type(entry)]


@command("object", -2, "", "generic")
def object_(db: Draft, words: Command) -> Reply:
    """A container for object introspection commands."""
    return subcommand(words).run(db, words)


@command("object|encoding", 3, "readonly", "generic", (2, 2, 1))
def object_encoding(db: Draft, words: Command) -> Reply:
    """Inspect the internal encoding of a Redis object; as Redis would encode it if it were new."""
    entry = db.get(words[2])
    if entry is None:
        return None
    if isinstance(entry, Hash):
        items = entry.fields.items()
        is_small = len(items) <= 128 and all(max(map(len, item)) <= 64 for item in items)
        return b"listpack" if is_small else b"hashtable"
    text = db.text(words[2]) or b""
    try:
        integer(text)
    except Refused:
        return b"embstr" if len(text) <= 44 else b"raw"
    return b"int"


@command("rename", 3, "write", "generic", TWO)
def rename(db: Draft, words: Command) -> Reply:
    """Rename a key."""
    _, source, target = words
    if db.get(source) is None:
        return Failure(f"ERR {NO_SUCH_KEY}")
    if source != target:
        _copy(db, source, target)
        db.drop(source)
    return "OK"


@command("renamenx", 3, "write fast", "generic", TWO)
def renamenx(db: Draft, words: Command) -> Reply:
    """Rename a key, only if the new key does not exist."""
    _, source, target = words
    if db.get(source) is None:
        return Failure(f"ERR {NO_SUCH_KEY}")
    if db.get(target) is not None:
        return 0
    rename(db, words)
    return 1


def _copy(db: Draft, source: bytes, target: bytes) -> None:
    entry, expiry = db.get(source), db.expiry(source)
    assert entry is not None
    db.drop(target)  # With its expiry.
    db.put(target, entry)
    db.touch(target)
    if expiry is not None:
        db.expire(target, expiry)


def check_database(word: bytes) -> None:
    """Raises Refused unless the word is the number of the only database there is."""
    number = integer(word)
    if not -(2**31) <= number < 2**31:
        raise Refused(f"value is out of range, value must between {-(2**31)} and {2**31 - 1}")
    if number:
        raise Refused("DB index is out of range")


@command("copy", -3, "write denyoom", "generic", TWO)
def copy(db: Draft, words: Command) -> Reply:
    """Copy a key."""
    _, source, target, *rest = words
    replaces = False
    while rest:
        option = rest.pop(0).upper()
        if option == b"REPLACE":
            replaces = True
        elif option == b"DB" and rest:
            check_database(rest.pop(0))
        else:
            raise Refused(SYNTAX)
    if source == target:
        raise Refused("source and destination objects are the same")
    if db.get(source) is None or (db.get(target) is not None and not replaces):
        return 0
    _copy(db, source, target)
    return 1


# All keys


@command("dbsize", 1, "readonly fast", "server")
def dbsize(db: Draft, words: Command) -> Reply:
    """Return the number of keys in the selected database."""
    content = db.settled()
    return len(content.entries) - count_due(content.agenda, db.clock)


@command("keys", 2, "readonly", "generic")
def keys(db: Draft, words: Command) -> Reply:
    """Find all keys matching the given pattern."""
    matches = glob(words[1]).matches
    is_all = words[1] == b"*"
    found = [key for key in db.settled().entries if is_all or matches(key)]
    return tuple([key for key in found if db.get(key) is not None])


@command("randomkey", 1, "readonly", "generic")
def randomkey(db: Draft, words: Command) -> Reply:
    """Return a random key from the keyspace; chosen by the time, so that replicas agree."""
    slots = db.settled().slots
    used = slots.keys()
    seed = crc32(b"%d" % db.now)
    for step in range(len(used)):
        slot = slots[used[(seed + step) % len(used)]]
        for index in range(len(slot)):
            key = slot[(seed // SLOTS + index) % len(slot)]
            if db.get(key) is not None:
                return key
    return None


@command("flushdb", -1, "write", "server")
def flushdb(db: Draft, words: Command) -> Reply:
    """Remove all keys from the current database."""
    if len(words) > 2 or (len(words) == 2 and words[1].upper() not in (b"SYNC", b"ASYNC")):
        raise Refused(SYNTAX)
    db.clear()
    return "OK"


@command("flushall", -1, "write", "server")
def flushall(db: Draft, words: Command) -> Reply:
    """Remove all keys from all databases."""
    return flushdb(db, words)


_CURSOR = re.compile(rb"(?:[+-]?[0-9]+)?")


def cursor_of(word: bytes) -> int:
    """A cursor of SCAN or HSCAN. Raises Refused."""
    if not _CURSOR.fullmatch(word) or len(word) > 21 or not -(2**64) < int(word or 0) < 2**64:
        raise Refused("invalid cursor")
    return int(word or 0) % 2**64


def scan_options(words: Command) -> tuple[bytes | None, int, bytes | None]:
    """The pattern, count and type among the options of a scan. Raises Refused."""
    pattern, count, kind = None, 10, None
    position = 0
    while position < len(words):
        option = words[position].upper()
        if option not in (b"MATCH", b"COUNT", b"TYPE") or position + 1 == len(words):
            raise Refused(SYNTAX)
        argument = words[position + 1]
        if option == b"MATCH":
            pattern = None if argument == b"*" else argument
        elif option == b"TYPE":
            kind = argument.lower()
        else:
            count = integer(argument)
            if count < 1:
                raise Refused(SYNTAX)
        position += 2
    return pattern, count, kind


@command("scan", -2, "readonly", "generic")
def scan(db: Draft, words: Command) -> Reply:
    """Incrementally iterate the keys space.

    The cursor is a slot. All keys of a slot come at once, so that the count is a lower bound.
    """
    cursor = cursor_of(words[1])
    pattern, count, kind = scan_options(words[2:])
    slots = db.settled().slots
    used = slots.keys()
    place = bisect_left(used, cursor)
    found: list[bytes] = []
    while place < len(used) and len(found) < count:
        found += slots[used[place]]
        place += 1
    following = b"%d" % used[place] if place < len(used) else b"0"
    shown = [key for key in found if pattern is None or glob(pattern).matches(key)]
    return following, tuple([key for key in shown if _is_of(db, key, kind)])


def _is_of(db: Draft, key: bytes, kind: bytes | None) -> bool:
    entry = db.get(key)
    return entry is not None and (kind is None or TYPES[type(entry)].encode() == kind)
