"""Runs other people's tests of Redis against a member of a cluster of our own.

    python -m tests.systems.kv.suites --redis-py DIR --redis DIR [--through leader]

DIR is the source of redis-py (its tests fit the version that is installed), or of Redis 7.0: both
are fetched by whoever runs this. Tests of what we do not have are listed in `not_applicable.toml`,
each with the reason. The exit code is 0 if all others pass, 1 if one fails, 2 if none was run.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from quorate.live import supervisor
from quorate.live.supervisor import Place

TABLE = Path(__file__).with_name("not_applicable.toml")
SECONDS = 900
"""What all of a suite may take."""


class Result(NamedTuple):
    """What came of one test; `why` tells of one that failed, or does not apply."""

    file: str
    name: str
    outcome: str
    why: str = ""


class Applicability:
    """Which tests of a suite do not apply, by file and name.

    Attributes:
        files: the files of the suite that have tests for us.
    """

    def __init__(self, suite: str) -> None:
        table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
        self.files = list(table[suite])
        self._reasons: dict[str, str] = table["reasons"]
        self._rows = {
            file: [(pattern, key) for key, patterns in rows.items() for pattern in patterns]
            for file, rows in table[suite].items()
        }

    def patterns(self, file: str) -> list[str]:
        """Regular expressions for the names of tests that do not apply."""
        return [pattern for pattern, _ in self._rows[file]]

    def reason(self, file: str, name: str) -> str | None:
        """Why the test does not apply; None if it does."""
        for pattern, key in self._rows[file]:
            if re.fullmatch(pattern, name):
                return self._reasons[key]
        return None

    def stale(self, results: list[Result]) -> Iterator[str]:
        """What in the table is the name of no test."""
        for file in self.files:
            names = [result.name for result in results if result.file == file]
            for pattern in self.patterns(file):
                if names and not any(re.fullmatch(pattern, name) for name in names):
                    yield f"{file}: {pattern}"


# redis-py

INI = "[pytest]\nasyncio_mode = auto\n"


def redis_py(directory: Path, folder: Path, place: Place) -> Iterator[Result]:
    """The results of redis-py's tests."""
    known = Applicability("redis-py")
    (folder / "pytest.ini").write_text(INI, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", str(folder / "pytest.ini"), "--rootdir", str(directory)]
    command += ["-W", "ignore", "-m", "not onlycluster and not ssl and not redismod"]
    command += ["--redis-url", f"redis://{place.clients}/0", "--tb=line"]
    listed = _run([*command, "--collect-only", *known.files], directory)
    wanted = []
    for id in re.findall(r"^(tests/\S.*)$", listed, re.MULTILINE):
        file, _, name = id.partition("::")
        reason = known.reason(file, _function(name))
        if reason is None:
            wanted.append(id)
        else:
            yield Result(file, _function(name), "not applicable", reason)
    (folder / "wanted").write_text("\n".join(wanted), encoding="utf-8")
    report = folder / "report.xml"
    _run([*command, f"--junit-xml={report}", f"@{folder / 'wanted'}"], directory)
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        yield _outcome(case)


def _function(name: str) -> str:
    """A test's name, without its class and parameters."""
    return name.partition("[")[0].rpartition("::")[2]


def _outcome(case: ElementTree.Element) -> Result:
    module, _, _ = case.attrib["classname"].partition(".Test")
    file, name = f"{module.replace('.', '/')}.py", case.attrib["name"]
    for element in case:
        why = element.attrib.get("message", "").splitlines()[:1]
        if element.tag in ("failure", "error"):
            return Result(file, name, "failed", "".join(why))
        if element.tag == "skipped":
            return Result(file, name, "not applicable", f"says redis-py: {''.join(why)}")
    return Result(file, name, "passed")


# Redis's own

TUNINGS = r"""
    if {[regexp {^memory usage \S+$} $args]} { return 1 }
    set tunings {
        {function flush}
        {debug set-active-expire \d}
        {config set (hash|zset)-max-\S+ (\d+|\{\})}
    }
    if {[regexp -nocase "^([join $tunings |])$" $args]} { return OK }
"""
"""What the harness and some tests ask so that Redis works in a certain way, not what they test."""

LINE = re.compile(r"\[(ok|err|skip|ignore|exception)\]: (.*)")
ENDINGS = {
    "ok": re.compile(r" \(\d+ ms\)$"),
    "err": re.compile(r" in tests/\S+\.tcl$"),
    "ignore": re.compile(r": (Tag|Not supported|large memory).*$"),
}


def redis(directory: Path, folder: Path, place: Place) -> Iterator[Result]:
    """The results of Redis's own tests, in a copy of their harness."""
    known = Applicability("redis")
    copy = folder / "redis"
    copy.mkdir()
    shutil.copytree(directory / "tests", copy / "tests")
    harness = copy / "tests" / "test_helper.tcl"
    text = harness.read_text(encoding="utf-8")
    head = "proc r {args} {\n"
    assert text.count(head) == 1, "another harness than that of Redis 7.0"
    harness.write_text(text.replace(head, head + TUNINGS), encoding="utf-8")
    host, _, port = place.clients.rpartition(":")
    for file in known.files:
        skipped = folder / "skipped"
        patterns = (f"/^(?:{pattern})$" for pattern in known.patterns(file))
        skipped.write_text("\n".join(patterns), encoding="utf-8")
        command = ["tclsh", "tests/test_helper.tcl", "--host", host, "--port", port, "--singledb"]
        command += ["--durable", "--ignore-encoding", "--ignore-digest", "--clients", "1"]
        command += ["--timeout", "100", "--skipfile", str(skipped), "--single", file]
        yield from results_in(_run(command, copy), file, known)


def results_in(output: str, file: str, known: Applicability) -> Iterator[Result]:
    """What a run of the harness tells."""
    output, _, _ = re.sub(r"\x1b\[[0-9;]*m", "", output).partition("\n                   The End")
    lines = output.splitlines()
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if found is None:
            if "TIMEOUT" in line:
                yield Result(file, "", "failed", line)
            continue
        kind, name = found.groups()
        name = ENDINGS[kind].sub("", name) if kind in ENDINGS else name
        if kind == "ok":
            yield Result(file, name, "passed")
        elif kind == "skip":
            yield Result(file, name, "not applicable", known.reason(file, name) or "skipped")
        elif kind == "ignore":
            yield Result(file, name, "not applicable", "says Redis: not for an external server")
        else:
            yield Result(file, name, "failed", " ".join(lines[number + 1 : number + 2]))


def _run(command: list[str], folder: Path) -> str:
    try:
        return subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=SECONDS,
        ).stdout  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return f"{error.output or ''}\n[exception]: nothing more within {SECONDS} seconds"


