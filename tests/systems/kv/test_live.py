"""The store as a real cluster, asked by redis-py and redis-cli: the clients that people have."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
import redis

from quorate.cli.main import main
from quorate.live import frames, supervisor
from quorate.live.config import parse_address
from quorate.live.links import own_hello
from quorate.live.supervisor import Place


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    directory = tmp_path_factory.mktemp("kv") / "cluster"
    assert main(["up", "kv", "--nodes", "3", "--dir", str(directory), "--detach"]) == 0
    places = supervisor.find(directory)
    yield places
    supervisor.stop(places)


@pytest.fixture
def clients(cluster: list[Place]) -> Iterator[list["redis.Redis[bytes]"]]:
    """A client of each member; the store is empty."""
    made = [redis.Redis.from_url(f"redis://{place.clients}", protocol=3) for place in cluster]
    made[0].flushdb()
    yield made
    for client in made:
        client.close()


def test_strings_hashes_and_counters_on_every_member(clients: list["redis.Redis[bytes]"]) -> None:
    one, two, three = clients
    assert one.set("a", "hello")
    assert two.get("a") == b"hello"
    assert [client.incr("n") for client in clients] == [1, 2, 3]
    assert three.hset("h", mapping={"f": "1", "g": "2"}) == 2
    assert two.hgetall("h") == {b"f": b"1", b"g": b"2"}
    assert one.mset({"b": "1", "c": "2"})
    assert three.mget("a", "b", "x") == [b"hello", b"1", None]
    assert sorted(two.scan_iter(count=2)) == [b"a", b"b", b"c", b"h", b"n"]
    assert one.delete("a", "b", "x") == 2
    assert three.dbsize() == 3


def test_a_large_value_and_any_bytes(clients: list["redis.Redis[bytes]"]) -> None:
    value = bytes(range(256)) * 4000
    assert clients[0].set(b"\x00\xff\r\n", value)
    assert clients[2].get(b"\x00\xff\r\n") == value


def test_a_transaction_is_one_and_a_watched_key_aborts_it(
    clients: list["redis.Redis[bytes]"],
) -> None:
    one, two, _ = clients
    with one.pipeline(transaction=True) as pipe:
        assert pipe.set("x", 1).incr("x").get("x").execute() == [True, 2, b"2"]
    with one.pipeline(transaction=True) as pipe:
        pipe.watch("x")
        two.set("x", 7)
        pipe.multi()
        pipe.set("x", 9)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert two.get("x") == b"7"


def test_what_has_expired_has_expired_everywhere(clients: list["redis.Redis[bytes]"]) -> None:
    one, two, three = clients
    assert one.set("t", "v", px=150)
    assert two.pttl("t") > 0
    while two.get("t") is not None:
        pass
    assert [client.exists("t") for client in (one, three)] == [0, 0]


def test_redis_own_words_of_error(clients: list["redis.Redis[bytes]"]) -> None:
    clients[0].hset("h", "f", "1")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE Operation against a key holding"):
        clients[1].get("h")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        clients[1].execute_command("LPUSH", "l", "1")


def test_an_identified_write_happens_once_at_whichever_member(
    clients: list["redis.Redis[bytes]"],
) -> None:
    for client in clients:
        with client.pipeline(transaction=False) as pipe:
            pipe.execute_command("QUORATE", "IDENTITY", "worker", 1)
            assert pipe.incr("once").execute() == [b"OK", 1]
    assert clients[0].get("once") == b"1"


@pytest.mark.parametrize("level", ["linearizable", "lease", "stale", "stale MAXLAG 10000"])
def test_reads_of_every_consistency(level: str, cluster: list[Place]) -> None:
    made = [
        redis.Redis.from_url(f"redis://{place.clients}", single_connection_client=True)
        for place in cluster
    ]
    for client in made:
        assert client.execute_command("QUORATE", "CONSISTENCY", *level.split())
        assert client.set("level", level)
        read = [client.get("level") for client in made]
        if "stale" in level:  # A reader may be behind, but its own writes come in time.
            while any(client.get("level") != level.encode() for client in made):
                pass
        else:
            assert read == [level.encode()] * 3
        assert client.execute_command("QUORATE", "CONSISTENCY", "linearizable")
    for client in made:
        client.close()


HOSTILE = (
    b"\xff" * 100,
    b"*1\r\n$-5\r\n",
    frames.frame_head(frames.HELLO, b"", b"\x92\xa1\xe7\xa0"),
    frames.frame(frames.HELLO, b"\x97\xa7quorate\x01\x01\xa1\x87\xa2n2\x01\xa6member"),
    frames.frame(frames.HELLO, b"\x91" * 3000),
)
QUESTIONS = (b"\xe7", b'{"x":' + b"[" * 200_000, b'{"ask":"meet","member":"x y","address":"h:1"}')


def test_nothing_that_a_stranger_sends_ends_a_member(
    cluster: list[Place], clients: list["redis.Redis[bytes]"]
) -> None:
    before = [(place.pid(), (place.directory / "node.toml").read_text()) for place in cluster]
    for place in cluster:
        name = place.config.cluster
        hello = frames.frame(frames.HELLO, msgspec.msgpack.encode(own_hello(name, "", 0)))
        asked = [hello + frames.frame(frames.ASK, question) for question in QUESTIONS]
        for address in (place.clients, place.config.members[place.name]):
            for data in (*HOSTILE, *asked):
                with socket.create_connection(parse_address(address, "")) as stranger:
                    stranger.settimeout(5)
                    with suppress(OSError):  # It may be let go before it has sent everything.
                        stranger.sendall(data)
                        stranger.shutdown(socket.SHUT_WR)
                        while stranger.recv(1 << 16):
                            pass
    assert [client.ping() for client in clients] == [True] * 3
    after = [(place.pid(), (place.directory / "node.toml").read_text()) for place in cluster]
    assert after == before


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
def test_redis_cli_itself(cluster: list[Place]) -> None:
    def cli(place: Place, *words: str) -> str:
        port = place.clients.rpartition(":")[2]
        done = subprocess.run(
            ["redis-cli", "-p", port, *words], capture_output=True, text=True, timeout=20
        )
        return done.stdout.strip()

    assert cli(cluster[0], "set", "cli", "yes") == "OK"
    assert cli(cluster[1], "get", "cli") == "yes"
    assert "role:" in cli(cluster[2], "info", "replication")
