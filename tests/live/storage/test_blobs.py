"""A value that was stored is there, whole, whatever happens; one that is damaged is refused."""

import multiprocessing
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Mistake
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.files import RealFiles, StorageFailed
from tests.live.storage.simulated import Crash, SimulatedDisk
from tests.live.storage.test_crashes import WithoutDataSync, WithoutDirectorySync

DIRECTORY = Path("stored")
IDENTITY = b"shop/n1"


def _value(number: int) -> list[bytes]:
    return [bytes([number]) * 700, b"", bytes([number]) * (number * 100)]


def _crash_everywhere(make: type[SimulatedDisk]) -> set[object]:
    """Crash in each call of some writes; return which versions were found, and check them."""
    found = set[object]()
    for call in range(1, 60):
        for seed in range(20):
            disk = make()
            chance = random.Random(1000 * call + seed)
            blobs = Blobs(disk, DIRECTORY, IDENTITY)
            disk.crash_at = disk.calls + call
            version = 0
            try:
                for version in range(1, 4):
                    blobs.write("snapshot", _value(version))
                    blobs.write(f"other {version}", _value(version))
            except Crash:
                disk.cut_power(chance.randrange) if seed % 4 else disk.kill()
            disk.crash_at = None
            value = Blobs(disk, DIRECTORY, IDENTITY).read("snapshot")
            allowed = {_joined(version - 1), _joined(version)}
            if f"other {version}" in Blobs(disk, DIRECTORY, IDENTITY).names():
                allowed = {_joined(version)}
            assert value in allowed, "neither the value before nor the new one"
            assert not [name for name in disk.list(DIRECTORY) if name.endswith(".new")]
            disk.cut_power(chance.randrange)
            assert Blobs(disk, DIRECTORY, IDENTITY).read("snapshot") == value, "what is read lasts"
            found.add(value)
    return found


def _joined(number: int) -> bytes | None:
    return b"".join(_value(number)) if number else None


def test_a_crash_leaves_the_value_before_or_the_new_one() -> None:
    assert _crash_everywhere(SimulatedDisk) == {_joined(number) for number in range(4)}


@pytest.mark.parametrize("make", [WithoutDataSync, WithoutDirectorySync])
def test_a_disk_that_is_not_told_to_sync_is_found(make: type[SimulatedDisk]) -> None:
    with pytest.raises((AssertionError, Mistake)):
        _crash_everywhere(make)


def test_each_flipped_bit_is_refused() -> None:
    disk = SimulatedDisk()
    blobs = Blobs(disk, DIRECTORY, IDENTITY)
    blobs.write("snapshot", _value(2))
    (name,) = disk.list(DIRECTORY)
    for offset in range(len(disk.read(DIRECTORY / name))):
        disk.flip(DIRECTORY / name, 8 * offset + offset % 8)
        with pytest.raises(Mistake) as caught:
            blobs.read("snapshot")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        disk.flip(DIRECTORY / name, 8 * offset + offset % 8)
    assert blobs.read("snapshot") == _joined(2)


def test_chunks_that_changed_places_are_refused(tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    blobs.write("snapshot", [b"a" * 100, b"b" * 100])
    path = tmp_path / "snapshot.blob"
    data = path.read_bytes()
    first, second = data[-224:-116], data[-116:-8]
    assert (first[-1:], second[-1:]) == (b"a", b"b")
    path.write_bytes(data[:-224] + second + first + data[-8:])
    with pytest.raises(Mistake, match="damaged at byte 35, chunk 1"):
        blobs.read("snapshot")


@pytest.mark.parametrize("size", [0, 5, 20, 40, 739, 749, 900])
def test_a_value_that_was_cut_short_is_refused(size: int, tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    blobs.write("snapshot", _value(2))
    path = tmp_path / "snapshot.blob"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Mistake):
        blobs.read("snapshot")


def test_bytes_behind_the_end_are_refused(tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    blobs.write("snapshot", [b"x"])
    path = tmp_path / "snapshot.blob"
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    with pytest.raises(Mistake, match="damaged"):
        blobs.read("snapshot")


def test_values_of_others_are_refused(tmp_path: Path) -> None:
    Blobs(RealFiles(), tmp_path, b"shop/node2").write("snapshot", [b"x"])
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    with pytest.raises(Mistake, match="belongs to 'shop/node2'; give each member"):
        blobs.read("snapshot")
    blobs.write("a", [b"x"])
    (tmp_path / "a.blob").rename(tmp_path / "b.blob")
    with pytest.raises(Mistake, match="value of another name"):
        blobs.read("b")


@given(name=st.text(min_size=1, max_size=12))
def test_any_name_will_do(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    blobs = Blobs(SimulatedDisk(), DIRECTORY, IDENTITY)
    try:
        blobs.write(name, [b"value"])
    except Mistake as error:
        assert "a name has 1 to 100 bytes" in str(error)  # noqa: PT017
    else:
        assert blobs.names() == [name]
        assert blobs.read(name) == b"value"


def test_names_that_differ_have_files_that_differ(tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    names = ["..", "A", "a", "a/b", "a%2fb", "é"]
    for name in names:
        blobs.write(name, [name.encode()])
    files = [path.name.lower() for path in tmp_path.iterdir()]
    assert len({*files}) == len(files)
    assert blobs.names() == sorted(names)
    assert [blobs.read(name) for name in names] == [name.encode() for name in names]
    assert blobs.read("b") is None
    for name in ("", "x" * 101):
        with pytest.raises(Mistake, match="a name has"):
            blobs.write(name, [])


def test_a_write_that_fails_leaves_the_value_before(tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    blobs.write("snapshot", [b"before"])

    def chunks() -> Iterator[bytes]:
        yield b"after"
        raise KeyError

    with pytest.raises(KeyError):
        blobs.write("snapshot", chunks())
    assert blobs.read("snapshot") == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["offsets", "snapshot.blob"]

    disk = SimulatedDisk()
    blobs = Blobs(disk, DIRECTORY, IDENTITY)
    disk.failing = {"fdatasync"}
    with pytest.raises(StorageFailed, match=r"snapshot\.blob: .*Input/output error"):
        blobs.write("snapshot", [b"after"])


def test_a_thread_and_another_process_can_write(tmp_path: Path) -> None:
    blobs = Blobs(RealFiles(), tmp_path, IDENTITY)
    thread = threading.Thread(target=blobs.write, args=("thread", [b"a" * 2_000_000]))
    thread.start()
    thread.join()
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path,))
    process.start()
    process.join()
    assert blobs.names() == ["process", "thread"]
    assert blobs.read("process") == b"b"
    assert blobs.read("thread") == b"a" * 2_000_000


def _write(directory: Path) -> None:
    Blobs(RealFiles(), directory, IDENTITY).write("process", [b"b"])
