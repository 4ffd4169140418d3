"""What a member's nodes did, kept so that the same step function can do it again, bit for bit.

A recording is a row of files that are mapped into memory: what was recorded outlives a killed
process, and costs no system call. An entry is

    u32 length     u32 CRC-32 of what follows     an array: its kind, and what the kind needs

and the last one is followed by zeros; a kill may cut it short. Only what `step` was given is
recorded, and a digest of what it did with it: states and effects come back by running the steps
again.
"""

import mmap
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

import msgspec

from quorate.errors import Mistake, one_line
from quorate.kernel.canonical import Collection
from quorate.kernel.env import Effect, Env
from quorate.kernel.node import Event, Node, Start, step
from quorate.kernel.values import NodeId
from quorate.live.codec import Codec
from quorate.live.durable import difference
from quorate.live.host import Hosted
from quorate.wire.malformed import MALFORMED

VERSION = 1
SEGMENT_BYTES = 16 << 20
DIGEST_BYTES = 8
INCARNATION_SHIFT = 40
"""Step numbers of an incarnation begin at this power of two times it: no two are ever the same."""

HEAD, CLIENT, STEP, SYNC = range(4)
_PREFIX = Struct("<II")


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How an incarnation began: which node of which cluster, and what it found on its disk.

    `durable` is the record that restores the durable fields, `stored` the encoded stored values.
    """

    version: int
    cluster: str
    system: str
    configuration: str
    member: str
    peers: tuple[str, ...]
    incarnation: int
    durable: bytes
    stored: dict[str, bytes]


class Client(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A client node began to live here."""

    id: str
    peers: tuple[str, ...]


class Stepped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One step: all that it was given, and a digest of what it did.

    Of a `Start` the stored values stand in the head.
    `origin` is the number of the step that sent the message, `time` the machine's monotonic clock.
    The digest covers all of it.
    """

    number: int
    node: str
    sender: str
    event: bytes
    origin: int
    now: int
    wall: int
    choices: bytes
    time: int
    digest: bytes


class Synced(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The disk holds every step up to number `reach`."""

    reach: int
    time: int


Entry = Head | Client | Stepped | Synced
_KINDS: tuple[type, ...] = (Head, Client, Stepped, Synced)


def digest(
    codec: Codec, given: Sequence[Any], before: Node, after: Node, effects: Sequence[Effect]
) -> bytes:
    """What a step was given and did: how the state differs, and what it asked for."""
    told = codec.encode((given, list(changes(before, after)), effects))
    return blake2b(told, digest_size=DIGEST_BYTES).digest()


def changes(
    before: msgspec.Struct, after: msgspec.Struct, path: str = ""
) -> Iterator[tuple[str, Any]]:
    """The fields that differ, by path, each with its difference."""
    for name in after.__struct_fields__:
        new, old = getattr(after, name), getattr(before, name)
        if new is old:
            continue
        if type(new) is type(old) and isinstance(new, msgspec.Struct) and _is_large(new):
            yield from changes(old, new, f"{path}{name}.")
        else:
            change = difference(old, new)
            if change is not None:
                yield path + name, change


def _is_large(value: msgspec.Struct) -> bool:
    """Whether to look inside: it holds collections, which may have changed only a little."""
    return any(
        isinstance(part, Collection) or (isinstance(part, msgspec.Struct) and _is_large(part))
        for part in msgspec.structs.astuple(value)
    )


