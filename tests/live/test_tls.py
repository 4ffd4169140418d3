"""Members with mutual TLS: they serve who has a certificate, and refuse all others in one line."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from quorate.cli.main import main
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import Tls, parse_address, tls_contexts, to_toml
from quorate.live.operator import Unreachable, ask
from quorate.live.supervisor import Place

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

SCRIPT = Path(__file__).parent.parent.parent / "deploy" / "certificates.sh"
NAMES = ("n1", "n2", "n3", "client")


def certificates(folder: Path, *names: str, host: str = "localhost,127.0.0.1") -> Path:
    """An authority of its own, and a certificate for each name."""
    words = ["sh", str(SCRIPT), str(folder), *(f"{name}={host}" for name in names)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder


def tls_of(folder: Path, name: str) -> dict[str, str | bool]:
    """A [tls] table."""
    return {
        "ca": str(folder / "ca.pem"),
        "certificate": str(folder / name / "member.pem"),
        "key": str(folder / name / "member.key"),
        "clients": True,
        "client_certificates": True,
    }


def create(directory: Path, folder: Path) -> list[Place]:
    """A cluster whose members have their certificates."""
    places = supervisor.create(directory, "kv", 3)
    for place in places:
        file = place.directory / supervisor.CONFIG
        table = to_toml({"tls": tls_of(folder, place.name)})
        file.write_text(file.read_text("utf-8") + table, "utf-8")
    return supervisor.find(directory)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certificates"), *NAMES)


@pytest.fixture(scope="module")
def cluster(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    places = create(tmp_path_factory.mktemp("tls") / "cluster", folder)
    assert main(["up", "--dir", str(places[0].directory.parent), "--detach"]) == 0
    yield places
    supervisor.stop(places)


def client(place: Place, folder: Path, name: str = "client") -> "redis.Redis[bytes]":
    host, port = parse_address(place.clients, "")
    return redis.Redis(
        host, port, ssl=True, ssl_ca_certs=str(folder / "ca.pem"), protocol=3,
        ssl_certfile=str(folder / name / "member.pem"),
        ssl_keyfile=str(folder / name / "member.key"),
    )  # fmt: skip


def log_of(place: Place) -> str:
    return (place.directory / supervisor.LOG).read_text("utf-8")


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_member_serves_a_client_with_a_certificate(
    cluster: list[Place], folder: Path
) -> None:
    for number, place in enumerate(cluster):
        with client(place, folder) as one:
            assert one.set(f"key{number}", place.name)
    with client(cluster[0], folder) as one:
        assert one.mget("key0", "key1", "key2") == [b"n1", b"n2", b"n3"]
    assert main(["status", "--dir", str(cluster[0].directory.parent)]) == 0


def test_nothing_that_clients_say_goes_in_the_clear(cluster: list[Place], folder: Path) -> None:
    """What a member answers to plain words is no reply, and they are refused in one line."""
    before = log_of(cluster[0]).count("refused")
    with socket.create_connection(parse_address(cluster[0].clients, ""), 5) as sock:
        sock.sendall(b"PING\r\n")
        told = b""
        while piece := sock.recv(4096):
            told += piece
    assert b"PONG" not in told
    wait_for(lambda: log_of(cluster[0]).count("refused") == before + 1)
    line = log_of(cluster[0]).splitlines()[-1]
    assert 'refused  connection="TLS: ' in line.replace("tls", "TLS")
    with client(cluster[0], folder) as one:
        assert one.ping()


def test_a_client_without_a_certificate_is_refused(cluster: list[Place], folder: Path) -> None:
    before = log_of(cluster[1]).count("peer did not return a certificate")
    host, port = parse_address(cluster[1].clients, "")
    stranger = redis.Redis(host, port, ssl=True, ssl_ca_certs=str(folder / "ca.pem"))
    with pytest.raises(redis.ConnectionError):
        stranger.ping()
    stranger.close()
    wait_for(
        lambda: log_of(cluster[1]).count("peer did not return a certificate") > before
    )  # redis-py tries again by itself


def test_another_authority_is_refused_on_both_sides(
    cluster: list[Place], folder: Path, tmp_path: Path
) -> None:
    foreign = certificates(tmp_path / "foreign", "n1", "client")
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        client(cluster[0], foreign).ping()
    assert "unknown ca" in log_of(cluster[0])
    # It trusts us, and yet we do not trust it.
    shutil.copy(folder / "ca.pem", foreign / "ca.pem")
    before = log_of(cluster[0]).count("certificate verify failed")
    with pytest.raises(redis.ConnectionError):
        client(cluster[0], foreign).ping()
    dial, _, _ = tls_contexts(Tls(**tls_of(foreign, "n1")), tmp_path)
    address = parse_address(cluster[0].config.members["n1"], "")
    with pytest.raises(Unreachable):
        ask(address, cluster[0].config.cluster, {"ask": "status"}, dial)
    wait_for(lambda: log_of(cluster[0]).count("certificate verify failed") >= before + 2)


def test_another_cluster_of_the_same_authority_is_refused(
    cluster: list[Place], folder: Path
) -> None:
    dial, _, _ = tls_contexts(Tls(**tls_of(folder, "n2")), folder)
    address = parse_address(cluster[0].config.members["n1"], "")
    with pytest.raises(Mistake, match=r"this is n1 of cluster kv-\w+, not of 'other'"):
        ask(address, "other", {"ask": "status"}, dial)
    assert ask(address, cluster[0].config.cluster, {"ask": "status"}, dial)["member"] == "n1"


def test_a_certificate_for_another_host_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    """Members that dial it say so in their logs, in one line for as long as it stays so."""
    places = create(tmp_path / "cluster", folder)
    certificates(folder, "elsewhere", host="192.0.2.7")
    file = places[0].directory / supervisor.CONFIG
    text = file.read_text("utf-8").replace("n1/member", "elsewhere/member")
    file.write_text(text, "utf-8")
    for place in places:
        supervisor.start(place)
    try:
        wait_for(lambda: "peer not reached  peer=n1" in log_of(places[1]))
        wait_for(lambda: "now=leader" in log_of(places[1]) + log_of(places[2]))
        time.sleep(1)
        lines = [text for text in log_of(places[1]).splitlines() if "peer=n1" in text]
        assert sum("IP address mismatch" in text for text in lines) == 1
    finally:
        supervisor.stop(places)


def test_files_that_are_no_certificates_are_told_at_the_start(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = create(tmp_path / "cluster", folder)
    file = places[0].directory / supervisor.CONFIG
    file.write_text(file.read_text("utf-8").replace("n1/member.key", "n2/member.key"), "utf-8")
    assert main(["node", "--config", str(file)]) == 3
    told = capfd.readouterr().err
    assert told.startswith("quorate: tls: ")
    assert told.count("\n") == 1


def test_old_tls_is_refused(cluster: list[Place], folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(parse_address(cluster[0].clients, ""), 5) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
        context.wrap_socket(sock, server_hostname="127.0.0.1") as secure,
    ):
        secure.recv(1)
