"""What the command line takes. Imports next to nothing but argparse: help must come at once."""

import argparse
import difflib
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from quorate import __version__
from quorate.compiled import is_compiled
from quorate.errors import Mistake

COMMANDS = {
    "list": "quorate.cli.catalogue",
    "run": "quorate.cli.run",
    "hunt": "quorate.cli.hunt",
    "replay": "quorate.cli.replay",
    "explore": "quorate.cli.explore",
    "mutants": "quorate.cli.mutants",
    "check": "quorate.cli.check",
    "up": "quorate.cli.up",
    "status": "quorate.cli.up",
    "down": "quorate.cli.up",
    "admin": "quorate.cli.admin",
    "node": "quorate.cli.node",
    "chaos": "quorate.cli.chaos",
    "demo": "quorate.cli.demo",
    "bench": "quorate.cli.bench",
}
"""The module of each command; its `main(options)` returns the exit code."""

EXAMPLES = """\
NAME is a name of the catalogue (quorate list), NAME@MUTANT, or path/to/file.py:Class, which
executes that file. Exit code: 0 pass, 1 fail, 2 unknown, 3 a mistake in what was asked.

examples:
  quorate hunt raft --seeds 2000           try 2000 seeds on all cores
  quorate hunt raft@vote-not-durable       find a broken Raft out, and shrink what broke it
  quorate replay raft.schedule --html f    play a schedule again, and draw it
  quorate explore paxos --ballots 2        visit every state within a bound
  quorate check history.edn --model kv     judge what somebody else's clients saw
"""
LARGEST = 10**18
"""Whole numbers on the command line stay below this."""


class Parser(argparse.ArgumentParser):
    """As argparse's, but an error is one line that names the nearest valid words, exit code 3."""

    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = (
                "command" if action.dest == "command" else (action.option_strings or ["value"])[0]
            )
            valid = [str(choice) for choice in action.choices]
            raise Mistake(f"no {what} is called {value!r}; {nearest(str(value), valid)}")


def nearest(word: str, valid: Sequence[str]) -> str:
    """`did you mean hunt?`, or all the valid words."""
    near = difflib.get_close_matches(word, valid, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(valid)}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command that was asked for. Raises Mistake, or SystemExit after help."""
    if arguments[:1] == ["bench"]:  # It reads its own.
        return argparse.Namespace(command="bench", arguments=list(arguments[1:]))
    parser, commands = _parsers()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None:
        raise Mistake(f"which command? There are {', '.join(COMMANDS)} (see quorate --help)")
    if options.command == "explore":
        options.flags = [f for a in commands["explore"]._actions for f in a.option_strings]
        options.bounds, rest = _declared_bounds(rest, options.flags)
    if rest:
        own = commands[options.command]
        if not rest[0].startswith("-"):
            raise Mistake(f"{options.command} takes no further {rest[0]!r} (see {own.prog} --help)")
        word = rest[0].partition("=")[0]
        valid = [text for action in own._actions for text in action.option_strings]
        raise Mistake(f"{options.command} has no option {word}; {nearest(word, valid)}")
    return options


def _declared_bounds(rest: Sequence[str], flags: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Flags that only a scenario knows, as `--ballots 2`; and what is left of the words."""
    bounds: dict[str, int] = {}
    left = list(rest)
    while left and left[0].startswith("--"):
        name, equals, value = left.pop(0)[2:].partition("=")
        if not equals:
            value = left.pop(0) if left else ""
        if not value.isdecimal():
            near = difflib.get_close_matches(f"--{name}", flags, n=1)
            if near:
                raise Mistake(f"explore has no option --{name}; did you mean {near[0]}?")
            found = f", not {value!r}" if value else " (see quorate explore --help)"
            raise Mistake(f"--{name} needs a whole number{found}")
        bounds[name.replace("-", "_")] = int(value[:18])
    return bounds, left


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="quorate",
        description="Simulate distributed systems, and find, shrink and replay what breaks them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"quorate {__version__}{', compiled' if is_compiled() else ''}"
    parser.add_argument("--version", action="version", version=version)
    group = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    commands: dict[str, Parser] = {}

    def command(name: str, help_text: str) -> Parser:
        made = group.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        made.add_argument("--json", action="store_true", help="print one JSON object instead")
        commands[name] = made
        return made

    command("list", "the catalogue: every protocol with its properties and mutants")
    _run_options(command("run", "one simulated run, judged"))
    _hunt_options(command("hunt", "many seeds over all cores; shrinks what it finds"))
    _replay_options(command("replay", "play a schedule file again"))
    _explore_options(command("explore", "visit every state of a small configuration"))
    _mutants_options(command("mutants", "break each rule of a protocol, and see who notices"))
    _check_options(command("check", "judge a recorded history"))
    _up_options(command("up", "run a system as a real cluster on this machine"))
    for verb, what in (("status", "how that cluster does"), ("down", "stop that cluster")):
        _dir_option(command(verb, what))
    _admin_options(command("admin", "change who belongs to that cluster, or who leads it"))
    node = command("node", "run one member of a cluster")
    node.add_argument("--config", metavar="FILE", required=True, help="its node.toml")
    node.add_argument(
        "--leash", action="store_true", help="start at a line on standard input, end where it ends"
    )
    _chaos_options(
        command("chaos", "strike a real cluster with faults, and judge what clients saw")
    )
    _demo_options(command("demo", "find, shrink and show a failure; then try the real thing"))
    command("bench", "measure, each goal beside its peer")
    return parser, commands


