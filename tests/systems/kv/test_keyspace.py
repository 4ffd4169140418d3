"""The store is a deterministic machine: what it promises to the log, snapshots and readers."""

import os
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.kernel import Map, Operation, fingerprint
from quorate.live.codec import Codec
from quorate.protocols.machines.key_value import READS, KeyValue
from quorate.systems.kv.content import Text, slot_of
from quorate.systems.kv.draft import PURGED
from quorate.systems.kv.execution import EXEC, WATCH
from quorate.systems.kv.keyspace import HashPart, Keyspace
from quorate.systems.kv.table import TABLE
from quorate.wire.resp import Command, Failure, NullArray, Reply, encode_replies
from tests.systems.kv.rig import Ours, replies_in, spell
from tests.systems.kv.scripts import EXPIRY, HASHES, KEYS, STRINGS

commands = st.one_of(st.one_of(STRINGS), st.one_of(HASHES), st.one_of(KEYS), st.one_of(EXPIRY))
batches = st.lists(
    st.tuples(st.integers(0, 200_000), st.lists(commands, min_size=1, max_size=5).map(tuple)),
    max_size=15,
)


def operation(time: int, *steps: Any) -> Operation:
    return Operation("commands", None, (time, steps))


def run(machine: Keyspace, time: int, *texts: str) -> tuple[Keyspace, tuple[Reply, ...]]:
    """The machine after commands, written with spaces."""
    made = operation(time, *(tuple(text.encode().split(b" ")) for text in texts))
    assert machine.accepts(made)
    return machine.apply(made)


def history(script: list[tuple[int, tuple[Command, ...]]]) -> Keyspace:
    machine = Keyspace()
    for time, steps in script:
        machine, _ = machine.apply(operation(time, *steps))
    return machine


def test_a_snapshot_has_small_parts_in_a_fixed_order() -> None:
    """Also of a hash with many fields; and any slice of them is to be had."""
    machine = Keyspace()
    for count in (64, 65, 1000):
        fields = " ".join(f"f{i} {i}" for i in range(count))
        machine, _ = run(machine, 0, f"HSET h{count} {fields}", f"SET t{count} 1 EX {count}")
    parts = machine.parts()
    whole = tuple(parts)
    assert len(parts) == len(whole) == 1 + 6 + 65 + 1000
    assert max(len(part.fields) for part in whole if isinstance(part, HashPart)) == 64
    assert all(parts[i] == part for i, part in enumerate(whole))
    assert all(parts[i : i + 7] == whole[i : i + 7] for i in range(len(whole)))
    keys = [part.key for part in whole[1:7]]
    assert keys == sorted(keys, key=lambda key: (slot_of(key), key))
    assert Keyspace.of(whole) == machine
    for change in ("HDEL h65 f1", "DEL h1000", "SET h1000 x", "RENAME h1000 h1001"):
        other, _ = run(machine, 0, change)
        assert Keyspace.of(other.parts()) == other


def test_commands_of_one_operation_see_each_other() -> None:
    machine, replies = run(Keyspace(), 0, "SET a 1", "INCR a", "GET a", "DEL a", "GET a")
    assert replies == ("OK", 2, b"2", 1, None)
    assert machine.content.entries == Map()


@given(batches)
def test_a_snapshot_is_all_of_it(script: list[tuple[int, tuple[Command, ...]]]) -> None:
    """And what the store derives from its entries follows from them alone, whatever happened."""
    machine = history(script)
    again = Keyspace.of(machine.parts())
    assert again == machine
    assert fingerprint(again.content) == fingerprint(machine.content)


@given(batches)
def test_parts_and_replies_travel(script: list[tuple[int, tuple[Command, ...]]]) -> None:
    codec = Codec((), ("quorate.systems.kv.keyspace", "quorate.wire.resp"))
    machine = Keyspace()
    for time, steps in script:
        made = operation(time, *steps)
        assert codec.plain(codec.encode(made)) == made
        machine, replies = machine.apply(made)
        assert codec.plain(codec.encode(replies)) == replies
    parts = tuple(machine.parts())
    assert codec.plain(codec.encode(parts)) == parts


