"""Broken variants of the host: of the rules that no protocol can keep by itself.

`raft@host:ack-before-sync` is the real Raft, run by members whose host breaks a rule.
"""

import sys
from types import ModuleType

from quorate.errors import Mistake
from quorate.explore.catalogue import mutate
from quorate.scenario.mutant import Mutant

HOST = "quorate.live.host"
MARK = "@host:"

HOST_MUTANTS = (
    Mutant(
        name="ack-before-sync",
        rule="what a step sends or answers leaves once its durable changes are synced",
        section="the kernel's contract: steps",
        old="if hosted.unsynced or hosted.is_syncing:",
        new="if False:",
    ),
    Mutant(
        name="sync-covers-later-steps",
        rule="a sync covers what was written before it began, and nothing that came meanwhile",
        section="the kernel's contract: steps",
        old="while waiting and not 0 < hosted.unsynced <= waiting[0][0]:",
        new="while waiting:",
    ),
)


def split_host_mutant(name: str) -> tuple[str, Mutant | None]:
    """The system's name without a host mutant, and the mutant. Raises Mistake for an unknown."""
    plain, mark, wanted = name.partition(MARK)
    if not mark:
        return name, None
    named = {mutant.name: mutant for mutant in HOST_MUTANTS}
    if wanted not in named:
        raise Mistake(f"the host has no mutant {wanted!r}; there is {', '.join(named)}")
    return plain, named[wanted]


def install(name: str) -> None:
    """Put the host mutant that a system's name asks for in the host's place, in this process.

    To be called before anything imports the host.
    """
    mutant = split_host_mutant(name)[1]
    if mutant is None:
        return
    assert HOST not in sys.modules
    source = mutate(HOST, mutant)
    module = sys.modules[HOST] = ModuleType(HOST)
    exec(compile(source, f"<mutant of {HOST}>", "exec"), vars(module))
