"""A network that writes down what happens in it, as a text for people."""

from typing import Any

from quorate.kernel import BatchEnd, Event, Log, Map, Message, NodeId, Set
from quorate.kernel.env import Effect, Send
from tests.protocols.network import Network, NodeT


class Story(Network[NodeT]):
    """What each step was about, what it changed and what it sent; losses and crashes too."""

    def __init__(self, kind: type[NodeT], size: int, **fields: Any) -> None:
        self.lines: list[str] = []
        self._stepped: dict[NodeId, NodeT] = {}
        super().__init__(kind, size, **fields)
        self.lines.clear()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def tell(self, sentence: str) -> None:
        """Put a sentence of the narrator's between the events."""
        self.lines += ["", sentence] if self.lines else [sentence]

    def act(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Effect]:
        place, before = len(self.lines), self.nodes[id]
        self._stepped.pop(id, None)
        effects = super().act(id, event, sender)
        after = self._stepped.pop(id, self.nodes[id])
        told = [f"  {sender}→{id} {event!r}" if sender else f"  {id} {event!r}"]
        for name in type(before).__struct_fields__:
            old, new = getattr(before, name), getattr(after, name)
            change = self.change(name, old, new) if old != new else ""
            if change:
                told.append(f"      {name}{change}")
        for effect in effects:
            if isinstance(effect, Send):
                to = "all" if effect.to == self.ids else ", ".join(effect.to)
                told.append(f"      sends {to}: {effect.message!r}")
        if len(told) > 1 or type(event) is not BatchEnd:
            self.lines[place:place] = told
        return effects

    def change(self, name: str, old: Any, new: Any) -> str:
        """How a field's value became another; "" for what the story is not about."""
        return change(old, new)

    def sync(self, id: NodeId, *, batch: bool = True) -> None:
        after = self.nodes[id]
        super().sync(id, batch=batch)
        self._stepped[id] = after  # What the sync led to is told by itself.

    def arrive(self, kind: type[Message], source: str = "", *targets: str) -> None:
        """Deliver the messages of this kind that are under way now, from there, to these."""
        chosen = self._take(kind, source, targets)
        for origin, target, message in chosen:
            if target in self.nodes:
                self.act(target, message, origin)
            else:
                self.lines.append(f"  {origin}→{target} {message!r}")
                self.answers.setdefault(target, []).append(message)

    def lose(self, kind: type[Message], source: str = "", *targets: str) -> None:
        """Lose the messages of this kind that are under way now, from there, to these."""
        for origin, target, message in self._take(kind, source, targets):
            self.lines.append(f"  {origin}→{target} {message!r} is lost")

    def under_way(self, kind: type[Message]) -> list[Message]:
        """The messages of this kind that have neither arrived nor been lost."""
        return [message for _, _, message in self.queue if isinstance(message, kind)]

    def crash(self, id: NodeId, restart: bool = True) -> None:
        self.lines.append(f"  {id} crashes")
        super().crash(id, restart)

    def _take(
        self, kind: type[Message], source: str, targets: tuple[str, ...]
    ) -> list[tuple[NodeId, NodeId, Message]]:
        def wanted(flight: tuple[NodeId, NodeId, Message]) -> bool:
            origin, target, message = flight
            here = source in ("", origin) and (not targets or target in targets)
            return isinstance(message, kind) and here

        chosen = [flight for flight in self.queue if wanted(flight)]
        assert chosen, f"no {kind.__name__} from {source or 'anyone'} to {targets} is under way"
        rest = [flight for flight in self.queue if not wanted(flight)]
        self.queue.clear()
        self.queue.extend(rest)
        return chosen


def change(old: Any, new: Any) -> str:
    """How a value became another; of a Map, Set or Log, the difference alone."""
    if isinstance(new, Log):
        return _log_change(old, new)
    if not isinstance(new, Map | Set):
        return f": {old!r} → {new!r}"
    if not new:
        return " is empty now"
    if isinstance(new, Map):
        items, removed = new.changes_since(old)
        added = [f"{key!r}: {value!r}" for key, value in items]
    else:
        elements, removed = new.changes_since(old)
        added = [repr(element) for element in elements]
    return "".join([*(f" + {part}" for part in added), *(f" - {part!r}" for part in removed)])


def _log_change(old: Log[Any], new: Log[Any]) -> str:
    """What went from a Log, by index, and what came."""
    start, kept, items = new.changes_since(old)
    removed = [index for index in range(old.start, old.end) if not start <= index < kept]
    added = [f"{index}: {item!r}" for index, item in enumerate(items, kept)]
    return "".join([*(f" - {index}" for index in removed), *(f" + {part}" for part in added)])
