"""Damage is refused or harmless, never a shorter or another history; and each refusal is one line.

Where detection ends: what is wrong in the last batch, while nothing has been written after it, may
be a torn write as well. It is dropped. `attest` ends that, so a journal that was closed is all
covered.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import Mistake
from quorate.live.storage import segment
from quorate.live.storage.files import RealFiles
from quorate.live.storage.journal import Journal
from quorate.live.storage.segment import HEADER_SIZE
from tests.live.storage.member import DIRECTORY, Member
from tests.live.storage.simulated import SimulatedDisk


def _lived(is_closed: bool) -> Member:
    """A member with three segments, and more in the last one than a batch."""
    member = Member(SimulatedDisk())
    member.start()
    for size in (100, 900, 5000, 3000, 0, 60, 7, 300):
        member.append(size)
        member.append(size // 2)
        member.sync()
    if is_closed:
        member.close()
    member.disk.kill()
    return member


def _flip(member: Member, path: Path, bit: int) -> str:
    """Recover with one bit flipped: what came of it. The bit is flipped back."""
    before, disk = member.written[:], member.disk
    file = disk.file(path)
    contents = bytes(file.seen), bytes(file.held)
    disk.flip(path, bit)
    try:
        member.start()
        result = "harmless"
    except Mistake as error:
        result = str(error)
    finally:
        disk.kill()
        file.seen[:], file.held[:] = contents
        member.written, member.synced = before, len(before)
    if result == "harmless":
        return result
    assert "\n" not in result
    assert path.name in result, "the line names the file that is damaged"
    return "refused"


def flip_everywhere() -> None:
    """One bit of each byte of a closed journal."""
    member = _lived(is_closed=True)
    names = [name for name in member.disk.list(DIRECTORY) if name.startswith("segment")]
    assert len(names) == 4
    chance = random.Random(7)
    seen = set[str]()
    for name in names:
        size = len(member.disk.read(DIRECTORY / name))
        used = member.disk.ends(DIRECTORY / name)[0]
        offsets = [*range(used + 40), *range(used + 40, size, 61)]
        for offset in offsets:
            if offset < size:
                bit = 8 * offset + chance.randrange(8)
                seen.add(_flip(member, DIRECTORY / name, bit))
    assert seen == {"refused", "harmless"}


def test_a_flipped_bit_is_refused_or_harmless() -> None:
    flip_everywhere()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_flipped_bits_of_records_are_refused(data: st.DataObject) -> None:
    """Those of a record that is needed, and attested, always are."""
    member = _lived(is_closed=True)
    names = [name for name in member.disk.list(DIRECTORY) if name.startswith("segment")]
    name = data.draw(st.sampled_from(names))
    end = member.disk.ends(DIRECTORY / name)[0]
    if name == names[-1]:
        end -= 28  # The mark that attests the others.
    bit = data.draw(st.integers(0, 8 * end - 1))
    assert _flip(member, DIRECTORY / name, bit) == "refused"


def test_detection_ends_with_the_last_batch() -> None:
    """Two records stand in it: a bit in it costs these at most, and nothing before it."""
    member = _lived(is_closed=False)
    path = DIRECTORY / member.disk.list(DIRECTORY)[-1]
    assert path.name.startswith("segment")
    end = member.disk.ends(path)[0]
    start = end - (300 + 4 + 28) - (150 + 4 + 28)
    for offset in range(start - 60, end):
        before = member.written[:]
        file = member.disk.file(path)
        contents = bytes(file.seen)
        member.disk.flip(path, 8 * offset)
        member.synced = len(before) - 2 if offset >= start else len(before)
        try:
            member.start()
            assert offset >= start
            assert len(before) - 2 <= len(member.written) < len(before)
        except Mistake:
            assert offset < start
        member.disk.kill()
        file.seen[:] = file.held[:] = contents
        member.written = before


# Each refusal


def _journal(directory: Path, identity: bytes = b"shop/n1") -> Journal:
    return Journal.open(RealFiles(), directory, identity, segment_bytes=4096)


def _four_segments(directory: Path) -> None:
    journal = _journal(directory)
    for number in range(8):
        journal.append(bytes([number]) * 1500)
        journal.sync()
    journal.close()


def _name(number: int) -> str:
    return f"segment-000000000{number}"


def _overwrite(number: int, offset: int, data: bytes) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        with (directory / _name(number)).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return change


def _truncate(directory: Path) -> None:
    with (directory / _name(4)).open("r+b") as file:
        file.truncate(3000)


def _swap(directory: Path) -> None:
    shutil.copy(directory / _name(1), directory / _name(2))


def _from_another_life(directory: Path) -> None:
    _four_segments(directory / "other")
    shutil.copy(directory / "other" / _name(2), directory / _name(2))


def _repeat(directory: Path) -> None:
    """The second record is the first one's bytes, as a disk leaves it that wrote elsewhere."""
    first = (directory / _name(1)).read_bytes()[HEADER_SIZE : HEADER_SIZE + 1528]
    _overwrite(1, HEADER_SIZE + 1528, first)(directory)


