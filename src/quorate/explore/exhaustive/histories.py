"""What clients have seen, as far as it matters which operation precedes which."""

from collections.abc import Sequence
from typing import Any

import msgspec

from quorate.check.history import History
from quorate.check.linearizability import check_history
from quorate.check.models import Model
from quorate.explore.exhaustive.way import Happening
from quorate.explore.outcome import BUDGET, status_of
from quorate.kernel.canonical import fingerprint
from quorate.kernel.node import Operation
from quorate.verdict import Verdict


class Asked(msgspec.Struct, frozen=True):
    """One operation of a history, with what is known of its order.

    `preceded_by` counts, for each client, its operations that had completed when this one began.
    """

    operation: Operation
    preceded_by: tuple[int, ...]
    status: str = ""
    result: Any = None


Seen = tuple[tuple[Asked, ...], ...]
"""A history by client: all that an order of events says about which operation precedes which."""


class Histories:
    """Histories that differ only in the order of events that say nothing are one."""

    def __init__(self, model: Model | None) -> None:
        self._model = model
        self.seen: list[Seen] = [()]
        self._events: list[tuple[Happening, ...]] = [()]
        self._is_right = [True]
        self.prints: list[bytes] = [fingerprint(())]
        self._known: dict[bytes, int] = {self.prints[0]: 0}
        self._after: dict[tuple[int, tuple[Happening, ...]], int] = {}
        self.undecided = 0

    def after(self, history: int, happenings: tuple[Happening, ...]) -> tuple[int, bool]:
        """The history with these events at its end, and whether it is linearizable."""
        if self._model is None:
            return history, True
        key = (history, happenings)
        known = self._after.get(key)
        if known is None:
            known = self._after[key] = self._add(history, happenings)
        return known, self._is_right[known]

    def _add(self, history: int, happenings: tuple[Happening, ...]) -> int:
        seen = self.seen[history]
        for happening in happenings:
            seen = _with(seen, happening)
        print_ = fingerprint(seen)
        known = self._known.get(print_)
        if known is None:
            known = self._known[print_] = len(self.seen)
            events = (*self._events[history], *happenings)
            self.seen.append(seen)
            self.prints.append(print_)
            self._events.append(events)
            ended = any(happening.operation is None for happening in happenings)
            self._is_right.append(not ended or self._judge(events))
        return known

    def _judge(self, events: tuple[Happening, ...]) -> bool:
        assert self._model is not None
        history = history_of(events)
        result = check_history(history, self._model, BUDGET, explained=False)
        is_empty = not any(operation.status == "ok" for operation in history.operations)
        self.undecided += result.verdict is Verdict.UNKNOWN and not is_empty
        return result.verdict is not Verdict.FAIL


def _with(seen: Seen, happening: Happening) -> Seen:
    client = happening.client
    rows = [*seen, *[()] * (client + 1 - len(seen))]
    own = rows[client]
    if happening.operation is not None:
        counts = [sum(asked.status in ("ok", "fail") for asked in row) for row in rows]
        while counts and not counts[-1]:
            counts.pop()  # Clients that have not begun yet change nothing.
        rows[client] = (*own, Asked(happening.operation, tuple(counts)))
    else:
        assert own, f"client {client} completes an operation that it never began"
        ended = msgspec.structs.replace(own[-1], status=happening.status, result=happening.result)
        rows[client] = (*own[:-1], ended)
    return tuple(rows)


def history_of(events: Sequence[Happening]) -> History:
    """The events as a history for the checker; a client goes on as another one after an info."""
    history, clients = History(), 1 + max((event.client for event in events), default=0)
    infos = dict.fromkeys(range(clients), 0)
    for client, operation, status, result in events:
        process = client + clients * infos[client]
        if operation is not None:
            history.invoke(process, operation.f, operation.key, operation.value)
        else:
            history.complete(process, status_of(status), result)
            infos[client] += status == "info"
    return history
