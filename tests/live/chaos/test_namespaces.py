"""Chaos on the kernel's own network: faults bite, a toothless one is noticed, nothing stays behind.

A process enters its network for good, and, without root, only while it has one thread: so each run
here has a process of its own.
"""

import errno
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.chaos.namespaces import Namespaces, Way
from quorate.live.chaos.report import Report
from quorate.live.chaos.run import Run
from quorate.live.chaos.unshare import enter
from quorate.verdict import Verdict
from tests.live.chaos.test_chaos import play

CHAOS = [sys.executable, "-m", "quorate.cli.main", "chaos", "raft", "--network", "namespaces"]


def apart(call: Callable[..., Any], *arguments: object) -> Any:
    """What a call returns, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(call, *arguments).result()


def why_not() -> str:
    """Why there is no such network here; "" if there is."""
    try:
        Namespaces(("n1", "n2"), 1).close()
    except Mistake as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def permitted() -> None:
    """Skip where the system has no such networks for us."""
    why = apart(why_not)
    if why:
        pytest.skip(why)


def chaos(*words: str) -> tuple[int, str]:
    """The exit code of the command, and what it tells."""
    ended = subprocess.run(
        [*CHAOS, *words], capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def outside() -> list[str]:
    """What this process's own network has, and which names there are for others."""
    listed = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    filters = subprocess.run(
        [shutil.which("nft") or "/usr/sbin/nft", "list", "tables"],
        capture_output=True,
        text=True,
        check=False,  # Without root nobody may look, nor may we.
    )
    names = Path("/run/netns")
    links = [line.split(":")[1] for line in listed.stdout.splitlines()]
    return [*links, *filters.stdout.splitlines(), *map(str, names.glob("*"))]


