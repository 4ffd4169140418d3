"""Adversaries for any protocol that replicates what clients ask for, most of them for leaders.

They know roles by the scenario's `role` and messages by what they answer, never by name; aim them
at your own system by listing them in its scenario:

    adversaries=(PartialBroadcast, partial(LeaderStrike, role), ...)

Each was found to break what thousands of random seeds had left standing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from quorate.kernel.client import Request
from quorate.kernel.env import MILLISECOND, ms
from quorate.kernel.node import Timer
from quorate.kernel.values import NodeId
from quorate.scenario.adversary import Adversary, Arena
from quorate.scenario.conditions import LOST, Dice
from quorate.scenario.fault import Crash, Cut, Fault, Heal, Link, Pause, Restart, Resume
from quorate.trace.record import Flight, Record

Role = Callable[[Any], str]
LEADER = "leader"


def _cut_off(node: NodeId, others: Sequence[NodeId]) -> tuple[Link, ...]:
    return tuple(link for other in others for link in ((node, other), (other, node)))


class LeaderStrike(Adversary):
    """Strikes the leader right after it takes a command, or has answered one: crash, or cut off.

    Sometimes at once, before anything left; sometimes a few steps later, when some heard of it.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._countdown = -1
        self._commands = 0
        self._strikes = 0
        self._struck_at = -(10**12)

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        after = record.after
        if record.node not in arena.servers or after is None or self._role(after) != LEADER:
            return ()
        if self._countdown < 0:
            if self._is_provoked(record, arena) and self._is_due(arena):
                self._countdown = self._dice.between(f"patience {self._strikes}", 0, 6)
            if self._countdown != 0:
                return ()
        if self._countdown > 0:
            self._countdown -= 1
            return ()
        self._countdown = -1
        self._strikes += 1
        self._struck_at = arena.time
        if self._dice.chance(f"crash {self._strikes}", 60) and arena.may_crash():
            sends = self._dice.between(f"sends {self._strikes}", 0, 3)
            return (Crash(record.node, keep=0, sends=sends if sends < 3 else None),)
        others = [id for id in arena.servers if id != record.node]
        links: tuple[Link, ...] = ()
        if self._dice.chance(f"one friend {self._strikes}", 50):
            friend = others.pop(self._dice.between(f"friend {self._strikes}", 0, len(others) - 1))
            if self._dice.chance(f"loyal {self._strikes}", 50):  # It hears of no other leader.
                links = _cut_off(friend, others)
        return (Cut((*links, *_cut_off(record.node, others))),)

    def _is_provoked(self, record: Record, arena: Arena) -> bool:
        if self._dice.chance(f"answer {self._strikes}", 50):
            return any(flight.target not in arena.servers for flight in record.flights)
        return isinstance(record.event, Request)

    def _is_due(self, arena: Arena) -> bool:
        self._commands += 1
        return (
            arena.time - self._struck_at > ms(100)
            and self._commands % self._dice.between("every", 1, 6) == 0
        )


