"""What takes bytes from outside, and what must hold of it whatever these are.

Of each decoder only the error that it promises may come, in one line; what it took for good it must
be able to take again; and how a stream is cut into pieces must not matter. What is behind a
checksum has a target of its own, in which the checksums are right, so that more is reached than
them.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import Mock
from zlib import crc32

import msgspec

from quorate.check.readers import FORMATS, read_history
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.kernel import Log, Map, NodeId, Operation
from quorate.kernel.canonical import same
from quorate.kernel.client import Request
from quorate.kernel.node import Invoke
from quorate.live import frames
from quorate.live.administration import Question
from quorate.live.codec import Codec, Undecodable
from quorate.live.config import Config, read_config, to_toml, write_config
from quorate.live.durable import Durable
from quorate.live.links import Inbound, own_hello
from quorate.live.recorder import Client, Head, Stepped, Synced, read_recording
from quorate.live.storage import segment
from quorate.live.storage.blobs import Blobs
from quorate.live.storage.journal import Journal
from quorate.live.storage.offsets import extents
from quorate.protocols.consensus.paxos_scenario import scenario as paxos
from quorate.protocols.consensus.raft_state import AppendEntries
from quorate.scenario.schedule import format_schedule, parse_schedule
from quorate.scenario.tape import Tape
from quorate.simulate.world import World
from quorate.systems.kv.glob import glob
from quorate.systems.kv.store import Store
from quorate.systems.kv.system import RedisFront
from quorate.systems.kv.table import TABLE
from quorate.systems.words import Talk
from quorate.trace import Header, from_records, read_trace
from quorate.trace.jsonl import lines
from quorate.wire.malformed import MALFORMED
from quorate.wire.resp import Parser, encode_reply
from tests.live.storage.simulated import SimulatedDisk
from tests.live.test_durable import Grandparent, Parent
from tests.systems.kv.rig import replies_in

ROOT = Path(__file__).parent.parent.parent
HERE = Path("member")
OWNER = b"cluster/n1"


class Target(NamedTuple):
    """A decoder with its claims, and inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


@contextmanager
def only(*errors: type[Exception]) -> Iterator[None]:
    """Let these errors pass, if they are told in one line."""
    try:
        yield
    except errors as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"an error in no line, or several: {error!r}") from error


def pieces(data: bytes) -> list[bytes]:
    """The data in pieces whose lengths follow from itself."""
    found, position = [], 0
    while position < len(data):
        size = 1 + data[position] % 23
        found.append(data[position : position + size])
        position += size
    return found


@cache
def _file() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-")) / "input"


def written(data: bytes) -> Path:
    """A file with this content; the next one takes its place."""
    _file().write_bytes(data)
    return _file()


# Clients


def resp(data: bytes) -> None:
    """Commands out of a client's bytes."""
    whole, cut = Parser(), Parser()
    found = whole.feed(data)
    again = [command for piece in pieces(data) for command in cut.feed(piece)]
    assert (found, whole.failure) == (again, cut.failure)
    told = Parser()
    assert told.feed(b"".join(map(encode_reply, found))) == found
    assert told.failure is None


def store(data: bytes) -> None:
    """All that a member does with a client's bytes, but for the network and the log."""
    kept = Store()
    for version in (b"2", b"3"):
        parser = Parser()
        waiting = [(b"HELLO", version), *parser.feed(data)]
        wanted, got, talk = len(waiting), 0, RedisFront("", dict).open("127.0.0.1:1", 0)
        while waiting and not talk.is_over:
            operation, count = talk.take(waiting, 10**18)
            del waiting[:count]
            kept, result = executed(kept, operation)
            got += len(replies_in(talk.finish("ok", result)))
        assert got == wanted or talk.is_over
        assert waiting == [] or talk.is_over
    kept_parts = [codec().plain(codec().encode(part)) for part in kept.parts()]
    assert same(Store.of(kept_parts), kept)


def words(data: bytes) -> None:
    """What clients say to any protocol, as it travels to a member."""
    talk, waiting = Talk(), Parser().feed(data)
    while waiting:
        operation, count = talk.take(waiting, 0)
        del waiting[:count]
        travelled = codec().message(codec().encode(Request(1, operation)))
        assert same(travelled, Request(1, operation))
        assert len(replies_in(talk.finish("ok", operation.value))) == 1


