"""Whatever the moment of a crash, recovery yields a prefix, with all that was synced.

`crash_everywhere` crashes one life of a member in each of its calls, under a few draws of what the
disk keeps, and again in each call of the recovery that follows. The sabotages below break one rule
each, in the disk or in the journal, and must be found by the same search.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from quorate.errors import Mistake
from quorate.live.storage import journal as journal_module
from quorate.live.storage import recovery
from quorate.live.storage.files import RealFiles, StorageFailed
from quorate.live.storage.offsets import Offsets, State, extents
from quorate.live.storage.segment import HEAD_SIZE, HEADER_SIZE
from tests.live.storage import member as member_module
from tests.live.storage.member import DIRECTORY, Broken, Member
from tests.live.storage.simulated import SECTOR, Crash, SimulatedDisk
from tests.live.storage.test_damage import flip_everywhere

DRAWS = 10
"""How many outcomes of a power cut are tried for each crash."""


def crash_everywhere(
    make: Callable[[], SimulatedDisk] = SimulatedDisk,
) -> int:
    """Crash a life in each call, and its recovery too; return how many crashes there were."""
    member = Member(make())
    member.life()
    crashes = 0
    for call in range(1, member.disk.calls + 1):
        for seed in range(DRAWS):
            crashes += _crash(make, call, random.Random(1000 * call + seed))
    return crashes


def _crash(make: Callable[[], SimulatedDisk], call: int, chance: random.Random) -> int:
    """Crash in a call of a life, soon after in the next ones, then live on; count the crashes."""
    member = Member(make())
    disk = member.disk
    disk.crash_at = call
    while member.lives < 5:
        try:
            member.life()
        except Crash:
            if chance.random() < 0.7:
                disk.cut_power(chance.randrange)
            else:
                disk.kill()
            disk.crash_at = disk.calls + chance.randrange(1, 40)
        else:
            break
    crashes = member.lives
    disk.crash_at = None
    disk.kill()
    member.start()
    disk.cut_power(chance.randrange)  # What was recovered lasts.
    member.start()
    return crashes


def test_a_crash_in_any_call_keeps_what_was_synced() -> None:
    assert crash_everywhere() > 1000


# Sabotage: each takes one rule away


class WithoutDataSync(SimulatedDisk):
    """Says that a file was synced, at once."""

    def fdatasync(self, handle: int) -> None:
        pass


class WithoutDirectorySync(SimulatedDisk):
    """Says that a directory was synced, at once."""

    def sync_directory(self, directory: Path) -> None:
        pass


@pytest.mark.parametrize("make", [WithoutDataSync, WithoutDirectorySync])
def test_a_disk_that_is_not_told_to_sync_is_found(make: type[SimulatedDisk]) -> None:
    with pytest.raises((Broken, Mistake)):
        crash_everywhere(make)


def _settle_nothing(files: object, segment: object, found: object, end: int) -> None:
    pass


def test_a_torn_end_that_is_left_in_place_is_found() -> None:
    """A record of the torn batch comes back, behind the ones that were written in its place."""
    with patch.object(recovery, "_settle", _settle_nothing), pytest.raises((Broken, Mistake)):
        crash_everywhere()


def test_records_that_are_told_before_they_last_are_found() -> None:
    member = Member(SimulatedDisk())
    member.start()
    member.append(9)
    member.disk.crash_at = member.disk.calls + 1
    with pytest.raises(Crash):
        member.sync()  # Written, not synced.
    member.disk.kill()
    member.start()
    assert member.synced == 1
    member.disk.cut_power(lambda below: 0)
    member.start()


def test_records_that_are_told_before_they_last_would_be_found() -> None:
    with patch.object(recovery, "_settle", _settle_nothing), pytest.raises(Broken):
        test_records_that_are_told_before_they_last_are_found()


def test_a_torn_middle_that_is_accepted_is_found() -> None:
    """See test_damage: a flipped bit there is refused only thanks to this rule."""
    with (
        patch.object(recovery, "was_synced", lambda *args: False),
        pytest.raises(Broken),
    ):
        flip_everywhere()


def test_a_new_segment_that_is_named_before_it_is_synced_is_found() -> None:
    original = journal_module.Journal._begin_segment

    def hasty(journal: journal_module.Journal) -> None:
        with patch.object(type(journal._files), "fdatasync", lambda files, handle: None):
            original(journal)

    with (
        patch.object(journal_module.Journal, "_begin_segment", hasty),
        pytest.raises((Broken, Mistake)),
    ):
        crash_everywhere()


# A sync that fails


def _fail_once(member: Member, calls: set[str]) -> None:
    """A sync fails, the member stops, and starts again on the kernel's memory; then power fails."""
    member.start()
    member.append(700)
    member.sync()
    member.append(800)
    member.disk.failing = calls
    member.sync()
    assert member.journal is None
    member.disk.failing = set()
    member.disk.kill()
    member.start()
    member.disk.cut_power(lambda below: 0)
    member.start()


