"""Network namespaces of our own: without a name, so that each ends with whoever holds it.

They belong to a thread, and to the processes that it starts. Linux alone has them.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from quorate.errors import Mistake

PACKAGES = {"ip": "iproute2", "ss": "iproute2", "tc": "iproute2", "nft": "nftables"}
INSTEAD = "or use --network proxies"
TOOL_SECONDS = 10.0
_OWN = "/proc/thread-self/ns/net"
_NEW_USER = 0x1000_0000  # CLONE_NEWUSER
_NEW_NET = 0x4000_0000  # CLONE_NEWNET
_SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def enter() -> None:
    """Move this thread into a fresh network, for good: as root, or in a user namespace.

    The latter takes a process without other threads. Raises Mistake.
    """
    if not sys.platform.startswith("linux"):
        raise Mistake("--network namespaces takes Linux: use it there, " + INSTEAD)
    for tool, package in PACKAGES.items():
        if shutil.which(tool, path=_SYSTEM_PATH) is None:
            raise Mistake(
                f"--network namespaces takes the program {tool}: install {package}, {INSTEAD}"
            )
    user, group = os.geteuid(), os.getegid()
    try:
        try:
            _call("unshare", _NEW_NET)
        except PermissionError:
            _call("unshare", _NEW_USER | _NEW_NET)
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1", "ascii")
    except OSError as error:
        raise Mistake(
            f"this system permits us no network namespaces ({error.strerror}): "
            f"run as root, allow user namespaces, {INSTEAD}"
        ) from error


class Namespace:
    """One more network, for as long as we, or a process within, live.

    Attributes:
        path: names it to other programs.
    """

    def __init__(self) -> None:
        home = os.open(_OWN, os.O_RDONLY)
        try:
            _call("unshare", _NEW_NET)
            self._file = os.open(_OWN, os.O_RDONLY)
            _call("setns", home, _NEW_NET)
        finally:
            os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What is started here is in that network."""
        home = os.open(_OWN, os.O_RDONLY)
        try:
            _call("setns", self._file, _NEW_NET)
            try:
                yield
            finally:
                _call("setns", home, _NEW_NET)
        finally:
            os.close(home)

    def close(self) -> None:
        """Hold it no longer."""
        os.close(self._file)


def _call(name: str, *arguments: int) -> None:
    """A system call. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(*command: str, text: str = "") -> str:
    """What a program prints that is told `text`. Raises Mistake with its complaint."""
    try:
        ended = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=TOOL_SECONDS,
            start_new_session=True,  # Whoever interrupts us wants a report, and no broken rules.
            env={**os.environ, "PATH": _SYSTEM_PATH, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Mistake(f"--network namespaces: {error}; {INSTEAD}") from error
    if ended.returncode:
        why = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[0]
        why = why.rpartition("Error: ")[2]
        raise Mistake(
            f"--network namespaces: {' '.join(command[:2])}: {why}: "
            f"run as root, or on a kernel that has it, {INSTEAD}"
        )
    return ended.stdout
