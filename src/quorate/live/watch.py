"""Sees what becomes of clients' operations, for `spans`.

A sampled operation is a trace. Its root is told by the member that the client is connected to, with
a span for each server that was asked; beneath that stands what this server did, told by the member
where it lives. No message carries anything for this. A request has the client's id, its own number
and the number of the step that sent it, as both ends know them, and both make the same ids of
these; so they also agree on which operations a ratio takes.

Steps are seen as a `Recorder` sees them, once they have run.
"""

import re
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from quorate.kernel.client import Redirect, Request, Response
from quorate.kernel.env import Complete, Send
from quorate.kernel.node import Event, Invoke, Node
from quorate.kernel.values import NodeId
from quorate.live.host import Hosted, Recorder
from quorate.live.spans import Fact, Moment, Span, Spans
from quorate.scenario.system import Command

UNANSWERED = 5_000_000_000
"""Nanoseconds after which a server will not answer a request: its client has long given up."""
_NAME = re.compile(rb"[A-Za-z._]{1,32}")


class Arrival(msgspec.Struct, frozen=True):
    """What a client asked for, from where, and when it came."""

    time: int
    address: str
    port: int
    commands: Sequence[Command]


class _Asked(msgspec.Struct):
    """A server was asked by the step `number`."""

    server: NodeId
    number: int
    begun: int
    ended: int = 0
    answer: str = "none"


class _Operation(msgspec.Struct):
    """A sampled operation of a client of this member."""

    number: int
    trace: int
    arrival: Arrival
    begun: int
    asked: list[_Asked]


class _Served(msgspec.Struct):
    """A request of a sampled operation, at the server.

    Attributes:
        origin: the step that sent it.
        appended: the step that appended an entry for it, while that is not on the disk; else 0.
        answered: the step that answered it, while that waits for the disk; else 0.
    """

    trace: int
    origin: int
    begun: int
    facts: dict[str, Fact]
    moments: list[Moment] = []
    appended: int = 0
    answered: int = 0
    answer: str = "none"