@given(batches, st.integers(0, 200_000), st.lists(commands, min_size=1, max_size=4).map(tuple))
def test_what_only_reads_leaves_no_trace(
    script: list[tuple[int, tuple[Command, ...]]], time: int, steps: tuple[Command, ...]
) -> None:
    machine = history(script)
    asked = operation(time, *steps)
    after, replies = machine.apply(asked)
    if machine.is_read(asked):
        assert after is machine
    else:
        assert after.clock == max(time, machine.clock)
        assert after.version == machine.version + 1
    # In the log or not, and on whatever replica, the reply is one.
    assert Keyspace.of(machine.parts()).apply(asked) == (after, replies)


def test_expiry_is_decided_in_the_log() -> None:
    machine, _ = run(Keyspace(), 1000, "SET a 1 PX 500", "SET b 2")
    get, other = operation(1499, (b"GET", b"a")), operation(1500, (b"GET", b"b"))
    assert machine.is_read(get)
    assert machine.apply(get)[1] == (b"1",)
    assert machine.is_read(other)  # It touches no key that is due.
    late = operation(1500, (b"GET", b"a"))
    assert not machine.is_read(late)
    assert not machine.is_read(operation(1500, (b"DBSIZE",)))
    assert not machine.is_read(operation(1500, (EXEC, (), ((b"GET", b"a"),))))
    assert not machine.is_read(operation(1500, (WATCH, b"a")))
    machine, replies = machine.apply(late)
    assert replies == (None,)
    assert machine.clock == 1500
    # A reader whose clock is behind sees what the others saw.
    early = operation(1200, (b"GET", b"a"), (b"EXISTS", b"a"), (b"DBSIZE",), (b"TTL", b"a"))
    assert machine.is_read(early)
    assert machine.apply(early)[1] == (None, 0, 1, -2)
    assert machine.is_read(operation(9999, (b"GET", b"a"), (b"DBSIZE",)))


def test_time_to_live_counts_down_between_writes() -> None:
    machine, _ = run(Keyspace(), 1000, "SET a 1 EX 100")
    asked = operation(51_000, (b"TTL", b"a"), (b"PTTL", b"a"), (b"PEXPIRETIME", b"a"))
    assert machine.is_read(asked)
    assert machine.apply(asked)[1] == (50, 50_000, 101_000)


def test_time_never_goes_back() -> None:
    machine, _ = run(Keyspace(), 5000, "SET a 1")
    machine, _ = run(machine, 1000, "SET b 1 PX 100")
    assert machine.clock == 5000
    assert machine.content.expiries == Map({b"b": 5100})


def test_a_key_that_is_due_is_as_absent() -> None:
    """Also before it is forgotten: whoever writes it begins anew, without its expiry."""
    many = [f"SET k{i} 5 PX 10" for i in range(3 * PURGED)]
    machine, _ = run(Keyspace(), 0, *many)
    left = 3 * PURGED - 1
    machine, replies = run(
        machine, 10, f"INCR k{left}", f"TTL k{left}", "DBSIZE", "KEYS *", f"PERSIST k{left - 1}"
    )
    assert replies == (1, -1, 1, (f"k{left}".encode(),), 0)
    assert machine.is_read(operation(11, (b"GET", b"k%d" % (left - 1)), (b"DBSIZE",)))
    assert len(machine.content.entries) == 2 * PURGED  # No operation forgets too many at once.
    for time in (11, 12):
        machine, _ = run(machine, time, "SET other 1")
    assert len(machine.content.entries) == 2
    assert machine.content.expiries == Map()
    assert machine.content.agenda == ()


