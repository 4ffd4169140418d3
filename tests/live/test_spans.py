"""A live member's spans, as a collector of OpenTelemetry receives them from real processes."""

import contextlib
import gc
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from quorate import __version__
from quorate.cli.main import main
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.spans import Spans
from quorate.live.supervisor import CONFIG, LOG, Place
from quorate.live.watch import name_of

ALL = {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "20"}
"""Every operation is told, and soon."""
DEADLINE_SECONDS = 60.0


class Collector:
    """Receives spans by OTLP over HTTP.

    Attributes:
        status: what it answers.
        told: each span by its fields: name, member, trace, id, parent, start, end, facts, moments.
        resources: the attributes of whoever told some, by member.
    """

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.told: list[dict[str, Any]] = []
        self.resources: dict[str, dict[str, Any]] = {}
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.status == 200:
                    assert self.path == "/v1/traces"
                    collector.take(ExportTraceServiceRequest.FromString(data))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Requests are no events."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, request: Any) -> None:
        """Keep the spans of a request."""
        for group in request.resource_spans:
            resource = facts_of(group.resource.attributes)
            member = str(resource["quorate.member"])
            self.resources[member] = resource
            for span in (span for scope in group.scope_spans for span in scope.spans):
                self.told.append(
                    {
                        "name": span.name,
                        "member": member,
                        "kind": span.kind,
                        "trace": span.trace_id,
                        "id": span.span_id,
                        "parent": span.parent_span_id,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "facts": facts_of(span.attributes),
                        "moments": {event.name: event.time_unix_nano for event in span.events},
                        "status": span.status.code,
                    }
                )

    def named(self, name: str) -> list[dict[str, Any]]:
        """All spans of this name, so far."""
        return [span for span in tuple(self.told) if span["name"] == name]

    def trace(self, root: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """The spans of a trace besides its root, once there are so many."""

        def there() -> list[dict[str, Any]]:
            of_trace = [s for s in tuple(self.told) if s["trace"] == root["trace"] and s != root]
            return of_trace if len(of_trace) >= count else []

        return eventually(there)

    def close(self) -> None:
        """Receive nothing more."""
        self._server.shutdown()
        self._server.server_close()


def facts_of(attributes: Any) -> dict[str, Any]:
    """Attributes as they came."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def client_of(place: Place) -> "redis.Redis":
    return redis.Redis.from_url(f"redis://{place.clients}", protocol=3)


def log_of(place: Place) -> str:
    return (place.directory / LOG).read_text("utf-8")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[list[Place]]:
    directory = tmp_path_factory.mktemp("spans") / "cluster"
    words = ["up", "kv", "--nodes", "3", "--dir", str(directory), "--detach"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ALL.items():
            patch.setenv(name, value)
        assert main([*words, "--spans", collector.url]) == 0
        places = supervisor.find(directory)
        yield places
        supervisor.stop(places)


def settled(cluster: list[Place]) -> tuple[Place, Place, int]:
    """The leader, a follower, and the term, once all members know of it."""

    def look() -> list[dict[str, Any]]:
        facts = [supervisor.status(place) for place in cluster]
        leaders = [fact["member"] for fact in facts if fact.get("role") == "leader"]
        known = {(fact.get("leader"), fact.get("current_term")) for fact in facts}
        return facts if [leader for leader, _ in known] == leaders else []

    facts = eventually(look)
    roles = {fact["role"]: place for place, fact in zip(cluster, facts, strict=True)}
    return roles["leader"], roles["follower"], facts[0]["current_term"]


def asked(
    cluster: list[Place], collector: Collector, of: str, *words: str | int
) -> tuple[Place, Place, dict[str, Any]]:
    """The leader, a follower, and the root of what was asked `of` one of them, in one term."""
    for _ in range(10):
        leader, follower, term = settled(cluster)
        with client_of(leader if of == "leader" else follower) as client:
            connection = client.connection_pool.get_connection()
            port = connection._sock.getsockname()[1]
            connection.send_command(*words)
            with contextlib.suppress(redis.RedisError):
                connection.read_response()
        if settled(cluster)[2] == term:
            root = eventually(
                lambda port=port: [
                    s for s in collector.named(str(words[0])) if s["facts"]["client.port"] == port
                ]
            )[0]
            return leader, follower, root
    raise AssertionError("there is a new leader for each operation")


def test_an_operation_is_followed_from_member_to_member(
    cluster: list[Place], collector: Collector
) -> None:
    """A follower names the leader, which appends: three members' spans are one trace."""
    leader, follower, root = asked(cluster, collector, "follower", "INCRBY", "followed", 1)
    assert root["member"] == follower.name
    assert not root["parent"]
    asks = f"ask {follower.name}", f"ask {leader.name}"
    beneath = collector.trace(root, 4)
    assert {(span["name"], span["member"]) for span in beneath} == {
        (asks[0], follower.name), (asks[1], follower.name),
        ("serve", follower.name), ("serve", leader.name),
    }  # fmt: skip
    by_id = {span["id"]: span for span in [root, *beneath]}
    parents = {(span["name"], span["member"]): by_id[span["parent"]]["name"] for span in beneath}
    assert parents == {
        (asks[0], follower.name): root["name"], (asks[1], follower.name): root["name"],
        ("serve", follower.name): asks[0], ("serve", leader.name): asks[1],
    }  # fmt: skip
    answers = {(s["name"], s["member"]): s["facts"]["quorate.answer"] for s in beneath}
    assert answers["serve", follower.name] == answers[asks[0], follower.name] == "redirect"
    assert answers["serve", leader.name] == answers[asks[1], follower.name] == "response"
    for span in beneath:
        above = by_id[span["parent"]]
        assert above["start"] <= span["start"] <= span["end"] <= above["end"]
    served = next(s for s in beneath if (s["name"], s["member"]) == ("serve", leader.name))
    assert served["facts"]["quorate.role"] == "leader"
    assert 0 < served["facts"]["quorate.entry"] <= supervisor.status(leader)["last_index"]
    moments = served["moments"]
    # Both followers may have it on their disks before the leader has; the answer waits for him.
    assert served["start"] <= moments["appended"] <= moments["synced"] <= served["end"]


def test_a_span_says_what_was_asked_and_by_whom(cluster: list[Place], collector: Collector) -> None:
    leader, _, root = asked(cluster, collector, "leader", "SET", "told", "secret-value")
    assert root["facts"] == {
        "quorate.member": leader.name,
        "quorate.outcome": "ok",
        "quorate.commands": 1,
        "quorate.led": True,
        "client.address": "127.0.0.1",
        "client.port": root["facts"]["client.port"],  # By which it was found.
    }
    assert (root["kind"], root["status"]) == (2, 0)
    assert root["start"] <= root["moments"]["begun"] <= root["end"]
    # Whatever is asked for, spans hold no keys and no values.
    assert "secret-value" not in repr(collector.told)
    assert "told" not in repr([span["facts"] for span in collector.told])


def test_a_resource_says_which_member_tells(cluster: list[Place], collector: Collector) -> None:
    for place in cluster:
        with client_of(place) as client:
            assert client.ping()
        eventually(lambda name=place.name: name in collector.resources)
        resource = collector.resources[place.name]
        expected = {
            "service.name": "quorate",
            "service.version": __version__,
            "service.instance.id": f"{place.config.cluster}/{place.name}",
            "quorate.cluster": place.config.cluster,
            "quorate.member": place.name,
            "quorate.incarnation": 1,
        }
        assert expected.items() <= resource.items()


def test_commands_in_a_pipeline_and_those_of_the_connection(
    cluster: list[Place], collector: Collector
) -> None:
    leader, _, _ = settled(cluster)
    with client_of(leader) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(5):
            pipeline.set("a", number)
            pipeline.get("a")
        pipeline.execute()
        assert client.ping()
    batch = eventually(lambda: collector.named("BATCH"))[0]
    assert 2 <= batch["facts"]["quorate.commands"] <= 10
    # A connection answers this alone: no server is asked, and the trace is one of its own.
    ping = eventually(lambda: collector.named("PING"))[0]
    assert [span for span in tuple(collector.told) if span["trace"] == ping["trace"]] == [ping]
    traces = [s["trace"] for s in tuple(collector.told) if s["kind"] == 2 and not s["parent"]]
    assert len(set(traces)) == len(traces)


def test_an_election_is_told(cluster: list[Place], collector: Collector) -> None:
    elections = eventually(lambda: [s for s in collector.named("election")
                                    if s["facts"]["quorate.won"]])  # fmt: skip
    assert elections[0]["facts"]["quorate.term"] >= 1
    assert elections[0]["end"] >= elections[0]["start"]


def test_what_no_majority_answers_is_unknown(cluster: list[Place], collector: Collector) -> None:
    leader, _, _ = settled(cluster)
    others = [pid for place in cluster if place is not leader and (pid := place.pid())]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        with client_of(leader) as client, pytest.raises(redis.RedisError):
            client.execute_command("SETEX", "nobody", 100, "x")
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    root = eventually(lambda: collector.named("SETEX"))[0]
    assert (root["facts"]["quorate.outcome"], root["status"]) == ("info", 2)
    assert root["member"] == leader.name
    supervisor.await_ready(cluster)


# One member, whose settings differ from test to test


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Makes clusters of one member, with these OTEL_ variables, and stops them."""
    made: list[Place] = []

    def start(url: str, **variables: str) -> Place:
        places = supervisor.create(tmp_path / f"c{len(made)}", "kv", 1, spans=url, metrics=True)
        made.extend(places)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (ALL | variables).items():
                patch.setenv(name, value)
            supervisor.start(places[0])
        supervisor.await_ready(places)
        return places[0]

    yield start
    for place in made:
        supervisor.kill(place)


def test_a_recovery_is_told_even_if_no_operation_is(alone: Callable[..., Place]) -> None:
    collector = Collector()
    try:
        place = alone(collector.url)
        with client_of(place) as client:
            assert client.set("x", 1)
        eventually(lambda: collector.named("SET"))
        supervisor.stop([place])
        assert not collector.named("recovery")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_TRACES_SAMPLER", "always_off")
            patch.setenv("OTEL_SERVICE_NAME", "shop")
            patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
            supervisor.start(place)
        supervisor.await_ready([place])
        with client_of(place) as client:
            assert client.get("x") == b"1"
        place.ask({"ask": "snapshot"})
        eventually(lambda: "stored" in log_of(place) or None)
        supervisor.stop([place])  # Which sends what is left.
        recovery = eventually(lambda: collector.named("recovery"))[0]
        assert recovery["end"] > recovery["start"]
        assert collector.resources["n1"]["quorate.incarnation"] == 2
        assert collector.resources["n1"]["service.name"] == "shop"
        assert collector.resources["n1"]["deployment.environment.name"] == "test"
        assert eventually(lambda: collector.named("store"))[0]["facts"]["quorate.name"]
        assert not collector.named("GET")
    finally:
        collector.close()


def test_a_dead_collector_is_told_once_and_harms_nobody(alone: Callable[..., Place]) -> None:
    port = next(supervisor.free_ports(1))
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "20", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    place = alone(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="2", **small)
    with client_of(place) as client:
        for number in range(100):
            assert client.set("x", number)
        assert client.get("x") == b"99"
    eventually(lambda: "spans do not arrive" in log_of(place) or None)
    facts = supervisor.status(place)
    assert facts["ready"]
    assert facts["spans"]["sent"] == 0
    assert facts["spans"]["lost"] >= 100
    assert log_of(place).count("spans do not arrive") == 1
    collector = Collector(port)
    try:
        eventually(lambda: "spans arrive again" in log_of(place) or None)
        eventually(lambda: supervisor.status(place)["spans"]["sent"])
        assert collector.told
    finally:
        collector.close()
    lines = log_of(place).splitlines()
    assert all("  n1  " in line for line in lines), "the library writes nowhere else"


@pytest.mark.parametrize("answers", ["never", "503"])
def test_a_member_ends_in_order_whatever_its_collector_does(answers: str, tmp_path: Path) -> None:
    """One that takes connections and never answers, and one that is overloaded."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        overloaded = Collector()
        overloaded.status = 503
        url = (
            f"http://127.0.0.1:{silent.getsockname()[1]}" if answers == "never" else overloaded.url
        )
        place = supervisor.create(tmp_path / "c", "kv", 1, spans=url)[0]
        process = subprocess.Popen(
            [sys.executable, "-m", "quorate.cli.main", "node", "--config",
             str(place.directory / CONFIG)],
            env=os.environ | ALL | {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            eventually(lambda: supervisor.status(place).get("ready"))
            with client_of(place) as client:
                assert client.set("x", 1)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=DEADLINE_SECONDS)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()
            process.wait()
            overloaded.close()


# Off, absent, or wrong

RUN = """
import asyncio, os, signal, sys
from pathlib import Path
from quorate.cli.systems import system_of
from quorate.live.config import read_config
from quorate.live.member import Member
path = Path(sys.argv[1])
config = read_config(path)
member = Member(config, system_of(config.system, "", 1), path)
asyncio.run(member.run(lambda: os.kill(os.getpid(), signal.SIGTERM)))
print([type(member.host.recorder).__name__, any("opentelemetry" in name for name in sys.modules)])
"""


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1"])
def test_nothing_is_loaded_or_watched_unless_it_is_configured(url: str, tmp_path: Path) -> None:
    place = supervisor.create(tmp_path / "c", "kv", 1, spans=url)[0]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(place.directory / CONFIG)],
        capture_output=True, text=True, timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1].replace("'", '"').lower()
    assert json.loads(last) == (["watch", True] if url else ["samplerecorder", False]), done.stderr