class Watch:
    """Sees each step of a member, as recorders do, and tells of those that serve operations."""

    def __init__(
        self,
        spans: Spans,
        inner: Recorder | None,
        cluster: str,
        server: Hosted,
        role: Callable[[], str],
    ) -> None:
        """Pass everything on to `inner`, too."""
        self._spans = spans
        self._inner = inner
        self._cluster = cluster
        self._server = server
        self._here = f"@{server.env.id}."
        self._role = role
        self._arrival: Arrival | None = None
        self._operations: dict[NodeId, _Operation] = {}
        self._served: dict[tuple[NodeId, int], _Served] = {}

    # What clients do

    def arrived(self, arrival: Arrival) -> None:
        """This is what the next operation, which begins now, is made of."""
        self._arrival = arrival

    def left(self, client: NodeId) -> None:
        """A client is gone, and will see no answer."""
        operation = self._operations.pop(client, None)
        if operation is not None:
            self._end(client, operation, "info")

    # What a recorder sees

    def added(self, node: Node) -> None:
        """A client node began to live here."""
        if self._inner is not None:
            self._inner.added(node)

    def synced(self, reach: int) -> None:
        """The disk holds all steps up to number `reach`."""
        if self._inner is not None:
            self._inner.synced(reach)
        if not self._served:
            return
        now, unsynced = time.time_ns(), self._server.unsynced
        for key, served in tuple(self._served.items()):
            if 0 < served.appended <= reach:
                served.appended = 0
                served.moments.append(("synced", now))
            if served.answered and not 0 < unsynced <= served.answered:  # As the host releases.
                self._answer(key, now)

    def stepped(
        self,
        hosted: Hosted,
        number: int,
        event: Event,
        before: Node,
        choices: Sequence[Any],
        origin: int,
    ) -> None:
        """A step has run."""
        if self._inner is not None:
            self._inner.stepped(hosted, number, event, before, choices, origin)
        kind = type(event)
        if kind is Invoke:
            self._begin(hosted, number, before)
        elif kind is Request and hosted is self._server:
            self._take(hosted, number, event, before, origin)  # type: ignore[arg-type]
        if self._operations and hosted.env.id in self._operations:
            self._follow(hosted, number, event)
        elif self._served and hosted is self._server:
            self._look_for_answers(hosted, number)

    def _begin(self, hosted: Hosted, number: int, before: Node) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is None:
            return  # An operator's.
        asked = getattr(hosted.node, "number", 0)
        # What the connection answers alone is no request, and so has no number of its own.
        known_by = asked if asked != getattr(before, "number", 0) else number
        trace = self._trace(hosted.env.id, known_by)
        if self._spans.samples(trace):
            now = time.time_ns()
            self._operations[hosted.env.id] = _Operation(known_by, trace, arrival, now, [])

    def _follow(self, hosted: Hosted, number: int, event: Event) -> None:
        """A client has asked somebody, was answered, or has ended its operation."""
        client = hosted.env.id
        operation, now = self._operations[client], time.time_ns()
        asked = operation.asked
        is_answer = isinstance(event, Response | Redirect) and event.number == operation.number
        if is_answer and asked and not asked[-1].ended:
            asked[-1].ended, asked[-1].answer = now, type(event).__name__.lower()
        for effect in hosted.env.effects:
            if type(effect) is Send and type(effect.message) is Request:
                asked.append(_Asked(effect.to[0], number, now))
            elif type(effect) is Complete:
                del self._operations[client]
                self._end(client, operation, effect.status)
                return

    def _end(self, client: NodeId, operation: _Operation, outcome: str) -> None:
        now, arrival, role = time.time_ns(), operation.arrival, self._role()
        facts: dict[str, Fact] = {
            "quorate.member": str(self._server.env.id),
            "quorate.outcome": outcome,
            "quorate.commands": len(arrival.commands),
            "client.address": arrival.address,
            "client.port": arrival.port,
        }
        if role:
            facts["quorate.led"] = role == "leader"
        trace, root = operation.trace, self._id(client, operation.trace)
        trouble = {"fail": "it surely did not happen", "info": "it may still happen"}
        self._spans.tell(
            Span(
                name=name_of(arrival.commands),
                begun=arrival.time,
                ended=now,
                facts=facts,
                kind="SERVER",
                trace=trace,
                id=root,
                moments=[("begun", operation.begun)],  # What came before it was answered first.
                trouble=trouble.get(outcome, ""),
            )
        )
        for asked in operation.asked:
            self._spans.tell(
                Span(
                    name=f"ask {asked.server}",
                    begun=asked.begun,
                    ended=asked.ended or now,
                    facts={"quorate.server": str(asked.server), "quorate.answer": asked.answer},
                    kind="CLIENT",
                    trace=trace,
                    id=self._id(client, asked.number),
                    parent=root,
                )
            )

    # What the server does

    def _take(
        self, hosted: Hosted, number: int, request: Request, before: Node, origin: int
    ) -> None:
        client, now = hosted.env.sender, time.time_ns()
        while self._served:
            key, oldest = next(iter(self._served.items()))
            if oldest.begun > now - UNANSWERED:
                break
            self._answer(key, now)
        if self._here in client:  # Then `_begin` has looked, if it was a client's.
            operation = self._operations.get(client)
            trace = operation.trace if operation else 0
        else:
            trace = self._trace(client, request.number)
            trace = trace if self._spans.samples(trace) else 0
        if not trace:
            return
        facts: dict[str, Fact] = {
            "quorate.member": str(hosted.env.id),
            "quorate.role": self._role(),
        }
        served = self._served[client, request.number] = _Served(trace, origin, now, facts)
        index = getattr(hosted.node, "last_index", None)
        if index != getattr(before, "last_index", None) and isinstance(index, int):
            facts["quorate.entry"] = index
            served.appended = number
            served.moments.append(("appended", now))

    def _look_for_answers(self, hosted: Hosted, number: int) -> None:
        for effect in hosted.env.effects:
            if type(effect) is Send and type(effect.message) in (Response, Redirect):
                message: Any = effect.message
                key, now = (effect.to[0], message.number), time.time_ns()
                served = self._served.get(key)
                if served is None:
                    continue
                served.answer = type(message).__name__.lower()
                if hosted.unsynced or hosted.is_syncing:
                    served.answered = number
                    served.moments.append(("answered", now))
                else:
                    self._answer(key, now)

    def _answer(self, key: tuple[NodeId, int], now: int) -> None:
        """The answer leaves now; or none will."""
        client, served = key[0], self._served.pop(key)
        self._spans.tell(
            Span(
                name="serve",
                begun=served.begun,
                ended=now,
                facts={**served.facts, "quorate.answer": served.answer},
                kind="SERVER",
                trace=served.trace,
                parent=self._id(client, served.origin),
                is_remote=client not in self._operations,
                moments=served.moments,
            )
        )

    # Ids that whoever knows of an operation makes alike

    def _trace(self, client: NodeId, number: int) -> int:
        return _digest(16, self._cluster, client, number)

    def _id(self, client: NodeId, number: int) -> int:
        return _digest(8, self._cluster, client, number)


def _digest(size: int, cluster: str, client: NodeId, number: int) -> int:
    data = f"{cluster}/{client}/{number}".encode()
    return int.from_bytes(blake2b(data, digest_size=size).digest(), "big")


def name_of(commands: Sequence[Command]) -> str:
    """The command's name; BATCH if there are several. What a client made up is "unknown"."""
    names = {command[0].upper() for command in commands}
    if len(names) > 1:
        return "BATCH"
    name = names.pop() if names else b""
    return name.decode("ascii") if _NAME.fullmatch(name) else "unknown"
