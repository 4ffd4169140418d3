"""The table of commands: each is a function, registered with what Redis tells of it.

A command's first docstring line is its summary for COMMAND DOCS. Its flags say whether it writes;
its keys, as in Redis's own table, where they stand: first, last (negative: from the end), step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.wire.resp import MAX_ARGUMENTS, Command, Failure, Reply

Run = Callable[[Any, Command], Reply]
Keys = tuple[int, int, int]
NO_KEYS: Keys = (0, 0, 0)


class Spec(NamedTuple):
    """A command as the table has it.

    Attributes:
        arity: how many words it has with its name; negative: at least so many.
        is_local: the connection answers it, not the store.
        writes: it may change the store.
        is_plain: it is for the store, whatever its second word.
        least: the arity as a number of words, and so is `most`.
    """

    name: str
    arity: int
    flags: frozenset[str]
    keys: Keys
    group: str
    summary: str
    run: Run
    is_local: bool
    writes: bool
    is_plain: bool
    least: int
    most: int

    def takes(self, count: int) -> bool:
        """Whether it can have so many words."""
        return self.least <= count <= self.most

    def keys_of(self, command: Command) -> Command:
        """The keys that the command names."""
        first, last, step = self.keys
        if not first:
            return ()
        return command[first : (last if last >= 0 else len(command) + last) + 1 : step]


CONTAINERS = frozenset({"acl", "client", "command", "config", "object", "quorate"})
"""Commands whose second word names the command."""


class Refused(Exception):
    """A command cannot be executed; the failure is its reply."""

    def __init__(self, failure: Failure | str) -> None:
        self.failure = Failure(f"ERR {failure}") if isinstance(failure, str) else failure
        super().__init__(self.failure.text)


TABLE: dict[str, Spec] = {}
"""By name in lower case; a subcommand's is as in "client|list"."""
SPECS: dict[bytes, Spec] = {}
"""The same by name in lower case and in capitals, as clients send it; `spec_of` takes any case."""


def command(
    name: str, arity: int, flags: str, group: str, keys: Keys = NO_KEYS
) -> Callable[[Run], Run]:
    """Make the function below the command `name`, of the store: it takes a Draft and the words."""
    return _register(name, arity, flags, group, keys, is_local=False)


def local_command(
    name: str, arity: int, flags: str, group: str, keys: Keys = NO_KEYS
) -> Callable[[Run], Run]:
    """Make the function below the command `name`, of a connection: it takes a Session and words."""
    return _register(name, arity, flags, group, keys, is_local=True)


def _register(
    name: str, arity: int, flags: str, group: str, keys: Keys, is_local: bool
) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        summary = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        words = frozenset(flags.split())
        spec = Spec(
            name,
            arity,
            words,
            keys,
            group,
            summary,
            run,
            is_local,
            writes="write" in words,
            is_plain=not is_local and name not in CONTAINERS,
            least=abs(arity),
            most=arity if arity >= 0 else MAX_ARGUMENTS,
        )
        TABLE[name] = spec
        if "|" not in name:
            SPECS[name.encode()] = SPECS[name.upper().encode()] = spec
        return run

    return register


def spec_of(name: bytes) -> Spec | None:
    """The command of that name, in any case."""
    return SPECS.get(name) or SPECS.get(name.lower())


def refusal(words: Command) -> Failure | None:
    """Why the command cannot even be tried: it is unknown, or has too few or too many words."""
    spec = spec_of(words[0])
    if spec is None:
        return _unknown(words)
    if not spec.takes(len(words)):
        return wrong_arity(spec.name)
    if spec.name in CONTAINERS and len(words) > 1:  # COMMAND may stand alone.
        try:
            subcommand(words)
        except Refused as refused:
            return refused.failure
    return None


def subcommand(words: Command) -> Spec:
    """The command that the first two words name; the first is a container's. Raises Refused."""
    name = words[0].decode("latin-1").lower()
    spec = TABLE.get(f"{name}|{words[1].decode('latin-1').lower()}")
    if spec is None:
        raise Refused(f"unknown subcommand '{shown(words[1])[:128]}'. Try {name.upper()} HELP.")
    if not spec.takes(len(words)):
        raise Refused(wrong_arity(spec.name))
    return spec


def full_name(spec: Spec, words: Command) -> str:
    """The command's name; of a container's command, such as "client|list", with its second word."""
    if spec.name not in CONTAINERS or len(words) == 1:
        return spec.name
    name = f"{spec.name}|{words[1].decode('latin-1').lower()}"
    return name if name in TABLE else spec.name


def wrong_arity(name: str) -> Failure:
    """What a command replies that has too few or too many words."""
    return Failure(f"ERR wrong number of arguments for '{name}' command")


def _unknown(words: Command) -> Failure:
    told = ""
    for word in words[1:]:
        if len(told) >= 128:
            break
        told += f"'{shown(word)[: 128 - len(told)]}' "
    name = shown(words[0])[:128]
    return Failure(f"ERR unknown command '{name}', with args beginning with: {told}")


def shown(word: bytes) -> str:
    """A client's word as an error quotes it: up to a zero byte, in one line."""
    return word.partition(b"\0")[0].decode("latin-1").replace("\r", " ").replace("\n", " ")
