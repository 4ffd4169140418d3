"""Small protocols for these tests, written to files as a user's would be."""

from collections.abc import Callable
from pathlib import Path

LOCK = Path(__file__).parent.parent / "examples" / "lock.py"
LOCK_NAME = f"{LOCK}:Lock"

Write = Callable[..., str]

HEAD = """
import random
import sys
import time

import msgspec

from quorate.kernel import Durable, Env, Message, Node, Start, Timer, always, ms, on, sometimes


class Tick(Timer):
    pass


class Box(msgspec.Struct, frozen=True):
    number: int = 0


class Clock(Node):
    ticks: Durable[int] = 0
    box: Box = Box()

    @on(Start)
    def begin(self, event: Start, env: Env) -> None:
        env.after(ms(100), Tick())

    @on(Tick)
    def tick(self, event: Tick, env: Env) -> None:
        env.after(ms(100), Tick())
"""


def clock(line: str, rest: str = "") -> str:
    """A node that ticks, and does this at every tick."""
    return f"{HEAD}        {line}\n{rest}"


def with_metrics(source: str) -> str:
    """The lock, with a timer more that only counts."""
    extra = """
class Report(Timer):
    pass


class Lock(Node):
    reports: int = 0

    @on(Report)
    def report(self, event: Report, env: Env) -> None:
        self.reports += 1
        env.after((ms(5), ms(15)), Report())

"""
    wanted = "        env.after((ms(50), ms(500)), Want())"
    both = f"        env.after((ms(5), ms(15)), Report())\n{wanted}"
    source = source.replace("class Lock(Node):\n", extra.lstrip("\n"))
    return source.replace(wanted, both)
