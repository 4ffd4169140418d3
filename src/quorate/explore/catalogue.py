"""From a name to a scenario: the catalogue, a mutant of it, or a user's own file."""

import difflib
import importlib
import importlib.util
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.interrupts import interrupts_wait
from quorate.kernel.node import Node
from quorate.scenario.conditions import FAULTS
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Scenario

CATALOGUE = {
    "abd": "quorate.protocols.replication.abd_scenario",
    "bully": "quorate.protocols.election.bully_scenario",
    "chandy-lamport": "quorate.protocols.snapshots.chandy_lamport_scenario",
    "chang-roberts": "quorate.protocols.election.chang_roberts_scenario",
    "flexible-paxos": "quorate.protocols.consensus.flexible_paxos_scenario",
    "lamport-mutex": "quorate.protocols.mutex.lamport_mutex_scenario",
    "multi-paxos": "quorate.protocols.consensus.multi_paxos_scenario",
    "paxos": "quorate.protocols.consensus.paxos_scenario",
    "paxos-commit": "quorate.protocols.commit.paxos_commit_scenario",
    "raft": "quorate.protocols.consensus.raft_scenario",
    "raft-membership": "quorate.protocols.consensus.raft_membership_scenario",
    "ricart-agrawala": "quorate.protocols.mutex.ricart_agrawala_scenario",
    "three-phase-commit": "quorate.protocols.commit.three_phase_commit_scenario",
    "two-phase-commit": "quorate.protocols.commit.two_phase_commit_scenario",
    "vr": "quorate.protocols.consensus.vr_scenario",
    "zab": "quorate.protocols.consensus.zab_scenario",
}
"""Modules with a value `scenario`, by the name that the command line takes."""


MOST_NODES = 100


class Aim(msgspec.Struct, frozen=True):
    """Which scenario, and what is to differ from it: plain data, for any process to load.

    Attributes:
        name: a catalogue name, `name@mutant`, or `path/to/file.py:Class`.
        nodes: number of servers; 0 for the scenario's own.
        faults: kinds of faults to allow, of those that the scenario tolerates; None for all.
        configuration: the only configuration to run; "" for all.
    """

    name: str
    nodes: int = 0
    faults: tuple[str, ...] | None = None
    configuration: str = ""


_provided: dict[str, Scenario] = {}


def provide(scenario: Scenario, name: str) -> str:
    """Let this process, and no other, know a scenario by a name; returns the name."""
    if _provided.get(name) != scenario:
        _provided[name] = scenario
        load.cache_clear()
    return name


def withdraw(name: str) -> None:
    """Let the name mean again what it means to every process."""
    if _provided.pop(name, None) is not None:
        load.cache_clear()


@lru_cache(maxsize=64)
def load(aim: Aim) -> Scenario:
    """The scenario of an aim. Raises Mistake for a name that means nothing."""
    name, at, mutant = aim.name.partition("@")
    scenario = _load_mutant(name, mutant) if at else _load(name)
    changes: dict[str, Any] = {"name": aim.name}
    if aim.nodes > MOST_NODES:
        raise Mistake(f"{aim.name}: {aim.nodes} servers are too many; at most {MOST_NODES}")
    if aim.nodes:
        changes["nodes"] = aim.nodes
    if aim.faults is not None:
        changes["faults"] = scenario.faults & frozenset(aim.faults)
    if aim.configuration:
        changes["configurations"] = tuple(
            c for c in scenario.configurations if c.name == aim.configuration
        )
        if not changes["configurations"]:
            names = [c.name for c in scenario.configurations]
            raise Mistake(_unknown(f"{name} has no configuration", aim.configuration, names))
    return msgspec.structs.replace(scenario, **changes)


def parse_faults(text: str) -> tuple[str, ...] | None:
    """The value of `--faults`: all, none, or names with commas between them."""
    if text == "all":
        return None
    names = () if text == "none" else tuple(part.strip() for part in text.split(","))
    for name in names:
        if name in ("all", "none"):
            raise Mistake(f"the faults {text!r}: {name!r} stands for itself, without others")
        if name not in FAULTS:
            raise Mistake(_unknown("no fault is called", name, [*FAULTS, "all", "none"]))
    return names


def _load(name: str) -> Scenario:
    if name in _provided:
        return _provided[name]
    if ".py" in name:
        return _load_file(name)
    if name not in CATALOGUE:
        hint = [*CATALOGUE, "path/to/file.py:Class"]
        raise Mistake(_unknown("the catalogue has no", name, hint))
    with interrupts_wait():
        module = importlib.import_module(CATALOGUE[name])
    return _scenario_of(module, CATALOGUE[name])


