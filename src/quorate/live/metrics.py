"""A member's metrics and health by HTTP: /metrics for Prometheus, /health and /ready for whoever
starts, stops or balances members.

A thread of its own answers. It only reads what the loop has counted, so a slow or hostile client
holds up nobody but others who ask for metrics; and of these only so many at once.
"""

import http.server
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate import __version__
from quorate.errors import Mistake
from quorate.live.config import Address
from quorate.live.disk import JOURNAL, STORED
from quorate.live.durations import Durations

if TYPE_CHECKING:
    from prometheus_client.registry import Collector, CollectorRegistry

    from quorate.live.member import Member

PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 8
_TEXT = "text/plain; charset=utf-8"

Page = tuple[HTTPStatus, str, bytes]
"""Status, content type, content."""


class MetricsServer:
    """Serves one member's pages until it is closed."""

    def __init__(self, member: "Member", address: Address) -> None:
        """Listen. Raises Mistake if that cannot be, or the library is not there."""
        pages = {
            "/metrics": _metrics_page(registry_of(member)),
            "/health": lambda: _verdict(member.telemetry.unwell()),
            "/ready": lambda: _verdict(member.telemetry.unready()),
        }
        try:
            self._server = _Server(address, pages)
        except OSError as error:
            host, port = address
            reason = error.strerror or str(error)
            raise Mistake(f"cannot serve metrics at {host}:{port}: {reason}") from error
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: Address, pages: dict[str, Callable[[], Page]]) -> None:
        self.pages = pages
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or talks nonsense, is no event."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = PATIENCE_SECONDS
    server_version = f"quorate/{__version__}"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0], _unknown)
        status, kind, content = page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Requests are no events."""


def _unknown() -> Page:
    return HTTPStatus.NOT_FOUND, _TEXT, b"there are /metrics, /health and /ready\n"


def _verdict(why_not: str) -> Page:
    status = HTTPStatus.SERVICE_UNAVAILABLE if why_not else HTTPStatus.OK
    return status, _TEXT, (why_not or "ok").encode() + b"\n"


def _metrics_page(registry: "CollectorRegistry") -> Callable[[], Page]:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))


def registry_of(member: "Member") -> "CollectorRegistry":
    """All that is told of a member, read anew whenever it is asked for. Raises Mistake."""
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector
    except ImportError:
        raise Mistake(
            "metrics need the package prometheus-client: pip install 'quorate[live]', "
            "or leave metrics out of node.toml"
        ) from None
    registry = CollectorRegistry()
    registry.register(_collector(lambda: families(member)))
    ProcessCollector(registry=registry)  # CPU, memory, open files; where /proc is.
    return registry


def _collector(collect: Callable[[], Iterator[Any]]) -> "Collector":
    from prometheus_client.registry import Collector

    class Reading(Collector):
        """Reads what is there when it is asked."""

        def collect(self) -> Iterator[Any]:
            """Of all families."""
            return collect()

    return Reading()


def families(member: "Member") -> Iterator[Any]:
    """The metrics, family by family. A node has those that its protocol knows of."""
    yield from _server(member)
    yield from _work(member)
    yield from _links(member)
    yield from _storage(member)


def _server(member: "Member") -> Iterator[Any]:
    config, telemetry = member.config, member.telemetry
    node: Any = member.server.node
    about = {"cluster": config.cluster, "member": config.member, "system": config.system}
    yield _gauge("info", "What runs here.", [({**about, "version": __version__}, 1)])
    yield _gauge("incarnation", "How often the member was started.", member.disk.incarnation)
    yield _gauge("ready", "Whether it knows a leader and reaches a majority.",
                 int(not telemetry.unready()))  # fmt: skip
    yield _gauge("role", "The role that it has now.", [({"role": member.role()}, 1)])
    became = [({"role": role}, count) for role, count in dict(telemetry.became).items()]
    yield _counter("role_changes", "How often it took each role.", became)
    for field, name, text in (
        ("current_term", "term", "The term that it is in."),
        ("commit_index", "commit_index", "The newest entry that it knows committed, and applied."),
        ("last_index", "last_index", "The newest entry in its log."),
    ):
        value = getattr(node, field, None)
        if isinstance(value, int):
            yield _gauge(name, text, value)
    if hasattr(node, "last_index") and hasattr(node, "commit_index"):
        lag = node.last_index - node.commit_index
        yield _gauge("uncommitted_entries", "Entries in its log not known committed.", lag)
    if hasattr(node, "log"):
        yield _gauge("log_entries", "Entries that no snapshot has replaced.", len(node.log))
    if member.role() == "leader" and hasattr(node, "match_index"):
        lags = [({"peer": p}, node.last_index - at) for p, at in node.match_index.items()]
        yield _gauge("follower_lag_entries", "What a follower is behind its leader.", lags)


def _work(member: "Member") -> Iterator[Any]:
    status, door, telemetry = member.status(), member.door, member.telemetry
    outcomes = {"ok": 0, "fail": 0, "info": 0, **dict(door.outcomes)}
    yield _counter("commands", "Commands that ended: info is an unknown outcome.",
                   [({"outcome": name}, count) for name, count in outcomes.items()])  # fmt: skip
    yield _counter("commands_begun", "Commands that were begun.", door.commands)
    yield _gauge("client_connections", "Open connections of clients.", len(door.connections))
    yield _counter("steps", "Handlers that were run.", status["steps"])
    spans = {"sent": 0, "lost": 0, **status["spans"]}
    yield _counter("spans", "Spans for a collector: those that it took, and those that it did not.",
                   [({"outcome": name}, count) for name, count in spans.items()])  # fmt: skip
    checked = getattr(member.recorder, "checked", None)
    if checked is not None:
        yield _counter("checked_steps", "Steps that were run twice, and compared.", checked)
    yield _histogram("loop_delay_seconds", "By how much the loop was late.", telemetry.delays)
    yield _histogram("gc_pause_seconds", "How long the collector took.", telemetry.pauses)


def _links(member: "Member") -> Iterator[Any]:
    links = dict(member.links)
    for name, text, of in (
        ("link_up", "Whether the peer takes our messages.", lambda link: int(link.is_open)),
        ("link_messages_sent", "Messages handed to the network.", lambda link: link.sent),
        ("link_messages_lost", "Messages dropped: no link, or full.", lambda link: link.lost),
    ):
        make = _gauge if name == "link_up" else _counter
        yield make(name, text, [({"peer": peer}, of(link)) for peer, link in links.items()])
    heard = [({"peer": peer}, count) for peer, count in dict(member.heard).items() if peer]
    yield _counter("link_messages_received", "Frames that came from the peer.", heard)


def _storage(member: "Member") -> Iterator[Any]:
    disk, data = member.disk, member.data
    yield _histogram("sync_seconds", "How long the disk took for a sync.", disk.syncs)
    yield _histogram("snapshot_seconds", "How long a snapshot took to write.", disk.stores)
    stored = data / STORED
    yield _gauge("journal_bytes", "Size of the journal.", _bytes_in(data / JOURNAL))
    yield _gauge("snapshot_bytes", "Size of what is stored by name.", _bytes_in(stored))
    yield _gauge("disk_free_bytes", "Room on the disk.", shutil.disk_usage(data).free)
    when = [path.stat().st_mtime for path in stored.glob("snapshot*.blob")]
    if when:
        yield _gauge("snapshot_timestamp_seconds", "When the snapshot was written.", max(when))


def _bytes_in(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        try:
            total += path.stat().st_size
        except OSError:
            continue  # It has just been deleted.
    return total


Values = float | Sequence[tuple[dict[str, str], float]]
"""One value, or one for each set of labels."""


def _family(kind: str, name: str, text: str, values: Values) -> Any:
    from prometheus_client import core

    made = getattr(core, f"{kind}MetricFamily")
    if not isinstance(values, Sequence):
        return made(f"quorate_{name}", text, value=values)
    labels = list(values[0][0]) if values else []
    family = made(f"quorate_{name}", text, labels=labels)
    for label, value in values:
        family.add_metric(list(label.values()), value)
    return family


def _gauge(name: str, text: str, values: Values) -> Any:
    return _family("Gauge", name, text, values)


def _counter(name: str, text: str, values: Values) -> Any:
    return _family("Counter", name, text, values)


def _histogram(name: str, text: str, durations: Durations) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    buckets, total = durations.buckets(), durations.total / 1e9
    return HistogramMetricFamily(f"quorate_{name}", text, buckets=buckets, sum_value=total)


__all__ = ["MetricsServer", "families", "registry_of"]
