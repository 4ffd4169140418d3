"""Long work beside the event loop: in a child process that shares our memory, or in a thread.

A thread would hold the interpreter's lock while it encodes a large value, and all clients with it;
a forked child has the value for nothing, and a processor of its own.
"""

import asyncio
import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

CAN_FORK = hasattr(os, "fork") and sys.platform.startswith("linux")
_DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG
_MOST_TOLD = 4000
NICENESS = 5
"""A child gives way to what serves clients, on however few processors. But not by more: while it
waits for a processor, it may hold what the file system's other users wait for."""


class Worker:
    """A thread that does one thing after the other; it begins with the first."""

    def __init__(self) -> None:
        self._works: SimpleQueue[tuple[Callable[[], None], Callable[..., None]] | None]
        self._works = SimpleQueue()
        self._thread: Thread | None = None

    def run(self, work: Callable[[], None], end: Callable[[Exception | None], None]) -> None:
        """Do `work`, then call `end` in the loop, with what `work` raised."""
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._serve, args=(loop,), daemon=True)
            self._thread.start()
        self._works.put((work, end))

    def stop(self) -> None:
        """Wait until all is done; what ends now is not told any more, if the loop stands."""
        if self._thread is not None:
            self._works.put(None)
            self._thread.join()
            self._thread = None

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while (task := self._works.get()) is not None:
            work, end = task
            error = None
            try:
                work()
            except Exception as raised:
                error = raised
            loop.call_soon_threadsafe(end, error)


def in_thread(work: Callable[[], str], end: Callable[[str], None]) -> None:
    """Run `work` in a thread, then `end` in the loop, with what `work` returned."""
    loop = asyncio.get_running_loop()
    Thread(target=lambda: loop.call_soon_threadsafe(end, work()), daemon=True).start()


def in_child(work: Callable[[], str], end: Callable[[str], None]) -> None:
    """Run `work` in a child, then `end` in the loop, with what `work` returned; Linux only."""
    reader, writer = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of threads, of which the child needs none.
        child = os.fork()
    if child == 0:
        _be_child(parent, writer, work)
    os.close(writer)

    def wait() -> str:
        with os.fdopen(reader, "rb") as pipe:
            why = pipe.read().decode("utf-8", "replace")
        _, status = os.waitpid(child, 0)
        return why or (f"the writing process ended with {status}" if status else "")

    in_thread(wait, end)


def in_background(work: Callable[[], str], end: Callable[[str], None]) -> None:
    """Run long `work` in a child where there can be one, else in a thread."""
    (in_child if CAN_FORK else in_thread)(work, end)


def _be_child(parent: int, writer: int, work: Callable[[], str]) -> None:
    """Die with the parent, hold none of its files and sockets, and never return."""
    why = "it raised an error"
    try:
        os.nice(NICENESS)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, signal.SIG_DFL)
        os.closerange(3, writer)
        os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
        why = work() if os.getppid() == parent else "its parent is gone"
    finally:
        os.write(writer, why.encode()[:_MOST_TOLD])
        os._exit(1 if why else 0)
