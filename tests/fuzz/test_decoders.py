"""Every decoder keeps its claims, on a few inputs that are almost as they should be.

`python -m tests.fuzz.run all` tries many more.
"""

import signal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.live import frames
from tests.fuzz import run
from tests.fuzz.mutation import MARKS, Edit, edited
from tests.fuzz.targets import TARGETS, Target

BENT = """cluster = "c"
system = "kv"
member = "n1"
data = "d"
clients = ""
password = "\\u007f"
[members]
n1 = "127.0.0.1:1"
[visitors]
"x y" = "127.0.0.1:2"
"""
KEPT = (
    ("frame", frames.frame_head(frames.MESSAGE, b"", b"\x92\xa1\xe7\xa0")[8:]),
    ("hello", b"\x97\xa7quorate\x01\x01\xa1\x87\xa2n2\x01\xa6member"),
    ("question", b'{"ask":"\xe7"}'),
    ("question", b'{"x":' + b"[" * 100_000),
    ("entry", b"\x92\x01\x92\xa1\xe7\x90"),
    ("entry", b"\x92\x01" + b"\x91" * 100_000),
    ("message", b"\x92\xa4I\nvo\x01"),
    ("message", b"\xd4\x05\x01"),
    ("message", b"\xcb" + bytes(8)),
    ("settings", BENT.encode()),
    ("record", b"\x91\x93\x02\x00\x92\x90\xe3"),
)
"""Inputs that once broke a claim."""

EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.integers(0, 1 << 12),
        st.integers(0, 9) | st.just(100),
        st.sampled_from(MARKS) | st.binary(max_size=4),
    ),
    max_size=6,
)


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_begins_with_is_good(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for data in seeds:
        TARGETS[name].check(data)


@pytest.mark.parametrize(("name", "data"), KEPT)
def test_what_once_broke_a_claim(name: str, data: bytes) -> None:
    TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_damaged_input(name: str, data: st.DataObject) -> None:
    seeds = TARGETS[name].seeds()
    seed = data.draw(st.sampled_from(seeds))
    TARGETS[name].check(edited(seed, data.draw(EDITS)))


def test_a_broken_claim_is_found() -> None:
    def check(data: bytes) -> None:
        assert b"\r\n" not in data, "two bytes"

    count, data, broken = run.draw_and_check(Target(check, lambda: [b"abc"]), 20, 1)
    assert count < 10_000
    assert b"\r\n" in data
    assert isinstance(broken, AssertionError)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no alarms")
def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HANG_SECONDS", 1)
    before = signal.signal(signal.SIGALRM, run.hung)
    try:
        broken = run.guarded(lambda data: time.sleep(20), b"")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert isinstance(broken, run.Hang)