def executed(kept: Store, operation: Operation) -> tuple[Store, Any]:
    """What the store makes of an operation that travels there, and whose result travels back."""
    travelled = codec().message(codec().encode(Request(1, operation)))
    assert isinstance(travelled, Request)
    assert same(travelled.operation, operation)
    match operation:
        case Operation("here"):
            return kept, ()
        case Operation("stale", _, (_, inner)) | Operation("linearizable" | "lease", _, inner):
            assert kept.accepts(inner)
            kept, result = kept.apply(inner)
        case _:
            assert kept.accepts(operation)
            kept, result = kept.apply(operation)
    return kept, codec().plain(codec().encode(result))


def pattern(data: bytes) -> None:
    """A pattern, and a text that it may match."""
    wanted, _, text = data.partition(b"\n")
    glob(wanted).matches(text)


# Other members


def stream(data: bytes) -> None:
    """Frames out of a member's bytes."""
    results = []
    for parts in ([data], pieces(data)):
        found, unframer = [], frames.Unframer(1 << 20)
        with only(frames.Garbled):
            for part in parts:
                found += [_spelled(frame) for frame in unframer.feed(part)]
        results.append(found)
    whole, cut = results
    assert cut[: len(whole)] == whole  # A stream that turns bad may end between its frames.


def _spelled(frame: frames.Frame) -> tuple[int, str, str, int, bytes]:
    return frame.kind, frame.source, frame.target, frame.origin, bytes(frame.payload)


def frame(data: bytes) -> None:
    """A frame whose checksum is right, as the first that somebody sends."""
    arrive(sealed(data, "big", 4))


def sealed(data: bytes, order: Literal["big", "little"], more: int = 0) -> bytes:
    """The data behind its length, to which `more` is added, and its checksum."""
    return (len(data) + more).to_bytes(4, order) + crc32(data).to_bytes(4, order) + data


def hello(data: bytes) -> None:
    """The payload of a hello."""
    arrive(frames.frame(frames.HELLO, data))


def arrive(data: bytes) -> None:
    """Let bytes come in where other members connect."""
    told: list[str] = []
    ours = own_hello("kv", "n1", 1)
    inbound = Inbound(ours, lambda: frozenset({"n1", "n2"}), lambda *_: None, told.append)
    inbound.transport = Mock(get_extra_info=Mock(return_value=("127.0.0.1", 5)))
    inbound.data_received(data)
    inbound.data_received(data)
    assert not any("\n" in why for why in told)


@cache
def codec() -> Codec:
    """That of the store."""
    system = system_of("kv")
    return Codec((system.scenario.node, system.client), system.modules)


def question(data: bytes) -> None:
    """What an operator asks."""
    with suppress(*MALFORMED):
        msgspec.json.decode(data, type=Question)


def message(data: bytes) -> None:
    """What a node says; and whatever else the codec reads."""
    system, known = system_of_store(), codec()
    decoders: list[Callable[[bytes], Any]] = [known.message, known.plain, known.named]
    decoders += [lambda d: known.event(system.scenario.node, d)]
    decoders += [lambda d: known.event(system.client, d)]
    for decode in decoders:
        with only(Undecodable):
            value = decode(data)
            if decode != known.named:
                assert same(decode(known.encode(value)), value)


@cache
def system_of_store() -> Any:
    """The store as a system."""
    return system_of("kv")


@cache
def durable() -> tuple[Durable[Any], Any]:
    """How a server's durable state is kept; and a server that has none yet."""
    system = system_of_store()
    kind = system.scenario.node
    fresh = system.server("", NodeId("n1"), tuple(map(NodeId, ("n1", "n2", "n3"))))
    return Durable(kind, codec()), fresh


@cache
def family() -> tuple[Durable[Any], Any]:
    """The same for nodes made of nodes."""
    return Durable(Grandparent, Codec((Grandparent,))), Grandparent(id=NodeId("n1"))


def family_member() -> Grandparent:
    """One that has children of both kinds."""
    child = Parent(id=NodeId("n1/others.x"), count=1)
    return Grandparent(id=NodeId("n1"), others=Map({"x": child}))


def record(data: bytes) -> None:
    """What a member's disk tells of its state."""
    restored(data, *durable())


def family_record(data: bytes) -> None:
    """What it tells of a node made of nodes."""
    restored(data, *family())


def restored(data: bytes, state: Durable[Any], fresh: Any) -> None:
    """Restore a state, write it, and restore it again."""
    with only(Undecodable):
        node = state.restore(fresh, [data])
        assert state.changes(node, state.restore(fresh, [state.whole(node)])) is None


# Files


def recording(data: bytes) -> None:
    """The steps of a member."""
    with only(Mistake):
        list(read_recording(written(data)))


