"""The journal on a real disk: what is appended comes back, in order, from the same directory."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quorate.errors import Mistake
from quorate.live.storage.files import RealFiles, StorageFailed
from quorate.live.storage.journal import Journal


def _open(directory: Path, files: RealFiles | None = None) -> Journal:
    return Journal.open(
        files or RealFiles(), directory, b"shop/n1", segment_bytes=8192, checkpoint_bytes=30_000
    )


def test_records_come_back_once_and_in_order(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "member"
    records = [os.urandom(size) for size in (0, 1, 700, 30_000, 8192, 5)]
    journal = _open(directory)
    assert journal.checkpoint is None
    assert journal.take() == []
    for count, record in enumerate(records, 1):
        assert journal.append(record) == journal.sequence
        assert journal.synced == journal.sequence - 1
        journal.sync()
        assert journal.synced == journal.sequence == count
    journal.sync()  # Nothing to do.
    journal.close()
    for _ in range(3):  # Opening changes nothing.
        journal = _open(directory)
        assert journal.take() == records
        assert journal.take() == []
        journal.close()


def test_a_checkpoint_stands_for_what_was_before_it(tmp_path: Path) -> None:
    journal = _open(tmp_path)
    journal.append(b"1")
    journal.sync()
    journal.append(b"2")
    journal.begin_checkpoint(b"1 and 2")
    journal.append(b"3")
    journal.sync()
    journal.append(b"4")
    journal.sync()
    journal.close()
    journal = _open(tmp_path)
    assert journal.checkpoint == b"1 and 2"
    assert journal.take() == [b"3", b"4"]
    journal.close()
    assert [path.name for path in tmp_path.glob("segment*")] == ["segment-0000000002"]


def test_what_is_due(tmp_path: Path) -> None:
    """More than the bound, and twice the last checkpoint; also after a restart."""
    journal = _open(tmp_path)

    def grow(size: int) -> None:
        journal.append(bytes(size))
        journal.sync()

    def is_due() -> bool:
        return journal.due

    grow(29_000)
    assert not is_due()
    grow(1500)
    assert is_due()
    journal.close()
    journal = _open(tmp_path)
    assert is_due()
    journal.begin_checkpoint(bytes(20_000))
    journal.sync()
    assert not is_due()
    grow(35_000)
    assert not is_due(), "less than twice the checkpoint"
    grow(6_000)
    assert is_due()
    journal.close()


def test_a_sync_is_one_write_and_one_sync(tmp_path: Path) -> None:
    calls = list[str]()

    class Count:
        def before(self, call: str, path: Path) -> None:
            calls.append(call)

    journal = _open(tmp_path, RealFiles(Count()))
    calls.clear()
    for _ in range(20):
        journal.append(b"x" * 100)
    journal.sync()
    assert calls == ["pwrite", "fdatasync"]
    journal.close()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_after_a_failure_all_is_refused(call: str, code: int, tmp_path: Path) -> None:
    class Fail:
        is_on = False

        def before(self, asked: str, path: Path) -> None:
            if self.is_on and asked == call:
                raise OSError(code, os.strerror(code))

    fault = Fail()
    journal = _open(tmp_path, RealFiles(fault))
    journal.append(b"before")
    journal.sync()
    journal.append(b"in doubt")
    fault.is_on = True
    with pytest.raises(StorageFailed, match=os.strerror(code)) as caught:
        journal.sync()
    assert "\n" not in str(caught.value)
    fault.is_on = False
    for _ in range(2):
        with pytest.raises(StorageFailed, match="an earlier sync has failed"):
            journal.sync()
    journal.close()
    journal = _open(tmp_path)
    assert journal.take() in ([b"before"], [b"before", b"in doubt"])
    journal.close()


def test_an_interrupt_in_a_sync_is_a_failure_too(tmp_path: Path) -> None:
    class Interrupt:
        is_on = False

        def before(self, call: str, path: Path) -> None:
            if self.is_on:
                raise KeyboardInterrupt

    fault = Interrupt()
    journal = _open(tmp_path, RealFiles(fault))
    journal.append(b"x")
    fault.is_on = True
    with pytest.raises(KeyboardInterrupt):
        journal.sync()
    with pytest.raises(StorageFailed):
        journal.sync()
    journal.close()


def test_a_write_that_the_disk_takes_in_parts_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.live.storage import files

    def in_parts(handle: int, data: bytes, offset: int) -> int:
        return os.pwrite(handle, bytes(data)[:100], offset)

    journal = _open(tmp_path)
    monkeypatch.setattr(files, "_pwrite", in_parts)
    journal.append(bytes(range(256)) * 3)
    journal.sync()
    monkeypatch.undo()
    journal.close()
    assert _open(tmp_path).take() == [bytes(range(256)) * 3]


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    journal = _open(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from quorate.live.storage.files import RealFiles\n"
        "from quorate.live.storage.journal import Journal\n"
        "Journal.open(RealFiles(), Path(sys.argv[1]), b'shop/n1')\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Mistake" in done.stderr
    assert "another process has it open" in done.stderr
    with pytest.raises(Mistake, match="another process has it open"):
        _open(tmp_path)
    journal.close()
    _open(tmp_path).close()


def test_a_spare_segment_is_made_in_a_thread(tmp_path: Path) -> None:
    journal = _open(tmp_path)
    assert journal.preparation() is None, "it is not half full"
    journal.append(bytes(5000))
    journal.sync()
    work = journal.preparation()
    assert work is not None
    assert journal.preparation() is None, "once is enough"
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (tmp_path / "spare.new").read_bytes() == bytes(8192)
    journal.append(b"y" * 5000)
    journal.sync()
    assert not (tmp_path / "spare.new").exists()
    journal.append(bytes(2000))
    journal.sync()
    assert journal.preparation() is not None
    journal.close()
    assert _open(tmp_path).take() == [bytes(5000), b"y" * 5000, bytes(2000)]


def test_segments_are_filled_with_zeros_that_take_space(tmp_path: Path) -> None:
    """A hole in the file would have a sync write metadata."""
    journal = _open(tmp_path)
    status = (tmp_path / "segment-0000000001").stat()
    assert status.st_size == 8192
    if hasattr(status, "st_blocks"):
        assert status.st_blocks * 512 >= 8192
    journal.close()


def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match="file"):
        _open(tmp_path / "file")
    with pytest.raises(Mistake, match="an identity has"):
        Journal.open(RealFiles(), tmp_path, b"")
