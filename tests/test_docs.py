"""The documents are true: their code runs, their output is what comes out, their links exist."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quorate import kernel
from quorate.cli.arguments import COMMANDS, parse
from quorate.errors import Mistake
from quorate.explore.catalogue import CATALOGUE
from quorate.scenario import adversaries
from quorate.scenario.conditions import FAULTS
from quorate.scenario.notation import parse_entry, parse_fault
from quorate.simulate.nemesis import SHAPES
from tests.regenerate import (
    BLOCK,
    DOCUMENTS,
    EXAMPLES,
    GENERATED,
    REFERENCE,
    ROOT,
    SECTIONS,
    reference,
    regenerated,
    run,
)

BLOCKS = [
    (path, match[1], match[2], match[4])
    for path in DOCUMENTS
    for match in BLOCK.finditer(path.read_text(encoding="utf-8"))
]
"""(document, kind, argument, content)"""

PROSE = {path: path.read_text(encoding="utf-8") for path in (*DOCUMENTS, *ROOT.glob("*.md"))}


def _ids(block: tuple[Path, str, str, str]) -> str:
    return f"{block[0].stem} {block[1]} {block[2]}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b[1] in GENERATED], ids=_ids)
def test_a_generated_block_is_current(block: tuple[Path, str, str, str]) -> None:
    _, kind, argument, content = block
    assert GENERATED[kind](argument) == content, "see make docs"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b[1] in ("hunt", "explore")], ids=_ids)
def test_a_search_comes_to_what_is_shown(block: tuple[Path, str, str, str], tmp_path: Path) -> None:
    """Every line that is shown occurs in the output, in this order; `…` stands for anything."""
    _, kind, argument, content = block
    folder, command = argument.split(": ", 1)
    few = " --jobs 1 --shrink-seconds 1" if kind == "hunt" else ""
    shutil.copytree(EXAMPLES / folder, tmp_path / folder)
    done = run(command + few, tmp_path / folder)
    assert done.returncode == (0 if "verdict  pass" in content else 1), done.stderr
    first, *shown = content.splitlines()
    assert first == f"$ {command}"
    position = 0
    for line in shown:
        pattern = ".*".join(map(re.escape, line.split("…")))
        if line == "…" or line.startswith("again"):
            continue
        found = re.compile(pattern, re.MULTILINE).search(done.stdout, position)
        assert found, f"{line!r} is not in the rest of\n{done.stdout[position:]}"
        position = found.end()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b[1] == "part"], ids=_ids)
def test_a_part_of_a_file_is_in_it(block: tuple[Path, str, str, str]) -> None:
    assert block[3] in (EXAMPLES / block[2]).read_text(encoding="utf-8")


def test_blocks_are_found() -> None:
    """Or the tests above would pass on documents that they do not understand."""
    assert {kind for _, kind, _, _ in BLOCKS} == {*GENERATED, "hunt", "explore", "part"}
    for text in PROSE.values():
        assert text.count("<!-- ") == len(BLOCK.findall(text))


def test_a_stale_block_is_told() -> None:
    text = "<!-- file fast/register.py -->\n```python\nold\n```\n"
    assert "old" not in regenerated(text)
    assert "class Register" in regenerated(text)


def test_the_reference_is_current() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "see make docs"


def test_the_reference_has_all_of_the_kernel() -> None:
    assert {name for _, names in SECTIONS for name in names} == set(kernel.__all__)


def test_the_guide_says_how_to_mend_each_failure() -> None:
    """The kept schedules fail where they were found, and no more after the cure."""
    for schedule, folder, code in (
        ("../fast/stale-read.schedule", "fast", 1),
        ("../fast/stale-read.schedule", "patient", 0),
        ("../patient/new-old-inversion.schedule", "patient", 1),
        ("../patient/new-old-inversion.schedule", "safe", 0),
    ):
        assert run(f"quorate replay {schedule}", EXAMPLES / folder).returncode == code


def test_deleting_the_late_copy_mends_the_guides_run(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "fast", tmp_path / "fast")
    schedule = tmp_path / "fast" / "lost-copy.schedule"
    text = schedule.read_text(encoding="utf-8")
    kept = "".join(line for line in text.splitlines(True) if not line.startswith("lose"))
    assert kept != text
    schedule.write_text(kept, encoding="utf-8")
    assert run("quorate replay lost-copy.schedule", tmp_path / "fast").returncode == 0


def test_the_property_that_the_guide_proposes_works(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "safe", tmp_path / "safe")
    (proposed,) = re.findall(
        r"^  ```python\n(.*?)^  ```$", PROSE[ROOT / "docs" / "guide.md"], re.MULTILINE | re.DOTALL
    )
    source = tmp_path / "safe" / "register.py"
    head = "from collections.abc import Sequence\nfrom quorate.kernel import always\n"
    added = re.sub(r"^  ", "", proposed, flags=re.MULTILINE)
    source.write_text(f"{head}{source.read_text(encoding='utf-8')}\n\n{added}", encoding="utf-8")
    hunt = "quorate hunt ./register.py:Register --seed 1 --seeds 4 --jobs 1"
    done = run(hunt, tmp_path / "safe")
    assert done.returncode == 0, done.stdout + done.stderr
    # And it can fail:
    text = source.read_text(encoding="utf-8").replace("== nodes[0].version", "> 10**6")
    source.write_text(text, encoding="utf-8")
    assert "copies_are_old" in run(f"{hunt} --shrink-seconds 1", tmp_path / "safe").stdout


def test_the_guides_scenarios_are_one() -> None:
    texts = {p.read_text(encoding="utf-8") for p in EXAMPLES.glob("*/register_scenario.py")}
    assert len(texts) == 1


def test_every_command_in_the_documents_is_understood() -> None:
    commands = set()
    for path, text in PROSE.items():
        for found in re.findall(r"`(quorate [a-z][^`]*)`", text.replace("\n", " ")):
            commands.add((path.name, found))
    assert len(commands) > 20
    for name, command in sorted(commands):
        words = shlex.split(command)[1:]
        if words[0] in COMMANDS and len(words) > 1:
            try:
                parse(words)
            except Mistake as error:
                raise AssertionError(f"{name}: {command}: {error}") from error
        else:
            assert words[0] in {*COMMANDS, "bench"}, f"{name}: {command}"


def test_every_command_is_documented() -> None:
    readme = PROSE[ROOT / "README.md"]
    assert all(f"quorate {name}" in readme or f"make {name}" in readme for name in COMMANDS)


def test_links_lead_somewhere() -> None:
    for path, text in PROSE.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_fault_shape_and_adversary_is_documented() -> None:
    text = PROSE[ROOT / "docs" / "faults.md"]
    for name in FAULTS:
        assert f"| `{name}` |" in text
    for shape in SHAPES:
        assert f"| {shape.__name__.replace('_', ' ')} |" in text
    kinds = [k for k in vars(adversaries).values() if isinstance(k, type)]
    own = [k.__name__ for k in kinds if k.__module__ == adversaries.__name__]
    assert len(own) >= 5
    for name in own:
        assert f"| `{name}` |" in text


def test_the_notation_that_is_documented_is_understood() -> None:
    text = PROSE[ROOT / "docs" / "schedules.md"]
    decisions, faults = text.split("## Faults")
    rows = re.findall(r"^\| `([^`]+)` \|", decisions, re.MULTILINE)
    assert len(rows) == 9
    for row in rows:
        parse_entry(row)
    table = faults.split("## When")[0]
    named = re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\| (`.*`) \|", table, re.MULTILINE)))
    assert len(named) >= 14
    for fault in named:
        parse_fault(fault)


def test_pytest_runs_the_example(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "pytest", tmp_path / "example")
    (tmp_path / "example" / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        words, cwd=tmp_path / "example", capture_output=True, text=True, check=False
    )
    assert "3 passed" in done.stdout, done.stdout


def test_the_python_example_runs(tmp_path: Path) -> None:
    source = (EXAMPLES / "pytest" / "from_python.py").read_text(encoding="utf-8")
    done = run_python(source, tmp_path)
    assert done.startswith("Verdict.PASS None\n0 start n1 #0 Paxos(")


def run_python(source: str, folder: Path) -> str:
    """What a program prints."""
    return subprocess.run(
        [sys.executable, "-c", source], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_the_catalogue_is_in_the_readme() -> None:
    row = next(r for r in PROSE[ROOT / "README.md"].splitlines() if "`quorate list`" in r)
    assert all(name in row.lower() for name in CATALOGUE)
