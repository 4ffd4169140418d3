"""`quorate list`: what there is."""

import textwrap
from argparse import Namespace
from typing import Any

from quorate.cli.screen import Screen
from quorate.explore.catalogue import CATALOGUE, Aim, load
from quorate.explore.report import idea, paper
from quorate.scenario.conditions import FAULTS


def main(options: Namespace) -> int:
    """Print the catalogue."""
    screen = Screen(options.json)
    entries = [_entry(name) for name in CATALOGUE]
    screen.json({"command": "list", "protocols": entries})
    for entry in entries:
        screen.say(f"{entry['name']}  {entry['idea']}", "bold")
        screen.say(f"    paper           {entry['paper']}")
        screen.say(f"    servers         {entry['servers']}, with {entry['clients']} clients")
        entry["faults"] = entry["faults"] if len(entry["faults"]) < len(FAULTS) else ["all"]
        for key in ("configurations", "faults", "properties", "mutants"):
            _list(screen, key, entry[key])
        screen.say()
    return 0


def _entry(name: str) -> dict[str, Any]:
    scenario = load(Aim(name))
    claims = [claim.name for claim in scenario.properties or ()]
    return {
        "name": name,
        "idea": idea(scenario),
        "paper": paper(scenario),
        "servers": scenario.nodes,
        "clients": len(scenario.client_ids()),
        "configurations": [configuration.name for configuration in scenario.configurations],
        "faults": sorted(scenario.faults),
        "properties": claims + [monitor.__name__ for monitor in scenario.monitors],
        "mutants": [mutant.name for mutant in scenario.mutants],
    }


def _list(screen: Screen, title: str, names: list[str]) -> None:
    text = ", ".join(names) or "none"
    lines = textwrap.wrap(text, max(screen.width - 20, 40), break_on_hyphens=False)
    screen.say(f"    {title:<16}{lines[0]}")
    for line in lines[1:]:
        screen.say(" " * 20 + line)
