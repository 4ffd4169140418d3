"""Heartbeats from all to all: our simulator, trace on, beside SimPy."""

import importlib.util
from typing import Any

from quorate.bench.options import Options
from quorate.bench.report import Goal, Measure, Row, samples
from quorate.bench.timing import cpu_seconds, in_turns
from quorate.kernel import Env, Message, Node, NodeId, Start, Timer, ms, on
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World

NODES = 5
PERIOD = ms(50)
LATENCY = ms(1)
PER_PERIOD = NODES * (NODES - 1)


class Heartbeat(Message):
    number: int


class Beat(Timer):
    """Time for the next heartbeat."""


class Beating(Node):
    """Tells all others, again and again, that it is alive; counts what it hears."""

    others: tuple[NodeId, ...] = ()
    number: int = 0
    heard: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        self.others = tuple(peer for peer in self.peers if peer != self.id)
        env.after(PERIOD, Beat())

    @on(Beat)
    def beat(self, event: Beat, env: Env) -> None:
        self.number += 1
        env.multicast(self.others, Heartbeat(self.number))
        env.after(PERIOD, Beat())

    @on(Heartbeat)
    def hear(self, msg: Heartbeat, env: Env) -> None:
        self.heard += 1


def heartbeats(options: Options) -> Row:
    """Messages/s of ours and of SimPy's two styles."""
    return measure_heartbeats(200 if options.quick else 2000, rounds=3 if options.quick else 7)


def measure_heartbeats(periods: int, rounds: int) -> Row:
    """So many heartbeats of each node, in turns."""
    if importlib.util.find_spec("simpy") is None:
        return Row(name="heartbeats", skipped="SimPy is not there; pip install 'quorate[bench]'")
    wrong = _miscounts(periods)
    count = periods * PER_PERIOD
    ours, processes, callbacks = in_turns(
        rounds,
        lambda: count / cpu_seconds(lambda: simulate(periods)),
        lambda: count / cpu_seconds(lambda: simpy_processes(periods)),
        lambda: count / cpu_seconds(lambda: simpy_callbacks(periods)),
    )
    found = samples("messages/s", ours)
    to_processes = Measure(
        what="heartbeats, traced",
        ours=found,
        peer="SimPy, process and Store per message",
        theirs=samples("messages/s", processes),
    )
    to_callbacks = Measure(
        what="heartbeats, traced",
        ours=found,
        peer="SimPy, Timeout and callback",
        theirs=samples("messages/s", callbacks),
    )
    return Row(
        name="heartbeats",
        measures=(
            _with_goal(to_processes, "at least 1.5 times SimPy's processes", 1.5),
            _with_goal(to_callbacks, "stretch: at least 0.5 times SimPy's callbacks", 0.5),
        ),
        wrong=wrong,
    )


def _with_goal(measure: Measure, text: str, bound: float) -> Measure:
    goal = Goal(text, measure.ratio or 0.0, bound)
    return Measure(
        what=measure.what,
        ours=measure.ours,
        peer=measure.peer,
        theirs=measure.theirs,
        goals=(goal,),
    )


def _miscounts(periods: int) -> tuple[str, ...]:
    """All three must have carried the same messages."""
    heard = {
        "Quorate": simulate(periods),
        "SimPy with processes": simpy_processes(periods),
        "SimPy with callbacks": simpy_callbacks(periods),
    }
    wanted = periods * PER_PERIOD
    return tuple(f"{who} carried {n} of {wanted}" for who, n in heard.items() if n != wanted)


def simulate(periods: int) -> int:
    """Our simulator, with its trace and its tape; how many messages were heard."""
    scenario = Scenario(
        name="heartbeats",
        node=Beating,
        nodes=NODES,
        properties=(),
        faults=frozenset(),
        heal=0,
        duration=periods * PERIOD + 2 * LATENCY,
        steps=2 * periods * (PER_PERIOD + NODES) + NODES,
    )
    world = World(scenario, Tape(1))
    world.run()
    nodes = [world.node(id) for id in world.servers]
    return sum(node.heard for node in nodes if isinstance(node, Beating))


def simpy_processes(periods: int) -> int:
    """SimPy as its guide shows it: each message is a process, each mailbox a Store."""
    import simpy

    env = simpy.Environment()
    mailboxes = [simpy.Store(env) for _ in range(NODES)]
    heard = [0] * NODES

    def carry(mailbox: Any, number: int) -> Any:
        yield env.timeout(LATENCY)
        yield mailbox.put(number)

    def beat(me: int) -> Any:
        for number in range(1, periods + 1):
            yield env.timeout(PERIOD)
            for other in range(NODES):
                if other != me:
                    env.process(carry(mailboxes[other], number))

    def hear(me: int) -> Any:
        while True:
            yield mailboxes[me].get()
            heard[me] += 1

    for me in range(NODES):
        env.process(beat(me))
        env.process(hear(me))
    env.run()
    return sum(heard)


def simpy_callbacks(periods: int) -> int:
    """SimPy at its barest: each message is a Timeout with a callback."""
    import simpy

    env = simpy.Environment()
    heard = [0] * NODES

    def listener(me: int) -> Any:
        def hear(event: Any) -> None:
            heard[me] += 1

        return hear

    listeners = [listener(me) for me in range(NODES)]

    def beat(me: int) -> Any:
        for number in range(1, periods + 1):
            yield env.timeout(PERIOD)
            for other in range(NODES):
                if other != me:
                    env.timeout(LATENCY, number).callbacks.append(listeners[other])

    for me in range(NODES):
        env.process(beat(me))
    env.run()
    return sum(heard)
