"""How a failure is told: the property first, then ever more of how it came about."""

import textwrap
from pathlib import Path
from typing import Any

from quorate.cli.screen import Screen, command
from quorate.explore.outcome import Outcome
from quorate.explore.replay import Replayed
from quorate.explore.report import claim, is_liveness, led_to, paper, section, trace_of
from quorate.scenario.schedule import Schedule
from quorate.trace.trace import Trace
from quorate.view.story import sentences
from quorate.view.terminal import diagram

STORY_ROWS = 40
"""Sentences of a story, about; the page tells it all."""


def tell_trace(screen: Screen, trace: Trace, outcome: Outcome, *, with_story: bool = False) -> None:
    """The diagram, which ends with the violated line and its values; before it the story."""
    if screen.is_json:
        return
    ids = led_to(outcome) if is_liveness(outcome) else None
    if with_story:
        for sentence in sentences(trace, ids, STORY_ROWS):
            lead = f"{sentence.number:>3}. "
            indent = " " * len(lead)
            screen.say(textwrap.fill(lead + sentence.text, screen.width, subsequent_indent=indent))
        screen.say()
    screen.show(diagram(trace, screen.width, ids=ids, is_ascii=screen.is_ascii))


def tell_failure(
    screen: Screen,
    replayed: Replayed,
    text: str,
    path: Path,
    *,
    is_minimal: bool = True,
    with_story: bool = False,
) -> Trace:
    """Print all that there is to say about a shrunk failure; returns its trace."""
    scenario, outcome = replayed.outcome.world.scenario, replayed.outcome
    violation = outcome.violation
    assert violation is not None
    replay = command("replay", str(path))
    schedule = replayed.schedule
    trace = trace_of(
        outcome,
        seed=schedule.seed,
        schedule=text,
        decisions=schedule.decisions(),
        replay=replay,
    )
    name = violation.property
    screen.say(f"{scenario.name} violates {name}: {claim(scenario, name)}", "bold red")
    screen.say()
    screen.say(size(schedule, replayed.causal_steps(), is_minimal))
    screen.say()
    screen.say(textwrap.indent(text, "    ").rstrip(), "cyan")
    screen.say()
    tell_trace(screen, trace, outcome, with_story=with_story)
    if replayed.outcome.explanation is not None:
        screen.say(replayed.outcome.explanation.render())
    where = section(scenario, name)
    if where or paper(scenario):
        screen.say(f"paper    {where + ' of ' if where else ''}{paper(scenario)}")
    screen.say(f"replay   {replay}", "bold")
    return trace


def size(schedule: Schedule, causal_steps: int, is_minimal: bool | None) -> str:
    """How large a failure is, told twice; `is_minimal` is None where nobody has tried."""
    decisions = schedule.decisions()
    plural = "" if decisions == 1 else "s"
    rest = {
        True: " (none of which can go)",
        False: " (perhaps not all needed: the time was up)",
        None: "",
    }[is_minimal]
    return f"{decisions} decision{plural}{rest}; {causal_steps} steps led to it"


def failure_entry(replayed: Replayed, path: Path, is_minimal: bool | None) -> dict[str, Any]:
    """The same for programs."""
    outcome = replayed.outcome
    violation = outcome.violation
    assert violation is not None
    scenario = outcome.world.scenario
    return {
        "property": violation.property,
        "claim": claim(scenario, violation.property),
        "message": violation.message,
        "section": section(scenario, violation.property),
        "seed": replayed.schedule.seed,
        "decisions": replayed.schedule.decisions(),
        "causal_steps": replayed.causal_steps(),
        "is_minimal": is_minimal,
        "schedule": str(path),
        "replay": command("replay", str(path)),
    }
