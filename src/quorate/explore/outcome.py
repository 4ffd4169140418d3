"""One run, judged: by its properties while it runs, then by what its clients saw."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter

import msgspec

from quorate.check.explain import Explanation
from quorate.check.history import History, Status
from quorate.check.linearizability import Budget, check_history
from quorate.check.models import Model, model_named
from quorate.errors import Mistake
from quorate.kernel.env import Complete
from quorate.kernel.node import Invoke, step
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Tape
from quorate.simulate.self_check import checked_step
from quorate.simulate.world import World
from quorate.trace.record import Violation
from quorate.verdict import Verdict

LINEARIZABILITY = "linearizability"
PROGRESS = "progress"
DEADLOCK = "deadlock"
BUDGET = Budget(steps=2_000_000, seconds=None)


class Outcome(msgspec.Struct):
    """What became of a run.

    Attributes:
        world: the run itself, with its trace and its tape.
        verdict: `unknown` if it was given up, or too few operations completed to judge.
        violation: the property that failed.
        explanation: for a history that is not linearizable.
        counters: what really happened, by name.
        reason: why the verdict is unknown.
    """

    world: World
    verdict: Verdict
    violation: Violation | None
    explanation: Explanation | None
    counters: Mapping[str, int]
    reason: str = ""


def judge(
    scenario: Scenario, tape: Tape, *, explained: bool = False, self_check: bool = False
) -> Outcome:
    """Run a tape to its end and judge it.

    `explained` asks for the checker's explanation; `self_check` runs every step twice.
    """
    world = World(scenario, tape, checked_step if self_check else step)
    world.run()
    return judge_world(world, explained=explained)


def judge_world(world: World, *, explained: bool = False) -> Outcome:
    """Judge a run that has ended."""
    violation, explanation, verdict, reason = world.violation, None, Verdict.PASS, ""
    history = history_of(world)
    if violation is not None:
        verdict = Verdict.FAIL
    elif world.exhausted:
        verdict, reason = Verdict.UNKNOWN, f"given up after {world.steps} handler steps"
    else:
        workload = world.scenario.workload
        model = workload.model if workload else ""
        if model and history.operations:
            known = model if isinstance(model, Model) else model_named(model)
            result = check_history(history, known, BUDGET, explained=explained)
            verdict, reason, explanation = result.verdict, result.reason, result.explanation
            if verdict is Verdict.FAIL:
                violation = _not_linearizable(world, explanation, history)
        if verdict is Verdict.PASS and workload and not history.operations:
            verdict, reason = Verdict.UNKNOWN, "no client asked for anything"
        is_live = world.healed and world.configuration.live
        if verdict is not Verdict.FAIL and is_live and _stuck(world):
            message = "Some operation that begins long after the last fault must succeed; none did"
            violation = Violation(PROGRESS, len(world.records) - 1, message)
            verdict = Verdict.FAIL
    counters = count(world, history)
    return Outcome(world, verdict, violation, explanation, counters, reason)


def history_of(world: World) -> History:
    """What the clients of a run asked, and what they were answered."""
    records, events = world.records, []
    for process, invoked, completed in world.clients.operations:
        events.append((invoked, process, True))
        if completed >= 0:
            events.append((completed, process, False))
    history = History()
    for record_id, process, begins in sorted(events):
        record = records[record_id]
        if begins:
            assert isinstance(record.event, Invoke)
            operation = record.event.operation
            history.invoke(
                process, operation.f, operation.key, operation.value, record.time, record_id
            )
        else:
            effect = next(e for e in record.effects if type(e) is Complete)
            history.complete(
                process, status_of(effect.status), effect.value, record.time, record_id
            )
    return history


def _not_linearizable(world: World, explanation: Explanation | None, history: History) -> Violation:
    if explanation is None:
        return Violation(LINEARIZABILITY, len(world.records) - 1, "the history is not linearizable")
    record = explanation.impossible.complete_event
    return Violation(LINEARIZABILITY, record, explanation.sentence)


def _stuck(world: World) -> bool:
    """Whether clients asked the core in the liveness phase, and no operation succeeded any more."""
    healed, last = world.scenario.heal, world.scenario.quiet
    asked = any(
        flight.target in world.core and flight.source not in world.servers
        for record in world.records[_first_at(world, healed) : _first_at(world, last)]
        for flight in record.flights
    )
    return asked and not any(
        completed >= 0
        and world.records[completed].time >= healed
        and _status(world, completed) == "ok"
        for _, _, completed in world.clients.operations
    )


def _first_at(world: World, time: int) -> int:
    """The id of the first record at that time, or later."""
    return bisect_left(world.records, time, key=attrgetter("time"))


def _status(world: World, completed: int) -> Status:
    effects = world.records[completed].effects
    return status_of(next(e.status for e in effects if type(e) is Complete))


def status_of(text: str) -> Status:
    """How an operation ended, by what was given to `env.complete`. Raises Mistake."""
    match text:
        case "ok" | "fail" | "info" as status:
            return status
    raise Mistake(f"env.complete takes ok, fail or info, not {text!r}")


def count(world: World, history: History) -> dict[str, int]:
    """What really happened. A name in a scenario's minima must be one of these."""
    counters: Counter[str] = Counter()
    counters["steps"] = world.steps
    for name, times in world.faults.struck.items():
        counters[f"fault {name}"] = times
    counters["crashes that lost steps"] = world.faults.crashes_that_lost
    for role, times in world.judge.roles.items():
        counters[f"became {role}"] = times
    for name in world.judge.reached:
        counters[f"reached {name}"] = 1
    flights = chain.from_iterable(map(attrgetter("flights"), world.records))
    for reason, times in Counter(filter(None, map(attrgetter("lost"), flights))).items():
        counters[f"messages {reason}"] = times
    open_by_key: dict[str | None, int] = {}
    healed = world.scenario.heal
    for operation in history.operations:
        counters[f"operations {operation.status}"] += 1
        before = open_by_key.get(operation.key, -1)
        counters["operations concurrent on a key"] += before > operation.invoked
        last = operation.completed if operation.completed >= 0 else history.length
        open_by_key[operation.key] = max(before, last)
        if operation.invoke_ns > healed and operation.value is None:
            counters["reads after the heal"] += operation.status == "ok"
    return dict(counters)
