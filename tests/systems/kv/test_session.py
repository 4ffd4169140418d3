"""A connection keeps the order of its replies, and asks of the store no more than is needed."""

import pytest

from quorate.systems.kv import session as session_module
from quorate.systems.kv.execution import EXEC, WATCH
from quorate.systems.kv.session import Plan, Server, Session
from quorate.systems.kv.table import TABLE
from quorate.wire.resp import Command, Failure, Pairs, Reply, Unordered, Verbatim, encode_reply
from tests.systems.kv.rig import Ours

NOW = 1_764_000_000_123_456


def words(*texts: str) -> tuple[Command, ...]:
    return tuple(tuple(text.encode().split(b" ")) for text in texts)


def connected(**settings: str) -> Session:
    return Server(**settings).connect("127.0.0.1:5", NOW)  # type: ignore[arg-type]


def local(session: Session, *texts: str) -> list[Reply]:
    """The replies to commands that need no store."""
    replies: list[Reply] = []
    rest = words(*texts)
    while rest:
        plan = session.take(rest, NOW)
        assert plan.operation is None
        replies += session.finish(plan)
        rest = plan.rest
    return replies


def steps_of(plan: Plan) -> tuple[object, ...]:
    assert plan.operation is not None
    assert plan.operation.f == "commands"
    time, steps = plan.operation.value
    assert time == NOW // 1000
    assert isinstance(steps, tuple)
    return steps


def test_replies_keep_the_order_of_commands() -> None:
    session = connected()
    plan = session.take(words("GET a", "PING", "SET b 1", "FOO", "GET", "ECHO x", "GET c"), NOW)
    assert steps_of(plan) == words("GET a", "SET b 1", "GET c")
    assert plan.rest == ()
    replies = session.finish(plan, (b"A", "OK", None))
    assert [type(reply) for reply in replies] == [
        bytes,
        str,
        str,
        Failure,
        Failure,
        bytes,
        type(None),
    ]
    assert replies[:3] == [b"A", "PONG", "OK"]
    assert replies[5:] == [b"x", None]


def test_what_cannot_be_done_is_told_once_for_each_command() -> None:
    session = connected()
    why = Failure("ERR no leader")
    plan = session.take(words("GET a", "PING", "SET b 1"), NOW)
    assert session.finish(plan, why) == [why, "PONG", why]
    plan = session.take(words("WATCH a"), NOW)
    assert session.finish(plan, why) == [why]
    plan = session.take(words("MULTI", "SET a 1", "EXEC"), NOW)
    assert steps_of(plan) == ((EXEC, (), words("SET a 1")),)  # Nothing is watched.
    assert session.finish(plan, why) == ["OK", "QUEUED", why]
    assert session.queue is None


def test_a_transaction_knows_what_its_watch_saw() -> None:
    session = connected()
    plan = session.take(
        words("GET x", "WATCH a b", "MULTI", "SET a 1", "PING", "EXEC", "GET y"), NOW
    )
    assert steps_of(plan) == ((b"GET", b"x"), (WATCH, b"a", b"b"))
    assert session.finish(plan, (None, (7, 0))) == [None, "OK"]
    plan = session.take(plan.rest, NOW)
    assert steps_of(plan) == ((EXEC, ((b"a", 7), (b"b", 0)), words("SET a 1")),)
    assert session.finish(plan, (("OK",),)) == ["OK", "QUEUED", "QUEUED", ("OK", "PONG")]
    assert steps_of(session.take(plan.rest, NOW)) == ((b"GET", b"y"),)
    assert session.watched == {}


def test_the_first_watch_of_a_key_counts() -> None:
    session = connected()
    for version in (1, 2):
        session.finish(session.take(words("WATCH a"), NOW), ((version,),))
    assert session.watched == {b"a": 1}


def test_a_transaction_of_connection_commands_needs_no_store() -> None:
    session = connected()
    replies = local(session, "MULTI", "PING", "CLIENT SETNAME me", "CLIENT GETNAME", "EXEC")
    assert replies[-1] == ("PONG", "OK", b"me")


def test_what_comes_after_a_transaction_finds_what_it_did_to_the_connection() -> None:
    session = connected()
    plan = session.take(words("MULTI", "CLIENT SETNAME me", "EXEC", "CLIENT GETNAME"), NOW)
    assert session.finish(plan) == ["OK", "QUEUED", ("OK",)]
    assert session.finish(session.take(plan.rest, NOW)) == [b"me"]


def test_a_transaction_may_not_queue_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MOST_QUEUED", 1000)
    session = connected()
    texts = ["MULTI", *["SET k " + "x" * 100] * 10, "EXEC"]
    replies = local(session, *texts)
    assert replies[1] == "QUEUED"
    assert replies[-2] == Failure("ERR too much is queued for one transaction")
    assert isinstance(replies[-1], Failure)
    assert replies[-1].text.startswith("EXECABORT")


