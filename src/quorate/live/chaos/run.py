"""A chaos run from start to end: a fresh cluster, clients, faults; then peace, and judgement."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from quorate.check import Budget, check_history, model_named
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.chaos.clients import Client, Ledger
from quorate.live.chaos.crew import Crew, Ended
from quorate.live.chaos.dialect import Dialect
from quorate.live.chaos.namespaces import Namespaces
from quorate.live.chaos.nemesis import Nemesis, Struck
from quorate.live.chaos.network import Network
from quorate.live.chaos.proxy import Proxies
from quorate.live.chaos.report import LEAST_OPERATIONS, Report, judge, never_happened
from quorate.live.chaos.strokes import Stage
from quorate.live.config import write_config
from quorate.live.supervisor import CONFIG, Place

SEGMENT_BYTES = 1 << 14
"""Of a journal under chaos: as small as a database that is in use is large."""
READ_SECONDS = 30.0
"""How long after the heal every key must have been read."""


NETWORKS: Mapping[str, Callable[[Sequence[str], int], Network[Any]]] = {
    "proxies": Proxies,
    "namespaces": Namespaces,
}
"""Of whose make the network of a cluster can be: each for members' names, and a seed."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run.

    Attributes:
        system: a SYSTEM, or a NAME, as for `quorate up`.
        kinds: of faults.
        most: how many members may be down at once; None for the largest minority.
        rate: operations a second, of all clients together.
        takes_snapshots: whether members do, and so are expected to.
        budget: of the checker.
    """

    system: str
    nodes: int
    kinds: tuple[str, ...]
    seconds: float
    seed: int
    directory: Path
    dialect: Dialect
    most: int | None = None
    clients: int = 10
    rate: int = 400
    configuration: str = ""
    takes_snapshots: bool = False
    record: str = "none"
    budget: Budget = Budget(10**12, 120.0)


Tell = Callable[[Struck], None]


class Run:
    """One run, to be looked at and tampered with by tests before it starts.

    Attributes:
        ledger: what the clients have seen.
        stage: what is struck, once the cluster is up.
    """

    def __init__(
        self,
        plan: Plan,
        tell: Tell = lambda struck: None,
        network: Network[Any] | None = None,
    ) -> None:
        """`network` is closed at the end; proxies, unless it is given."""
        self.plan = plan
        self.ledger = Ledger()
        self.stage: Stage
        self.tamper: Callable[[Run], None] = lambda run: None
        self._tell = tell
        self._network = network or Proxies(member_names(plan.nodes), plan.seed)
        self._over = asyncio.Event()
        self._is_interrupted = False

    async def play(self) -> Report:
        """Run it all. Raises Mistake if the cluster does not even start."""
        plan, network = self.plan, self._network
        try:
            places = _cluster(plan)
            crew = Crew(await network.stand_between(places), network.inside)
            try:
                most = (plan.nodes - 1) // 2 if plan.most is None else plan.most
                return await self._on(Stage(crew, network, self.ledger, most))
            finally:
                crew.end()
                _leave(places)
        finally:
            network.close()

    async def _on(self, stage: Stage) -> Report:
        plan, crew = self.plan, stage.crew
        loop = asyncio.get_running_loop()
        for kind in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(kind, self._interrupt)
        self.stage = stage
        crew.prepare()
        for name in stage.names:
            crew.start(name)
        crew.prepare()
        await asyncio.to_thread(supervisor.await_ready, list(crew.places.values()))
        self.tamper(self)
        nemesis = Nemesis(self.stage, plan.kinds, plan.seed, self._tell)
        started = time.monotonic()
        await self._storm(nemesis)
        unread = await self._peace(nemesis)
        return self._report(nemesis, unread, time.monotonic() - started)

    def _interrupt(self) -> None:
        self._is_interrupted = True
        self._over.set()

    async def _storm(self, nemesis: Nemesis) -> None:
        """Clients, while faults strike."""
        plan = self.plan
        clients = [self._client(number) for number in range(plan.clients)]
        silence = asyncio.Event()
        interval = plan.clients / plan.rate
        tasks = [asyncio.create_task(client.run(interval, silence)) for client in clients]
        try:
            if plan.kinds:
                await nemesis.run(plan.seconds, self._over)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(plan.seconds):
                        await self._over.wait()
        finally:
            silence.set()
            await asyncio.gather(*tasks)

    def _client(self, number: int) -> Client:
        addresses = [place.clients for place in self.stage.crew.places.values()]
        return Client(number, self.ledger, self.plan.dialect, addresses, self.plan.seed)

    async def _peace(self, nemesis: Nemesis) -> list[str]:
        """Heal, and read everything back; which keys could not be read."""
        if nemesis.broke:
            return []
        try:
            await nemesis.calm()
        except Ended as error:
            nemesis.broke = f"no_member_ends: {error}"
            return []
        keys, count = self.ledger.keys(), self.plan.clients
        clients = [self._client(count + number) for number in range(count)]
        until = time.monotonic() + READ_SECONDS
        reads = [client.read(keys[n::count], until) for n, client in enumerate(clients)]
        return [key for unread in await asyncio.gather(*reads) for key in unread]

    def _report(self, nemesis: Nemesis, unread: list[str], seconds: float) -> Report:
        plan, history = self.plan, self.ledger.history
        result = check_history(history, model_named("kv"), plan.budget)
        least = min(LEAST_OPERATIONS * plan.clients, int(plan.rate * plan.seconds / 4))
        kept = self.stage.crew.kept_in_all()
        missing = never_happened(kept, plan.kinds) if plan.takes_snapshots else ()
        broke, is_interrupted = nemesis.broke, self._is_interrupted
        verdict, reasons = judge(
            result, plan.kinds, nemesis.bit, least, broke, unread, is_interrupted, missing
        )
        network = self.stage.network
        return Report(
            system=plan.system,
            nodes=plan.nodes,
            clients=plan.clients,
            seed=plan.seed,
            seconds=round(seconds, 1),
            configuration=plan.configuration,
            verdict=verdict,
            reasons=reasons,
            operations=dict(self.ledger.counts),
            injected=dict(nemesis.injected),
            bit=dict(nemesis.bit),
            struck=nemesis.struck,
            leaders=len(nemesis.leaders),
            dropped=self.stage.dropped,
            network=network.name,
            unable=network.unable,
            frames=network.counted(network.ways.values()),
            kept=kept,
            history=history,
            explanation=result.explanation,
            steps=result.steps,
        )


def member_names(nodes: int) -> list[str]:
    """What the members of a cluster of this size are called."""
    return [f"n{index + 1}" for index in range(nodes)]


def _leave(places: list[Place]) -> None:
    """Let `quorate up` start the cluster: nothing stands between its members any more."""
    for place in places:
        config = msgspec.structs.replace(place.config, chaos=False)
        write_config(place.directory / CONFIG, config)


def _cluster(plan: Plan) -> list[Place]:
    """The directory of a fresh cluster."""
    if supervisor.exists(plan.directory):
        raise Mistake(f"{plan.directory} holds a cluster; chaos wants a fresh one")
    settings: dict[str, str | int] = {"chaos": True, "record": plan.record}
    settings["segment_bytes"] = SEGMENT_BYTES
    if plan.configuration:
        settings["configuration"] = plan.configuration
    return supervisor.create(plan.directory, plan.system, plan.nodes, **settings)
