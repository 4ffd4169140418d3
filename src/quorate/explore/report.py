"""What there is to say about a run or a campaign: the data behind all that is printed and drawn."""

import inspect
import re
import sys

from quorate.check.explain import Explanation as Reasons
from quorate.check.history import NEVER, History, Operation
from quorate.explore.outcome import DEADLOCK, LINEARIZABILITY, PROGRESS, Outcome
from quorate.kernel.properties import PropertyKind
from quorate.scenario.mutant import Mutant
from quorate.scenario.scenario import Scenario
from quorate.trace.causality import causal_past
from quorate.trace.encoding import from_records, spell
from quorate.trace.record import Violation
from quorate.trace.trace import Completion, Explanation, Header, JudgedOperation, Step, Trace
from quorate.verdict import Verdict

CLAIMS = {
    LINEARIZABILITY: "What the clients saw is what one copy of the service could have answered.",
    PROGRESS: "Once the faults have ended, clients are served again.",
    DEADLOCK: "Where nothing can happen any more, the servers are done.",
    "no_exception": "No handler raises.",
    "step_ends": "Every handler ends.",
}
"""What the judges claim that no protocol has to write down."""

_SECTION = re.compile(r"§\s?\d+(?:\.\d+)*|[Ss]ection \d+(?:\.\d+)*|Figure \d+")


def idea(scenario: Scenario) -> str:
    """The protocol in one line: how its file begins."""
    lines = _doc(scenario).splitlines()
    return lines[0] if lines else (inspect.getdoc(scenario.node) or "").partition("\n")[0]


