"""Nodes that would take down, or hang, whoever runs them."""

import os
import sys
import threading
from pathlib import Path

import pytest

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim
from quorate.explore.hunt import Tally, hunt
from quorate.simulate import watchdog

NODE = """
import os
from quorate.kernel import Env, Node, Start, Timer, ms, on

class Tick(Timer):
    pass

class Clock(Node):
    ticks: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        env.after(ms(100), Tick())

    @on(Tick)
    def tick(self, timer: Tick, env: Env) -> None:
        {line}
"""


def hunted(folder: Path, line: str) -> Tally:
    """A campaign with one job against a node that does this when its timer fires."""
    path = folder / "clock.py"
    path.write_text(NODE.format(line=line))
    return hunt(Tally(Aim(f"{path}:Clock"), 0), seeds=8, jobs=1)


def test_a_process_that_is_ended_is_told_with_its_seeds(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="died after 0 runs, in one of the seeds 0 to 7"):
        hunted(tmp_path, "os._exit(0)")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system limits no memory")
def test_a_node_that_takes_all_memory_fails(tmp_path: Path) -> None:
    tally = hunted(tmp_path, "self.ticks = len([bytes(1 << 26) for _ in range(10**6)])")
    assert tally.failures[0].property == "no_exception"
    assert "MemoryError" in tally.failures[0].message


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_time_is_a_mistake(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(watchdog.VARIABLE, text)
    with pytest.raises(Mistake, match="QUORATE_STEP_SECONDS is a number of seconds"):
        watchdog.limit_seconds()


def test_the_limit_of_a_step_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(watchdog.VARIABLE, "0.2")
    monkeypatch.setattr(watchdog, "_watchdogs", threading.local())
    tally = hunted(tmp_path, "while True: pass")
    assert tally.failures[0].property == "step_ends"
    assert "still running after 0.2 s" in tally.failures[0].message
    assert os.environ[watchdog.VARIABLE] == "0.2"
