"""Recordings of a live cluster: they play again as they happened, or say where they do not."""

import shutil
import socket
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from quorate.cli.main import main
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.explore.recorded import Flushed, Merged, Parted, Played, play_all
from quorate.kernel import NodeId, always
from quorate.live import supervisor
from quorate.live.recorder import _PREFIX, read_recording
from quorate.scenario.system import System
from quorate.trace import read_trace

SYSTEM = system_of("raft")


def say(place: supervisor.Place, *words: str) -> bytes:
    """One command, and the beginning of its reply."""
    host, port = place.clients.split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(" ".join(words).encode() + b"\r\n")
        return sock.recv(4096)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster's directory: it served, was killed, and served again."""
    directory = tmp_path_factory.mktemp("recorded") / "cluster"
    up = ["up", "raft", "--nodes", "3", "--dir", str(directory), "--detach"]
    assert main([*up, "--record", "all"]) == 0
    places = supervisor.find(directory)
    for number in range(10):
        say(places[number % 3], "put", "x", str(number))
    supervisor.stop(places, seconds=0)  # Not a chance to stop by itself: a kill.
    assert main(up) == 0
    for number in range(5):
        say(places[number % 3], "get", "x")
    supervisor.stop(places)
    return directory


def played(directory: Path, system: System = SYSTEM) -> Merged:
    """All of it, played."""
    members, plays = play_all(system, directory)
    merged = Merged(system, members)
    for one in plays:
        merged.take(one)
    return merged


def test_every_step_plays_again_and_every_message_is_matched(recorded: Path) -> None:
    merged = played(recorded)
    assert merged.violation is None
    assert merged.counters["crashes"] == 3
    assert merged.counters["steps invoke"] == 15
    deliveries = [record for record in merged.records if record.kind == "deliver"]
    assert len(deliveries) > 100
    assert all(record.flight is not None for record in deliveries)
    assert all(record.cause < record.id for record in merged.records)


