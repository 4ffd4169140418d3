"""The files that a run can be written to."""

import os
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from quorate.check import write_history
from quorate.errors import Mistake
from quorate.explore.outcome import Outcome, history_of
from quorate.trace import Trace, shiviz, write_trace


def write_files(options: Namespace, trace: Trace, outcome: Outcome) -> dict[str, str]:
    """Write whatever the options name; returns the paths by kind."""
    written: dict[str, str] = {}
    if options.html:
        written["page"] = write_page(options.html, trace)
    if options.trace:
        write_trace(options.trace, trace.header, trace.steps)
        written["trace"] = options.trace
    if options.shiviz:
        write_text(options.shiviz, (f"{line}\n" for line in shiviz(trace)))
        written["shiviz"] = options.shiviz
    if options.history:
        write_history(history_of(outcome.world), options.history)
        written["history"] = options.history
    return written


def write_page(path: str, trace: Trace) -> str:
    """Write a run as a page for a browser; returns the path."""
    from quorate.view.page import render_page

    return write_text(path, [render_page(trace)])


def write_text(path: str | os.PathLike[str], parts: Iterable[str]) -> str:
    """Write a text file, with the folders above it; returns the path. Raises Mistake if it cannot.

    An interruption leaves the old file or the new one, never half of it.
    """
    target, draft = _places(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
        if draft != target:
            draft.replace(target)
    except OSError as error:
        if draft != target:
            with suppress(OSError):
                draft.unlink()
        raise Mistake(f"cannot write {path}: {error.strerror}") from error
    return str(path)


def expect_writable(options: Namespace) -> None:
    """Find out before all the work whether its results can be written. Raises Mistake if not."""
    for name in ("html", "trace", "shiviz", "history", "export_ordered"):
        path = getattr(options, name, None)
        if path:
            _expect_writable(path, path)
    folder = getattr(options, "out", None)
    if folder:
        _expect_writable(os.path.join(folder, ".quorate"), folder)


def _expect_writable(path: str, told: str) -> None:
    target, draft = _places(path)
    if draft == target and not target.is_dir():
        return  # Opening a pipe would wait for its reader.
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise Mistake(f"cannot write {told}: {error.strerror}") from error


def _places(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The file, and where to write it until it is whole: devices and pipes take it at once."""
    if os.path.exists(path) and not os.path.isfile(path):
        return Path(path), Path(path)
    target = Path(os.path.realpath(path))
    return target, target.with_name(f".{target.name}.{os.getpid()}")
