"""What chaos does inside a member: it bends the clock, and lets the disk be slow or fail.

Only a member whose configuration says `chaos = true` obeys. A bend holds until the next one.
"""

import errno
import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from quorate.errors import one_line
from quorate.live.clock import Clock
from quorate.live.disk import JOURNAL
from quorate.live.storage.files import Faults
from quorate.live.storage.journal import SPARE
from quorate.wire.malformed import MALFORMED

LONGEST_SLEEP = 10.0


class Bend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator asks for; None leaves it as it is.

    Attributes:
        rate_ppm, step: of the clock, see `Clock`.
        slow: seconds that each sync takes longer.
        fail: the next sync fails by this error, once, and not again by itself.
    """

    ask: Literal["bend"]
    rate_ppm: int | None = None
    step: int | None = None
    slow: float | None = None
    fail: Literal["EIO", "ENOSPC", ""] | None = None


class BentDisk(Faults):
    """The failures that are played on a member's disk.

    Attributes:
        slow: seconds by which a sync is held up.
        fail: how the next sync of the journal fails; "" for not at all.
        slowed, failed: how many syncs of the journal were.
    """

    def __init__(self) -> None:
        self.slow = 0.0
        self.fail = ""
        self.slowed = self.failed = 0

    def before(self, call: str, path: Path) -> None:
        if path.name == SPARE:  # Nobody waits for what is only prepared.
            return
        is_sync, is_journal = call == "fdatasync", path.parent.name == JOURNAL
        if self.slow and is_sync:  # Of what is stored, too: a crash may come before it is there.
            self.slowed += is_journal
            time.sleep(self.slow)
        if is_journal and self.fail == "ENOSPC" and call == "pwrite":
            self._refuse(errno.ENOSPC)
        if is_journal and self.fail == "EIO" and is_sync:
            self._refuse(errno.EIO)

    def _refuse(self, number: int) -> None:
        self.fail = ""
        self.failed += 1
        raise OSError(number, os.strerror(number))


class Within:
    """Obeys an operator's bends."""

    def __init__(self, clock: Clock, disk: BentDisk) -> None:
        self._clock = clock
        self._disk = disk
        self._process = os.getpid()

    def obey(self, question: bytes) -> dict[str, Any]:
        """Bend what is asked for; the answer tells the clocks, and what the disk has done."""
        clock, disk = self._clock, self._disk
        try:
            bend = msgspec.json.decode(question, type=Bend)
        except MALFORMED as error:
            return {"error": f"no bend: {one_line(error)}"}
        if bend.rate_ppm is not None or bend.step is not None:
            rate = clock.rate_ppm if bend.rate_ppm is None else bend.rate_ppm
            clock.bend(max(-900_000, rate), clock.step if bend.step is None else bend.step)
        if bend.slow is not None:
            disk.slow = min(max(bend.slow, 0.0), LONGEST_SLEEP)
        if bend.fail is not None:
            disk.fail = bend.fail
        return {
            "pid": self._process,
            "now": clock.now(),
            "true": time.monotonic_ns(),
            "off": clock.wall() - time.time_ns(),
            "slowed": disk.slowed,
            "failed": disk.failed,
        }