class FullRecorder:
    """Records every step of a member."""

    def __init__(self, directory: Path, codec: Codec, head: Head) -> None:
        """Begin the recording of an incarnation. Raises Mistake if there is no room for it."""
        self._directory = directory
        self._codec = codec
        self._incarnation = head.incarnation
        self._count = 0
        self._map: mmap.mmap | None = None
        self._at = 0
        directory.mkdir(exist_ok=True)
        self._write(HEAD, head)

    def added(self, node: Node) -> None:
        """A client node began to live here."""
        self._write(CLIENT, Client(str(node.id), tuple(map(str, node.peers))))

    def stepped(
        self,
        hosted: Hosted,
        number: int,
        event: Event,
        before: Node,
        choices: Sequence[Any],
        origin: int,
    ) -> None:
        """A step has run."""
        env, codec = hosted.env, self._codec
        given = (
            number,
            str(env.id),
            str(env.sender),
            codec.encode(Start(event.recovered) if type(event) is Start else event),
            origin,
            env.now,
            env.wall,
            codec.encode(choices) if choices else b"",
            time.monotonic_ns(),
        )
        did = digest(codec, given, before, hosted.node, env.effects)
        self._write(STEP, Stepped(*given, did))

    def synced(self, reach: int) -> None:
        """The disk holds all steps up to `reach`."""
        self._write(SYNC, Synced(reach, time.monotonic_ns()))

    def close(self) -> None:
        """End the recording."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _write(self, kind: int, entry: Entry) -> None:
        data = msgspec.msgpack.encode((kind, entry))
        end = self._at + _PREFIX.size + len(data)
        if self._map is None or end + _PREFIX.size > len(self._map):
            self._next_file(len(data))
            end = self._at + _PREFIX.size + len(data)
        assert self._map is not None
        # A kill in between leaves a checksum, and zeros where its entry's end would be.
        _PREFIX.pack_into(self._map, self._at, len(data), crc32(data))
        self._map[self._at + _PREFIX.size : end] = data
        self._at = end

    def _next_file(self, size: int) -> None:
        self.close()
        self._count += 1
        path = self._directory / f"{self._incarnation:06}-{self._count:06}.steps"
        length = max(SEGMENT_BYTES, size + 2 * _PREFIX.size)
        try:
            with path.open("w+b") as file:
                file.truncate(length)
                self._map = mmap.mmap(file.fileno(), length)
        except OSError as error:
            raise Mistake(f"{path}: cannot record: {error.strerror}") from error
        self._at = 0


class SampleRecorder:
    """Runs some steps a second time on the spot, and demands that they do the same.

    Of every `every` stretches of `stretch` steps one is run again, from the states in which it
    found its nodes: in one piece, so that the second run has versions of its own to build on.

    Attributes:
        checked: how many steps were run again.
    """

    def __init__(self, codec: Codec, every: int = 100, stretch: int = 100) -> None:
        self.checked = 0
        self._codec = codec
        self._every, self._stretch = every, stretch
        self._again: dict[NodeId, Node] = {}

    def added(self, node: Node) -> None:
        """Client nodes need no note."""

    def stepped(
        self,
        hosted: Hosted,
        number: int,
        event: Event,
        before: Node,
        choices: Sequence[Any],
        origin: int,
    ) -> None:
        """A step has run. Raises Mistake if it is no function of what it was given."""
        if number // self._stretch % self._every:
            if self._again:
                self._again.clear()
            return
        env, again = hosted.env, self._again
        window = replayed_env(env, choices)
        twin = again.get(env.id, before)
        after = again[env.id] = step(twin, event, window)
        self.checked += 1
        once = digest(self._codec, (), before, hosted.node, env.effects)
        if digest(self._codec, (), twin, after, window.effects) != once:
            raise Mistake(
                f"step {number}, {type(event).__name__} at {env.id}, does not do the same again"
            )

    def synced(self, reach: int) -> None:
        """Syncs need no note."""

    def close(self) -> None:
        """There is nothing to end."""


def replayed_env(env: Env, choices: Sequence[Any]) -> Env:
    """A window like this one, whose chance repeats what was chosen."""
    answers = iter(choices)
    again = Env(env.id, env.peers, lambda name, options: next(answers))
    again.sender, again.now, again.wall = env.sender, env.now, env.wall
    return again


def read_recording(path: Path) -> Iterator[Entry]:
    """The entries of one file. Raises Mistake, with the place, for whatever is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    decode = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
    kinds: list[Any] = [msgspec.msgpack.Decoder(kind) for kind in _KINDS]
    at, last = 0, "its beginning"
    while at + _PREFIX.size <= len(data):
        length, checksum = _PREFIX.unpack_from(data, at)
        start, at = at + _PREFIX.size, at + _PREFIX.size + length
        if not length:
            if data[start:].strip(b"\0"):
                raise Mistake(f"{path}: after {last} there is a hole")
            return
        body = data[start:at]
        if crc32(body) != checksum or len(body) < length:
            if len(body) == length and not data[at - 1 :].strip(b"\0"):
                return  # The process was killed while it wrote this.
            raise Mistake(f"{path}: what follows {last} does not match its checksum")
        try:
            kind, raw = decode(body)
            entry: Entry = kinds[kind].decode(raw)
        except (*MALFORMED, IndexError) as error:
            raise Mistake(f"{path}: what follows {last} is no entry: {one_line(error)}") from error
        if isinstance(entry, Stepped):
            last = f"step {entry.number}"
        yield entry
