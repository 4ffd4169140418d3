"""Entry point: reads the arguments, runs the command, and turns every end into an exit code.

0 pass, 1 fail, 2 unknown; 3 is a mistake of the user's or an error of ours. A command's own
module, and all that it needs, is imported only when that command runs, so that help comes at once.
"""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from quorate.errors import Mistake

MISTAKE = 3
INTERRUPTED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # It was closed by whoever started us.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # Stays open to the end.
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except OSError as error:
        # Whoever read our output has read enough, or its disk is full. Python would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        is_closed = isinstance(error, BrokenPipeError)
        return MISTAKE if is_closed else _say(f"cannot write the output: {error.strerror}")
    return code


def _run(arguments: list[str]) -> int:
    try:
        from quorate.cli.arguments import COMMANDS, parse

        options = parse(arguments)
        from quorate.explore.interrupts import interrupts_wait

        with interrupts_wait():
            command = import_module(COMMANDS[options.command])
        import_module("quorate.cli.files").expect_writable(options)
        code: int = command.main(options)
    except Mistake as mistake:
        return _say(str(mistake))
    except KeyboardInterrupt:
        print("interrupted: there is no result yet", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:  # After --help and --version.
        return end.code if isinstance(end.code, int) else MISTAKE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OUTPUT and not error.filename:
            raise
        if os.environ.get("QUORATE_TRACEBACK"):
            raise
        return _say(
            f"internal error: {type(error).__name__}: {error} (QUORATE_TRACEBACK=1 shows where)"
        )
    return code


_OUTPUT = (errno.EPIPE, errno.ENOSPC)


def _say(text: str) -> int:
    line = " ".join(text.split())
    print(f"quorate: {line}", file=sys.stderr)
    return MISTAKE


if __name__ == "__main__":
    sys.exit(main())
