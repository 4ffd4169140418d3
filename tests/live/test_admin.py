"""Members come, go, and are restarted in turn, while a client works and loses nothing."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from quorate.cli.main import main
from quorate.live import supervisor
from quorate.live.config import read_config
from quorate.live.operator import Operator, Unreachable
from quorate.live.supervisor import CONFIG, Place


class Worker(threading.Thread):
    """Appends to a key without a pause, at whichever member takes it.

    Attributes:
        acknowledged: the numbers whose write was answered.
        failures: how often a write was not answered, or with an error.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[int] = []
        self.failures = 0
        self.is_over = threading.Event()
        self._directory = directory

    def run(self) -> None:
        number, client = 0, None
        while not self.is_over.is_set():
            try:
                if client is None:
                    client = self._connect(number)
                client.append("log", f"{number},")
                self.acknowledged.append(number)
            except (redis.RedisError, OSError):
                self.failures += 1
                client = None
            number += 1

    def _connect(self, number: int) -> "redis.Redis[bytes]":
        running = [p for p in supervisor.find(self._directory) if p.pid() is not None]
        place = running[number % len(running)]
        return redis.Redis.from_url(f"redis://{place.clients}", socket_timeout=5)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    cluster = tmp_path / "cluster"
    assert main(["up", "kv", "--nodes", "3", "--dir", str(cluster), "--detach"]) == 0
    yield cluster
    supervisor.stop(supervisor.find(cluster))


def admin(directory: Path, *words: str) -> None:
    """A command that succeeds."""
    assert main(["admin", *words, "--dir", str(directory)]) == 0


def roles(directory: Path) -> dict[str, str]:
    """Each member's role, as it tells."""
    return {place.name: role(place) for place in supervisor.find(directory)}


def role(place: Place) -> str:
    told: str = supervisor.status(place).get("role", "down")
    return told


def test_members_are_added_replaced_and_restarted_under_load(directory: Path) -> None:
    worker = Worker(directory)
    worker.start()
    admin(directory, "add", "n4")
    admin(directory, "transfer", "n4")
    assert roles(directory)["n4"] == "leader"
    dead = supervisor.find(directory)[0]
    supervisor.kill(dead)
    admin(directory, "remove", "n1")
    admin(directory, "add", "n5")
    running = [place for place in supervisor.find(directory) if place.pid() is not None]
    assert [place.name for place in running] == ["n2", "n3", "n4", "n5"]
    assert sorted(map(role, running)) == ["follower", "follower", "follower", "leader"]
    worker.is_over.set()
    worker.join(30)
    assert len(worker.acknowledged) > 100
    client = redis.Redis.from_url(f"redis://{running[-1].clients}")
    kept = {int(word) for word in client.get("log").decode().split(",") if word}
    assert set(worker.acknowledged) <= kept
    assert worker.failures <= 3  # One for the transfer, one for the kill, one for what it asked.


def test_a_rolling_restart_costs_no_more_than_hand_overs(directory: Path) -> None:
    before = {place.name: place.pid() for place in supervisor.find(directory)}
    worker = Worker(directory)
    worker.start()
    admin(directory, "restart")
    worker.is_over.set()
    worker.join(30)
    after = {place.name: place.pid() for place in supervisor.find(directory)}
    assert all(after[name] not in (None, before[name]) for name in before)
    place = supervisor.find(directory)[0]
    client = redis.Redis.from_url(f"redis://{place.clients}")
    kept = {int(word) for word in client.get("log").decode().split(",") if word}
    assert set(worker.acknowledged) <= kept
    assert worker.failures <= 6  # Each restart hangs up on whoever is connected there.


def test_what_makes_no_sense_is_refused(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*words: str) -> str:
        assert main(["admin", *words, "--dir", str(directory)]) == 3
        return capsys.readouterr().err

    assert "there is no member n9" in fails("remove", "n9")
    assert "n2 is there already" in fails("add", "n2")
    assert "which member?" in fails("transfer")


def test_a_dead_member_holds_up_nothing_and_is_told(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = supervisor.find(directory)[1]
    supervisor.kill(dead)
    assert main(["admin", "transfer", "n2", "--dir", str(directory)]) == 3
    assert "n2 is down" in capsys.readouterr().err
    assert main(["admin", "snapshot", "--dir", str(directory)]) == 3
    told = capsys.readouterr()
    assert "n1 stores" in told.out
    assert "n3 stores" in told.out
    assert "n2 does not answer" in told.err
    admin(directory, "add", "n4")
    assert "n4" in read_config(dead.directory / CONFIG).members
    admin(directory, "restart")  # Whoever leads hands over to one that is up.
    supervisor.await_ready(supervisor.find(directory))  # All four reach each other.


def test_a_member_that_runs_and_says_nothing_is_told(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = supervisor.find(directory)[2].pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for words in (["transfer", "n3"], ["add", "n4"]):
        assert main(["admin", *words, "--dir", str(directory)]) == 3
        assert "n3 runs and does not answer" in capsys.readouterr().err
    assert not (directory / "n4").exists()
    os.kill(pid, signal.SIGCONT)


def test_a_member_knows_a_new_one_also_after_a_restart(directory: Path) -> None:
    admin(directory, "add", "n4")
    config = read_config(directory / "n2" / CONFIG)
    assert config.founders == ["n1", "n2", "n3"]
    assert set(config.members) == {"n1", "n2", "n3", "n4"}
    supervisor.stop(supervisor.find(directory))
    assert main(["up", "--dir", str(directory), "--detach"]) == 0
    assert sorted(roles(directory).values()) == ["follower", "follower", "follower", "leader"]


def test_a_snapshot_is_taken_when_it_is_wanted(directory: Path) -> None:
    places = supervisor.find(directory)
    client = redis.Redis.from_url(f"redis://{places[0].clients}")
    assert client.set("x", "kept")
    admin(directory, "snapshot")
    files = [place.directory / "data" / "stored" / "snapshot.blob" for place in places]
    while not all(file.exists() for file in files):
        pass
    supervisor.stop(places)
    assert main(["up", "--dir", str(directory), "--detach"]) == 0
    assert client.get("x") == b"kept"
    admin(directory, "status")


def test_an_operator_whose_member_dies_at_once_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    monkeypatch.setattr(socket.socket, "setsockopt", lambda *_: None)  # This one is no TCP.
    monkeypatch.setattr(socket, "create_connection", lambda address, seconds: ours)
    with pytest.raises(Unreachable, match="Broken pipe"):
        Operator(("127.0.0.1", 1), "shop")
    assert ours.fileno() == -1