def test_a_watched_key_that_has_changed_prevents_the_transaction() -> None:
    machine, _ = run(Keyspace(), 0, "SET a 1", "HSET h f 1")
    machine, _ = run(machine, 0, "SET a 2")
    _, ((a, h, gone),) = run(machine, 0, "WATCH a h nothing")
    assert (a, h, gone) == (2, 1, 0)
    watched = ((b"a", a), (b"h", h), (b"nothing", gone))
    steps = ((b"INCR", b"a"), (b"GET", b"h"), (b"SET", b"x", b"1"))
    transaction = operation(0, (EXEC, watched, steps))
    after, (replies,) = machine.apply(transaction)
    assert isinstance(replies, tuple)
    assert replies[0] == 3
    assert isinstance(replies[1], Failure)  # One that fails does not undo the others.
    assert replies[2] == "OK"
    for change in ("SET a 2", "DEL a", "HSET h f 1", "EXPIRE h 100", "FLUSHALL", "SET nothing 1"):
        other, _ = run(machine, 0, change)
        same, replies = other.apply(transaction)
        assert replies == (NullArray(),), change
        assert same.content == other.content
    # One that was absent, came and went is as it was: nobody could tell from within.
    other, _ = run(machine, 0, "SET nothing 1", "DEL nothing")
    assert other.apply(transaction)[0].content.entries.keys() == after.content.entries.keys()


@given(st.data())
def test_a_scan_returns_what_is_always_there(data: st.DataObject) -> None:
    lasting = {b"lasting%d" % i for i in range(60)}
    machine, _ = Keyspace().apply(operation(0, *((b"SET", key, b"") for key in lasting)))
    found: set[bytes] = set()
    cursor, rounds = b"0", 0
    while rounds == 0 or cursor != b"0":
        name, change = data.draw(st.integers(0, 50)), data.draw(st.sampled_from(["SET", "DEL"]))
        machine, _ = run(machine, 0, f"{change} passing{name}" + (" 1" if change == "SET" else ""))
        _, ((cursor, keys),) = run(machine, 0, f"SCAN {cursor.decode()} COUNT 7")
        found |= set(keys)
        rounds += 1
    assert found >= lasting
    assert rounds > 4


def test_a_scan_of_a_hash_returns_what_is_always_there() -> None:
    machine = Keyspace()
    fields = [b"f%d" % i for i in range(3000)]
    machine, _ = machine.apply(
        operation(0, (b"HSET", b"h", *(x for f in fields for x in (f, b"v"))))
    )
    found: list[bytes] = []
    cursor, rounds = b"0", 0
    while rounds == 0 or cursor != b"0":
        machine, _ = run(machine, 0, f"HSET h new{rounds} 1", f"HDEL h new{rounds - 5}")
        _, ((cursor, parts),) = run(machine, 0, f"HSCAN h {cursor.decode()}")
        found += parts[::2]
        rounds += 1
    assert set(found) >= set(fields)
    assert len(found) < 1.1 * len(fields)
    assert 40 < rounds <= 70
    _, ((_, parts),) = run(machine, 0, "HSCAN h 0 MATCH f12 COUNT 10000")
    assert parts == (b"f12", b"v")


def test_chance_is_of_the_log() -> None:
    """RANDOMKEY and HRANDFIELD differ from time to time, and are one at all replicas."""
    machine, _ = run(Keyspace(), 0, *(f"SET k{i} 1" for i in range(50)))
    machine, _ = run(machine, 0, "HSET h " + " ".join(f"f{i} v" for i in range(50)))
    for ask in ("RANDOMKEY", "HRANDFIELD h"):
        drawn = [run(machine, time, ask)[1][0] for time in range(100)]
        assert len(set(drawn)) > 20
        assert drawn == [run(machine, time, ask)[1][0] for time in range(100)]
    (several,) = run(machine, 0, "HRANDFIELD h 20")[1]
    assert isinstance(several, tuple)
    assert len(set(several)) == 20
    (all_of_them,) = run(machine, 0, "HRANDFIELD h 1000")[1]
    assert isinstance(all_of_them, tuple)
    assert len(set(all_of_them)) == 50
    (repeated,) = run(machine, 0, "HRANDFIELD h -200")[1]
    assert isinstance(repeated, tuple)
    assert len(repeated) == 200
    assert 20 < len(set(repeated)) <= 50
    assert isinstance(run(machine, 0, "HRANDFIELD h -1048577")[1][0], Failure)


