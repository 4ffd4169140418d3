"""A member's disk, crashed in each call while checkpoints are written beside its journal."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.errors import Mistake
from quorate.kernel import Durable, Log, Node, NodeId
from quorate.kernel.canonical import same
from quorate.live import disk as disk_module
from quorate.live.codec import Codec
from quorate.live.disk import MemberDisk
from tests.live.storage.simulated import Crash, SimulatedDisk

HERE = Path("member")


class Keeper(Node):
    """Numbers its steps, and forgets all but the last of them."""

    count: Durable[int] = 0
    log: Durable[Log[bytes]] = Log(start=1)


CODEC = Codec((Keeper,))
FRESH = Keeper(id=NodeId("n1"))
SMALL = 500
"""Bytes of a segment: a checkpoint is soon due."""


class Broken(AssertionError):
    """What was recovered is not what was written."""


class AtOnce:
    """A thread that is done before it has begun."""

    def __init__(self, target: Callable[[], None], daemon: bool) -> None:
        self.start = target


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "PATIENCE", 1 << 62)
    monkeypatch.setattr(disk_module, "Thread", AtOnce)
    return


class Life:
    """A member that lives again after each crash."""

    def __init__(self, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files = SimulatedDisk()
        self.states: list[Any] = [FRESH]
        self.synced = 0
        self.checkpoints = 0
        self._chance = chance
        self._background: list[tuple[Callable[[], str], Callable[[str], None]]] = []
        monkeypatch.setattr(
            disk_module, "in_background", lambda work, end: self._background.append((work, end))
        )

    def live(self, steps: int) -> None:
        """Recover, and take some steps; what is written beside takes as long as it does."""
        self._background.clear()
        disk = MemberDisk(self.files, HERE, "shop/n1", FRESH, CODEC, SMALL)
        self._check(disk.node)
        node: Any = disk.node
        disk.follow(lambda: node)
        for _ in range(steps):
            before, node = node, node.__copy__()
            node.count = before.count + 1
            node.log = before.log.append(b"%d " % node.count * self._chance.randrange(60))
            if self._chance.random() < 0.2:
                node.log = node.log.compact(self._chance.randrange(node.log.start, node.log.end))
            record = disk.durable.changes(before, node)
            assert record is not None
            disk.append(record)
            self.states.append(node)
            if self._chance.random() < 0.6:
                reach = len(self.states) - 1
                disk.sync(lambda reach=reach: setattr(self, "synced", reach))  # type: ignore[misc]
            if self._background and self._chance.random() < 0.3:
                work, end = self._background.pop(0)
                self.checkpoints += 1
                end(work())

    def _check(self, node: Any) -> None:
        found = [
            index
            for index in range(self.synced, len(self.states))
            if same(self.states[index].count, node.count) and same(self.states[index].log, node.log)
        ]
        if not found:
            raise Broken(
                f"{node.count} steps of {len(self.states) - 1}, {self.synced} of them sure"
            )
        del self.states[found[0] + 1 :]
        self.synced = found[0]


def crash_everywhere(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Crash a life in each of its calls, and live on; the numbers of crashes and checkpoints."""
    crashes = checkpoints = 0
    for call in range(1, 400, 3):
        chance = random.Random(call)
        life = Life(chance, monkeypatch)
        life.files.crash_at = call
        for _ in range(4):
            try:
                life.live(60)
            except Crash:
                crashes += 1
            life.files.crash_at = life.files.calls + chance.randrange(1, 150)
            if chance.random() < 0.6:
                life.files.cut_power(chance.randrange)
            else:
                life.files.kill()
        checkpoints += life.checkpoints
    return crashes, checkpoints


def test_whatever_the_moment_of_a_crash_the_fields_are_as_after_some_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crashes, checkpoints = crash_everywhere(monkeypatch)
    assert crashes > 300
    assert checkpoints > 300


def test_records_that_a_checkpoint_forgets_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = MemberDisk._end_checkpoint

    def forget(disk: MemberDisk) -> None:
        assert disk._since is not None
        del disk._since[-1:]
        real(disk)

    monkeypatch.setattr(MemberDisk, "_end_checkpoint", forget)
    with pytest.raises((Broken, Mistake)):
        crash_everywhere(monkeypatch)


def test_fields_that_are_written_over_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the last checkpoint are needed until the next one lasts."""
    monkeypatch.setattr(disk_module, "_BASES", ("fields-0", "fields-0"))
    with pytest.raises((Broken, Mistake)):
        crash_everywhere(monkeypatch)


def test_a_checkpoint_whose_fields_are_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(random.Random(1), monkeypatch)
    life.live(100)
    assert life.checkpoints
    life.files.kill()
    base = MemberDisk(life.files, HERE, "shop/n1", FRESH, CODEC, SMALL)._base
    life.files.kill()
    life.files.unlink(HERE / "stored" / f"{base}.blob")
    with pytest.raises(Mistake, match=f"{base} is missing, which its checkpoint needs"):
        MemberDisk(life.files, HERE, "shop/n1", FRESH, CODEC, SMALL)


def test_what_a_restarted_member_stores_first_may_be_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It knows that by what it has recovered: a thread would hold up its clients meanwhile."""

    def stored_by(size: int) -> list[str]:
        files, ways = SimulatedDisk(), list[str]()
        for way in ("in_background", "in_thread"):
            monkeypatch.setattr(disk_module, way, lambda work, end, way=way: ways.append(way))
        first = MemberDisk(files, HERE, "shop/n1", FRESH, CODEC)
        after = FRESH.__copy__()  # type: ignore[attr-defined]
        after.log = FRESH.log.append(bytes(size))
        record = first.durable.changes(FRESH, after)
        assert record is not None
        first.append(record)
        first.sync_now()
        files.kill()
        MemberDisk(files, HERE, "shop/n1", FRESH, CODEC).store("snapshot", after, lambda: None)
        return ways

    assert stored_by(disk_module.LARGE_BYTES) == ["in_background"]
    assert stored_by(1000) == ["in_thread"]