def processes(words: str) -> list[int]:
    """The processes whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("permitted")
def test_partition_and_loss_bite_and_are_survived(tmp_path: Path) -> None:
    before, directory = outside(), tmp_path / "cluster"
    words = ("--nodes", "3", "--seconds", "6", "--seed", "1", "--dir", str(directory))
    code, told = chaos(*words, "--faults", "partition,loss")
    assert code == 0, told
    for kind in ("partition", "loss"):
        assert re.search(rf"{kind}: \d+ injected, [1-9]\d* bit", told), told
    links = re.search(r"links +a namespace for each member.*; ([\d,]+) cut, ([\d,]+) forw", told)
    assert links, told
    assert "--network namespaces" in told
    assert links.group(1) != "0"
    assert int(links.group(2).replace(",", "")) > 500  # Members speak by no other way.
    assert outside() == before
    assert not processes(str(directory))


class Leaky(Way):
    """A rule that counts, and drops nothing."""

    def rules(self) -> Iterable[str]:
        return [rule.removesuffix(" drop") for rule in super().rules()]


def sabotaged(directory: Path) -> Report:
    """A run whose network has no teeth."""

    def tamper(run: Run) -> None:
        ways = run.stage.network.ways
        run.stage.network.ways = {
            ends: Leaky(source=way.source, target=way.target) for ends, way in ways.items()
        }

    network = Namespaces(("n1", "n2", "n3"), 1)
    return play(directory, ("partition",), 1, tamper, network=network)


@pytest.mark.usefixtures("permitted")
def test_a_rule_that_drops_nothing_is_noticed(tmp_path: Path) -> None:
    report = apart(sabotaged, tmp_path)
    assert report.verdict is Verdict.UNKNOWN
    assert "never proved to bite: partition" in report.reasons
    assert any("all the same" in struck.words for struck in report.struck)
    assert report.frames["cut"] > 0


@pytest.mark.usefixtures("permitted")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_behind(tmp_path: Path, kind: signal.Signals) -> None:
    before, directory = outside(), tmp_path / "cluster"
    words = ["--nodes", "3", "--seconds", "60", "--dir", str(directory)]
    with subprocess.Popen([*CHAOS, *words], stdout=subprocess.PIPE, text=True) as process:
        names = ("n1", "n2", "n3")
        await_that(lambda: all((directory / name / "pid").exists() for name in names))
        # Each has its own; the first one is in those of members while it starts them.
        await_that(lambda: len(spaces_of(directory, process.pid) - {space(os.getpid())}) == 4)
        spaces = spaces_of(directory, process.pid)
        process.send_signal(kind)
        told, _ = process.communicate(timeout=60)
    await_that(lambda: not processes(str(directory)))
    await_that(lambda: not spaces & {*inhabited()})  # Children of members die right after them.
    assert outside() == before
    if kind == signal.SIGINT:
        why = apart(why_not_late)
        assert (f"without  delay: {why}" in told) == bool(why), told


def spaces_of(directory: Path, chaos: int) -> set[int]:
    """The networks of a run, and of the members in its directory."""
    pids = [chaos, *(place.pid() for place in supervisor.find(directory))]
    return {space(pid) for pid in pids if pid is not None}


def space(pid: int) -> int:
    """The network of a process, by its number."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def await_that(condition: Callable[[], bool]) -> None:
    """Wait until it holds, for as long as a busy machine may take."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def inhabited() -> Iterable[int]:
    """The networks that have a process."""
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            yield os.stat(path).st_ino
        except OSError:
            continue


# What the filter is told


def test_a_link_that_is_whole_is_only_counted() -> None:
    (rule,) = Way(source="n1", target="n2").rules()
    assert rule == 'meta protocol ip iifname "n1" oifname "n2" counter name forwarded_n1_n2'


def test_a_cut_comes_before_loss_and_only_on_its_own_link() -> None:
    cut, lost, _ = Way(source="n1", target="n2", block="drop", loss=0.125).rules()
    assert cut.endswith('iifname "n1" oifname "n2" counter name cut_n1_n2 drop')
    assert lost.endswith("numgen random mod 1000 < 125 counter name lost_n1_n2 drop")


def reaches(network: Namespaces, source: str, target: str) -> bool:
    """Whether a program at one member's place can connect to one at another's."""
    address = network.address(target)
    with network.inside(target):
        server = socket.create_server((address, 0))
    with server, network.inside(source):
        try:
            socket.create_connection((address, server.getsockname()[1]), 0.5).close()
        except TimeoutError:
            return False
    return True


def reached_while_cut() -> tuple[list[tuple[str, str]], int]:
    """Who reaches whom while n1 does not speak to n2, and what was stopped; first and last all."""
    network = Namespaces(("n1", "n2", "n3"), 1)
    way = [network.ways["n1", "n2"]]
    assert all(reaches(network, *ends) for ends in network.ways)
    network.set(way, block="drop")
    reached = [ends for ends in network.ways if reaches(network, *ends)]
    network.calm()
    assert all(reaches(network, *ends) for ends in network.ways)
    others = [one for one in network.ways.values() if one not in way]
    assert not network.counted(others)["cut"]
    return reached, network.counted(way)["cut"]


@pytest.mark.usefixtures("permitted")
def test_a_cut_stops_one_direction_of_one_link() -> None:
    """And so no conversation of the two, whoever begins it: the answers are missing."""
    reached, stopped = apart(reached_while_cut)
    assert set(reached) == {("n1", "n3"), ("n3", "n1"), ("n2", "n3"), ("n3", "n2")}
    assert stopped > 1


LATE = (0.1, 0.12)


def seconds_while_late() -> tuple[float, Counter[str], Counter[str]]:
    """How long it takes to connect by a way that is late, and what it and all others counted."""
    network = Namespaces(("n1", "n2", "n3"), 1)
    ways = [network.ways["n1", "n2"]]
    network.set(ways, delay=LATE)
    began = time.monotonic()
    assert reaches(network, "n1", "n2")
    took = time.monotonic() - began
    assert reaches(network, "n1", "n3")
    during = network.counted(ways)
    network.calm()
    assert network.counted(ways)["late"] >= during["late"]
    return took, during, network.counted(way for way in network.ways.values() if way not in ways)


@pytest.mark.usefixtures("permitted")
def test_frames_are_late_on_their_own_link_where_the_kernel_has_netem() -> None:
    if why := apart(why_not_late):
        pytest.skip(why)
    took, during, others = apart(seconds_while_late)
    assert took >= LATE[0]
    assert during["late"] > 0
    assert not others["late"]


# What cannot be had


@pytest.mark.usefixtures("permitted")
def test_a_kind_that_the_network_cannot_play_is_refused_in_one_line() -> None:
    if not apart(why_not_late):
        pytest.skip("this kernel has tc netem, and so plays all kinds")
    code, told = chaos("--faults", "loss,delay")
    assert code == 3
    (line,) = told.splitlines()
    assert "namespaces cannot play delay (this kernel has no tc netem); it has kill, " in line


def why_not_late() -> str:
    """Why frames cannot be late here."""
    return Namespaces(("n1", "n2"), 1).unable.get("delay", "")


def test_other_systems_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(Mistake, match=r"takes Linux: .* --network proxies"):
        enter()


def test_a_program_that_is_missing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("not Linux")
    monkeypatch.setattr("quorate.live.chaos.unshare.shutil.which", lambda tool, path: None)
    with pytest.raises(Mistake, match="takes the program ip: install iproute2"):
        enter()


def test_a_system_that_permits_nothing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*call: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not sys.platform.startswith("linux"):
        pytest.skip("not Linux")
    monkeypatch.setattr("quorate.live.chaos.unshare.shutil.which", lambda tool, path: tool)
    monkeypatch.setattr("quorate.live.chaos.unshare._call", refuse)
    with pytest.raises(Mistake, match=r"permits us no .*not permitted\): run as root, allow"):
        enter()


def test_an_unknown_network_is_told_in_one_line() -> None:
    code, told = chaos("--network", "carrier-pigeons")
    assert code == 3
    (line,) = told.splitlines()
    assert "no --network is called 'carrier-pigeons'" in line
