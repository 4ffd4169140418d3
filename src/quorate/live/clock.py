"""The clocks of a member, which chaos may bend: its nodes see no others."""

import time

MILLION = 1_000_000


class Clock:
    """A monotonic clock with a bounded error of rate, and a wall clock that may also step.

    Attributes:
        rate_ppm: how many parts in a million the clock runs fast.
        step: nanoseconds that the wall clock is ahead.
    """

    def __init__(self) -> None:
        self.rate_ppm = 0
        self.step = 0
        self._since = self._reading = time.monotonic_ns()

    def now(self) -> int:
        """The monotonic clock in nanoseconds."""
        true = time.monotonic_ns()
        if not self.rate_ppm and self._since == self._reading:
            return true
        elapsed = true - self._since
        return self._reading + elapsed + elapsed * self.rate_ppm // MILLION

    def wall(self) -> int:
        """The wall clock in nanoseconds since 1970."""
        return time.time_ns() + self.step

    def bend(self, rate_ppm: int, step: int) -> None:
        """Let the clock run fast or slow from now on, and the wall clock be off."""
        reading, self._since = self.now(), time.monotonic_ns()
        self._reading = reading
        self.rate_ppm, self.step = rate_ppm, step

    def seconds(self, duration: int) -> float:
        """How many true seconds pass while this clock counts `duration` nanoseconds."""
        return duration * MILLION / (MILLION + self.rate_ppm) / 1e9
