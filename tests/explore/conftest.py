"""Users' files, made for one test."""

from pathlib import Path

import pytest

from tests.explore.protocols import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a protocol to a file; returns the name of its class `Clock` for the command line."""

    def file(source: str, kind: str = "Clock", stem: str = "users_protocol") -> str:
        path = tmp_path / f"{stem}.py"
        path.write_text(source, encoding="utf-8")
        return f"{path}:{kind}"

    return file
