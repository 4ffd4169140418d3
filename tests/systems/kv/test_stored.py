"""What a member stores of the store, a new process reads: with every kind of entry there is."""

from typing import Any

import msgspec
import pytest

from quorate.cli.systems import system_of
from quorate.kernel import NodeId, Operation
from quorate.live.codec import Codec
from quorate.protocols.consensus.raft_state import Snapshot
from tests.systems.kv.rig import Ours

COMMANDS = b"""\
SET text hello
SET binary "\\x00\\xff"
HSET hash f 1 g 2
SET mortal x PX 100000
"""


@pytest.fixture
def codec() -> Codec:
    system = system_of("kv")
    return Codec((system.scenario.node, system.client), system.modules)


@pytest.fixture
def state() -> Any:
    """A server's machine that holds entries of every kind."""
    ours = Ours()
    connection = ours.connect()
    for line in COMMANDS.splitlines():
        assert not connection.ask(line + b"\r\n", 1_000_000).startswith(b"-")
    many = " ".join(f"f{number} {number}" for number in range(100))
    assert connection.ask(f"HSET large {many}\r\n".encode(), 1_000_000) == b":100\r\n"
    for key, value in (("number", 5), ("truth", True)):
        ours.machine, _ = ours.machine.apply(Operation("write", key, value))
    fresh: Any = system_of("kv").server("", NodeId("n1"), (NodeId("n1"),))
    machine = msgspec.structs.replace(fresh.state.machine, keyspace=ours.machine)
    return msgspec.structs.replace(fresh.state, machine=machine)


def test_a_stored_snapshot_is_read_as_it_was(codec: Codec, state: Any) -> None:
    snapshot = Snapshot(7, 3, state=state)
    again = codec.named(codec.named_bytes(snapshot))
    assert again == snapshot
    entries = again.state.machine.keyspace.content.entries
    assert entries[b"text"].value == b"hello"
    assert entries[b"hash"].fields[b"g"] == b"2"
    assert entries[b"truth"].value is True


def test_a_snapshot_that_is_sent_in_parts_is_put_together(codec: Codec, state: Any) -> None:
    sent = tuple(codec.plain(codec.encode(part)) for part in state.parts())
    empty: Any = system_of("kv").server("", NodeId("n2"), (NodeId("n2"),))
    assert empty.state.of(sent) == state


def test_a_mutant_puts_together_what_it_sends() -> None:
    """Its modules are its own, and so are the classes of their parts."""
    system = system_of("kv@vote-not-durable")
    codec = Codec((system.scenario.node, system.client), system.modules)
    fresh: Any = system.server("", NodeId("n1"), (NodeId("n1"),))
    sent = tuple(codec.plain(codec.encode(part)) for part in fresh.state.parts())
    assert sent
    assert fresh.state.of(sent) == fresh.state
