"""One client's connection: what lies between its commands and the store, without any I/O.

`take` turns commands into a plan: replies that the connection gives by itself, and at most one
operation for the store. `finish` puts the operation's results between those replies, in the order
of the commands. A plan may leave a `rest`, to be taken once it is finished, as where the protocol's
version changes, or where EXEC needs to know what WATCH saw.

    plan = session.take(commands, now)
    replies = session.finish(plan, result)      result: what the store made of plan.operation
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from quorate.kernel import Operation
from quorate.systems.kv.execution import EXEC, WATCH, Step
from quorate.systems.kv.table import SPECS, Refused, Spec, full_name, refusal, spec_of
from quorate.wire.resp import ARGUMENT_COST, Command, Failure, Reply

Consistency = Literal["linearizable", "lease", "stale"]
Sections = Mapping[str, Mapping[str, str | int]]

MOST_COMMANDS = 256
MOST_BYTES = 1 << 20
"""What becomes one operation: no more commands than that, and no further one past so many bytes."""
MOST_QUEUED = 8 << 20
"""Bytes that a transaction may queue, with what Python needs for each word."""
MOST_WATCHED = 10_000
ALONE = frozenset({"hello", "reset", "quorate", "readonly", "readwrite"})
"""Commands that change what all commands of a plan have in common."""
AT_ONCE = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})
"""Commands that a transaction does not queue."""
NEVER_QUEUED = frozenset({"hello", "quorate", "readonly", "readwrite"})

ABORTED = Failure("EXECABORT Transaction discarded because of previous errors.")
NO_AUTH = Failure("NOAUTH Authentication required.")


class Server:
    """What the connections of one member share.

    Attributes:
        password: what AUTH must tell; "" if clients need none.
        facts: gives the sections of INFO that the host knows.
        config: what CONFIG GET tells.
        acknowledged: how many other replicas have every write that was answered.
        sessions: the connections by their numbers.
    """

    def __init__(
        self,
        password: str = "",
        facts: Callable[[], Sections] = dict,
        config: Mapping[str, str] | None = None,
        acknowledged: int = 0,
    ) -> None:
        self.password = password
        self.facts = facts
        self.config = {"save": "", "appendonly": "yes", "databases": "1", **(config or {})}
        self.acknowledged = acknowledged
        self.sessions: dict[int, Session] = {}
        self._count = 0

    def connect(self, address: str, now: int) -> "Session":
        """A new connection from `address`, at `now` in microseconds since 1970."""
        self._count += 1
        session = self.sessions[self._count] = Session(self, self._count, address, now)
        return session

    def disconnect(self, session: "Session") -> None:
        """The connection has ended."""
        self.sessions.pop(session.id, None)


class _Stored:
    """In a plan: the next of the operation's results."""


class _Watched:
    """In a plan: the versions of keys, to be remembered."""

    def __init__(self, keys: Command) -> None:
        self.keys = keys


class _Executed:
    """In a plan: the results of a transaction; `is_stored` if the store has a part in it."""

    def __init__(self, commands: list[Command], is_stored: bool) -> None:
        self.commands = commands
        self.is_stored = is_stored


