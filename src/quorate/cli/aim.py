"""From the options of a command to a scenario, and back to a command line."""

from argparse import Namespace
from secrets import randbelow

import msgspec

from quorate.cli.screen import Screen, command
from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load, parse_faults

FRESH = 10**9
"""Fresh seeds are below this: short enough to be read out."""


def aim_of(options: Namespace, screen: Screen) -> Aim:
    """What the options aim at. Raises Mistake if there is no such thing."""
    name = name_of(options, screen)
    faults = parse_faults(options.faults)
    plain = load(Aim(name))
    for fault in faults or ():
        if fault not in plain.faults:
            names = ", ".join(sorted(plain.faults)) or "none"
            raise Mistake(f"{name}'s model does not tolerate the fault {fault}; it has {names}")
    aim = Aim(name, options.nodes, faults, options.configuration)
    load(aim)
    return aim


def name_of(options: Namespace, screen: Screen) -> str:
    """NAME, or NAME@MUTANT if --mutant says which. Raises Mistake if there are two of these."""
    name: str = options.name
    if options.mutant:
        if "@" in name:
            raise Mistake(f"{name} names a mutant already; leave out --mutant {options.mutant}")
        name = f"{name}@{options.mutant}"
    tell_execution(name, screen)
    return name


def tell_execution(name: str, screen: Screen) -> None:
    """Say so before a file is executed."""
    if ".py" in name:
        screen.note(f"executing {name.partition(':')[0]}")


def fresh_seed() -> int:
    """A seed that nobody has tried on purpose."""
    return randbelow(FRESH)


def command_for(verb: str, aim: Aim, *more: str) -> str:
    """The command line that does this to that aim."""
    words = [verb, aim.name, *more]
    if aim.nodes:
        words += ["--nodes", str(aim.nodes)]
    if aim.faults is not None:
        words += ["--faults", ",".join(aim.faults) or "none"]
    if aim.configuration:
        words += ["--configuration", aim.configuration]
    return command(*words)


def named(aim: Aim, name: str) -> Aim:
    """The same aim at another name."""
    return msgspec.structs.replace(aim, name=name)
