"""Commands that a connection answers. Source: networking.c, multi.c and acl.c of Redis 7.0."""

from hmac import compare_digest

from quorate.systems.kv.keys import check_database
from quorate.systems.kv.numbers import integer
from quorate.systems.kv.session import Consistency, Session
from quorate.systems.kv.strings import SYNTAX
from quorate.systems.kv.table import Refused, local_command, shown, subcommand, wrong_arity
from quorate.wire.resp import Command, Failure, Pairs, Reply, Verbatim

REDIS_VERSION = "7.0.15"
"""What our commands are like; clients decide by it what they may ask."""
USER = b"default"
LONGEST_NAME = 128
"""Of a writer that has an identity: every replica remembers it."""
WRONG_PASSWORD = Failure("WRONGPASS invalid username-password pair or user is disabled.")
NO_PASSWORD = (
    "AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
HELLO_FIRST = Failure(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "AUTH <user> <pass> option can be used to authenticate the client and select the "
    "RESP protocol version at the same time"
)


@local_command("ping", -1, "fast", "connection")
def ping(session: Session, words: Command) -> Reply:
    """Ping the server."""
    if len(words) > 2:
        return wrong_arity("ping")
    return words[1] if len(words) == 2 else "PONG"


@local_command("echo", 2, "loading stale fast", "connection")
def echo(session: Session, words: Command) -> Reply:
    """Echo the given string."""
    return words[1]


@local_command("quit", -1, "noscript loading stale fast no_auth allow_busy", "connection")
def quit_(session: Session, words: Command) -> Reply:
    """Close the connection."""
    session.is_over = True
    return "OK"


@local_command("reset", 1, "noscript loading stale fast no_auth allow_busy", "connection")
def reset(session: Session, words: Command) -> Reply:
    """Reset the connection."""
    session.reset()
    return "RESET"


@local_command("select", 2, "loading stale fast", "connection")
def select(session: Session, words: Command) -> Reply:
    """Change the selected database for the current connection; there is only number 0."""
    check_database(words[1])
    return "OK"


# Who it is


@local_command("auth", -2, "noscript loading stale fast no_auth allow_busy", "connection")
def auth(session: Session, words: Command) -> Reply:
    """Authenticate to the server."""
    if len(words) > 3:
        raise Refused(SYNTAX)
    if len(words) == 2 and not session.server.password:
        raise Refused(NO_PASSWORD)
    _authenticate(session, words[1] if len(words) == 3 else USER, words[-1])
    return "OK"


def _authenticate(session: Session, user: bytes, password: bytes) -> None:
    known = session.server.password.encode()
    # The time that this takes tells nothing of the password.
    if user != USER or (known and not compare_digest(password, known)):
        raise Refused(WRONG_PASSWORD)
    session.is_trusted = True


@local_command("hello", -1, "noscript loading stale fast no_auth allow_busy", "connection")
def hello(session: Session, words: Command) -> Reply:
    """Handshake with the server."""
    version = session.version
    if len(words) > 1:
        version = integer(words[1], "Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise Refused(Failure("NOPROTO unsupported protocol version"))
    name: str | None = None
    credentials: tuple[bytes, bytes] | None = None
    rest = list(words[2:])
    while rest:
        option = rest.pop(0)
        if option.upper() == b"AUTH" and len(rest) >= 2:
            credentials = rest.pop(0), rest.pop(0)
        elif option.upper() == b"SETNAME" and rest:
            name = _name(rest.pop(0))
        else:
            raise Refused(f"Syntax error in HELLO option '{shown(option)}'")
    if credentials is not None:
        _authenticate(session, *credentials)
    if not session.is_trusted:
        raise Refused(HELLO_FIRST)
    session.version = version
    session.name = session.name if name is None else name
    facts: tuple[tuple[bytes, Reply], ...] = (
        (b"server", b"redis"),
        (b"version", REDIS_VERSION.encode()),
        (b"proto", version),
        (b"id", session.id),
        (b"mode", b"standalone"),
        (b"role", b"master"),
        (b"modules", ()),
    )
    return Pairs(facts)


def _name(word: bytes) -> str:
    if not all(ord("!") <= byte <= ord("~") for byte in word):
        raise Refused("Client names cannot contain spaces, newlines or special characters.")
    return word.decode()


@local_command("acl", -2, "", "server")
def acl(session: Session, words: Command) -> Reply:
    """A container for Access List Control commands."""
    return subcommand(words).run(session, words)


@local_command("acl|whoami", 2, "noscript loading stale", "server")
def acl_whoami(session: Session, words: Command) -> Reply:
    """Return the name of the user associated to the current connection."""
    return USER


# CLIENT


@local_command("client", -2, "", "connection")
def client(session: Session, words: Command) -> Reply:
    """A container for client connection commands."""
    return subcommand(words).run(session, words)


@local_command("client|id", 2, "noscript loading stale", "connection")
def client_id(session: Session, words: Command) -> Reply:
    """Return the client ID for the current connection."""
    return session.id


@local_command("client|getname", 2, "noscript loading stale", "connection")
def client_getname(session: Session, words: Command) -> Reply:
    """Get the current connection name."""
    return session.name.encode() or None


@local_command("client|setname", 3, "noscript loading stale", "connection")
def client_setname(session: Session, words: Command) -> Reply:
    """Set the current connection name."""
    session.name = _name(words[2])
    return "OK"


@local_command("client|setinfo", 4, "noscript loading stale", "connection")
def client_setinfo(session: Session, words: Command) -> Reply:
    """Set client or connection specific info."""
    attribute = words[2].lower()
    if attribute not in (b"lib-name", b"lib-ver"):
        raise Refused(f"Unrecognized option '{shown(words[2])}'")
    if not all(ord("!") <= byte <= ord("~") for byte in words[3]):
        told = attribute.decode()
        raise Refused(f"{told} cannot contain spaces, newlines or special characters.")
    session.library[attribute.decode()] = words[3].decode()
    return "OK"


@local_command("client|info", 2, "noscript loading stale", "connection")
def client_info(session: Session, words: Command) -> Reply:
    """Return information about the current client connection."""
    return Verbatim(_line(session, session.now) + "\n")


@local_command("client|list", -2, "admin noscript loading stale", "connection")
def client_list(session: Session, words: Command) -> Reply:
    """Get the list of client connections."""
    sessions = session.server.sessions
    listed = list(sessions.values())
    if len(words) > 2:
        option = words[2].upper()
        if option == b"ID" and len(words) > 3:
            ids = [integer(word, "Invalid client ID") for word in words[3:]]
            listed = [sessions[id] for id in ids if id in sessions]
        elif option == b"TYPE" and len(words) == 4:
            kind = words[3].lower()
            if kind not in (b"normal", b"master", b"replica", b"slave", b"pubsub"):
                raise Refused(f"Unknown client type '{shown(words[3])}'")
            listed = listed if kind == b"normal" else []
        else:
            raise Refused(SYNTAX)
    return Verbatim("".join(_line(other, session.now) + "\n" for other in listed))


def _line(session: Session, now: int) -> str:
    multi = -1 if session.queue is None else len(session.queue)
    facts: dict[str, object] = {
        "id": session.id,
        "addr": session.address,
        "name": session.name,
        "age": max(0, now - session.since) // 1_000_000,
        "idle": max(0, now - session.now) // 1_000_000,
        "flags": "N" if session.queue is None else "x",
        "db": 0,
        "sub": 0,
        "psub": 0,
        "multi": multi,
        "cmd": session.latest or "NULL",
        "user": USER.decode(),
        "resp": session.version,
        "lib-name": session.library.get("lib-name", ""),
        "lib-ver": session.library.get("lib-ver", ""),
    }
    return " ".join(f"{name}={fact}" for name, fact in facts.items())


@local_command("client|no-evict", 3, "admin noscript loading stale", "connection")
def client_no_evict(session: Session, words: Command) -> Reply:
    """Set client eviction mode for the current connection; no client is ever evicted."""
    if words[2].upper() not in (b"ON", b"OFF"):
        raise Refused(SYNTAX)
    return "OK"


@local_command("client|reply", 3, "noscript loading stale", "connection")
def client_reply(session: Session, words: Command) -> Reply:
    """Instruct the server whether to reply to commands; it always does."""
    if words[2].upper() not in (b"ON", b"OFF", b"SKIP"):
        raise Refused(SYNTAX)
    if words[2].upper() != b"ON":
        raise Refused("every command gets a reply: CLIENT REPLY OFF and SKIP are not supported")
    return "OK"


# Transactions. EXEC and WATCH need the store: see the session.


@local_command("multi", 1, "noscript loading stale fast allow_busy", "transactions")
def multi(session: Session, words: Command) -> Reply:
    """Mark the start of a transaction block."""
    if session.queue is not None:
        raise Refused("MULTI calls can not be nested")
    session.queue = []
    return "OK"


@local_command("exec", 1, "noscript loading stale skip_slowlog", "transactions")
def exec_(session: Session, words: Command) -> Reply:
    """Execute all commands issued after MULTI."""
    raise AssertionError("the session plans EXEC")


@local_command("discard", 1, "noscript loading stale fast allow_busy", "transactions")
def discard(session: Session, words: Command) -> Reply:
    """Discard all commands issued after MULTI."""
    if session.queue is None:
        raise Refused("DISCARD without MULTI")
    session.end_transaction()
    return "OK"


@local_command("watch", -2, "noscript loading stale fast allow_busy", "transactions", (1, -1, 1))
def watch(session: Session, words: Command) -> Reply:
    """Watch the given keys to determine execution of the MULTI/EXEC block."""
    raise Refused("WATCH inside MULTI is not allowed")  # Elsewhere, the session plans it.


@local_command("unwatch", 1, "noscript loading stale fast allow_busy", "transactions")
def unwatch(session: Session, words: Command) -> Reply:
    """Forget about all watched keys."""
    session.watched.clear()
    return "OK"


# What reads and writes demand


@local_command("quorate", -2, "", "connection")
def quorate(session: Session, words: Command) -> Reply:
    """A container for what Redis has no command for."""
    return subcommand(words).run(session, words)


@local_command("quorate|consistency", -3, "noscript loading stale fast", "connection")
def quorate_consistency(session: Session, words: Command) -> Reply:
    """Choose how fresh reads are: linearizable, lease, or stale by at most MAXLAG milliseconds."""
    levels: dict[bytes, Consistency] = {
        b"linearizable": "linearizable",
        b"lease": "lease",
        b"stale": "stale",
    }
    level = levels.get(words[2].lower())
    if level is None:
        raise Refused("consistency is one of linearizable, lease, stale")
    max_lag: int | None = None
    if len(words) > 3:
        if len(words) != 5 or words[3].upper() != b"MAXLAG" or level != "stale":
            raise Refused(SYNTAX)
        max_lag = integer(words[4])
        if max_lag < 0:
            raise Refused("MAXLAG is negative")
    session.consistency, session.max_lag = level, max_lag
    return "OK"


@local_command("quorate|identity", 4, "noscript loading stale fast", "connection")
def quorate_identity(session: Session, words: Command) -> Reply:
    """Name the next write: one of the same name and number happens once, however often sent."""
    number = integer(words[3])
    if number < 1:
        raise Refused("the number of a write is at least 1")
    if not 1 <= len(words[2]) <= LONGEST_NAME:
        raise Refused(f"the name of a writer has 1 to {LONGEST_NAME} characters")
    session.identity = _name(words[2]), number
    return "OK"


@local_command("readonly", 1, "loading stale fast", "cluster")
def readonly(session: Session, words: Command) -> Reply:
    """Allow stale reads, as QUORATE CONSISTENCY stale."""
    session.consistency, session.max_lag = "stale", None
    return "OK"


@local_command("readwrite", 1, "loading stale fast", "cluster")
def readwrite(session: Session, words: Command) -> Reply:
    """Demand linearizable reads, as QUORATE CONSISTENCY linearizable."""
    session.consistency, session.max_lag = "linearizable", None
    return "OK"


@local_command("wait", 3, "noscript", "generic")
def wait(session: Session, words: Command) -> Reply:
    """Tell how many other replicas have all answered writes: it waits for none."""
    integer(words[1])
    if integer(words[2], "timeout is not an integer or out of range") < 0:
        raise Refused("timeout is negative")
    return session.server.acknowledged