class TimersTogether(Adversary):
    """Lets the timers of two rivals fire together, and bounces whoever has just voted.

    The rivals meet in one term; a voter that has told the one of its vote forgets it in a crash,
    if it can, before the other's request arrives. A leader does not last.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._vote: Record | None = None
        self._has_leader = False
        self._since = 0
        self._count = 0

    def time(self, id: NodeId, timer: Timer, low: int, high: int, arena: Arena) -> int | None:
        if id not in arena.servers or high == low:
            return None
        rival = (arena.servers.index(id) - self._count) % len(arena.servers) < 2
        return low + MILLISECOND * (id == arena.servers[0]) if rival else high

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if self._has_leader or not isinstance(delay, int) or not _between_servers(flight, arena):
            return delay
        self._count += 1
        return delay + ms(self._dice.between(f"late {self._count}", 0, 6))

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.node not in arena.servers or record.after is None:
            return ()
        if self._vote is not None:
            return self._bounce(self._vote, arena)
        leads = self._role(record.after) == LEADER
        if leads != self._has_leader and (leads or record.before is not record.after):
            roles = [self._role(arena.node(id)) for id in arena.servers if arena.is_up(id)]
            self._has_leader = LEADER in roles
            self._since = arena.time
        if self._has_leader:
            if not leads or arena.time - self._since < ms(40) or not arena.may_crash():
                return ()
            self._has_leader = False
            self._count += 1
            return (Crash(record.node),)
        if record.kind == "deliver" and record.released < 0:  # It changed what is durable.
            self._count += 1
            if self._dice.chance(f"bounce {self._count}", 60):
                self._vote = record
        return ()

    def _bounce(self, vote: Record, arena: Arena) -> Sequence[Fault]:
        """Once others can know of the vote."""
        if vote.released < 0 and arena.is_up(vote.node):
            return ()
        self._vote = None
        if vote.released < 0 or not arena.may_crash() or not arena.is_up(vote.node):
            return ()
        return (Crash(vote.node), Restart(vote.node))


class MinorityThenKill(Adversary):
    """Lets a leader reach only a minority with a command, kills it, and lets another one lead.

    The first leader comes back later, and so does what it wrote: Figure 8 of the Raft paper.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._leader: NodeId | None = None
        self._friends: tuple[NodeId, ...] = ()
        self._rounds = 0
        self._sent = 0

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        after = record.after
        if record.node not in arena.servers or after is None:
            return ()
        leads = self._role(after) == LEADER
        if self._leader is None:
            if leads and isinstance(record.event, Request):
                self._begin(record.node, arena)
            return ()
        if record.node != self._leader or not leads:
            if not arena.is_up(self._leader):
                self._leader = None
            return ()
        self._sent += len(record.flights)
        if self._sent < 2 * len(arena.servers) + self._dice.between(f"more {self._rounds}", 0, 20):
            return ()
        leader, self._leader = self._leader, None
        if arena.may_crash() and self._dice.chance(f"kill {self._rounds}", 70):
            return (Crash(leader, keep=self._dice.between(f"keep {self._rounds}", 0, 1)),)
        others = [id for id in arena.servers if id != leader]
        return (Cut(_cut_off(leader, others)),)

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        leader = self._leader
        if leader is None or flight.source != leader or flight.target == leader:
            return delay
        if flight.target not in arena.servers or flight.target in self._friends:
            return delay
        return LOST

    def _begin(self, leader: NodeId, arena: Arena) -> None:
        self._rounds += 1
        self._leader, self._sent = leader, 0
        others = [id for id in arena.servers if id != leader]
        count = self._dice.between(f"friends {self._rounds}", 0, len(others) // 2)
        others.sort(key=lambda id: self._dice.bits(f"{self._rounds} {id}"))
        self._friends = tuple(others[:count])


class StaleSnapshot(Adversary):
    """Holds back the longest messages, so that what they bring is old when it arrives.

    A snapshot, or a batch of entries, then meets a node that knows better already.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._dice = dice
        self._cut: NodeId | None = None
        self._healed: NodeId | None = None
        self._since = 0
        self._held = 0

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if flight.target not in arena.servers or flight.source not in arena.servers:
            return delay
        if flight.source == flight.target or not isinstance(delay, int) or delay < 0:
            return delay
        if not self._is_long(flight.message):
            return delay
        self._held += 1
        if not self._dice.chance(f"hold {self._held}", 15):
            return delay
        late = delay + ms(self._dice.between(f"late {self._held}", 20, 400))
        return (delay, late) if self._dice.chance(f"twice {self._held}", 50) else late

    @staticmethod
    def _is_long(message: Any) -> bool:
        return any(isinstance(value, tuple) and value for value in _values(message))

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        """Now and then one node misses so much that it needs a snapshot; it may reboot over it."""
        if record.node not in arena.servers or record.kind != "deliver":
            return ()
        if self._cut is None and record.node == self._healed and self._is_long(record.event):
            is_struck = self._dice.chance(f"reboot {record.id}", 20) and arena.may_crash()
            return (Crash(record.node), Restart(record.node)) if is_struck else ()
        if self._cut is None:
            if arena.time - self._since < ms(300):
                return ()
            self._since = arena.time
            index = self._dice.between(f"who {arena.time}", 0, len(arena.servers) - 1)
            self._cut = arena.servers[index]
            return (Cut(_cut_off(self._cut, [id for id in arena.servers if id != self._cut])),)
        if arena.time - self._since < ms(450):
            return ()
        others = [id for id in arena.servers if id != self._cut]
        links, self._healed = _cut_off(self._cut, others), self._cut
        self._cut, self._since = None, arena.time
        return (Heal(links),)


class IsolatedRejoin(Adversary):
    """Cuts off a node, often the leader, until it has lost touch, and lets it come back.

    A leader that does not know of its successor answers from the past; a follower that has been
    alone comes back with ideas of its own.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._alone: NodeId | None = None
        self._since = 0
        self._rounds = 0

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.node not in arena.servers or record.after is None:
            return ()
        if self._alone is None:
            if arena.time - self._since < ms(150):
                return ()
            wants_leader = self._dice.chance(f"leader {self._rounds}", 70)
            if wants_leader != (self._role(record.after) == LEADER):
                return ()
            self._rounds += 1
            self._alone, self._since = record.node, arena.time
            return (Cut(_cut_off(record.node, self._others(arena))),)
        if arena.time - self._since < ms(self._dice.between(f"span {self._rounds}", 200, 900)):
            return ()
        links = _cut_off(self._alone, self._others(arena))
        self._alone, self._since = None, arena.time
        return (Heal(links),)

    def _others(self, arena: Arena) -> list[NodeId]:
        return [id for id in arena.servers if id != self._alone]


class LeaderPause(Adversary):
    """Pauses the leader right after it has sent something, until others may have replaced it.

    It wakes up to answers from before, and to requests that came meanwhile, and believes both.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._paused: NodeId | None = None
        self._since = 0
        self._rounds = 0

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if self._paused is not None:
            if arena.time - self._since < ms(self._dice.between(f"span {self._rounds}", 150, 900)):
                return ()
            node, self._paused, self._since = self._paused, None, arena.time
            return (Resume(node),)
        if record.node not in arena.servers or record.after is None or not record.flights:
            return ()
        if self._role(record.after) != LEADER or arena.time - self._since < ms(100):
            return ()
        if not self._dice.chance(f"pause {record.id}", 10):
            return ()
        self._rounds += 1
        self._paused, self._since = record.node, arena.time
        return (Pause(record.node),)


class Comeback(Adversary):
    """Lets a leader lose touch, another one lead for a moment, and then the first one again.

    Each time only one server hears it at last, and another one than before. What was said in an
    earlier reign, or is remembered of it, is about entries that have been overwritten.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._favourite = self._friend = NodeId("")
        self._turn: Literal["leads", "loses touch", "is away"] = "leads"
        self._most = {"leads": 60, "loses touch": 300, "is away": 400 * dice.between("exile", 0, 1)}
        self._since = 0
        self._rounds = 0
        self._sent = 0

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        source, target = flight.source, flight.target
        if self._favourite not in (source, target) or source == target:
            return delay
        if not _between_servers(flight, arena):
            return delay
        if self._turn == "is away":
            return LOST  # What is under way already still arrives, as it would not after a cut.
        if self._turn == "loses touch" and target not in (self._favourite, self._friend):
            return LOST
        self._sent += 1
        if not isinstance(delay, int) or delay < 0 or not self._dice.chance(f"{self._sent}", 30):
            return delay
        late = delay + ms(self._dice.between(f"late {self._sent}", 100, 1200))
        return late if self._dice.chance(f"once {self._sent}", 30) else (delay, late)

    def time(self, id: NodeId, timer: Timer, low: int, high: int, arena: Arena) -> int | None:
        if not self._favourite or id not in arena.servers:
            return None
        if self._turn == "leads":
            return low if id == self._favourite else high
        return high if id == self._friend else None

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        node, after = record.node, record.after
        if node not in arena.servers or after is None or self._role(after) != LEADER:
            return ()
        if not self._favourite:
            self._favourite, self._since = node, arena.time
        is_favourite = node == self._favourite
        if is_favourite and self._turn == "is away":
            return ()
        span = self._dice.between(f"span {self._rounds}", 0, self._most[self._turn])
        if arena.time - self._since < ms(span):
            return ()
        self._rounds, self._since = self._rounds + 1, arena.time
        if self._turn == "leads":
            if not is_favourite:
                return (Crash(node),) if arena.may_crash() else ()
            others = [id for id in arena.servers if id not in (node, self._friend)]
            self._friend = others[self._dice.between(f"friend {self._rounds}", 0, len(others) - 1)]
            self._turn = "loses touch"
        else:
            self._turn = "is away" if self._turn == "loses touch" else "leads"
        return ()


class Unheard(Adversary):
    """Keeps some answers from clients, which ask again; some requests arrive twice, and late.

    The same is to be done once, whoever takes it, and is to be answered as it was.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._percent = dice.between("how many", 5, 25)

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if _between_servers(flight, arena) or not isinstance(delay, int) or delay < 0:
            return delay
        label = f"{flight.series} {flight.ordinal}"
        if not self._dice.chance(label, self._percent):
            return delay
        if flight.source in arena.servers:
            return LOST
        return delay, delay + ms(self._dice.between(f"late {label}", 1, 500))


class PartialBroadcast(Adversary):
    """Lets what a step sends reach only some servers, and some of them twice or late.

    No two quorums are then the same, and answers are not what was last asked for.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._loss_percent = dice.between("loss", 20, 60)
        self._late_percent = dice.between("late", 0, 30)
        self._latest = (120, 120, 600)[dice.between("latest", 0, 2)]

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if flight.source == flight.target or not _between_servers(flight, arena):
            return delay
        label = f"{flight.series} {flight.ordinal}"
        if self._dice.chance(f"lose {label}", self._loss_percent):
            return LOST
        if isinstance(delay, int) and self._dice.chance(f"late {label}", self._late_percent):
            late = delay + ms(self._dice.between(f"by {label}", 1, self._latest))
            return (delay, late) if self._dice.chance(f"twice {label}", 50) else late
        return delay


class Reboots(PartialBroadcast):
    """Reboots servers right after a step: they forget what is not durable, and miss nothing.

    What was under way to them still arrives, as it would at a process that restarts at once. After
    so many it lets them be: where nobody ever gets anything done, there is nothing to judge.
    """

    MOST = 60

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice)
        self._steps = self._reboots = 0
        self._crash_percent = dice.between("crash", 1, 25)

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.node not in arena.servers or record.kind not in ("deliver", "sync"):
            return ()
        self._steps += 1
        if not arena.may_crash() or not arena.is_up(record.node):
            return ()
        if not self._dice.chance(f"crash {self._steps}", self._crash_percent):
            return ()
        self._reboots += 1
        return (Crash(record.node), Restart(record.node)) if self._reboots <= self.MOST else ()