def test_without_the_extra_a_member_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    place = supervisor.create(tmp_path / "c", "raft", 1, spans="http://127.0.0.1:4318")[0]
    assert main(["node", "--config", str(place.directory / CONFIG)]) == 3
    errors = capfd.readouterr().err.strip()
    assert "pip install 'quorate[otel]'" in errors
    assert "\n" not in errors


@pytest.mark.parametrize(
    "url",
    ["collector:4318", "127.0.0.1:4318", "grpc://collector:4317", "http://", "http://h:x",
     "http://h:99999", "http://h/?a=b", "http://a b"],
)  # fmt: skip
def test_what_is_no_url_is_told(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "c"
    assert main(["up", "raft", "--nodes", "1", "--dir", str(directory), "--spans", url]) == 3
    assert not directory.exists()
    place = supervisor.create(directory, "raft", 1)[0]
    file = place.directory / CONFIG
    file.write_text(f'spans = "{url}"\n' + file.read_text("utf-8"), "utf-8")
    assert main(["node", "--config", str(file)]) == 3
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert all("spans: expected a URL such as http://127.0.0.1:4318" in line for line in lines)


def test_a_cluster_that_has_none_is_not_given_any_by_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "c"
    supervisor.create(directory, "raft", 1)
    assert main(["up", "--dir", str(directory), "--spans", "http://127.0.0.1:4318"]) == 3
    assert "write spans = " in capfd.readouterr().err


# What is taken


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Spans]]:
    """Makes `Spans` that reach nobody, with these variables."""
    made: list[Spans] = []

    def make(**variables: str) -> Spans:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        told: list[Any] = []
        spans = Spans("http://127.0.0.1:1", {}, lambda *words, **facts: told.append(words))
        made.append(spans)
        return spans

    yield make
    for spans in made:
        spans.close()


