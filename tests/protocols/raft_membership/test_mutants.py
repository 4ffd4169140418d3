"""Each mutant is one exact change of one module, and what it makes still runs."""

import pytest

from quorate.protocols.consensus.raft_membership_mutants import MUTANTS
from quorate.scenario.mutant import Mutant
from tests.protocols.raft.test_mutants import source


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_old_text_occurs_once_and_the_new_one_compiles(mutant: Mutant) -> None:
    text = source(mutant)
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.module, "exec")


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