def paper(scenario: Scenario) -> str:
    """The source that the protocol's file names, in one line; "" if it names none."""
    found = re.search(r"^Paper +(.+(?:\n +.+)*)", _doc(scenario), re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _doc(scenario: Scenario) -> str:
    return (sys.modules[scenario.node.__module__].__doc__ or "").strip()


def claim(scenario: Scenario, name: str) -> str:
    """What the property of that name demands."""
    docs = {p.name: p.doc for p in scenario.properties or ()}
    docs |= {m.__name__: inspect.getdoc(m) or "" for m in scenario.monitors}
    return CLAIMS.get(name) or " ".join(docs.get(name, "").split())


def mutant_of(scenario: Scenario) -> Mutant | None:
    """The mutant that the scenario runs, if it is one."""
    name = scenario.name.rpartition("@")[2]
    return next((mutant for mutant in scenario.mutants if mutant.name == name), None)


def section(scenario: Scenario, name: str) -> str:
    """Where the paper demands what was violated: the mutant's rule, or the property's text."""
    mutant = mutant_of(scenario)
    if mutant is not None:
        return mutant.section
    found = _SECTION.search(claim(scenario, name))
    return found[0] if found else ""


def trace_of(
    outcome: Outcome,
    *,
    seed: int | None = None,
    schedule: str = "",
    decisions: int | None = None,
    replay: str = "",
) -> Trace:
    """The whole run as data, with all that is known about it at its head."""
    world, violation = outcome.world, outcome.violation
    scenario, configuration = world.scenario, world.configuration
    words = f"violates {violation.property}" if violation else outcome.verdict.value
    header = Header(
        scenario=scenario.name,
        nodes=[str(id) for id in world.servers],
        clients=[str(id) for id in scenario.client_ids()],
        title=f"{scenario.name} {words}",
        seed=seed,
        verdict=outcome.verdict.value,
        violation=violation,
        claim=claim(scenario, violation.property) if violation else "",
        section=section(scenario, violation.property) if violation else "",
        explanation=explanation_of(outcome.explanation) if outcome.explanation else None,
        configuration=configuration.name,
        features={name: spell(value) for name, value in configuration.fields.items()},
        paper=paper(scenario),
        schedule=schedule,
        replay=replay,
        decisions=decisions,
        counters=dict(outcome.counters),
    )
    return from_records(header, world.records, scenario.role)


def led_to(outcome: Outcome) -> set[int]:
    """The ids of the records that the failure rests on: its causal past.

    A history fails by the operations of its explanation; liveness, by where every node has come to.
    """
    violation, records = outcome.violation, outcome.world.records
    if violation is None:
        return set()
    ends = {violation.record, *violation.witnesses}
    if outcome.explanation is not None:
        smallest = outcome.explanation.smallest
        ends.update(max(op.invoke_event, op.complete_event) for op in smallest)
    elif violation.record == len(records) - 1 and is_liveness(outcome):
        ends = set({record.node: record.id for record in records}.values())
    return set().union(*(causal_past(records, end) for end in ends))


def steps_led_to(outcome: Outcome) -> int:
    """How many steps and faults the failure rests on; that a disk syncs is no step of a node's."""
    records = outcome.world.records
    return sum(records[id].kind != "sync" for id in led_to(outcome))


def is_liveness(outcome: Outcome) -> bool:
    """Whether what failed is that something good never happens."""
    name = outcome.violation.property if outcome.violation else ""
    claims = outcome.world.scenario.properties or ()
    ends = {claim.name for claim in claims if claim.kind is PropertyKind.EVENTUALLY}
    return name == PROGRESS or name in ends


def explanation_of(reasons: Reasons) -> Explanation:
    """The checker's explanation in the words of a trace: `smallest`, then what could be placed."""
    smallest = {op.invoked for op in reasons.smallest}
    others = [op for op in reasons.prefix if op.invoked not in smallest]
    placed = {op.invoked for op in reasons.prefix}
    impossible = reasons.impossible.invoked
    judged = [_judged(op, impossible, placed) for op in (*reasons.smallest, *others)]
    return Explanation(reasons.sentence, judged)


def _judged(op: Operation, impossible: int, placed: set[int]) -> JudgedOperation:
    role = "linearized" if op.invoked in placed else ""
    return JudgedOperation(
        process=op.process,
        f=op.f,
        key=op.key,
        value=spell(op.value),
        result=spell(op.result),
        status=op.status,
        invoke=op.invoke_event,
        complete=op.complete_event,
        role="cannot be placed" if op.invoked == impossible else role,
    )


def history_trace(history: History, reasons: Reasons | None, verdict: Verdict) -> Trace:
    """A recorded history as a trace, to be drawn: a lane for each process, a step for each event.

    Of a history that failed only the operations of the explanation are drawn.
    """
    shown = reasons.smallest if reasons else tuple(history.operations)
    events = [(op.invoked, op, True) for op in shown]
    events += [(op.completed, op, False) for op in shown if op.completed != NEVER]
    events.sort(key=lambda event: event[0])
    steps: list[Step] = []
    begun: dict[int, int] = {}
    for _, op, begins in events:
        if begins:
            begun[op.invoked] = len(steps)
            op.invoke_event = len(steps)
        else:
            op.complete_event = len(steps)
        steps.append(_event(len(steps), op, begins, begun.get(op.invoked, -1)))
    name = history.source or "history"
    violation = None
    if reasons is not None:
        same = (op for op in shown if op.invoked == reasons.impossible.invoked)
        end = next((op.complete_event for op in same), len(steps) - 1)
        violation = Violation(LINEARIZABILITY, end, reasons.sentence)
    lanes = sorted({op.process for op in shown})
    header = Header(
        scenario=name,
        nodes=[],
        clients=[f"p{process}" for process in lanes],
        title=f"{name}: {verdict.value}",
        verdict=verdict.value,
        violation=violation,
        claim=CLAIMS[LINEARIZABILITY] if violation else "",
        explanation=explanation_of(reasons) if reasons else None,
    )
    return Trace(header, steps)


def _event(id: int, op: Operation, begins: bool, invoked: int) -> Step:
    node = f"p{op.process}"
    line = op.invoke_line if begins else op.complete_line
    operation = {"$": "Operation", "f": op.f, "key": op.key, "value": spell(op.value)}
    if begins:
        return Step(
            id=id, time=op.invoke_ns, kind="invoke", node=node, label=f"line {line}",
            type="Invoke", fields={"operation": operation},
        )  # fmt: skip
    return Step(
        id=id, time=op.complete_ns, kind="deliver", node=node, label=f"line {line}",
        type=op.status, source=node, cause=invoked,
        completed=[Completion(op.status, spell(op.result))],
    )  # fmt: skip
