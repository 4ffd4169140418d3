"""Made-up histories of a key-value store that are hard to judge: all clients busy all the time.

They are as those of a lab exercise's tests: ten keys, and clients of which each asks again as soon
as it is answered, half for an append, the rest for gets and a few puts.
"""

from random import Random

KEYS = 10
FRONT = 2
"""Which of the operations that have waited longest takes effect next, and is answered at once.

The more there are, the harder the history: with 3 most checkers take minutes.
"""
STALE_AFTER = 0.6
"""Where in the history a sabotaged store answers one get with a value of the past."""


class _Client:
    """One client and its open operation: what it asks, and what it is to be answered."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.f = self.key = self.argument = self.answer = ""
        self.is_answered = False


class _Store:
    """A linearizable store, and the lines that its clients write."""

    def __init__(self, clients: int, seed: int, stale_at: int) -> None:
        self._dice = Random(seed)
        self._clients = [_Client(number) for number in range(clients)]
        self._values = {str(key): "" for key in range(KEYS)}
        self._acknowledged: dict[str, list[str]] = {key: [""] for key in self._values}
        self._stale_at = stale_at
        self._asked = 0
        self.lines: list[str] = []

    def run(self, operations: int) -> None:
        for client in self._clients:
            self._ask(client)
        waiting = self._clients
        while waiting:
            client = waiting.pop(self._dice.randrange(min(len(waiting), FRONT)))
            if not client.is_answered:
                self._apply(client)
            self._write(client, "ok", client.answer)
            if client.f != "get":
                self._acknowledged[client.key].append(self._values[client.key])
            if self._asked < operations:
                self._ask(client)
                waiting.append(client)

    def _ask(self, client: _Client) -> None:
        self._asked += 1
        client.key = str(self._dice.randrange(KEYS))
        client.f = self._dice.choices(("append", "get", "put"), (50, 45, 5))[0]
        client.argument = "" if client.f == "get" else f"x {client.number} {client.count} y"
        client.count += client.f != "get"
        client.is_answered = False
        stale = self._stale_value(client.key) if self._asked >= self._stale_at else None
        if client.f == "get" and stale is not None:
            client.answer, client.is_answered = stale, True
            self._stale_at = 1 << 62
        self._write(client, "invoke", client.argument)

    def _stale_value(self, key: str) -> str | None:
        """A value that the key had before a write that has been acknowledged since."""
        now = self._acknowledged[key][-1]
        older = [v for v in self._acknowledged[key] if now.startswith(v) and v not in ("", now)]
        return older[-1] if older else None

    def _apply(self, client: _Client) -> None:
        value = self._values[client.key]
        match client.f:
            case "get":
                client.answer = value
            case "append":
                self._values[client.key] = value + client.argument
                client.answer = client.argument
            case _:
                self._values[client.key] = client.answer = client.argument

    def _write(self, client: _Client, kind: str, value: str) -> None:
        text = "nil" if kind == "invoke" and client.f == "get" else f'"{value}"'
        self.lines.append(
            f"{{:process {client.number}, :type :{kind}, :f :{client.f}, "
            f':key "{client.key}", :value {text}}}'
        )


def key_value_history(clients: int, operations: int, seed: int, *, linearizable: bool) -> str:
    """The text of such a history, in the format `kv`.

    One that is not linearizable has a single get answered with a value that an acknowledged
    append had replaced before the get began.
    """
    stale_at = 1 << 62 if linearizable else int(operations * STALE_AFTER)
    store = _Store(clients, seed, stale_at)
    store.run(operations)
    return "\n".join(store.lines) + "\n"