@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_what_recovery_finds_after_a_failed_sync_lasts(call: str) -> None:
    _fail_once(Member(SimulatedDisk()), {call})


def test_without_writing_it_again_it_would_not() -> None:
    """The kernel has marked the pages as clean: syncing them again writes nothing."""

    def sync_only(files: SimulatedDisk, segment: recovery._Segment, *rest: object) -> None:
        files.fdatasync(files.open(segment.path))

    with patch.object(recovery, "_settle", sync_only), pytest.raises(Broken):
        _fail_once(Member(SimulatedDisk()), {"fdatasync"})


def test_zeros_over_a_torn_end_last_though_their_first_sync_failed() -> None:
    """Or a record of the torn batch would come back behind those that took its place."""
    member = Member(SimulatedDisk())
    member.start()
    whole_sector = SECTOR - HEAD_SIZE - 4
    for size in (whole_sector, 600, 600):
        member.append(size)
    member.disk.crash_at = member.disk.calls + 1
    with pytest.raises(Crash):
        member.sync()
    keeps = iter([0, *[1] * 10])  # The first sector of the batch is lost.
    member.disk.cut_power(lambda below: next(keeps))
    member.disk.failing = {"fdatasync"}
    with pytest.raises(StorageFailed):
        member.start()
    member.disk.kill()
    member.disk.failing = set()
    member.start()
    assert not member.written
    member.append(whole_sector)
    member.sync()
    member.disk.cut_power(lambda below: 0)
    member.start()
    assert member.synced == 1


# The simulated disk is a disk


def test_without_a_crash_it_holds_what_a_real_one_does(tmp_path: Path) -> None:
    class OfOneSalt(RealFiles):
        def salt(self) -> bytes:
            return (1).to_bytes(8, "big")

    disk = SimulatedDisk()
    member = Member(disk)
    member.life()
    member.close()
    with patch.object(member_module, "DIRECTORY", tmp_path):
        real = Member(disk, OfOneSalt())
        real.life()
        real.close()
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert [name for name in names if name not in ("lock", "offsets")] == disk.list(DIRECTORY)
    assert (tmp_path / "offsets").read_bytes() == disk.offsets(DIRECTORY)
    for name in disk.list(DIRECTORY):
        assert (tmp_path / name).read_bytes() == disk.read(DIRECTORY / name)


# Space, and what is told of offsets


def test_checkpoints_bound_the_space() -> None:
    member = Member(SimulatedDisk())
    member.start()
    most = 0
    for _ in range(200):
        member.append(500)
        member.sync()
        assert member.journal is not None
        if member.journal.due:
            member.checkpoint(100)
            member.sync()
            assert not member.journal.due
        most = max(most, len(member.disk.list(DIRECTORY)))
    assert most <= 4, "8 KiB of records in segments of 4 KiB"
    assert member.journal is not None
    assert not [name for name in member.disk.list(DIRECTORY) if name.endswith("0001")]


def test_the_space_that_a_checkpoint_frees_stays_free() -> None:
    member = Member(SimulatedDisk())
    member.start()
    member.append(10)
    member.sync()
    member.checkpoint(10)
    member.sync()
    member.disk.cut_power(lambda below: 0)
    assert member.disk.list(DIRECTORY) == ["segment-0000000002"]


