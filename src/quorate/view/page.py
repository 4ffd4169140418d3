"""One self-contained HTML page: the diagram, the state at each step, the story and the schedule.

A trace is hostile: its data enters the page as JSON in which no markup can end, the script reads
it as text only, and the page's policy allows no other script, nor any request.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import msgspec

from quorate.trace.trace import (
    Assignment,
    Change,
    LogChange,
    MapChange,
    SetChange,
    Step,
    Trace,
    Value,
)
from quorate.view.selection import repetitions
from quorate.view.story import conclusion, sentences

SCRIPTS = (
    "model.js",
    "words.js",
    "projection.js",
    "pen.js",
    "drawing.js",
    "diagram.js",
    "panels.js",
    "main.js",
)
KINDS = ("start", "deliver", "fire", "batch", "sync", "stored", "invoke", "fault")
STORY_ROWS = 200
RARE = 11
"""From here on a row holds what many steps lack, and ends early."""
LARGEST = 2**53
"""A larger number would lose digits in a browser."""


def render_page(trace: Trace) -> str:
    """The page, complete."""
    script = _script()
    digest = b64encode(sha256(f"\n{script}\n".encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = trace.header.title or trace.header.scenario
    return Template(_asset("page.html")).substitute(
        policy=policy,
        title=escape(f"{title} – Quorate"),
        style=_asset("theme.css") + _asset("page.css"),
        script=script,
        data=_embed(_data(trace)),
    )


@cache
def _asset(name: str) -> str:
    return files("quorate.view").joinpath("assets", name).read_text("utf-8")


@cache
def _script() -> str:
    """All scripts as one, in a scope of their own."""
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}'


def _embed(data: Any) -> str:
    """JSON that stands safely inside a script element."""
    text = msgspec.json.encode(data).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _data(trace: Trace) -> dict[str, Any]:
    writer = _Writer(trace)
    steps = [writer.step(step) for step in trace.steps]
    told = sentences(trace, limit=STORY_ROWS)
    return {
        "header": _exact(msgspec.to_builtins(trace.header)),
        "lanes": trace.lanes,
        "contents": list(writer.contents.items),
        "series": list(writer.series),
        "roles": list(writer.roles),
        "steps": steps,
        "dull": sorted(repetitions(trace)),
        "story": {"sentences": told, "conclusion": conclusion(trace)},
    }


class _Contents:
    """What messages and timers hold, each distinct content once."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Value]] = []
        self._places: dict[bytes, int] = {}
        self._known: dict[int, int] = {}

    def place(self, name: str, fields: dict[str, Value]) -> int:
        """The index of a content. Receivers of a broadcast share their fields."""
        known = self._known.get(id(fields))
        if known is not None and self.items[known][0] == name:
            return known
        key = msgspec.json.encode((name, fields))
        place = self._places.setdefault(key, len(self.items))
        if place == len(self.items):
            self.items.append((name, _exact(fields)))
        self._known[id(fields)] = place
        return place


class _Writer:
    """Writes steps as rows of numbers; `assets/model.js` reads them."""

    def __init__(self, trace: Trace) -> None:
        self.contents = _Contents()
        self.series: dict[str, int] = {}
        self.roles: dict[str, int] = {"": 0}
        self._lanes = {name: index for index, name in enumerate(trace.lanes)}

    def step(self, step: Step) -> list[Any]:
        series, ordinal = self._label(step.label)
        row = [
            step.time,
            KINDS.index(step.kind),
            self._lanes.get(step.node, -1),
            self.contents.place(step.type, step.fields),
            step.cause,
            self._lanes.get(step.source, -1),
            series,
            ordinal,
            self.roles.setdefault(step.role, len(self.roles)),
            step.incarnation,
            step.released - step.time if step.released >= 0 else -1,
            {path: _change(change) for path, change in step.changes.items()} or 0,
            [self._sending(step, index) for index in range(len(step.sends))] or 0,
            _extra(step) or 0,
        ]
        while len(row) > RARE and row[-1] == 0:
            row.pop()
        return row

    def _sending(self, step: Step, index: int) -> list[Any]:
        sending = step.sends[index]
        return [
            self._lanes[sending.to],
            self.contents.place(sending.type, sending.fields),
            *(self._label(sending.label) if sending.label else (-1, 0)),
            max(sending.sent - step.time, 0) if sending.sent >= 0 else -1,
            sending.arrival,
            sending.lost,
        ]

    def _label(self, label: str) -> tuple[int, int]:
        series, _, ordinal = label.rpartition(" #")
        number = int(ordinal) if ordinal.isascii() and ordinal.isdigit() and series else 0
        return self.series.setdefault(series or label, len(self.series)), number


def _change(change: Change) -> list[Any]:
    match change:
        case Assignment(value):
            return ["=", _exact(value)]
        case MapChange(items, removed):
            return ["map", _exact(items), _exact(removed)]
        case SetChange(added, removed):
            return ["set", _exact(added), _exact(removed)]
        case LogChange(start, kept, appended, cut):
            return ["log", start, kept, _exact(appended), cut]


def _extra(step: Step) -> dict[str, Any]:
    """What few steps have."""
    extra: dict[str, Any] = {}
    if step.timers:
        extra["timers"] = [(t.type, t.fields, t.low / 1e6, t.high / 1e6) for t in step.timers]
    if step.cancelled:
        extra["cancelled"] = [(timer.type, timer.fields) for timer in step.cancelled]
    if step.completed:
        extra["completed"] = [(one.status, _exact(one.value)) for one in step.completed]
    if step.stored:
        extra["stored"] = step.stored
    if step.choices:
        extra["choices"] = _exact(step.choices)
    if step.detail:
        extra["detail"] = step.detail
    if step.links:
        extra["links"] = step.links
    if step.kind not in ("fault", "sync") and {step.now, step.wall} != {step.time}:
        extra["clock"] = (step.now, step.wall)
    return extra


def _exact(value: Value) -> Value:
    """The value with numbers that a browser would round as texts."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return str(value)
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return value
