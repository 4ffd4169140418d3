"""A cluster inside a program of yours, or a test: real processes that end with it.

async with Cluster(KV, nodes=3) as cluster:
    await cluster.put("x", "1")
    assert await cluster.get("x") == b"1"
    print(cluster.addresses)            # any client of Redis can join in
"""

import asyncio
import inspect
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from quorate.errors import Mistake
from quorate.kernel.node import Node
from quorate.live import supervisor
from quorate.live.chaos.dialect import Broken, encode_command, read_reply
from quorate.live.supervisor import Place
from quorate.wire.resp import Failure

KV = "kv"
"""The replicated key-value store."""


class Refused(Exception):
    """The cluster's error for a command, in its words. UNKNOWN means that it may still happen."""


class Cluster:
    """A cluster of a system, by its name, or of a node class of yours.

    Without a directory the data lives as long as the cluster. Commands go over one connection to
    one member, and after it is lost to the next one; none is ever sent twice.
    """

    def __init__(
        self,
        system: str | type[Node] = KV,
        nodes: int = 3,
        directory: str | Path | None = None,
        **settings: str | bool,
    ) -> None:
        """`settings` are keys of `node.toml`, as `record="all"`."""
        self._system = system if isinstance(system, str) else _name_of(system)
        self._nodes = nodes
        self._kept = Path(directory) if directory is not None else None
        self._settings = settings
        self._places: list[Place] = []
        self._directory: Path | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._member = 0
        self._turn = asyncio.Lock()

    @property
    def addresses(self) -> list[str]:
        """Where clients can connect: each member's `127.0.0.1:PORT`."""
        return [place.clients for place in self._places]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._hang_up()
        await asyncio.to_thread(self._stop)

    async def ask(self, *words: str | bytes | int) -> Any:
        """One command, as `ask("SET", "x", 1)`; its reply. Raises Refused, or ConnectionError.

        After a ConnectionError nobody knows whether the command has happened or will.
        """
        async with self._turn:
            reader, writer = self._stream or await self._connect()
            writer.write(encode_command(tuple(_bytes(word) for word in words)))
            try:
                reply = await read_reply(reader)
            except (Broken, asyncio.CancelledError) as error:
                self._hang_up()
                if isinstance(error, Broken):
                    raise ConnectionError(f"{words[0]!r}: {error}") from error
                raise
        if isinstance(reply, Failure):
            raise Refused(reply.text)
        return reply

    async def put(self, key: str | bytes, value: str | bytes | int) -> None:
        """Let the key have this value."""
        await self.ask("SET" if self._system == KV else "put", key, value)

    async def get(self, key: str | bytes) -> Any:
        """The key's value; None if it has none."""
        return await self.ask("get", key)

    async def delete(self, key: str | bytes) -> None:
        """Let the key have no value."""
        await self.ask("DEL" if self._system == KV else "delete", key)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self._places:
            host, _, port = self._places[self._member].clients.rpartition(":")
            try:
                self._stream = await asyncio.open_connection(host, int(port))
            except OSError:
                self._member = (self._member + 1) % len(self._places)
            else:
                return self._stream
        raise ConnectionError("no member answers")

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None
            self._member = (self._member + 1) % len(self._places)

    def _start(self) -> None:
        directory = self._kept or Path(tempfile.mkdtemp(prefix="quorate-"))
        self._directory = directory
        if supervisor.exists(directory):
            self._places = supervisor.find(directory)
        else:
            self._places = supervisor.create(directory, self._system, self._nodes, **self._settings)
        started: list[Place] = []
        try:
            for place in self._places:
                supervisor.start(place)
                started.append(place)
            supervisor.await_ready(self._places)
        except BaseException:
            self._places = started
            self._stop()
            raise

    def _stop(self) -> None:
        supervisor.stop(self._places)
        if self._kept is None and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _name_of(kind: type[Node]) -> str:
    """How the members' processes find a class: by its file."""
    try:
        return f"{inspect.getfile(kind)}:{kind.__name__}"
    except (TypeError, OSError) as error:
        raise Mistake(f"{kind.__name__} is in no file that a member could execute") from error


def _bytes(word: str | bytes | int) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()