def test_the_command_judges_and_writes_the_merged_trace(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, trace = tmp_path / "p.html", tmp_path / "t.jsonl"
    assert main(["replay", str(recorded), "--html", str(page), "--trace", str(trace)]) == 0
    assert "run again by the same function" in capsys.readouterr().out
    assert page.stat().st_size > 10_000
    steps = read_trace(trace).steps
    assert {"start", "deliver", "fire", "batch", "invoke", "fault"} <= {one.kind for one in steps}


def test_a_property_that_does_not_hold_of_a_cut_is_found(recorded: Path) -> None:
    @always
    def nothing_is_ever_committed(nodes: list[object]) -> bool:
        return all(node.commit_index < 5 for node in nodes)  # type: ignore[attr-defined]

    scenario = msgspec.structs.replace(
        SYSTEM.scenario, properties=(nothing_is_ever_committed,), monitors=()
    )
    merged = played(recorded, msgspec.structs.replace(SYSTEM, scenario=scenario))
    assert merged.violation is not None
    assert merged.violation.property == "nothing_is_ever_committed"


def altered(recorded: Path, tmp_path: Path, change: object) -> Path:
    """A copy in which `change(entries)` was done to the entries of n1's first file."""
    copy = tmp_path / "copy"
    shutil.copytree(recorded, copy)
    path = min((copy / "n1" / "data" / "steps").iterdir())
    data, at, entries = path.read_bytes(), 0, list[list[object]]()
    while length := _PREFIX.unpack_from(data, at)[0]:
        entries.append(msgspec.msgpack.decode(data[at + 8 : at + 8 + length]))
        at += 8 + length
    change(entries)  # type: ignore[operator]
    bodies = [msgspec.msgpack.encode(entry) for entry in entries]
    whole = b"".join(_PREFIX.pack(len(body), crc32(body)) + body for body in bodies)
    path.write_bytes(whole + bytes(8))
    return copy


STEP, HEAD = 2, 0


def nth_step(entries: list[list[object]], count: int) -> list[object]:
    """The fields of a step's entry."""
    fields = [entry[1] for entry in entries if entry[0] == STEP][count]
    assert isinstance(fields, list)
    return fields


def test_an_altered_byte_is_named_by_the_step_that_it_follows(
    recorded: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(recorded, copy)
    path = min((copy / "n2" / "data" / "steps").iterdir())
    data = bytearray(path.read_bytes())
    data[4000] ^= 1
    path.write_bytes(data)
    with pytest.raises(Mistake, match=r"step \d+ does not match its checksum"):
        played(copy)


def test_a_kill_may_cut_the_last_entry_short_and_no_other(recorded: Path, tmp_path: Path) -> None:
    path = min((recorded / "n2" / "data" / "steps").iterdir())
    data = path.read_bytes()[:20_000]
    ends = [0]
    while len(ends) < 20 and (length := _PREFIX.unpack_from(data, ends[-1])[0]):
        ends.append(ends[-1] + 8 + length)
    torn, zeros = tmp_path / "torn", bytes(len(data))
    *_, before, last, _ = ends
    for at in range(before, last + 1):
        cut = data[:at] + zeros[at:]
        torn.write_bytes(cut)
        is_whole = cut[before:last] == data[before:last]
        assert len([*read_recording(torn)]) == len(ends) - 3 + is_whole
    torn.write_bytes(data[:before] + zeros[before:last] + data[last:])
    with pytest.raises(Mistake, match="hole"):
        list(read_recording(torn))
    torn.write_bytes(data[: last - 1] + bytes([data[last - 1] ^ 1]) + data[last:])
    with pytest.raises(Mistake, match="checksum"):
        list(read_recording(torn))


@pytest.mark.parametrize(
    ("place", "value"),
    [(3, b"\x91\xb0ElectionTimeout"), (9, b"12345678"), (2, "n9")],
    ids=["another event", "another digest", "another sender"],
)
def test_a_step_that_does_not_do_what_was_recorded_is_named(
    recorded: Path, tmp_path: Path, place: int, value: object
) -> None:
    def change(entries: list[list[object]]) -> None:
        # A message from another server, whichever one has led.
        steps = [entry[1] for entry in entries if entry[0] == STEP]
        others = ("n2", "n3")
        step = next(s for s in steps if isinstance(s, list) and s[2] in others and s[1] == "n1")
        step[place] = value

    with pytest.raises(Parted, match="n1, step"):
        played(altered(recorded, tmp_path, change))


def test_a_step_that_is_left_out_is_noticed(recorded: Path, tmp_path: Path) -> None:
    def change(entries: list[list[object]]) -> None:
        steps = [place for place, entry in enumerate(entries) if entry[0] == STEP]
        del entries[steps[1]]

    with pytest.raises(Parted, match="n1, step"):
        played(altered(recorded, tmp_path, change))


def test_a_recovery_that_forgets_what_was_synced_is_noticed(recorded: Path, tmp_path: Path) -> None:
    def change(entries: list[list[object]]) -> None:
        # As if all that was written after the second step had come back as synced, and was lost.
        kept = [place for place, entry in enumerate(entries) if entry[0] == STEP][2:]
        del entries[kept[0] :]

    copy = altered(recorded, tmp_path, change)
    with pytest.raises(Parted, match="began incarnation 2 with a durable state"):
        played(copy)


def test_a_directory_without_a_recording_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.create(tmp_path / "c", "raft", 1)
    assert main(["replay", str(tmp_path / "c")]) == 3
    assert "holds no recording" in capsys.readouterr().err


def test_syncs_release_what_waited(recorded: Path) -> None:
    _, plays = play_all(SYSTEM, recorded)
    kinds = {type(one) for one in plays}
    assert kinds == {Played, Flushed}
    assert all(record.released >= record.time for record in played(recorded).records[:50])


def test_ids_of_members_are_lanes(recorded: Path) -> None:
    members, _ = play_all(SYSTEM, recorded)
    assert members == [NodeId("n1"), NodeId("n2"), NodeId("n3")]