PROGRAM = """
from quorate.kernel import Operation, fingerprint
from quorate.systems.kv.keyspace import HashPart, Keyspace
machine = Keyspace()
for time in range(60):
    words = [f"SET key{time % 37} {time} PX {time % 11 + 1}", f"HSET h{time % 3} f{time} 1",
             "SCAN 0 COUNT 5", "KEYS k*", "RANDOMKEY", "HRANDFIELD h1 3", "HGETALL h2", "DBSIZE"]
    steps = tuple(tuple(word.encode().split(b" ")) for word in words)
    machine, replies = machine.apply(Operation("commands", None, (time, steps)))
    print(replies)
print(fingerprint(machine.content).hex())
"""


def test_every_process_comes_to_the_same() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 1000


texts = st.sampled_from(["", "a", "b", "é"])
values = st.none() | texts | st.integers(0, 2) | st.booleans()
generic = st.one_of(
    st.builds(Operation, st.sampled_from(["get", "read", "delete"]), st.sampled_from("xy")),
    st.builds(Operation, st.sampled_from(["put", "write"]), st.sampled_from("xy"), values),
    st.builds(Operation, st.just("append"), st.sampled_from("xy"), texts),
    st.builds(Operation, st.just("cas"), st.sampled_from("xy"), st.tuples(values, values)),
    st.builds(Operation, st.sampled_from(["read", "write"]), st.none(), st.integers(0, 3)),
)


@given(batches, st.lists(generic, max_size=4), st.randoms(use_true_random=False))
def test_all_at_once_is_one_after_the_other(
    script: list[tuple[int, tuple[Command, ...]]], others: list[Operation], chance: random.Random
) -> None:
    keyspace = Keyspace()
    operations = [operation(time, *steps) for time, steps in script]
    for other in filter(keyspace.accepts, others):
        operations.insert(chance.randrange(len(operations) + 1), other)
    one, replies = keyspace, []
    for asked in operations:
        one, reply = one.apply(asked)
        replies.append(reply)
    cut = chance.randrange(len(operations) + 1)
    first, some = keyspace.apply_all(operations[:cut])
    both, rest = first.apply_all(operations[cut:])
    assert (both, some + rest) == (one, replies)
    assert fingerprint(both.content) == fingerprint(one.content)


@given(st.lists(generic, max_size=30))
def test_it_is_a_key_value_machine_too(script: list[Operation]) -> None:
    ours, plain = Keyspace(), KeyValue()
    for asked in script:
        assert ours.accepts(asked) == plain.accepts(asked)
        assert ours.is_read(asked) == plain.is_read(asked) == (asked.f in READS)
        before = ours
        ours, result = ours.apply(asked)
        plain, wanted = plain.apply(asked)
        assert result == wanted
        assert type(result) is type(wanted)
        assert ours is before or asked.f not in READS


@pytest.mark.parametrize("value", [(1, 2), b"x", 2**63, -(2**63) - 1, 1.5])
def test_what_it_cannot_store_is_not_accepted(value: object) -> None:
    machine = Keyspace()
    assert not machine.accepts(Operation("write", "x", value))
    assert not machine.accepts(Operation("put", "x", value))
    assert not machine.accepts(Operation("cas", "x", (None, value)))
    assert not machine.accepts(Operation("fly", "x"))


