"""What judges Chang-Roberts turns its verdict when shown what it forbids."""

import msgspec
import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import NodeId, Start
from quorate.protocols.election.chang_roberts import (
    ChangRoberts,
    elected_for_good,
    everybody_knows,
    highest_leads,
    one_leader,
    rivals,
    some_know,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

IDS = tuple(NodeId(f"n{number}") for number in range(1, 5))


def ring(*leaders: int | None, marked: tuple[bool, ...] = (True,) * 4) -> list[ChangRoberts]:
    return [
        ChangRoberts(id=id, peers=IDS, leader=leader, is_marked=is_marked)
        for id, leader, is_marked in zip(IDS, leaders, marked, strict=True)
    ]


def test_one_leader() -> None:
    assert one_leader.check(ring(3, None, 3, None))
    assert not one_leader.check(ring(3, None, 2, None))


def test_highest_leads() -> None:
    assert highest_leads.check(ring(3, None, 3, None))
    assert not highest_leads.check(ring(2, None, 2, None))


def test_elected_for_good() -> None:
    nobody, third, second, _ = ring(None, 3, 2, None)
    assert elected_for_good.check(nobody, Start(), third)
    assert elected_for_good.check(third, Start(), third)
    assert not elected_for_good.check(third, Start(), second)
    assert not elected_for_good.check(third, Start(), nobody)


def test_sometimes() -> None:
    nobody: tuple[None, ...] = (None,) * 4
    assert rivals.check(ring(*nobody, marked=(True, False, True, False)))
    assert not rivals.check(ring(*nobody, marked=(True, True, False, False)))
    assert some_know.check(ring(3, None, None, None))
    assert not some_know.check(ring(*nobody))
    assert not some_know.check(ring(3, 3, 3, 3))


def test_everybody_knows() -> None:
    assert everybody_knows.check(ring(3, 3, 3, 3))
    assert everybody_knows.check(ring(None, None, None, None, marked=(False,) * 4))
    assert not everybody_knows.check(ring(3, 3, None, 3))


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@begin-again", ""),
        ("@lower-passed-on", "highest_leads"),
        ("@announced-as-oneself", "one_leader"),
        ("@sleeper-ends-it", "everybody_knows"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken elections from the real one."""
    scenario = load(Aim(f"chang-roberts{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(20)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_clients_see_what_the_properties_see() -> None:
    """Without properties, answers that name two leaders are found in the history."""
    scenario = load(Aim("chang-roberts@announced-as-oneself"))
    blind = msgspec.structs.replace(scenario, properties=(), monitors=())
    outcomes = [judge(blind, Tape(seed)) for seed in range(20)]
    assert "linearizability" in {o.violation.property for o in outcomes if o.violation}


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("chang-roberts")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"chang-roberts@{mutant.name}")).node is not ChangRoberts
