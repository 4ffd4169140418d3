"""Other people's suites are read rightly: a failure is one, and what is left out has its reason."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.systems.kv import suites
from tests.systems.kv.suites import TABLE, Applicability, Result, results_in

OUTPUT = """Testing unit/expire
[ready]: 7
\x1b[0m[\x1b[0;32mok\x1b[0m]: TTL returns time to live in seconds (3 ms)
[\x1b[0;33mskip\x1b[0m]: Redis should lazy expire keys
[ignore]: A test of replicas: Not supported on external server
[ignore]: Not supported on external server
[err]: PTTL returns (something) in tests/unit/expire.tcl
Expected 'a' to be equal to 'b'
[err]: no such thing
ERR no such thing
[1/1 done]: unit/expire (5 seconds)

                   The End

*** [err]: PTTL returns (something) in tests/unit/expire.tcl
"""


def test_the_output_of_redis_own_harness_is_understood() -> None:
    found = [*results_in(OUTPUT, "unit/expire", Applicability("redis"))]
    assert [(result.name, result.outcome) for result in found] == [
        ("TTL returns time to live in seconds", "passed"),
        ("Redis should lazy expire keys", "not applicable"),
        ("A test of replicas", "not applicable"),
        ("Not supported on external server", "not applicable"),
        ("PTTL returns (something)", "failed"),
        ("no such thing", "failed"),
    ]
    assert "are gone at once" in found[1].why
    assert found[4].why == "Expected 'a' to be equal to 'b'"


@pytest.mark.parametrize("last", ["[exception]: Executing test client: reset", "[TIMEOUT]: 1 left"])
def test_a_harness_that_breaks_off_has_failed(last: str) -> None:
    (found,) = results_in(last, "unit/expire", Applicability("redis"))
    assert found.outcome == "failed"


def test_every_row_of_the_table_can_match_and_has_its_reason() -> None:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    reasons = table.pop("reasons")
    assert {*table} == {*suites.SUITES}
    used = {key for files in table.values() for rows in files.values() for key in rows}
    assert used == {*reasons}
    for files in table.values():
        for rows in files.values():
            for pattern in (pattern for patterns in rows.values() for pattern in patterns):
                re.compile(pattern)


def test_a_row_that_names_no_test_is_told() -> None:
    known = Applicability("redis")
    results = [Result("unit/expire", "SCAN: Lazy-expire should not be wrapped in MULTI/EXEC", "")]
    stale = [*known.stale(results)]
    assert "unit/expire: Redis should lazy expire keys" in stale
    assert not any("Lazy-expire" in row for row in stale)


def test_a_suite_that_is_absent_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["suites", "--redis", str(tmp_path)])
    assert suites.main() == 2
    told = capsys.readouterr().out
    assert "redis-py is left out: give --redis-py DIR" in told
    assert f"redis is left out: {tmp_path} has no folder tests" in told
