"""Clusters on this machine: a directory for each, with one process and one folder for a member."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.live.config import (
    Config,
    parse_address,
    read_config,
    tls_contexts,
    to_toml,
    write_config,
)
from quorate.live.operator import Operator, Unreachable

CONFIG = "node.toml"
LOG = "log"
PID = "pid"
READY_SECONDS = 20.0
STOP_SECONDS = 10.0
_PORTS = range(10_000, 32_000)


class Place(msgspec.Struct, frozen=True):
    """Where one member of a cluster on this machine lives."""

    name: str
    directory: Path
    config: Config

    @property
    def clients(self) -> str:
        """The address for clients."""
        return self.config.clients

    def pid(self) -> int | None:
        """The process that was last started here, if it is alive and still ours."""
        try:
            pid = int((self.directory / PID).read_text("ascii"))
        except (OSError, ValueError):
            return None
        return pid if _is_member(pid, self.directory) else None

    def connect(self) -> Operator:
        """A connection to the member itself. Raises Unreachable, or Mistake."""
        address = parse_address(self.config.members[self.name], self.name)
        dial, _, _ = tls_contexts(self.config.tls, self.directory)
        return Operator(address, self.config.cluster, dial)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask the member once. Raises Unreachable, or Mistake."""
        with self.connect() as operator:
            return operator.ask(question)

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = (self.directory / LOG).read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def create(
    directory: Path, system: str, nodes: int, **settings: str | int | dict[str, str]
) -> list[Place]:
    """A new cluster's directory, with free ports of this machine. Raises Mistake.

    With `metrics=True` each member has a port for them too.
    """
    names = [f"n{index + 1}" for index in range(nodes)]
    ports = iter(free_ports(3 * nodes))
    members = {name: f"127.0.0.1:{next(ports)}" for name in names}
    word = "".join(c if c.isalnum() else "-" for c in Path(system.partition(":")[0]).stem)
    cluster = f"{word or 'c'}-{secrets.token_hex(4)}"
    if not cluster[0].isalpha():
        cluster = f"c{cluster}"
    for name in names:
        values: dict[str, Any] = {
            "cluster": cluster,
            "system": system,
            "member": name,
            "data": "data",
            "clients": f"127.0.0.1:{next(ports)}",
            **settings,
            "members": members,
        }
        if settings.get("metrics") is True:
            values["metrics"] = f"127.0.0.1:{next(ports)}"
        try:
            (directory / name).mkdir(parents=True)
            (directory / name / CONFIG).write_text(to_toml(values), "utf-8")
        except OSError as error:
            raise Mistake(f"{directory / name}: {error.strerror}") from error
    return find(directory)


def enlarge(places: list[Place], name: str) -> Place:
    """A folder for one more member, configured as the others are. Raises Mistake if it exists."""
    ports = free_ports(2)
    config = places[0].config
    directory = places[0].directory.with_name(name)
    members = config.members | {name: f"127.0.0.1:{next(ports)}"}
    joined = msgspec.structs.replace(
        config,
        member=name,
        members=members,
        founders=config.founders or list(config.members),
        clients=f"127.0.0.1:{next(ports)}",
        metrics="",
    )
    try:
        directory.mkdir()
    except OSError as error:
        raise Mistake(f"{directory}: {error.strerror}") from error
    write_config(directory / CONFIG, joined)
    return Place(name, directory, joined)


def find(directory: Path) -> list[Place]:
    """The members whose folders are in a directory. Raises Mistake if there are none."""
    files = sorted(directory.glob(f"n*/{CONFIG}"), key=lambda path: (len(path.parent.name), path))
    if not files:
        raise Mistake(
            f"{directory} holds no cluster; quorate up SYSTEM --dir {directory} makes one"
        )
    return [Place(path.parent.name, path.parent, read_config(path)) for path in files]


def exists(directory: Path) -> bool:
    """Whether the directory holds a cluster."""
    return any(directory.glob(f"n*/{CONFIG}"))


_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""The members that this process has started, by their numbers."""


def start(place: Place) -> None:
    """Start a member's process, which outlives ours. Raises Mistake if it runs already."""
    running = place.pid()
    if running is not None:
        raise Mistake(
            f"{place.name} of {place.directory.parent} runs already, as process {running}"
        )
    command = [sys.executable, "-m", "quorate.cli.main", "node", "--config"]
    with (place.directory / LOG).open("ab") as log:
        process = subprocess.Popen(
            [*command, str(place.directory / CONFIG)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started[process.pid] = process
    (place.directory / PID).write_text(str(process.pid), "ascii")


def await_ready(
    places: list[Place], seconds: float = READY_SECONDS, *, elects: bool = True
) -> list[dict[str, Any]]:
    """Wait until all members answer, have reached each other, and, if they elect, have a leader.

    With `elects` false they have not begun, and nobody leads. Raises Mistake if that takes too
    long, or one of them ends.
    """
    deadline = time.monotonic() + seconds
    while True:
        facts = [status(place) for place in places]
        for place, fact in zip(places, facts, strict=True):
            if place.pid() is None and "error" in fact:
                raise Mistake(f"{place.name} has ended: {place.last_words()}")
        links = sum(len(fact.get("open", ())) for fact in facts)
        answer = all("error" not in fact for fact in facts)
        is_led = not elects or _has_leader(facts)
        if answer and links == len(places) * (len(places) - 1) and is_led:
            return facts
        if time.monotonic() > deadline:
            late = [p.name for p, fact in zip(places, facts, strict=True) if "error" in fact]
            names, log = ", ".join(late) or "no leader, or no way to it", places[0].directory / LOG
            raise Mistake(f"not ready after {seconds:g} s: {names}; see {log}")
        time.sleep(0.05)


def _has_leader(facts: list[dict[str, Any]]) -> bool:
    roles = {fact.get("role") for fact in facts}
    return "leader" in roles or not roles & {"follower", "candidate", "pre-candidate"}


def status(place: Place) -> dict[str, Any]:
    """What a member says of itself; `error` says why it says nothing."""
    try:
        return place.ask({"ask": "status"})
    except (Unreachable, Mistake) as error:
        return {"member": place.name, "error": str(error)}


def stop(places: list[Place], seconds: float = STOP_SECONDS) -> list[str]:
    """Stop all members that run; the names of those that did."""
    running = {place.name: pid for place in places if (pid := place.pid()) is not None}
    for pid in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    left = {place.name: place for place in places if place.name in running}
    while left and time.monotonic() < deadline:
        left = {name: place for name, place in left.items() if place.pid() is not None}
        time.sleep(0.02)
    for place in left.values():
        kill(place)
    return list(running)


def kill(place: Place) -> None:
    """Kill a member's process, and wait until it is gone."""
    pid = place.pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    while place.pid() is not None:
        time.sleep(0.001)


def _is_member(pid: int, directory: Path) -> bool:
    """Whether that process is a member with this directory: numbers are used again."""
    if pid in _started:
        return _started[pid].poll() is None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return not Path("/proc/self").exists()  # Where nobody can tell, believe the file.
    return os.fsencode(directory / CONFIG) in words


def free_ports(count: int) -> Iterator[int]:
    """Ports that nobody listens at now.

    They lie below those that systems give to outgoing connections: one of these, made while a
    member is down, could take its port, or even dial itself.
    """
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            sock = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", _PORTS.start + secrets.randbelow(len(_PORTS))))
                ports.append(sock.getsockname()[1])
    return iter(ports)
