"""What was asked for, as every benchmark takes it."""

from collections.abc import Callable
from pathlib import Path

import msgspec

Tell = Callable[[str], None]
"""Shows how far a benchmark has come, in a few words."""


def silent(words: str) -> None:
    """Nobody watches."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `quorate bench`.

    Attributes:
        quick: less of everything, to see that it works; the figures are rougher.
        long: whether to explore ten million states, which takes minutes and a gigabyte.
        seed: the first seed of hunts and long campaigns.
        histories: a folder of recorded histories.
        porcupine: the command of the peer that judges histories; empty if there is none.
        tell: shows progress.
    """

    quick: bool = False
    long: bool = False
    seed: int = 0
    histories: Path | None = None
    porcupine: tuple[str, ...] = ()
    tell: Tell = silent
