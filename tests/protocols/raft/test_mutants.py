"""Each mutant is one exact change of one module, and what it makes still runs."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from quorate.protocols.consensus.raft_mutants import MUTANTS
from quorate.scenario.mutant import Mutant


def source(mutant: Mutant) -> str:
    spec = find_spec(f"quorate.protocols.consensus.{mutant.module}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_old_text_occurs_once_and_the_new_one_compiles(mutant: Mutant) -> None:
    text = source(mutant)
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.module, "exec")


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
