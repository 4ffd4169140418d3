"""How much memory a search may use, so that the system never has to kill it."""

import os
import sys
from pathlib import Path

from quorate.errors import Mistake

SHARE = 0.7
"""Of the memory that is free when a search begins it takes this much, unless told otherwise."""


class Room:
    """The memory of this process, against a limit in bytes."""

    def __init__(self, limit: int | None) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        used = self.used()
        if limit is not None and limit <= used:
            raise Mistake(
                f"a limit of {limit >> 20:,} MiB is too small: "
                f"the process holds {used >> 20:,} MiB before it begins"
            )
        self.limit = limit if limit is not None else used + int(available() * SHARE)

    def used(self) -> int:
        """Bytes in memory now; where the system does not tell, the most there ever were."""
        try:
            words = Path("/proc/self/statm").read_text(encoding="ascii").split()
            return int(words[1]) * self._page
        except (OSError, ValueError, IndexError):
            return _peak()

    def over(self) -> str:
        """Why there is no room left, or ""."""
        used = self.used()
        return f"{used >> 20:,} MiB of memory" if used >= self.limit else ""


def available() -> int:
    """Bytes of memory that can still be had; a guess where the system does not tell."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        row = next(row for row in text.splitlines() if row.startswith("MemAvailable:"))
        return int(row.split()[1]) << 10
    except (OSError, ValueError, IndexError, StopIteration):
        return 2 << 30


def limit_memory(more_bytes: int) -> None:
    """Let this process take so much more and no more, where the system can hold it to that.

    What goes beyond is a MemoryError there, instead of the end of some process.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more_bytes
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _peak() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
