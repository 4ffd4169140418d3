"""What strokes need of a network: the ways between members, what to do to them, what that did."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, Literal, Protocol, TypedDict, TypeVar, Unpack

from quorate.live.supervisor import Place

Block = Literal["", "drop", "hold", "reset"]
"""What a way that is cut does with frames: nothing, forget them, keep them until it heals, or
break the connection and let no other be made."""


class Way(Protocol):
    """From one member to another."""

    source: str
    target: str


class Condition(TypedDict, total=False):
    """What a way does to what is sent by it.

    Attributes:
        block: see `Block`.
        delay: least and greatest seconds that a frame is held up.
        loss, doubling: the chance that a frame is lost, or arrives twice.
        bandwidth: bytes a second; 0 for no limit.
    """

    block: Block
    delay: tuple[float, float]
    loss: float
    doubling: float
    bandwidth: int


CALM: Condition = {
    "block": "",
    "delay": (0.0, 0.0),
    "loss": 0.0,
    "doubling": 0.0,
    "bandwidth": 0,
}
"""A plain wire."""

AnyWay = TypeVar("AnyWay", bound=Way)


class Network(ABC, Generic[AnyWay]):
    """All ways of a cluster.

    Attributes:
        name: as the command line has it.
        blocks: how it can cut a way.
        knows_frames: whether it tells what members say apart, and can keep it back.
        unable: the kinds of faults that it cannot play, and why.
        ways: by source and target.
    """

    name: str
    blocks: tuple[Block, ...]
    knows_frames: bool
    unable: Mapping[str, str]
    ways: Mapping[tuple[str, str], AnyWay]

    @abstractmethod
    async def stand_between(self, places: Iterable[Place]) -> list[Place]:
        """Let members that have not started yet reach each other through here."""

    @abstractmethod
    def set(self, ways: Iterable[AnyWay], **what: Unpack[Condition]) -> None:
        """Change what is given, on all these ways at one moment."""

    @abstractmethod
    def counted(self, ways: Iterable[AnyWay]) -> Counter[str]:
        """What these ways have done so far: frames that were `cut`, `lost`, `late`, and the like.

        `refused` are connections.
        """

    @abstractmethod
    def close(self) -> None:
        """Let everything go."""

    def inside(self, name: str) -> AbstractContextManager[object]:
        """Where the member's process is to be started."""
        return nullcontext()

    def calm(self) -> None:
        """Heal everything."""
        self.set(self.ways.values(), **CALM)

    def of(self, *names: str) -> list[AnyWay]:
        """The ways from or to these members."""
        return [way for ends, way in self.ways.items() if {*ends} & {*names}]

    def between(self, some: Iterable[str], others: Iterable[str]) -> list[AnyWay]:
        """The ways between two groups, in both directions."""
        first, second = {*some}, {*others}
        return [
            way
            for (a, b), way in self.ways.items()
            if (a in first and b in second) or (a in second and b in first)
        ]
