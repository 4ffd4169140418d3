"""What to try: the value that stands beside a protocol and that every judge takes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from quorate.errors import Mistake
from quorate.kernel.client import Client
from quorate.kernel.env import ms
from quorate.kernel.node import Node, check_classes
from quorate.kernel.properties import Monitor, Property
from quorate.kernel.values import NodeId
from quorate.scenario.adversary import Adversary
from quorate.scenario.conditions import FAULTS, Conditions, Dice, draw_conditions
from quorate.scenario.exploration import Exploration
from quorate.scenario.mutant import Mutant
from quorate.scenario.tape import Tape
from quorate.scenario.workload import Workload

EXPLORED = "explored"
"""The configuration of an exploration, in schedules that come from one."""


class Configuration(msgspec.Struct, frozen=True):
    """One way to set a node's fields; each seed takes one of the scenario's.

    `live` tells whether liveness is promised too, or only safety is judged; `whole_core` that it is
    promised only once all servers can talk to each other again; `recovers` whether crashed nodes
    come back, where that is not as the scenario has it.
    """

    name: str = "default"
    fields: Mapping[str, Any] = {}
    live: bool = True
    whole_core: bool = False
    recovers: bool | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol, its clients, its faults, and what a fair trial of it must have reached.

    Attributes:
        name: how the command line and schedule files call it.
        node: the class of the servers; its module's properties and monitors judge the run.
        nodes: how many servers; the command line's `--nodes` overrides it.
        configurations: settings of the node class that are all correct; seeds draw among them.
        client, clients, client_fields: the class, number and settings of the client nodes.
        each_client: further settings, of each client in turn.
        workload: what the clients ask for; None for a system without clients.
        faults: the kinds of faults (`FAULTS`) that the protocol's stated model tolerates.
        crashes: how many nodes may be down at once; None for the largest minority.
        recovers: whether crashed nodes come back, with their durable state.
        recovering: whether a node that is up has not recovered yet from a crash, and so still
            counts as down for `crashes`; None for a protocol whose nodes are back at once.
        ordered_links: whether each directed link delivers in the order of sending, as TCP does; a
            message then arrives no earlier than the one sent before it.
        adversaries: makers of adversaries; some seeds let one of them play.
        role: a node's role, in the protocol's word, for adversaries and for the diagram.
        minima: counters (see `quorate.simulate.counters`) that a campaign must reach to be a
            `pass`, with how much per 100 runs.
        duration, heal: virtual nanoseconds of a run, and when its faults end; the time from then
            on is the liveness phase. `heal` of 0 means no faults and no liveness phase.
        steps: handler steps after which a run is given up as `unknown`.
        mutants: broken variants that the default campaign must tell from the real thing.
        modules: full names of the further modules that the protocol is made of.
        exploration: the small configuration that `explore` exhausts; None for the plain class
            with `nodes` servers and no client.
        properties, monitors: what judges a run; unless given, those that stand beside the node
            class, in its module or in `modules`.
    """

    name: str
    node: type[Node]
    nodes: int = 3
    configurations: tuple[Configuration, ...] = (Configuration(),)
    client: type[Node] = Client
    clients: int = 3
    client_fields: Mapping[str, Any] = {}
    each_client: tuple[Mapping[str, Any], ...] = ()
    workload: Workload | None = None
    faults: frozenset[str] = frozenset(FAULTS)
    crashes: int | None = None
    recovers: bool = True
    recovering: Callable[[Any], bool] | None = None
    ordered_links: bool = False
    adversaries: tuple[Callable[[Dice], Adversary], ...] = ()
    role: Callable[[Any], str] | None = None
    minima: Mapping[str, int] = {}
    duration: int = ms(5000)
    heal: int = ms(4000)
    steps: int = 200_000
    mutants: tuple[Mutant, ...] = ()
    modules: tuple[str, ...] = ()
    exploration: Exploration | None = None
    properties: tuple[Property, ...] | None = None
    monitors: tuple[type[Monitor], ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(self.faults - set(FAULTS))
        if unknown:
            raise Mistake(f"{self.name}: no fault is called {unknown[0]}; there are {FAULTS}")
        if self.properties is None:
            check_classes((self.node, self.client) if self.workload else (self.node,))
            found = self._namespace()
            kinds = (v for v in found if isinstance(v, type) and issubclass(v, Monitor))
            properties = dict.fromkeys(v for v in found if isinstance(v, Property))
            monitors = dict.fromkeys(v for v in kinds if v is not Monitor)
            msgspec.structs.force_setattr(self, "properties", tuple(properties))
            msgspec.structs.force_setattr(self, "monitors", tuple(monitors))
        for configuration in self.configurations:
            try:
                self.make_server(NodeId("n1"), configuration)
            except TypeError as error:
                where = f"{self.name}, configuration {configuration.name}"
                raise Mistake(f"{where}: {error}") from error

    def _namespace(self) -> list[Any]:
        names = dict.fromkeys((self.node.__module__, *self.modules))
        return [value for name in names for value in vars(sys.modules[name]).values()]

    @property
    def quiet(self) -> int:
        """When clients fall silent, so that the system can come to rest before the run ends."""
        return (self.heal + self.duration) // 2 if self.heal else self.duration

    def patient(self) -> "Scenario":
        """With a liveness phase of twice the length: where nobody is to spare, things take longer.

        A bare majority elects only whom all of it votes for.
        """
        return msgspec.structs.replace(self, duration=2 * self.duration - self.heal)

    def servers(self) -> tuple[NodeId, ...]:
        """The ids of the servers: n1, n2, ..."""
        return tuple(NodeId(f"n{index + 1}") for index in range(self.nodes))

    def client_ids(self) -> tuple[NodeId, ...]:
        """The ids of the clients: c1, c2, ..."""
        count = self.clients if self.workload else 0
        return tuple(NodeId(f"c{index + 1}") for index in range(count))

    def configuration(self, tape: Tape, conditions: Conditions) -> Configuration:
        """The one that the tape names, else the one that its seed drew."""
        if not tape.configuration:
            return self.configurations[conditions.configuration]
        for configuration in self.configurations:
            if configuration.name == tape.configuration:
                return configuration
        names = ", ".join(configuration.name for configuration in self.configurations)
        raise Mistake(f"{self.name} has no configuration {tape.configuration!r}; it has {names}")

    def configured(self, configuration: Configuration) -> "Scenario":
        """The scenario as this configuration has it."""
        if configuration.recovers is None:
            return self
        return msgspec.structs.replace(self, recovers=configuration.recovers)

    def make_server(self, id: NodeId, configuration: Configuration) -> Node:
        """A server as it is before its first step."""
        return self.node(id=id, peers=self.servers(), **configuration.fields)

    def make_client(self, id: NodeId) -> Node:
        """A client as it is before its first step."""
        fields: dict[str, Any] = {"peers": self.servers(), **self.client_fields}
        if self.each_client:
            fields |= self.each_client[self.client_ids().index(id)]
        return self.client(id=id, **fields)

    def explored(self, exploration: Exploration) -> "Scenario":
        """The same protocol in the one configuration that is explored, with the scripts' clients.

        Runs of it replay what an exploration has found: nothing happens that no schedule names, and
        messages overtake one another where it says so.
        """
        return msgspec.structs.replace(
            self,
            nodes=exploration.nodes,
            configurations=(Configuration(EXPLORED, exploration.fields),),
            clients=len(exploration.scripts),
            each_client=tuple(script.fields for script in exploration.scripts),
            ordered_links=False,
            heal=0,
        )

    def judged_by(self, names: Sequence[str]) -> "Scenario":
        """The scenario with no other properties and monitors than these; with all, if none."""
        if not names:
            return self
        claims = {claim.name: claim for claim in self.properties or ()}
        monitors = {kind.__name__: kind for kind in self.monitors}
        for name in names:
            if name not in claims and name not in monitors:
                known = ", ".join((*claims, *monitors)) or "none"
                raise Mistake(f"{self.name} has no property {name!r}; it has {known}")
        return msgspec.structs.replace(
            self,
            properties=tuple(claims[name] for name in names if name in claims),
            monitors=tuple(monitors[name] for name in names if name in monitors),
        )

    def conditions(self, seed: int | None) -> Conditions:
        """The world of a seed; the quiet one for None."""
        if seed is None:
            return Conditions()
        allowed = self.faults if self.heal else frozenset[str]()
        drawn = draw_conditions(seed, allowed, len(self.adversaries), len(self.configurations))
        configuration = self.configurations[drawn.configuration]
        # Where nodes stay down these are the minority that may be missing.
        if configuration.whole_core or not self.configured(configuration).recovers:
            return msgspec.structs.replace(drawn, whole_core=True)
        return drawn
