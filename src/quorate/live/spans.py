"""Spans for OpenTelemetry: what became of clients' operations, told to a collector by OTLP/HTTP.

A sampled operation is a trace. Its root is told by the member that the client is connected to, with
a span for each server that was asked; beneath that stands what this server did, told by the member
where it lives. No message carries anything for this. A request has the client's id, its own number
and the number of the step that sent it, as both ends know them, and both make the same ids of
these; so they also agree on which operations a ratio takes.

Steps are seen as a `Recorder` sees them, once they have run. A thread of the library's sends; what
it cannot send is counted, and forgotten.
"""

import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from quorate import __version__
from quorate.errors import Mistake, one_line
from quorate.kernel.client import Redirect, Request, Response
from quorate.kernel.env import Complete, Send
from quorate.kernel.node import Event, Invoke, Node
from quorate.kernel.values import NodeId
from quorate.live.host import Hosted, Recorder
from quorate.scenario.system import Command

RATIO = 0.01
"""How many of the operations are sampled, unless OTEL_TRACES_SAMPLER says otherwise: of 10 000 a
second a hundred, which cost a hundredth of a processor."""
WAITING = 2048
"""Spans that wait to be sent, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise; more are lost."""
CLOSING_SECONDS = 1.0
"""How long a member that stops waits for a collector, at most."""
UNANSWERED = 5_000_000_000
"""Nanoseconds after which a server will not answer a request: its client has long given up."""
CANDIDATES = ("candidate", "pre-candidate")
_NAME = re.compile(rb"[A-Za-z._]{1,32}")

Fact = str | int | bool
Moment = tuple[str, int]
"""What happened, and when: nanoseconds since 1970, as all times here."""


class Span(msgspec.Struct, kw_only=True):
    """Something that took time.

    Attributes:
        kind: as OpenTelemetry has it: SERVER, CLIENT or INTERNAL.
        trace, id, parent: 0 for fresh ones, and for no parent.
        is_remote: whether another process tells the parent.
        moments: what happened meanwhile.
        trouble: what went wrong, if anything.
    """

    name: str
    begun: int
    ended: int
    facts: dict[str, Fact]
    kind: str = "INTERNAL"
    trace: int = 0
    id: int = 0
    parent: int = 0
    is_remote: bool = False
    moments: Sequence[Moment] = ()
    trouble: str = ""


