"""Write the generated parts of the documents: `python -m tests.regenerate docs`.

- Blocks after `<!-- file PATH -->` are files of docs/examples; those after `<!-- replay FOLDER:
  COMMAND -->` are what the command prints in that folder of docs/examples (`replay-tail` leaves
  out what comes before the diagram's last steps, `replay-verdict` all but the ends). The one after
  `<!-- commands all -->` has the commands of the store.
- docs/reference/kernel.md is made from the kernel's docstrings.
"""

import enum
import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from quorate import kernel
from quorate.kernel.node import Node, durable_fields
from quorate.systems.kv.table import TABLE

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
REFERENCE = ROOT / "docs" / "reference" / "kernel.md"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"<!-- ([a-z-]+) ([^>]*?) -->\n```(\w+)\n(.*?)```\n", re.DOTALL)
TAIL = 24
"""Lines of a `replay-tail`."""


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line that begins with `quorate`, as somebody in that folder would."""
    words = shlex.split(command)
    assert words[0] == "quorate", command
    code = "import sys; from quorate.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words[1:]],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
    )  # fmt: skip


def file_block(path: str) -> str:
    """A file of docs/examples."""
    return (EXAMPLES / path).read_text(encoding="utf-8")


def replay_block(argument: str, shorten: Callable[[list[str]], list[str]] = list) -> str:
    """What a command prints; `argument` is `folder: command`."""
    folder, command = argument.split(": ", 1)
    done = run(command, EXAMPLES / folder)
    assert done.returncode in (0, 1), done.stderr
    return "\n".join([f"$ {command}", *shorten(done.stdout.splitlines())]) + "\n"


def _tail(lines: list[str]) -> list[str]:
    return [lines[0], "…", *lines[-TAIL:]] if len(lines) > TAIL else lines


def _verdict(lines: list[str]) -> list[str]:
    return [lines[0], "…", lines[-1]]


def commands_block(_: str) -> str:
    """The commands of the store, by the groups that Redis has them in."""
    groups: dict[str, list[str]] = {}
    for name in sorted(TABLE):
        shown = name.upper().replace("|", " ")
        groups.setdefault(TABLE[name].group, []).append(shown.replace(" ", "\xa0"))
    return "".join(
        textwrap.fill(
            ", ".join(names), 98, initial_indent=f"{group:14}", subsequent_indent=" " * 14
        ).replace("\xa0", " ")
        + "\n"
        for group, names in groups.items()
    )


GENERATED: dict[str, Callable[[str], str]] = {
    "file": file_block,
    "commands": commands_block,
    "replay": replay_block,
    "replay-tail": lambda argument: replay_block(argument, _tail),
    "replay-verdict": lambda argument: replay_block(argument, _verdict),
}


def regenerated(text: str) -> str:
    """A document with its generated blocks as they should be."""

    def block(match: re.Match[str]) -> str:
        kind, argument, language, old = match.groups()
        new = GENERATED[kind](argument) if kind in GENERATED else old
        return f"<!-- {kind} {argument} -->\n```{language}\n{new}```\n"

    return BLOCK.sub(block, text)


# The kernel's reference


SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Nodes and events", (
        "Node", "Durable", "on", "Event", "Message", "Timer", "Start", "Stored", "BatchEnd", "step",
    )),
    ("Env", ("Env", "ms", "MICROSECOND", "MILLISECOND", "SECOND")),
    ("Values", ("NodeId", "Map", "Set", "Log", "Plain", "encode", "fingerprint", "majority")),
    ("Properties", ("always", "each_step", "eventually", "sometimes", "Monitor")),
    ("Composition", ("run_child", "ToChild", "ChildStepped")),
    ("Clients", ("Client", "Request", "Response", "Redirect", "Operation", "Invoke")),
)  # fmt: skip


def reference() -> str:
    """docs/reference/kernel.md, from the kernel's docstrings."""
    lines = [
        "# The kernel",
        "",
        "All that a protocol may import: `from quorate.kernel import ...`. This page is made from",
        "the docstrings by `make docs`; do not edit it.",
        "",
    ]
    for title, names in SECTIONS:
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_entry(name, getattr(kernel, name)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield f"### {name}"
        yield from _class(value)
    elif inspect.isfunction(value):
        yield f"### {name}{_signature(value)}"
        yield from _text(value)
    else:
        yield f"### {name}"
        yield from ("", _comment(name, value))


def _class(kind: type) -> Iterator[str]:
    base = kind.__base__
    if base is not None and base.__name__ in kernel.__all__:
        yield from ("", f"{'An' if base.__name__ == 'Event' else 'A'} `{base.__name__}`.")
    yield from _text(kind)
    if issubclass(kind, msgspec.Struct) and kind.__struct_fields__:
        yield from ("", *_fields(kind))
    members = {n: m for n, m in _members(kind) if not n.startswith("_") and _doc(m)}
    for name, member in members.items():
        is_property = isinstance(member, property)
        yield from ("", f"- **`{name}{'' if is_property else _signature(member)}`**  ")
        yield from (f"  {line}".rstrip() for line in _doc(member).splitlines())


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Methods of the class, and of bases that have no entry of their own; handlers left out."""
    seen: set[str] = set()
    bases = [base for base in kind.__mro__ if base is kind or base.__name__.startswith("_")]
    for base in bases:
        for name, member in vars(base).items():
            is_shown = inspect.isfunction(member) or isinstance(member, property)
            if is_shown and name not in seen and not hasattr(member, "handled_events"):
                seen.add(name)
                yield name, member


def _fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    hints = get_type_hints(kind)
    durable = durable_fields(kind) if issubclass(kind, Node) else ()
    is_child = issubclass(kind, Node) and kind is not Node
    inherited = {*Node.__struct_fields__} if is_child else set()
    for field in msgspec.structs.fields(kind):
        if field.name in inherited:
            continue
        default = "" if field.default is msgspec.NODEFAULT else f" = {field.default!r}"
        mark = " (durable)" if field.name in durable else ""
        yield f"- `{field.name}: {_type(hints[field.name])}{default}`{mark}"


def _signature(function: Callable[..., Any]) -> str:
    text = str(inspect.signature(function))
    text = re.sub(r"\b(?:quorate|collections|typing)(?:\.\w+)*\.", "", text)
    return re.sub(r"~|'|(?<=\()self(?:, )?", "", text)


def _type(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else (
        re.sub(r"\b(?:\w+\.)+", "", str(hint))
    )  # fmt: skip


def _text(value: Any) -> Iterator[str]:
    """The docstring; what stands below `Attributes:` and the like becomes a list."""
    doc = re.sub(r"^(?:Attributes|Args):\n", "", _doc(value), flags=re.MULTILINE)
    doc = re.sub(r"^    (\w[\w, ]*):", r"- `\1`:", doc, flags=re.MULTILINE)
    doc = re.sub(r"^        (?=\S)", "  ", doc, flags=re.MULTILINE)
    yield from ("", doc) if doc else ()


def _doc(value: Any) -> str:
    own = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
    return inspect.cleandoc(own or "")


def _comment(name: str, value: Any) -> str:
    """What is known about a constant: its value, or for `Durable` the text below it."""
    if isinstance(value, int) and not isinstance(value, enum.Enum):
        return f"{value:,} nanoseconds."
    source = inspect.getsource(sys.modules["quorate.kernel.node"])
    found = re.search(rf'^{name} = .*\n"""([^"]*)"""', source, re.MULTILINE)
    assert found is not None, name
    return found[1]


def main() -> None:
    """Rewrite what is not current."""
    if sys.argv[1:] != ["docs"]:
        sys.exit("usage: python -m tests.regenerate docs")
    REFERENCE.write_text(reference(), encoding="utf-8")
    for path in DOCUMENTS:
        path.write_text(regenerated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
