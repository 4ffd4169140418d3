"""The clients of a world: when their operations begin, and how they ended."""

from typing import TYPE_CHECKING

from quorate.errors import Mistake
from quorate.kernel.env import Complete
from quorate.kernel.node import Invoke
from quorate.kernel.values import NodeId
from quorate.simulate.host import Due, Host
from quorate.trace.record import Record

if TYPE_CHECKING:
    from quorate.simulate.world import World


class Clients:
    """Feeds the clients from the workload.

    A client whose operation timed out goes on under a new process id: the old one may still act.

    Attributes:
        operations: (process, invoking record, completing record or -1), in order of invocation.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self.operations: list[tuple[int, int, int]] = []
        self._open: dict[NodeId, int] = {}
        self._infos: dict[NodeId, int] = {}

    def next_slot(self, host: Host) -> None:
        """Let the client's next operation begin when its time has come."""
        workload = self._world.scenario.workload
        assert workload is not None
        series = host.own_series.get("invoke")
        if series is None:
            domain = workload.domain(host.index - len(self._world.servers))
            series = self._world.tape.open(f"invoke {host.id}", domain)
            host.own_series["invoke"] = series
        while series.count < workload.slots:
            ordinal, invocation = series.next()
            if (
                invocation is not None
                and max(self._world.time, invocation[0]) < self._world.scenario.quiet
            ):
                when, operation = invocation
                due = Due(host, 0, series, ordinal, max(self._world.time, when), -1, operation)
                self._world.push(max(self._world.time, when), self._invoke, due)
                return

    def _invoke(self, due: Due) -> None:
        host, operation = due.host, due.payload
        clients = len(self._world.hosts) - len(self._world.servers)
        process = host.index - len(self._world.servers) + clients * self._infos.get(host.id, 0)
        self._open[host.id] = len(self.operations)
        self.operations.append((process, len(self._world.records), -1))
        event = Invoke(operation)
        self._world.step_node(
            host, event, host.id, "invoke", due.series.name, due.ordinal, -1, None
        )

    def is_busy(self, id: NodeId) -> bool:
        """Whether the client has an operation open."""
        return id in self._open

    def complete(self, host: Host, effect: Complete, record: Record) -> None:
        """The open operation of this client has ended."""
        position = self._open.pop(host.id, None)
        if position is None:
            raise Mistake(f"{record.label}: {host.id} completes an operation but has none open")
        process, invoked, _ = self.operations[position]
        self.operations[position] = (process, invoked, record.id)
        if effect.status == "info":
            self._infos[host.id] = self._infos.get(host.id, 0) + 1
        self.next_slot(host)
