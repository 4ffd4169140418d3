"""What compares our store with a real Redis: both as servers that take bytes and give bytes."""

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from quorate.systems.kv.keyspace import Keyspace
from quorate.systems.kv.session import Server, Session
from quorate.wire.resp import Command, Parser, encode_replies, encode_reply

REDIS = shutil.which("redis-server")


class Ours:
    """A store of our own, with connections: codec, session and machine."""

    def __init__(self, password: str = "") -> None:
        self.machine = Keyspace()
        self.server = Server(password)
        self.plans = 0

    def connect(self) -> "OurConnection":
        return OurConnection(self)


class OurConnection:
    """Takes bytes and gives bytes."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        self._parser = Parser()
        self.session: Session = ours.server.connect("127.0.0.1:1", 0)

    def ask(self, data: bytes, now: int) -> bytes:
        """The replies to what is sent at `now`, in microseconds."""
        replied = b""
        rest = tuple(self._parser.feed(data))
        while rest:
            plan = self.session.take(rest, now)
            result = ()
            if plan.operation is not None:
                self._ours.plans += 1
                assert self._ours.machine.accepts(plan.operation)
                self._ours.machine, result = self._ours.machine.apply(plan.operation)
            replied += encode_replies(self.session.finish(plan, result), self.session.version)
            rest = plan.rest
        if self._parser.failure is not None:
            replied += encode_reply(self._parser.failure)
        return replied


class Redis:
    """A real redis-server on a socket in a folder."""

    def __init__(self, folder: Path, password: str = "") -> None:
        assert REDIS is not None
        self.path = folder / "redis.sock"
        words = [REDIS, "--port", "0", "--unixsocket", str(self.path), "--databases", "1"]
        words += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        words += ["--requirepass", password] if password else []
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def connect(self) -> "Connection":
        return Connection(self.path)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Connection:
    """A client's connection to the real one."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reply(self) -> bytes:
        """The bytes of one reply; none, if the connection was closed."""
        head = self._file.readline()
        return head + self._rest_of(head)

    def _rest_of(self, head: bytes) -> bytes:
        kind, count = head[:1], head[1:].strip()
        if kind in b"$=" and count != b"-1":
            return self._file.read(int(count) + 2)
        parts = {b"*": 1, b"~": 1, b"%": 2}.get(kind, 0)
        return b"".join(self.reply() for _ in range(parts * max(0, int(count) if parts else 0)))

    def all_until_closed(self) -> bytes:
        """Whatever it still replies, when we have nothing more to say."""
        self._socket.shutdown(socket.SHUT_WR)
        return self._file.read()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._socket.close()


def replies_in(data: bytes) -> list[bytes]:
    """The single replies that the bytes are."""
    found, position = [], 0
    while position < len(data):
        end = _end(data, position)
        found.append(data[position:end])
        position = end
    return found


def _end(data: bytes, start: int) -> int:
    line = data.index(b"\r\n", start)
    kind, position = data[start : start + 1], line + 2
    if kind in b"$=" and data[start + 1 : line] != b"-1":
        return position + int(data[start + 1 : line]) + 2
    for _ in range({b"*": 1, b"~": 1, b"%": 2}.get(kind, 0) * max(0, _count(data, start, line))):
        position = _end(data, position)
    return position


def _count(data: bytes, start: int, line: int) -> int:
    return int(data[start + 1 : line]) if data[start : start + 1] in b"*~%" else 0


def spell(command: Command) -> bytes:
    """A command as clients send it."""
    return encode_reply(command)


UNORDERED = {b"KEYS", b"HGETALL", b"HKEYS", b"HVALS", b"SCAN", b"HSCAN"}
"""What Redis gives in the order of its hash tables, or of insertion."""


def comparable(command: Command, reply: bytes) -> object:
    """The reply, with its parts in one order where theirs means nothing."""
    name = command[0].upper()
    if name == b"HELLO":
        return re.sub(rb"(id\r\n):\d+", rb"\1:", reply)
    if name not in UNORDERED or reply[:1] not in b"*%":
        return reply
    head = reply[: reply.index(b"\r\n") + 2]
    parts = replies_in(reply[len(head) :])
    if name in (b"SCAN", b"HSCAN") and len(parts) == 2:
        return parts[0], comparable((b"KEYS" if name == b"SCAN" else b"HGETALL",), parts[1])
    if name == b"HGETALL":
        return head, sorted(zip(parts[::2], parts[1::2], strict=True))
    return head, sorted(parts)
