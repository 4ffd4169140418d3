"""The leash on which chaos leads its members: none of them outlives it.

A member on a leash is ready to run, and waits for a line on its standard input before it opens its
disk: so a killed one is back at once. When its standard input ends, so does the member.
"""

import ctypes
import os
import signal
import sys
import threading

_DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


def wait_on_leash() -> None:
    """Return when told to go; from then on, end with whoever holds the other end."""
    if sys.platform.startswith("linux"):  # A stopped process would not see its input end.
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if not sys.stdin.buffer.readline():
        os._exit(0)
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
