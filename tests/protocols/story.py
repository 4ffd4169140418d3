"""A network that writes down what happens in it, as a text for people."""

from typing import Any

from quorate.kernel import BatchEnd, Event, Map, Message, NodeId, Set
from quorate.kernel.env import Effect, Send
from tests.protocols.network import Network, NodeT


class Story(Network[NodeT]):
    """What each step was about, what it changed and what it sent; losses and crashes too."""

    def __init__(self, kind: type[NodeT], size: int, **fields: Any) -> None:
        self.lines: list[str] = []
        super().__init__(kind, size, **fields)
        self.lines.clear()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def tell(self, sentence: str) -> None:
        """Put a sentence of the narrator's between the events."""
        self.lines += ["", sentence] if self.lines else [sentence]

    def act(self, id: NodeId, event: Event, sender: NodeId | None = None) -> list[Effect]:
        if type(event) is not BatchEnd or BatchEnd in self.nodes[id].handlers:
            self.lines.append(f"  {sender}→{id} {event!r}" if sender else f"  {id} {event!r}")
        place, before = len(self.lines), self.nodes[id]
        effects = super().act(id, event, sender)
        told = []
        for name in type(before).__struct_fields__:
            old, new = getattr(before, name), getattr(self.nodes[id], name)
            if old != new:
                told.append(f"      {name}{_change(old, new)}")
        for effect in effects:
            if isinstance(effect, Send):
                to = "all" if effect.to == self.ids else ", ".join(effect.to)
                told.append(f"      sends {to}: {effect.message!r}")
        self.lines[place:place] = told
        return effects

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


def _change(old: Any, new: Any) -> str:
    """How a field's value became another; of a Map or Set, the difference alone."""
    if not new or not isinstance(new, Map | Set):
        return f": {old!r} → {new!r}" if not isinstance(new, Map | Set) else " is empty now"
    if isinstance(new, Map):
        items, removed = new.changes_since(old)
        added = [f"{key!r}: {value!r}" for key, value in items]
    else:
        elements, removed = new.changes_since(old)
        added = [repr(element) for element in elements]
    return "".join([*(f" + {part}" for part in added), *(f" - {part!r}" for part in removed)])
