"""Ends handlers that would never end, so that no node hangs its judge.

A thread looks now and then whether the run still makes steps. Real time decides here, but only
whether a handler is given up as endless; what a run that goes on does never depends on it.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LIMIT_SECONDS = 5.0
"""A step takes microseconds; this is long enough for the slowest machine."""


class StepNeverEnds(BaseException):
    """Raised inside a handler that has been running for too long."""

    def __init__(self) -> None:
        super().__init__(f"a handler was still running after {LIMIT_SECONDS:g} s")


class Stepping(Protocol):
    """A run that counts its steps."""

    steps: int


class _Watchdog:
    """Watches whatever run is under way in one thread."""

    def __init__(self) -> None:
        self.run: Stepping | None = None
        self._thread_id = threading.get_ident()
        self._wake = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def _watch(self) -> None:
        seen: tuple[int, int] | None = None
        while not self._wake.wait(LIMIT_SECONDS):
            run = self.run
            now = None if run is None else (id(run), run.steps)
            if now is not None and now == seen:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread_id), ctypes.py_object(StepNeverEnds)
                )
            seen = now


_watchdogs = threading.local()


@contextmanager
def watched(run: Stepping) -> Iterator[None]:
    """While in here, a step of `run` that does not end raises `StepNeverEnds`."""
    watchdog: _Watchdog | None = getattr(_watchdogs, "watchdog", None)
    if watchdog is None:
        watchdog = _watchdogs.watchdog = _Watchdog()
    watchdog.run = run
    try:
        yield
    finally:
        watchdog.run = None


@contextmanager
def unwatched() -> Iterator[None]:
    """While in here no time is taken: a person is looking at a step."""
    watchdog: _Watchdog | None = getattr(_watchdogs, "watchdog", None)
    run = watchdog.run if watchdog else None
    if watchdog is not None:
        watchdog.run = None
    try:
        yield
    finally:
        if watchdog is not None:
            watchdog.run = run