def _scenario_of(module: ModuleType, source: str) -> Scenario:
    scenario = getattr(module, "scenario", None)
    if not isinstance(scenario, Scenario):
        raise Mistake(f"{source}: it has no value `scenario` that is a Scenario")
    return scenario


def _load_file(name: str) -> Scenario:
    """Execute a user's file, and its `..._scenario.py` if there is one."""
    path, _, kind = name.partition(":")
    module = _execute(Path(path))
    beside = Path(path).with_name(Path(path).stem + "_scenario.py")
    places = [module, _execute(beside)] if beside.exists() else [module]
    found = [v for place in places for v in vars(place).values() if isinstance(v, Scenario)]
    for scenario in found:
        if not kind or scenario.node.__name__ == kind:
            return scenario
    classes = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Node)]
    own = {v.__name__: v for v in classes if v.__module__ == module.__name__}
    if kind not in own:
        raise Mistake(_unknown(f"{path} has no node class", kind, list(own)))
    try:
        return Scenario(name=name, node=own[kind])
    except TypeError as error:
        raise Mistake(f"{path}: {error}") from error


_executed: set[str] = set()
"""Names of modules that were made here, of users' files."""


def _execute(path: Path) -> ModuleType:
    """The module of a file: executed now, unless somebody has imported it."""
    name = path.stem
    if not path.is_file():
        raise Mistake(f"{path}: there is no such file")
    known = None if name in _executed else sys.modules.get(name)
    if known is not None and _is_from(known, path):
        return known
    if known is not None or name in sys.stdlib_module_names:
        raise Mistake(f"{path}: Python has another module called {name}; rename the file")
    _executed.add(name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Mistake:
        raise
    except (Exception, SystemExit) as error:
        line = _line_in(error, path)
        raise Mistake(f"{path}{line}: {type(error).__name__}: {error}") from error
    return module


def _is_from(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path.resolve()


def _line_in(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f":{error.lineno}" if error.lineno else ""
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path.absolute()):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


# Mutants


def _load_mutant(name: str, mutant_name: str) -> Scenario:
    """The scenario, with one module's source changed as it is loaded."""
    original = _load(name)
    named = {mutant.name: mutant for mutant in original.mutants}
    if mutant_name not in named:
        raise Mistake(_unknown(f"{name} has no mutant", mutant_name, list(named)))
    mutant = named[mutant_name]
    if name not in CATALOGUE:
        raise Mistake(f"{name}: only mutants of the catalogue can be loaded by name")
    root = CATALOGUE[name]
    family = tuple(dict.fromkeys((original.node.__module__, *original.modules, root)))
    target = original.node.__module__
    if mutant.module:
        target = next((m for m in family if m.rpartition(".")[2] == mutant.module), "")
    if not target:
        raise Mistake(f"{name}@{mutant_name}: {mutant.module} is no module of {name}")
    with _patched(family, target, mutate(target, mutant)):
        with interrupts_wait():
            module = importlib.import_module(root)
        return _scenario_of(module, root)


def mutate(module: str, mutant: Mutant) -> str:
    """The module's source with the mutant's change. The old text must occur exactly once."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    count = source.count(mutant.old)
    if count != 1:
        raise Mistake(
            f"mutant {mutant.name}: its old text occurs {count} times in {module}, not once"
        )
    return source.replace(mutant.old, mutant.new)


class _Patch(MetaPathFinder, Loader):
    """Finds one module, with another source than its file's."""

    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        name = f"<mutant of {self._module}>"
        lines = self._source.splitlines(keepends=True)
        linecache.cache[name] = (len(self._source), None, lines, name)  # For debuggers.
        exec(compile(self._source, name, "exec"), vars(module))


@contextmanager
def _patched(family: tuple[str, ...], module: str, source: str) -> Iterator[None]:
    """Import the family anew in here, with one module changed; put the real ones back after."""
    importlib.invalidate_caches()
    real = {name: sys.modules.pop(name) for name in family if name in sys.modules}
    finder = _Patch(module, source)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in family:
            sys.modules.pop(name, None)
        sys.modules.update(real)
        for name, kept in real.items():
            package, _, last = name.rpartition(".")
            setattr(sys.modules[package], last, kept)


def _unknown(what: str, name: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
    there = f"there are {', '.join(valid)}" if valid else "there is none"
    hint = f"did you mean {' or '.join(near)}?" if near else there
    return f"{what} {name!r}; {hint}"
