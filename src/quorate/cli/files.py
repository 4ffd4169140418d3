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
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
        draft.replace(target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Mistake(f"cannot write {path}: {error.strerror}") from error
    return str(path)
