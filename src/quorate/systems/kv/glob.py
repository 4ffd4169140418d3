"""Patterns as KEYS and SCAN take them: `*`, `?`, `[a-z]`, `[^a]` and a backslash before any.

Source: stringmatchlen, util.c of Redis 7.0. Between stars, a pattern has a fixed length; taking the
leftmost place for each such piece is enough, so that no pattern takes exponential time.
"""

import re
from functools import lru_cache

MOST_STARS = 1000
"""A pattern with more matches nothing. Several in a row are one; one at the end does not count."""
NOTHING = b"(?!)"
"""The regular expression that nothing matches."""


@lru_cache(maxsize=256)
def glob(pattern: bytes) -> "Glob":
    """The pattern, ready to match."""
    return Glob(pattern)


class Glob:
    """A pattern."""

    def __init__(self, pattern: bytes) -> None:
        pieces, self._lengths = _pieces(pattern)
        if sum(map(bool, pieces[1:])) > MOST_STARS:
            pieces, self._lengths = [NOTHING], [0]
        self._pieces = [re.compile(piece, re.DOTALL) for piece in pieces]

    def matches(self, text: bytes) -> bool:
        """Whether all of the text is as the pattern says."""
        pieces, lengths = self._pieces, self._lengths
        if len(pieces) == 1:
            return pieces[0].fullmatch(text) is not None
        end = len(text) - lengths[-1]
        if end < lengths[0] or not pieces[0].match(text) or not pieces[-1].match(text, end):
            return False
        position = lengths[0]
        for piece in pieces[1:-1]:
            found = piece.search(text, position, end)
            if found is None:
                return False
            position = found.end()
        return True


def _pieces(pattern: bytes) -> tuple[list[bytes], list[int]]:
    """What stands between the stars, as regular expressions; and how many bytes each matches."""
    pieces, lengths, position = [b""], [0], 0
    while position < len(pattern):
        byte = pattern[position : position + 1]
        position += 1
        if byte == b"*":
            pieces.append(b"")
            lengths.append(0)
            continue
        if byte == b"?":
            piece = b"."
        elif byte == b"[":
            piece, position = _one_of(pattern, position)
        else:
            if byte == b"\\" and position < len(pattern):
                byte = pattern[position : position + 1]
                position += 1
            piece = re.escape(byte)
        pieces[-1] += piece
        lengths[-1] += 1
    return pieces, lengths


def _one_of(pattern: bytes, position: int) -> tuple[bytes, int]:
    """What stands in brackets, as a regular expression; and where it ends."""
    is_negated = pattern[position : position + 1] == b"^"
    position += is_negated
    members: set[int] = set()
    while position < len(pattern) and pattern[position : position + 1] != b"]":
        if pattern[position : position + 1] == b"\\" and position + 1 < len(pattern):
            members.add(pattern[position + 1])
            position += 2
        elif pattern[position + 1 : position + 2] == b"-" and position + 2 < len(pattern):
            low, high = sorted((pattern[position], pattern[position + 2]))
            members.update(range(low, high + 1))
            position += 3
        else:
            members.add(pattern[position])
            position += 1
    if is_negated:
        members = set(range(256)) - members
    listed = b"".join(b"\\x%02x" % member for member in sorted(members))
    return (b"[%b]" % listed if listed else NOTHING), position + 1
