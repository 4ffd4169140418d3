"""A real cluster of processes: it serves, survives kills, and keeps what it has acknowledged."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.cli.main import main
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import parse_address
from quorate.live.member import Member
from quorate.live.supervisor import CONFIG, Place


def ask(place: Place, *words: str, seconds: float = 10.0) -> str:
    """One command to one member: the reply as it came."""
    host, port = place.clients.split(":")
    inline = " ".join(words).encode() + b"\r\n"
    with socket.create_connection((host, int(port)), seconds) as sock:
        sock.sendall(inline)
        data = b""
        while data.count(b"\r\n") < (2 if data.startswith(b"$") and data[1:2] != b"-" else 1):
            piece = sock.recv(4096)
            if not piece:
                break
            data += piece
    return data.decode()


def ask_until_done(place: Place, *words: str) -> str:
    """As `ask`, again while a new leader is being elected."""
    deadline = time.monotonic() + 15
    while True:
        reply = ask(place, *words)
        if not reply.startswith("-") or time.monotonic() > deadline:
            return reply


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    directory = tmp_path_factory.mktemp("live") / "cluster"
    assert main(["up", "raft", "--nodes", "3", "--dir", str(directory), "--detach"]) == 0
    places = supervisor.find(directory)
    ask_until_done(places[0], "put", "x", "1")  # Each test may be the first one here.
    yield places
    supervisor.stop(places)


def test_every_member_serves_and_all_see_the_same(cluster: list[Place]) -> None:
    assert ask_until_done(cluster[0], "put", "x", "5") == "$-1\r\n"
    for place in cluster:
        assert ask_until_done(place, "get", "x") == ":5\r\n"
    assert ask_until_done(cluster[2], "cas", "x", "[5,6]") == ":1\r\n"
    assert ask_until_done(cluster[1], "get", "x") == ":6\r\n"


def test_what_the_machine_does_not_know_surely_does_not_happen(cluster: list[Place]) -> None:
    assert ask(cluster[0], "frobnicate", "x").startswith("-FAILED")


def test_a_client_that_talks_garbage_is_told_and_let_go(cluster: list[Place]) -> None:
    host, port = cluster[0].clients.split(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        sock.sendall(b"*zzz\r\n")
        assert sock.recv(4096).startswith(b"-ERR Protocol error")
        assert sock.recv(4096) == b""
    assert ask_until_done(cluster[0], "get", "x").startswith(":")


@pytest.mark.parametrize("noise", [b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4000])
def test_a_stranger_at_a_members_port_is_refused(cluster: list[Place], noise: bytes) -> None:
    host, port = cluster[0].config.members["n1"].split(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        sock.sendall(noise)
        while sock.recv(4096):
            pass
    assert ask_until_done(cluster[0], "get", "x").startswith(":")


def test_nothing_acknowledged_is_lost_when_all_members_are_killed(cluster: list[Place]) -> None:
    for number in range(20):
        ask_until_done(cluster[number % 3], "append", "log", f'"{number},"')
    for place in cluster:
        pid = place.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for place in cluster:
        while place.pid() is not None:
            time.sleep(0.01)
        supervisor.start(place)
    supervisor.await_ready(cluster)
    reply = ask_until_done(cluster[1], "get", "log")
    assert [f"{number}," in reply for number in range(20)] == [True] * 20


def test_a_killed_leader_is_replaced(cluster: list[Place]) -> None:
    facts = supervisor.await_ready(cluster)
    leader = next(
        place for place, fact in zip(cluster, facts, strict=True) if fact["role"] == "leader"
    )
    pid = leader.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    other = next(place for place in cluster if place is not leader)
    assert ask_until_done(other, "put", "after", "1") == "$-1\r\n"
    while leader.pid() is not None:
        time.sleep(0.01)
    supervisor.start(leader)
    supervisor.await_ready(cluster)
    assert ask_until_done(leader, "get", "after") == ":1\r\n"


def test_a_second_process_on_a_members_data_is_refused(
    cluster: list[Place], capfd: pytest.CaptureFixture[str]
) -> None:
    config = cluster[0].directory / supervisor.CONFIG
    assert main(["node", "--config", str(config)]) == 3
    assert "process" in capfd.readouterr().err


def test_status_tells_every_member(
    cluster: list[Place], capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.await_ready(cluster)
    assert main(["status", "--dir", str(cluster[0].directory.parent)]) == 0
    told = capsys.readouterr().out
    assert all(place.clients in told for place in cluster)


def test_a_directory_without_a_cluster_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(tmp_path)]) == 3
    assert "holds no cluster" in capsys.readouterr().err


def test_a_detached_cluster_stays_up_though_nobody_reads(tmp_path: Path) -> None:
    words = ["up", "raft", "--nodes", "1", "--dir", str(tmp_path / "c"), "--detach"]
    command = [sys.executable, "-m", "quorate.cli.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(60)
    assert supervisor.stop(supervisor.find(tmp_path / "c")) == ["n1"]


def test_nobody_reaches_a_member_before_its_node_has_started(tmp_path: Path) -> None:
    """What came then would be a step of a node without its start."""
    (place,) = supervisor.create(tmp_path, "raft", 1)
    member = Member(place.config, system_of("raft"), place.directory / CONFIG)
    doors = [parse_address(text, "") for text in (place.clients, place.config.members["n1"])]

    def begin() -> None:
        for address in doors:
            with socket.socket() as sock:
                assert sock.connect_ex(address) != 0
        raise Mistake("it was about to begin")

    member.begin = begin  # type: ignore[method-assign]
    with pytest.raises(Mistake, match="about to begin"):
        asyncio.run(member.run())