def entry(data: bytes) -> None:
    """An entry of a recording, whose checksum is right."""
    recording(sealed(data, "little") + bytes(64))


def journal(data: bytes) -> None:
    """A segment as the only file of a journal."""
    disk = SimulatedDisk()
    disk.make_directory(HERE)
    disk.pwrite(disk.create(HERE / "segment-0000000001"), data, 0)
    with only(Mistake):
        Journal.open(disk, HERE, OWNER)


def segment_(data: bytes) -> None:
    """A segment whose checksums are right."""
    body = data[: segment.HEADER_SIZE - 16].ljust(segment.HEADER_SIZE - 16, b"\0")
    version = segment.VERSION
    head = b"QUORATEJ" + version.to_bytes(4, "little")
    head += crc32(body, crc32(version.to_bytes(4, "little"))).to_bytes(4, "little")
    seed = crc32(OWNER, crc32(body[25:33]))
    rest = b""
    for line in data[segment.HEADER_SIZE - 16 :].split(b"\n"):
        kind, numbers = line[:4].ljust(4, b"\0"), line[4:8].ljust(4, b"\0")
        rest += segment.encode_record(kind, numbers[0], numbers[1], line[8:], seed)
    size = int.from_bytes(body[16:24], "little")
    journal((head + body + rest).ljust(min(size, 1 << 16), b"\0"))


def blob(data: bytes) -> None:
    """A large value."""
    disk = SimulatedDisk()
    blobs = Blobs(disk, HERE, OWNER)
    disk.pwrite(disk.create(HERE / "state.blob"), data, 0)
    with only(Mistake):
        blobs.read("state")


def offsets(data: bytes) -> None:
    """How far files are written."""
    with only(Mistake):
        extents(HERE / "offsets", data)


def schedule(data: bytes) -> None:
    """A run as text."""
    with only(Mistake):
        found = parse_schedule(data.decode("utf-8", "replace"), "s.schedule")
        again = parse_schedule(format_schedule(found), "s.schedule")
        assert msgspec.structs.replace(again, only=found.only) == found


def history(data: bytes) -> None:
    """What clients saw, in whatever format."""
    path = written(data)
    for name in (None, *FORMATS):
        with only(Mistake):
            read_history(path, name, memory_bytes=1 << 20)


def trace(data: bytes) -> None:
    """The steps of a run."""
    with only(Mistake):
        read_trace(written(data))


def settings(data: bytes) -> None:
    """A member's node.toml."""
    with only(Mistake):
        config = read_config(written(data))
        write_config(_file(), config)
        assert read_config(_file()) == config


# What they begin with


def _files(folder: str, pattern: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted((ROOT / folder).glob(pattern))]


COMMANDS = b"""SET a 1 EX 9 GET|MSET a 1 b 2|HSET h f 1 g 2|INCRBYFLOAT a 1.5e3|MULTI|EXEC|PING
WATCH a h|HELLO 3 AUTH u p SETNAME n|CLIENT LIST|SCAN 0 MATCH a* COUNT 5 TYPE hash|HSCAN h 0
KEYS [a-c]?*|EXPIRE a 5 NX|GETEX a PXAT 9999999999999|COPY a b REPLACE|RESET|COMMAND DOCS get
HRANDFIELD h -3 WITHVALUES|QUORATE IDENTITY w 5|QUORATE CONSISTENCY stale MAXLAG 5|QUIT"""


def _resp() -> list[bytes]:
    commands = COMMANDS.replace(b"\n", b"|").split(b"|")
    commands += [b" ".join((name.encode(), b"a", b"1")) for name in TABLE if "|" not in name]
    spelled = [encode_reply(tuple(command.split())) for command in commands]
    return [*spelled, b"".join(spelled), b"\r\n".join(commands) + b"\r\n", b"SET a \"\\x41\" 'b'\n"]


def _words() -> list[bytes]:
    values = ("5", "five", '["a",[1,true],null]', "99999999999999999999", '["Request",1]')
    spelled = [encode_reply((b"WRITE", b"x", value.encode())) for value in values]
    return [*spelled, b"".join(spelled), b"cas x [1,2]\r\n"]


def _hello() -> bytes:
    return msgspec.msgpack.encode(own_hello("kv", "n2", 1))


def _frames() -> list[bytes]:
    route = frames.route_bytes("n1", "n2")
    one = frames.frame_head(frames.MESSAGE, b"abc", route, 7) + b"abc"
    return [frames.frame(frames.HELLO, _hello()), one, one * 3, frames.frame(frames.ASK, b"{}")]


