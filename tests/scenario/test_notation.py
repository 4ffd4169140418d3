"""Whatever a schedule can say, it says back: text → value → text, and the other way round."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.kernel import NodeId, Operation
from quorate.scenario import fault as f
from quorate.scenario.conditions import LOST
from quorate.scenario.notation import (
    format_duration,
    format_entry,
    format_fault,
    format_label,
    format_operation,
    parse_duration,
    parse_entry,
    parse_fault,
    parse_label,
    parse_operation,
)

SPANS = st.integers(0, 10**18)
ORDINALS = st.integers(0, 10**9 - 1)
WORDS = st.from_regex(r"[A-Za-z]\w{0,8}", fullmatch=True)
ADDRESSES = st.from_regex(r"[nc][1-9](\.[1-9])?", fullmatch=True)
NODES = st.builds(NodeId, st.from_regex(r"[nc][1-9]", fullmatch=True))
LINKS = st.lists(st.tuples(NODES, NODES), min_size=1, max_size=4).map(tuple)
PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
OPERATIONS = st.builds(Operation, WORDS, st.none() | WORDS | st.text(), VALUES)
OPTIONS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)


def _series(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    known = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*known).map("".join)


DELIVER = _series("deliver ", ADDRESSES, "→", ADDRESSES, " ", WORDS)
ENTRIES = st.one_of(
    st.tuples(st.tuples(DELIVER, ORDINALS), SPANS | st.just(LOST) | st.tuples(SPANS, SPANS)),
    st.tuples(st.tuples(_series("fire ", ADDRESSES, " ", WORDS), ORDINALS), SPANS),
    st.tuples(st.tuples(_series("batch ", ADDRESSES), ORDINALS), SPANS),
    st.tuples(st.tuples(_series("sync ", ADDRESSES), ORDINALS), SPANS),
    st.tuples(st.tuples(_series("store ", ADDRESSES), ORDINALS), SPANS),
    st.tuples(st.tuples(_series("choose ", ADDRESSES, " ", WORDS), ORDINALS), OPTIONS),
    st.tuples(st.tuples(_series("invoke ", ADDRESSES), ORDINALS), st.tuples(SPANS, OPERATIONS)),
)
FAULTS = st.one_of(
    st.builds(f.Crash, NODES, st.integers(0, 999), st.none() | st.integers(0, 999)),
    st.builds(f.Restart, NODES),
    st.builds(f.Cut, LINKS),
    st.builds(f.Heal, LINKS | st.just(())),
    st.builds(f.Pause, NODES),
    st.builds(f.Resume, NODES),
    st.builds(f.Slow, NODES, SPANS),
    st.builds(f.Limit, NODES, SPANS),
    st.builds(f.ClockRate, NODES, st.integers(-999_999, 999_999)),
    st.builds(f.ClockStep, NODES, st.integers(-(10**18), 10**18)),
)


@given(st.integers(-(10**18), 10**18))
def test_durations_are_exact(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.tuples(DELIVER, ORDINALS))
def test_labels(label: tuple[str, int]) -> None:
    assert parse_label(format_label(label)) == label


@given(ENTRIES)
def test_decisions(entry: tuple[tuple[str, int], Any]) -> None:
    label, value = entry
    assert parse_entry(format_entry(label, value)) == entry


@given(OPERATIONS)
def test_operations_with_any_key_and_value(operation: Operation) -> None:
    text = format_operation(operation)
    assert "\n" not in text
    assert parse_operation(text) == operation


@given(FAULTS)
def test_faults(fault: f.Fault) -> None:
    assert parse_fault(format_fault(fault)) == fault


@given(ENTRIES, FAULTS)
def test_ascii_arrows_and_generous_spaces_mean_the_same(
    entry: tuple[tuple[str, int], Any], fault: f.Fault
) -> None:
    label, value = entry
    if label[0].startswith(("deliver", "fire", "batch", "sync", "store")):
        text = format_entry(label, value).replace("→", "->").replace(" ", "  ")
        assert parse_entry(text) == entry
    text = format_fault(fault).replace("→", "->").replace(" ", "   ")
    assert parse_fault(text) == fault


def test_the_words_of_the_manual() -> None:
    """The forms that the module's documentation shows, word by word."""
    fire = ("fire n2 Election", 0)
    assert parse_entry("fire n2 Election #0 after 160ms") == (fire, 160_000_000)
    vote = ("deliver n1→n3 Vote", 2)
    assert parse_entry("lose n1→n3 Vote #2") == (vote, LOST)
    twice = "duplicate n1→n3 Vote #2 after 1ms and 3ms"
    assert parse_entry(twice) == (vote, (1_000_000, 3_000_000))
    append = Operation("append", "x", "a0 ")
    line = 'invoke c1 #0 at 210ms append x "a0 "'
    assert parse_entry(line) == (("invoke c1", 0), (210_000_000, append))
    assert format_entry(("invoke c1", 0), (210_000_000, append)) == line


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_duration, "12"),
        (parse_duration, "-"),
        (parse_duration, "1e9ms"),
        (parse_duration, "9" * 40 + "s"),
        (parse_label, "fire n1 Election"),
        (parse_label, "#3"),
        (parse_label, "fire n1 Election #-1"),
        (parse_entry, "fire n1 Election #0"),
        (parse_entry, "fire n1 Election #0 after soon"),
        (parse_entry, "deliver n1→n2 Vote #0 after -1ns"),
        (parse_entry, "duplicate n1→n2 Vote #0 after 1ms"),
        (parse_entry, "duplicate n1→n2 Vote #0 after 1ms and -3ms"),
        (parse_entry, "delivre n1→n2 Vote #0 after 1ms"),
        (parse_entry, "choose c1 server #0"),
        (parse_entry, "choose c1 server #0 = "),
        (parse_entry, "invoke c1 #0 append x"),
        (parse_entry, "invoke c1 #0 at 3ms"),
        (parse_entry, "invoke c1 #0 at -3ms read x"),
        (parse_operation, 'append x "a'),
        (parse_operation, "append x 1.5"),
        (parse_operation, 'append x {"a":1}'),
        (parse_operation, "append x " + "[" * 5000),
        (parse_fault, "crash"),
        (parse_fault, "crash n1 keeping many"),
        (parse_fault, "cut n1"),
        (parse_fault, "clock n1 rate fast"),
        (parse_fault, "slow n1 by much"),
        (parse_fault, "burn n1"),
    ],
)
def test_what_means_nothing_says_what_was_expected(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match=r"expected|no decision|may hold") as caught:
        parse(text)
    assert type(caught.value) is ValueError


@given(st.text())
def test_no_text_does_worse_than_that(text: str) -> None:
    for parse in (parse_duration, parse_label, parse_entry, parse_operation, parse_fault):
        with suppress(ValueError):
            parse(text)
