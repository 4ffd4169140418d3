"""A member's clients: those that send too much, take nothing, or are too many."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from quorate.cli.main import main
from quorate.live import supervisor
from quorate.live.door import VALUE_BYTES
from quorate.live.supervisor import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("door") / "cluster"
    assert main(["up", "kv", "--nodes", "3", "--dir", str(directory), "--detach"]) == 0
    places = supervisor.find(directory)
    yield places[0]
    supervisor.stop(places)


def connect(place: Place) -> socket.socket:
    """A connection without any library."""
    host, _, port = place.clients.rpartition(":")
    return socket.create_connection((host, int(port)), 20)


def memory(place: Place) -> int:
    """Resident bytes of the member."""
    with open(f"/proc/{place.pid()}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_the_longest_value_is_replicated_and_a_longer_one_refused(place: Place) -> None:
    client = redis.Redis.from_url(f"redis://{place.clients}", socket_timeout=30)
    assert client.set("long", b"x" * VALUE_BYTES)
    assert client.strlen("long") == VALUE_BYTES
    with connect(place) as sock:
        sock.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (VALUE_BYTES + 1))
        assert sock.recv(200) == b"-ERR Protocol error: invalid bulk length\r\n"
        assert sock.recv(200) == b""
    assert client.exists("k") == 0


def test_many_long_values_at_once_reach_all_members(place: Place) -> None:
    client = redis.Redis.from_url(f"redis://{place.clients}", socket_timeout=60)
    with client.pipeline(transaction=False) as pipe:
        for number in range(40):
            pipe.set(f"big{number}", b"y" * (1 << 20))
        assert all(pipe.execute())
    assert client.dbsize() >= 40
    facts = supervisor.await_ready(supervisor.find(place.directory.parent))
    assert len({fact["current_term"] for fact in facts}) == 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_client_that_takes_no_replies_costs_no_more_than_one_operations(place: Place) -> None:
    client = redis.Redis.from_url(f"redis://{place.clients}", socket_timeout=30)
    assert client.set("wide", b"z" * (1 << 18))
    before = memory(place)
    with connect(place) as sock:
        sock.sendall(b"GET wide\r\n" * 1000)  # 250 MiB of replies, of which it reads none.
        for _ in range(20):
            assert client.ping()
        assert memory(place) - before < 200 << 20
        left = 1000 * len(b"$262144\r\n" + bytes(1 << 18) + b"\r\n")
        while left > 0:
            piece = sock.recv(1 << 20)
            assert piece, "the replies end too early"
            left -= len(piece)
    assert left == 0


def test_half_a_command_waits_and_harms_nobody(place: Place) -> None:
    client = redis.Redis.from_url(f"redis://{place.clients}", socket_timeout=30)
    with connect(place) as sock:
        for byte in b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$2\r\nok":
            sock.sendall(bytes([byte]))
            assert client.ping()
        assert client.get("slow") is None
        sock.sendall(b"\r\n")
        assert sock.recv(100) == b"+OK\r\n"
    assert client.get("slow") == b"ok"
