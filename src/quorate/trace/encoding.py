"""Spells records out: from references to states and messages, to a trace that explains itself."""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

import msgspec

from quorate.kernel.canonical import Collection, same
from quorate.kernel.composition import ChildTimer, ToChild
from quorate.kernel.env import CancelTimer, Complete, Effect, Send, SetTimer, Store
from quorate.kernel.node import Node
from quorate.kernel.values import Log, Map, NodeId, Set
from quorate.trace.record import Flight, Record, inside, kind_of
from quorate.trace.trace import (
    Assignment,
    Change,
    Completion,
    Header,
    LogChange,
    MapChange,
    Sending,
    SetChange,
    Step,
    TimerCancelled,
    TimerSet,
    Trace,
    Value,
    in_order,
)

Role = Callable[[Any], str]
"""A server's role, from its state."""
UNSENT = "unsent"
"""Why a message never arrived: its node crashed before it could leave."""


def from_records(header: Header, records: Iterable[Record], role: Role | None = None) -> Trace:
    """The whole trace, in memory."""
    return Trace(header, list(spell_out(header, records, role)))


def spell_out(
    header: Header, records: Iterable[Record], role: Role | None = None
) -> Iterator[Step]:
    """The steps, one by one, so that a file can be written without holding them all."""
    servers = frozenset(header.nodes)
    for record in records:
        step = _step(record)
        if role and record.after is not None and record.node in servers:
            step.role = role(record.after)
        yield step


def _step(record: Record) -> Step:
    event = record.event
    step = Step(
        id=record.id,
        time=record.time,
        kind=record.kind,
        node=str(record.node),
        label=record.label,
        type=record.series.split(" ")[0] if event is None else kind_of(event),
        cause=record.cause,
        incarnation=record.incarnation,
        released=record.released,
        now=record.now,
        wall=record.wall,
        detail=record.detail,
    )
    if event is not None:
        step.fields = _content(event)
    elif "→" in record.detail:
        pairs = (word.split("→") for word in record.detail.split() if "→" in word)
        step.links = [(source, target) for source, target in pairs]
    if record.flight is not None:
        step.source = str(record.flight.source)
    if record.choices:
        step.choices = [spell(choice) for choice in record.choices]
    if record.after is not None:
        if record.kind == "start" or record.before is None:
            step.changes = _state(record.after)
        elif record.before is not record.after:
            step.changes = dict(_changes(record.before, record.after))
    if record.effects:
        _effects(step, record.effects)
    if record.flights or record.effects:
        step.sends = _sendings(record)
    return step


def _effects(step: Step, effects: Iterable[Effect]) -> None:
    timers: list[TimerSet] = []
    cancelled: list[TimerCancelled] = []
    for effect in effects:
        match effect:
            case SetTimer(timer, low, high):
                name, fields = kind_of(timer), _content(timer)
                timers.append(TimerSet(type=name, fields=fields, low=low, high=high))
            case CancelTimer(timer):
                name, fields = kind_of(timer), _content(timer)
                cancelled.append(TimerCancelled(type=name, fields=fields))
            case Store(name, _):
                step.stored = [*step.stored, name]
            case Complete(status, value):
                step.completed = [*step.completed, Completion(status, spell(value))]
    step.timers, step.cancelled = timers, cancelled


def _sendings(record: Record) -> list[Sending]:
    sendings: list[Sending] = []
    message, name, fields = None, "", dict[str, Value]()
    for flight in record.flights:
        if flight.message is not message:  # The flights of a broadcast share their content.
            message, name = flight.message, kind_of(flight.message)
            fields = _content(message)
        sendings.append(_sending(flight, name, fields))
    if record.released < 0:
        for effect in record.effects:
            if type(effect) is Send and not effect.ahead:
                name, fields = kind_of(effect.message), _content(effect.message)
                sendings += [
                    Sending(to=str(target), type=name, fields=fields, lost=UNSENT)
                    for target in effect.to
                ]
    return sendings


