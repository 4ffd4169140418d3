"""Every state of small rings: how many there are, and how soon broken elections fail."""

from itertools import permutations

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.kernel import NodeId
from quorate.protocols.election.chang_roberts_scenario import ELECT
from quorate.scenario.exploration import Script
from quorate.verdict import Verdict


def asking(*servers: str) -> tuple[Script, ...]:
    """One client at each of these."""
    return tuple(Script((ELECT,), {"server": NodeId(server)}) for server in servers)


ALL = asking("n1", "n2", "n3", "n4")


def test_the_default_exploration() -> None:
    result = explore(load(Aim("chang-roberts")), liveness=True)
    assert result.verdict is Verdict.PASS
    assert result.progress.states == 975


@pytest.mark.parametrize(
    ("arrangement", "states"), [((0, 1, 2, 3), 10_863), ((3, 2, 1, 0), 17_077)]
)
def test_all_begin(arrangement: tuple[int, ...], states: int) -> None:
    """The best order of four processes, and the worst, in every order of events."""
    result = explore(
        load(Aim("chang-roberts")),
        fields={"arrangement": arrangement},
        scripts=ALL,
        liveness=True,
    )
    assert result.verdict is Verdict.PASS
    assert result.progress.states == states


@pytest.mark.parametrize("arrangement", [order for order in permutations(range(4)) if not order[0]])
def test_every_ring_of_four(arrangement: tuple[int, ...]) -> None:
    """Six orders of the ring; the others are these, turned. Messages may be repeated at will."""
    scenario = load(Aim("chang-roberts"))
    fields = {"arrangement": arrangement}
    result = explore(scenario, fields=fields, scripts=ALL, eager=True, network="set")
    assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("mutant", "claim", "steps"),
    [
        ("lower-passed-on", "highest_leads", 6),
        ("higher-not-passed-on", "deadlock", 7),
        ("own-number-in-place-of-a-higher", "deadlock", 9),
        ("lead-over-one-lower", "highest_leads", 3),
        ("sleeper-ends-it", "deadlock", 7),
        ("higher-begun-too-early", "highest_leads", 3),
        ("announcement-not-passed-on", "deadlock", 13),
        ("leader-not-announced", "deadlock", 11),
        ("announced-as-oneself", "one_leader", 8),
    ],
)
def test_mutants(mutant: str, claim: str, steps: int) -> None:
    """The shortest way to the failure."""
    result = explore(load(Aim(f"chang-roberts@{mutant}")))
    assert result.failed is not None
    assert (result.violates, result.failed.transitions) == (claim, steps)


def test_a_number_that_goes_round_for_ever() -> None:
    """Nothing comes to rest, and nobody is elected: only liveness tells."""
    scenario = load(Aim("chang-roberts@own-number-passed-on"))
    result = explore(scenario, liveness=True)
    assert result.violates == "everybody_knows"


def test_beginning_again_breaks_nothing() -> None:
    """It costs messages, and so has more states."""
    result = explore(load(Aim("chang-roberts@begin-again")))
    assert result.verdict is Verdict.PASS
    assert result.progress.states > 975
