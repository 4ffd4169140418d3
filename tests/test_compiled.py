"""The modules that can be compiled stay such that mypyc compiles them, and to the same meaning.

What compiling must not change, `make test-compiled` compares; see docs/decisions/0010-compiled.md.
"""

import ast
import importlib
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from quorate.compiled import is_compiled

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
FRONT_END = (
    "import sys; from mypyc.build import mypycify; mypycify(sys.argv[2:], target_dir=sys.argv[1])"
)


@lru_cache
def modules() -> tuple[str, ...]:
    """The files that QUORATE_COMPILE=1 compiles."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hooks = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    return tuple(hooks["custom"]["modules"])


def classes(file: Path) -> Iterator[ast.ClassDef]:
    """The classes of a module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def names(expressions: list[ast.expr]) -> set[str]:
    """How classes are called where they are mentioned: `msgspec.Struct` is Struct."""
    return {ast.unparse(each).partition("[")[0].rpartition(".")[2] for each in expressions}


def complaints(node: ast.ClassDef) -> Iterator[str]:
    """What mypyc drops without a word, or finds out when the module is imported."""
    if node.keywords or names(node.bases) & {"Struct", "Enum", "str", "int", "tuple"}:
        yield f"{node.name} is no class that can be native: keep it in a module beside"
    for part in node.body:
        if isinstance(part, ast.Assign) and names(part.targets) == {"__slots__"}:
            yield f"{node.name} has __slots__: native classes have nothing else"


@pytest.mark.parametrize("module", modules())
def test_a_listed_module_has_nothing_that_compiling_would_change(module: str) -> None:
    told = [text for node in classes(SOURCE / module) for text in complaints(node)]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("module", modules())
def test_the_package_says_whether_it_is_compiled(module: str) -> None:
    loaded = importlib.import_module(module.removesuffix(".py").replace("/", "."))
    assert is_compiled() == (not str(loaded.__file__).endswith(".py"))


def test_who_derives_from_a_compiled_class_is_compiled_too() -> None:
    """A native class cannot have interpreted subclasses."""
    native = {node.name: module for module in modules() for node in classes(SOURCE / module)}
    strangers = [
        f"{node.name} in {file.relative_to(SOURCE)}"
        for file in SOURCE.rglob("*.py")
        if file.relative_to(SOURCE).as_posix() not in modules()
        for node in classes(file)
        if names(node.bases) & native.keys()
    ]
    assert not strangers


def test_mypyc_takes_every_listed_module(tmp_path: Path) -> None:
    """Its front end alone: no C is compiled here."""
    for needed in ("mypyc", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install 'mypy[mypyc]'")
    options = ["--follow-imports=silent", *(f"src/{module}" for module in modules())]
    command = [sys.executable, "-c", FRONT_END, str(tmp_path), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "class A(msgspec.Struct): ...",
        "class A(Base, frozen=True): ...",
        "class A:\n __slots__ = ()",
    ],
)
def test_what_cannot_be_compiled_is_told(source: str) -> None:
    (node,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    assert list(complaints(node))
