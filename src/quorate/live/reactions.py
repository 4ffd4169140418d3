"""A member that runs by its own clock, and stops where a schedule strikes.

Its timers take the durations that they had in a simulated run, as often as they are set there.
After an event to which a fault is anchored the process stops itself, all that left it being on its
way; whoever plays the schedule then strikes, and lets it go on.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from quorate.errors import Mistake
from quorate.kernel.env import SetTimer
from quorate.kernel.node import BatchEnd, Event, Message, Start, Stored, Timer
from quorate.kernel.values import NodeId
from quorate.live.administration import Answer
from quorate.live.host import Host, Hosted
from quorate.live.member import Member
from quorate.live.recorder import INCARNATION_SHIFT
from quorate.scenario.notation import format_node
from quorate.trace.record import kind_of

SCRIPT = "reactions.json"
REACHED = "reached"
BEGIN = msgspec.json.encode({"ask": "begin"})


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """What one member needs of a schedule.

    Attributes:
        timers: nanoseconds for each time that a timer is set, by `n1.2 ElectionTimeout`: the
            incarnation and the timer's class.
        stops: labels of events, as in a schedule, after which to stop.
    """

    timers: dict[str, list[int]] = {}
    stops: list[str] = []


class ReactingHost(Host):
    """An engine that knows the schedule's names of what happens."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.script = Script()
        self.reached = Path()
        self.server = ""
        self._counts: Counter[str] = Counter()
        self._ordinals: dict[Timer, int] = {}

    def _address(self, number: int, node: str) -> str:
        return format_node(node, max(0, (number >> INCARNATION_SHIFT) - 1))

    def _step(self, hosted: Hosted, event: Event, sender: NodeId, origin: int = 0) -> None:
        label = ""
        if hosted.env.id == self.server:
            label = self._label(event, sender, origin)
        super()._step(hosted, event, sender, origin)
        if label in self.script.stops:
            self._stop_after(label)

    def _label(self, event: Event, sender: NodeId, origin: int) -> str:
        kind = kind_of(event)
        here = self._address(self.steps, self.server)
        if isinstance(event, Message):
            there = self._address(origin, sender) if "@" not in sender else sender
            return self._next(f"deliver {there}→{self.server} {kind}")
        if isinstance(event, Timer):
            return f"fire {here} {kind} #{self._ordinals.get(event, 0)}"
        verbs = {Start: "start", BatchEnd: "batch", Stored: "store"}
        return self._next(f"{verbs.get(type(event), kind)} {here}")

    def _next(self, series: str) -> str:
        self._counts[series] += 1
        return f"{series} #{self._counts[series] - 1}"

    def _synced(self, reach: int) -> None:
        super()._synced(reach)
        label = self._next(f"sync {self._address(self.steps, self.server)}")
        if label in self.script.stops:
            self._stop_after(label)

    def _set_timer(self, hosted: Hosted, effect: SetTimer) -> None:
        if hosted.env.id == self.server:
            series = f"{self._address(self.steps, self.server)} {kind_of(effect.timer)}"
            ordinal = self._counts[series]
            self._counts[series] += 1
            self._ordinals[effect.timer] = ordinal
            decided = self.script.timers.get(series, ())
            if ordinal < len(decided):
                effect = SetTimer(effect.timer, decided[ordinal], decided[ordinal])
        super()._set_timer(hosted, effect)

    def _stop_after(self, label: str) -> None:
        self.network.flush()
        with self.reached.open("a", encoding="utf-8") as file:
            file.write(f"{label}\n")
        os.kill(os.getpid(), signal.SIGSTOP)


class ReactingMember(Member):
    """A member that stops where its script says so."""

    host_kind: ClassVar[type[Host]] = ReactingHost

    def begin(self) -> None:
        """Read the script; begin when told to, so that all do at once, but again without a word."""
        assert isinstance(self.host, ReactingHost)
        path = self.path.with_name(SCRIPT)
        try:
            self.host.script = msgspec.json.decode(path.read_bytes(), type=Script)
        except (OSError, msgspec.DecodeError) as error:
            raise Mistake(f"{path}: this is no script of reactions: {error}") from error
        self.host.reached = self.path.with_name(REACHED)
        self.host.server = self.config.member
        if self.disk.incarnation > 1:
            super().begin()

    def answer(self, data: bytes, answer: Answer) -> None:
        """Begin, or what else is asked."""
        if data == BEGIN:
            super().begin()
            answer({})
        else:
            super().answer(data, answer)