REFUSED = [
    ("missing in the middle", lambda d: (d / _name(2)).unlink(), f"{_name(2)}: missing"),
    ("missing at the start", lambda d: (d / _name(1)).unlink(), f"{_name(1)}: missing"),
    ("garbage", _overwrite(3, 0, b"garbage!"), f"{_name(3)}: the header at byte 0"),
    ("header rotten", _overwrite(3, 17, b"\x99"), f"{_name(3)}: the header at byte 0"),
    ("empty", lambda d: (d / _name(3)).write_bytes(b""), f"{_name(3)}: 0 bytes are no segment"),
    ("cut short", _truncate, "has 3000 bytes, not 4096"),
    ("swapped", _swap, f"{_name(2)}: comes from elsewhere"),
    ("another life", _from_another_life, "comes from elsewhere"),
    ("first record", _overwrite(1, 600, b"?"), f"{_name(1)}: record 1, at byte 512,"),
    ("middle segment", _overwrite(2, 2100, b"?"), f"{_name(2)}: record 4, at byte 2040,"),
    ("last segment", _overwrite(4, 600, b"?"), f"{_name(4)}: record 7, at byte 512,"),
    ("repeated", _repeat, f"{_name(1)}: record 2, at byte 2040,"),
    ("a sector of zeros", _overwrite(4, 1024, bytes(512)), "record 7, at byte 512,"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), [case[1:] for case in REFUSED], ids=lambda _: "")
def test_damage_is_told_in_one_line(
    change: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    _four_segments(tmp_path)
    change(tmp_path)
    with pytest.raises(Mistake) as caught:
        _journal(tmp_path)
    assert told in str(caught.value)
    assert "restore it from a copy, or let the member join anew" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(Mistake) as again:
        _journal(tmp_path)
    assert str(again.value) == str(caught.value), "the lock is free"


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    _four_segments(tmp_path)
    with pytest.raises(Mistake, match="belongs to 'shop/n1', not to 'shop/n2'"):
        _journal(tmp_path, b"shop/n2")


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    _four_segments(tmp_path)
    path = tmp_path / _name(4)
    data = bytearray(path.read_bytes())
    body = bytes(data[16:HEADER_SIZE])
    data[8:12] = (7).to_bytes(4, "little")
    data[12:16] = segment._header_checksum(7, body).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(Mistake, match="format 7 is not known here, only 1; upgrade"):
        _journal(tmp_path)


def test_a_checkpoint_that_is_damaged_is_refused(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.begin_checkpoint(b"all of it")
    journal.sync()
    journal.close()
    _overwrite(2, HEADER_SIZE + 30, b"?")(tmp_path)
    with pytest.raises(Mistake, match="the checkpoint, at byte 512, had been synced"):
        _journal(tmp_path)


def test_segments_before_a_checkpoint_may_be_missing_or_damaged(tmp_path: Path) -> None:
    """A crash while they are deleted leaves any of them."""
    _four_segments(tmp_path)
    kept = {name: (tmp_path / name).read_bytes() for name in (_name(1), _name(3))}
    journal = _journal(tmp_path)
    journal.begin_checkpoint(b"all of it")
    journal.append(b"more")
    journal.sync()
    journal.close()
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data[:700])
    journal = _journal(tmp_path)
    assert journal.checkpoint == b"all of it"
    assert journal.take() == [b"more"]
    assert not [name for name in kept if (tmp_path / name).exists()]
    journal.close()


def test_a_value_that_looks_like_a_record_is_no_evidence(tmp_path: Path) -> None:
    """A client that stores a copy of our own records cannot make a torn end look like damage."""
    journal = _journal(tmp_path / "model")
    journal.append(b"first")
    journal.sync()
    for _ in range(5):
        journal.append(b"later")
        journal.sync()
    forged = (tmp_path / "model" / _name(1)).read_bytes()[HEADER_SIZE:900]
    journal = _journal(tmp_path / "victim")
    journal.append(forged)
    journal.sync()
    _overwrite(1, HEADER_SIZE, b"?")(tmp_path / "victim")
    journal._files.close(journal._lock)
    again = _journal(tmp_path / "victim")
    assert again.take() == [], "the torn end is dropped"
