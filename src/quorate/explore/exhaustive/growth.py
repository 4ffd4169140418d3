"""Why a space may have no end: what only grew on the ways to the last states that were met."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from itertools import pairwise
from typing import Any

import msgspec

from quorate.explore.exhaustive.search import Search
from quorate.explore.exhaustive.way import NOTHING, Move
from quorate.kernel.values import Map

WAYS = 100
"""How many ways are looked at, at the most."""
STEPS = 20_000
"""How many of their transitions are walked again, about."""
STAGES = 4
"""At so many places of a way each must be larger than before."""
DEEP = 4
"""How far into values their size is measured."""
SHOWN = 3

MESSAGES = "messages in flight"


def growing(search: Search) -> list[str]:
    """What grew most often, with its largest size: a hint only, as all that is finite grows too."""
    numbers = search.waiting()
    count = min(WAYS, len(numbers), 1 + STEPS // max(search.progress.depth, 1))
    often, largest = Counter[str](), dict[str, int]()
    for at in range(count):
        number = numbers[-1 - at * len(numbers) // count]
        moves = [move for way in search.path(number) for move in way.moves]
        sizes = list(_sizes(search, moves))
        for name in _grown(sizes):
            often[name] += 1
            largest[name] = max(largest.get(name, 0), sizes[-1][name])
    kept = [name for name, times in often.most_common(SHOWN) if times * 10 >= count]
    return [f"{name} (to {largest[name]:,})" for name in kept]


def _sizes(search: Search, moves: list[Move]) -> Iterator[Mapping[str, int]]:
    """How large everything is after each move: fields by their largest value on any node."""
    known = search.space.moves
    servers = dict[int, dict[str, int]]()
    in_flight = Counter[int]()
    for move in moves:
        in_flight.update(move.sends)
        if move.takes != NOTHING and not move.repeats and in_flight[move.takes] > 0:
            in_flight[move.takes] -= 1
        if move.after != NOTHING and move.slot < known.servers:
            node = known.locals[move.after].node
            kind = type(node).__name__
            servers[move.slot] = {
                f"{kind}.{name}": size(getattr(node, name))
                for name in node.__struct_fields__
                if name not in ("id", "peers")
            }
        every = [*servers.values()]
        names = dict.fromkeys(name for fields in every for name in fields)
        yield {
            **{name: max(fields.get(name, 0) for fields in every) for name in names},
            MESSAGES: in_flight.total(),
        }


def _grown(sizes: list[Mapping[str, int]]) -> list[str]:
    """What is larger at each stage of the way than at the one before."""
    if len(sizes) < STAGES:
        return []
    stages = [sizes[(len(sizes) - 1) * at // (STAGES - 1)] for at in range(STAGES)]
    return [
        name
        for name in stages[-1]
        if all(before.get(name, 0) < after.get(name, 0) for before, after in pairwise(stages))
    ]


def size(value: Any, depth: int = DEEP) -> int:
    """A number is as large as it is; a text or a collection as its length and what is in it."""
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, int):
        return abs(value)
    if isinstance(value, str | bytes) or not depth:
        return len(value) if isinstance(value, Sized) else 0
    if isinstance(value, msgspec.Struct):
        return sum(size(getattr(value, name), depth - 1) for name in value.__struct_fields__)
    if isinstance(value, Map):
        return len(value) + sum(size(part, depth - 1) for part in value.values())
    try:
        return len(value) + sum(size(part, depth - 1) for part in value)
    except TypeError:
        return 0
