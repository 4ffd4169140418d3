"""What members run is the very class that hunts and explorations load, by one function alone."""

import ast
from pathlib import Path

import pytest

from quorate.cli.systems import SYSTEMS, system_of
from quorate.explore.catalogue import CATALOGUE, Aim, load
from quorate.kernel import Node, step
from quorate.live import host, supervisor
from quorate.live.config import read_config
from quorate.live.member import Member
from quorate.live.supervisor import CONFIG

SOURCES = Path(host.__file__).parent
MAY_STEP = {"host.py", "recorder.py"}
"""The engine, and the recorder that runs a sample of its steps again."""


def member_class(directory: Path, name: str) -> type[Node]:
    """The class of the server in a real member, which is not running."""
    (place,) = supervisor.create(directory, name, 1)
    config = read_config(place.directory / CONFIG)
    member = Member(config, system_of(name), place.directory / CONFIG)
    member.disk.close()
    return type(member.server.node)


@pytest.mark.parametrize("name", [*CATALOGUE, "raft@vote-not-durable"])
def test_a_member_runs_the_class_that_is_hunted(name: str, tmp_path: Path) -> None:
    assert member_class(tmp_path / "c", name) is load(Aim(name)).node


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_runs_the_class_of_its_protocol(name: str, tmp_path: Path) -> None:
    protocol, _ = SYSTEMS[name]
    assert member_class(tmp_path / "c", name) is load(Aim(protocol)).node


def test_nothing_but_the_engine_calls_step() -> None:
    callers = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "step":
                callers.add(path.name)
    assert callers == MAY_STEP
    assert host.step is step  # type: ignore[attr-defined]  # What it imports, and not one like it.