class Told(SimulatedDisk):
    """Compares what is told of offsets with what is so, in and after each call."""

    def __init__(self) -> None:
        super().__init__()
        self.compared = 0
        self.quiet = 0

    def _end(self) -> None:
        if DIRECTORY in self._directories and self._shared:
            for extent in extents(DIRECTORY, self.offsets(DIRECTORY)):
                self.compare(extent.name, extent.state, extent.synced, extent.written)
        super()._end()

    def compare(self, name: str, state: State, told_synced: int, told_written: int) -> None:
        names = self._directories[DIRECTORY]
        if name not in names.seen:
            return
        self.compared += 1
        # The header ends in zeros.
        synced, written = (max(HEADER_SIZE, end) for end in self.ends(DIRECTORY / name))
        assert told_synced <= synced, "or a cut below it would be too kind"
        assert told_written >= written, "or a cut would leave what may be lost"
        if state == State.NAMED:
            assert name in names.held
        self.quiet += (told_synced, told_written) == (synced, written)


def test_the_offsets_are_those_that_the_disk_saw() -> None:
    disk = Told()
    member = Member(disk)
    member.life()
    assert disk.compared > 50
    assert disk.quiet > disk.compared / 2
    # Between two syncs, they are the same to the byte.
    member.sync()
    (extent, *_) = sorted(
        extents(DIRECTORY, disk.offsets(DIRECTORY)), key=lambda extent: extent.name, reverse=True
    )
    assert (extent.synced, extent.written) == disk.ends(DIRECTORY / extent.name)
    assert extent.synced > HEADER_SIZE


def test_offsets_that_are_told_too_soon_are_found() -> None:
    def hasty(offsets: Offsets, slot: int, end: int) -> None:
        writing(offsets, slot, end)
        offsets.synced(slot, end)

    writing = Offsets.writing
    with (
        patch.object(Offsets, "writing", hasty),
        pytest.raises(AssertionError, match="too kind"),
    ):
        Member(Told()).life()


# Any order of events


class Life(RuleBasedStateMachine):
    """A member's events in any order, with crashes, failed syncs, and recoveries that crash."""

    def __init__(self) -> None:
        super().__init__()
        self.member = Member(SimulatedDisk())

    @initialize()
    def first_start(self) -> None:
        self.member.start()

    def is_up(self) -> bool:
        return self.member.journal is not None

    @precondition(is_up)
    @rule(sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=6))
    def append(self, sizes: list[int]) -> None:
        for size in sizes:
            self.member.append(size)

    @precondition(is_up)
    @rule()
    def sync(self) -> None:
        self.member.sync()

    @precondition(is_up)
    @rule(size=st.integers(0, 1500))
    def sync_amid_appends(self, size: int) -> None:
        self.member.sync_amid_appends(size)

    @precondition(is_up)
    @rule(padding=st.integers(0, 5000))
    def checkpoint(self, padding: int) -> None:
        self.member.checkpoint(padding)

    @precondition(is_up)
    @rule()
    def prepare(self) -> None:
        self.member.prepare()

    @precondition(is_up)
    @rule()
    def attest(self) -> None:
        assert self.member.journal is not None
        self.member.journal.attest()
        self.member.synced = len(self.member.written)

    @precondition(is_up)
    @rule()
    def close(self) -> None:
        self.member.close()
        self.member.start()

    @precondition(is_up)
    @rule(call=st.sampled_from(["fdatasync", "pwrite", "rename", "sync_directory"]))
    def fail(self, call: str) -> None:
        self.member.disk.failing = {call}
        self.member.prepare()
        self.member.sync()
        if self.member.journal is None:
            self.member.disk.kill()
            with suppress(StorageFailed):
                self.member.start()
            self.member.disk.kill()
            self.member.disk.failing = set()
            self.member.start()
        self.member.disk.failing = set()

    @precondition(is_up)
    @rule(calls=st.integers(1, 12), is_synced=st.booleans(), data=st.data())
    def crash(self, calls: int, is_synced: bool, data: st.DataObject) -> None:
        disk = self.member.disk
        chance = random.Random(data.draw(st.integers(0, 10**6)))
        disk.crash_at = disk.calls + calls
        try:
            if is_synced:
                self.member.sync()
            for _ in range(3):
                self.end(chance)
                self.member.start()
        except Crash:
            self.end(chance)
        disk.crash_at = None
        disk.kill()
        self.member.start()

    def end(self, chance: random.Random) -> None:
        if chance.randrange(3):
            self.member.disk.cut_power(chance.randrange)
        else:
            self.member.disk.kill()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
