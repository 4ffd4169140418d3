"""States of the whole system, and their successors on each kind of network.

A state is made of numbers of interned parts. Its fingerprint is the sum of those of its parts, so
a way changes it by a difference that is known beforehand, and most successors are recognised as
visited without being made.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from quorate.explore.exhaustive.machine import Envelope
from quorate.explore.exhaustive.memory import SPENT, Memories
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.synchrony import until_next
from quorate.explore.exhaustive.way import NOTHING, Move, Way, way_of
from quorate.kernel.canonical import fingerprint
from quorate.scenario.exploration import Exploration

State = tuple[tuple[int, ...], tuple[int, ...], int]
"""The local state of each node, the messages in flight, and what is remembered.

What the numbers of messages are depends on the network; they are sorted.
"""
Found = list[tuple[int, Way]]
"""Successors: the fingerprint of each, and the way to it."""
OPTIONAL = frozenset({"crash", "lose", "ignore", "restart", "invoke"})
"""What may happen, but does not keep time from passing."""


class Space:
    """The states of a system whose messages arrive in any order, each at most once (`multiset`).

    Attributes:
        moves, memories: what nodes can do, and what states remember.
    """

    is_additive: ClassVar = True
    """Whether each message that comes or goes changes the fingerprint alike in every state."""

    def __init__(self, moves: Moves, memories: Memories, exploration: Exploration) -> None:
        self.moves = moves
        self.memories = memories
        self._drop = exploration.drop
        self._channel = exploration.channel
        self._first: State | None = None
        self._is_synchronous = exploration.timing == "synchronous"
        self._must_look = not messages_add_up(type(self), exploration)

    def roots(self) -> list[tuple[int, State, tuple[Way, ...]]]:
        """Every state in which all nodes have begun: fingerprint, state, and the ways to it."""
        if self._first is not None:
            return [(self.print_of(self._first), self._first, ())]
        starts = [self.moves.starts(slot) for slot in range(len(self.moves.machines))]
        unborn = tuple(ways[0].moves[0].before for ways in starts)
        state: State = (unborn, (), self.memories.first)
        print_ = self.print_of(state)
        reached: list[tuple[int, State, tuple[Way, ...]]] = [(print_, state, ())]
        for ways in starts:
            found: list[tuple[int, State, tuple[Way, ...]]] = []
            for print_, state, path in reached:
                for way in (settled for each in ways for settled in self.settled(state[0], each)):
                    into: Found = []
                    self._add(into, print_, state, way)
                    found += [(p, self.apply(state, w), (*path, w)) for p, w in into]
            reached = found
        return reached

    def begin_at(self, state: State) -> None:
        """Let the search begin in this state."""
        self._first = state

    def print_of(self, state: State) -> int:
        """The fingerprint of a state: the sum of those of its parts."""
        locals_, messages, memory = state
        print_ = sum(self.moves.local_prints[local] for local in locals_)
        return print_ + self.prints(messages) + self.memories.prints[memory]

    def successors(self, print_: int, state: State) -> Found:
        """All that can happen next, faults included."""
        found: Found = []
        for way in self.ways(state):
            if way.is_special or way.clears_its_own:
                self._add(found, print_, state, way)
            elif way.clears:
                found.append((print_ + way.delta - self._cleared(state[1], way), way))
            else:
                found.append((print_ + way.delta, way))
        return found

    def ways(self, state: State) -> list[Way]:
        """What nodes and network can do here; a budget or a bound may still forbid it."""
        locals_, messages, memory = state
        arrivals, targets = self.moves.arrivals, self.moves.targets
        possible: list[Way] = []
        last = NOTHING
        for envelope in self.arriving(messages):
            if envelope == last:
                continue
            last = envelope
            local = locals_[targets[envelope]]
            ways = arrivals[local].get(envelope)
            possible += self.moves.arrive(local, envelope) if ways is None else ways
        # A timer that is due keeps time from passing, whether or not it may fire.
        is_spent = not self._is_synchronous and self.memories.has_no_timers_left(memory)
        own = self.moves.untimed if is_spent else self.moves.own
        for local in locals_:
            possible += own(local)
        if self._drop:
            for envelope, place in self.losses(messages):
                if self.moves.is_at_risk(envelope):
                    possible.append(self.moves.lose(envelope, place))
        if self._is_synchronous and all(way.moves[0].kind in OPTIONAL for way in possible):
            possible += self._time(state)
        return possible

    def is_fenced(self, state: State) -> bool:
        """Whether a bound of the protocol's is why something cannot happen here."""
        locals_, messages, _ = state
        moves, fenced = self.moves, self.moves.fenced
        if any((local, NOTHING) in fenced for local in locals_):
            return True
        return any((locals_[moves.targets[e]], e) in fenced for e in self.arriving(messages))

    def _time(self, state: State) -> list[Way]:
        """Time passes until some timer is due; what is still under way changes nothing by then."""
        locals_, messages, _ = state
        duration = until_next(self.moves.locals[local] for local in locals_)
        if not duration or self.is_fenced(state):
            return []
        ignored = (self.moves.ignore(envelope).moves[0] for envelope in self.in_flight(messages))
        waiting = (local for local in locals_ if self.moves.locals[local].timers)
        return [way_of(*ignored, *(self.moves.wait(local, duration) for local in waiting))]

    def settled(self, locals_: tuple[int, ...], way: Way) -> tuple[Way, ...]:
        """The ways that a step can go on within its transition."""
        return (way,)

    def _add(self, found: Found, print_: int, state: State, way: Way) -> None:
        """Add the successor by this way, unless a budget or the channels' bound forbids it."""
        _, messages, memory = state
        after = self.memories.through(memory, way.moves)
        if after == SPENT:
            return
        print_ += self.memories.prints[after] - self.memories.prints[memory]
        must_look = self._must_look or way.clears_its_own or way.moves[0].crash is not None
        if way.clears and not must_look:
            print_ -= self._cleared(messages, way)
        for move in way.moves:
            print_ += move.delta
            if must_look:
                exchanged = self.exchange(messages, move)
                print_ += self.correction(messages, exchanged, move)
                messages = exchanged
                if self._channel is not None and move.sends and self._is_crowded(messages):
                    self.moves.fenced.add((move.before, move.takes))
                    return
        found.append((print_, way))

    def apply(self, state: State, way: Way) -> State:
        """The successor that a way leads to."""
        locals_, messages, memory = state
        remembers = False
        for move in way.moves:
            remembers |= move.remembers
            if move.after != NOTHING:
                slot = move.slot
                locals_ = (*locals_[:slot], move.after, *locals_[slot + 1 :])
            if move.sends or move.takes != NOTHING or move.crash:
                messages = self.exchange(messages, move)
        if remembers:
            memory = self.memories.through(memory, way.moves)
        return locals_, messages, memory

    # What a network is

    def in_order(self, envelopes: Iterable[int]) -> tuple[int, ...]:
        """These messages in flight, in the order of sending, as the network holds them."""
        return tuple(sorted(envelopes))

    def prints(self, messages: tuple[int, ...]) -> int:
        """What messages in flight add to a fingerprint."""
        return sum(map(self.moves.envelope_prints.__getitem__, messages))

    def arriving(self, messages: tuple[int, ...]) -> Sequence[int]:
        """The messages that can be the next to arrive; equal ones stand together."""
        return messages

    def in_flight(self, messages: tuple[int, ...]) -> Iterable[int]:
        """All messages that are under way."""
        return messages

    def losses(self, messages: tuple[int, ...]) -> Iterable[tuple[int, int]]:
        """Which messages can be lost; of equal ones in a queue, at which place among them."""
        return [(envelope, 0) for envelope in dict.fromkeys(messages)]

    def exchange(self, messages: tuple[int, ...], move: Move) -> tuple[int, ...]:
        """The messages in flight after a move."""
        left = list(messages)
        if move.takes != NOTHING and not move.repeats:
            left.remove(move.takes)
        if move.crash:
            left = [envelope for envelope in left if not self._dies(envelope, move.slot)]
        if move.clears:
            links, cleared = self.moves.links, move.clears
            left = [envelope for envelope in left if links[envelope] not in cleared]
        left += move.sends
        left.sort()
        return tuple(left)

    def correction(self, before: tuple[int, ...], after: tuple[int, ...], move: Move) -> int:
        """What `move.delta` does not know of the change of the fingerprint by messages."""
        change = self.prints(after) - self.prints(before)
        if self._must_look:  # Then `move.delta` knows of no message at all.
            return change
        taken = self.moves.envelope_prints[move.takes] if move.takes != NOTHING else 0
        return change - self.prints(move.sends) + taken

    def _dies(self, envelope: int, slot: int) -> bool:
        """Whether the message dies with the node of that slot, because it sent it to itself."""
        return self.moves.targets[envelope] == slot and self.moves.is_to_itself(envelope)

    def _cleared(self, messages: tuple[int, ...], way: Way) -> int:
        """The fingerprints of the messages whose place those of a way take."""
        links, prints, clears = self.moves.links, self.moves.envelope_prints, way.clears
        total = sum([prints[envelope] for envelope in messages if links[envelope] in clears])
        first = way.moves[0]
        if first.takes != NOTHING and not first.repeats and links[first.takes] in clears:
            total -= prints[first.takes]  # It has arrived, and is gone anyway.
        return total

    def _is_crowded(self, messages: tuple[int, ...]) -> bool:
        counts: dict[tuple[str, str], int] = {}
        for envelope in self.in_flight(messages):
            source, target, _ = self.moves.envelopes[envelope]
            counts[source, target] = counts.get((source, target), 0) + 1
        assert self._channel is not None
        return max(counts.values(), default=0) > self._channel


