"""Local states and moves: what one node can do next, whatever the rest of the system is like.

A step is a pure function of (local state, event). Local states and messages are interned, and each
handler runs once for each different pair; everything after that is table look-up. What a move does
to a state of the whole system is known beforehand as the difference of two fingerprints.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import Any, NamedTuple

import msgspec

from quorate.errors import Mistake
from quorate.kernel.canonical import fingerprint
from quorate.kernel.env import CancelTimer, Complete, Effect, Env, Send, SetTimer, Store
from quorate.kernel.node import (
    BatchEnd,
    Event,
    Invoke,
    Message,
    Node,
    Operation,
    Start,
    Stored,
    Timer,
    child_fields,
    durable_fields,
    recover,
)
from quorate.kernel.values import Map, NodeId
from quorate.simulate.watchdog import StepNeverEnds, watched

RunStep = Callable[[Node, Event, Env], Node]


class Envelope(NamedTuple):
    """A message in flight."""

    source: NodeId
    target: NodeId
    message: Message


class Waiting(msgspec.Struct, frozen=True):
    """A pending timer, which fires between `low` and `high` nanoseconds after it was set.

    In a synchronous exploration both are the time that is left.
    """

    timer: Timer
    low: int
    high: int


class Local(msgspec.Struct, frozen=True):
    """All that one node is between two steps.

    Attributes:
        node: its fields. Each step is synced before the next begins, so they are on its disk too.
        timers: what it waits for, in the order of setting as far as that matters; in a synchronous
            exploration in the order of deadlines.
        up: whether it runs; a node that never recovers stays down.
        storing, stored: values on their way to the disk, and those that have reached it.
        asked: of a client, how many operations of its script have begun.
        busy: of a client, whether the last of these is still open.
    """

    node: Node
    timers: tuple[Waiting, ...] = ()
    up: bool = True
    storing: tuple[Store, ...] = ()
    stored: Map[str, Any] = Map()
    asked: int = 0
    busy: bool = False


class Ran(msgspec.Struct):
    """One way in which a step can go; chance may have others.

    `sends` are messages and whether each may leave before the disk holds the step; `steps` are the
    handlers that ran: state before, event, state after.
    """

    after: Local
    sends: list[tuple[Envelope, bool]]
    steps: list[tuple[Node, Event, Node]]
    completions: tuple[Complete, ...]
    choices: tuple[Any, ...]
    is_durable: bool


class StepFailed(Exception):
    """A handler raised, or never ended: the node's fault."""

    def __init__(self, node: Node, event: Event, claim: str, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.event = event
        self.claim = claim


class _Window(Env):
    """An `Env` whose clocks cannot be read: an exploration has no time."""

    __slots__ = ()

    @property
    def now(self) -> int:
        raise Mistake("it reads env.now; an exploration knows no time, only order")

    @now.setter
    def now(self, value: int) -> None:
        """Nobody will see it."""

    @property
    def wall(self) -> int:
        raise Mistake("it reads env.wall; an exploration knows no time, only order")

    @wall.setter
    def wall(self, value: int) -> None:
        """Nobody will see it."""

    def inner(self, name: str, source: NodeId | None) -> Env:
        child = _Window(
            NodeId(f"{self.id}/{name}"),
            tuple(NodeId(f"{peer}/{name}") for peer in self.peers),
            lambda choice, options: self.choose(f"{name}/{choice}", options),
        )
        child.sender = source or child.id
        return child


class _Chance:
    """Answers `env.choose` by a list of places among the options, and beyond it by the first."""

    def __init__(self, script: tuple[int, ...]) -> None:
        self._script = script
        self.places: list[int] = []
        self.counts: list[int] = []
        self.values: list[Any] = []

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        self.values.append(self.one_of(options))
        return self.values[-1]

    def one_of(self, options: Sequence[Any]) -> Any:
        """One of the options, which the node has not asked for."""
        at = len(self.places)
        place = self._script[at] if at < len(self._script) else 0
        self.places.append(place)
        self.counts.append(len(options))
        return options[place]

    def others(self) -> Iterator[tuple[int, ...]]:
        """The scripts that differ from what was taken at one place after this script's end."""
        for at in range(len(self._script), len(self.places)):
            for place in range(1, self.counts[at]):
                yield (*self.places[:at], place)


class Machine:
    """One node's handlers, run on local states.

    `run_step` is `kernel.step`, or one that checks the step as well. `steps` counts handlers.
    `arrange` puts timers in order; where it does so by deadlines, each is to have one.
    """

    def __init__(
        self,
        fresh: Node,
        *,
        is_client: bool,
        run_step: RunStep,
        arrange: Callable[[Sequence[Waiting]], tuple[Waiting, ...]],
        has_deadlines: bool,
    ) -> None:
        self.id = fresh.id
        self.fresh = fresh
        self.steps = 0
        self._is_client = is_client
        self._run_step = run_step
        self._arrange = arrange
        self._has_deadlines = has_deadlines
        self._durable = durable_fields(type(fresh)) + child_fields(type(fresh))
        self._ends_batches = BatchEnd in fresh.handlers

    def start(self, stored: Map[str, Any], node: Node, *, recovered: bool) -> Iterator[Ran]:
        """Begin an incarnation."""
        return self.run(Local(node, stored=stored), Start(recovered, stored), self.id)

    def arrive(self, local: Local, envelope: Envelope) -> Iterator[Ran]:
        """Handle a message."""
        return self.run(local, envelope.message, envelope.source)

    def fire(self, local: Local, place: int) -> Iterator[Ran]:
        """Let a pending timer fire."""
        timers = local.timers
        rest = timers[:place] + timers[place + 1 :]
        rested = msgspec.structs.replace(local, timers=rest)
        return self.run(rested, timers[place].timer, self.id)

    def invoke(self, local: Local, operation: Operation) -> Iterator[Ran]:
        """Begin the client's next operation."""
        asking = msgspec.structs.replace(local, asked=local.asked + 1, busy=True)
        return self.run(asking, Invoke(operation), self.id)

    def store(self, local: Local, place: int) -> Iterator[Ran]:
        """A value has reached the disk."""
        effect = local.storing[place]
        rest = local.storing[:place] + local.storing[place + 1 :]
        kept = local.stored.set(effect.name, effect.value)
        stored = msgspec.structs.replace(local, storing=rest, stored=kept)
        return self.run(stored, Stored(effect.name), self.id)

    def restart(self, local: Local, survivor: Node) -> Iterator[Ran]:
        """Crash, and begin the next incarnation with what was on the disk."""
        return self.start(local.stored, recover(self.fresh, survivor), recovered=True)

    def run(self, local: Local, event: Event, sender: NodeId) -> Iterator[Ran]:
        """Every way in which a step can go: a handler, and the end of its batch."""
        scripts: list[tuple[int, ...]] = [()]
        while scripts:
            chance = _Chance(scripts.pop())
            ran = self._run_once(local, event, sender, chance)
            scripts += reversed(list(chance.others()))
            yield ran

    def _run_once(self, local: Local, event: Event, sender: NodeId, chance: _Chance) -> Ran:
        env = _Window(self.id, local.node.peers or (self.id,), chance.choose)
        env.sender = sender
        steps = [(local.node, event, self._handle(local.node, event, env))]
        effects = env.effects
        changed = not self._is_client and not self._same_on_disk(local.node, steps[0][2])
        if changed and self._ends_batches:
            env.sender, env.effects = self.id, []
            before = steps[0][2]
            steps.append((before, BatchEnd(), self._handle(before, BatchEnd(), env)))
            effects += env.effects
        after, sends, completions = self._carry_out(local, steps[-1][2], effects, chance)
        return Ran(after, sends, steps, completions, tuple(chance.values), changed)

    def _same_on_disk(self, one: Node, other: Node) -> bool:
        names = self._durable
        return all(map(is_, (getattr(one, n) for n in names), (getattr(other, n) for n in names)))

    def _handle(self, node: Node, event: Event, env: Env) -> Node:
        self.steps += 1
        try:
            with watched(self):
                return self._run_step(node, event, env)
        except Mistake as mistake:
            told = f"{self.id}, handling {type(event).__name__}: {mistake}"
            raise Mistake(told) from mistake
        except StepNeverEnds as error:
            raise StepFailed(node, event, "step_ends", f"{self.id}: {error}") from error
        except (Exception, SystemExit) as error:
            message = f"{self.id} raised {type(error).__name__}: {error}"
            raise StepFailed(node, event, "no_exception", message) from error

    def _carry_out(
        self, local: Local, node: Node, effects: Iterable[Effect], chance: _Chance
    ) -> tuple[Local, list[tuple[Envelope, bool]], tuple[Complete, ...]]:
        timers, storing = list(local.timers), local.storing
        sends: list[tuple[Envelope, bool]] = []
        completions: tuple[Complete, ...] = ()
        for effect in effects:
            match effect:
                case Send(targets, message, ahead):
                    sends += [(Envelope(self.id, target, message), ahead) for target in targets]
                case SetTimer(timer) if not self._is_client:  # Clients wait for their answers.
                    timers = [waiting for waiting in timers if waiting.timer != timer]
                    timers.append(self._waiting(effect, chance))
                case CancelTimer(timer):
                    timers = [waiting for waiting in timers if waiting.timer != timer]
                case Store():
                    storing = (*storing, effect)
                case Complete():
                    completions = (*completions, effect)
        after = Local(
            node,
            self._arrange(timers),
            local.up,
            storing,
            local.stored,
            local.asked,
            local.busy and not completions,
        )
        return after, sends, completions

    def _waiting(self, effect: SetTimer, chance: _Chance) -> Waiting:
        low, high = effect.low, effect.high
        if self._has_deadlines and low < high:
            low = high = chance.one_of((low, high))
        return Waiting(effect.timer, low, high)


def may_fire(timers: Sequence[Waiting]) -> list[int]:
    """The places of the timers that can be the next to fire.

    A timer cannot overtake one that was set before it and always fires earlier.
    """
    places, soonest = [], None
    for place, waiting in enumerate(timers):
        if soonest is None or waiting.low < soonest:
            places.append(place)
        soonest = waiting.high if soonest is None else min(soonest, waiting.high)
    return places


def in_order(timers: Sequence[Waiting]) -> tuple[Waiting, ...]:
    """The same timers, where the order of setting says nothing in one canonical order.

    Two neighbours may change places unless one of them, set first, would always fire first.
    """
    rest, ordered = list(timers), list[Waiting]()
    while rest:
        free = [
            one
            for at, one in enumerate(rest)
            if not any(_matters(earlier, one) for earlier in rest[:at])
        ]
        chosen = min(free, key=fingerprint) if len(free) > 1 else free[0]
        rest.remove(chosen)
        ordered.append(chosen)
    return tuple(ordered)


def _matters(one: Waiting, other: Waiting) -> bool:
    """Whether it matters which of the two was set first."""
    return one.high <= other.low or other.high <= one.low
