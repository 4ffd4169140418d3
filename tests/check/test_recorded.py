"""Histories recorded from real systems, whose verdicts are known.

`QUORATE_HISTORIES` names a folder with `etcd/` (Jepsen logs of a cas register, and a
`verdicts.txt`) and `kv/` (key-value text, the verdict in each file's name).
"""

import os
from pathlib import Path

import pytest

from quorate.check import check_history, model_named, read_history
from quorate.verdict import Verdict

FOLDER = os.environ.get("QUORATE_HISTORIES")
DATA = Path(__file__).parent / "data"

recorded = pytest.mark.skipif(
    FOLDER is None, reason="set QUORATE_HISTORIES to a folder of recorded histories"
)


@recorded
def test_etcd() -> None:
    folder = Path(FOLDER or "") / "etcd"
    lines = (folder / "verdicts.txt").read_text().split("\n")
    known = dict(line.split() for line in lines if line)
    assert known
    for name, verdict in known.items():
        result = check_history(read_history(folder / name), model_named("cas-register"))
        assert result.verdict.value == verdict, name
        assert (result.explanation is not None) == (verdict == "fail")


@recorded
@pytest.mark.parametrize("split", [True, False])
def test_key_value(split: bool) -> None:
    paths = sorted((Path(FOLDER or "") / "kv").glob("*.txt"))
    assert paths
    for path in paths:
        expected = Verdict.PASS if path.stem.endswith("ok") else Verdict.FAIL
        history = read_history(path)
        assert check_history(history, model_named("kv"), split=split).verdict is expected, path


@pytest.mark.parametrize(
    ("name", "model", "verdict"),
    [
        ("register-ok.log", "cas-register", Verdict.PASS),
        ("register-bad.log", "cas-register", Verdict.FAIL),
        ("register-ok.edn", "cas-register", Verdict.PASS),
        ("queue-bad.edn", "queue", Verdict.FAIL),
        ("store-ok.txt", "kv", Verdict.PASS),
        ("store-bad.txt", "kv", Verdict.FAIL),
        ("store-bad.jsonl", "kv", Verdict.FAIL),
    ],
)
def test_fixtures(name: str, model: str, verdict: Verdict) -> None:
    assert check_history(read_history(DATA / name), model_named(model)).verdict is verdict
