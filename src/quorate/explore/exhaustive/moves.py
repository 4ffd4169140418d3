"""The moves of a system: interned local states and messages, and what each can lead to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from quorate.errors import Mistake
from quorate.explore.exhaustive.claims import Claim, changed
from quorate.explore.exhaustive.machine import (
    Envelope,
    Local,
    Machine,
    Ran,
    RunStep,
    StepFailed,
    in_order,
    may_fire,
)
from quorate.explore.exhaustive.memory import wakes
from quorate.explore.exhaustive.synchrony import by_deadline, due, later
from quorate.explore.exhaustive.way import NOTHING, Cut, Happening, Kind, Move, Way, way_of
from quorate.kernel.canonical import fingerprint
from quorate.kernel.node import Event, Invoke, Node, Operation, Start, recover
from quorate.kernel.properties import PropertyKind
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario
from quorate.simulate.judge import holds


class Moves:
    """Every local state and message that was met, and the moves that begin there.

    Attributes:
        locals, local_prints: local states, and their fingerprints as numbers.
        envelopes, envelope_prints, targets: messages, their fingerprints, and whom they are for.
        links: of each message the number of its link, if it is one between two servers; else -1.
        arrivals: for each local state, the ways in which a message can arrive there.
        fenced: local states and messages that would lead beyond the bounds.
        servers: how many of the machines are servers; clients come after them.
    """

    def __init__(
        self,
        scenario: Scenario,
        exploration: Exploration,
        run_step: RunStep,
        *,
        keeps_history: bool,
        keeps_no_ops: bool,
        messages_add_up: bool,
    ) -> None:
        self._scenario = scenario
        self._exploration = exploration
        self._is_synchronous = exploration.timing == "synchronous"
        self._keeps_history = keeps_history
        self._keeps_no_ops = keeps_no_ops
        self._messages_add_up = messages_add_up
        configuration = scenario.configurations[0]
        made = [scenario.make_server(id, configuration) for id in scenario.servers()]
        self.servers = len(made)
        made += [scenario.make_client(id) for id in scenario.client_ids()]
        self.machines = [
            Machine(
                node,
                is_client=slot >= self.servers,
                run_step=run_step,
                arrange=by_deadline if self._is_synchronous else in_order,
                has_deadlines=self._is_synchronous,
            )
            for slot, node in enumerate(made)
        ]
        self.slots = {machine.id: slot for slot, machine in enumerate(self.machines)}
        properties = scenario.properties or ()
        of = {kind: [p for p in properties if p.kind is kind] for kind in PropertyKind}
        self.always = [Claim(p, scenario.node) for p in of[PropertyKind.ALWAYS]]
        self.sometimes = [Claim(p, scenario.node) for p in of[PropertyKind.SOMETIMES]]
        self.eventually = [Claim(p, scenario.node) for p in of[PropertyKind.EVENTUALLY]]
        self._each_step = of[PropertyKind.EACH_STEP]
        self.fenced: set[tuple[int, int]] = set()
        self.count = 0
        self._begin_tables()

    def _begin_tables(self) -> None:
        """Nothing has been met yet."""
        self.locals: list[Local] = []
        self.local_prints: list[int] = []
        self.arrivals: list[dict[int, tuple[Way, ...]]] = []
        self._slots: list[int] = []
        self._own: list[tuple[Way, ...] | None] = []
        self._untimed: list[tuple[Way, ...] | None] = []
        self._losses: dict[tuple[Kind, int, int], Way] = {}
        self._known_locals: dict[int, int] = {}
        self.envelopes: list[Envelope] = []
        self.envelope_prints: list[int] = []
        self.targets: list[int] = []
        self.links: list[int] = []
        self._known_envelopes: dict[int, int] = {}

    @property
    def steps(self) -> int:
        """How many handlers have run."""
        return sum(machine.steps for machine in self.machines)

    @property
    def _comes_back(self) -> bool:
        """Whether a node that is down may restart, in a move of its own."""
        return self._is_synchronous and self._scenario.recovers

    # Interning

    def local(self, slot: int, local: Local) -> int:
        """The number of a local state."""
        try:
            print_ = int.from_bytes(fingerprint(local), "big")
        except TypeError as error:
            raise Mistake(f"{local.node.id}: {_culprit(local.node)}: {error}") from error
        known = self._known_locals.get(print_)
        if known is None:
            known = self._known_locals[print_] = len(self.locals)
            self.locals.append(local)
            self.local_prints.append(print_)
            self.arrivals.append({})
            self._slots.append(slot)
            self._own.append(None)
            self._untimed.append(None)
            for claim in (*self.always, *self.sometimes, *self.eventually):
                if slot < self.servers:
                    claim.look(local.node)
                else:
                    claim.view.append(NOTHING)
        return known

    def slot_of(self, local: int) -> int:
        """Whose local state it is."""
        return self._slots[local]

    def envelope(self, envelope: Envelope) -> int:
        """The number of a message."""
        try:
            print_ = int.from_bytes(fingerprint(tuple(envelope)), "big")
        except TypeError as error:
            raise Mistake(f"{envelope.message!r}, sent by {envelope.source}: {error}") from error
        known = self._known_envelopes.get(print_)
        if known is None:
            target = self.slots.get(envelope.target)
            if target is None:
                raise Mistake(f"{envelope.source} sends to {envelope.target}, which is no node")
            known = self._known_envelopes[print_] = len(self.envelopes)
            self.envelopes.append(envelope)
            self.envelope_prints.append(print_)
            self.targets.append(target)
            source = self.slots[envelope.source]
            is_risky = source != target and max(source, target) < self.servers
            self.links.append(source * self.servers + target if is_risky else NOTHING)
        return known

    def is_to_itself(self, envelope: int) -> bool:
        """Whether a node sent the message to itself."""
        return self.envelopes[envelope].source == self.envelopes[envelope].target

    def is_at_risk(self, envelope: int) -> bool:
        """Whether the network may lose or repeat the message: both ends are servers, and differ."""
        return self.links[envelope] != NOTHING

    # What can happen

    def starts(self, slot: int) -> tuple[Way, ...]:
        """The first step of a node."""
        machine = self.machines[slot]
        unborn = self.local(slot, Local(machine.fresh))
        runs = machine.start(self.locals[unborn].stored, machine.fresh, recovered=False)
        moves = self._moves("fire", slot, unborn, NOTHING, Start(), runs, counts=False)
        return tuple(map(way_of, moves))

    def arrive(self, local: int, envelope: int) -> tuple[Way, ...]:
        """What the arrival of a message can lead to; nothing, where it would change nothing."""
        state, slot = self.locals[local], self._slots[local]
        moves: list[Move] = []
        if not state.up and self._comes_back:  # The next message may find it up again.
            moves.append(self.ignore(envelope).moves[0])
        if state.up:
            sent = self.envelopes[envelope]
            runs = self.machines[slot].arrive(state, sent)
            moves += self._moves("deliver", slot, local, envelope, sent.message, runs)
            if self._exploration.duplicate and self.is_at_risk(envelope):
                moves += [self._repeat(move) for move in moves]
        ways = self.arrivals[local][envelope] = tuple(map(way_of, moves))
        return ways

    def own(self, local: int) -> tuple[Way, ...]:
        """What the node can do without a message: timers, disk, crashes, a client's next step."""
        known = self._own[local]
        if known is None:
            known = self._own[local] = tuple(map(way_of, self._own_moves(local)))
        return known

    def untimed(self, local: int) -> tuple[Way, ...]:
        """What of that the node can still do when the budget of timers is spent."""
        known = self._untimed[local]
        if known is None:
            ways = self.own(local)
            known = self._untimed[local] = tuple(w for w in ways if not w.moves[0].is_timer)
        return known

    def lose(self, envelope: int, place: int = 0) -> Way:
        """The message is gone: of several equal ones, the one at that place among them."""
        return self._gone("lose", envelope, place)

    def ignore(self, envelope: int) -> Way:
        """The message arrives where it changes nothing."""
        return self._gone("ignore", envelope, 0)

    def _gone(self, kind: Kind, envelope: int, place: int) -> Way:
        known = self._losses.get((kind, envelope, place))
        if known is None:
            slot, event = self.targets[envelope], self.envelopes[envelope].message
            move = self._move(kind, slot, NOTHING, NOTHING, envelope, event=event, place=place)
            known = self._losses[kind, envelope, place] = way_of(move)
        return known

    def wait(self, local: int, duration: int) -> Move:
        """Time passes for a node; nothing of its own is due before."""
        slot = self._slots[local]
        return self._move(
            "wait", slot, local, self.local(slot, later(self.locals[local], duration)), NOTHING
        )

    def _own_moves(self, local: int) -> Iterator[Move]:
        state, slot = self.locals[local], self._slots[local]
        machine = self.machines[slot]
        if not state.up:
            if self._comes_back:
                again = self._restarts(machine, state)
                yield from self._moves("restart", slot, local, NOTHING, None, again, counts=False)
            return
        for place in due(state.timers) if self._is_synchronous else may_fire(state.timers):
            timer, runs = state.timers[place].timer, machine.fire(state, place)
            yield from self._moves("fire", slot, local, NOTHING, timer, runs)
        for place, effect in enumerate(state.storing):
            runs = machine.store(state, place)
            yield from self._moves("store", slot, local, NOTHING, effect.name, runs)
        operation = self._next_operation(slot, state)
        if operation is not None and not self._exploration.eager:
            runs = machine.invoke(state, operation)
            yield from self._moves("invoke", slot, local, NOTHING, operation, runs)
        if slot < self.servers and self._exploration.crashes:
            yield from self._crash(slot, local, NOTHING, None, Cut(None, True, 0))

    def _moves(
        self,
        kind: Kind,
        slot: int,
        before: int,
        takes: int,
        event: Any,
        runs: Iterator[Ran],
        *,
        counts: bool = True,
    ) -> Iterator[Move]:
        """The moves of a step, whole and cut by a crash."""
        is_timer = kind == "fire" and counts
        try:
            for ran, also in self._eagerly(slot, runs):
                after = self._after(slot, before, takes, ran)
                sends = tuple(self.envelope(sent) for sent, _ in ran.sends)
                is_no_op = kind == "deliver" and after == before and not sends
                if after != NOTHING and not (is_no_op and not self._keeps_no_ops):
                    yield self._move(
                        kind, slot, before, after, takes, sends=sends, is_timer=is_timer,
                        happenings=self._happenings(slot, ran), steps=tuple(ran.steps),
                        event=event, also=also, choices=ran.choices,
                    )  # fmt: skip
                if slot < self.servers and self._exploration.crashes and counts and not is_no_op:
                    yield from self._cuts(kind, slot, before, takes, event, ran)
        except StepFailed as failed:
            yield self._move(
                kind, slot, before, before, takes, is_timer=is_timer, event=event,
                steps=((failed.node, failed.event, failed.node),), failure=failed.claim,
            )  # fmt: skip

    def _after(self, slot: int, before: int, takes: int, ran: Ran) -> int:
        """The local state that a step leads to; `NOTHING` if that is beyond the bounds."""
        if slot < self.servers and not self._is_within(ran.after.node):
            self.fenced.add((before, takes))
            return NOTHING
        return self.local(slot, ran.after)

    def _is_within(self, node: Node) -> bool:
        within = self._exploration.within
        return within is None or bool(within(node, self._exploration.bounds))

    def _cuts(
        self, kind: Kind, slot: int, before: int, takes: int, event: Any, ran: Ran
    ) -> Iterator[Move]:
        """Every place at which a crash can cut a step: before its record, and between its sends."""
        early = [sent for sent, is_ahead in ran.sends if is_ahead]
        late = [sent for sent, is_ahead in ran.sends if not is_ahead]
        if ran.is_durable:
            for count in range(len(early) + 1):
                cut = Cut(kind, False, count)
                yield from self._crash(slot, before, takes, None, cut, early[:count], event, ran)
        else:
            early, late = [], early + late
        for count in range(len(late)):
            cut = Cut(kind, True, count)
            yield from self._crash(slot, before, takes, ran, cut, early + late[:count], event, ran)

    def _crash(
        self,
        slot: int,
        before: int,
        takes: int,
        kept: Ran | None,
        cut: Cut,
        sends: Sequence[Envelope] = (),
        event: Any = None,
        ran: Ran | None = None,
    ) -> Iterator[Move]:
        """A crash, and at once the restart: to others, a node that is down is one that is slow.

        Where time passes it is not, and restarts later if at all.
        """
        machine, state = self.machines[slot], self.locals[before]
        survivor = kept.after if kept else state
        done = tuple(kept.steps) if kept else ()
        left = [self.envelope(sent) for sent in sends]
        chosen = ran.choices if ran else ()
        if self._is_synchronous or not self._scenario.recovers:
            node = recover(machine.fresh, survivor.node)
            after = self.local(slot, Local(node, up=False, stored=survivor.stored))
            steps = (*done, (survivor.node, Start(True), node))
            yield self._move(
                "crash", slot, before, after, takes, sends=tuple(left), crash=cut, steps=steps,
                is_timer=cut.of == "fire", event=event, choices=chosen,
            )  # fmt: skip
            return
        for again in self._restarts(machine, survivor):
            after = self._after(slot, before, takes, again)
            if after == NOTHING:
                continue
            _, start, restarted = again.steps[0]
            recovery = (survivor.node, start, restarted)
            yield self._move(
                "crash", slot, before, after, takes, crash=cut, is_timer=cut.of == "fire",
                sends=(*left, *(self.envelope(sent) for sent, _ in again.sends)),
                steps=(*done, recovery, *again.steps[1:]), event=event,
                choices=(*chosen, *again.choices),
            )  # fmt: skip

    def _restarts(self, machine: Machine, survivor: Local) -> Iterator[Ran]:
        return machine.restart(survivor, survivor.node)

    def _eagerly(self, slot: int, runs: Iterator[Ran]) -> Iterator[tuple[Ran, Operation | None]]:
        """Each run; if it leaves an eager client idle, with the beginning of its next operation."""
        for ran in runs:
            operation = self._next_operation(slot, ran.after)
            if operation is None or not self._exploration.eager:
                yield ran, None
                continue
            for then in self.machines[slot].invoke(ran.after, operation):
                both = Ran(
                    then.after,
                    ran.sends + then.sends,
                    ran.steps + then.steps,
                    (*ran.completions, *then.completions),
                    ran.choices + then.choices,
                    is_durable=False,
                )
                yield both, operation

    def _next_operation(self, slot: int, local: Local) -> Operation | None:
        """What the client would begin now, if it is one, and idle, and not done."""
        client = slot - self.servers
        if client < 0 or local.busy:
            return None
        script = self._exploration.scripts[client].operations
        return script[local.asked] if local.asked < len(script) else None

    def _happenings(self, slot: int, ran: Ran) -> tuple[Happening, ...]:
        """What a step adds to the history, in order."""
        client = slot - self.servers
        if client < 0 or not self._keeps_history:
            return ()
        found = [Happening(client, None, end.status, end.value) for end in ran.completions]
        for at, (_, event, _) in enumerate(ran.steps):
            if isinstance(event, Invoke):
                found.insert(at, Happening(client, event.operation))
        return tuple(found)

    def _move(
        self,
        kind: Kind,
        slot: int,
        before: int,
        after: int,
        takes: int,
        *,
        place: int = 0,
        sends: tuple[int, ...] = (),
        is_timer: bool = False,
        crash: Cut | None = None,
        happenings: tuple[Happening, ...] = (),
        steps: tuple[tuple[Node, Event, Node], ...] = (),
        failure: str | None = None,
        event: Any = None,
        also: Operation | None = None,
        choices: tuple[Any, ...] = (),
    ) -> Move:
        delta = 0 if after == before else self.local_prints[after] - self.local_prints[before]
        woken: tuple[int, ...] = ()
        if slot < self.servers:
            woken = self._woken(steps)
            failure = failure or self._broken(steps)
        spends = is_timer and slot < self.servers and self._exploration.timers is not None
        remembers = bool(crash or happenings or woken or failure or spends)
        has_messages = bool(sends) or takes != NOTHING
        if self._messages_add_up and has_messages:
            delta += sum(self.envelope_prints[sent] for sent in sends)
            delta -= self.envelope_prints[takes] if takes != NOTHING else 0
        clears: frozenset[int] = frozenset()
        if self._exploration.newest_only:
            clears = frozenset(self.links[sent] for sent in sends) - {NOTHING}
        self.count += 1
        return Move(
            self.count - 1, kind, slot, before, after, takes, place, sends, False, delta,
            remembers or (has_messages and not self._messages_add_up), remembers, spends, crash,
            happenings, steps if remembers else (), woken, changed(self.always, before, after),
            changed(self.sometimes, before, after), failure, event, also, choices, clears,
        )  # fmt: skip

    def _repeat(self, move: Move) -> Move:
        """The same arrival, but a copy of the message stays in flight."""
        self.count += 1
        delta = move.delta
        if self._messages_add_up:
            delta += self.envelope_prints[move.takes]
        return replace(move, index=self.count - 1, repeats=True, delta=delta)

    def _woken(self, steps: Sequence[tuple[Node, Event, Node]]) -> tuple[int, ...]:
        kinds = enumerate(self._scenario.monitors)
        return tuple(at for at, kind in kinds if any(wakes(kind, *step) for step in steps))

    def _broken(self, steps: Sequence[tuple[Node, Event, Node]]) -> str | None:
        """The first step property that a step violates."""
        for step in steps:
            for claim in self._each_step:
                if not holds(claim.name, claim.check, *step):
                    return claim.name
        return None


def _culprit(node: Node) -> str:
    """The first field whose value is no canonical data."""
    for name in node.__struct_fields__:
        try:
            fingerprint(getattr(node, name))
        except TypeError:
            return f"{type(node).__name__}.{name}"
    return type(node).__name__
