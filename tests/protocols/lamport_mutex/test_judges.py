"""What judges Lamport's mutual exclusion turns its verdict when shown what it forbids."""

import msgspec
import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import Map, NodeId, Set, Start
from quorate.protocols.mutex.lamport_mutex import (
    Acknowledges,
    GrantedInOrder,
    LamportMutex,
    Stamp,
    clock_condition,
    contention,
    every_request_is_granted,
    mutual_exclusion,
    tie,
    yielding,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
FIRST: Stamp = (1, N1)
SECOND: Stamp = (1, N2)


def node(id: NodeId, **fields: object) -> LamportMutex:
    return LamportMutex(id=id, peers=IDS, **fields)  # type: ignore[arg-type]


def holder(id: NodeId, stamp: Stamp) -> LamportMutex:
    return node(id, mine=stamp, has_resource=True)


def test_mutual_exclusion() -> None:
    assert mutual_exclusion.check([holder(N1, FIRST), node(N2, mine=SECOND), node(N3)])
    assert not mutual_exclusion.check([holder(N1, FIRST), holder(N2, SECOND), node(N3)])


def test_granted_in_order() -> None:
    monitor = GrantedInOrder()
    for stamp in (FIRST, SECOND, (3, N1)):
        assert monitor.watch(node(stamp[1], mine=stamp), Start(), holder(stamp[1], stamp))
        assert monitor.watch(holder(stamp[1], stamp), Start(), node(stamp[1]))
    late = node(N3, mine=(2, N3))
    assert monitor.watch(node(N3), Start(), late)
    assert not monitor.watch(late, Start(), holder(N3, (2, N3)))


def test_clock_condition() -> None:
    before, after = node(N1, clock=4), node(N1, clock=5)
    assert clock_condition.check(before, Acknowledges(4), after)
    assert not clock_condition.check(before, Acknowledges(5), after)
    after.told = Map({N2: 5})
    assert clock_condition.check(before, Start(), after)
    before.told = Map({N3: 5})
    assert not clock_condition.check(before, Start(), after)
    after.told = Map({N2: 6})
    assert not clock_condition.check(before, Start(), after)


def test_reachable() -> None:
    nodes = [holder(N1, FIRST), node(N2, mine=SECOND), node(N3)]
    assert contention.check(nodes)
    assert tie.check(nodes)
    assert not contention.check(nodes[1:])
    assert not contention.check([nodes[0], nodes[2]])
    assert not tie.check([nodes[0], node(N2, mine=(2, N2))])
    nodes[1].queue = Set((FIRST, SECOND))
    assert not yielding.check(nodes[1:])
    nodes[1].heard = Map({N1: 2, N3: 2})
    assert yielding.check(nodes[1:])
    nodes[1].queue = Set((SECOND,))
    assert not yielding.check(nodes[1:])


def test_every_request_is_granted() -> None:
    waits = node(N2, clients=((NodeId("c1"), 1),))
    assert every_request_is_granted.check([holder(N1, FIRST), waits])
    assert every_request_is_granted.check([node(N1), node(N2)])
    assert not every_request_is_granted.check([node(N1), waits])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@enter-when-heard-at-that-time", ""),
        ("@enter-unheard", "mutual_exclusion"),
        ("@enter-when-one-is-heard", "GrantedInOrder"),
        ("@clock-not-advanced-by-messages", "clock_condition"),
        ("@no-acknowledgement", "every_request_is_granted"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken algorithms from the real one."""
    scenario = load(Aim(f"lamport-mutex{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(10)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_without_order_on_links_it_fails() -> None:
    """The paper's assumption is needed: the same campaign, where messages may overtake."""
    scenario = msgspec.structs.replace(load(Aim("lamport-mutex")), ordered_links=False)
    outcomes = [judge(scenario, Tape(seed)) for seed in range(10)]
    assert "GrantedInOrder" in {o.violation.property for o in outcomes if o.violation}


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("lamport-mutex")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"lamport-mutex@{mutant.name}")).node is not LamportMutex