def _values() -> list[bytes]:
    known = codec()
    commands = (1, ((b"SET", b"a", b"1"), (b"EXEC", ((b"a", 1),), ((b"GET", b"a"),))))
    operation = Operation("commands", None, commands)
    request = Request(1, operation)
    values = [request, AppendEntries(1, 0, 0, (), 0, 1), Invoke(operation), Map({1: b"a"})]
    values += [Log([1, None, (True, "x")], 5), Operation("cas", "k", (1, 2))]
    return [*map(known.encode, values), *map(known.named_bytes, values[:3])]


def _entries() -> list[bytes]:
    head = Head(1, "c", "kv", "", "n1", ("n1",), 1, b"", {"s": b"x"})
    step = Stepped(1, "n1", "n2", b"", 0, 1, 2, b"", 3, b"12345678")
    told = enumerate((head, Client("c1", ("n1",)), step, Synced(1, 2)))
    return [msgspec.msgpack.encode((kind, struct)) for kind, struct in told]


def _recordings() -> list[bytes]:
    sealed = [len(e).to_bytes(4, "little") + crc32(e).to_bytes(4, "little") + e for e in _entries()]
    return [b"".join(sealed) + bytes(40)]


def _journals() -> list[bytes]:
    disk = SimulatedDisk()
    kept = Journal.open(disk, HERE, OWNER, segment_bytes=4096, checkpoint_bytes=8192)
    for size in (10, 0, 300):
        kept.append(b"x" * size)
        kept.sync()
    names = [name for name in disk.list(HERE) if name.startswith("segment")]
    return [disk.read(HERE / name) for name in names]


def _segments() -> list[bytes]:
    marks = (segment.RECORD, segment.CHECKPOINT, segment.MARK)
    records = [kind + bytes((at + 1, at, 0, 0)) + b"payload" for at, kind in enumerate(marks)]
    return [data[16 : segment.HEADER_SIZE] + b"\n".join(records) for data in _journals()]


def _blobs() -> list[bytes]:
    disk = SimulatedDisk()
    Blobs(disk, HERE, OWNER).write("state", [b"abc", b"x" * 600])
    return [disk.read(HERE / "state.blob")]


def _traces() -> list[bytes]:
    world = World(paxos, Tape(7))
    world.run()
    names = [str(id) for id in paxos.servers()], [str(id) for id in paxos.client_ids()]
    header = Header(scenario="paxos", nodes=names[0], clients=names[1], seed=7)
    return [b"".join(lines(header, from_records(header, world.records[:12]).steps))]


def _settings() -> list[bytes]:
    config = Config(
        cluster="kv", system="kv", member="n1", data="n1", clients="127.0.0.1:7001",
        members={"n1": "127.0.0.1:7101", "n2": "[::1]:7102"}, founders=["n1"],
        via={"n2": "127.0.0.1:7"}, metrics="127.0.0.1:9101", password="x", log="json",
    )  # fmt: skip
    told = {k: v for k, v in msgspec.to_builtins(config).items() if v is not None}
    tls = {"ca": "a.pem", "certificate": "b.pem", "key": "c.pem", "clients": True}
    return [to_toml(told).encode(), to_toml({**told, "tls": tls}).encode()]


TARGETS: dict[str, Target] = {
    "resp": Target(resp, _resp),
    "store": Target(store, _resp),
    "words": Target(words, _words),
    "pattern": Target(pattern, lambda: [b"a*[b-d]?\\*\nabcd*", b"[^a]*[z-a]\nbz", b"***a\naaa"]),
    "stream": Target(stream, _frames),
    "frame": Target(frame, lambda: [data[8:] for data in _frames()]),
    "hello": Target(hello, lambda: [_hello(), b"\x91" * 3000]),
    "question": Target(question, lambda: [b'{"ask":"status","x":[1,{"y":"z"}]}', b"[" * 3000]),
    "message": Target(message, _values),
    "record": Target(record, lambda: [durable()[0].whole(durable()[1])]),
    "children": Target(family_record, lambda: [family()[0].whole(family_member())]),
    "recording": Target(recording, _recordings),
    "entry": Target(entry, _entries),
    "journal": Target(journal, _journals),
    "segment": Target(segment_, _segments),
    "blob": Target(blob, _blobs),
    "offsets": Target(offsets, lambda: [bytes(512), b"\1" + bytes(511)]),
    "schedule": Target(schedule, _files("docs/examples", "*/*.schedule")),
    "history": Target(history, _files("tests/check/data", "*.*")),
    "trace": Target(trace, _traces),
    "settings": Target(settings, _settings),
}