class SetSpace(Space):
    """Messages, once sent, are there for ever, and arrive at any time, as often as they like."""

    is_additive: ClassVar = False

    def exchange(self, messages: tuple[int, ...], move: Move) -> tuple[int, ...]:
        present = set(messages)
        if move.kind == "lose":
            present.discard(move.takes)
        if move.crash:
            present = {envelope for envelope in present if not self._dies(envelope, move.slot)}
        if not present.issuperset(move.sends):
            present.update(move.sends)
        elif len(present) == len(messages):
            return messages
        return tuple(sorted(present))

    def correction(self, before: tuple[int, ...], after: tuple[int, ...], move: Move) -> int:
        return 0 if before is after else self.prints(after) - self.prints(before)

    def in_order(self, envelopes: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted(set(envelopes)))


class FifoSpace(Space):
    """Each directed link keeps its messages in order. `messages` are numbers of such queues."""

    is_additive: ClassVar = False

    def __init__(self, moves: Moves, memories: Memories, exploration: Exploration) -> None:
        super().__init__(moves, memories, exploration)
        self._queues: list[tuple[int, ...]] = []
        self._prints: list[int] = []
        self._known: dict[tuple[int, ...], int] = {}

    def arriving(self, messages: tuple[int, ...]) -> Sequence[int]:
        return [self._queues[queue][0] for queue in messages]

    def in_flight(self, messages: tuple[int, ...]) -> Iterable[int]:
        return [envelope for queue in messages for envelope in self._queues[queue]]

    def losses(self, messages: tuple[int, ...]) -> Iterable[tuple[int, int]]:
        for number in messages:
            queue = self._queues[number]
            for at, envelope in enumerate(queue):
                yield envelope, queue[:at].count(envelope)

    def exchange(self, messages: tuple[int, ...], move: Move) -> tuple[int, ...]:
        queues = {self._link(self._queues[number][0]): self._queues[number] for number in messages}
        if move.crash:
            queues = {
                link: queue for link, queue in queues.items() if not self._dies(queue[0], move.slot)
            }
        if move.takes != NOTHING and not move.repeats:
            link = self._link(move.takes)
            if link in queues:
                queue = queues[link]
                at = [place for place, sent in enumerate(queue) if sent == move.takes][move.place]
                queues[link] = queue[:at] + queue[at + 1 :]
        for envelope in move.sends:
            link = self._link(envelope)
            queues[link] = (*queues.get(link, ()), envelope)
        return tuple(sorted(self._number(queue) for queue in queues.values() if queue))

    def prints(self, messages: tuple[int, ...]) -> int:
        return sum(map(self._prints.__getitem__, messages))

    def correction(self, before: tuple[int, ...], after: tuple[int, ...], move: Move) -> int:
        return self.prints(after) - self.prints(before)

    def in_order(self, envelopes: Iterable[int]) -> tuple[int, ...]:
        queues: dict[tuple[str, str], tuple[int, ...]] = {}
        for envelope in envelopes:
            link = self._link(envelope)
            queues[link] = (*queues.get(link, ()), envelope)
        return tuple(sorted(map(self._number, queues.values())))

    def contents(self, queue: int) -> tuple[Envelope, ...]:
        """The messages of a queue, in order."""
        return tuple(self.moves.envelopes[envelope] for envelope in self._queues[queue])

    def _link(self, envelope: int) -> tuple[str, str]:
        source, target, _ = self.moves.envelopes[envelope]
        return source, target

    def _number(self, queue: tuple[int, ...]) -> int:
        known = self._known.get(queue)
        if known is None:
            known = self._known[queue] = len(self._queues)
            self._queues.append(queue)
            told = tuple(self.moves.envelope_prints[e].to_bytes(16, "big") for e in queue)
            self._prints.append(int.from_bytes(fingerprint(told), "big"))
        return known


