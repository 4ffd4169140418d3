"""Adversaries for leaders that believe in the clock, or let others stand against themselves.

They let a leader go on believing in a majority that has turned to another one. Like those of
`quorate.scenario.adversaries` they know roles, and messages only by how often they are sent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from quorate.kernel.env import ms
from quorate.kernel.node import Timer
from quorate.kernel.values import NodeId
from quorate.scenario.adversaries import LEADER, Role
from quorate.scenario.adversary import Adversary, Arena
from quorate.scenario.conditions import Dice
from quorate.scenario.fault import Crash, Cut, Fault, Heal, Link, Restart
from quorate.trace.record import Flight, Record


def lease_adversaries(role: Role) -> tuple[Callable[[Dice], Adversary], ...]:
    """One of each, for a service whose nodes have roles."""
    return (partial(LateAnswers, role), RareWords, partial(Mutiny, role))


def _links(node: NodeId, arena: Arena) -> tuple[Link, ...]:
    """From the node to all other servers, and then from these to it."""
    others = [id for id in arena.servers if id != node]
    return (*((node, other) for other in others), *((other, node) for other in others))


class LateAnswers(Adversary):
    """Holds back what servers answer their leader, and then keeps from them what it says.

    Who counts from when an answer arrives counts too long.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._leader: NodeId | None = None
        self._is_cut = False
        self._since = 0
        self._rounds = 0

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        is_answer = flight.target == self._leader != flight.source in arena.servers
        if not is_answer or not isinstance(delay, int) or delay < 0:
            return delay
        return delay + ms(self._dice.between(f"late {self._rounds}", 100, 250))

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.node not in arena.servers or record.after is None:
            return ()
        if self._leader is None:
            if self._role(record.after) == LEADER:
                self._leader, self._since = record.node, arena.time
            return ()
        if arena.time - self._since < ms(350):
            return ()
        self._since = arena.time
        self._is_cut = not self._is_cut
        if self._is_cut:
            self._rounds += 1
            return (Cut(_links(self._leader, arena)[: len(arena.servers) - 1]),)
        leader, self._leader = self._leader, None
        return (Heal(_links(leader, arena)),)


class RareWords(Adversary):
    """Delays what is seldom said, and cuts off who said it when it arrives.

    It may have been given up by then: a hand-over, an installation, an abdication.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._said: Counter[type] = Counter()
        self._author: NodeId | None = None
        self._since = 0
        self._sent = 0

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if not {flight.source, flight.target} <= set(arena.servers):
            return delay
        kind = type(flight.message)
        self._said[kind] += 1
        if not self._is_rare(kind) or not isinstance(delay, int) or delay < 0:
            return delay
        self._sent += 1
        return delay + ms(self._dice.between(f"late {self._sent}", 80, 220))

    def _is_rare(self, kind: type) -> bool:
        return self._said[kind] * 50 < self._said.total() - 100

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if self._author is not None:
            if arena.time - self._since < ms(400):
                return ()
            author, self._author, self._since = self._author, None, arena.time
            return (Heal(_links(author, arena)),)
        flight = record.flight
        if flight is None or record.node not in arena.servers:
            return ()
        if flight.source not in arena.servers or not self._is_rare(type(flight.message)):
            return ()
        if arena.time - self._since < ms(200):
            return ()
        self._author, self._since = flight.source, arena.time
        return (Cut(_links(flight.source, arena)),)


class Mutiny(Adversary):
    """Keeps one server from hearing its leader; when it stands against it, all others reboot.

    The leader is cut off when the rebel first loses patience, and so does not hear that the others
    have forgotten whom they follow.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._rebel: NodeId | None = None
        self._leader = NodeId("")
        self._is_open = False
        self._since = 0
        self._rounds = 0

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.node not in arena.servers or record.after is None:
            return ()
        if self._rebel is None:
            if self._role(record.after) != LEADER or arena.time - self._since < ms(300):
                return ()
            others = [id for id in arena.servers if id != record.node]
            self._rebel = others[self._dice.between(f"rebel {self._rounds}", 0, len(others) - 1)]
            self._leader, self._since, self._is_open = record.node, arena.time, False
            self._rounds += 1
            return (Cut(((self._leader, self._rebel), (self._rebel, self._leader))),)
        if arena.time - self._since > ms(900):
            self._rebel, self._since = None, arena.time
            return (Heal(_links(self._leader, arena)),)
        if record.node != self._rebel or record.before is None:
            return ()
        if not self._is_open and isinstance(record.event, Timer):
            self._is_open = True
            return (Cut(_links(self._leader, arena)),)
        if self._role(record.before) == self._role(record.after) or not arena.may_crash():
            return ()
        reboots: list[Fault] = []
        for other in arena.servers:
            if other not in (self._leader, self._rebel) and arena.is_up(other):
                reboots += [Crash(other), Restart(other)]
        return reboots
