"""`quorate up`, `status` and `down`: a cluster on this machine."""

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quorate.cli.screen import Screen, command
from quorate.cli.systems import SYSTEMS, system_of
from quorate.errors import Mistake
from quorate.live import supervisor
from quorate.live.config import check_url
from quorate.live.supervisor import Place

REFRESH_SECONDS = 1.0


def main(options: Namespace) -> int:
    """Start, look at, or stop the cluster in a directory."""
    actions = {"up": _up, "status": _status, "down": _down}
    return actions[options.command](options, Screen(options.json))


def _up(options: Namespace, screen: Screen) -> int:
    directory = Path(options.dir)
    places = _places(options, directory)
    started: list[Place] = []
    # A cluster that is left running may have lost some of its members: those are started again.
    down = [place for place in places if place.pid() is None] if options.detach else []
    try:
        for place in down or places:
            supervisor.start(place)
            started.append(place)
        facts = supervisor.await_ready(places)
        if not options.detach:
            _tell(places, facts, screen)
            return _watch(places, screen)
    except BaseException:
        supervisor.stop(started)
        raise
    # From here on the cluster stays up, also if nobody reads what we say.
    _tell(places, facts, screen)
    screen.say(command("status", "--dir", str(directory)), "bold")
    return 0


def _tell(places: list[Place], facts: list[dict[str, Any]], screen: Screen) -> None:
    screen.json(_summary(places, facts))
    for place, fact in zip(places, facts, strict=True):
        screen.say("  ".join(_at(place, fact)))


def _at(place: Place, fact: dict[str, Any]) -> tuple[str, ...]:
    metrics = place.config.metrics
    where = (f"metrics http://{metrics}/metrics",) if metrics else ()
    return place.name, f"clients {place.clients}", *where, str(fact.get("role", ""))


def _places(options: Namespace, directory: Path) -> list[Place]:
    if not supervisor.exists(directory):
        if not options.name:
            names = ", ".join(SYSTEMS)
            raise Mistake(f"up what? Give a SYSTEM ({names}), or the NAME of a protocol")
        system = system_of(options.name)
        nodes = options.nodes or min(system.scenario.nodes, 3)
        settings: dict[str, str | bool] = {}
        if options.configuration:
            settings["configuration"] = options.configuration
        if options.record:
            settings["record"] = options.record
        if options.metrics:
            settings["metrics"] = True
        if options.spans:
            check_url(options.spans, "--spans")
            settings["spans"] = options.spans
        return supervisor.create(directory, options.name, nodes, **settings)
    places = supervisor.find(directory)
    if places[0].config.chaos:
        raise Mistake(
            f"{directory} is in the hands of quorate chaos, or that was killed before it let go: "
            "its members reach each other through that alone"
        )
    for what, wanted, there in (
        ("system", options.name, places[0].config.system),
        ("nodes", options.nodes, len(places)),
    ):
        if wanted and wanted != there:
            raise Mistake(f"{directory} holds a cluster with {what} {there}, not {wanted}")
    if options.metrics and not places[0].config.metrics:
        file = places[0].directory / supervisor.CONFIG
        raise Mistake(f'{directory} has no metrics: write metrics = "127.0.0.1:9101" in {file}')
    if options.spans and options.spans != places[0].config.spans:
        file = places[0].directory / supervisor.CONFIG
        raise Mistake(f'{directory} has other spans: write spans = "{options.spans}" in {file}')
    return places


def _watch(places: list[Place], screen: Screen) -> int:
    """Show how the cluster does until Ctrl-C; members that end are told, and stay down."""
    gone: set[str] = set()
    before: list[dict[str, Any]] = []
    try:
        with screen.live_table() as show:
            while True:
                facts = [supervisor.status(place) for place in places]
                for place, fact in zip(places, facts, strict=True):
                    if "error" in fact and place.pid() is None and place.name not in gone:
                        gone.add(place.name)
                        screen.note(f"{place.name} has ended: {place.last_words()}")
                if len(gone) == len(places):
                    raise Mistake("no member is left")
                show(*_table(places, facts, before))
                before = facts
                time.sleep(REFRESH_SECONDS)
    except KeyboardInterrupt:
        supervisor.stop(places)
        screen.say("stopped; the data is kept")
        return 0


def _status(options: Namespace, screen: Screen) -> int:
    places = supervisor.find(Path(options.dir))
    facts = [supervisor.status(place) for place in places]
    screen.json(_summary(places, facts))
    screen.table(*_table(places, facts, []))
    return 0 if all("error" not in fact for fact in facts) else 2


def _down(options: Namespace, screen: Screen) -> int:
    stopped = supervisor.stop(supervisor.find(Path(options.dir)))
    screen.json({"command": "down", "stopped": stopped})
    screen.say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def _summary(places: list[Place], facts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cluster": places[0].config.cluster,
        "system": places[0].config.system,
        "members": {
            place.name: {"client": place.clients, "pid": place.pid(), **_metrics(place), **fact}
            for place, fact in zip(places, facts, strict=True)
        },
    }


def _metrics(place: Place) -> dict[str, str]:
    return {"metrics": place.config.metrics} if place.config.metrics else {}


HEADS = ("member", "clients", "role", "term", "commit", "applied", "lag", "ops/s", "disk")


def _table(
    places: list[Place], facts: list[dict[str, Any]], before: list[dict[str, Any]]
) -> tuple[Sequence[str], list[Sequence[str]]]:
    newest = max((fact.get("last_index") or 0 for fact in facts), default=0)
    rows: list[Sequence[str]] = []
    for number, (place, fact) in enumerate(zip(places, facts, strict=True)):
        if "error" in fact:
            rows.append((place.name, place.clients, f"down: {fact['error']}", *[""] * 6))
            continue
        commit = fact.get("commit_index")
        lag = "" if commit is None else str(newest - commit)
        rate = fact["commands"] - before[number].get("commands", 0) if before else None
        rows.append(
            (
                place.name,
                place.clients,
                fact["role"],
                _cell(fact.get("current_term")),
                _cell(commit),
                _cell(fact.get("applied", commit)),
                lag,
                "" if rate is None else f"{rate / REFRESH_SECONDS:,.0f}",
                f"{_bytes_in(place.directory) / 2**20:,.0f} MiB",
            )
        )
    return HEADS, rows


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _bytes_in(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # It has just been deleted.
    return total
