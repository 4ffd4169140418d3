"""From a name to what runs live: a system of ours, or any protocol as a service of its own."""

from importlib import import_module

import msgspec

from quorate.cli.host_mutants import split_host_mutant
from quorate.explore.catalogue import Aim, load
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import EXPLORED
from quorate.scenario.system import System
from quorate.systems.words import plain_system

SYSTEMS = {"kv": ("raft", "quorate.systems.kv.system")}
"""The protocol that each system runs on, and the module whose `system_on` makes it a system."""


def system_of(name: str, configuration: str = "", nodes: int = 0) -> System:
    """`kv`, `kv@mutant`, or a NAME as for `quorate run`. Raises Mistake if there is none.

    A mutant of the host, as in `kv@host:NAME`, is not the system's: it is left out here. The
    configuration of an exploration, of so many nodes, is one that only the protocol itself has.
    """
    name, _ = split_host_mutant(name)
    plain, at, mutant = name.partition("@")
    if plain not in SYSTEMS:
        scenario = load(Aim(name))
        if configuration == EXPLORED:
            exploration = scenario.exploration or Exploration()
            scenario = scenario.explored(msgspec.structs.replace(exploration, nodes=nodes))
        return plain_system(scenario)
    protocol, module = SYSTEMS[plain]
    system: System = import_module(module).system_on(load(Aim(f"{protocol}{at}{mutant}")))
    return system
