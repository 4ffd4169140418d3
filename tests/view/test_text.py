"""The diagram and the story: how they look, that they fit, and what they fold."""

from collections.abc import Callable

import pytest

from quorate.trace import Trace
from quorate.trace.trace import Assignment
from quorate.view.selection import repetitions, select_rows, what_led_to_it
from quorate.view.story import conclusion, sentences, story
from quorate.view.terminal import diagram
from quorate.view.words import show, show_time
from tests.view.traces import hostile, two_leaders

Golden = Callable[[str, str], None]
TRACE = two_leaders()


@pytest.mark.parametrize("width", [56, 100, 140])
def test_the_diagram(golden: Golden, width: int) -> None:
    golden(f"two_leaders_{width}.txt", diagram(TRACE, width).plain)


def test_the_diagram_in_ascii(golden: Golden) -> None:
    text = diagram(TRACE, 120, is_ascii=True).plain
    assert text.isascii()
    golden("two_leaders_ascii.txt", text)


def test_the_story(golden: Golden) -> None:
    golden("two_leaders_story.txt", story(TRACE))


def test_everything_when_nothing_failed(golden: Golden) -> None:
    trace = two_leaders()
    trace.header.violation = trace.header.explanation = None
    golden("all_is_well.txt", diagram(trace, 110).plain + "\n" + story(trace))
    assert conclusion(trace) == ""


def test_the_whole_diagram_is_what_led_to_the_violation() -> None:
    shown = {step.id for row in select_rows(TRACE) for step in row.steps}
    past = what_led_to_it(TRACE)
    assert shown < past
    starts = {step.id for step in TRACE.steps if step.kind == "start" and not step.incarnation}
    restarts = {step.id for step in TRACE.steps if step.type == "restart"}
    assert past - shown <= starts | restarts
    assert max(shown) == TRACE.header.violation.record < len(TRACE.steps) - 1


def test_heartbeats_fold_and_only_they() -> None:
    again = repetitions(TRACE)
    kinds = {(TRACE.steps[id].type, TRACE.steps[id].node) for id in again}
    duplicate = ("Vote", "n3")
    assert kinds == {("Heartbeat", "n3"), ("Append", "n2"), ("Reply", "n3"), duplicate}
    assert len(again) == 13  # Of five rounds of three, all but the first; and the duplicate.


def test_a_heartbeat_that_carries_news_does_not_fold() -> None:
    trace = two_leaders()
    beats = [step for step in trace.steps if step.type == "Append"]
    beats[3].changes = {"commit": Assignment("x")}
    again = repetitions(trace)
    assert beats[3].id not in again
    assert beats[3].cause not in again  # Nor does the step that sent it.
    assert beats[2].id in again


@pytest.mark.parametrize("limit", [5, 12, 30])
def test_a_long_story_is_cut_in_the_middle(limit: int) -> None:
    rows = select_rows(TRACE, range(len(TRACE.steps)), limit)
    assert len(rows) <= max(limit, 20)
    numbers = [row.number for row in rows]
    assert numbers == sorted(numbers)
    told = [step.id for row in rows for step in row.steps]
    assert told == sorted(told)
    assert rows[-1].step is TRACE.steps[-1]


@pytest.mark.parametrize("trace", [TRACE, hostile()], ids=["two_leaders", "hostile"])
@pytest.mark.parametrize("width", [*range(40, 100, 7), 120, 200])
def test_no_line_is_too_long_and_nothing_escapes(trace: Trace, width: int) -> None:
    for text in (diagram(trace, width).plain, diagram(trace, width, is_ascii=True).plain):
        lines = text.split("\n")
        assert max(map(len, lines)) <= width
        assert all(line.isprintable() for line in lines)
    told = story(trace, width)
    assert all(line.isprintable() and len(line) <= width for line in told.split("\n"))


def test_a_sentence_knows_its_steps() -> None:
    told = sentences(TRACE)
    assert [id for one in told for id in one.steps] == sorted(
        id for one in told for id in one.steps
    )
    assert told[0].text.startswith("n1's ElectionTimeout timer fires; it sets term=1")
    assert "(the one to n3 is lost)" in told[0].text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        ("n1", "n1"),
        ("None", '"None"'),
        ("7", '"7"'),
        ("a b", '"a b"'),
        ("\x1b[0m\n", '"\\x1b[0m\\n"'),
        ([1, "n2"], "(1, n2)"),
        ({"$map": [["n1", 3]]}, "{n1: 3}"),
        ({"$set": ["n1"]}, "{n1}"),
        ({"$log": ["a"], "start": 4}, "[a]"),
        ({"$bytes": "00ff"}, "0x00ff"),
        ({"$": "Entry", "term": 1, "key": None}, "Entry(term=1, key=None)"),
        ({"$": "Operation", "f": "put", "key": "x", "value": "a "}, 'put x "a "'),
    ],
)
def test_values_read_as_one_would_write_them(value: object, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0"),
        (20_000, "0.02"),
        (17_712_345, "17.7"),
        (150_000_000, "150"),
        (1_055_100_000, "1,055"),
    ],
)
def test_times_are_in_milliseconds(nanoseconds: int, text: str) -> None:
    assert show_time(nanoseconds) == text