class _Given:
    """In a plan: a reply."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


STORED = _Stored()


class Plan:
    """What is to be done with some commands.

    Attributes:
        operation: for the store; None if the connection has all the replies.
        identity: the client's name and the number of this write, if it is to happen once only.
        consistency: what the client demands of reads; `max_lag`, in milliseconds, goes with stale.
        rest: the commands after these.
        is_last: close the connection after the replies.
        is_write: the operation may change the store.
    """

    def __init__(self, consistency: Consistency, max_lag: int | None) -> None:
        self.operation: Operation | None = None
        self.identity: tuple[str, int] | None = None
        self.consistency = consistency
        self.max_lag = max_lag
        self.rest: tuple[Command, ...] = ()
        self.is_last = False
        self.is_write = False
        self.steps: list[Step] = []
        self.parts: list[_Stored | _Watched | _Executed | _Given] = []
        self.size = 0
        self.is_full = False


class Session:
    """The state of one connection.

    Attributes:
        version: of the protocol, 2 or 3; encode the replies of a finished plan by it.
        is_trusted: the client has told the password, or needs none.
        queue: the commands of the transaction that has begun, which take `queued` bytes.
        is_broken: one of them was refused, so that EXEC must be.
        watched: the versions that WATCH saw, by key.
        library: name and version, as the client tells.
        now: microseconds since 1970, of the latest `take`.
    """

    def __init__(self, server: Server, id: int, address: str, now: int) -> None:
        self.server = server
        self.id = id
        self.address = address
        self.since = self.now = now
        self.latest = ""
        self.reset()

    def reset(self) -> None:
        """Be as a connection that has just begun."""
        self.version = 2
        self.is_trusted = not self.server.password
        self.name = ""
        self.library: dict[str, str] = {}
        self.consistency: Consistency = "linearizable"
        self.max_lag: int | None = None
        self.identity: tuple[str, int] | None = None
        self.is_over = False
        self.end_transaction()

    def end_transaction(self) -> None:
        """Neither queue commands nor watch keys any longer."""
        self.queue: list[Command] | None = None
        self.queued = 0
        self.is_broken = False
        self.watched: dict[bytes, int] = {}

    def take(self, commands: tuple[Command, ...], now: int) -> Plan:
        """What to do with the first of these commands; `now` is in microseconds since 1970."""
        self.now = now
        plan = Plan(self.consistency, self.max_lag)
        count = self._take_plain(commands, plan)
        for words in commands[count:]:
            spec = spec_of(words[0])
            if plan.parts and (plan.is_full or self._must_be_first(spec, plan)):
                break
            count += 1
            self._take_one(words, spec, plan)
        plan.rest = () if plan.is_last else commands[count:]
        if plan.steps:
            plan.operation = Operation("commands", None, (now // 1000, tuple(plan.steps)))
        return plan

    def _take_plain(self, commands: tuple[Command, ...], plan: Plan) -> int:
        """Take commands as long as they are simply for the store. Returns how many that were."""
        if not self.is_trusted or self.queue is not None or self.identity:
            return 0
        size = count = 0
        for words in commands[:MOST_COMMANDS]:
            spec = SPECS.get(words[0])
            if spec is None or not spec.is_plain or not spec.least <= len(words) <= spec.most:
                break
            count += 1
            plan.is_write = plan.is_write or spec.writes
            size += sum(map(len, words))
            if size > MOST_BYTES:
                break
        plan.steps += commands[:count]
        plan.parts += [STORED] * count
        plan.size = size
        plan.is_full = size > MOST_BYTES or count == MOST_COMMANDS
        if count:
            self.latest = commands[count - 1][0].decode("latin-1").lower()
        return count

    def _must_be_first(self, spec: Spec | None, plan: Plan) -> bool:
        if spec is None or (self.queue is not None and spec.name not in AT_ONCE):
            return False
        is_write = spec.writes or spec.name == "exec"
        return spec.name in ALONE or bool(self.identity and is_write and plan.steps)

    def _take_one(self, words: Command, spec: Spec | None, plan: Plan) -> None:
        if spec is not None:
            self.latest = full_name(spec, words)
        if spec is None or spec.is_local or not spec.takes(len(words)) or not self.is_trusted:
            plan.parts.append(self._connections_own(words, spec, plan))
        elif self.queue is not None:
            plan.parts.append(self._queued(words))
        else:
            refused = None if spec.is_plain else refusal(words)
            plan.parts.append(STORED if refused is None else _Given(refused))
            if refused is None:
                plan.steps.append(words)
                plan.is_write = plan.is_write or spec.writes
                plan.size += sum(map(len, words))
                if self.identity:
                    self._identify(spec.writes, plan)
        if plan.size > MOST_BYTES or len(plan.steps) >= MOST_COMMANDS:
            plan.is_full = True

    def _identify(self, is_write: bool, plan: Plan) -> None:
        """Let the write that was just planned be the one that the identity is for."""
        if self.identity and is_write:
            plan.identity, self.identity = self.identity, None
            plan.is_full = True

    def _queued(self, words: Command) -> _Given:
        assert self.queue is not None
        refused = refusal(words)
        self.queued += sum(map(len, words)) + ARGUMENT_COST * (len(words) + 1)
        if self.queued > MOST_QUEUED:
            refused = Failure("ERR too much is queued for one transaction")
        if refused is not None:
            self.is_broken = True
            return _Given(refused)
        self.queue.append(words)
        return _Given("QUEUED")

    def _connections_own(
        self, words: Command, spec: Spec | None, plan: Plan
    ) -> _Watched | _Executed | _Given:
        """A command that is not simply for the store."""
        refused = refusal(words)
        if refused is None and not self.is_trusted and spec and "no_auth" not in spec.flags:
            refused = NO_AUTH
        if refused is None and self.queue is not None and spec and spec.name in NEVER_QUEUED:
            refused = Failure("ERR Command not allowed inside a transaction")
        if refused is not None and spec is not None and spec.name == "exec":
            self.end_transaction()
            why = refused.text.removeprefix("ERR ")
            refused = Failure(f"EXECABORT Transaction discarded because of: {why}")
        if refused is not None or spec is None:
            self.is_broken = self.is_broken or self.queue is not None
            return _Given(refused)
        if self.queue is not None and spec.name not in AT_ONCE:
            return self._queued(words)
        if spec.name == "exec":
            return self._execute(plan)
        if spec.name == "watch" and self.queue is None:
            if len(self.watched) + len(words) - 1 > MOST_WATCHED:
                return _Given(Failure("ERR too many keys are watched"))
            plan.steps.append((WATCH, *words[1:]))
            plan.is_full = True
            return _Watched(words[1:])
        given = _Given(self._reply(spec, words))
        plan.is_last = self.is_over
        plan.is_full = self.is_over or spec.name in ALONE
        return given

    def _execute(self, plan: Plan) -> _Executed | _Given:
        """EXEC."""
        queue, watched, is_broken = self.queue, self.watched, self.is_broken
        if queue is None:
            return _Given(Failure("ERR EXEC without MULTI"))
        self.end_transaction()
        if is_broken:
            return _Given(ABORTED)
        stored = tuple([words for words in queue if not _is_local(words)])
        if len(stored) < len(queue):
            plan.is_full = True  # What comes after has to find what the connection's own have done.
        is_stored = bool(stored or watched)
        if is_stored:
            plan.steps.append((EXEC, tuple(watched.items()), stored))
            plan.is_write = True
            self._identify(True, plan)
        return _Executed(queue, is_stored)

    def _reply(self, spec: Spec, words: Command) -> Reply:
        try:
            return spec.run(self, words)
        except Refused as refused:
            return refused.failure

    def finish(self, plan: Plan, result: tuple[Reply, ...] | Failure = ()) -> list[Reply]:
        """The replies, from the operation's result; or from why it has none."""
        if isinstance(result, Failure):
            results: Iterator[Reply] = iter([result] * len(plan.parts))
        else:
            results = iter(result)
        return [
            next(results) if part is STORED else self._finished(part, results)
            for part in plan.parts
        ]

    def _finished(
        self, part: "_Stored | _Watched | _Executed | _Given", results: Iterator[Reply]
    ) -> Reply:
        if isinstance(part, _Given):
            return part.reply
        if isinstance(part, _Executed) and not part.is_stored:
            return self._merged(part.commands, iter(()))
        result = next(results)
        if not isinstance(result, tuple):
            return result  # Nothing has happened; it says why.
        if isinstance(part, _Executed):
            return self._merged(part.commands, iter(result))
        assert isinstance(part, _Watched)
        for key, version in zip(part.keys, result, strict=True):
            assert isinstance(version, int)
            self.watched.setdefault(key, version)
        return "OK"

    def _merged(self, commands: list[Command], results: Iterator[Reply]) -> Reply:
        """The replies of a transaction, of which the connection gives some by itself."""
        replies: list[Reply] = []
        for words in commands:
            spec = spec_of(words[0])
            is_own = spec is not None and spec.is_local
            replies.append(self._reply(spec, words) if spec and is_own else next(results))
        return tuple(replies)


def _is_local(words: Command) -> bool:
    spec = spec_of(words[0])
    return spec is not None and spec.is_local
