"""Patterns match what Redis's own function matches, and in no more time than they are long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.systems.kv.glob import glob

patterns = st.text("ab-[]^*?\\c", max_size=8).map(str.encode)
texts = st.text("abc-]^*", max_size=6).map(str.encode)


def matches(pattern: bytes, text: bytes) -> bool:
    """stringmatchlen as it is written, one byte after the other; the empty text apart."""
    if not pattern:
        return not text
    if pattern[:1] == b"*":
        return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
    if not text:
        return False
    if pattern[:1] == b"[":
        is_one, rest = one_of(pattern[1:], text[0])
        return is_one and matches(rest, text[1:])
    if pattern[:1] == b"\\" and len(pattern) > 1:
        pattern = pattern[1:]
    elif pattern[:1] == b"?":
        return matches(pattern[1:], text[1:])
    return pattern[0] == text[0] and matches(pattern[1:], text[1:])


def one_of(pattern: bytes, byte: int) -> tuple[bool, bytes]:
    is_negated = pattern[:1] == b"^"
    pattern = pattern[is_negated:]
    found = False
    while True:
        if len(pattern) >= 2 and pattern[:1] == b"\\":
            pattern = pattern[1:]
            found |= pattern[0] == byte
        elif not pattern or pattern[:1] == b"]":
            break
        elif len(pattern) >= 3 and pattern[1:2] == b"-":
            low, high = sorted((pattern[0], pattern[2]))
            found |= low <= byte <= high
            pattern = pattern[2:]
        else:
            found |= pattern[0] == byte
        pattern = pattern[1:]
    return found != is_negated, pattern[1:]


@given(patterns, texts)
def test_it_is_as_redis_has_it(pattern: bytes, text: bytes) -> None:
    assert glob(pattern).matches(text) == matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        (b"*", b"", True),
        (b"h?llo", b"hello", True),
        (b"h[^e]llo", b"hello", False),
        (b"h[a-b]llo", b"hbllo", True),
        (b"a\\*b", b"a*b", True),
        (b"a\\*b", b"axb", False),
        (b"*\n*", b"a\nb", True),
        (b"[\xf0-\xff]", b"\xf5", True),
        (b"ab*ba", b"aba", False),
    ],
)
def test_it_matches(pattern: bytes, text: bytes, is_match: bool) -> None:
    assert glob(pattern).matches(text) == is_match


def test_no_pattern_takes_exponential_time() -> None:
    """This would not end in anybody's life."""
    assert not glob(b"a*" * 40 + b"b").matches(b"a" * 5000)
    assert glob(b"*a" * 40).matches(b"a" * 5000)


def test_a_pattern_of_very_many_stars_matches_nothing() -> None:
    assert glob(b"*?" * 1000 + b"***").matches(b"a" * 1000)
    assert not glob(b"*?" * 1001).matches(b"a" * 5000)
    assert not glob(b"*?" * 50_000).matches(b"a" * 50_000)