class Echoes(Adversary):
    """Reboots a server again and again; what was sent before a crash arrives, or returns, after.

    Who takes the words of an earlier incarnation for those of the present one believes what has
    been forgotten.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._victim: NodeId | None = None
        self._rounds = 0
        self._since = 0
        self._sent = 0

    def route(self, flight: Flight, delay: Any, arena: Arena) -> Any:
        if self._victim not in (flight.source, flight.target):
            return delay
        if not _between_servers(flight, arena) or not isinstance(delay, int) or delay < 0:
            return delay
        self._sent += 1
        if not self._dice.chance(f"echo {self._sent}", 40):
            return delay
        late = delay + ms(self._dice.between(f"late {self._sent}", 50, 900))
        return (delay, late) if self._dice.chance(f"twice {self._sent}", 70) else late

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if self._victim is None:
            self._victim = arena.servers[self._dice.between("first", 0, len(arena.servers) - 1)]
        if record.node != self._victim or record.kind != "deliver" or not arena.may_crash():
            return ()
        if arena.time - self._since < ms(self._dice.between(f"span {self._rounds}", 20, 400)):
            return ()
        victim = self._victim
        self._rounds, self._since = self._rounds + 1, arena.time
        if self._dice.chance(f"another {self._rounds}", 40):
            index = self._dice.between(f"victim {self._rounds}", 0, len(arena.servers) - 1)
            self._victim = arena.servers[index]
        return (Crash(victim), Restart(victim))


class HalfSent(Adversary):
    """Crashes a server between two sends of what its disk has just made sure of.

    Some have then been told of what it knows, and others have not; nor does it tell them soon.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._syncs = 0
        self._crash_percent = dice.between("crash", 1, 15)

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        if record.kind != "sync" or not arena.may_crash():
            return ()
        self._syncs += 1
        if not self._dice.chance(f"crash {self._syncs}", self._crash_percent):
            return ()
        return (Crash(record.node, sends=self._dice.between(f"sends {self._syncs}", 0, 2)),)


