"""How a text was put together from an opening and the parts that were appended to it."""

from collections.abc import Collection, Iterable

MANY = 2
"""More ways than one: how many does not matter."""


def longest(texts: Collection[str]) -> list[str]:
    """Those that no other one begins with."""
    in_order = sorted(texts)
    following = [*in_order[1:], None]
    return [
        text
        for text, after in zip(in_order, following, strict=True)
        if after is None or not after.startswith(text)
    ]


def before_each(
    texts: Iterable[str], openings: Collection[str], parts: Collection[str]
) -> dict[str, str]:
    """What stood before a part where it was appended, of all that tell it.

    A text tells it if there is but one way to put it together from one of `openings` and any
    number of `parts`. Where texts contradict each other, the last one counts.
    """
    found: dict[str, str] = {}
    for text in texts:
        for start, end in _only_way(text, openings, parts):
            found[text[start:end]] = text[:start]
    return found


def _only_way(
    text: str, openings: Collection[str], parts: Collection[str]
) -> list[tuple[int, int]]:
    """Where each part begins and ends, if there is but one way, else nothing."""
    part_lengths = sorted({len(part) for part in parts})
    opening_lengths = {len(opening) for opening in openings}
    ways = [0] * (len(text) + 1)
    last = [0] * (len(text) + 1)
    for end in range(len(text) + 1):
        if end in opening_lengths and text[:end] in openings:
            ways[end] = 1
        for length in part_lengths:
            start = end - length
            if start < 0:
                break
            if ways[start] and text[start:end] in parts:
                ways[end] = min(MANY, ways[end] + ways[start])
                last[end] = length
    if ways[-1] != 1:
        return []
    found = []
    end = len(text)
    while last[end]:
        found.append((end - last[end], end))
        end -= last[end]
    return found
