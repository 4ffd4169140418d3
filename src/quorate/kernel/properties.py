"""What must hold of a system, written beside its protocol.

`@always` and `@sometimes` judge states, `@each_step` judges steps, `@eventually` judges where a run
comes to rest once faults have ended, and a `Monitor` remembers what it has seen.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from types import CodeType, FunctionType, ModuleType
from typing import Any, ClassVar, TypeVar

import msgspec

from quorate.kernel.node import Event, Node

CheckT = TypeVar("CheckT", bound=Callable[..., bool])


class PropertyKind(Enum):
    """When a property is judged; see the decorators of the same names."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    EVENTUALLY = "eventually"
    EACH_STEP = "each_step"


class Property(msgspec.Struct, frozen=True):
    """A named claim about nodes. Crashed nodes take part with what is on their disk."""

    kind: PropertyKind
    name: str
    check: Callable[..., bool]
    doc: str

    def fields(self, node: type[Node]) -> frozenset[str]:
        """The fields of `node` that the check can read; when none has changed, nor has it."""
        return fields_read(self.check, node)


def always(check: Callable[[Sequence[Any]], bool]) -> Property:
    """Safety: true of every reachable state. `check(nodes)` sees each node's released state."""
    return _property(PropertyKind.ALWAYS, check)


def sometimes(check: Callable[[Sequence[Any]], bool]) -> Property:
    """Reachability: true of some state, or an over-cautious protocol would pass everything."""
    return _property(PropertyKind.SOMETIMES, check)


def eventually(check: Callable[[Sequence[Any]], bool]) -> Property:
    """Liveness: true once the faults have ended and the declared quiet period is over."""
    return _property(PropertyKind.EVENTUALLY, check)


def each_step(check: Callable[[Any, Event, Any], bool]) -> Property:
    """Safety of single steps: `check(before, event, after)`; a recovery is a step, by `Start`."""
    return _property(PropertyKind.EACH_STEP, check)


def _property(kind: PropertyKind, check: Callable[..., bool]) -> Property:
    return Property(kind, check.__name__, check, (check.__doc__ or "").strip())


class Monitor(msgspec.Struct, kw_only=True):
    """A claim that needs memory: its fields, immutable as a node's, are all that it remembers.

    `reads` names the node fields whose change wakes it; a monitor never acts on the system.
    """

    reads: ClassVar[tuple[str, ...]] = ()

    def watch(self, before: Any, event: Event, after: Any) -> bool:
        """See one released step. Rebind fields to remember; return whether the claim holds."""
        raise NotImplementedError


def fields_read(check: Callable[..., Any], node: type[Node]) -> frozenset[str]:
    """The fields of `node` that a function can read, found in its code without running it.

    Follows the methods of `node` that it names, the functions of the check's module and of modules
    that it names, and those it is closed over. A superset: a name counts wherever it stands, also
    in a string.
    """
    names: set[str] = set()
    pending: list[object] = [check]
    seen: set[CodeType] = set()
    while pending:
        candidate = pending.pop()
        function = candidate.fget if isinstance(candidate, property) else candidate
        if not isinstance(function, FunctionType) or function.__code__ in seen:
            continue
        seen.add(function.__code__)
        found = _names(function.__code__)
        names |= found
        pending += [cell.cell_contents for cell in function.__closure__ or ()]
        for name in found:
            named = function.__globals__.get(name)
            pending += [getattr(node, name, None), named]
            if isinstance(named, ModuleType):
                pending += [getattr(named, other, None) for other in found]
    return frozenset(names) & frozenset(node.__struct_fields__)


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    pending = list(code.co_consts)
    while pending:
        constant = pending.pop()
        if isinstance(constant, CodeType):
            names |= _names(constant)
        elif isinstance(constant, str):
            names.add(constant)  # As in getattr(node, "name").
        elif isinstance(constant, tuple | frozenset):
            pending += constant
    return names
