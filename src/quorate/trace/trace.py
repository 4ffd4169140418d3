"""A trace as data: what `view` draws, what a trace file holds, and nothing that needs a protocol.

Values are spelled in JSON. Numbers, texts and None stand for themselves, a tuple is a list, and
what JSON has no word for is an object with one telling key:

    {"$": "Entry", "term": 1}                 a struct, by its class and fields
    {"$map": [["n1", 3]]}  {"$set": ["n1"]}   collections, in natural order if there is one
    {"$log": ["a"], "start": 1}               a Log, with the index of its first item
    {"$bytes": "00ff"}                        bytes, in hexadecimal
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from quorate.trace.record import Kind, Violation

Value = Any
"""A value as above."""
Natural = Annotated[int, Meta(ge=0)]
Id = Annotated[int, Meta(ge=-1)]
"""A step's id, or -1 for none."""


class Assignment(msgspec.Struct, frozen=True, tag="value", tag_field="change"):
    """The field has this value now."""

    value: Value


class MapChange(msgspec.Struct, frozen=True, tag="map", tag_field="change"):
    """The Map in the field has these items set and these keys removed."""

    items: list[tuple[Value, Value]]
    removed: list[Value] = []


class SetChange(msgspec.Struct, frozen=True, tag="set", tag_field="change"):
    """The Set in the field has these elements added and removed."""

    added: list[Value]
    removed: list[Value] = []


class LogChange(msgspec.Struct, frozen=True, tag="log", tag_field="change"):
    """Of the Log in the field, the items from index `start` to `kept` stay; then come these.

    `cut` counts the items from `kept` on that are gone.
    """

    start: Natural
    kept: Natural
    appended: list[Value]
    cut: Natural = 0


Change = Assignment | MapChange | SetChange | LogChange


