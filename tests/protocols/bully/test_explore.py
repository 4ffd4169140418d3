"""Every state of small systems; time-outs there may end before messages arrive."""

import pytest

from quorate.explore.catalogue import Aim, load
from quorate.explore.exhaustive import explore
from quorate.verdict import Verdict

ALWAYS = ("nobody_bows_to_a_weaker", "heard_no_stronger")  # They need no synchrony.
IN_TIME = (*ALWAYS, "answered_nodes_wait", "settled")


@pytest.mark.parametrize(
    ("nodes", "crashes", "timers", "only", "states"),
    [
        (3, 0, 3, (*ALWAYS, "two_coordinators"), 21_853),
        (3, 1, 1, (*ALWAYS, "two_coordinators"), 8_208),
        (3, 1, 0, IN_TIME, 675),
        (4, 0, 0, IN_TIME, 6_944),
    ],
)
def test_all_states(
    nodes: int, crashes: int, timers: int, only: tuple[str, ...], states: int
) -> None:
    result = explore(
        load(Aim("bully")), nodes=nodes, crashes=crashes, timers=timers, scripts=(), only=only
    )
    assert result.verdict is Verdict.PASS
    assert result.progress.states == states


def test_without_synchrony_an_answered_node_may_lead() -> None:
    """What the model excludes: a time-out that ends while the answer is on its way."""
    result = explore(load(Aim("bully")), nodes=3, timers=1, scripts=(), only=IN_TIME)
    assert result.violates == "answered_nodes_wait"


@pytest.mark.parametrize(
    ("mutant", "timers", "claim"),
    [
        ("announce-to-all", 1, "nobody_bows_to_a_weaker"),
        ("recover-as-coordinator", 0, "heard_no_stronger"),
        ("lead-although-answered", 2, "heard_no_stronger"),
    ],
)
def test_mutants(mutant: str, timers: int, claim: str) -> None:
    scenario = load(Aim(f"bully@{mutant}"))
    result = explore(scenario, nodes=3, timers=timers, scripts=(), only=ALWAYS)
    assert result.violates == claim
