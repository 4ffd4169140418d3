"""A deliberately broken variant of a protocol, that a good judge tells from the real thing."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a protocol, broken by a change of its source text as it is loaded.

    Attributes:
        name: as in `raft@vote-not-durable`.
        rule: what the broken rule demands, in a few words.
        section: where the paper states it.
        old, new: the text and its replacement; `old` must occur exactly once.
        module: last part of the name of the protocol's module that is changed; "" for the node
            class's own.
        needs: what besides the default campaign it takes to tell it; "" if that is enough.
        bounds: what an exploration must set to tell it, where that differs from the scenario's:
            `{"ballots": 3, "crashes": 1}`, or other `fields` or `scripts`.
        equivalent: whether it breaks nothing, and so must never be reported.
    """

    name: str
    rule: str
    section: str
    old: str
    new: str
    module: str = ""
    needs: str = ""
    bounds: Mapping[str, Any] = {}
    equivalent: bool = False
