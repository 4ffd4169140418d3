"""Schedule files: read back what was written, and one line for whatever else they hold."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Mistake
from quorate.kernel import Operation
from quorate.scenario.fault import Crash
from quorate.scenario.notation import format_label
from quorate.scenario.schedule import (
    HEADER,
    LONGEST,
    Schedule,
    format_schedule,
    parse_schedule,
    read_schedule,
)
from tests.scenario.test_notation import ADDRESSES, DELIVER, ENTRIES, FAULTS, ORDINALS, WORDS

LABELS = st.tuples(DELIVER, ORDINALS)
ORDERS = st.lists(LABELS | FAULTS, max_size=5)
SCHEDULES = st.builds(
    Schedule,
    scenario=st.sampled_from(["raft", "raft@votes-twice", "./my file.py:Node"]),
    nodes=st.integers(0, 9),
    configuration=st.sampled_from(["", "plain", "two phases"]),
    violates=st.sampled_from(["", "agreement"]),
    only=st.sampled_from([(), ("agreement",), ("agreement", "Chosen")]),
    seed=st.none() | st.integers(0, 2**63),
    entries=st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry[0]).map(dict),
    faults=st.dictionaries(LABELS, st.lists(FAULTS, min_size=1, max_size=3), max_size=3),
    order=st.none() | ORDERS,
)


@given(SCHEDULES, st.lists(st.text(), max_size=2))
def test_a_schedule_reads_back(schedule: Schedule, comments: list[str]) -> None:
    text = format_schedule(schedule, tuple(comments))
    assert parse_schedule(text, "x") == schedule


@pytest.mark.parametrize("text", ["\x85", "\u2028", "  # caused by fire n1 T #1", "\r\n", "#"])
def test_no_text_in_a_value_ends_its_line(text: str) -> None:
    label = ("invoke c1", 1)
    schedule = Schedule(scenario="raft", entries={label: (0, Operation("write", text, (text,)))})
    assert parse_schedule(format_schedule(schedule), "x").entries == schedule.entries


@given(SCHEDULES, LABELS)
def test_causes_read_back(schedule: Schedule, cause: tuple[str, int]) -> None:
    deliveries = [label for label in schedule.entries if label[0].startswith("deliver")]
    schedule = msgspec.structs.replace(
        schedule, causes={label: format_label(cause) for label in deliveries}
    )
    assert parse_schedule(format_schedule(schedule), "x") == schedule


@given(SCHEDULES)
def test_its_size_counts_every_decision_and_every_fault(schedule: Schedule) -> None:
    lines = format_schedule(schedule).splitlines()
    about = (
        "quorate",
        "scenario",
        "nodes",
        "configuration",
        "violates",
        "only",
        "seed",
        "in this order:",
    )
    stated = [line for line in lines if line and not line.startswith(about)]
    events = [item for item in schedule.order or [] if isinstance(item, tuple)]
    assert schedule.decisions() == len(stated) - len(events)


@given(ADDRESSES, WORDS)
def test_comments_and_blank_lines_say_nothing(node: str, timer: str) -> None:
    text = f"{HEADER}\n\n  # why\nscenario raft\n#\n\nfire {node} {timer} #0 after 1ms\n"
    assert parse_schedule(text, "x").entries == {(f"fire {node} {timer}", 0): 1_000_000}


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ([], 1, "first line"),
        (["quorate schedule 2", "scenario raft"], 1, "first line"),
        ([HEADER, "scenario raft", "nodes three"], 3, "whole number"),
        ([HEADER, "scenario raft", "seed -1"], 3, "whole number"),
        ([HEADER, "scenario raft", "seed " + "9" * 30], 3, "whole number"),
        ([HEADER, "scenario raft", "after sync n1 #0 crash n1"], 3, "colon"),
        ([HEADER, "scenario raft", "after sync n1 #0: melt n1"], 3, "expected crash"),
        ([HEADER, "scenario raft", "", "delvier n1->n2 Vote #0 after 1ms"], 4, "deliver"),
        (
            [HEADER, "scenario raft", "fire n1 T #0 after 1ms", "fire n1 T #0 after 2ms"],
            4,
            "second decision",
        ),
        ([HEADER, "scenario raft", "in this order:", "whatever"], 4, "expected"),
        ([HEADER, "scenario raft", "deliver " + "x" * 70_000], 3, "a line of 70008 characters"),
        ([HEADER, "scenario raft", "fire n1 T #0 after 1ms  # caused by it"], 3, "label"),
    ],
)
def test_a_mistake_is_told_with_its_line(lines: list[str], line: int, words: str) -> None:
    with pytest.raises(Mistake, match=words) as caught:
        parse_schedule("\n".join(lines), "my.schedule")
    assert str(caught.value).startswith(f"my.schedule:{line}: ")
    assert "\n" not in str(caught.value)


def test_a_schedule_says_what_it_is_for() -> None:
    with pytest.raises(Mistake, match="which scenario"):
        parse_schedule(HEADER, "x")


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.schedule"
    with pytest.raises(Mistake, match="No such file"):
        read_schedule(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Mistake, match="not text"):
        read_schedule(path)
    path.write_text(HEADER + "\n" + "#" * LONGEST)
    with pytest.raises(Mistake, match="longer"):
        read_schedule(path)
    with pytest.raises(Mistake, match="directory"):
        read_schedule(tmp_path)


@given(st.text())
def test_no_text_does_worse_than_a_mistake(text: str) -> None:
    for start in ("", HEADER + "\n", HEADER + "\nscenario x\n", HEADER + "\nin this order:\n"):
        with suppress(Mistake):
            parse_schedule(start + text, "x")


def test_the_tape_of_a_schedule_holds_it_all() -> None:
    anchor, label = ("sync n1", 0), ("fire n1 T", 1)
    schedule = Schedule(scenario="x", entries={label: 5}, faults={anchor: [Crash("n1")]})  # type: ignore[arg-type]
    tape = schedule.tape()
    assert tape.struck_after("sync n1", 0) == [Crash("n1")]  # type: ignore[arg-type]
    assert tape.unmatched(lambda _: False) == [label, anchor]
