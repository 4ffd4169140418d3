"""The store's members run without a collector: nothing that they do leaves cyclic garbage."""

import asyncio
import gc
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from quorate.cli.systems import system_of
from quorate.live import door, supervisor
from quorate.live.config import parse_address, read_config
from quorate.live.member import Member
from quorate.live.supervisor import CONFIG

ROUNDS = 40
SPOKEN = [
    b"SET a 1\r\nINCR a\r\nSET b 2 PX 5\r\nHSET h f v g w\r\nMSET x 1 y 2\r\nSCAN 0\r\n",
    b"HELLO 3\r\nMULTI\r\nINCR a\r\nGET h\r\nEXEC\r\nWATCH a\r\nMULTI\r\nEXEC\r\n",
    b"QUORATE IDENTITY me 7\r\nAPPEND b z\r\nINFO\r\nDEL a b\r\nFLY\r\nGET\r\nINCR h\r\n",
    b"*1\r\n$-5\r\n",
    b"\x00\xff garbage \r\n*3\r\n$3\r\nSET\r\n$1",
    b"QUIT\r\n",
]


@pytest.fixture
def collector() -> Iterator[None]:
    """What a member does to the collector and to threads is undone."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(700, 10, 10)


def talk(host: str, port: int, said: bytes) -> None:
    """Say something, hear the first of what there is to hear, and leave."""
    with socket.create_connection((host, port), timeout=0.5) as client, suppress(TimeoutError):
        client.sendall(said)
        client.recv(1)


async def garbage(directory: Path) -> int:
    """How many objects only a collector finds after `ROUNDS` rounds of everything."""
    (place,) = supervisor.create(directory, "kv", 1)
    path = place.directory / CONFIG
    member = Member(read_config(path), system_of("kv"), path)
    running = asyncio.create_task(member.run())
    while not hasattr(member.server.node, "leader") or not member.server.node.leader:
        await asyncio.sleep(0.01)
    assert not gc.isenabled()
    host, port = parse_address(member.config.clients, "clients")
    for said in SPOKEN:
        await asyncio.to_thread(talk, host, port, said)
    gc.collect()
    for _ in range(ROUNDS):
        for said in SPOKEN[:3]:
            await asyncio.to_thread(talk, host, port, said)
    found = gc.collect()
    member.stopped.set_result(None)
    await running
    return found


def run(running: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(running)


def test_no_operation_leaves_a_cycle(tmp_path: Path, collector: None) -> None:
    assert run(garbage(tmp_path / "c")) < ROUNDS


def test_a_cycle_for_each_operation_is_noticed(
    tmp_path: Path, collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., None] = door.Connection._complete

    def leave(connection: door.Connection, status: str, value: object) -> None:
        ring: list[object] = []
        ring.append(ring)
        real(connection, status, value)

    monkeypatch.setattr(door.Connection, "_complete", leave)
    assert run(garbage(tmp_path / "c")) >= ROUNDS
