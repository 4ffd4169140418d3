"""A power cut takes what no sync had returned for, and nothing else; and the journal recovers."""

import itertools
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.errors import Mistake
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.files import RealFiles
from quorate.live.storage.journal import Journal
from quorate.live.storage.offsets import OFFSETS, SLOTS
from quorate.live.storage.power_cut import SECTOR, Choose, Cut, cut

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills itself by a signal")

VICTIM = """
import os, signal, sys
from pathlib import Path
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.files import RealFiles
from quorate.live.storage.journal import Journal

class KillAt:
    def __init__(self, call, count):
        self.call, self.count = call, count

    def before(self, call, path):
        self.count -= call == self.call
        if not self.count:
            os.kill(os.getpid(), signal.SIGKILL)

class KillAtRename(RealFiles):
    def sync_directory(self, directory):
        if any(name.endswith((NAME, ".blob")) for name in self.list(directory)):
            os.kill(os.getpid(), signal.SIGKILL)
        super().sync_directory(directory)

NAME = "0000000002"
directory, call, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if call == "blob":
    Blobs(KillAtRename(), directory, b"shop/n1").write("snapshot", [b"value"])
files = KillAtRename() if call == "rename" else RealFiles(KillAt(call, count))
journal = Journal.open(files, directory, b"shop/n1", segment_bytes=16384)
number = 0
while True:
    for _ in range(4):
        journal.append(b"%04d" % number + b"." * 500)
        number += 1
    journal.sync()
    print(number, flush=True)
"""


