"""Judges a run while it happens: properties, step properties and monitors over released states."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.errors import Mistake, place_of
from quorate.kernel.node import Event, Node, child_fields, durable_fields
from quorate.kernel.properties import Monitor, Property, PropertyKind, fields_read
from quorate.scenario.scenario import Scenario
from quorate.simulate.host import Host
from quorate.simulate.watchdog import StepNeverEnds
from quorate.trace.record import Record, Violation

if TYPE_CHECKING:
    from quorate.simulate.world import World

SHOWN = 60
"""How many characters of a value a message shows."""

Same = tuple[bool, ...]
"""For each watched field, whether a step has left it the same object."""


class Judge:
    """Evaluates each property again only when a field that it can read has changed.

    Attributes:
        reached: the names of the `sometimes` properties that have held.
        roles: how often a node took on each role.
        monitors: what each has seen so far.
        compare: which of the watched fields are the same object in two states.
        plans: what to do about a step, by what it left the same; filled by `plan`.
    """

    def __init__(self, scenario: Scenario, hosts: Sequence[Host]) -> None:
        self._scenario = scenario
        self._hosts = hosts
        self.reached: set[str] = set()
        self.roles: dict[str, int] = {}
        self._states: list[Node] = [host.released for host in hosts]
        self._crashed: dict[int, Node] = {}
        self.monitors = [monitor() for monitor in scenario.monitors]
        kinds: dict[PropertyKind, list[Property]] = {kind: [] for kind in PropertyKind}
        properties = scenario.properties or ()
        for claim in properties:
            kinds[claim.kind].append(claim)
        self._always = kinds[PropertyKind.ALWAYS]
        self._sometimes = kinds[PropertyKind.SOMETIMES]
        self._each_step = kinds[PropertyKind.EACH_STEP]
        self._eventually = kinds[PropertyKind.EVENTUALLY]
        every = frozenset(scenario.node.__struct_fields__)
        # Of a check that names no field nothing is known: it is judged whenever anything changes.
        self._reads = {p.name: _reads(p.check, scenario.node) or every for p in properties}
        self._role_reads = _reads(scenario.role, scenario.node) if scenario.role else set()
        watched = set(self._role_reads).union(*self._reads.values())
        watched.update(*(set(monitor.reads) for monitor in self.monitors))
        self._durable = _on_disk(scenario.node)
        self._names = tuple(sorted((watched | self._durable) - {"id", "peers"}))
        self.compare = comparison(self._names)
        self.plans: dict[Same, Plan] = {}

    def begin(self) -> Violation | None:
        """Judge the states in which the nodes begin, before any of their fields has changed."""
        for claim in self._always:
            if not holds(claim.name, claim.check, self._states):
                return Violation(claim.name, 0, self._show(claim, self._states))
        return None

    def observe(
        self, host: Host, record: Record, plan: "Plan", records: Sequence[Record]
    ) -> Violation | None:
        """Judge a step that has just been released; `records` are the run so far."""
        index = host.index
        before, after = self._states[index], host.released
        if self._crashed:  # Recovery is a step from before the crash.
            before = self._crashed.pop(index, before)
        self._states[index] = after
        assert record.event is not None
        if plan.role:
            self._count_role(before, after)
        found = self._judge_step(plan, before, record.event, after)
        if found is None and (plan.always or plan.sometimes):
            found = self._judge_states(plan)
        if found is None:
            return None
        return Violation(found[0], record.id, found[1], self._witnesses(record, records))

    def _witnesses(self, record: Record, records: Sequence[Record]) -> tuple[int, ...]:
        """The last steps by which other servers took on the role that this one has."""
        role = self._scenario.role
        if role is None or role(record.after) == role(self._hosts[0].fresh):
            return ()
        found: dict[str, int] = {}
        servers = {host.id for host in self._hosts} - {record.node}
        for step in records:
            if step.node not in servers or step.before is None:
                continue
            if role(step.after) == role(record.after) != role(step.before):
                found[step.node] = step.id
        return tuple(sorted(found.values()))

    def plan(self, same: Same) -> "Plan":
        """What to do about a step that left just these fields the same."""
        changed = {name for name, kept in zip(self._names, same, strict=True) if not kept}
        recovered = not any(same)
        plan = Plan(
            durable=bool(changed & self._durable),
            judged=bool(changed),
            role=bool(changed & self._role_reads),
            each_step=[p for p in self._each_step if changed & self._reads[p.name]],
            monitors=[m for m in self.monitors if recovered or changed.intersection(m.reads)],
            always=[p for p in self._always if changed & self._reads[p.name]],
            sometimes=[p for p in self._sometimes if changed & self._reads[p.name]],
        )
        self.plans[same] = plan
        return plan

    def crashed(self, host: Host) -> None:
        """Only the durable state of the node is left. The next step shows what that breaks."""
        self._crashed.setdefault(host.index, self._states[host.index])
        self._states[host.index] = host.released

    def recovery(self) -> "Plan":
        """What to do about a node's first step after a crash: all that it remembers is new."""
        nothing = (False,) * len(self._names)
        return self.plans.get(nothing) or self.plan(nothing)

    def raised(self, record: Record, error: BaseException) -> Violation:
        """A handler that raises, or never ends, is a failure of the node's."""
        if isinstance(error, StepNeverEnds):
            return Violation("step_ends", record.id, f"{record.node}: {error}")
        message = f"{record.node} raised {type(error).__name__}: {error} ({place_of(error)})"
        return Violation("no_exception", record.id, message)

    def at_rest(self, world: "World") -> Violation | None:
        """Judge where the run has come to rest, long after the last fault."""
        nodes = [world.hosts[id].released for id in world.core]
        last = len(world.records) - 1
        for claim in self._eventually:
            if not holds(claim.name, claim.check, nodes):
                return Violation(claim.name, last, self._show(claim, nodes))
        return None

    def _judge_step(
        self, plan: "Plan", before: Node, event: Event, after: Node
    ) -> tuple[str, str] | None:
        judge: Property | Monitor | None = None
        try:
            for judge in plan.each_step:
                if not judge.check(before, event, after):
                    return judge.name, self._difference(judge, before, after)
            for judge in plan.monitors:
                if not judge.watch(before, event, after):
                    return type(judge).__name__, _sight(judge, after)
        except (Exception, StepNeverEnds) as error:
            name = judge.name if isinstance(judge, Property) else type(judge).__name__
            raise _mistaken(name, error) from error
        return None

    def _judge_states(self, plan: "Plan") -> tuple[str, str] | None:
        states = self._states
        for claim in plan.always:
            if not holds(claim.name, claim.check, states):
                return claim.name, self._show(claim, states)
        for claim in plan.sometimes:
            name = claim.name
            if name not in self.reached and holds(name, claim.check, states):
                self.reached.add(name)
        return None

    def _count_role(self, before: Node, after: Node) -> None:
        assert self._scenario.role is not None
        role = self._scenario.role(after)
        if role != self._scenario.role(before):
            self.roles[role] = self.roles.get(role, 0) + 1

    def _show(self, claim: Property, nodes: Sequence[Node]) -> str:
        """The claim, and the values that it looked at."""
        fields = sorted(self._reads[claim.name] - {"id", "peers"})
        seen = (f"{n.id}: " + _values(n, fields) for n in nodes)
        return f"{_doc(claim)} " + "; ".join(seen)

    def _difference(self, claim: Property, before: Node, after: Node) -> str:
        fields = sorted(self._reads[claim.name] - {"id", "peers"})
        old, new = _values(before, fields), _values(after, fields)
        return f"{_doc(claim)} {after.id}: {old} → {new}"


