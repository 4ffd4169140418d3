"""The processes of a cluster under chaos: started, killed, paused, and never left over.

Each member has spares: processes that have loaded everything and wait on their leash. So a member
that was killed is back within milliseconds, and may be struck again in the same election.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from quorate.live.config import parse_address
from quorate.live.operator import SECONDS, Unreachable, ask
from quorate.live.supervisor import CONFIG, LOG, PID, Place

SPARES = 3
"""How often in a row a member can be back at once."""
DEATH_SECONDS = 5.0
UP_SECONDS = 15.0


class Ended(Exception):
    """A member has ended by itself, or does not come up; the text tells."""


class Crew:
    """All members' processes.

    Attributes:
        places: where the members live, by name.
        down: members that are down on purpose.
        kept: what each incarnation of a member last told of its snapshots and checkpoints.
        signal: how a process is signalled.
    """

    def __init__(
        self,
        places: list[Place],
        inside: Callable[[str], AbstractContextManager[object]] = lambda name: nullcontext(),
    ) -> None:
        """`inside` is the context in which a member's processes are started."""
        self.places = {place.name: place for place in places}
        self.down: set[str] = set(self.places)
        self.kept: dict[tuple[str, int], dict[str, int]] = {}
        self.signal: Callable[[int, int], None] = os.kill
        self._inside = inside
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._spares: dict[str, list[subprocess.Popen[bytes]]] = {name: [] for name in self.places}

    def _spawn(self, name: str) -> "subprocess.Popen[bytes]":
        directory = self.places[name].directory
        command = [sys.executable, "-m", "quorate.cli.main", "node", "--leash", "--config"]
        with (directory / LOG).open("ab") as log, self._inside(name):
            return subprocess.Popen(
                [*command, str(directory / CONFIG)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def prepare(self) -> None:
        """See that every member has its spares."""
        for name, spares in self._spares.items():
            while len(spares) < SPARES:
                spares.append(self._spawn(name))

    def start(self, name: str) -> None:
        """Let a spare become the member."""
        if name in self._running:
            _let_go(self._running.pop(name))
        spares = self._spares[name]
        process = spares.pop(0) if spares else self._spawn(name)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # If it has ended, `ended` will tell.
            process.stdin.write(b"go\n")
            process.stdin.flush()
        self._running[name] = process
        (self.places[name].directory / PID).write_text(str(process.pid), "ascii")
        self.down.discard(name)

    def is_alive(self, name: str) -> bool:
        """Whether the member's process exists."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def pid(self, name: str) -> int:
        """The number of its process, alive or not."""
        return self._running[name].pid

    def strike(self, name: str) -> None:
        """Kill the member now, without waiting for its end. Raises Ended if it has none."""
        self._signal(name, signal.SIGKILL)
        self.down.add(name)

    def pause(self, name: str) -> None:
        """Stop the process, without its knowing. Raises Ended."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it go on. Raises Ended."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, kind: int) -> None:
        try:
            self.signal(self.pid(name), kind)
        except ProcessLookupError:
            raise Ended(self.ended() or f"{name} has ended") from None

    async def gone(self, name: str) -> bool:
        """Wait until its process has ended; whether it has, before our patience did."""
        process = self._running[name]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEATH_SECONDS):
                while process.poll() is None:
                    await asyncio.sleep(0.001)
        return process.poll() is not None

    def code(self, name: str) -> int | None:
        """How its process has ended: minus the signal, or an exit code; None while it runs."""
        return self._running[name].poll()

    def ended(self) -> str:
        """Who has ended though nobody struck it, in one line; "" if nobody has."""
        for name, process in self._running.items():
            if name not in self.down and process.poll() is not None:
                words = self.places[name].last_words()
                return f"{name} has ended by itself: {words or f'exit code {process.poll()}'}"
        return ""

    async def ask(
        self, name: str, question: dict[str, Any], seconds: float = SECONDS
    ) -> dict[str, Any]:
        """Ask a member, without holding up the others. Raises Unreachable, or Mistake."""
        config = self.places[name].config
        address = parse_address(config.members[name], name)
        return await asyncio.to_thread(ask, address, config.cluster, question, None, seconds)

    async def status(self, name: str) -> dict[str, Any] | None:
        """What a member says of itself; None if it says nothing."""
        try:
            facts = await self.ask(name, {"ask": "status"})
        except Unreachable:
            return None
        self.kept[name, facts["incarnation"]] = facts["kept"]
        return facts

    def kept_in_all(self) -> Counter[str]:
        """What all incarnations of all members have told of snapshots and checkpoints."""
        total = Counter[str]()
        for told in self.kept.values():
            total.update(told)
        return total

    async def up(self, name: str) -> None:
        """Wait until a member that was started answers. Raises Ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UP_SECONDS):
                while True:
                    if not self.is_alive(name):
                        raise Ended(self.ended() or f"{name} has ended")
                    if await self.status(name) is not None:
                        return
                    await asyncio.sleep(0.01)
        raise Ended(f"{name} does not come up within {UP_SECONDS:g} s")

    async def leader(self) -> str | None:
        """The member that says it leads, in the newest term if several do; None if none does."""
        names = [name for name in self.places if name not in self.down]
        facts = await asyncio.gather(*map(self.status, names))
        leaders = [
            (fact.get("current_term", 0), name)
            for name, fact in zip(names, facts, strict=True)
            if fact is not None and fact.get("role") == "leader"
        ]
        return max(leaders)[1] if leaders else None

    def data(self, name: str) -> Path:
        """Where its journal and its stored values are."""
        place = self.places[name]
        return place.directory / place.config.data

    def end(self) -> None:
        """Kill everything that was started here."""
        processes = [*self._running.values(), *(p for s in self._spares.values() for p in s)]
        self.down = set(self.places)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            _let_go(process)


def _let_go(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # It may have ended before it read all.
        process.stdin.close()
