"""Histories in, verdicts out.

    history = read_history("history.edn")
    result = check_history(history, model_named("cas-register"))
    print(result.verdict.value)
    if result.explanation:
        print(result.explanation.render())

Nothing here knows of nodes or protocols: a history may come from a simulation, a live cluster
or somebody else's database.
"""

from quorate.check.explain import Explanation
from quorate.check.history import (
    NEVER,
    NO_EVENT,
    Event,
    EventType,
    History,
    Operation,
    Status,
    Value,
)
from quorate.check.linearizability import Budget, PartResult, Result, check_history
from quorate.check.models import (
    ANY_STATE,
    IMPOSSIBLE,
    MODELS,
    SAME_STATE,
    SOME_STATE,
    UNKNOWN,
    Effect,
    Implied,
    Mark,
    Model,
    Seen,
    State,
    model_named,
)
from quorate.check.readers import FORMATS, read_history, write_history
from quorate.check.story import label

__all__ = [
    "ANY_STATE",
    "FORMATS",
    "IMPOSSIBLE",
    "MODELS",
    "NEVER",
    "NO_EVENT",
    "SAME_STATE",
    "SOME_STATE",
    "UNKNOWN",
    "Budget",
    "Effect",
    "Event",
    "EventType",
    "Explanation",
    "History",
    "Implied",
    "Mark",
    "Model",
    "Operation",
    "PartResult",
    "Result",
    "Seen",
    "State",
    "Status",
    "Value",
    "check_history",
    "label",
    "model_named",
    "read_history",
    "write_history",
]
