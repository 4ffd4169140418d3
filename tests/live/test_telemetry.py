"""A live member tells how it does: by HTTP, in its status, and in its log."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from quorate.cli.main import main
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import parse_address
from quorate.live.metrics import MOST_AT_ONCE
from quorate.live.supervisor import Place

ROOT = Path(__file__).parent.parent.parent
HISTOGRAMS = {"quorate_sync_seconds", "quorate_loop_delay_seconds", "quorate_gc_pause_seconds"}
"""Of these there are the samples _bucket, _sum and _count."""


def get(place: Place, page: str) -> tuple[int, str]:
    """A page's status and content."""
    connection = http.client.HTTPConnection(place.config.metrics, timeout=10)
    try:
        connection.request("GET", page)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(place: Place) -> dict[str, float]:
    """All samples of a member, by name and labels as they are written."""
    text = get(place, "/metrics")[1]
    return {
        sample.name + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def eventually(place: Place, page: str, status: int) -> str:
    """What the page says, once it has this status."""
    deadline = time.monotonic() + 10
    while True:
        try:
            found, text = get(place, page)
        except (OSError, http.client.HTTPException) as error:
            found, text = 0, str(error)  # Too many are asking: the next one may be served.
        if found == status:
            return text
        assert time.monotonic() < deadline, f"{page}: {found} {text}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    directory = tmp_path_factory.mktemp("telemetry") / "cluster"
    words = ["up", "kv", "--nodes", "3", "--dir", str(directory), "--detach", "--metrics"]
    assert main(words) == 0
    places = supervisor.find(directory)
    yield places
    supervisor.stop(places)


def leader_of(cluster: list[Place]) -> Place:
    facts = supervisor.await_ready(cluster)
    return next(p for p, fact in zip(cluster, facts, strict=True) if fact["role"] == "leader")


def test_what_clients_did_is_counted(cluster: list[Place]) -> None:
    leader = leader_of(cluster)
    before = metrics(leader)
    with redis.Redis.from_url(f"redis://{leader.clients}", protocol=3) as client:
        for number in range(50):
            client.set(f"key{number}", "x" * 100)
        after = metrics(leader)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["quorate_commands_total outcome=ok"] >= 50
    assert grown["quorate_commands_total outcome=info"] == 0
    assert grown["quorate_commit_index"] >= 50
    assert grown["quorate_sync_seconds_count"] >= 50
    assert grown["quorate_sync_seconds_sum"] > 0
    assert grown["quorate_client_connections"] == 1
    peers = [place.name for place in cluster if place is not leader]
    for way in ("sent", "received"):
        # One follower's reply makes a majority; the other may be behind, and catch up in leaps.
        messages = [grown[f"quorate_link_messages_{way}_total peer={peer}"] for peer in peers]
        assert min(messages) > 0
        assert sum(messages) >= 50
    for peer in peers:
        assert after[f"quorate_link_up peer={peer}"] == 1
        assert f"quorate_follower_lag_entries peer={peer}" in after
    assert after["quorate_role role=leader"] == 1
    assert after["quorate_term"] >= 1
    assert after["quorate_journal_bytes"] > 0
    assert after["quorate_disk_free_bytes"] > 0
    assert after["quorate_loop_delay_seconds_count"] > 0
    assert after["process_resident_memory_bytes"] > 10e6


def test_acknowledged_commands_are_those_in_the_log(cluster: list[Place]) -> None:
    leader = leader_of(cluster)
    before = supervisor.status(leader)
    with redis.Redis.from_url(f"redis://{leader.clients}", protocol=3) as client:
        for number in range(20):
            client.set("same", number)
    after = supervisor.status(leader)
    # Besides what was set, redis-py introduces itself, which the log need not hold.
    assert after["commit_index"] - before["commit_index"] == 20
    assert 20 <= after["outcomes"]["ok"] - before["outcomes"].get("ok", 0) <= 24
    assert after["longest_ms"]["sync"] > 0


def test_documents_and_alerts_speak_of_metrics_that_exist(cluster: list[Place]) -> None:
    text = get(leader_of(cluster), "/metrics")[1]
    told = set(re.findall(r"^(quorate_\w+?)(?:_bucket)?[ {]", text, re.MULTILINE))
    told.add("quorate_snapshot_timestamp_seconds")  # Once there is a snapshot.
    for file in ("docs/operations.md", "deploy/alerts.yaml"):
        named = set(re.findall(r"\bquorate_\w+", (ROOT / file).read_text("utf-8")))
        assert len(named) > 5
        assert {name.removesuffix("_bucket") for name in named} - told <= HISTOGRAMS, file


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_no_complaints(cluster: list[Place]) -> None:
    text = get(leader_of(cluster), "/metrics")[1]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_member_without_a_majority_is_not_ready(cluster: list[Place]) -> None:
    assert get(cluster[0], "/ready") == (200, "ok\n")
    others = cluster[1:]
    for place in others:
        pid = place.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    told = eventually(cluster[0], "/ready", 503)
    assert "leader" in told or "it reaches 1 of 3 members" in told
    assert get(cluster[0], "/health") == (200, "ok\n")
    assert metrics(cluster[0])["quorate_ready"] == 0
    for place in others:
        while place.pid() is not None:
            time.sleep(0.01)
        supervisor.start(place)
    supervisor.await_ready(cluster)
    assert eventually(cluster[0], "/ready", 200) == "ok\n"
    log = (cluster[0].directory / supervisor.LOG).read_text("utf-8")
    assert "peer down  peer=n2" in log
    assert log.count("peer up  peer=n2") == 2


def test_a_loop_that_does_not_turn_is_not_healthy(cluster: list[Place]) -> None:
    """A stopped process answers nothing; one that goes on says so, and how late it was."""
    pid = cluster[0].pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(2.5)
    with socket.create_connection(parse_address(cluster[0].config.metrics, ""), 5) as sock:
        sock.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(100)
        os.kill(pid, signal.SIGCONT)
    assert eventually(cluster[0], "/health", 200) == "ok\n"
    supervisor.await_ready(cluster)
    assert supervisor.status(cluster[0])["longest_ms"]["delay"] > 2000


def test_strangers_and_slow_clients_hold_up_nobody(cluster: list[Place]) -> None:
    place = cluster[1]
    eventually(place, "/../../etc/passwd", 404)
    address = parse_address(place.config.metrics, "")
    slow = [socket.create_connection(address, 5) for _ in range(3 * MOST_AT_ONCE)]
    try:
        with redis.Redis.from_url(f"redis://{place.clients}", protocol=3) as client:
            assert client.set("still", "here")
        for sock in slow[:MOST_AT_ONCE]:
            sock.sendall(b"\xff" * 100 + b"\r\n\r\n")
    finally:
        for sock in slow:
            sock.close()
    assert eventually(place, "/health", 200) == "ok\n"


def test_refused_connections_are_told_in_the_log(cluster: list[Place]) -> None:
    with socket.create_connection(parse_address(cluster[0].config.members["n1"], ""), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while sock.recv(4096):
            pass
    log = (cluster[0].directory / supervisor.LOG).read_text("utf-8")
    assert "warning  n1  refused  connection=" in log


def test_logs_can_be_for_programs(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    places = supervisor.create(directory, "raft", 1, log="json")
    supervisor.start(places[0])
    try:
        supervisor.await_ready(places)
    finally:
        supervisor.stop(places)
    text = (places[0].directory / supervisor.LOG).read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "serves"
    assert events[-1] == "stops"
    assert "leader" in {line["now"] for line in lines if line["event"] == "role"}
    assert all(line["member"] == "n1" and line["time"].endswith("Z") for line in lines)


def test_metrics_are_not_for_other_machines(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="open to other machines"):
        supervisor.create(tmp_path / "cluster", "raft", 1, metrics="192.0.2.1:9101")


def test_a_taken_port_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        places = supervisor.create(tmp_path / "c", "raft", 1, metrics=f"127.0.0.1:{port}")
        assert main(["node", "--config", str(places[0].directory / supervisor.CONFIG)]) == 3
    assert f"cannot serve metrics at 127.0.0.1:{port}" in capfd.readouterr().err
