"""What a member tells its operator: a line for each event, for people or for programs.

    2026-03-01T12:00:00.123Z  info     n1  role  now=leader was=candidate term=5
    {"time":"2026-03-01T12:00:00.123Z","level":"info","member":"n1","event":"role","now":"leader"}

Of one event only so many lines are written in a while: nobody who knocks at the door a thousand
times a second fills the disk. How many were left out is told with the next one.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

import msgspec

Level = Literal["info", "warning", "error"]
Fact = str | int | float | bool
MOST = 20
"""Lines of one event in `WINDOW` seconds."""
WINDOW = 10.0


class Log:
    """Of one member."""

    def __init__(
        self,
        member: str,
        kind: Literal["text", "json"] = "text",
        out: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._member = member
        self._kind = kind
        self._out = out
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, event: str, level: Level = "info", **facts: Fact) -> None:
        """Write a line, unless there were too many of this event just now."""
        now = self._clock()
        since, count = self._told.get(event, (now, 0))
        if not 0 <= now - since < WINDOW:
            if count > MOST:
                facts = {**facts, "left_out": count - MOST}
            since, count = now, 0
        self._told[event] = since, count + 1
        if count < MOST:
            print(self._line(now, event, level, facts), file=self._out or sys.stdout, flush=True)

    def _line(self, now: float, event: str, level: Level, facts: dict[str, Fact]) -> str:
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        moment = moment.replace("+00:00", "Z")
        if self._kind == "json":
            head = {"time": moment, "level": level, "member": self._member, "event": event}
            return msgspec.json.encode({**head, **facts}).decode()
        words = " ".join(f"{name}={_word(value)}" for name, value in facts.items())
        return f"{moment}  {level:<7}  {self._member}  {event}  {words}".rstrip()


def _word(value: Fact) -> str:
    """A value as one word: quoted if it is more, or holds what a terminal would obey."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    is_plain = text.isprintable() and text and not set(text) & set(' "=')
    return text if is_plain else msgspec.json.encode(ascii(text)[1:-1]).decode()
