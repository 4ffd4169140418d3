"""The house's rules on sources: sizes, the import arrow, what protocols may touch, docstrings.

Each rule is a function from a source to complaints; `test_a_rule_that_is_broken_is_told` gives each
of them a source that it must refuse.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from quorate.explore.catalogue import CATALOGUE, Aim, load

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

COLUMNS = 100
FUNCTION_LINES = 40
MODULE_LINES = 500
KERNEL_LINES = 800
"""Lines of code: blank lines, comments and docstrings do not count, nor do re-exports."""

LONGER = {
    "quorate.simulate.world.step_node": 64,  # Runs for every event, so it calls little.
}
"""Functions that may be longer, and why."""

ARROW: dict[str, set[str]] = {
    "errors": set(),
    "verdict": set(),
    "compiled": set(),
    "kernel": set(),
    "protocols": {"kernel"},
    "check": {"errors", "verdict"},
    "trace": {"errors", "kernel"},
    "scenario": {"errors", "kernel", "trace"},
    "simulate": {"errors", "kernel", "scenario", "trace", "verdict"},
    "explore": {
        "check", "errors", "kernel", "live", "protocols", "scenario", "simulate", "trace",
        "verdict",
    },
    "view": {"trace"},
    "wire": {"errors", "kernel"},
    "systems": {"errors", "kernel", "protocols", "scenario", "wire"},
    "live": {"check", "errors", "kernel", "scenario", "trace", "verdict", "wire"},
    "bench": {
        "check", "compiled", "errors", "explore", "kernel", "live", "protocols", "scenario",
        "simulate", "systems", "trace", "verdict",
    },
}  # fmt: skip
"""What the modules of a part may import of Quorate, besides their own part. `cli` may all."""

BESIDE = {"errors", "kernel", "protocols", "scenario"}
"""What stands beside a protocol, a scenario or its mutants, may import."""

PLAIN = {
    "__future__", "bisect", "collections", "dataclasses", "enum", "functools", "itertools",
    "msgspec", "operator", "typing",
}  # fmt: skip
"""What a protocol may import besides the kernel: nothing that knows of the outside."""

BANNED_CALLS = {
    "breakpoint", "eval", "exec", "globals", "hash", "id", "input", "open", "print", "setattr",
    "vars",
}  # fmt: skip

Complaints = Iterator[str]


# The rules

EMPTY = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER,
}  # fmt: skip


def _code_lines(source: str, first: int = 1, last: int = 10**9) -> int:
    """How many lines hold code, between two lines."""
    return sum(first <= line <= last for line in _lines_of_code(source))


@lru_cache(maxsize=4)
def _lines_of_code(source: str) -> frozenset[int]:
    texts = {
        (node.body[0].lineno, node.body[0].end_lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    }
    docs = {line for start, end in texts for line in range(start, (end or start) + 1)}
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in EMPTY:
            lines.update(range(token.start[0], token.end[0] + 1))
    return frozenset(lines - docs)


def sizes(source: str, module: str) -> Complaints:
    """Lines, functions and modules that are too long."""
    for number, line in enumerate(source.splitlines(), 1):
        line = line.partition("  # type: ignore[")[0]
        if len(line) > COLUMNS:
            yield f"line {number} has {len(line)} columns, more than {COLUMNS}"
    count = _code_lines(source)
    if count > MODULE_LINES:
        yield f"{count} lines of code, more than {MODULE_LINES}: split it"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = _code_lines(source, node.lineno, node.end_lineno or 0)
            if count > LONGER.get(f"{module}.{node.name}", FUNCTION_LINES):
                yield f"{node.name} has {count} lines of code, more than {FUNCTION_LINES}"


def _imports(source: str) -> Iterator[tuple[int, str]]:
    """Every module that is imported, `from quorate import x` as quorate.x."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "quorate":
                yield from ((node.lineno, f"quorate.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


def layers(source: str, module: str) -> Complaints:
    """Imports against the arrow."""
    part = module.split(".")[1]
    allowed = ARROW.get(part)
    if part == "protocols" and module.endswith(("_scenario", "_mutants")):
        allowed = BESIDE
    for line, name in _imports(source):
        parts = name.split(".")
        if parts[0] != "quorate" or allowed is None or len(parts) < 2:
            continue
        if parts[1] not in {part, "__version__"} | allowed:
            words = ", ".join(sorted(allowed)) or "nothing"
            yield f"line {line} imports {name}; {part} may import {words}"


def purity(source: str, module: str) -> Complaints:
    """In a protocol: imports and names through which the outside could be reached."""
    if not module.startswith("quorate.protocols.") or module.endswith(("_scenario", "_mutants")):
        return
    theme = module.split(".")[2]
    for line, name in _imports(source):
        own = name.startswith((f"quorate.protocols.{theme}", "quorate.protocols.machines"))
        if name.split(".")[0] not in PLAIN and name != "quorate.kernel" and not own:
            yield f"line {line} imports {name}; a protocol imports quorate.kernel and its family"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BANNED_CALLS:
            yield f"line {node.lineno} calls {ast.unparse(node.func)}; a protocol must not"
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield f"line {node.lineno} shares {node.names[0]}; state is fields alone"


def docstrings(source: str, module: str) -> Complaints:
    """Public modules, classes and functions without a docstring.

    Not needed where the name says it all: by messages, timers and other structs that are only
    fields, by what overrides a documented method, and by short methods of such.
    """
    tree = ast.parse(source)
    is_empty = not tree.body
    if not is_empty and ast.get_docstring(tree) is None:
        yield "the module has no docstring"
    pending: list[tuple[ast.AST, bool]] = [(node, False) for node in tree.body]
    for node, is_derived in pending:
        if isinstance(node, ast.ClassDef):
            is_plain = all(isinstance(part, ast.AnnAssign | ast.Pass) for part in node.body)
            derives = bool(node.bases) and not node.name.startswith("_")
            if _is_public(node.name):
                pending += [(part, derives or is_derived) for part in node.body]
                if ast.get_docstring(node) is None and not is_plain and not derives:
                    yield f"class {node.name} has no docstring"
        elif isinstance(node, ast.FunctionDef) and _needs_docstring(node) and not is_derived:
            yield f"{node.name}, line {node.lineno}, has no docstring"


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _needs_docstring(node: ast.FunctionDef) -> bool:
    """Whether it is public and has none; overloads say nothing of their own."""
    names = {ast.unparse(decorator) for decorator in node.decorator_list}
    return _is_public(node.name) and not ast.get_docstring(node) and "overload" not in names


def words(source: str, module: str) -> Complaints:
    """What is left over, or belongs to one machine or one registry."""
    for number, line in enumerate(source.splitlines(), 1):
        for pattern in FORBIDDEN:
            found = re.search(pattern, line)
            if found:
                yield f"line {number} says {found[0]!r}"


FORBIDDEN = (
    r"\bFIX" r"ME\b", r"\bTO" r"DO\b", r"\bX" r"XX\b",
    r"(?<![\w.])/(?:wo" r"rk|ho" r"me|ro" r"ot|Us" r"ers)/\w",
    r"https?://[^\s\"')]*(?:py" r"pi|ind" r"ex|simp" r"le)[^\s\"')]*",
    r"--(?:extra-)?ind" r"ex-url",
)  # fmt: skip

RULES: tuple[Callable[[str, str], Complaints], ...] = (sizes, layers, purity, docstrings, words)


# The sources


@lru_cache
def _sources() -> dict[str, str]:
    """Every module of the package, by its full name."""
    found = {}
    for path in sorted((SOURCE / "quorate").rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule: Callable[[str, str], Complaints]) -> None:
    complaints = [
        f"{module}: {complaint}"
        for module, source in _sources().items()
        if module != "quorate"
        for complaint in rule(source, module)
    ]
    assert not complaints, "\n".join(complaints)


def test_every_part_has_its_place_in_the_arrow() -> None:
    parts = {module.split(".")[1] for module in _sources() if "." in module}
    assert parts == {*ARROW, "cli"}


def test_the_kernel_stays_small() -> None:
    count = sum(
        _code_lines(source)
        for module, source in _sources().items()
        if module.startswith("quorate.kernel.")  # Its __init__ only lists names.
    )
    assert count < KERNEL_LINES


def test_what_is_tracked_names_no_machine_and_has_no_leftovers() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    complaints = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".png", ".ico"} or not path.is_file():
            continue
        complaints += [f"{name}: {c}" for c in words(path.read_text(encoding="utf-8"), name)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_protocol_meets_the_bar(name: str) -> None:
    scenario = load(Aim(name))
    folder = ROOT / "tests" / "protocols" / name.replace("-", "_")
    assert (folder / "test_paper.py").is_file()
    assert list((folder / "golden").glob("*.txt")), "no golden transcript"
    assert len(scenario.mutants) >= 3
    kinds = {claim.kind.value for claim in scenario.properties or ()}
    assert kinds >= {"sometimes"}
    assert kinds & {"always", "each_step"} or scenario.monitors
    assert scenario.workload is not None
    assert scenario.minima, "nothing says what a fair trial must have reached"
    doc = ast.get_docstring(ast.parse(_sources()[scenario.node.__module__])) or ""
    for heading in ("Paper", "Model", "Safety", "Liveness"):
        assert re.search(rf"^{heading}\b", doc, re.MULTILINE), f"no {heading} in its docstring"


# The rules themselves

BAD: tuple[tuple[Callable[[str, str], Complaints], str, str, str], ...] = (
    (sizes, "quorate.view.x", f"x = '{'-' * 100}'\n", "columns"),
    (sizes, "quorate.view.x", "x = 1\n" * 501, "split it"),
    (sizes, "quorate.view.x", "def f():\n" + "    x = 1\n" * 40, "f has 41 lines"),
    (layers, "quorate.kernel.x", "import quorate.trace.record\n", "kernel may import nothing"),
    (layers, "quorate.check.x", "from quorate.kernel import Node\n", "check may import"),
    (layers, "quorate.view.x", "from quorate import explore\n", "view may import trace"),
    (layers, "quorate.explore.x", "from quorate.cli.main import main\n", "imports quorate.cli"),
    (layers, "quorate.view.x", "def f():\n    import quorate.cli\n", "line 2 imports"),
    (layers, "quorate.protocols.a.b_scenario", "import quorate.simulate.world\n", "may import"),
    (purity, "quorate.protocols.a.b", "import time\n", "imports time"),
    (purity, "quorate.protocols.a.b", "from random import choice\n", "imports random"),
    (purity, "quorate.protocols.a.b", "from quorate.protocols.c.d import e\n", "its family"),
    (purity, "quorate.protocols.a.b", "from quorate.kernel.env import Env\n", "quorate.kernel"),
    (purity, "quorate.protocols.a.b", "x = hash('a')\n", "calls hash"),
    (purity, "quorate.protocols.a.b", "def f():\n    global x\n    x = 1\n", "shares x"),
    (docstrings, "quorate.view.x", "x = 1\n", "module has no docstring"),
    (docstrings, "quorate.view.x", '"""X."""\ndef f():\n    return 1\n', "f, line 2"),
    (docstrings, "quorate.view.x", '"""X."""\nclass A:\n    def f(self): ...\n', "class A"),
    (docstrings, "quorate.view.x", '"""X."""\nclass A:\n    """A."""\n    def f(self): ...\n', "f"),
    (words, "quorate.view.x", "x = 1  # FIX" "ME: later\n", "FIX" "ME"),
    (words, "quorate.view.x", "x = '/ho" "me/somebody/x'\n", "says"),
    (words, "requirements", "--ind" "ex-url=x\n", "says"),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "module", "source", "told"), BAD)
def test_a_rule_that_is_broken_is_told(
    rule: Callable[[str, str], Complaints], module: str, source: str, told: str
) -> None:
    complaints = list(rule(source, module))
    assert any(told in complaint for complaint in complaints), complaints


def test_comments_blank_lines_and_docstrings_do_not_count() -> None:
    assert _code_lines('"""Two\nlines."""\n\n# One more.\nx = (\n    1\n)\n') == 3
    assert _code_lines("def f():\n    '''One.'''\n    return '''a\nb'''\n") == 3


def test_a_good_source_passes_every_rule() -> None:
    source = (
        '"""A protocol."""\n\nfrom quorate.kernel import Node\n\n\nclass A(Node):\n    x: int = 0\n'
    )
    assert not [c for rule in RULES for c in rule(source, "quorate.protocols.a.b")]
