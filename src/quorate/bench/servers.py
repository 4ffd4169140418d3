"""What the live benchmarks measure: clusters and servers of ours and of peers, on this machine.

Each runs in a directory of its own, on ports that are free now, until it is closed. `usage` tells
what its processes have used of the processors.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import Address, parse_address
from quorate.live.supervisor import Place, free_ports

START_SECONDS = 30.0


class Quorate:
    """Three members of the key-value store, as `quorate up kv` starts them.

    Attributes:
        leader, followers: as they were when it was started, or last `settled`.
    """

    def __init__(self, nodes: int = 3) -> None:
        self._stack = ExitStack()
        folder = self._stack.enter_context(TemporaryDirectory())
        self.places = supervisor.create(Path(folder) / "cluster", "kv", nodes)
        self._stack.callback(supervisor.stop, self.places)
        try:
            for place in self.places:
                supervisor.start(place)
            self.settle()
        except BaseException:
            self.close()
            raise

    def settle(self) -> None:
        """Wait until all members answer, and know who leads."""
        facts = supervisor.await_ready(self.places, START_SECONDS)
        roles = [fact["role"] for fact in facts]
        self.leader = self.places[roles.index("leader")]
        self.followers = [place for place in self.places if place is not self.leader]

    @property
    def address(self) -> Address:
        """Where the leader's clients connect."""
        return parse_address(self.leader.clients, self.leader.name)

    def status(self, place: Place) -> dict[str, Any]:
        """What a member says of itself. Raises Mistake if it says nothing."""
        facts = supervisor.status(place)
        if "error" in facts:
            raise Mistake(f"{place.name} says nothing: {facts['error']}; {place.last_words()}")
        return facts

    def usage(self) -> list[float]:
        """Seconds of the processor, the leader's first."""
        places = (self.leader, *self.followers)
        return [cpu_of(pid) if (pid := place.pid()) else 0.0 for place in places]

    def close(self) -> None:
        """Stop it, and forget its data."""
        self._stack.close()


class _Peer:
    """Processes of somebody else's."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self.processes: list[subprocess.Popen[str]] = []

    def _run(self, *words: str, **pipes: IO[str] | int) -> "subprocess.Popen[str]":
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **pipes}
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(words, stderr=log, text=True, cwd=self.folder, **given)
        self.processes.append(process)
        self._stack.callback(_end, process)
        return process

    def _await(self, what: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            ended = [process for process in self.processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                words = (self.folder / "log").read_text("utf-8", "replace").strip().splitlines()
                self.close()
                raise Mistake(f"{what} does not start: {words[-1] if words else 'no word of why'}")
            time.sleep(0.05)

    def usage(self) -> list[float]:
        """Seconds of the processor, for each process."""
        return [cpu_of(process.pid) for process in self.processes]

    def close(self) -> None:
        """Stop it, and forget its data."""
        self._stack.close()


class Redis(_Peer):
    """One Redis that syncs before it answers."""

    def __init__(self) -> None:
        super().__init__()
        port = next(free_ports(1))
        self.address = ("127.0.0.1", port)
        options = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        self._run("redis-server", "--port", str(port), "--bind", "127.0.0.1", *options)
        ping = ["redis-cli", "-p", str(port), "ping"]
        self._await("Redis", lambda: "PONG" in _told(ping))

    @staticmethod
    def absent() -> str:
        """Why it cannot be measured here; "" if it can."""
        return "" if shutil.which("redis-server") else "redis-server is not installed"


class Etcd(_Peer):
    """Three members of etcd, syncing as they do by default; the address is the leader's."""

    def __init__(self) -> None:
        super().__init__()
        ports = free_ports(6)
        peers = {f"e{number}": f"http://127.0.0.1:{next(ports)}" for number in (1, 2, 3)}
        clients = [f"http://127.0.0.1:{next(ports)}" for _ in peers]
        cluster = ",".join(f"{name}={url}" for name, url in peers.items())
        for (name, peer), client in zip(peers.items(), clients, strict=True):
            self._run(
                "etcd", "--name", name, "--data-dir", name, "--log-level", "error",
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--initial-cluster", cluster, "--initial-cluster-token", str(os.getpid()),
            )  # fmt: skip
        ask = ["etcdctl", "--endpoints", ",".join(clients), "endpoint", "status", "-w", "json"]
        self._await("etcd", lambda: bool(_etcd_leader(ask)))
        host, _, port = _etcd_leader(ask).removeprefix("http://").rpartition(":")
        self.address = (host, int(port))

    @staticmethod
    def absent() -> str:
        """Why it cannot be measured here; "" if it can."""
        missing = [name for name in ("etcd", "etcdctl") if not shutil.which(name)]
        return f"{' and '.join(missing)} not installed" if missing else ""


def _etcd_leader(ask: list[str]) -> str:
    told = _told(ask, ETCDCTL_API="3")
    members = json.loads(told) if told.startswith("[") else []
    for member in members:
        status = member["Status"]
        if status["leader"] == status["header"]["member_id"] and len(members) == 3:
            return cast(str, member["Endpoint"])
    return ""


class PySyncObj(_Peer):
    """Three processes with a replicated dictionary in memory, which never syncs."""

    def __init__(self) -> None:
        super().__init__()
        ports = free_ports(3)
        addresses = [f"127.0.0.1:{next(ports)}" for _ in range(3)]
        module = "quorate.bench.pysyncobj_member"
        for own in addresses:
            others = [address for address in addresses if address != own]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._run(sys.executable, "-m", module, own, *others, **pipes)
        self._await("PySyncObj", lambda: self._leader() is not None)

    @staticmethod
    def absent() -> str:
        """Why it cannot be measured here; "" if it can."""
        return "" if find_spec("pysyncobj") else "PySyncObj is not installed"

    def _leader(self) -> "subprocess.Popen[str] | None":
        said = [self.ask(process, "leader") for process in self.processes]
        return self.processes[said.index("yes")] if "yes" in said else None

    def ask(self, process: "subprocess.Popen[str]", words: str) -> str:
        """One line to a member, and its answer."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(words + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline().strip()

    def load(self, count: int, outstanding: int) -> float:
        """Operations/s of so many sets, which the leader's own process asks for."""
        leader = self._leader()
        if leader is None:
            raise Mistake("PySyncObj has lost its leader")
        return float(self.ask(leader, f"load {count} {outstanding}"))


def _told(words: list[str], **environment: str) -> str:
    done = subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def cpu_of(pid: int) -> float:
    """Seconds of the processor that a process has used; 0 where nothing tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where nothing tells."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


__all__ = ["Etcd", "PySyncObj", "Quorate", "Redis", "cpu_of", "memory_of"]
