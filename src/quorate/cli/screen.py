"""The terminal: results on standard output, progress on standard error.

Where nobody watches (a pipe, a file), the same words come without colours and without progress.
With `--json` one object is all that is printed.
"""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

NARROW = 100
"""Columns where nobody watches."""


class Screen:
    """Prints for people, or for programs.

    Attributes:
        is_json: whether people's words are left out.
        width: columns.
    """

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.is_terminal = sys.stdout.isatty()
        self.width = shutil.get_terminal_size().columns if self.is_terminal else NARROW

    @property
    def is_ascii(self) -> bool:
        """Whether the output can show nothing but ASCII."""
        return "utf" not in (sys.stdout.encoding or "").lower()

    def say(self, text: str = "", style: str = "") -> None:
        """A line, or several."""
        if self.is_json:
            return
        if self.is_terminal and style:
            from rich.console import Console
            from rich.text import Text

            Console(highlight=False, soft_wrap=True).print(Text(text, style))
        else:
            print(text)

    def show(self, text: "Text") -> None:
        """A drawing."""
        if self.is_json:
            return
        if self.is_terminal:
            from rich.console import Console

            Console(highlight=False, soft_wrap=True).print(text, end="")
        else:
            print(text.plain, end="")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns; on a terminal they are fitted to it."""
        if self.is_json:
            return
        if self.is_terminal:
            from rich.console import Console

            Console(highlight=False).print(_fitted(heads, rows))
            return
        lines = [heads, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print("  ".join(cells).rstrip())

    @contextmanager
    def live_table(self) -> Iterator["Columns"]:
        """A table that is drawn anew in its place; nothing where nobody watches."""
        if self.is_json or not self.is_terminal:
            yield lambda heads, rows: None
            return
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            yield lambda heads, rows: live.update(_fitted(heads, rows), refresh=True)

    def note(self, text: str) -> None:
        """A line that is no result: always to standard error."""
        print(text, file=sys.stderr)

    def json(self, answer: Mapping[str, Any]) -> None:
        """The one object for programs, if they asked for it."""
        if self.is_json:
            print(msgspec.json.encode(answer).decode())

    @contextmanager
    def progress(self, what: str, total: float | None) -> Iterator["Bar"]:
        """A bar on standard error while something long goes on; silent where nobody watches."""
        if not sys.stderr.isatty():
            yield Bar()
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=total, words="")
            yield Bar(lambda done, words: progress.update(task, completed=done, words=words))


Columns = Callable[[Sequence[str], Sequence[Sequence[str]]], None]
"""Shows heads and rows."""


def _fitted(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


class Bar:
    """What moves a progress bar."""

    def __init__(self, move: Any = None) -> None:
        self._move = move

    def __call__(self, done: float, words: str) -> None:
        """So much is done, and this is to be said."""
        if self._move is not None:
            self._move(done, words)


def command(*words: str) -> str:
    """A command line as a person would type it."""
    return shlex.join(["quorate", *words])


def in_words(counters: Mapping[str, int], prefix: str = "") -> str:
    """`12 crash, 3 cut`: counters by name, the prefix left out."""
    found = ((k.removeprefix(prefix), v) for k, v in counters.items() if k.startswith(prefix))
    return ", ".join(f"{value:,} {name}" for name, value in sorted(found))
