"""Commands that tell of the server: COMMAND, CONFIG, INFO, TIME. Source: server.c, Redis 7.0."""

from quorate.systems.kv.connection import REDIS_VERSION
from quorate.systems.kv.glob import glob
from quorate.systems.kv.session import Session
from quorate.systems.kv.strings import SYNTAX
from quorate.systems.kv.table import (
    CONTAINERS,
    TABLE,
    Refused,
    Spec,
    local_command,
    refusal,
    spec_of,
    subcommand,
)
from quorate.wire.resp import Command, Pairs, Reply, Unordered, Verbatim


@local_command("time", 1, "loading stale fast", "server")
def time(session: Session, words: Command) -> Reply:
    """Return the current server time: seconds since 1970, and microseconds."""
    seconds, microseconds = divmod(session.now, 1_000_000)
    return b"%d" % seconds, b"%d" % microseconds


@local_command("info", -1, "loading stale", "server")
def info(session: Session, words: Command) -> Reply:
    """Get information and statistics about the server."""
    sections: dict[str, dict[str, str | int]] = {
        "Server": {"redis_version": REDIS_VERSION, "redis_mode": "standalone", "arch_bits": 64},
        "Clients": {"connected_clients": len(session.server.sessions)},
        "Replication": {"role": "master", "connected_slaves": session.server.acknowledged},
        "Cluster": {"cluster_enabled": 0},
    }
    for title, facts in session.server.facts().items():
        sections.setdefault(title, {}).update(facts)
    wanted = {word.decode("latin-1").lower() for word in words[1:]}
    is_all = not wanted or bool(wanted & {"all", "default", "everything"})
    texts = [
        f"# {title}\r\n" + "".join(f"{name}:{fact}\r\n" for name, fact in facts.items())
        for title, facts in sections.items()
        if is_all or title.lower() in wanted
    ]
    return Verbatim("\r\n".join(texts))


# CONFIG


@local_command("config", -2, "", "server")
def config(session: Session, words: Command) -> Reply:
    """A container for server configuration commands."""
    return subcommand(words).run(session, words)


@local_command("config|get", -3, "admin noscript loading stale", "server")
def config_get(session: Session, words: Command) -> Reply:
    """Get the values of configuration parameters."""
    patterns = [glob(word.lower()) for word in words[2:]]
    return Pairs(
        tuple(
            [
                (name.encode(), value.encode())
                for name, value in sorted(session.server.config.items())
                if any(pattern.matches(name.encode()) for pattern in patterns)
            ]
        )
    )


@local_command("config|set", -4, "admin noscript loading stale", "server")
def config_set(session: Session, words: Command) -> Reply:
    """Refuse to change the configuration, which all members must have in common."""
    raise Refused("CONFIG SET is not supported: members are configured when they start")


@local_command("config|resetstat", 2, "admin noscript loading stale", "server")
def config_resetstat(session: Session, words: Command) -> Reply:
    """Reset the stats returned by INFO; there are none to reset."""
    return "OK"


# COMMAND


@local_command("command", -1, "loading stale", "server")
def command_(session: Session, words: Command) -> Reply:
    """Get array of command details."""
    if len(words) > 1:
        return subcommand(words).run(session, words)
    return tuple([_details(spec) for spec in _top_level()])


@local_command("command|count", 2, "loading stale", "server")
def command_count(session: Session, words: Command) -> Reply:
    """Get total number of commands."""
    return len(_top_level())


@local_command("command|list", -2, "loading stale", "server")
def command_list(session: Session, words: Command) -> Reply:
    """Get an array of command names."""
    found = [TABLE[name] for name in sorted(TABLE)]
    if len(words) > 2:
        if len(words) != 5 or words[2].upper() != b"FILTERBY":
            raise Refused(SYNTAX)
        kind, argument = words[3].upper(), words[4]
        if kind == b"PATTERN":
            found = [spec for spec in found if glob(argument).matches(spec.name.encode())]
        elif kind == b"ACLCAT":
            category = "@" + argument.decode("latin-1").lower()
            found = [spec for spec in found if category in _categories(spec)]
        elif kind == b"MODULE":
            found = []
        else:
            raise Refused(SYNTAX)
    return tuple([spec.name.encode() for spec in found])