def _aim_options(parser: Parser) -> None:
    parser.add_argument("--nodes", type=_count, default=0, help="number of servers")
    parser.add_argument(
        "--faults", default="all", help="all (that the protocol's model tolerates), none, or names"
    )
    parser.add_argument("--configuration", default="", help="run only this configuration")
    parser.add_argument("--mutant", default="", help="the same as NAME@MUTANT")


def _file_options(parser: Parser) -> None:
    parser.add_argument("--html", metavar="FILE", help="write the run as a page for a browser")
    parser.add_argument("--trace", metavar="FILE", help="write the trace as JSON Lines")
    parser.add_argument("--shiviz", metavar="FILE", help="write the trace as a log for ShiViz")
    parser.add_argument("--history", metavar="FILE", help="write what the clients saw")


def _run_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--seed", type=_whole, help="default: a fresh one")
    _aim_options(parser)
    _file_options(parser)


def _hunt_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument("--seeds", type=_count, help="how many to try in all (default 1000)")
    bound.add_argument("--minutes", type=_positive, help="how long to try")
    parser.add_argument("--seed", type=_whole, help="the first seed; default: a fresh one")
    parser.add_argument("--jobs", type=_jobs, help="processes; default: one for each core")
    _aim_options(parser)
    parser.add_argument("--out", metavar="DIR", default=".", help="where to write what is found")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first failure")
    parser.add_argument("--resume", metavar="FILE", help="go on with an interrupted hunt")
    parser.add_argument("--shrink-seconds", type=_positive, default=20.0, help="default 20")
    parser.add_argument("--html", metavar="FILE", help="write the failure as a page for a browser")


def _replay_options(parser: Parser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE.schedule",
        help="or a live cluster's directory, with its recording",
    )
    parser.add_argument(
        "--pdb", metavar="EVENT", help="stop inside the handler: @17 or 'deliver n1→n2 Vote #0'"
    )
    parser.add_argument(
        "--on", choices=("simulator", "live"), default="simulator", help="live: a real cluster"
    )
    parser.add_argument(
        "--step", action="store_true", help="with --on live: take every step as the schedule has it"
    )
    parser.add_argument(
        "--export-ordered",
        metavar="FILE",
        help="write the run as an order of events",
    )
    _file_options(parser)


def _explore_options(parser: Parser) -> None:
    parser.epilog = (
        "The scenario says what is explored unless a flag says otherwise. Bounds that it declares "
        "are flags too: --ballots 2, --terms 3."
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="")
    parser.add_argument(
        "--from", dest="start", metavar="FILE@EVENT", default="",
        help="begin in the middle of a schedule: x.schedule@17",
    )  # fmt: skip
    parser.add_argument("--mutant", default="", help="the same as NAME@MUTANT")
    parser.add_argument("--nodes", type=_count, help="number of servers")
    parser.add_argument(
        "--network", choices=("set", "multiset", "fifo", "rpc"), help="how messages travel"
    )
    parser.add_argument("--drop", action="store_true", default=None, help="messages may be lost")
    parser.add_argument(
        "--duplicate", action="store_true", default=None, help="messages may arrive more than once"
    )
    parser.add_argument(
        "--newest-only", action="store_true", default=None,
        help="a message replaces an older one that is under way on its link",
    )  # fmt: skip
    parser.add_argument(
        "--property", metavar="NAME", action="append", default=[], help="judge by this one only"
    )
    parser.add_argument("--reduce", default="", help="symmetry, sleep: visit less")
    parser.add_argument(
        "--liveness", action="store_true", default=None, help="judge `eventually` too"
    )
    _bound_options(parser)
    parser.add_argument("--keep-going", action="store_true", help="count on after a failure")
    parser.add_argument(
        "--no-ops", action="store_true", help="messages that change nothing arrive all the same"
    )
    parser.add_argument("--self-check", action="store_true", help="run every step twice")
    parser.add_argument("--out", metavar="DIR", default=".", help="where to write what is found")
    parser.add_argument("--html", metavar="FILE", help="write the failure as a page for a browser")


def _bound_options(parser: Parser) -> None:
    """How far an exploration goes, and what it may use."""
    parser.add_argument(
        "--search", choices=("breadth", "depth"), default="breadth", help="default breadth"
    )
    parser.add_argument("--crashes", type=_whole, help="how many crashes may happen, at any cut")
    parser.add_argument(
        "--timing", choices=("asynchronous", "synchronous"),
        help="whether timers fire at any time, or at their deadlines",
    )  # fmt: skip
    parser.add_argument("--timers", type=_whole_or_all, help="how many timers may fire; or all")
    parser.add_argument("--channel", type=_count, help="messages under way on one link at most")
    parser.add_argument("--jobs", type=_jobs, default=1, help="processes; default 1")
    parser.add_argument("--depth", type=_count, help="transitions from the beginning")
    parser.add_argument("--states", type=_count, help="stop after so many")
    parser.add_argument("--seconds", type=_positive, help="stop after so long")
    parser.add_argument("--memory", type=_count, help="MiB; default 70 %% of what is free")