class Sending(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One message on its way to one node.

    `arrival` is the step that handles it, `lost` says why there is none ("" for one that was still
    under way when the run ended). `sent` is when it left, or -1 if a crash kept it from leaving.
    """

    to: str
    type: str
    fields: dict[str, Value] = {}
    label: str = ""
    sent: Id = -1
    arrival: Id = -1
    lost: str = ""


class TimerSet(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A timer that fires between `low` and `high` nanoseconds later."""

    type: str
    fields: dict[str, Value] = {}
    low: Natural
    high: Natural


class TimerCancelled(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A timer that will not fire."""

    type: str
    fields: dict[str, Value] = {}


class Completion(msgspec.Struct):
    """How a client's operation ended: ok, fail or info, and with which value."""

    status: str
    value: Value = None


class Step(msgspec.Struct, omit_defaults=True, kw_only=True, rename={"source": "from"}):
    """One step of a node, or one fault: a `Record`, spelled out.

    Attributes:
        id: its place in the trace, from 0.
        time: virtual nanoseconds since the run began.
        kind: see `quorate.trace.record.Kind`.
        node: who stepped, or whom the fault hit ("" for the network).
        type, fields: the name and content of what was handled; of a fault, its kind.
        source: who sent the message.
        cause: the step that sent the message, set the timer or provoked the fault.
        changes: by field, how the state differs from that after the node's step before (within a
            struct or a child node: `state.sessions`). A `start` spells out every field anew.
        sends, timers, cancelled, stored, completed: what the handler asked for.
        released: when others could see the step; -1 if a crash came before.
        now, wall: the node's clocks.
        choices: what chance decided.
        detail, links: a fault in a schedule's words, and the directed links that it is about.
        role: the node's role after the step, in the protocol's word.
    """

    id: Natural
    time: Natural
    kind: Kind
    node: str
    label: str
    type: str
    fields: dict[str, Value] = {}
    source: str = ""
    cause: Id = -1
    incarnation: Natural = 0
    changes: dict[str, Change] = {}
    sends: list[Sending] = []
    timers: list[TimerSet] = []
    cancelled: list[TimerCancelled] = []
    stored: list[str] = []
    completed: list[Completion] = []
    released: Id = -1
    now: int = 0
    wall: int = 0
    choices: list[Value] = []
    detail: str = ""
    links: list[tuple[str, str]] = []
    role: str = ""


class JudgedOperation(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One operation of the failing part of a history, and what the checker made of it.

    `invoke` and `complete` are the ids of the steps where it began and ended; `role` is a word of
    the checker's, such as `linearized` or `cannot be placed`.
    """

    process: int
    f: str
    key: str | None = None
    value: Value = None
    result: Value = None
    status: str = "info"
    invoke: Id = -1
    complete: Id = -1
    role: str = ""


class Explanation(msgspec.Struct, omit_defaults=True):
    """Why a history was refused: in words, and the operations that the words are about."""

    text: str
    operations: list[JudgedOperation] = []


class Header(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a run was, beside what happened in it.

    Attributes:
        scenario: the scenario's name, with the mutant's (`raft@vote-not-durable`).
        nodes, clients: the lanes, in order.
        title: one line to stand above the run.
        verdict: pass, fail or unknown; "" while nobody has judged.
        violation: the property that failed, the step that showed it, and the values seen.
        claim: what that property says; `section`: where the paper says it.
        explanation: the checker's, if a history failed.
        configuration, features: how the nodes were set up.
        schedule, replay: the decisions as text, and the command that plays them again.
        decisions: how many of them differ from their defaults.
        counters: what really happened, by name.
    """

    scenario: str
    nodes: list[str]
    clients: list[str] = []
    title: str = ""
    seed: int | None = None
    verdict: str = ""
    violation: Violation | None = None
    claim: str = ""
    section: str = ""
    explanation: Explanation | None = None
    configuration: str = ""
    features: dict[str, Value] = {}
    paper: str = ""
    schedule: str = ""
    replay: str = ""
    decisions: Natural | None = None
    counters: dict[str, int] = {}


class Trace(msgspec.Struct):
    """One run, ready to be looked at."""

    header: Header
    steps: list[Step]

    @property
    def lanes(self) -> list[str]:
        """All nodes: the servers, then the clients."""
        return [*self.header.nodes, *self.header.clients]


def state_at(trace: Trace, node: str, step: int) -> dict[str, Value]:
    """The node's fields after the step with that id (or the node's last one before it)."""
    steps = trace.steps
    first = step
    while first > 0 and not (steps[first].node == node and steps[first].kind == "start"):
        first -= 1
    state: dict[str, Value] = {}
    for one in steps[first : step + 1]:
        if one.node == node:
            for path, change in one.changes.items():
                _apply(state, path.split("."), change)
    return state


def _apply(state: dict[str, Value], path: list[str], change: Change) -> None:
    name, *rest = path
    if rest:
        inner = dict(_object(state.get(name)))
        _apply(inner, rest, change)
        state[name] = inner
    else:
        state[name] = _changed(state.get(name), change)


def _changed(old: Value, change: Change) -> Value:
    """The field's value after the change. What an old value of another kind held is dropped."""
    match change:
        case Assignment(value):
            return value
        case MapChange(items, removed):
            table = {_text(key): [key, value] for key, value in _held(old, "$map")}
            table.update((_text(key), [key, value]) for key, value in items)
            for key in removed:
                table.pop(_text(key), None)
            return {"$map": in_order(table.values())}
        case SetChange(added, removed):
            elements = {_text(element): element for element in [*_held(old, "$set"), *added]}
            for element in removed:
                elements.pop(_text(element), None)
            return {"$set": in_order(elements.values())}
        case LogChange(start, kept, appended, _):
            held = _held(old, "$log")
            base = _object(old).get("start", start)
            items = held[max(start - base, 0) : max(kept - base, 0)] + appended
            return {"$log": items, "start": start}


def _object(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _held(value: Value, key: str) -> list[Value]:
    held: list[Value] = _object(value).get(key, [])
    return held


def in_order(values: Iterable[Value]) -> list[Value]:
    """The values in natural order if they have one, else by their texts."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=_text)


def _text(value: Value) -> str:
    return json.dumps(value, sort_keys=True)
