"""How decisions and faults are written in a schedule file: text to read and to edit.

    fire n2 Election #0 after 160ms
    deliver n1→n3 AppendEntries #17 after 12ms
    lose n1→n3 Vote #2
    duplicate n1→n3 Vote #2 after 1ms and 3ms
    batch n1 #3 after 2ms
    sync n1 #3 after 4ms
    choose c1 server #0 = n2
    invoke c1 #0 at 210ms append x "a0 "
    after deliver n1→n2 AppendEntries #17: crash n2

`->` may be written for `→`. Every parser here raises ValueError that says what it expected.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from quorate.kernel.node import Operation
from quorate.kernel.values import NodeId
from quorate.scenario.conditions import LOST
from quorate.scenario.fault import (
    ClockRate,
    ClockStep,
    Crash,
    Cut,
    Fault,
    Heal,
    Limit,
    Link,
    Pause,
    Restart,
    Resume,
    Slow,
)
from quorate.scenario.tape import Label

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def format_duration(duration: int) -> str:
    """Exact, in milliseconds unless that would be unwieldy: `12.5ms`, `300ns`, `4s`."""
    if duration and abs(duration) < 1_000:
        return f"{duration}ns"
    if duration and duration % UNITS["s"] == 0:
        return f"{duration // UNITS['s']}s"
    sign, whole, rest = "-" if duration < 0 else "", *divmod(abs(duration), UNITS["ms"])
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{sign}{whole}{fraction}ms"


def parse_duration(text: str) -> int:
    """Nanoseconds, exactly."""
    match = re.fullmatch(r"([+-]?)(\d{1,12})(?:\.(\d{1,9}))?(ns|us|ms|s)", text)
    if match is None:
        raise ValueError(f"expected a duration such as 12.5ms, found {text!r}")
    sign, whole, fraction, unit = match.groups()
    scale = UNITS[unit]
    nanoseconds = int(whole) * scale + int((fraction or "0").ljust(9, "0")) * scale // 10**9
    return -nanoseconds if sign == "-" else nanoseconds


def format_node(node: str, incarnation: int) -> str:
    """A node's name in labels: later incarnations, counted from 0, are told apart: `n1.2`."""
    return f"{node}.{incarnation + 1}" if incarnation else str(node)


def format_label(label: Label) -> str:
    """`deliver n1→n3 AppendEntries #17`."""
    return f"{label[0]} #{label[1]}"


def parse_label(text: str) -> Label:
    """The label that a text names."""
    plain = " ".join(text.replace("->", "→").split())
    match = re.fullmatch(r"(\S.*\S) #(\d{1,9})", plain)
    if match is None:
        raise ValueError(f"expected a label such as fire n1 Election #0, found {text!r}")
    return match[1], int(match[2])


def format_entry(label: Label, value: Any) -> str:
    """One line of a schedule, for a decision."""
    name, ordinal = label
    verb, _, rest = name.partition(" ")
    if verb == "deliver" and value == LOST:
        return f"lose {rest} #{ordinal}"
    if verb == "deliver" and isinstance(value, tuple):
        first, second = map(format_duration, value)
        return f"duplicate {rest} #{ordinal} after {first} and {second}"
    if verb == "choose":
        return f"{name} #{ordinal} = {value}"
    if verb == "invoke":
        when, operation = value
        return f"{name} #{ordinal} at {format_duration(when)} {format_operation(operation)}"
    return f"{name} #{ordinal} after {format_duration(value)}"


def parse_entry(line: str) -> tuple[Label, Any]:
    """The decision that a line of a schedule states."""
    verb = line.strip().partition(" ")[0]
    if verb == "lose":
        return parse_label("deliver" + line[len(verb) :]), LOST
    if verb == "choose":
        text, separator, option = line.partition(" = ")
        _expect(separator and option.strip(), "= and an option", line)
        return parse_label(text), option.strip()
    if verb == "invoke":
        text, separator, rest = line.partition(" at ")
        when, _, operation = rest.strip().partition(" ")
        _expect(separator and operation, "at, a time, and an operation", line)
        return parse_label(text), (_parse_span(when), parse_operation(operation))
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, (*VERBS, "lose", "choose", "invoke", "after"), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"no decision begins with {verb!r}{hint}")
    text, separator, rest = line.partition(" after ")
    _expect(separator, "after and a duration", line)
    if verb == "duplicate":
        first, separator, second = rest.partition(" and ")
        _expect(separator, "two durations", line)
        value = (_parse_span(first), _parse_span(second))
        return parse_label("deliver" + text[len(verb) :]), value
    return parse_label(text), _parse_span(rest)


VERBS = ("deliver", "duplicate", "fire", "batch", "sync", "store")
"""What begins a decision on a duration."""