def _mutants_options(parser: Parser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: the whole catalogue")
    parser.add_argument(
        "--judge", choices=("hunt", "explore", "both"), default="both", help="default both"
    )
    parser.add_argument("--seeds", type=_count, default=2000, help="to hunt each (default 2000)")
    parser.add_argument(
        "--states", type=_count, default=1_000_000, help="to explore of each (default 1000000)"
    )
    parser.add_argument(
        "--seconds", type=_positive, default=60.0, help="for each and judge (default 60)"
    )
    parser.add_argument("--seed", type=_whole, help="the first seed; default: a fresh one")
    parser.add_argument("--jobs", type=_jobs, help="processes; default: one for each core")


def _check_options(parser: Parser) -> None:
    parser.add_argument("file", metavar="HISTORY")
    parser.add_argument("--model", required=True, help="register, cas-register, kv, counter, ...")
    parser.add_argument("--format", help="default: told by the content")
    parser.add_argument("--no-split", action="store_true", help="do not judge each key alone")
    parser.add_argument("--memory", type=_count, default=1024, help="MB at the most (default 1024)")
    parser.add_argument("--seconds", type=_positive, default=60.0, help="default 60")
    parser.add_argument("--html", metavar="FILE", help="write what failed as a page for a browser")


def _dir_option(parser: Parser) -> None:
    parser.add_argument("--dir", metavar="DIR", default="cluster", help="default cluster")


def _admin_options(parser: Parser) -> None:
    parser.add_argument(
        "action", metavar="ACTION",
        choices=("add", "remove", "transfer", "snapshot", "restart", "status"),
        help="add, remove or transfer to MEMBER; snapshot; restart: every member in turn; status",
    )  # fmt: skip
    parser.add_argument("member", metavar="MEMBER", nargs="?", default="", help="as n4")
    _dir_option(parser)


def _up_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="SYSTEM", nargs="?", default="", help="kv, or a NAME")
    parser.add_argument("--nodes", type=_count, default=0, help="number of members")
    _dir_option(parser)
    parser.add_argument("--detach", action="store_true", help="leave it running, and return")
    parser.add_argument("--metrics", action="store_true", help="give each member a port for them")
    parser.add_argument("--spans", metavar="URL", default="", help="tell this OTLP collector spans")
    parser.add_argument("--configuration", default="", help="the settings of this configuration")
    parser.add_argument("--record", choices=("all", "sample", "none"), help="default sample")


def _chaos_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="SYSTEM", help="kv, or a NAME; NAME@MUTANT breaks it")
    parser.add_argument("--nodes", type=_count, default=0, help="number of members")
    parser.add_argument("--faults", default="all", help="all, none, or names: kill,power-cut,...")
    parser.add_argument(
        "--network",
        choices=("proxies", "namespaces"),
        default="proxies",
        help="on the loopback, or of the kernel's (Linux); default proxies",
    )
    parser.add_argument("--seconds", type=_positive, default=60.0, help="default 60")
    parser.add_argument("--seed", type=_whole, help="default: a fresh one")
    parser.add_argument("--clients", type=_count, default=10, help="default 10")
    parser.add_argument(
        "--rate", type=_count, default=400, help="operations a second (default 400)"
    )
    parser.add_argument("--configuration", default="", help="the settings of this configuration")
    parser.add_argument("--record", choices=("all", "sample", "none"), default="none")
    parser.add_argument("--dir", metavar="DIR", default="", help="for the cluster; kept")
    parser.add_argument("--html", metavar="FILE", help="write what failed as a page for a browser")
    parser.add_argument("--history", metavar="FILE", help="write what the clients saw")


def _demo_options(parser: Parser) -> None:
    parser.add_argument("--mutant", default="vote-not-durable", help="default vote-not-durable")
    parser.add_argument(
        "--seconds", type=_positive, default=20.0, help="for the real Raft (default 20)"
    )
    parser.add_argument("--out", metavar="DIR", default="out", help="default out")


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text[:19]) >= LARGEST:
        raise argparse.ArgumentTypeError(f"expected a whole number below 10^18, found {text!r}")
    return int(text)


def _whole_or_all(text: str) -> int:
    return -1 if text == "all" else _whole(text)


def _count(text: str) -> int:
    number = _whole(text)
    if not number:
        raise argparse.ArgumentTypeError("expected at least 1, found 0")
    return number


def _jobs(text: str) -> int:
    number, most = _count(text), 8 * (os.cpu_count() or 1)
    if number > most:
        raise argparse.ArgumentTypeError(f"expected at most {most} on this machine, found {number}")
    return number


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < LARGEST:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return number
