"""Every format is read, told by its content, and never breaks on what is not a history."""

import string
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.check import (
    FORMATS,
    History,
    Value,
    check_history,
    model_named,
    read_history,
    write_history,
)
from quorate.check.readers import edn, recorder
from quorate.errors import Mistake
from quorate.verdict import Verdict
from tests.check.clients import Workload, record

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(path for path in DATA.iterdir() if path.is_file())
in_one_folder = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mistake(tmp_path: Path, content: str | bytes, format_name: str | None = None) -> str:
    """What is said of a malformed file, with FILE for its path."""
    path = tmp_path / "history"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Mistake) as caught:
        read_history(path, format_name)
    told = str(caught.value)
    assert "\n" not in told
    return told.replace(str(path), "FILE")


def read(tmp_path: Path, content: str, format_name: str | None = None) -> History:
    path = tmp_path / "history"
    path.write_text(content)
    return read_history(path, format_name)


def shown(history: History) -> list[tuple[str, int, str, str | None, Value, int]]:
    return [(e.type, e.process, e.f, e.key, e.value, e.line) for e in history.events()]


def test_jepsen_log() -> None:
    assert shown(read_history(DATA / "register-ok.log"))[:6] == [
        ("invoke", 0, "read", None, None, 2),
        ("invoke", 1, "write", None, 3, 3),
        ("ok", 0, "read", None, 3, 5),
        ("info", 1, "write", None, "timed-out", 6),
        ("invoke", 0, "cas", None, (3, 4), 7),
        ("invoke", 2, "read", None, None, 8),
    ]


def test_a_newer_jepsen_log(tmp_path: Path) -> None:
    line = "2026-01-02 03:04:05,678 INFO [jepsen worker 0] jepsen.util - 0\t:invoke\t:read\tnil\n"
    assert shown(read(tmp_path, line)) == [("invoke", 0, "read", None, None, 1)]


def test_edn_one_map_a_line() -> None:
    history = read_history(DATA / "register-ok.edn")
    assert shown(history) == [
        ("invoke", 0, "write", None, 1, 1),
        ("invoke", 1, "read", None, None, 3),
        ("ok", 0, "write", None, 1, 4),
        ("ok", 1, "read", None, None, 5),
        ("invoke", 0, "cas", None, (1, 2), 6),
        ("ok", 0, "cas", None, (1, 2), 7),
    ]
    assert history.operations[0].invoke_ns == 1003


def test_edn_one_vector() -> None:
    assert len(read_history(DATA / "queue-bad.edn").operations) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("-12", -12),
        ("+5N", 5),
        (":timed-out", "timed-out"),
        ("foo/bar", "foo/bar"),
        (r'"a \"b\" \\ \n A"', 'a "b" \\ \n A'),
        ("[1 [2 nil] ()]", (1, (2, None), ())),
        ("#{3}", (3,)),
        ("{:a 1, :b [2]}", (("a", 1), ("b", (2,)))),
        (r"[\a \newline \space]", ("a", "\n", " ")),
        ("#inst 5", 5),
        ("#_ (ignored) 7", 7),
        ("; comment\n 8", 8),
        ("[1 #_2 3]", (1, 3)),
        ('"two\nlines"', "two\nlines"),
    ],
)
def test_edn_values(tmp_path: Path, text: str, value: Value) -> None:
    history = read(tmp_path, f"{{:process 0 :type :invoke :f :write :value {text}}}")
    assert history.operations[0].value == value
    assert type(history.operations[0].value) is type(value)


def test_edn_longer_than_one_chunk(tmp_path: Path) -> None:
    events = "".join(
        f'{{:process {p}, :type :invoke, :f :write, :value "{"x" * (p % 977)}"}}\n'
        for p in range(2000)
    )
    for content in (events, f"[{events}]"):
        history = read(tmp_path, content, "edn")
        assert [len(str(op.value)) for op in history.operations] == [p % 977 for p in range(2000)]


def test_key_value_text() -> None:
    assert shown(read_history(DATA / "store-ok.txt"))[:2] == [
        ("invoke", 0, "append", "1", "a 0", 1),
        ("invoke", 1, "put", "2", "b 1", 2),
    ]


def test_key_value_text_is_also_edn() -> None:
    for name in ("store-ok.txt", "store-bad.txt"):
        assert shown(read_history(DATA / name, "edn")) == shown(read_history(DATA / name, "kv"))


def test_timed_out_reads_constrain_nothing(tmp_path: Path) -> None:
    log = "".join(
        f"INFO  jepsen.util - {event}\n"
        for event in (
            "0\t:invoke\t:write\t1",
            "0\t:ok\t:write\t1",
            "0\t:invoke\t:read\tnil",
            "0\t:fail\t:read\t:timed-out",
            "1\t:invoke\t:read\tnil",
            "1\t:info\t:read\t:timed-out",
        )
    )
    result = check_history(read(tmp_path, log), model_named("register"))
    assert result.verdict is Verdict.PASS