@local_command("command|info", -2, "loading stale", "server")
def command_info(session: Session, words: Command) -> Reply:
    """Get array of specific command details, or all when no argument is given."""
    if len(words) == 2:
        return tuple([_details(spec) for spec in _top_level()])
    found = [TABLE.get(word.decode("latin-1").lower()) for word in words[2:]]
    return tuple([None if spec is None else _details(spec) for spec in found])


@local_command("command|docs", -2, "loading stale", "server")
def command_docs(session: Session, words: Command) -> Reply:
    """Get array of specific command documentation."""
    names = [word.decode("latin-1").lower() for word in words[2:]]
    specs = [TABLE[name] for name in names if name in TABLE] if names else _top_level()
    return Pairs(tuple([(spec.name.encode(), _docs(spec)) for spec in specs]))


@local_command("command|getkeys", -4, "loading stale", "server")
def command_getkeys(session: Session, words: Command) -> Reply:
    """Extract keys given a full command."""
    asked = words[2:]
    spec = spec_of(asked[0])
    if spec is not None and spec.name in CONTAINERS and len(asked) > 1 and refusal(asked) is None:
        spec = subcommand(asked)
    if spec is None:
        raise Refused("Invalid command specified")
    if not spec.keys[0]:
        raise Refused("The command has no key arguments")
    if not spec.takes(len(asked)):
        raise Refused("Invalid number of arguments specified for command")
    return spec.keys_of(asked)


def _top_level() -> list[Spec]:
    return [TABLE[name] for name in sorted(TABLE) if "|" not in name]


def _subcommands(spec: Spec) -> list[Spec]:
    return [TABLE[name] for name in sorted(TABLE) if name.startswith(f"{spec.name}|")]


def _details(spec: Spec) -> Reply:
    """As COMMAND INFO has it; without tips and key specifications, which clients can do without."""
    flags = Unordered(tuple(sorted(spec.flags)))
    categories = Unordered(tuple(sorted(_categories(spec))))
    below = tuple([_details(sub) for sub in _subcommands(spec)])
    return spec.name.encode(), spec.arity, flags, *spec.keys, categories, (), (), below


_FAMILIES = {
    "string": "@string",
    "hash": "@hash",
    "generic": "@keyspace",
    "connection": "@connection",
    "transactions": "@transaction",
    "cluster": "@connection",
}
_ELSEWHERE = {
    "command": "@connection",
    "wait": "@connection",
    "dbsize": "@keyspace",
    "flushall": "@keyspace",
    "flushdb": "@keyspace",
}
"""Commands of another category than their group's; so are their subcommands."""
_DANGEROUS = frozenset({"flushall", "flushdb", "info", "keys"})


def _categories(spec: Spec) -> set[str]:
    """The categories of access lists that the command is of."""
    found = {"@fast" if "fast" in spec.flags else "@slow"}
    found |= {f"@{flag}" for flag in ("write", "admin") if flag in spec.flags}
    found |= {"@read"} if "readonly" in spec.flags else set()
    family = _ELSEWHERE.get(spec.name.partition("|")[0]) or _FAMILIES.get(spec.group)
    found |= {family} if spec.flags and family else set()
    if "admin" in spec.flags or spec.name in _DANGEROUS:
        found.add("@dangerous")
    return found


def _docs(spec: Spec) -> Reply:
    facts: list[tuple[Reply, Reply]] = [
        (b"summary", spec.summary.encode()),
        (b"group", spec.group.encode()),
    ]
    below = _subcommands(spec)
    if below:
        facts.append((b"subcommands", Pairs(tuple([(s.name.encode(), _docs(s)) for s in below]))))
    return Pairs(tuple(facts))