def test_a_connection_may_not_watch_without_bound() -> None:
    session = connected()
    keys = tuple(b"%d" % i for i in range(10_000))
    session.finish(session.take(((b"WATCH", *keys),), NOW), ((0,) * 10_000,))
    assert local(session, "WATCH x") == [Failure("ERR too many keys are watched")]
    assert local(session, "UNWATCH") == ["OK"]
    assert session.take(words("WATCH x"), NOW).operation is not None


def test_an_operation_has_bounds() -> None:
    session = connected()
    plan = session.take(words("SET k v") * 300, NOW)
    assert (len(steps_of(plan)), len(plan.rest)) == (256, 44)
    plan = session.take(((b"SET", b"k", b"x" * 400_000),) * 5, NOW)
    assert (len(steps_of(plan)), len(plan.rest)) == (3, 2)


def test_the_version_changes_between_plans() -> None:
    ours = Ours()
    connection = ours.connect()
    data = b"HSET h f v\nHGETALL h\nHELLO 3\nHGETALL h\nHELLO 2\nHGETALL h\nRESET\nGET x\n"
    replied = connection.ask(data, NOW)
    assert replied.count(b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n") == 2
    assert replied.count(b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n") == 1
    assert replied.endswith(b"+RESET\r\n$-1\r\n")
    assert connection.session.version == 2


def test_quit_ends_it() -> None:
    session = connected()
    plan = session.take(words("PING", "QUIT", "SET a 1"), NOW)
    assert session.finish(plan) == ["PONG", "OK"]
    assert plan.is_last
    assert plan.rest == ()


def test_a_write_may_have_an_identity() -> None:
    session = connected()
    script = words("SET a 1", "QUORATE IDENTITY me 7", "GET a", "SET a 2", "SET a 3", "EXEC")
    plans = []
    while script:
        plan = session.take(script, NOW)
        results = ("OK",) * (len(steps_of(plan)) if plan.operation else 0)
        plans.append((plan.identity, plan.operation and steps_of(plan)))
        session.finish(plan, results)
        script = plan.rest
    assert plans == [
        (None, words("SET a 1")),
        (None, None),
        (None, words("GET a")),
        (("me", 7), words("SET a 2")),
        (None, words("SET a 3")),
    ]
    plan = session.take(words("QUORATE IDENTITY me 8"), NOW)
    session.finish(plan)
    plan = session.take(words("MULTI", "SET a 1", "EXEC", "SET b 1"), NOW)
    assert plan.identity == ("me", 8)
    assert plan.rest == words("SET b 1")


def test_reads_may_be_less_fresh() -> None:
    session = connected()
    assert session.take(words("GET a"), NOW).consistency == "linearizable"
    for text, level, lag in (
        ("QUORATE CONSISTENCY lease", "lease", None),
        ("QUORATE CONSISTENCY STALE MAXLAG 50", "stale", 50),
        ("QUORATE CONSISTENCY stale", "stale", None),
        ("READWRITE", "linearizable", None),
        ("READONLY", "stale", None),
        ("RESET", "linearizable", None),
    ):
        plan = session.take(words(text, "GET a"), NOW)
        assert plan.rest == words("GET a")
        session.finish(plan)
        plan = session.take(plan.rest, NOW)
        assert (plan.consistency, plan.max_lag) == (level, lag)
    for text in ("eventual", "stale MAXLAG -1", "stale MAXLAG x", "lease MAXLAG 5", "stale 5"):
        (reply,) = local(session, f"QUORATE CONSISTENCY {text}")
        assert isinstance(reply, Failure)
    for text in ("a 0", "a x", "\xff 1", " 1", "x" * 129 + " 1"):
        assert isinstance(local(session, f"QUORATE IDENTITY {text}")[0], Failure)
    replies = local(session, "MULTI", "READONLY", "EXEC")
    assert replies[1] == Failure("ERR Command not allowed inside a transaction")


def test_nothing_is_done_before_the_password() -> None:
    session = connected(password="secret")
    assert not session.is_trusted
    replies = local(session, "SET a 1", "PING", "MULTI", "WATCH a", "AUTH guess", "AUTH default x")
    assert {reply.text.split()[0] for reply in replies if isinstance(reply, Failure)} == {
        "NOAUTH",
        "WRONGPASS",
    }
    assert len(replies) == 6
    assert local(session, "AUTH secret", "PING") == ["OK", "PONG"]
    assert session.is_trusted
    local(session, "RESET")
    assert not session.is_trusted
    (greeting,) = local(session, "HELLO 3 AUTH default secret SETNAME me")
    assert isinstance(greeting, Pairs)
    assert session.is_trusted
    assert session.name == "me"


def test_clients_are_listed() -> None:
    server = Server()
    one, other = server.connect("10.0.0.1:5", NOW), server.connect("10.0.0.2:6", NOW)
    assert local(one, "CLIENT ID") == [1]
    assert local(other, "CLIENT ID", "CLIENT SETNAME b", "CLIENT SETINFO lib-name redis-py") == [
        2,
        "OK",
        "OK",
    ]
    (listed,) = local(one, "CLIENT LIST")
    assert isinstance(listed, Verbatim)
    first, second = listed.text.splitlines()
    assert "id=1 addr=10.0.0.1:5 " in first
    assert " cmd=client|list " in first
    assert " cmd=client|setinfo " in second
    assert " name=b " in second
    assert " lib-name=redis-py" in second
    (listed,) = local(one, "CLIENT LIST ID 2 9")
    assert isinstance(listed, Verbatim)
    assert len(listed.text.splitlines()) == 1
    assert local(one, "CLIENT LIST TYPE pubsub") == [Verbatim("")]
    server.disconnect(other)
    (listed,) = local(one, "CLIENT INFO")
    assert isinstance(listed, Verbatim)
    assert listed.text.startswith("id=1 ")
    refused = ["CLIENT LIST ID x", "CLIENT LIST foo", "CLIENT LIST TYPE x", "CLIENT REPLY OFF"]
    refused += ["CLIENT SETINFO foo x", "CLIENT SETINFO lib-ver \n", "CONFIG SET save x"]
    assert {type(reply) for reply in local(one, *refused)} == {Failure}


def test_the_host_tells_its_facts() -> None:
    server = Server(
        facts=lambda: {"Server": {"tcp_port": 7001}, "Raft": {"term": 5}},
        config={"port": "7001"},
        acknowledged=1,
    )
    session = server.connect("127.0.0.1:5", NOW)
    (everything, one) = local(session, "INFO", "INFO raft")
    assert isinstance(everything, Verbatim)
    assert "# Server\r\nredis_version:7.0.15\r\n" in everything.text
    assert "tcp_port:7001\r\n" in everything.text
    assert "cluster_enabled:0\r\n" in everything.text
    assert one == Verbatim("# Raft\r\nterm:5\r\n")
    assert local(session, "CONFIG GET po*", "CONFIG GET save appendonly") == [
        Pairs(((b"port", b"7001"),)),
        Pairs(((b"appendonly", b"yes"), (b"save", b""))),
    ]
    assert local(session, "WAIT 2 100", "TIME") == [1, (b"1764000000", b"123456")]


def test_the_table_of_commands_is_told() -> None:
    session = connected()
    (count, names, details) = local(session, "COMMAND COUNT", "COMMAND LIST", "COMMAND")
    assert isinstance(names, tuple)
    assert isinstance(details, tuple)
    assert count == len(details) > 80
    assert len(names) == len(TABLE) > count  # With the commands of containers.
    assert {b"client", b"client|list"} <= {*names}
    (some,) = local(session, "COMMAND LIST FILTERBY PATTERN hget*")
    assert some == (b"hget", b"hgetall")
    (some,) = local(session, "COMMAND LIST FILTERBY ACLCAT transaction")
    assert some == (b"discard", b"exec", b"multi", b"unwatch", b"watch")
    (docs, both) = local(session, "COMMAND DOCS", "COMMAND DOCS get client nothing")
    assert isinstance(docs, Pairs)
    assert len(docs.items) == count
    assert isinstance(both, Pairs)
    assert [name for name, _ in both.items] == [b"get", b"client"]
    for reply in (details, docs, both):
        assert encode_reply(reply, 2)
        assert encode_reply(reply, 3)


def test_every_command_has_a_summary_and_a_place() -> None:
    for spec in TABLE.values():
        assert spec.summary, spec.name
        assert not ({"write", "readonly"} <= spec.flags)
        assert spec.group in {
            "string", "hash", "generic", "connection", "server", "transactions", "cluster"
        }  # fmt: skip


def test_a_container_is_of_no_family() -> None:
    (found,) = local(connected(), "COMMAND INFO client")
    assert isinstance(found, tuple)
    (details,) = found
    assert isinstance(details, tuple)
    assert details[6] == Unordered(("@slow",))
    below = details[9]
    assert isinstance(below, tuple)
    assert len(below) >= 8


def test_details_are_those_of_redis() -> None:
    """As Redis 7.0.15 gives them, apart from tips and key specifications."""
    (found,) = local(connected(), "COMMAND INFO set watch client|id object|encoding nothing")
    empty: tuple[Reply, ...] = ((), (), ())
    assert found == (
        (b"set", -3, Unordered(("denyoom", "write")), 1, 1, 1,
         Unordered(("@slow", "@string", "@write")), *empty),
        (b"watch", -2, Unordered(("allow_busy", "fast", "loading", "noscript", "stale")), 1, -1, 1,
         Unordered(("@fast", "@transaction")), *empty),
        (b"client|id", 2, Unordered(("loading", "noscript", "stale")), 0, 0, 0,
         Unordered(("@connection", "@slow")), *empty),
        (b"object|encoding", 3, Unordered(("readonly",)), 2, 2, 1,
         Unordered(("@keyspace", "@read", "@slow")), *empty),
        None,
    )  # fmt: skip