def taken(spans: Spans) -> int:
    """Of 10 000 operations, always the same ones."""
    from quorate.live.watch import _digest

    return sum(spans.samples(_digest(16, "shop", "c1@n1.1", n)) for n in range(10_000))  # type: ignore[arg-type]


def test_one_of_a_hundred_is_taken_unless_a_variable_says_otherwise(
    quiet: Callable[..., Spans], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    assert 60 <= taken(quiet()) <= 140
    for sampler in ("traceidratio", "parentbased_traceidratio"):
        variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0.25"}
        assert 2300 <= taken(quiet(**variables)) <= 2700
    assert taken(quiet(OTEL_TRACES_SAMPLER="always_off")) == 0
    assert taken(quiet(OTEL_TRACES_SAMPLER="always_on")) == 10_000


@pytest.mark.parametrize("size", ["many", "5"])
def test_variables_that_cannot_be_are_told(size: str, quiet: Callable[..., Spans]) -> None:
    with pytest.raises(Mistake, match=r"^spans: .* look at the OTEL_ variables$"):
        quiet(OTEL_BSP_MAX_QUEUE_SIZE=size)


def test_a_collector_that_is_down_leaves_no_garbage(quiet: Callable[..., Spans]) -> None:
    """Members do without the interpreter's collector of garbage, and errors hold their frames."""
    spans = quiet(OTEL_EXPORTER_OTLP_TIMEOUT="1")
    gc.collect()
    gc.disable()
    try:
        spans.took("something", 1)
        spans._provider.force_flush()
        left = gc.collect()
    finally:
        gc.enable()
    assert (spans.sent, spans.lost) == (0, 1)
    assert left < 50  # Hundreds, if nobody takes them away.


def test_names_are_few_whatever_clients_send() -> None:
    assert name_of([(b"set", b"key", b"value")]) == "SET"
    assert name_of([(b"get", b"a"), (b"GET", b"b")]) == "GET"
    assert name_of([(b"get", b"a"), (b"set", b"b", b"1")]) == "BATCH"
    for odd in (b"", b"x" * 33, b"SET key", b"\xff", b"a\nb"):
        assert name_of([(odd,)]) == "unknown"
