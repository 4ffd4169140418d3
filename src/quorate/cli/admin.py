"""`quorate admin`: who belongs to a cluster on this machine, and who leads it, while it works."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from quorate.cli import up
from quorate.cli.screen import Screen
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.administration import acquainted
from quorate.live.config import write_config
from quorate.live.disk import STORED
from quorate.live.operator import Unreachable
from quorate.live.supervisor import CONFIG, Place

PATIENCE_SECONDS = 60.0


def main(options: Namespace) -> int:
    """Do what is asked, while clients work."""
    screen = Screen(options.json)
    places = supervisor.find(Path(options.dir))
    known = {place.name: place for place in places}
    if options.action == "status":
        options.command = "status"
        return up.main(options)
    if options.action == "restart":
        _restart(places, screen)
    elif options.action == "snapshot":
        _snapshot([known[options.member]] if options.member in known else places, screen)
    elif not options.member:
        raise Mistake(f"{options.action} which member? There are {', '.join(known)}")
    elif options.action == "add":
        if options.member in known:
            raise Mistake(f"{options.member} is there already; remove it first, and its folder")
        _add(places, options.member, screen)
    elif options.member not in known:
        raise Mistake(f"there is no member {options.member}; there are {', '.join(known)}")
    elif options.action == "remove":
        _remove(places, known[options.member], screen)
    else:
        _demand_answer(known[options.member])
        _operate(places, "transfer", options.member)
        screen.say(f"{options.member} leads")
    screen.json({"command": "admin", "action": options.action, "member": options.member})
    return 0


def _add(places: list[Place], name: str, screen: Screen) -> None:
    """Start it, let it catch up as a learner, and let it vote."""
    running = [place for place in places if place.pid() is not None]
    for other in running:
        _demand_answer(other)
    place = supervisor.enlarge(places, name)
    address = place.config.members[name]
    supervisor.start(place)
    _await_answer(place)
    for other in places:
        if other in running:
            _ask(other, {"ask": "meet", "member": name, "address": address})
        else:  # It learns that when it is started.
            write_config(other.directory / CONFIG, acquainted(other.config, name, address))
    _operate(places, "add-learner", name)
    screen.say(f"{name} learns; its clients connect to {place.clients}")
    _operate(places, "promote", name)
    screen.say(f"{name} votes")


def _remove(places: list[Place], place: Place, screen: Screen) -> None:
    """Let the others decide without it, and stop it if it runs. Its folder stays."""
    others = [other for other in places if other is not place]
    _operate(others, "remove", place.name)
    supervisor.stop([place])
    screen.say(f"{place.name} is no member any more; {place.directory} can go")


def _restart(places: list[Place], screen: Screen) -> None:
    """Each member in turn: a leader hands over first, so that no write waits for an election.

    Those that are down come first, as the others may not do without one more.
    """
    for place in sorted(places, key=lambda place: place.pid() is not None):
        if supervisor.status(place).get("role") == "leader":
            others = [other for other in places if other is not place]
            heirs = [other for other in others if "error" not in supervisor.status(other)]
            if heirs:
                _operate(places, "transfer", heirs[0].name)
        supervisor.stop([place])
        supervisor.start(place)
        _await_answer(place)
        supervisor.await_ready([other for other in places if other.pid() is not None])
        screen.say(f"{place.name} is back")


def _snapshot(places: list[Place], screen: Screen) -> None:
    errors = []
    for place in places:
        answer = _ask(place, {"ask": "snapshot"})
        if "error" in answer:
            errors.append(str(answer["error"]))
        else:
            stored = place.directory / place.config.data / STORED
            screen.say(f"{place.name} stores what it has applied, in {stored}")
    if errors:
        raise Mistake("; ".join(dict.fromkeys(errors)))


def _operate(places: list[Place], f: str, key: str) -> None:
    """Have an operation done, by whichever member answers: these may be asked for twice."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    why = "no member runs"
    while time.monotonic() < deadline:
        for place in places:
            if place.pid() is None:
                continue
            answer = _ask(place, {"ask": "operate", "f": f, "key": key})
            if answer.get("status") == "ok" and answer.get("value") == "True":
                return
            if answer.get("status") == "fail":
                raise Mistake(f"{f} {key}: the cluster refuses: it makes no sense for its members")
            why = answer.get("error", "not yet")
        time.sleep(0.1)
    raise Mistake(f"{f} {key} was not done within {PATIENCE_SECONDS:g} s: {why}")


def _ask(place: Place, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return place.ask(question)
    except Unreachable as error:
        return {"error": f"{place.name} does not answer: {error}"}


def _demand_answer(place: Place) -> None:
    """Raise Mistake, at once, if the member does not answer."""
    why = supervisor.status(place).get("error")
    if why is not None:
        state = "is down" if place.pid() is None else "runs and does not answer"
        raise Mistake(f"{place.name} {state} ({why}): start it, or remove it from the cluster")


def _await_answer(place: Place) -> None:
    deadline = time.monotonic() + supervisor.READY_SECONDS
    while "error" in supervisor.status(place):
        if place.pid() is None or time.monotonic() > deadline:
            raise Mistake(f"{place.name} does not start: {place.last_words()}")
        time.sleep(0.05)
