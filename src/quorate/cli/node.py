"""`quorate node`: one member of a cluster, in this process."""

import asyncio
from argparse import Namespace
from pathlib import Path

from quorate.cli.host_mutants import install
from quorate.cli.screen import Screen
from quorate.cli.systems import system_of
from quorate.errors import Mistake
from quorate.live.chaos.leash import wait_on_leash
from quorate.live.config import Config, read_config
from quorate.live.storage.files import StorageFailed


def main(options: Namespace) -> int:
    """Run the member that a file configures, until it is told to stop."""
    screen = Screen(options.json)
    path = Path(options.config)
    config = read_config(path)
    install(config.system)
    system = system_of(config.system, config.configuration, len(config.members))
    from quorate.live.member import Member  # Whose host may be a mutant from here on.
    from quorate.live.reactions import ReactingMember
    from quorate.live.stepwise import StepwiseMember

    if options.leash:
        wait_on_leash()
    try:
        kind = StepwiseMember if config.stepwise else ReactingMember if config.reacts else Member
        member = kind(config, system, path)

        def ready() -> None:
            screen.json({"member": config.member, "client": config.clients})

        with _runner(config) as runner:
            runner.run(member.run(ready))
    except StorageFailed as error:
        raise Mistake(f"{config.member} stops: {error}") from error
    return 0


def _runner(config: Config) -> asyncio.Runner:
    """With uvloop's event loop where it is installed: it is the faster one.

    But that writes later than it is told to, and a member that stops itself cannot wait for it.
    """
    if config.reacts:
        return asyncio.Runner()
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # An extra.
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
