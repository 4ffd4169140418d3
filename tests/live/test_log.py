"""A member's log: one line for an event, in one of two forms, and never a flood."""

import io
import json

from quorate.live.durations import BOUNDS, Durations
from quorate.live.log import MOST, WINDOW, Log

MOMENT = 1_772_366_400.123


def lines(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def test_a_line_for_people() -> None:
    out = io.StringIO()
    Log("n1", "text", out, lambda: MOMENT).tell("role", now="leader", was="", term=5)
    assert lines(out) == ['2026-03-01T12:00:00.123Z  info     n1  role  now=leader was="" term=5']


def test_a_line_for_programs() -> None:
    out = io.StringIO()
    Log("n1", "json", out, lambda: MOMENT).tell("slow sync", "warning", seconds=0.25)
    assert json.loads(out.getvalue()) == {
        "time": "2026-03-01T12:00:00.123Z",
        "level": "warning",
        "member": "n1",
        "event": "slow sync",
        "seconds": 0.25,
    }


def test_what_strangers_say_cannot_forge_lines() -> None:
    out = io.StringIO()
    log = Log("n1", "text", out, lambda: MOMENT)
    log.tell("refused", why='x"\n2026-03-01T12:00:00.123Z  info  n1  role\x1b[2J')
    assert len(lines(out)) == 1
    assert "\x1b" not in out.getvalue()


def test_a_flood_is_cut_and_counted() -> None:
    out, now = io.StringIO(), [MOMENT]
    log = Log("n1", "text", out, lambda: now[0])
    for _ in range(1000):
        log.tell("refused", why="no hello")
    log.tell("role", now="leader")
    assert len(lines(out)) == MOST + 1
    now[0] += WINDOW
    log.tell("refused", why="no hello")
    assert lines(out)[-1].endswith(f'why="no hello" left_out={1000 - MOST}')


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    out, now = io.StringIO(), [MOMENT]
    log = Log("n1", "text", out, lambda: now[0])
    for _ in range(MOST):
        log.tell("refused")
    now[0] -= 3600
    log.tell("refused")
    assert len(lines(out)) == MOST + 1


def test_durations_fall_in_their_buckets() -> None:
    durations = Durations()
    for microseconds in (1, BOUNDS[0], BOUNDS[0] + 1, BOUNDS[-1] + 1):
        durations.add(microseconds * 1000)
    buckets = dict(durations.buckets())
    assert (buckets["0.0001"], buckets["0.00025"], buckets["1"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert durations.count == 4
    assert durations.longest == (BOUNDS[-1] + 1) * 1000
    assert durations.total == (3 + 2 * BOUNDS[0] + BOUNDS[-1]) * 1000
