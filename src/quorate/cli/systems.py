"""From a name to what runs live: a system of ours, or any protocol as a service of its own."""

from importlib import import_module

from quorate.cli.host_mutants import split_host_mutant
from quorate.explore.catalogue import Aim, load
from quorate.scenario.system import System
from quorate.systems.words import plain_system

SYSTEMS = {"kv": ("raft", "quorate.systems.kv.system")}
"""The protocol that each system runs on, and the module whose `system_on` makes it a system."""


def system_of(name: str) -> System:
    """`kv`, `kv@mutant`, or a NAME as for `quorate run`. Raises Mistake if there is none.

    A mutant of the host, as in `kv@host:NAME`, is not the system's: it is left out here.
    """
    name, _ = split_host_mutant(name)
    plain, at, mutant = name.partition("@")
    if plain not in SYSTEMS:
        return plain_system(load(Aim(name)))
    protocol, module = SYSTEMS[plain]
    system: System = import_module(module).system_on(load(Aim(f"{protocol}{at}{mutant}")))
    return system
