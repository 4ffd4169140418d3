"""What stands in deploy/ is true: the example is complete, and each file is what its tool takes."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from quorate.live.config import Config, Tls, read_config

DEPLOY = Path(__file__).parent.parent / "deploy"
COMPOSE = DEPLOY / "compose"
UNIT = "quorate@.service"


def test_the_example_configuration_is_accepted() -> None:
    config = read_config(DEPLOY / "node.toml")
    assert (config.system, config.member, config.log) == ("kv", "n1", "text")
    assert config.tls is not None


def test_the_example_explains_every_key() -> None:
    text = (DEPLOY / "node.toml").read_text("utf-8")
    for name in {*Config.__struct_fields__, *Tls.__struct_fields__} - {"members", "tls"}:
        assert re.search(rf"^(# )?{name} = ", text, re.MULTILINE), name
    keys = set(tomllib.loads(text)) | set(tomllib.loads(text)["tls"])
    assert keys <= {*Config.__struct_fields__, *Tls.__struct_fields__}


def test_members_of_the_compose_file_are_accepted_and_fit_each_other() -> None:
    configs = [read_config(COMPOSE / f"{name}.toml") for name in ("n1", "n2", "n3")]
    assert [config.member for config in configs] == ["n1", "n2", "n3"]
    assert len({(c.cluster, c.system, tuple(c.members.items())) for c in configs}) == 1
    assert all(config.tls is not None and config.tls.clients for config in configs)


def parsed_compose() -> dict[str, Any]:
    """The compose file by its own tool, or by any reader of YAML that is here."""
    if shutil.which("docker"):
        done = subprocess.run(
            ["docker", "compose", "--file", str(COMPOSE / "compose.yaml"), "config", "--format",
             "json"], capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode == 0:
            return dict(json.loads(done.stdout))
    yaml = pytest.importorskip("yaml", reason="neither docker compose nor PyYAML is installed")
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8")))


def test_the_compose_file_starts_what_the_configurations_name() -> None:
    services = parsed_compose()["services"]
    for name in ("n1", "n2", "n3"):
        config = read_config(COMPOSE / f"{name}.toml")
        mounts = [
            v if isinstance(v, str) else f"{v['source']}:{v['target']}"
            for v in services[name]["volumes"]
        ]
        assert any(f"{name}.toml:/etc/quorate/node.toml" in mount for mount in mounts)
        assert any(f"certificates/{name}:/etc/quorate/tls" in mount for mount in mounts)
        assert any(mount == f"{name}:/var/lib/quorate" for mount in mounts)
        assert config.data.startswith("/var/lib/quorate/")
        assert config.metrics in str(services[name]["healthcheck"]["test"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    text = (DEPLOY / UNIT).read_text("utf-8")
    # It refuses a program that is not there.
    unit = tmp_path / UNIT.replace("@", "@n1")
    unit.write_text(text.replace("/opt/quorate/bin/quorate", shutil.which("true") or ""), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (
        0,
        [],
    )
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_the_unit_does_not_start_again_what_no_start_can_mend() -> None:
    lines = (DEPLOY / UNIT).read_text("utf-8").splitlines()
    assert "Restart=on-failure" in lines
    assert "RestartPreventExitStatus=3" in lines


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_takes_the_alerts() -> None:
    words = ["promtool", "check", "rules", str(DEPLOY / "alerts.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_advice() -> None:
    text = (DEPLOY.parent / "docs" / "operations.md").read_text("utf-8")
    alerts = re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yaml").read_text("utf-8"))
    assert len(alerts) >= 8
    for alert in alerts:
        assert re.search(rf"^\|.*\b{alert}\b.*\|", text, re.MULTILINE), alert


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_certificates_are_kept_and_name_their_hosts(tmp_path: Path) -> None:
    def make(*names: str) -> None:
        words = ["sh", str(DEPLOY / "certificates.sh"), str(tmp_path / "made"), *names]
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    def of(name: str) -> str:
        words = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in"]
        file = tmp_path / "made" / name / "member.pem"
        return subprocess.run(
            [*words, str(file)], check=True, capture_output=True, text=True
        ).stdout

    make("n1=n1.example.com,10.0.0.1,fd00::1")
    assert "DNS:n1.example.com, IP Address:10.0.0.1, IP Address:FD00:" in of("n1")
    before = (tmp_path / "made" / "n1" / "member.pem").read_bytes()
    authority = (tmp_path / "made" / "ca.pem").read_bytes()
    make("n1=other", "n2=n2")
    assert (tmp_path / "made" / "n1" / "member.pem").read_bytes() == before
    assert (tmp_path / "made" / "n2" / "ca.pem").read_bytes() == authority
    assert "DNS:n2" in of("n2")
    assert (tmp_path / "made" / "n2" / "member.key").stat().st_mode & 0o077 == 0
