"""A world with one tape: virtual time, and the steps of every node in it.

Nothing here is random and nothing waits: the tape decides, and time jumps from event to event.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any
from weakref import WeakMethod, proxy

from quorate.errors import Mistake
from quorate.kernel.composition import ChildTimer, ToChild
from quorate.kernel.env import CancelTimer, Complete, Effect, Env, Send, SetTimer, Store
from quorate.kernel.node import Event, Message, Node, Start, step
from quorate.kernel.values import NodeId
from quorate.scenario.adversary import Adversary
from quorate.scenario.conditions import (
    LOST,
    ZERO,
    DurationDomain,
    FractionDomain,
    NetworkDomain,
)
from quorate.scenario.fault import Crash, Fault
from quorate.scenario.notation import format_duration, format_fault
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Series, Tape
from quorate.simulate.clients import Clients
from quorate.simulate.disk import Disk
from quorate.simulate.faults import Faults
from quorate.simulate.host import Action, Host, Pending
from quorate.simulate.judge import Judge, Plan
from quorate.simulate.nemesis import Nemesis
from quorate.simulate.watchdog import StepNeverEnds, watched
from quorate.trace.record import Flight, Kind, Record, Violation, kind_of

RunStep = Callable[[Node, Event, Env], Node]
"""`kernel.step`, or one that checks the step as well."""
FRACTION = FractionDomain()
QUIET_NETWORK = NetworkDomain()
BITS = 64
NEVER = 1 << 62


class World:
    """One run of a scenario, from `Start` to its end.

    Attributes:
        time: virtual nanoseconds since the run began.
        hosts: servers, then clients, by id.
        records: what happened.
        steps: how many handlers have run.
        clients: the clients, and what they have asked for so far.
        violation: the first property that failed; the run ends there.
        misfits: entries of the tape that could not be followed, and why; the default was taken.
        exhausted: whether the run was given up for its budget of steps.
        healed, core: whether the liveness phase has begun, and the servers that it is about.
    """

    def __init__(self, scenario: Scenario, tape: Tape, run_step: RunStep = step) -> None:
        self._run_step = run_step
        self.tape = tape
        self.conditions = scenario.conditions(tape.seed)
        self.configuration = scenario.configuration(tape, self.conditions)
        self.scenario = scenario = scenario.configured(self.configuration)
        self.time = 0
        self.steps = 0
        self.records: list[Record] = []
        self.violation: Violation | None = None
        self.exhausted = False
        self.misfits: list[str] = []
        self.healed = False
        self.servers = scenario.servers()
        self.core = self.servers
        self._heap: list[tuple[int, int, Action, Any]] = []
        self._sequence = 0
        self._caught_up = -NEVER
        self._ordered_links = scenario.ordered_links
        self._choices: list[Any] = []
        self.hosts: dict[NodeId, Host] = {}
        for id in self.servers:
            self._add(scenario.make_server(id, self.configuration))
        for id in scenario.client_ids():
            self._add(scenario.make_client(id))
        self.judge = Judge(scenario, [self.hosts[id] for id in self.servers])
        self._compare, self._plans = self.judge.compare, self.judge.plans
        self._server_count = len(self.servers)
        self.faults = Faults(proxy(self))
        self.clients = Clients(proxy(self))
        self._disk = Disk(proxy(self))
        self.nemesis = self._nemesis(tape.seed)
        self.adversary = self.nemesis.adversary if self.nemesis is not None else None
        kind = type(self.adversary) if self.adversary is not None else Adversary
        self._is_routed = kind.route is not Adversary.route
        self._is_timed = kind.time is not Adversary.time
        self._is_network_calm = self.conditions.network.is_settled
        self._replays = tape.has_faults
        self._wake = NEVER if self.nemesis is None else self.nemesis.wake

    def _nemesis(self, seed: int | None) -> Nemesis | None:
        """Who strikes in the world of that seed; a tape without one has been told all."""
        if seed is None or not self.scenario.heal:
            return None
        return Nemesis(self.conditions, self.scenario, seed)

    def _add(self, node: Node) -> None:
        self.hosts[node.id] = Host(len(self.hosts), node, WeakMethod(self._choose))

    # The loop

    def run(self) -> None:
        """Run to the end of virtual time, the first violation, or the budget of steps."""
        if self.scenario.heal:
            self.push(self.scenario.heal, self._heal, None)
        with collector_at_rest(), watched(self):
            at_first = self.judge.begin()
            for host in self.hosts.values():
                if self.violation is None:
                    self.start(host)
            self.violation = at_first or self.violation
            if self.violation is None:
                self._loop()
            self._forget_the_future()
        if not self.violation and not self.exhausted and self.healed and self.configuration.live:
            self.violation = self.judge.at_rest(self)

    def _forget_the_future(self) -> None:
        """So that no object refers back to the world, and memory comes back without a collector."""
        self._heap.clear()
        for host in self.hosts.values():
            host.timers.clear()
            host.stalled.clear()

    def _loop(self) -> None:
        heap, budget = self._heap, self.scenario.steps
        while heap:
            time, _, action, subject = heappop(heap)
            if time > self.scenario.duration:
                break
            self.time = time
            action(subject)
            if self.violation is not None:
                return
            if self.steps > budget:
                self.exhausted = True
                return

    def push(self, time: int, action: Action, subject: Any) -> None:
        """Let something happen later; what is pushed first goes first at equal times."""
        self._sequence += 1
        heappush(self._heap, (time, self._sequence, action, subject))

    def push_first(self, action: Action, subject: Any) -> None:
        """Let something happen now, ahead of all that is to come now, but in the order of calls."""
        self._caught_up += 1
        heappush(self._heap, (self.time, self._caught_up, action, subject))

    def start(self, host: Host) -> None:
        """Begin an incarnation."""
        event = Start(host.incarnation > 0, host.stored)
        self.step_node(host, event, host.id, "start", f"start {host.address}", 0, -1, None)
        if host.index >= len(self.servers):
            self.clients.next_slot(host)

    # Steps

    def step_node(
        self,
        host: Host,
        event: Event,
        sender: NodeId,
        kind: Kind,
        series: str,
        ordinal: int,
        cause: int,
        flight: Flight | None,
    ) -> None:
        """Run one handler, keep its record, and carry out what it asked for."""
        time = self.time
        env = host.env
        env.sender = sender
        env.now = now = host.clock(time) if host.has_own_clock else time
        env.wall = wall = now + host.wall_offset
        effects: list[Effect] = []
        env.effects = effects
        before = host.node
        try:
            after = self._run_step(before, event, env)
        except (Exception, SystemExit, StepNeverEnds) as error:
            if isinstance(error, Mistake):
                at = format_duration(time)
                raise Mistake(f"{series} #{ordinal} at {at}: {error}") from error
            self._raised(host, event, error, kind, series, ordinal, cause, flight)
            return
        host.node = after
        self.steps += 1
        flights: list[Flight] = []
        records = self.records
        record = Record(
            len(records), time, kind, host.id, host.incarnation, series, ordinal, event, cause,
            flight, before, after, effects, flights, -1, now, wall,
        )  # fmt: skip
        records.append(record)
        if self._choices:
            record.choices = tuple(self._choices)
            self._choices.clear()
        has_more = bool(effects) and self._act_at_once(host, effects, record)
        plan = None
        if host.index < self._server_count:
            if host.has_crashed:
                host.has_crashed = False
                plan = self.judge.recovery()
            else:
                same = self._compare(before, after)
                plan = self._plans.get(same) or self.judge.plan(same)
            if plan.durable:
                host.unsynced.append(record)
                if not host.syncing:
                    self._disk.begin_batch(host)
        if host.unsynced:
            host.waiting.append((record, plan))
        elif has_more or (plan is not None and plan.judged):
            self.release(host, record, plan)
        else:
            record.released, host.released = time, after  # Nothing is to be released but itself.
        if self._replays or time >= self._wake:
            self._react(record)

    def _act_at_once(self, host: Host, effects: Sequence[Effect], record: Record) -> bool:
        """Carry out what need not wait for the disk; tells whether there is more."""
        has_more = False
        for effect in effects:
            effect_type = type(effect)
            if effect_type is SetTimer:
                self._set_timer(host, effect, record)  # type: ignore[arg-type]
            elif effect_type is CancelTimer:
                host.timers.pop(effect.timer, None)  # type: ignore[union-attr]
            elif effect_type is Send and effect.ahead:  # type: ignore[union-attr]
                self._transmit(host, effect, record)  # type: ignore[arg-type]
            else:
                has_more = True
        return has_more

    def _raised(self, host: Host, event: Event, error: BaseException, *place: Any) -> None:
        kind, series, ordinal, cause, flight = place
        record = Record(
            len(self.records), self.time, kind, host.id, host.incarnation, series, ordinal, event,
            cause, flight, host.node, host.node, (), [], self.time, host.env.now, host.env.wall,
        )  # fmt: skip
        self.records.append(record)
        self.violation = self.judge.raised(record, error)

    def release(self, host: Host, record: Record, plan: Plan | None) -> None:
        """Everything that the step rests on is on disk: others may see it."""
        record.released = self.time
        host.released = record.after  # type: ignore[assignment]
        for effect in record.effects:
            effect_type = type(effect)
            if effect_type is Send:
                if not effect.ahead:  # type: ignore[union-attr]
                    self._transmit(host, effect, record)  # type: ignore[arg-type]
            elif effect_type is Store:
                self._disk.store(host, effect, record)  # type: ignore[arg-type]
            elif effect_type is Complete:
                self.clients.complete(host, effect, record)  # type: ignore[arg-type]
        if plan is not None and plan.judged and self.violation is None:
            self.violation = self.judge.observe(host, record, plan, self.records)

    def flights_of(self, record: Record) -> Sequence[Flight]:
        """The messages that have left by this event, of which a crash may undo the last ones.

        Of syncs only the last one of a node is known: what comes right after it asks.
        """
        return self.hosts[record.node].let_go if record.kind == "sync" else record.flights

    def after_event(self, record: Record) -> None:
        """Let happen what is anchored to this event, or what it provokes."""
        if self._replays or self.time >= self._wake:
            self._react(record)

    def _react(self, record: Record) -> None:
        is_over = self.healed and record.series != "calm"
        if self._replays:
            self._strike_as_written(record, is_over)
        # After the faults have ended the nemesis has one last word: which core is to stay whole.
        if self.nemesis is not None and (not self.healed or record.series == "calm"):
            for fault in self.nemesis.react(record, self):
                if type(fault) is Crash and not self.faults.may_crash():
                    continue  # The adversary and chance both wanted the last one.
                if self.faults.strike(fault, record.id):
                    self.tape.anchor((record.series, record.ordinal), fault)
            self._wake = NEVER if self.healed else self.nemesis.wake

    def _strike_as_written(self, record: Record, is_over: bool) -> None:
        for fault in self.tape.struck_after(record.series, record.ordinal):
            if is_over:
                self.misfits.append(f"{format_fault(fault)}: {record.label} is after the calm")
            elif not self.faults.strike(fault, record.id):
                self.misfits.append(f"{format_fault(fault)} makes no sense after {record.label}")

    # Time

    def _set_timer(self, host: Host, effect: SetTimer, record: Record) -> None:
        timer = effect.timer
        kind = type(timer)
        what = kind if kind is not ChildTimer else kind_of(timer)
        series = host.timer_series.get(what)
        if series is None:
            series = self.tape.open(f"fire {host.address} {kind_of(timer)}", FRACTION)
            host.timer_series[what] = series
        now, duration, low, high = self.time, effect.low, effect.low, effect.high
        if low == high:
            ordinal = series.skip()
        else:
            ordinal, value = series.next()
            if self._is_timed and self.adversary is not None and not self.healed:
                chosen = self.adversary.time(host.id, timer, low, high, self)
                if chosen is not None:
                    series.override(ordinal, chosen)
            duration = self._duration(series, ordinal, value, effect, host)
        if host.rate_ppm:
            duration, low, high = map(host.virtual, (duration, low, high))
        self._sequence = place = self._sequence + 1
        due = now + duration
        replaced = host.timers.get(timer)
        pending = Pending(
            host, timer, series, ordinal, record.id, now + low, now + high, due, place, due, False
        )
        host.timers[timer] = pending
        if replaced is not None and replaced.looked_at <= due:
            pending.looked_at = replaced.looked_at
        else:
            self._queue(pending)

    def _queue(self, pending: Pending) -> None:
        pending.is_queued, pending.looked_at = True, pending.due
        heappush(self._heap, (pending.due, pending.place, self._fire, pending))

    def _duration(
        self, series: Series, ordinal: int, value: Any, bounds: SetTimer, host: Host
    ) -> int:
        """The decided duration. By default it grows with the node's number, so none collide."""
        span = bounds.high - bounds.low
        if ordinal in series.overrides:
            duration: int = series.overrides[ordinal]
            if bounds.low <= duration <= bounds.high:
                return duration
            low, high = format_duration(bounds.low), format_duration(bounds.high)
            self.misfits.append(
                f"{series.name} #{ordinal} cannot be after {format_duration(duration)}: "
                f"the timer was set for {low} to {high}"
            )
            value = series.values[ordinal] = None
        if value is None:
            return bounds.low + span * (host.index % len(self.servers)) // len(self.servers)
        duration = bounds.low + (span * value >> BITS)
        series.values[ordinal] = duration
        return duration

    def _fire(self, pending: Pending) -> None:
        host = pending.host
        current = host.timers.get(pending.timer)
        if current is not pending:
            if current is not None and not current.is_queued:
                self._queue(current)
            return
        if host.paused:
            host.stalled.append((self._fire, pending))
            return
        del host.timers[pending.timer]
        series = pending.series
        self.step_node(
            host, pending.timer, host.id, "fire", series.name, pending.ordinal, pending.cause, None
        )

    # Network

    def _transmit(self, host: Host, effect: Send, record: Record) -> None:
        """Let a message leave for each of its targets."""
        message, time, origin, source = effect.message, self.time, record.id, host.id
        flights, heap, deliver = record.flights, self._heap, self._deliver
        is_routed = self._is_routed and not self.healed
        kind = type(message)
        what = kind if kind is not ToChild else kind_of(message)
        links = host.links.get(what)
        if links is None:
            links = host.links[what] = {}
        for target in effect.to:
            link = links.get(target)
            if link is None:
                link = links[target] = self._open_link(host, target, message, record)
            ordinal = link.count
            link.count = ordinal + 1
            if ordinal >= len(link.values):
                link.extend()
            delay = link.values[ordinal]
            flight = Flight(link.name, ordinal, origin, source, target, message, time)
            flights.append(flight)
            if is_routed and self.nemesis is not None:
                routed = self.nemesis.route(flight, delay, self)
                if routed != delay:
                    link.override(ordinal, routed)
                    delay = routed
            if type(delay) is int and delay >= 0:
                if host.interval or self.faults.slow:
                    delay = self.faults.delayed(host, target, delay)
                if self._ordered_links:
                    delay = self._behind(host, target, delay)
                self._sequence += 1
                heappush(heap, (time + delay, self._sequence, deliver, flight))
            elif delay == LOST:
                flight.lost = "lost"
            else:
                self._send_twice(delay, flight, record)

    def _behind(self, host: Host, target: NodeId, delay: int) -> int:
        """A message's delay where links keep order: it waits for those sent before it."""
        arrives = host.arrives.get(target, 0)
        arrives = host.arrives[target] = max(arrives, self.time + delay)
        return arrives - self.time

    def _open_link(self, host: Host, target: NodeId, message: object, record: Record) -> Series:
        if not isinstance(message, Message):
            raise Mistake(f"{record.label}: {host.id} sends {message!r}, which is no Message")
        kind = kind_of(message)
        if target not in self.hosts:
            names = ", ".join(self.hosts)
            raise Mistake(f"{record.label}: {host.id} sends {kind} to {target}; there are {names}")
        name = f"deliver {host.address}→{target} {kind}"
        if target == host.id or max(self.hosts[target].index, host.index) >= len(self.servers):
            return self.tape.open(name, ZERO, calm=True)
        return self.tape.open(name, self.conditions.network, calm=self._is_network_calm)

    def _send_twice(self, delays: tuple[int, int], flight: Flight, record: Record) -> None:
        first, second = delays
        if self._ordered_links:
            host = self.hosts[flight.source]
            first = self._behind(host, flight.target, first)
            second = self._behind(host, flight.target, second)
        self.push(self.time + first, self._deliver, flight)
        again = Flight(
            f"{flight.series} again", flight.ordinal, flight.origin, flight.source, flight.target,
            flight.message, flight.sent,
        )  # fmt: skip
        record.flights.append(again)
        self.push(self.time + second, self._deliver, again)

    def _deliver(self, flight: Flight) -> None:
        host = self.hosts[flight.target]
        if flight.lost:
            return
        if not host.up:
            flight.lost = "down"
        elif self.faults.cuts and (flight.source, flight.target) in self.faults.cuts:
            flight.lost = "cut"
        elif host.paused:
            host.stalled.append((self._deliver, flight))
        else:
            flight.fate = len(self.records)
            self.step_node(
                host, flight.message, flight.source, "deliver", flight.series, flight.ordinal,
                flight.origin, flight,
            )  # fmt: skip

    # Chance

    def own_series(
        self, host: Host, verb: str, domain: DurationDomain, quiet: DurationDomain
    ) -> Series:
        """The decisions of this kind that concern one host alone."""
        series = host.own_series.get(verb)
        if series is None:
            if host.index >= len(self.servers):
                domain = quiet
            calm = domain.is_settled or self.healed
            series = self.tape.open(f"{verb} {host.address}", domain, calm=calm)
            host.own_series[verb] = series
        return series

    def _choose(self, host: Host, name: str, options: Sequence[Any]) -> Any:
        series = host.own_series.get(name)
        if series is None:
            series = self.tape.open(f"choose {host.address} {name}", FRACTION)
            host.own_series[name] = series
        ordinal, value = series.next()
        choice = options[0]
        if ordinal in series.overrides:
            named = [option for option in options if str(option) == series.overrides[ordinal]]
            if named:
                choice = named[0]
            else:
                names = ", ".join(str(option) for option in options)
                self.misfits.append(
                    f"{series.name} #{ordinal} cannot be {series.overrides[ordinal]}: "
                    f"there are {names}"
                )
                series.values[ordinal] = None
        elif value is not None:
            choice = options[value % len(options)]
            series.values[ordinal] = None if choice == options[0] else str(choice)
        self._choices.append(choice)
        return choice

    # The end of faults

    def _heal(self, _: None) -> None:
        """The liveness phase begins: a core of the system is whole from here on."""
        for name, series in self.tape.series.items():
            if name.startswith(("deliver", "sync", "batch", "store")):
                series.calm()
        self.healed = self._is_network_calm = True
        record = self.faults.note("", "calm", "calm: the faults end here", -1)
        for fault in self.faults.remedies():
            self.faults.strike(fault, record.id)
        self._react(record)
        self._wake = NEVER
        self.core = self.faults.core()
        if len(self.core) < len(self.servers):
            self.scenario = self.scenario.patient()

    # What adversaries may see

    def node(self, id: NodeId) -> Node:
        """The node's state as the node itself sees it."""
        return self.hosts[id].node

    def is_up(self, id: NodeId) -> bool:
        """Whether the node is running."""
        return self.hosts[id].up

    def may_crash(self) -> bool:
        """Whether the budget of the protocol's model has a crash left."""
        return self.faults.may_crash()

    def strike(self, fault: Fault, cause: int) -> bool:
        """Let a fault happen now; False if it cannot, as a crash of a crashed node."""
        return self.faults.strike(fault, cause)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Without the cyclic garbage collector: a run makes no cycles, and scanning costs a third."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