def _victim(directory: Path, call: str, count: int = 0) -> int:
    """A process that kills itself in a call; returns how many records it said were synced."""
    words = [sys.executable, "-c", VICTIM, str(directory), call, str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int((done.stdout.split() or ["0"])[-1])


def _recovered(directory: Path) -> int:
    """How many records there are: each of them as it was appended."""
    journal = Journal.open(RealFiles(), directory, b"shop/n1", segment_bytes=16384)
    records = journal.take()
    journal.close()
    assert records == [b"%04d" % number + b"." * 500 for number in range(len(records))]
    return len(records)


def _lowest(low: int, high: int) -> int:
    return low


def _highest(low: int, high: int) -> int:
    return high


def _cut(directory: Path, choose: Choose) -> Cut:
    """Cut a copy's files: the one cut that changed anything, or the last."""
    return max(cut(directory, choose), key=lambda cut: (cut.dropped, cut.name))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A member that wrote a batch, and was killed before it was synced."""
    directory = tmp_path_factory.mktemp("member")
    synced = _victim(directory, "fdatasync", 5)
    assert synced == 12
    return directory, synced


def test_at_worst_all_that_was_not_synced_is_lost(killed: tuple[Path, int], tmp_path: Path) -> None:
    directory, synced = killed
    member = shutil.copytree(directory, tmp_path / "member")
    done = _cut(member, _lowest)
    assert done.kept == done.synced
    assert done.dropped == done.written - done.synced == 4 * (504 + 28)
    assert _recovered(member) == synced


def test_at_best_nothing_is_lost_and_the_cut_says_so(
    killed: tuple[Path, int], tmp_path: Path
) -> None:
    directory, synced = killed
    member = shutil.copytree(directory, tmp_path / "member")
    done = _cut(member, _highest)
    assert (done.kept, done.dropped) == (done.written, 0)
    assert _recovered(member) == synced + 4


def test_whatever_is_chosen_a_prefix_remains(killed: tuple[Path, int], tmp_path: Path) -> None:
    directory, synced = killed
    counts = set()
    for seed in range(200):
        chance = random.Random(seed)
        member = shutil.copytree(directory, tmp_path / str(seed))
        segments = sorted(member.glob("segment-*"))
        before = [path.read_bytes() for path in segments]
        done = cut(member, chance.randint)
        after = [path.read_bytes() for path in segments]
        changed = sum(
            a != b
            for old, new in zip(before, after, strict=True)
            for a, b in zip(old, new, strict=True)
        )
        dropped = sum(cut.dropped for cut in done)
        assert changed <= dropped <= changed + 100, "bytes of records that were zeros anyway"
        for told in done:
            at = segments.index(member / told.name)
            assert after[at][: told.synced] == before[at][: told.synced]
        count = _recovered(member)
        assert count >= synced
        counts.add(count)
    assert counts >= {synced + more for more in range(4)}


def test_a_cut_tears_at_sectors(killed: tuple[Path, int], tmp_path: Path) -> None:
    """The first sector of what was not synced is lost, and the rest is kept."""
    directory, synced = killed
    member = shutil.copytree(directory, tmp_path / "member")
    above = [4 * 532, 0, 1]  # Keep all, and have a hole of one sector at the first.
    done = _cut(member, lambda low, high: low + above.pop(0))
    assert not above
    lost = SECTOR - done.synced % SECTOR
    assert done.kept == done.written
    assert done.dropped == lost
    data = (member / done.name).read_bytes()
    assert data[done.synced : done.synced + lost] == bytes(lost)
    assert data[done.synced + lost] != 0
    assert _recovered(member) == synced


def test_bytes_that_were_told_and_not_yet_written_are_not_dropped(tmp_path: Path) -> None:
    _victim(tmp_path, "pwrite", 7)
    done = _cut(tmp_path, _lowest)
    assert done.written > done.synced
    assert done.dropped == 0


@pytest.mark.parametrize("call", ["rename", "blob"])
def test_a_name_that_was_not_synced_may_be_lost(call: str, tmp_path: Path) -> None:
    synced = _victim(tmp_path, call)
    file = "snapshot.blob" if call == "blob" else "segment-0000000002"
    assert (tmp_path / file).exists()
    kept = shutil.copytree(tmp_path, tmp_path / "kept")
    assert not any(cut.is_removed for cut in cut(kept, _highest))
    assert (kept / file).exists()
    (done,) = (cut for cut in cut(tmp_path, _lowest) if cut.is_removed)
    assert done.name == file
    assert not (tmp_path / file).exists()
    if call == "blob":
        assert Blobs(RealFiles(), tmp_path, b"shop/n1").read("snapshot") is None
        assert Blobs(RealFiles(), kept, b"shop/n1").read("snapshot") == b"value"
    else:
        assert _recovered(tmp_path) == synced > 0
        assert _recovered(kept) == synced + 4


def test_a_member_that_told_before_it_synced_is_found(tmp_path: Path) -> None:
    """What the whole device is for: such a member survives any kill, and no power cut."""
    synced = _victim(tmp_path, "fdatasync", 5)
    told_too_soon = synced + 4
    member = shutil.copytree(tmp_path, tmp_path / "killed")
    assert _recovered(member) == told_too_soon
    cut(tmp_path, _lowest)
    assert _recovered(tmp_path) < told_too_soon


def test_a_healthy_member_loses_nothing(tmp_path: Path) -> None:
    journal = Journal.open(RealFiles(), tmp_path, b"shop/n1", segment_bytes=16384)
    for number in range(40):
        journal.append(b"%04d" % number + b"." * 500)
        journal.sync()
    journal._files.close(journal._lock)  # It is killed between two syncs.
    assert all(cut.dropped == 0 and not cut.is_removed for cut in cut(tmp_path, _lowest))
    assert _recovered(tmp_path) == 40


def test_offsets_that_are_damaged_or_absent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="cannot cut"):
        cut(tmp_path, _lowest)
    journal = Journal.open(RealFiles(), tmp_path, b"shop/n1", segment_bytes=16384)
    journal.append(b"x")
    journal.close()
    path = tmp_path / OFFSETS
    good = path.read_bytes()
    for change in (good[:-1], b"\xff" * len(good), good.replace(b"segment-", b"../../x-")):
        path.write_bytes(change)
        with pytest.raises(Mistake, match="offsets"):
            cut(tmp_path, _lowest)
    chance = random.Random(1)
    for at in itertools.chain(range(0, len(good), 7), range(len(good) // SLOTS)):
        path.write_bytes(good[:at] + bytes([chance.randrange(256)]) + good[at + 1 :])
        try:
            cut(tmp_path, _highest)
        except Mistake as error:
            assert "\n" not in str(error)  # noqa: PT017
