"""The live benchmarks measure what they say, and tell what is wrong whatever the speed."""

import shutil
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quorate.bench import etcd_load, failover, live, load, million, servers
from quorate.bench.load import Seen
from quorate.bench.options import Options
from quorate.bench.report import samples
from quorate.bench.servers import Etcd, PySyncObj, Redis
from quorate.errors import Mistake
from quorate.live.supervisor import free_ports

needs_redis = pytest.mark.skipif(
    not (shutil.which("redis-benchmark") and shutil.which("redis-server")),
    reason="redis is not installed",
)


@needs_redis
def test_a_short_run_measures_ours_and_every_peer_that_is_here() -> None:
    row = live.measure_live(200, rounds=1, options=Options(quick=True))
    assert not row.wrong
    peers = [measure.peer for measure in row.measures if measure.peer]
    assert len(peers) == 3 + (not Etcd.absent()) + (not PySyncObj.absent())
    assert all(measure.ours.median > 0 for measure in row.measures)
    assert all(m.theirs is not None and m.theirs.median > 0 for m in row.measures if m.peer)
    assert any("one sync of the leader for" in note for note in row.notes)


def statuses(*facts: dict[str, Any]) -> Any:
    """A cluster whose leader says this, one after the other."""
    told = iter(facts)
    return SimpleNamespace(leader=None, address=("", 0), status=lambda place: next(told))


def facts(ok: int, entries: int, **other: Any) -> dict[str, Any]:
    return {
        "outcomes": {"ok": ok}, "commit_index": entries, "syncs": 5, "current_term": 1, **other,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("after", "is_wrong"),
    [
        (facts(3202, 200), False),
        (facts(3202, 201, current_term=2), False),  # Another leader began with an entry.
        (facts(3202, 199), True),  # Acknowledged, and not in the log.
        (facts(3201, 200), True),
        (facts(3202, 200, outcomes={"ok": 3202, "info": 1}), True),
    ],
)
def test_commands_that_are_not_in_the_log_are_told(
    monkeypatch: pytest.MonkeyPatch, after: dict[str, Any], is_wrong: bool
) -> None:
    monkeypatch.setattr(live, "redis_benchmark", lambda *_: Seen(1.0, 1.0, 1.0, 0.0))
    checked = live._Checked(statuses(facts(0, 0), after))
    checked.run(3200, 16)
    assert bool(checked.wrong) is is_wrong


def test_keys_that_are_not_there_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for reply in 3 * [b":9510\r\n"] + 3 * [b":9000\r\n"]:
                sock, _ = server.accept()
                with sock:
                    sock.recv(100)
                    sock.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        clients = "{}:{}".format(*server.getsockname())
        ours: Any = SimpleNamespace(places=3 * [SimpleNamespace(clients=clients, name="n1")])
        checked = live._Checked(ours)
        checked.acknowledged = checked.largest = 10_000  # Draws of 100 000 keys.
        checked.look_for_keys()
        assert not checked.wrong
        checked.look_for_keys()
        assert checked.wrong == ["the members have 9,000, 9,000, 9,000 keys, not 9,047 to 9,986"]


def test_goals_are_those_of_the_table() -> None:
    rates = {name: samples("/s", [value]) for name, value in {
        "ours": 15_000.0, "ours -P 16": 99_000.0, "etcd": 10_001.0, "Redis -P 16": 200_000.0,
        "ours, -r": 14_000.0, "ours -P 16, -r": 60_000.0,
    }.items()}  # fmt: skip
    goals = [goal for measure in live._measures(rates) for goal in measure.goals]
    assert [goal.is_met for goal in goals] == [False, False, True]


@needs_redis
def test_one_write_is_measured_beside_a_sync() -> None:
    row = live.measure_latency(20, rounds=1)
    assert [measure.peer for measure in row.measures][:2] == ["write and sync alone", "Redis"]
    assert all(m.theirs is not None and m.theirs.median > 0.001 for m in row.measures)
    assert row.measures[0].ours.median > 0.001


@needs_redis
def test_without_a_snapshot_nothing_is_said_of_one() -> None:
    row = million.measure_million(2000, 500)
    assert row.wrong == ("no snapshot was taken, so nothing was seen of one",)
    assert all(measure.ours.median > 0 for measure in row.measures[1:4])


def test_a_killed_leader_costs_an_election_and_no_write() -> None:
    row = failover.measure_failover(1, seed=1)
    assert not row.wrong
    assert 0.3 < row.measures[0].ours.median < 30
    assert int(row.notes[0].split()[0].replace(",", "")) > 1


def test_a_lost_write_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                for reply in (b"$100\r\n" + load.VALUE + b"\r\n", b"$-1\r\n"):
                    sock.recv(4096)
                    sock.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        ours: Any = SimpleNamespace(address=server.getsockname())
        assert failover._lost(ours, [b"kept", b"lost"]) == [b"lost"]


def test_snapshots_are_read_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "2026-03-01T12:00:00.500Z  info     n1  stored  name=snapshot seconds=1.5\n"
        "2026-03-01T12:00:09.000Z  info     n1  stored  name=snapshot seconds=0.25\n"
        "2026-03-01T12:00:09.000Z  info     n1  role  now=leader was=follower term=3\n"
    )
    place: Any = SimpleNamespace(directory=tmp_path)
    noon = 1_772_366_400.0
    assert million._snapshots(place, noon + 5) == [(noon + 8.75, noon + 9.0)]
    assert len(million._snapshots(place, noon - 5)) == 2


def test_a_wait_beside_a_snapshot_is_its() -> None:
    assert million._touch((10.0, 10.1), (10.05, 11.0))
    assert million._touch((9.9, 9.95), (10.0, 11.0))
    assert not million._touch((8.0, 9.0), (10.0, 11.0))


@pytest.mark.skipif(bool(Etcd.absent()), reason="etcd is not installed")
def test_etcd_has_what_was_put() -> None:
    etcd = Etcd()
    try:
        seen = load.etcd_puts(etcd.address, 300, 16)
        assert seen.rate > 0
        host, port = etcd.address
        ask = ["etcdctl", "--endpoints", f"{host}:{port}", "get", "--prefix", "key:", "--keys-only"]
        keys = [line for line in servers._told(ask, ETCDCTL_API="3").splitlines() if line]
        assert len(keys) == 300
        refusing = etcd_load.Load(host, port)
        refusing._headers = refusing._headers.replace(b"KV/Put", b"KV/Pot")
        with pytest.raises(RuntimeError, match="refused a put"):
            refusing.run(1, 1)
        refusing.close()
    finally:
        etcd.close()


def test_a_peer_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "free_ports", lambda count: iter([99999] * count))
    if Redis.absent():
        pytest.skip(Redis.absent())
    with pytest.raises(Mistake, match="Redis does not start"):
        Redis()
    assert next(free_ports(1)) > 0