class Plan(msgspec.Struct):
    """What a change of some fields entails: `durable` for the disk, all else for the judges."""

    durable: bool
    judged: bool
    role: bool
    each_step: list[Property]
    monitors: list[Monitor]
    always: list[Property]
    sometimes: list[Property]


def holds(name: str, check: Any, *arguments: Any) -> bool:
    """Ask a property or a monitor. Raises Mistake, with the place, if it raises or never ends."""
    try:
        return bool(check(*arguments))
    except (Exception, StepNeverEnds) as error:
        raise _mistaken(name, error) from error


def _mistaken(name: str, error: BaseException) -> Mistake:
    if isinstance(error, StepNeverEnds):
        return Mistake(f"property {name} never ends; it must return True or False")
    what = f"{type(error).__name__}: {error} ({place_of(error)})"
    return Mistake(f"property {name} raised {what}; it must return True or False")


# Looked up once for each class and check, and not for each of thousands of runs.
_reads = lru_cache(maxsize=1024)(fields_read)


@lru_cache(maxsize=256)
def _on_disk(node: type[Node]) -> frozenset[str]:
    """The fields of which a crash leaves something."""
    return frozenset(durable_fields(node) + child_fields(node))


@lru_cache(maxsize=256)
def comparison(names: Sequence[str]) -> Callable[[Node, Node], Same]:
    """A function that tells which of these fields are the same object in two nodes.

    It is compiled for the names, as every step needs it: a loop would take four times as long.
    """
    pairs = "".join(f"one.{name} is other.{name}, " for name in names)
    compare: Callable[[Node, Node], Same] = eval(f"lambda one, other: ({pairs})")
    return compare


def _doc(claim: Property) -> str:
    return claim.doc.splitlines()[0] if claim.doc else f"{claim.name}."


def _sight(monitor: Monitor, after: Node) -> str:
    doc = (type(monitor).__doc__ or type(monitor).__name__).strip().splitlines()[0]
    return f"{doc} {after.id}: " + _values(after, sorted(monitor.reads))


def _values(node: Node, fields: Sequence[str]) -> str:
    return ", ".join(f"{field}={_short(getattr(node, field))}" for field in fields)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