@given(st.integers(0, 2**32), st.sampled_from(["kv", "set", "queue", "cas-register"]))
@in_one_folder
def test_own_histories_round_trip(tmp_path: Path, seed: int, model: str) -> None:
    history = record(Random(seed), Workload(model_named(model), 20, keys=2))
    path = tmp_path / "own.jsonl"
    write_history(history, path)
    again = read_history(path)
    assert [event[:7] for event in again.events()] == [event[:7] for event in history.events()]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=8,
)


@given(values, st.text(), st.none() | st.text(), st.integers(0, 2**62))
@in_one_folder
def test_any_value_round_trips(
    tmp_path: Path, value: Value, f: str, key: str | None, time_ns: int
) -> None:
    history = History()
    history.invoke(5, f, key, value, time_ns, 8)
    history.complete(5, "ok", value, time_ns + 1, 9)
    path = tmp_path / "own.jsonl"
    write_history(history, path)
    (op,) = read_history(path).operations
    assert (op.f, op.key, op.value, op.result) == (f, key, value, value)
    assert (op.invoke_ns, op.invoke_event, op.complete_event) == (time_ns, 8, 9)


def test_an_empty_file_is_an_empty_history(tmp_path: Path) -> None:
    for content in ("", "\n\n"):
        history = read(tmp_path, content)
        assert not history.operations
        assert check_history(history, model_named("kv")).verdict is Verdict.UNKNOWN


