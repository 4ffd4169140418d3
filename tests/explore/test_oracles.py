"""Numbers of states that others have published, found by the `explore` that users call.

Each model's file says where its semantics come from, and where it has to differ.
"""

import pytest

from quorate.bench.oracles import (
    alternating_bit,
    chang_roberts,
    lamport_mutex,
    paxos,
    ping_pong,
    registers,
    two_phase,
)
from quorate.explore.exhaustive import Limits, Result, explore
from quorate.kernel import Node
from quorate.verdict import Verdict


def states(result: Result) -> int:
    """How many there are, if that is all of them and none is wrong."""
    assert result.verdict is Verdict.PASS
    assert result.is_exhausted
    return result.progress.states


@pytest.mark.parametrize(("count", "published"), [(1, 12), (2, 56), (3, 288), (4, 1568), (5, 8832)])
def test_two_phase_commit(count: int, published: int) -> None:
    """TLA+ TwoPhase; for 3 and 5 also Stateright's 2pc. 4^N + 2^N + 6^N; levels 3N + 2."""
    result = explore(two_phase.managers(count))
    assert states(result) == published == 4**count + 2**count + 6**count
    assert result.progress.depth + 1 == 3 * count + 2


@pytest.mark.parametrize(
    ("acceptors", "values", "ballots", "published"),
    [(1, 1, 2, 25), (3, 1, 1, 41), (3, 2, 1, 73), (3, 1, 2, 1681), (3, 2, 2, 3921)],
)
def test_paxos(acceptors: int, values: int, ballots: int, published: int) -> None:
    """TLA+ Paxos, without symmetry."""
    assert states(explore(paxos.paxos(acceptors, values, ballots))) == published


@pytest.mark.parametrize(
    ("count", "clock", "published"), [(2, 4, 401), (2, 6, 1043), (3, 3, 10_209), (3, 4, 70_472)]
)
def test_lamport_mutex(count: int, clock: int, published: int) -> None:
    """TLA+ LamportMutex. The largest, 724 274 at (3, 6), is in the benchmark."""
    assert states(explore(lamport_mutex.processes(count, clock))) == published


@pytest.mark.parametrize(("count", "published"), [(1, 5), (2, 25), (3, 137), (4, 823)])
def test_chang_roberts(count: int, published: int) -> None:
    """TLA+ ChangRoberts, where a message is gone once it is handled, whatever it changes."""
    assert states(explore(chang_roberts.ring(count), keeps_no_ops=True)) == published


def test_alternating_bit() -> None:
    """TLA+ MCAlternatingBit: the states of both beginnings together."""
    results = [explore(alternating_bit.link(bit)) for bit in (0, 1)]
    assert [states(result) for result in results] == [234, 234]
    assert len(set().union(*(result.visited for result in results))) == 240


@pytest.mark.parametrize(
    ("kind", "servers", "clients", "published"),
    [
        (registers.SingleCopy, 1, 2, 93),
        (registers.SingleCopy, 1, 3, 4243),
        (registers.Abd, 2, 1, 13),
        (registers.Abd, 2, 2, 544),
        (registers.Abd, 3, 1, 1449),
        (registers.Paxos, 3, 1, 265),
        (registers.Paxos, 3, 2, 16_668),
    ],
)
def test_registers(kind: type[Node], servers: int, clients: int, published: int) -> None:
    """Stateright's actor models; the clients' history is part of the state."""
    assert states(explore(registers.servers(kind, servers, clients))) == published


def test_two_copies_are_not_linearizable() -> None:
    """Stateright's counterexample has 4 deliveries; 62 states if one counts on after it."""
    scenario = registers.servers(registers.SingleCopy, 2, 2)
    result = explore(scenario)
    assert result.violates == "linearizability"
    assert result.failed is not None
    moves = [way.moves[0] for way in result.failed.path if not way.moves[0].is_start]
    assert [type(move.event).__name__ for move in moves] == ["Put", "PutOk", "Get", "GetOk"]
    full = explore(scenario, limits=Limits(keeps_going=True))
    assert full.violates == "linearizability"
    assert full.progress.states == 62
    assert not full.progress.frontier


@pytest.mark.parametrize(
    ("limit", "network", "drop", "published"),
    [(1, "set", True, 14), (5, "set", True, 4094), (5, "multiset", False, 11)],
)
def test_ping_pong(limit: int, network: str, drop: bool, published: int) -> None:
    """Stateright's actors on a lossy network that duplicates, and on one that does neither."""
    assert states(explore(ping_pong.players(limit, network, drop=drop))) == published