# All of it


def show(suite: str, results: list[Result]) -> None:
    """Print the table of a suite, its failures, and what does not apply."""
    print(f"\n{suite}\n{'passed':>8}{'failed':>8}{'not applicable':>16}")
    for file in dict.fromkeys(result.file for result in results):
        count = Counter(result.outcome for result in results if result.file == file)
        print(f"{count['passed']:8}{count['failed']:8}{count['not applicable']:16}  {file}")
    reasons = Counter(r.why for r in results if r.outcome == "not applicable")
    print("not applicable:")
    for reason, times in reasons.most_common():
        print(f"{times:8}  {reason}")
    for result in results:
        if result.outcome == "failed":
            print(f"FAILED  {result.file}: {result.name}: {result.why}")
    for row in Applicability(suite).stale(results):
        print(f"names no test  {row}")


def place_of(places: list[Place], role: str) -> Place:
    """The member that has the role, or any other than the leader."""
    for place in places:
        if (supervisor.status(place).get("role") == "leader") == (role == "leader"):
            return place
    raise AssertionError(f"no member is a {role}")


SUITES = {"redis-py": redis_py, "redis": redis}


def main() -> int:
    """Run the suites that are there."""
    parser = ArgumentParser(prog="python -m tests.systems.kv.suites", description=__doc__)
    for suite in SUITES:
        parser.add_argument(f"--{suite}", type=Path, metavar="DIR", dest=suite)
    parser.add_argument("--through", choices=("leader", "follower"), default="follower")
    options = parser.parse_args()
    directories: dict[str, Path] = {}
    for suite in SUITES:
        directory = vars(options)[suite]
        why = _absent(suite, directory)
        if why:
            print(f"{suite} is left out: {why}")
        else:
            directories[suite] = directory.resolve()
    found = run(directories, options.through) if directories else []
    count = Counter(result.outcome for result in found)
    print(f"\n{count['passed']} passed, {count['failed']} failed, ", end="")
    print(f"{count['not applicable']} not applicable, through a {options.through}")
    return 1 if count["failed"] else 0 if count["passed"] else 2


def run(directories: dict[str, Path], role: str) -> list[Result]:
    """Run these suites against a cluster of their own, and show what came of them."""
    found: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = supervisor.create(folder / "cluster", "kv", 3)
        try:
            for place in places:
                supervisor.start(place)
            supervisor.await_ready(places)
            for suite, directory in directories.items():
                results = [*SUITES[suite](directory, folder, place_of(places, role))]
                show(suite, results)
                found += results
        finally:
            supervisor.stop(places)
    return found


def _absent(suite: str, directory: Path | None) -> str:
    if directory is None:
        return f"give --{suite} DIR"
    if not (directory / "tests").is_dir():
        return f"{directory} has no folder tests"
    if suite == "redis" and not shutil.which("tclsh"):
        return "tclsh is not installed"
    return ""


if __name__ == "__main__":
    sys.exit(main())