class RpcSpace(Space):
    """As `multiset`, but what a step sends to itself, or answers to its caller, arrives with it."""

    def __init__(self, moves: Moves, memories: Memories, exploration: Exploration) -> None:
        super().__init__(moves, memories, exploration)
        self._calls: dict[Any, tuple[Way, ...]] = {}

    def ways(self, state: State) -> list[Way]:
        locals_ = state[0]
        return [then for way in super().ways(state) for then in self.settled(locals_, way)]

    def settled(self, locals_: tuple[int, ...], way: Way) -> tuple[Way, ...]:
        """The way, followed by the arrival of each answer, and of what nodes tell themselves."""
        move = way.moves[0]
        if not move.sends:
            return (way,)
        caller = NOTHING
        if move.kind == "deliver":
            caller = self.moves.slots[self.moves.envelopes[move.takes].source]
        key = (move.index, locals_[caller] if caller != NOTHING else NOTHING)
        known = self._calls.get(key)
        if known is None:
            place = {move.slot: move.after, caller: locals_[caller]}
            if caller == move.slot:
                place = {caller: move.after}
            urgent = self._urgent(move, caller)
            known = tuple(way_of(move, *rest) for rest in self._settle(place, urgent))
            self._calls[key] = known
        return known

    def _urgent(self, move: Move, caller: int) -> list[int]:
        targets = self.moves.targets
        own = [envelope for envelope in move.sends if targets[envelope] == move.slot]
        if caller in (NOTHING, move.slot):
            return own
        return own + [envelope for envelope in move.sends if targets[envelope] == caller]

    def _settle(self, place: dict[int, int], urgent: list[int]) -> list[tuple[Move, ...]]:
        """Every way in which urgent messages can be handled, one after the other."""
        if not urgent:
            return [()]
        envelope, *rest = urgent
        slot = self.moves.targets[envelope]
        local = place[slot]
        ways = self.moves.arrivals[local].get(envelope)
        if ways is None:
            ways = self.moves.arrive(local, envelope)
        moves = [way.moves[0] for way in ways if not way.moves[0].crash]
        if (local, envelope) in self.moves.fenced:
            return []
        if not moves:  # It changes nothing, and is gone.
            return [
                (self.moves.lose(envelope).moves[0], *more) for more in self._settle(place, rest)
            ]
        found: list[tuple[Move, ...]] = []
        for move in moves:
            more = self._urgent(move, NOTHING)
            settled = self._settle({**place, slot: move.after}, rest + more)
            found += [(move, *then) for then in settled]
        return found


def messages_add_up(kind: type[Space], exploration: Exploration) -> bool:
    """Whether what a move's messages change of a fingerprint is the same in every state."""
    return kind.is_additive and exploration.channel is None


SPACES: dict[str, type[Space]] = {
    "multiset": Space,
    "set": SetSpace,
    "fifo": FifoSpace,
    "rpc": RpcSpace,
}
"""What `Exploration.network` names."""