HEADER = '{"quorate":"history","version":1}\n'
LOG = "INFO  jepsen.util - "


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "FILE:1: this is a binary file"),
        (b"INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\xff\xfe\n", "FILE:2: this is not text in"),
        (b"{:process 0 :type :invoke :f :x}\n\n\xff", "FILE:3: this is not text in UTF-8"),
        ("hello, world\n", "FILE:1: cannot tell what format this is; name it, one of jepsen-log"),
        (LOG + "0\t:ok\t:read\t1\n", "FILE:1: process 0 completes with 'ok' but has no operation"),
        (
            LOG + "0\t:invoke\t:read\tnil\n" + LOG + "0\t:invoke\t:write\t1\n",
            "FILE:2: process 0 invokes 'write' while its 'read' (FILE:1) is still open",
        ),
        (
            LOG + "0\t:invoke\t:read\tnil\n" + LOG + "0\t:ok\t:write\t1\n",
            "FILE:2: process 0 completes 'write', but the operation that it has open is 'read'",
        ),
        (LOG + "0\t:invoke\t:read\tnil\nINFO  jepsen.ut", "FILE:2: expected `process :type"),
        (LOG + "0\t:invoke\t:read\tnil\n" + LOG + "0\t:ok\t:re", "FILE:2: expected `process"),
        (LOG + "0\t:invoke\t:read\tnil\n" + LOG + "0\t:ok\t:read\t12", "FILE:2: the last line"),
        (LOG + "0\t:invoke\t:cas\t[3 \n", "FILE:1: the file ends in the middle of a value"),
        (LOG + "0\t:invoke\t:cas\t1 2\n", "FILE:1: more than one value"),
        ("{:process 0 :type :invoke", "FILE:1: the file ends in the middle of a value"),
        ('\n{:process 0 :f "ab', "FILE:2: an unterminated string; is the file cut off?"),
        ("[{:process 0 :type :invoke :f :x}\n", "FILE:1: the file ends before its ']'"),
        ("{:process 0 :type}", "FILE:1: a map with a key and no value"),
        ("{:process 0 :type [}", "FILE:1: '}' where ']' belongs"),
        ("{:type :invoke :f :read}", "FILE:1: an event without :process"),
        ("{:process 0}", "FILE:1: an event needs :type and :f"),
        ("{:process 0 :f :x :type :done}", "FILE:1: 'done' is not invoke, ok, fail or info"),
        ("{:process 0 :f :x :value 1.5}", "FILE:1: '1.5' is not an integer"),
        ("{:process 0 :f :x :value ##NaN}", "FILE:1: unexpected '#'"),
        ("[1 2]", "FILE:1: expected a map, not '1'"),
        ('{:a "\\q"}', r"FILE:1: unknown escape '\\q' in a string"),
        ("{:process 0 :value " + "[" * 100_000, "FILE:1: values are nested deeper than 64"),
        ("{:process " + "9" * 5000 + "}", "is not an integer"),
        ('{:process 0, :type :invoke, :f :get, :key "0", :value nil}\n{:proc', "FILE:2: expected"),
        ('{"quorate":"trace","version":1}\n', "FILE:1: expected the header"),
        ('{"quorate":"history","version":2}\n', "FILE:1: this is version 2; this Quorate reads"),
        (HEADER + '{"type":"invoke","process":0,"f":"re', "FILE:2: malformed or cut off"),
        (HEADER + '{"type":"done","process":0,"f":"read"}', "FILE:2: malformed or cut off"),
        (HEADER + '{"type":"invoke","process":0,"f":"x","value":1.5}', "FILE:2: 1.5 is not a"),
        (HEADER + '{"type":"invoke","process":0,"f":"x","colour":1}', "FILE:2: malformed"),
        (HEADER + '{"value":' + "[" * 100_000, "FILE:2: malformed or cut off"),
    ],
)
def test_malformed_files_are_told_with_their_line(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    assert told in mistake(tmp_path, content)


def test_missing_files_and_formats(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="No such file"):
        read_history(tmp_path / "absent")
    with pytest.raises(Mistake, match="Is a directory"):
        read_history(tmp_path)
    with pytest.raises(Mistake, match=r"no format is named 'csv'; known are jepsen-log"):
        read_history(DATA / "store-ok.txt", "csv")
    with pytest.raises(Mistake, match="cannot write"):
        write_history(History(), tmp_path / "absent" / "x")


def test_lines_and_values_of_any_length_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LONGEST_LINE", 1000)
    assert "FILE:2: the line is longer than 1000 bytes" in mistake(tmp_path, HEADER + "x" * 2000)
    monkeypatch.setattr(edn, "LONGEST_TOKEN", 100_000)
    monkeypatch.setattr(edn, "LARGEST_FORM", 1000)
    assert "FILE:1: a value longer than 100000" in mistake(tmp_path, '{:a "' + "x" * 300_000)
    assert "FILE:1: a form of more than 1000" in mistake(tmp_path, "{:a [" + "1 " * 1000)


def test_a_huge_history_is_cut_short_and_not_passed(tmp_path: Path) -> None:
    lines = "".join(
        f"INFO  jepsen.util - {process}\t:{status}\t:write\t1\n"
        for process in range(2000)
        for status in ("invoke", "ok")
    )
    path = tmp_path / "huge.log"
    path.write_text(lines)
    history = read_history(path, memory_bytes=300_000)
    assert 100 < len(history) < 2000
    result = check_history(history, model_named("register"))
    assert result.verdict is Verdict.UNKNOWN
    assert "was not read" in result.reason
    assert check_history(read_history(path), model_named("register")).verdict is Verdict.PASS


# Sabotage: a file that was cut, or in which a byte was altered, is never taken for another.


def judge(path: Path, model: str) -> Verdict | None:
    try:
        return check_history(read_history(path), model_named(model)).verdict
    except Mistake:
        return None


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_cut_files_are_mistakes_or_shorter_histories(tmp_path: Path, path: Path) -> None:
    content = path.read_bytes()
    whole = shown(read_history(path))
    cut = tmp_path / path.name
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        try:
            history = read_history(cut)
        except Mistake:
            continue
        assert shown(history) == whole[: len(history)]


@given(st.sampled_from(SAMPLES), st.data())
@in_one_folder
def test_altered_files_never_break_a_reader(
    tmp_path: Path, path: Path, data: st.DataObject
) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    altered = tmp_path / "altered"
    altered.write_bytes(content)
    judge(altered, data.draw(st.sampled_from(["kv", "queue", "cas-register"])))


@given(st.binary(max_size=200) | st.text(string.printable, max_size=200), st.sampled_from(FORMATS))
@in_one_folder
def test_noise_never_breaks_a_reader(tmp_path: Path, noise: bytes | str, name: str) -> None:
    path = tmp_path / "noise"
    path.write_bytes(noise.encode() if isinstance(noise, str) else noise)
    for chosen in (name, None):
        with suppress(Mistake):
            read_history(path, chosen)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("0\t:ok\t:read\t3\n", "0\t:ok\t:read\t5\n", Verdict.FAIL),  # An altered value.
        ("INFO  jepsen.util - 1\t:invoke\t:write\t3\n", "", None),  # A dropped event.
        ("INFO  jepsen.util - 0\t:ok\t:read\t3\n", "", None),  # Then two are open at once.
        ("\t:ok\t", "\t:fail\t", Verdict.UNKNOWN),  # Nothing completed.
    ],
)
def test_sabotage_turns_the_verdict(
    tmp_path: Path, old: str, new: str, verdict: Verdict | None
) -> None:
    content = (DATA / "register-ok.log").read_text()
    assert old in content
    path = tmp_path / "sabotaged.log"
    path.write_text(content)
    assert judge(path, "cas-register") is Verdict.PASS
    path.write_text(content.replace(old, new))
    assert judge(path, "cas-register") is verdict
