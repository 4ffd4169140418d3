"""What docs/redis.md says of commands and options is so."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from quorate.live.door import VALUE_BYTES
from quorate.systems.kv import strings
from quorate.systems.kv.hashes import MOST_RANDOM
from quorate.systems.kv.session import MOST_BYTES, MOST_COMMANDS
from quorate.systems.kv.store import MOST_NAMES
from tests.systems.kv.rig import Ours, replies_in, spell

TEXT = (Path(__file__).parents[3] / "docs" / "redis.md").read_text(encoding="utf-8")
SYNOPSES = [
    found.replace("\\|", "|") for found in re.findall(r"^\| `(.+)` \|$", TEXT, re.MULTILINE)
]
SAMPLES = {
    "key": "h", "source": "k", "destination": "other", "value": "5", "seconds": "9", "count": "2",
    "milliseconds": "900", "timestamp": "9999999999", "zero": "0", "cursor": "0", "pattern": "*",
    "type": "hash", "version": "3", "user": "default", "password": "x", "name": "me", "id": "1",
    "number": "1",
}  # fmt: skip
"""What to put for a word of a synopsis."""
STRINGS = {"SET", "GETEX", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"}


def calls(synopsis: str) -> Iterator[list[str]]:
    """The command with every choice of its options."""
    parts = re.split(r"\s*\[(.+?)\]\s*", synopsis)
    options = [["", *map(str.strip, group.split("|"))] for group in parts[1::2]]
    for chosen in product(*options):
        words = " ".join([parts[0], *chosen]).split()
        yield [SAMPLES.get(word, word) for word in words]


@pytest.mark.parametrize("synopsis", SYNOPSES)
def test_an_option_that_is_documented_is_understood(synopsis: str) -> None:
    for words in calls(synopsis):
        connection = Ours().connect()
        connection.ask(spell((b"SET", b"k", b"1")) + spell((b"HSET", b"h", b"f", b"1")), 0)
        if words[0] in STRINGS:
            words[1] = "k"
        reply = connection.ask(spell(tuple(word.encode() for word in words)), 0)
        assert len(replies_in(reply)) == 1
        assert not reply.startswith(b"-"), (words, reply)


def test_an_option_that_is_not_there_is_noticed() -> None:
    with pytest.raises(AssertionError):
        test_an_option_that_is_documented_is_understood("SET key value [NX | NEVER]")
    assert len(SYNOPSES) > 15
    assert len(list(calls(SYNOPSES[0]))) == 3 * 2 * 6


def test_the_numbers_that_are_documented() -> None:
    plain = " ".join(TEXT.split())
    assert f"up to {MOST_COMMANDS} commands or {MOST_BYTES >> 20} MiB" in plain
    assert f"the {MOST_NAMES:,} names that were used last" in plain
    assert f"at most {VALUE_BYTES >> 20} MiB" in plain
    assert VALUE_BYTES == strings.MOST_BYTES
    assert f"at most {MOST_RANDOM:,} fields" in plain


def test_a_string_grows_no_longer_than_that() -> None:
    connection = Ours().connect()

    def ask(*words: bytes) -> bytes:
        return connection.ask(spell(words), 0)

    refused = b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
    assert ask(b"SETRANGE", b"k", b"%d" % VALUE_BYTES, b"x") == refused
    assert ask(b"SETRANGE", b"k", b"%d" % (VALUE_BYTES - 1), b"x") == b":%d\r\n" % VALUE_BYTES
    assert ask(b"APPEND", b"k", b"x") == refused
    assert ask(b"STRLEN", b"k") == b":%d\r\n" % VALUE_BYTES


def test_few_words_ask_for_no_more_than_that() -> None:
    connection = Ours().connect()
    connection.ask(spell((b"HSET", b"h", b"f", b"v")), 0)
    most = spell((b"HRANDFIELD", b"h", b"-%d" % MOST_RANDOM))
    assert connection.ask(most, 0).startswith(b"*%d\r\n" % MOST_RANDOM)
    more = spell((b"HRANDFIELD", b"h", b"-%d" % (MOST_RANDOM + 1)))
    assert connection.ask(more, 0) == b"-ERR value is out of range\r\n"
