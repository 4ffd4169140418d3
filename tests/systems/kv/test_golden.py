"""Our replies to a transcript of commands are those that a real Redis gave when it was recorded.

`pytest --rewrite` asks a real Redis again, where there is one. A line `> ...` is a command as
people type it, `< ...` its reply with escapes; the first has the time of it all in microseconds.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.wire.resp import Command, split_words
from tests.systems.kv.rig import REDIS, Ours, Redis, comparable, spell

TRANSCRIPT = Path(__file__).parent / "golden" / "redis-7.0.txt"


def lines() -> Iterator[tuple[str, str]]:
    """(kind, text) of each line: kind is the time's "@", ">", "<", or "#" for what we say."""
    for line in TRANSCRIPT.read_text(encoding="ascii").splitlines():
        kind, _, text = line.partition(" ")
        assert kind in ("@", ">", "<", "#"), line
        yield kind, text


def words_of(text: str) -> Command:
    words = split_words(text.encode())
    assert words, text
    return words


def shown(reply: bytes) -> str:
    return reply.decode("latin-1").encode("unicode_escape").decode()


def test_replies_are_those_of_redis(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if request.config.getoption("--rewrite") and REDIS is not None:
        record(Redis(tmp_path))
    ours = Ours().connect()
    now, count, asked = 0, 0, None
    for kind, text in lines():
        if kind == "@":
            now = int(text)
        elif kind == ">":
            asked = words_of(text)
        elif kind == "<":
            assert asked is not None
            reply = ours.ask(spell(asked), now)
            wanted = text.encode().decode("unicode_escape").encode("latin-1")
            assert comparable(asked, reply) == comparable(asked, wanted), (asked, shown(reply))
            count += 1
    assert count > 300


def record(redis: Redis) -> None:
    """Write the replies of a real Redis to the transcript's commands.

    A reply that differs only in an order that means nothing stays as it was.
    """
    written = [f"@ {time.time_ns() // 1000}"]
    asked, fresh = None, b""
    with redis.connect() as real:
        for kind, text in list(lines()):
            if kind == "#":
                written.append(f"# {text}")
            elif kind == ">":
                asked = words_of(text)
                real.send(spell(asked))
                fresh = real.reply()
                written += [f"> {text}", f"< {shown(fresh)}"]
            elif kind == "<" and asked is not None:
                before = text.encode().decode("unicode_escape").encode("latin-1")
                if comparable(asked, before) == comparable(asked, fresh):
                    written[-1] = f"< {text}"
    redis.stop()
    TRANSCRIPT.write_text("\n".join(written) + "\n", encoding="ascii")