class Spans:
    """Tells a member's spans to a collector."""

    def __init__(self, url: str, about: dict[str, Fact], tell: Callable[..., None]) -> None:
        """Send to the collector at `url`; `about` says whose spans they are.

        `tell` is called from other threads, as `Log.tell`. Raises Mistake.
        """
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            raise Mistake(
                "spans need the packages of OpenTelemetry: pip install 'quorate[otel]', "
                "or leave spans out of node.toml"
            ) from None
        self._library: Any = trace
        self._ids = _Ids()
        self._told = self._full = 0
        self._candidate_since = 0
        try:
            self._room = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or WAITING)
            self._sender = _Sender(tell)
            self._sender.exporter = OTLPSpanExporter(
                endpoint=f"{url.rstrip('/')}/v1/traces", session=_session()
            )
            self._provider, self._sampler = _provider(self._sender, self._ids, self._room, about)
        except ValueError as error:
            why = one_line(error).rstrip(".")
            raise Mistake(f"spans: {why}: look at the OTEL_ variables") from error
        self._tracer = self._provider.get_tracer("quorate", __version__)

    @property
    def sent(self) -> int:
        """How many spans the collector has taken."""
        return self._sender.sent

    @property
    def lost(self) -> int:
        """How many were dropped: it did not take them, or too many were waiting."""
        return self._sender.lost + self._full

    def samples(self, trace: int) -> bool:
        """Whether to tell the operation that has this id."""
        return bool(self._sampler.should_sample(None, trace, "operation").decision.is_sampled())

    def tell(self, span: Span) -> None:
        """Let the span be sent, if there is room for one more that waits."""
        if self._told - self._sender.taken >= self._room:
            self._full += 1
            return
        api, self._ids.given = self._library, (span.trace, span.id)
        above = api.INVALID_SPAN
        if span.parent:
            flags = api.TraceFlags(api.TraceFlags.SAMPLED)
            context = api.SpanContext(span.trace, span.parent, span.is_remote, flags)
            above = api.NonRecordingSpan(context)
        made = self._tracer.start_span(
            span.name,
            context=api.set_span_in_context(above),
            kind=api.SpanKind[span.kind],
            attributes=span.facts,
            start_time=span.begun,
        )
        if not made.is_recording():  # OTEL_SDK_DISABLED.
            return
        for what, when in span.moments:
            made.add_event(what, timestamp=when)
        if span.trouble:
            made.set_status(api.StatusCode.ERROR, span.trouble)
        self._told += 1
        made.end(span.ended)

    def took(self, name: str, nanoseconds: int, /, **facts: Fact) -> None:
        """Something rare took so long until now; these are told without sampling."""
        now = time.time_ns()
        told = {f"quorate.{key}": fact for key, fact in facts.items()}
        self.tell(Span(name=name, begun=now - nanoseconds, ended=now, facts=told))

    def became(self, role: str, was: str, term: int) -> None:
        """The server has another role: an election is from a candidacy to what comes of it."""
        now = time.time_ns()
        if role in CANDIDATES:
            self._candidate_since = self._candidate_since or now
        elif was in CANDIDATES or role == "leader":  # At once, if there is nobody to ask.
            since, self._candidate_since = self._candidate_since or now, 0
            self.took("election", now - since, term=term, won=role == "leader")

    def close(self) -> None:
        """Send what is left, unless the collector lets us wait."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(0 if self._sender.trouble else CLOSING_SECONDS)
        self._sender.shutdown()


class _Ids:
    """Gives the library the ids that a span is to have: an `IdGenerator` of its.

    Attributes:
        given: the next ids of a trace and of a span; 0 for any.
    """

    def __init__(self) -> None:
        self.given = (0, 0)

    def generate_trace_id(self) -> int:
        """Of the next trace."""
        return self.given[0] or int.from_bytes(os.urandom(16), "big")

    def generate_span_id(self) -> int:
        """Of the next span."""
        return self.given[1] or int.from_bytes(os.urandom(8), "big")

    def is_trace_id_random(self) -> bool:
        """No: most are made of what an operation is known by."""
        return False


class _Sender(logging.Handler):
    """The library's exporter, which also counts; and what the library has to say.

    Attributes:
        exporter: sends, over the network.
        taken, sent, lost: spans that it was given, that arrived, and that did not.
        trouble: why they do not arrive now, or "".
    """

    exporter: Any

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self.taken = self.sent = self.lost = 0
        self.trouble = ""
        self._tell = tell
        self._is_over = False
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False  # All that it says is in the member's own log.
        logger.addHandler(self)

    def export(self, spans: Sequence[Any]) -> Any:
        """Send them, in the library's thread. However long that takes, nobody waits for it."""
        self.taken += len(spans)
        result = self.exporter.export(spans)
        if result.name == "SUCCESS":
            self.sent += len(spans)
            if self.trouble:
                self.trouble = ""
                self._tell("spans arrive again", lost=self.lost)
        else:
            self.lost += len(spans)
        return result

    def emit(self, record: logging.LogRecord) -> None:
        """The library complains: of what it cannot send, once for as long as that is so."""
        why = one_line(Exception(record.getMessage()))
        if self._is_over:
            return
        if not self.taken or not record.name.startswith("opentelemetry.exporter"):
            self._tell("spans", "warning", why=why)
        elif not self.trouble:
            self.trouble = why
            self._tell("spans do not arrive", "warning", why=why)

    def shutdown(self) -> None:
        """Send nothing more, and wait for nothing."""
        if not self._is_over:
            self._is_over = True
            self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Nothing waits here."""
        return True


def _session() -> Any:
    """What the exporter sends by; where nobody answers, it answers 503, which is tried again.

    An error would refer to frames that refer to it, and members do without a collector of garbage.
    """
    import requests

    session: Any = requests.Session()
    send = session.send

    def sending(*arguments: Any, **options: Any) -> Any:
        try:
            return send(*arguments, **options)
        except requests.RequestException as error:
            _let_frames_go(error)
            answer = requests.Response()
            answer.status_code, answer.reason = 503, one_line(error)
            return answer

    session.send = sending
    return session


def _let_frames_go(error: BaseException) -> None:
    """Let the frames that an error has passed, and those of its causes, refer to nothing."""
    known: list[BaseException] = []
    left: list[object] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one not in known:
            known.append(one)
            traceback.clear_frames(one.__traceback__)
            left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _provider(sender: _Sender, ids: _Ids, room: int, about: dict[str, Fact]) -> tuple[Any, Any]:
    """The library's provider, and its sampler, by the OTEL_ variables where they are set."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased

    own = Resource.create(about).merge(OTELResourceDetector().detect())
    generator: Any = ids
    exporter: Any = sender
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # We have asked the sampler before we make a span.
        resource=own,
        id_generator=generator,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=room))
    if os.environ.get("OTEL_TRACES_SAMPLER"):
        return provider, TracerProvider(shutdown_on_exit=False).sampler
    return provider, TraceIdRatioBased(RATIO)


# What is seen of operations


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
