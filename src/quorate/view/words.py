"""How values, messages and changes read. No control character of a trace gets out."""

import re
from collections.abc import Iterable, Sequence

from quorate.trace.escaping import escape
from quorate.trace.trace import (
    Assignment,
    Change,
    LogChange,
    MapChange,
    SetChange,
    Value,
)

SHOWN = 60
"""How many characters of one value are shown."""
_BARE = re.compile(r"[^\W\d][\w→.:-]*")


def shorten(text: str, length: int = SHOWN) -> str:
    """At most so many characters, the last one an ellipsis if some were left out."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def show(value: Value) -> str:
    """A value as one would write it: `(1, n2)`, `Entry(term=1)`, `{n1: 3}`, `put x "a "`."""
    if isinstance(value, str):
        is_word = _BARE.fullmatch(value) and value not in ("None", "True", "False")
        return value if is_word else '"' + escape(value).replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(show, value)) + ")"
    if isinstance(value, dict):
        return _show_object(value)
    return str(value)


def _show_object(value: dict[str, Value]) -> str:
    if "$map" in value:
        return "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in value["$map"]) + "}"
    if "$set" in value:
        return "{" + ", ".join(map(show, value["$set"])) + "}"
    if "$log" in value:
        return "[" + ", ".join(map(show, value["$log"])) + "]"
    if "$bytes" in value:
        return f"0x{escape(str(value['$bytes']))}"
    if value.get("$") == "Operation":
        return show_operation(value.get("f"), value.get("key"), value.get("value"))
    fields = {name: part for name, part in value.items() if name != "$"}
    return f"{escape(str(value.get('$', '')))}({', '.join(field_list(fields))})"


def show_operation(f: Value, key: Value, value: Value) -> str:
    """`put x 5`."""
    parts = [escape(str(f))]
    if key is not None:
        parts.append(escape(str(key)))
    if value is not None:
        parts.append(show(value))
    return " ".join(parts)


def field_list(fields: dict[str, Value]) -> list[str]:
    """`term=1`, `voted_for=n1`."""
    return [f"{escape(name)}={shorten(show(value))}" for name, value in fields.items()]


def change_list(changes: dict[str, Change]) -> list[str]:
    """What a step changed, a text for each field: `term=2`, `votes +n2`, `log[4]=Entry(...)`."""
    return [_show_change(escape(path), change) for path, change in changes.items()]


def _show_change(path: str, change: Change) -> str:
    match change:
        case Assignment(value):
            return f"{path}={shorten(show(value))}"
        case MapChange(items, removed):
            keys: dict[str, list[str]] = {}
            for key, value in items:
                keys.setdefault(shorten(show(value)), []).append(show(key))
            parts = [f"{path}[{', '.join(several)}]={value}" for value, several in keys.items()]
            return " ".join(parts + ([f"{path} {_signed('−', removed)}"] if removed else []))
        case SetChange(added, removed):
            return f"{path} {_signed('+', added)} {_signed('−', removed)}".replace(
                "  ", " "
            ).strip()
        case LogChange(start, kept, appended, cut):
            parts = [f"{path} −{cut} from {kept}"] if cut else []
            if appended:
                reach = f"{kept}" if len(appended) == 1 else f"{kept}..{kept + len(appended) - 1}"
                parts.append(f"{path}[{reach}]={shorten(', '.join(map(show, appended)))}")
            return " ".join(parts) or f"{path} from {start}"


def _signed(sign: str, values: Sequence[Value]) -> str:
    return shorten(" ".join(sign + show(value) for value in values))


def show_time(nanoseconds: int) -> str:
    """Milliseconds, as many decimals as help: `17.7`, `1,055`, `0.02`."""
    value = nanoseconds / 1_000_000
    if value >= 1_000 or nanoseconds % 1_000_000 == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def enumerate_words(words: Iterable[str]) -> str:
    """`n1, n2 and n3`; "the network" if there are none."""
    *most, last = [*words] or ["the network"]
    return f"{', '.join(most)} and {last}" if most else last
