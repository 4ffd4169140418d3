"""Exploring from the middle of a run: what if this message had come later, or that node had died?

The schedule is played up to an event, in the order of its events; whatever is broken is mended,
disks are synced, and the state in which the world then is becomes the first state of a search.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.explore.exhaustive.counterexample import Follower, Prefix
from quorate.explore.exhaustive.machine import Envelope, Local, Waiting, in_order
from quorate.explore.exhaustive.memory import Memories
from quorate.explore.exhaustive.moves import Moves
from quorate.explore.exhaustive.space import Space, State
from quorate.explore.exhaustive.way import Happening
from quorate.explore.replay import find_event, replay, scenario_of
from quorate.kernel.env import Complete, Store
from quorate.kernel.node import Invoke, Operation
from quorate.kernel.properties import Monitor
from quorate.scenario.exploration import Exploration, Script
from quorate.scenario.scenario import EXPLORED, Scenario
from quorate.scenario.schedule import SUFFIX, Schedule, read_schedule
from quorate.simulate.host import Due, Host
from quorate.simulate.ordered import CALM, order_of
from quorate.simulate.world import World
from quorate.trace.record import Flight


class Snapshot(msgspec.Struct):
    """The state of a world, as an exploration takes it up.

    Attributes:
        locals: each node's local state, servers first.
        envelopes: the messages in flight.
        monitors: what each has seen.
        happenings: the clients' history so far.
    """

    locals: list[Local]
    envelopes: list[Envelope]
    monitors: list[Monitor]
    happenings: list[Happening]


class Fork(msgspec.Struct):
    """Where an exploration begins, if not at the beginning.

    Attributes:
        scenario: the scenario of the schedule.
        prefix: what happens before.
        exploration: bounds for what may come after.
        snapshot: the state in between.
    """

    scenario: Scenario
    prefix: Prefix
    exploration: Exploration
    snapshot: Snapshot


def fork_at(place: str) -> Fork:
    """Read `FILE.schedule@EVENT`, and play the file up to that event. Raises Mistake."""
    name, at, event = place.partition(f"{SUFFIX}@")
    if not at:
        raise Mistake(f"--from takes FILE{SUFFIX}@EVENT, such as x{SUFFIX}@17, not {place!r}")
    schedule = read_schedule(Path(name + SUFFIX))
    scenario = scenario_of(schedule)
    world = replay(schedule, explained=False).outcome.world
    named = f"@{event}" if event.isdecimal() else event
    end = find_event(named, world.records, "--from")
    order = order_of(world.records[: end + 1], world.tape.faults())
    if CALM in order:
        raise Mistake(f"--from: {event} is after the faults have ended; take an earlier event")
    entries = {
        label: value
        for label, value in world.tape.entries().items()
        if label[0].startswith("choose") or label in order
    }
    prefix = Prefix(tuple(order), entries, world.configuration.name)
    follower = Follower(scenario, (), None, prefix, look=_snapshot)
    follower.run()
    if follower.violation is not None:
        raise Mistake(
            f"--from: {follower.violation.property} has failed at {event} already; "
            "take an earlier event"
        )
    assert isinstance(follower.seen, Snapshot)
    exploration = Exploration(
        nodes=scenario.nodes,
        fields=world.configuration.fields,
        scripts=_scripts(schedule, scenario, order),
        crashes=1,
        timers=2,
    )
    return Fork(scenario, prefix, exploration, follower.seen)


def begin(fork: Fork, space: Space, moves: Moves, memories: Memories) -> None:
    """Let the search of a space begin at a fork."""
    snapshot = fork.snapshot
    locals_ = tuple(moves.local(slot, local) for slot, local in enumerate(snapshot.locals))
    messages = space.in_order([moves.envelope(envelope) for envelope in snapshot.envelopes])
    memory = memories.resume(snapshot.monitors, snapshot.happenings)
    state: State = (locals_, messages, memory)
    space.begin_at(state)


def _scripts(schedule: Schedule, scenario: Scenario, order: Sequence[Any]) -> tuple[Script, ...]:
    """What each client has still to ask."""
    begun = {event for event in order if isinstance(event, tuple)}
    scripts: list[Script] = []
    for index, id in enumerate(scenario.client_ids()):
        name = f"invoke {id}"
        own = sorted(label for label in schedule.entries if label[0] == name)
        left = [schedule.entries[label][1] for label in own if label not in begun]
        fields = dict(scenario.client_fields)
        if scenario.each_client:
            fields |= scenario.each_client[index]
        exploration = scenario.exploration
        if schedule.configuration == EXPLORED and exploration is not None:
            asked = sum(label[0] == name for label in begun)
            left = list(exploration.scripts[index].operations[asked:])
        scripts.append(Script(tuple(left), fields))
    return tuple(scripts)


# From a world


def _snapshot(world: World) -> Snapshot:
    pending = sorted(world._heap, key=lambda entry: entry[1])
    flights = [entry[3] for entry in pending if isinstance(entry[3], Flight)]
    hosts = list(world.hosts.values())
    return Snapshot(
        [_local(host, world, [entry[3] for entry in pending]) for host in hosts],
        [Envelope(f.source, f.target, f.message) for f in flights if not f.lost],
        list(world.judge.monitors),
        _happenings(world),
    )


def _local(host: Host, world: World, pending: Sequence[Any]) -> Local:
    waiting: list[Waiting] = []
    for timer, due in host.timers.items():
        since = world.records[due.cause].time
        waiting.append(Waiting(timer, due.low - since, due.high - since))
    storing = tuple(
        due.payload
        for due in pending
        if isinstance(due, Due) and due.host is host and isinstance(due.payload, Store)
    )
    is_client = host.id not in world.servers
    return Local(
        host.node,
        () if is_client else in_order(waiting),
        host.up,
        storing,
        host.stored,
        busy=is_client and world.clients.is_busy(host.id),
    )


def _happenings(world: World) -> list[Happening]:
    clients = len(world.scenario.client_ids())
    events: list[tuple[int, int, Happening]] = []
    for process, invoked, completed in world.clients.operations:
        client = process % clients
        begun = world.records[invoked].event
        assert isinstance(begun, Invoke)
        operation: Operation = begun.operation
        events.append((invoked, 1, Happening(client, operation)))
        if completed >= 0:
            effects = world.records[completed].effects
            end = next(effect for effect in effects if isinstance(effect, Complete))
            events.append((completed, 0, Happening(client, None, end.status, end.value)))
    return [happening for _, _, happening in sorted(events, key=lambda event: event[:2])]