def test_both_ways_act_on_the_same_strings() -> None:
    machine, _ = Keyspace().apply(Operation("write", "x", "text"))
    machine, _ = machine.apply(Operation("write", "n", 41))
    machine, replies = run(machine, 0, "APPEND x !", "GET n", "INCR n", "STRLEN x", "SET e ")
    assert replies == (5, b"41", 42, 5, "OK")
    assert machine.apply(Operation("read", "x"))[1] == "text!"
    assert machine.apply(Operation("read", "n"))[1] == "42"
    assert machine.apply(Operation("read", "e"))[1] is None
    machine, _ = run(machine, 0, "EXPIRE x 100", "EXPIRE n 100")
    machine, _ = machine.apply(Operation("write", "x", "forever"))
    machine, _ = machine.apply(Operation("append", "n", "0"))
    assert machine.content.expiries == Map({b"n": 100_000})
    machine, _ = run(machine, 0, "HSET h f v", "SET raw \xff")
    assert machine.apply(Operation("read", "h"))[1] is None
    assert machine.apply(Operation("write", "h", "v"))[0] is machine


@pytest.mark.parametrize(
    "value",
    [
        None,
        (),
        (1,),
        (1, (), ()),
        ("1", ((b"GET", b"k"),)),
        (-1, ((b"GET", b"k"),)),
        (2**62, ((b"GET", b"k"),)),
        (1, ((EXEC,),)),
        (1, ((EXEC, b"k", b"v"),)),
        (True, ((b"GET", b"k"),)),
        (1, [(b"GET", b"k")]),
        (1, ((),)),
        (1, (("GET", "k"),)),
        (1, ((b"GET", 1),)),
        (1, ((b"GET", (b"k",)),)),
        (1, ((EXEC, (), ((b"GET", 1),)),)),
        (1, ((EXEC, ((b"k", b"1"),), ()),)),
        (1, ((EXEC, (b"k",), ()),)),
        (1, ((EXEC, 1, ()),)),
        (1, ((EXEC, (), ((EXEC, (), ()),)),)),
        (1, ((b"GET", (), ()),)),
    ],
)
def test_what_is_no_command_is_not_accepted(value: object) -> None:
    assert not Keyspace().accepts(Operation("commands", None, value))


names = st.sampled_from(sorted(TABLE)).map(lambda name: name.partition("|")[0].encode())
some = st.binary(max_size=3) | st.sampled_from(
    [b"k", b"0", b"1", b"-1", b"COUNT", b"EX", b"encoding"]
)
anything = st.builds(
    lambda name, rest: (name, *rest), names | st.binary(max_size=3), st.lists(some, max_size=6)
)


@settings(max_examples=500)
@given(st.lists(anything, min_size=1, max_size=5), st.integers(0, 2**62 - 1))
def test_whatever_is_accepted_can_be_applied(steps: list[Command], time: int) -> None:
    for asked in (operation(time, *steps), operation(time, (EXEC, ((b"k", 0),), tuple(steps)))):
        assert Keyspace().accepts(asked)
        after, replies = Keyspace().apply(asked)
        assert len(replies) == len(asked.value[1])
        assert encode_replies(replies, 3)
        assert Keyspace.of(after.parts()) == after


@given(st.lists(anything, min_size=1, max_size=6), st.booleans())
def test_a_session_takes_whatever_is_a_command(steps: list[Command], is_guarded: bool) -> None:
    connection = Ours("secret" if is_guarded else "").connect()
    replied = connection.ask(b"".join(map(spell, steps)), 10**15)
    assert len(replies_in(replied)) <= len(steps)


def test_commands_of_connections_are_told_so() -> None:
    _, (reply, unknown) = run(Keyspace(), 0, "PING", "FOO")
    assert isinstance(reply, Failure)
    assert "connection" in reply.text
    assert isinstance(unknown, Failure)


def test_slots_are_those_of_redis_cluster() -> None:
    assert [slot_of(key) for key in (b"foo", b"bar", b"somekey")] == [12182, 5061, 11058]


def test_a_version_is_of_the_operation() -> None:
    machine, _ = run(Keyspace(), 0, "SET a 1")
    machine, _ = run(machine, 0, "SET b 1")
    assert machine.content.entries[b"a"] == Text(b"1", 1)
    assert machine.content.entries[b"b"] == Text(b"1", 2)
