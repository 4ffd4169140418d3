"""Executes commands on a draft of the store, one by one or as a transaction.

Besides what clients send, two commands have a form of their own, which only a session makes:

    WATCH key ...               the versions of the keys, which the session remembers
    EXEC watched commands       the replies of the commands, in one array, unless a watched key has
                                another version by now; `watched` has pairs of key and version
"""

from collections.abc import Sequence
from typing import Any

from quorate.systems.kv.draft import Draft
from quorate.systems.kv.table import SPECS, Refused, refusal, spec_of
from quorate.wire.resp import Command, Failure, NullArray, Reply

WATCH, EXEC = b"WATCH", b"EXEC"
ABSENT = 0
"""What WATCH takes for the version of a key that is not there."""

Step = tuple[Any, ...]
"""A command, or a transaction in the form above."""


def execute(db: Draft, step: Step) -> Reply:
    """The reply of one command, or of one transaction."""
    spec = SPECS.get(step[0]) or spec_of(step[0])
    if spec is None or spec.is_local or not spec.least <= len(step) <= spec.most:
        return _execute_special(db, step)
    try:
        return spec.run(db, step)
    except Refused as refused:
        return refused.failure


def _execute_special(db: Draft, step: Step) -> Reply:
    if step[0] == EXEC and len(step) == 3:
        return _execute_transaction(db, step)
    if step[0] == WATCH:
        return tuple([_version(db, key) for key in step[1:]])
    return refusal(step) or Failure("ERR this command is the connection's, not the store's")


def _execute_transaction(db: Draft, step: Step) -> Reply:
    _, watched, commands = step
    if any(_version(db, key) != version for key, version in watched):
        return NullArray()
    return tuple([execute(db, command) for command in commands])


def _version(db: Draft, key: bytes) -> int:
    entry = db.get(key)
    return ABSENT if entry is None else entry.version


# What an operation may do


def commands_of(steps: tuple[Step, ...]) -> Sequence[Command]:
    """All commands, also those of transactions; what a transaction watches as WATCH."""
    found: list[Command] = []
    for step in steps:
        if step[0] == EXEC and len(step) == 3:
            found += [(WATCH, *(key for key, _ in step[1])), *step[2]]
        else:
            found.append(step)
    return found


def is_executable(steps: object) -> bool:
    """Whether this is a tuple of commands and transactions, and of nothing else."""
    return isinstance(steps, tuple) and all(
        _is_words(step) or _is_transaction(step) for step in steps
    )


def _is_words(step: object) -> bool:
    if type(step) is not tuple or {*map(type, step)} != {bytes}:
        return False
    return bool(step[0] != EXEC)


def _is_transaction(step: object) -> bool:
    if not isinstance(step, tuple) or len(step) != 3 or step[0] != EXEC:
        return False
    if not isinstance(step[1], tuple) or not isinstance(step[2], tuple):
        return False
    are_pairs = all(type(pair) is tuple and [*map(type, pair)] == [bytes, int] for pair in step[1])
    return are_pairs and all(map(_is_words, step[2]))
