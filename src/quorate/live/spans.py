"""Spans for OpenTelemetry, told to a collector by OTLP/HTTP: by a thread of its library's.

What cannot be sent is counted, and forgotten. What becomes of operations is seen by `watch`.
"""

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quorate import __version__
from quorate.errors import Mistake, one_line

RATIO = 0.01
"""How many of the operations are sampled, unless OTEL_TRACES_SAMPLER says otherwise: of 10 000 a
second a hundred, which cost a hundredth of a processor."""
WAITING = 2048
"""Spans that wait to be sent, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise; more are lost."""
CLOSING_SECONDS = 1.0
"""How long a member that stops waits for a collector, at most."""
CANDIDATES = ("candidate", "pre-candidate")

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
