"""Work beside the loop: what it says comes back to the loop, and it leaves nothing open."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.live.background import CAN_FORK, in_child, in_thread

Runner = Callable[[Callable[[], str], Callable[[str], None]], None]
NEEDS_FORK = pytest.mark.skipif(not CAN_FORK, reason="children are forked on Linux alone")
RUNNERS = [in_thread, pytest.param(in_child, marks=NEEDS_FORK)]


def outcomes(run: Runner, *works: Callable[[], str]) -> list[str]:
    """What each of them said, in the order in which they ended."""

    async def main() -> list[str]:
        told: asyncio.Queue[str] = asyncio.Queue()
        for work in works:
            run(work, told.put_nowait)
        return [await asyncio.wait_for(told.get(), 20) for _ in works]

    return asyncio.run(main())


@pytest.mark.parametrize("run", RUNNERS)
def test_what_the_work_says_is_told_in_the_loop(run: Runner) -> None:
    assert outcomes(run, lambda: "", lambda: "no room", lambda: "x" * 4000) in (
        [first, second, third]
        for first in ("", "no room", "x" * 4000)
        for second in ("", "no room", "x" * 4000)
        for third in ("", "no room", "x" * 4000)
        if len({first, second, third}) == 3
    )


@NEEDS_FORK
def test_a_child_that_raises_or_is_gone_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    def raising() -> str:
        raise ValueError("inside")

    def dying() -> str:
        os.kill(os.getpid(), 9)
        return ""

    before = len(os.listdir("/proc/self/fd"))
    assert outcomes(in_child, raising) == ["it raised an error"]
    assert outcomes(in_child, dying) == ["the writing process ended with 9"]
    assert len(os.listdir("/proc/self/fd")) == before
    # It has our memory, and none of our files.
    with (tmp_path / "open").open("w") as ours:
        held = ours.fileno()

        def closed() -> str:
            try:
                os.fstat(held)
            except OSError:
                return "closed"
            return "open"

        assert outcomes(in_child, closed) == ["closed"]
