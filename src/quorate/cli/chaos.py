"""`quorate chaos`: a fresh cluster of real processes under faults, judged by what clients saw."""

import asyncio
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quorate.check import write_history
from quorate.cli.aim import fresh_seed
from quorate.cli.files import write_page
from quorate.cli.screen import Screen, command, in_words
from quorate.cli.systems import SYSTEMS, system_of
from quorate.errors import Mistake
from quorate.explore.report import history_trace
from quorate.live.administration import take_snapshot
from quorate.live.chaos.dialect import Dialect, RedisDialect, WordsDialect
from quorate.live.chaos.nemesis import KINDS, Struck, tolerated
from quorate.live.chaos.network import Network
from quorate.live.chaos.report import Report
from quorate.live.chaos.run import NETWORKS, SEGMENT_BYTES, Plan, Run, member_names
from quorate.scenario.scenario import Scenario
from quorate.scenario.system import System
from quorate.verdict import Verdict

LINKS = {
    "proxies": "proxies on the loopback",
    "namespaces": "a namespace for each member, and the kernel's filter between them",
}


def main(options: Namespace) -> int:
    """Run it, tell it, and keep the cluster's directory unless all is well."""
    screen = Screen(options.json)
    system = system_of(options.name)
    nodes = options.nodes or system.scenario.nodes
    dialect = _dialect(options.name, system)
    seed = fresh_seed() if options.seed is None else options.seed
    kinds = parse_kinds(options.faults, system.scenario)
    if nodes < 2 and kinds:
        raise Mistake("one member alone survives no fault: --nodes 3, or --faults none")
    network = NETWORKS[options.network](member_names(nodes), seed)
    kinds = playable(kinds, network, is_all=options.faults == "all")
    directory = Path(options.dir) if options.dir else Path(tempfile.mkdtemp(prefix="quorate-"))
    plan = Plan(
        system=options.name,
        nodes=nodes,
        kinds=kinds,
        most=system.scenario.crashes,
        seconds=options.seconds,
        seed=seed,
        directory=directory,
        dialect=dialect,
        clients=options.clients,
        rate=options.rate,
        configuration=options.configuration or system.chaos or system.first,
        takes_snapshots=take_snapshot(system.scenario.node) is not None,
        record=options.record,
    )
    is_kept = True
    try:
        with screen.progress(f"chaos {options.name}", None) as bar:

            def tell(struck: Struck) -> None:
                bar(0, f"{struck.at:.1f} s {struck.kind}: {struck.words[:60]}")

            report = asyncio.run(Run(plan, tell, network).play())
        is_kept = bool(options.dir) or report.verdict is not Verdict.PASS
    finally:
        if not is_kept:
            shutil.rmtree(directory, ignore_errors=True)
    _finish(options, screen, report, str(directory) if is_kept else "")
    return report.verdict.exit_code


def parse_kinds(text: str, scenario: Scenario) -> tuple[str, ...]:
    """The value of `--faults`: all (that the model tolerates), none, or names. Raises Mistake."""
    allowed = tolerated(scenario)
    if text in ("all", "none"):
        return allowed if text == "all" else ()
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in KINDS:
            known = ", ".join(KINDS)
            raise Mistake(f"no fault of live clusters is called {name!r}; there are {known}")
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise Mistake(
                f"chaos cannot keep {name} within {scenario.name}'s model; it has {known}"
            )
    return names


def playable(kinds: tuple[str, ...], network: Network[Any], is_all: bool) -> tuple[str, ...]:
    """Those of the kinds that the network can play: all of them, or `is_all`. Raises Mistake."""
    able = tuple(kind for kind in kinds if kind not in network.unable)
    if not is_all and able != kinds:
        (name, *_) = (kind for kind in kinds if kind in network.unable)
        known = ", ".join(kind for kind in KINDS if kind not in network.unable)
        why = network.unable[name]
        raise Mistake(f"--network {network.name} cannot play {name} ({why}); it has {known}")
    return able


def _dialect(name: str, system: System) -> Dialect:
    if name.partition("@")[0] in SYSTEMS:
        return RedisDialect()
    workload = system.scenario.workload
    return WordsDialect(workload.model if workload else "")


def _again(options: Namespace, report: Report) -> str:
    words = ["chaos", report.system, "--nodes", str(report.nodes), "--faults", options.faults]
    words += ["--seconds", f"{options.seconds:g}", "--seed", str(report.seed)]
    words += ["--clients", str(report.clients), "--rate", str(options.rate)]
    if report.network != "proxies":
        words += ["--network", report.network]
    if options.configuration:
        words += ["--configuration", options.configuration]
    return command(*words)


def _finish(options: Namespace, screen: Screen, report: Report, kept: str) -> None:
    """Write the files, and tell everything."""
    again = _again(options, report)
    if options.history:
        write_history(report.history, options.history)
    reasons = report.explanation
    if reasons is not None:
        screen.say(reasons.render())
    if options.html:
        trace = history_trace(report.history, reasons, report.verdict)
        screen.say(f"page     {write_page(options.html, trace)}")
    left_out = dict(report.unable) if options.faults == "all" else {}
    _say(screen, report, left_out)
    if kept:
        screen.say(f"kept     {kept}")
    if kept and options.record == "all":
        screen.say(f"see      {command('replay', kept, '--html', 'steps.html')}")
    screen.say(f"again    {again}")
    screen.json(_facts(report, left_out) | {"directory": kept or None, "again": again})


def _facts(report: Report, left_out: Mapping[str, str]) -> dict[str, object]:
    """The report for `--json`."""
    return {
        "command": "chaos",
        "system": report.system,
        "nodes": report.nodes,
        "clients": report.clients,
        "seed": report.seed,
        "seconds": report.seconds,
        "verdict": report.verdict.value,
        "reasons": report.reasons,
        "operations": report.operations,
        "faults": {
            kind: {"injected": count, "bit": report.bit.get(kind, 0)}
            for kind, count in report.injected.items()
        },
        "strokes": report.struck,
        "leaders": report.leaders,
        "unsynced bytes dropped": report.dropped,
        "network": report.network,
        "left out": left_out,
        "frames": report.frames,
        "configuration": report.configuration,
        "segment bytes": SEGMENT_BYTES,
        "kept": report.kept,
        "explanation": report.explanation.render() if report.explanation else None,
    }


def _say(screen: Screen, report: Report, left_out: Mapping[str, str]) -> None:
    screen.say(f"verdict  {report.verdict.value}", "bold")
    for reason in report.reasons:
        screen.say(f"         {reason}")
    screen.say(
        f"bound    {report.nodes} members, {report.clients} clients, seed {report.seed}; "
        f"{report.seconds:g} s; {report.steps:,} steps of the checker"
    )
    screen.say(
        f"setting  configuration {report.configuration}, segments of {SEGMENT_BYTES:,} bytes"
    )
    screen.say(f"clients  {in_words(report.operations)}")
    for kind, count in sorted(report.injected.items()):
        screen.say(f"faults   {kind}: {count} injected, {report.bit.get(kind, 0)} bit")
    for kind, why in left_out.items():
        screen.say(f"without  {kind}: {why}")
    screen.say(f"links    {LINKS[report.network]}; {in_words(report.frames)}")
    screen.say(f"disks    {in_words(report.kept)}")
    screen.say(f"also     {report.leaders} leaders; {report.dropped:,} unsynced bytes dropped")