class ChangeOfRole(Adversary):
    """Crashes a server that has just taken on another role, when few or none know of it yet.

    Where all keep their roles for long, any server will do, so that things begin to change.
    """

    def __init__(self, role: Role, dice: Dice) -> None:
        self._role = role
        self._dice = dice
        self._steps = 0
        self._quiet_steps = 0
        self._patience = dice.between("patience", 20, 200)
        self._crash_percent = dice.between("crash", 5, 50)

    def react(self, record: Record, arena: Arena) -> Sequence[Fault]:
        before, after = record.before, record.after
        if record.node not in arena.servers or before is None or after is None:
            return ()
        changes = self._role(before) != self._role(after)
        self._steps += 1
        self._quiet_steps = 0 if changes else self._quiet_steps + 1
        is_due = changes and self._dice.chance(f"crash {self._steps}", self._crash_percent)
        if not (is_due or self._quiet_steps > self._patience) or not arena.may_crash():
            return ()
        self._quiet_steps = 0
        sends = self._dice.between(f"sends {self._steps}", 0, 4)
        return (Crash(record.node, sends=sends if sends < 4 else None),)


def _between_servers(flight: Flight, arena: Arena) -> bool:
    return flight.source in arena.servers and flight.target in arena.servers


def _values(node: Any) -> list[Any]:
    return [getattr(node, name) for name in node.__struct_fields__]


KINDS = (
    LeaderStrike,
    TimersTogether,
    MinorityThenKill,
    StaleSnapshot,
    IsolatedRejoin,
    LeaderPause,
    Comeback,
)


def all_adversaries(role: Role) -> tuple[Callable[[Dice], Adversary], ...]:
    """Makers of every adversary of this module, aimed at nodes with these roles."""
    return (*(partial(kind, role) for kind in KINDS), Unheard, PartialBroadcast, Reboots)
