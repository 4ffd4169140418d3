"""Ends handlers that would never end, so that no node hangs its judge.

A thread looks now and then whether the run still makes steps. The processor's time decides here,
but only whether a handler is given up as endless; what a run that goes on does never depends on it.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from quorate.errors import Mistake

VARIABLE = "QUORATE_STEP_SECONDS"
"""The environment variable that sets another limit."""
LIMIT_SECONDS = 1.0
"""A step takes microseconds; this is long enough for the slowest machine."""
LOOKS = 4
"""How often the watchdog looks within the limit."""


class StepNeverEnds(BaseException):
    """Raised inside a handler that has been running for too long."""

    def __init__(self) -> None:
        super().__init__(f"a handler was still running after {limit_seconds():g} s")


def limit_seconds() -> float:
    """How much of a processor's time a step may take. Raises Mistake if that was set to no time."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else LIMIT_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise Mistake(f"{VARIABLE} is a number of seconds, not {text!r}")
    return seconds


class Stepping(Protocol):
    """A run that counts its steps."""

    steps: int


class _Watchdog:
    """Watches whatever run is under way in one thread."""

    def __init__(self) -> None:
        self.run: Stepping | None = None
        self._thread_id = threading.get_ident()
        self._limit = limit_seconds()
        self._clock = _clock_of(self._thread_id)
        self._wake = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def _watch(self) -> None:
        seen: tuple[int, int] | None = None
        since = 0.0
        while not self._wake.wait(self._limit / LOOKS):
            run = self.run
            now = None if run is None else (id(run), run.steps)
            if now is None or now != seen:
                seen, since = now, self._clock() if now else 0.0
            elif self._clock() - since >= self._limit:
                seen = None
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread_id), ctypes.py_object(StepNeverEnds)
                )


def _clock_of(thread_id: int) -> Callable[[], float]:
    """The processor's time that a thread has had; where nobody tells, the time of day."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(thread_id)
    return lambda: time.clock_gettime(clock)


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
