"""When keys expire, in order of time: an immutable sorted sequence, in chunks.

A change copies one chunk and the row of chunks, so that a million keys cost microseconds. Where
chunks begin follows from the content alone, however it came about: a pair begins one if its key's
checksum says so (content-defined chunking). So replicas that agree on the pairs are equal.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from zlib import crc32

Due = tuple[int, bytes]
"""A time in milliseconds, and the key that expires then."""
Agenda = tuple[tuple[Due, ...], ...]

MEAN_CHUNK = 128


_AFTER_ALL: Due = (2**64, b"")


def _begins_chunk(due: Due) -> bool:
    return crc32(due[1]) % MEAN_CHUNK == 0


def changed(agenda: Agenda, gone: Iterable[Due], come: Iterable[Due]) -> Agenda:
    """Without the pairs that are gone, which are in it, and with those that have come."""
    chunks = list(agenda)
    for due in gone:
        _remove(chunks, due)
    for due in come:
        _add(chunks, due)
    return tuple(chunks)


def _place(chunks: list[tuple[Due, ...]], due: Due) -> int:
    """Which chunk the pair belongs to; -1 if it is before all of them."""
    return bisect_right(chunks, (due, _AFTER_ALL)) - 1


def _add(chunks: list[tuple[Due, ...]], due: Due) -> None:
    place = _place(chunks, due)
    if place < 0:
        if chunks and not _begins_chunk(chunks[0][0]):
            chunks[0] = (due, *chunks[0])
        else:
            chunks.insert(0, (due,))
        return
    chunk = chunks[place]
    index = bisect_left(chunk, due)
    if _begins_chunk(due):
        chunks[place : place + 1] = (chunk[:index], (due, *chunk[index:]))
    else:
        chunks[place] = chunk[:index] + (due,) + chunk[index:]  # noqa: RUF005  # Twice as fast.


def _remove(chunks: list[tuple[Due, ...]], due: Due) -> None:
    place = _place(chunks, due)
    chunk = chunks[place]
    index = bisect_left(chunk, due)
    rest = chunk[:index] + chunk[index + 1 :]
    if index == 0 and place > 0:  # What the pair began belongs to the chunk before.
        chunks[place - 1 : place + 1] = (chunks[place - 1] + rest,)
    elif rest:
        chunks[place] = rest
    else:
        del chunks[place]


def agenda_of(dues: list[Due]) -> Agenda:
    """The agenda of these pairs."""
    chunks: list[list[Due]] = []
    for due in sorted(dues):
        if not chunks or _begins_chunk(due):
            chunks.append([])
        chunks[-1].append(due)
    return tuple(map(tuple, chunks))


def first_due(agenda: Agenda, most: int, now: int) -> list[Due]:
    """The first pairs that are due at `now`, at `most` so many."""
    found: list[Due] = []
    for chunk in agenda:
        for due in chunk:
            if due[0] > now or len(found) == most:
                return found
            found.append(due)
    return found


def count_due(agenda: Agenda, now: int) -> int:
    """How many pairs are due at `now`."""
    count, limit = 0, (now + 1, b"")
    for chunk in agenda:
        if chunk[0] >= limit:
            break
        count += bisect_left(chunk, limit)
    return count


def is_any_due(agenda: Agenda, after: int, until: int) -> bool:
    """Whether a pair's time is later than `after`, and no later than `until`."""
    if not agenda or agenda[0][0][0] > until:
        return False
    return count_due(agenda, until) > count_due(agenda, after)