def _parse_span(text: str) -> int:
    duration = parse_duration(text.strip())
    if duration < 0:
        raise ValueError(f"expected a duration that is not negative, found {text!r}")
    return duration


def format_operation(operation: Operation) -> str:
    """`cas x [1,2]`: the operation, its key if it has one, and its value as JSON.

    A key that could be taken for a value is written as `@` and JSON.
    """
    parts = [operation.f]
    key = operation.key
    if key is not None:
        parts.append(key if _BARE_KEY.fullmatch(key) else "@" + _json(key))
    if operation.value is not None:
        parts.append(_json(operation.value))
    return " ".join(parts)


_BARE_KEY = re.compile(r"(?!(?:true|false|null)\b)[^\W\d]\w*")
_OPERATION = re.compile(rf'(\S+)(?: +({_BARE_KEY.pattern}(?= |$)|@"(?:[^"\\]|\\.)*"))?(?: +(.+))?')


_ESCAPED = re.compile("[#\x7f-\x9f\u2028\u2029]")
"""What would end a line, or begin a remark, inside a text: JSON leaves these as they are."""


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def parse_operation(text: str) -> Operation:
    """The operation that a text states."""
    match = _OPERATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected an operation such as write x 5, found {text!r}")
    f, key, value = match.groups()
    if key is not None and key.startswith("@"):
        key = _decoded(key[1:])
    return Operation(f, key, None if value is None else _frozen(_decoded(value)))


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"expected JSON, found {text!r}") from error


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(f"a value may hold numbers without fraction, texts and lists, not {value!r}")


def format_fault(fault: Fault) -> str:
    """`crash n2 keeping 1`, `cut n1→n2 n2→n1`, `clock n2 rate +200ppm`..."""
    match fault:
        case Crash(node, keep, sends):
            kept = f" keeping {keep}" if keep else ""
            return f"crash {node}{kept}" + (f" after {sends} sends" if sends is not None else "")
        case Cut(links) | Heal(links):
            name = "cut" if isinstance(fault, Cut) else "heal"
            return " ".join([name, *(f"{source}→{target}" for source, target in links)])
        case Slow(node, extra):
            return f"slow {node} by {format_duration(extra)}"
        case Limit(node, interval):
            return f"limit {node} by {format_duration(interval)}"
        case ClockRate(node, ppm):
            return f"clock {node} rate {ppm:+d}ppm"
        case ClockStep(node, jump):
            return f"clock {node} step {format_duration(jump)}"
    return f"{type(fault).__name__.lower()} {fault.node}"


_NODE = r"([a-z]\w*)"
_FAULTS: tuple[tuple[str, Callable[..., Fault]], ...] = (
    (
        rf"crash {_NODE}(?: keeping (\d{{1,6}}))?(?: after (\d{{1,6}}) sends)?",
        lambda node, keep, sends: Crash(
            NodeId(node), int(keep or 0), None if sends is None else int(sends)
        ),
    ),
    (rf"restart {_NODE}", lambda node: Restart(NodeId(node))),
    (r"cut((?: \S+→\S+)+)", lambda links: Cut(_links(links))),
    (r"heal((?: \S+→\S+)*)", lambda links: Heal(_links(links))),
    (rf"pause {_NODE}", lambda node: Pause(NodeId(node))),
    (rf"resume {_NODE}", lambda node: Resume(NodeId(node))),
    (rf"slow {_NODE} by (\S+)", lambda node, extra: Slow(NodeId(node), parse_duration(extra))),
    (rf"limit {_NODE} by (\S+)", lambda node, gap: Limit(NodeId(node), parse_duration(gap))),
    (
        rf"clock {_NODE} rate ([+-]\d{{1,6}})ppm",
        lambda node, ppm: ClockRate(NodeId(node), int(ppm)),
    ),
    (
        rf"clock {_NODE} step (\S+)",
        lambda node, jump: ClockStep(NodeId(node), parse_duration(jump)),
    ),
)


def parse_fault(text: str) -> Fault:
    """The fault that a text states."""
    text = " ".join(text.replace("->", "→").split())
    for pattern, make in _FAULTS:
        match = re.fullmatch(pattern, text)
        if match:
            return make(*match.groups())
    raise ValueError(
        f"expected crash, restart, cut, heal, pause, resume, slow, limit or clock, found {text!r}"
    )


def _links(text: str) -> tuple[Link, ...]:
    pairs = (pair.split("→") for pair in text.split())
    return tuple((NodeId(pair[0]), NodeId(pair[1])) for pair in pairs)


def _expect(found: object, what: str, line: str) -> None:
    if not found:
        raise ValueError(f"expected {what} in {line!r}")