def _sending(flight: Flight, name: str, fields: dict[str, Value]) -> Sending:
    return Sending(
        to=str(flight.target),
        type=name,
        fields=fields,
        label=f"{flight.series} #{flight.ordinal}",
        sent=flight.sent,
        arrival=flight.fate,
        lost=flight.lost,
    )


def _content(event: Any) -> dict[str, Value]:
    """The fields of an event; of one for a child those of the child's, and which of a Map it is."""
    if not isinstance(event, ToChild | ChildTimer):
        return _fields(event)
    named: dict[str, Value] = {"child": event.child} if "." in event.child else {}
    return {**named, **_content(inside(event))}


def _fields(struct: msgspec.Struct) -> dict[str, Value]:
    """All fields, but for defaults where the struct's own `repr` leaves them out."""
    names = struct.__struct_fields__
    fields = {name: spell(getattr(struct, name)) for name in names}
    if struct.__struct_config__.repr_omit_defaults:
        for name, default in zip(names[::-1], struct.__struct_defaults__[::-1], strict=False):
            if getattr(struct, name) == default:
                del fields[name]
    return fields


def is_changed(before: Node, after: Node) -> bool:
    """Whether a step changed its node's state."""
    return next(_changes(before, after), None) is not None


def _state(node: Node) -> dict[str, Change]:
    """Every field but the id, which is the lane."""
    names = (name for name in node.__struct_fields__ if name != "id")
    return {name: Assignment(spell(getattr(node, name))) for name in names}


def _changes(
    before: msgspec.Struct, after: msgspec.Struct, path: str = ""
) -> Iterator[tuple[str, Change]]:
    """The fields that differ, by path."""
    for name in after.__struct_fields__:
        new, old = getattr(after, name), getattr(before, name)
        if new is old:
            continue
        if type(new) is type(old) and _holds_collections(new):
            yield from _changes(old, new, f"{path}{name}.")
        else:
            change = _change(old, new)
            if change is not None:
                yield path + name, change


def _holds_collections(value: Any) -> bool:
    """Whether to look inside a struct, as it may be large and have changed only a little."""
    if isinstance(value, Node):
        return True
    return isinstance(value, msgspec.Struct) and any(
        isinstance(part, Collection) or _holds_collections(part)
        for part in msgspec.structs.astuple(value)
    )


def _change(old: Any, new: Any) -> Change | None:
    kind = type(new)
    if kind is not type(old) or kind not in (Map, Set, Log):
        return None if same(old, new) else Assignment(spell(new))
    if kind is Log:
        start, kept, appended = new.changes_since(old)
        if not appended and (start, kept) == (old.start, old.end):
            return None
        cut = max(old.end - max(kept, old.start), 0)
        return LogChange(start, kept, [spell(item) for item in appended], cut)
    gained, lost = new.changes_since(old)
    if not gained and not lost:
        return None
    removed = [spell(key) for key in lost]
    if kind is Map:
        return MapChange([(spell(key), spell(value)) for key, value in gained], removed)
    return SetChange([spell(element) for element in gained], removed)


def spell(value: Any) -> Value:
    """A value in the words of JSON (see `quorate.trace.trace`)."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if value is None or kind in (bool, int, float):
        return value
    if kind is NodeId:
        return str(value)
    if kind is tuple:
        return [spell(item) for item in value]
    if kind is Map:
        return {"$map": in_order([spell(key), spell(item)] for key, item in value.items())}
    if kind is Set:
        return {"$set": in_order(spell(element) for element in value)}
    if kind is Log:
        return {"$log": [spell(item) for item in value], "start": value.start}
    if isinstance(value, msgspec.Struct):
        return {"$": kind.__name__, **_fields(value)}
    if isinstance(value, Enum):
        return value.name
    if kind is bytes:
        return {"$bytes": value.hex()}
    return repr(value)
