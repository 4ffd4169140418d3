"""The command line, run in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quorate.cli.main import main

LOCK = f"{Path(__file__).parent.parent / 'examples' / 'lock.py'}:Lock"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one object that was printed."""
        return json.loads(self.out)

    def mistake(self) -> str:
        """The one line of a mistake."""
        assert self.code == 3, self
        last = self.err.splitlines()[-1]
        assert last.startswith("quorate: ")
        assert "Traceback" not in self.err
        return last


Quorate = Callable[..., Ended]


@pytest.fixture
def quorate_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Quorate:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ended:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run
