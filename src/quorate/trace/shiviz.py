"""A trace as a log for ShiViz (https://bestchai.bitbucket.io/shiviz/).

Load the output there as a file. Its first two lines are the parser that ShiViz asks for: the
regular expression for one event, and the delimiter between executions, here empty. Each event is
two lines: what happened, and its node with the vector clock in JSON.
"""

import json
from collections.abc import Iterator

from quorate.trace.escaping import escape
from quorate.trace.trace import Step, Trace

PARSER = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"


def shiviz(trace: Trace) -> Iterator[str]:
    """The log, line by line. Faults of the network have no host, and are left out."""
    yield PARSER
    yield ""
    clocks: dict[str, dict[str, int]] = {node: {} for node in trace.lanes}
    sent: dict[int, dict[str, int]] = {}
    for step in trace.steps:
        if not step.node:
            continue
        clock = clocks[step.node]
        if step.kind == "deliver":
            for node, count in sent.get(step.cause, {}).items():
                clock[node] = max(clock.get(node, 0), count)
        clock[step.node] = clock.get(step.node, 0) + 1
        if step.sends:
            sent[step.id] = dict(clock)
        yield _event(step)
        yield f"{step.node} {json.dumps(clock, sort_keys=True)}"


def _event(step: Step) -> str:
    """One line, whatever the trace holds."""
    text = f"{step.label} @ {step.time} ns"
    if step.kind == "fault":
        text = f"{step.detail} @ {step.time} ns"
    elif step.changes and step.kind != "start":
        text += f", changes {', '.join(step.changes)}"
    return escape(text)
