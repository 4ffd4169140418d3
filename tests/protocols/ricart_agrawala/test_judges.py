"""What judges Ricart-Agrawala turns its verdict when shown what it forbids."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.kernel import NodeId, Set, Start
from quorate.protocols.mutex.ricart_agrawala import (
    OrderOfRequests,
    RicartAgrawala,
    Ticket,
    contention,
    every_node_enters,
    mutual_exclusion,
    permission_is_exclusive,
    permission_kept,
    tie,
)
from quorate.scenario.tape import Tape
from quorate.verdict import Verdict

N1, N2, N3 = IDS = tuple(NodeId(f"n{number}") for number in range(1, 4))
FIRST: Ticket = (1, N1)
SECOND: Ticket = (1, N2)


def node(id: NodeId, **fields: object) -> RicartAgrawala:
    return RicartAgrawala(id=id, peers=IDS, **fields)  # type: ignore[arg-type]


def insider(id: NodeId, ticket: Ticket, **fields: object) -> RicartAgrawala:
    return node(id, ticket=ticket, is_inside=True, **fields)


def test_mutual_exclusion() -> None:
    assert mutual_exclusion.check([insider(N1, FIRST), node(N2, ticket=SECOND), node(N3)])
    assert not mutual_exclusion.check([insider(N1, FIRST), insider(N2, SECOND), node(N3)])


def test_permission_is_exclusive() -> None:
    nodes = [node(N1, permissions=Set((N2, N3))), node(N2, permissions=Set((N3,))), node(N3)]
    assert permission_is_exclusive.check(nodes)
    nodes[2].permissions = Set((N2,))
    assert not permission_is_exclusive.check(nodes)


@pytest.mark.parametrize("kept", [False, True])
def test_order_of_requests(kept: bool) -> None:
    monitor = OrderOfRequests()
    for ticket in (FIRST, SECOND, SECOND, (3, N1)):
        entered = insider(ticket[1], ticket, keep_permissions=kept)
        assert monitor.watch(node(ticket[1]), Start(), entered)
    late = insider(N3, (2, N3), keep_permissions=kept)
    assert monitor.watch(node(N3), Start(), late) is kept


def test_reachable() -> None:
    nodes = [insider(N1, FIRST, deferred=Set((N2,))), node(N2, ticket=SECOND), node(N3)]
    assert contention.check(nodes)
    assert tie.check(nodes)
    assert not contention.check([insider(N1, FIRST), node(N2, deferred=Set((N3,)))])
    assert not tie.check([nodes[0], node(N2, ticket=(2, N2))])
    assert not permission_kept.check([node(N1, permissions=Set((N2,)), ticket=FIRST)])
    assert permission_kept.check([node(N1, permissions=Set((N2,)))])


def test_every_node_enters() -> None:
    waits = node(N2, clients=((NodeId("c1"), 1),))
    assert every_node_enters.check([insider(N1, FIRST), waits])
    assert every_node_enters.check([node(N1), node(N2)])
    assert not every_node_enters.check([node(N1), waits])


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("", ""),
        ("@one-permission-short", "mutual_exclusion"),
        ("@tie-gives-way", "permission_is_exclusive"),
        ("@tie-defers", "every_node_enters"),
        ("@highest-not-followed", "OrderOfRequests"),
        ("@given-and-not-asked-back", "every_node_enters"),
    ],
)
def test_campaign(mutant: str, claim: str) -> None:
    """The first seeds of the default campaign tell broken algorithms from the real one."""
    scenario = load(Aim(f"ricart-agrawala{mutant}"))
    outcomes = [judge(scenario, Tape(seed)) for seed in range(12)]
    failed = {o.violation.property for o in outcomes if o.violation}
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.PASS, Verdict.FAIL}
    assert claim in failed if claim else not failed


def test_every_mutant_loads() -> None:
    """Each changes the source in exactly one place, and is told apart by its name."""
    mutants = load(Aim("ricart-agrawala")).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert load(Aim(f"ricart-agrawala@{mutant.name}")).node is not RicartAgrawala
