"""Each property of Raft holds of a lawful step, and fails for one that breaks what it claims."""

from typing import Any

import pytest

from quorate.kernel import (
    Event,
    Log,
    Map,
    Monitor,
    NodeId,
    Operation,
    Start,
    fingerprint,
)
from quorate.kernel.node import check_classes
from quorate.kernel.properties import Property
from quorate.protocols.consensus import raft_properties as properties
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry, Floor, StateMachine
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    LEADER,
    PRE_CANDIDATE,
    Config,
    Covered,
    ElectionTimeout,
    Incoming,
    RequestVote,
)
from quorate.protocols.machines.key_value import Pair
from tests.protocols.raft.cluster import ALICE, N1, N2, N3

TICK = ElectionTimeout()


def server(id: NodeId = N1, **fields: Any) -> Raft:
    three = ((0, Configuration((N1, N2, N3))),)
    return Raft(id=id, peers=(N1, N2, N3), **{"configurations": three, **fields})


def log(*terms: int, start: int = 1) -> Log[Entry]:
    return Log([Entry(term) for term in terms], start=start)


def holds(claim: Property, before: Raft, after: Raft, event: Event = TICK) -> bool:
    return claim.check(before, event, after)


def watched(monitor: Monitor, *steps: tuple[Raft, Raft]) -> list[bool]:
    return [monitor.watch(before, TICK, after) for before, after in steps]


def test_the_state_is_immutable_and_canonical() -> None:
    check_classes((Raft,))
    assert fingerprint(server()) == fingerprint(server())
    assert fingerprint(server()) != fingerprint(server(current_term=1))


def test_election_safety() -> None:
    """Two leaders of one term are seen although the first has long been dead."""
    first = (server(), server(role=LEADER, current_term=3))
    other_term = (server(N2), server(N2, role=LEADER, current_term=4))
    same_term = (server(N2), server(N2, role=LEADER, current_term=3))
    dead = (server(role=LEADER, current_term=3), server(current_term=3))
    assert watched(properties.ElectionSafety(), first, dead, other_term) == [True] * 3
    assert watched(properties.ElectionSafety(), first, dead, same_term) == [True, True, False]


def test_elected_by_majority() -> None:
    """Two of three have voted for n1, in this term; one is not enough, nor are old votes."""
    monitor = properties.ElectedByMajority()
    own = (server(), server(current_term=2, voted_for=N1, role=CANDIDATE))
    other = (server(N2), server(N2, current_term=2, voted_for=N1))
    won = (own[1], server(current_term=2, voted_for=N1, role=LEADER))
    later = (own[1], server(current_term=3, voted_for=N1, role=LEADER))
    assert watched(monitor, own, other, won) == [True] * 3
    assert watched(properties.ElectedByMajority(), own, own, won) == [True, True, False]
    assert watched(properties.ElectedByMajority(), own, other, later) == [True, True, False]


def test_committed_by_majority() -> None:
    def commits(leader_log: Log[Entry], *followers: Log[Entry]) -> bool:
        monitor = properties.CommittedByMajority()
        for id, entries in zip((N2, N3), followers, strict=False):
            watched(monitor, (server(id), server(id, log=entries)))
        before = server(role=LEADER, log=leader_log)
        after = server(role=LEADER, log=leader_log, commit_index=2)
        return watched(monitor, (before, after))[0]

    assert commits(log(1, 1), log(1, 1))
    assert commits(log(1, 1), log(2, start=3))
    assert not commits(log(1, 1), log(1))
    assert not commits(log(1, 1), log(1), log(1, 2))


def test_commits_its_own_term() -> None:
    claim = properties.commits_its_own_term
    leader = server(role=LEADER, current_term=3, log=log(1, 2, 3))
    for index, lawful in [(3, True), (2, False)]:
        after = server(role=LEADER, current_term=3, log=log(1, 2, 3), commit_index=index)
        assert holds(claim, leader, after) == lawful
        follower = server(current_term=3, log=log(1, 2, 3), commit_index=index)
        assert holds(claim, server(current_term=3, log=log(1, 2, 3)), follower)


def test_leader_append_only() -> None:
    def leader(entries: Log[Entry], term: int = 2) -> Raft:
        return server(role=LEADER, current_term=term, log=entries)

    claim = properties.leader_append_only
    before = leader(log(1, 1))
    assert holds(claim, before, leader(before.log.append(Entry(2))))
    assert holds(claim, before, leader(before.log.compact(2)))
    assert holds(claim, before, leader(log(1), term=3))
    assert holds(claim, before, server(log=log(1)))
    assert not holds(claim, before, leader(before.log.truncate(2)))
    assert not holds(claim, before, leader(log(1, 2, 2)))


def test_log_matching() -> None:
    """Logs that share an entry but not what precedes it; or an index and term, not the entry."""
    empty = log()
    good = [(server(log=empty), server(log=log(1, 2))), (server(N2), server(N2, log=log(1, 1)))]
    assert watched(properties.LogMatching(), *good) == [True, True]
    hole = (server(N3), server(N3, log=log(1, 1, 2)))
    other_past = (server(N3), server(N3, log=log(2, 2)))
    assert watched(properties.LogMatching(), *good, hole)[-1]
    assert not watched(properties.LogMatching(), *good, other_past)[-1]
    grown = (server(N3, log=empty), server(N3, log=log(1, 2, 2)))
    kept = grown[1].log.compact(3)
    for term, lawful in [(2, True), (1, False)]:
        compacted = (grown[1], server(N3, log=kept, snapshot=Covered(2, term)))
        assert watched(properties.LogMatching(), grown, compacted) == [True, lawful]
    named = Log([Entry(1, ALICE, 1, Operation("get"))], start=1)
    assert not watched(properties.LogMatching(), *good, (server(N3), server(N3, log=named)))[-1]


def test_leader_completeness() -> None:
    committed = (server(), server(current_term=2, log=log(1, 2), commit_index=2))
    whole = server(N2, role=LEADER, current_term=3, log=log(1, 2, 3))
    compacted = server(N2, role=LEADER, current_term=3, log=log(start=9), commit_index=0)
    lacking = server(N2, role=LEADER, current_term=3, log=log(1))
    older = server(N2, role=LEADER, current_term=1, log=log(1))
    for leader in (whole, compacted, older):
        assert watched(properties.LeaderCompleteness(), committed, (server(N2), leader))[-1]
    assert not watched(properties.LeaderCompleteness(), committed, (server(N2), lacking))[-1]


def test_state_machine_safety() -> None:
    one = (server(), server(log=log(1, 1), commit_index=2))
    same = (server(N2), server(N2, log=log(1, 1, 2), commit_index=3))
    other = (server(N3), server(N3, log=log(1, 2), commit_index=2))
    after_snapshot = (server(N3), server(N3, log=log(2, start=3), commit_index=3))
    assert watched(properties.StateMachineSafety(), one, same, after_snapshot) == [True] * 3
    assert watched(properties.StateMachineSafety(), one, same, other) == [True, True, False]


def test_exactly_once() -> None:
    """A machine that did an operation twice, or lost it, is not the one that the log makes."""
    entry = Entry(1, ALICE, 1, Operation("append", "x", "a"))
    entries = Log([entry, entry], start=1)

    def applied(text: str, log: Log[Entry] = entries, commit_index: int = 2) -> Raft:
        state = StateMachine().of((Pair("x", text),))
        return server(log=log, commit_index=commit_index, state=state)

    assert watched(properties.ExactlyOnce(), (server(), applied("a"))) == [True]
    assert watched(properties.ExactlyOnce(), (server(), applied("aa"))) == [False]
    first = (server(), applied("a"))
    snapshot = Log[Entry](start=3)
    assert watched(properties.ExactlyOnce(), first, (server(N2), applied("a", snapshot)))[-1]
    assert not watched(properties.ExactlyOnce(), first, (server(N2), applied("b", snapshot)))[-1]
    assert watched(properties.ExactlyOnce(), (server(N2), applied("a", snapshot))) == [False]
    forgotten = server(log=entries, commit_index=2, state=StateMachine().of((Floor(1),)))
    assert watched(properties.ExactlyOnce(), (server(), forgotten)) == [True]


def test_one_vote_per_term() -> None:
    claim = properties.one_vote_per_term
    voted = server(current_term=1, voted_for=N2)
    assert holds(claim, server(current_term=1), voted)
    assert holds(claim, voted, server(current_term=2, voted_for=N3))
    assert not holds(claim, voted, server(current_term=1, voted_for=N3))
    assert not holds(claim, voted, server(current_term=1), Start(True))


def test_nobody_disturbs_a_leader() -> None:
    claim = properties.nobody_disturbs_a_leader
    assert holds(claim, server(role=PRE_CANDIDATE), server(role=CANDIDATE))
    assert not holds(claim, server(), server(role=CANDIDATE))
    calm = Config(pre_vote=False, check_quorum=False)
    assert holds(claim, server(config=calm), server(role=CANDIDATE, config=calm))
    request = RequestVote(2, 0, 0, False)
    led = server(leader=N2)
    assert holds(claim, led, led, request)
    assert not holds(claim, led, server(current_term=2), request)
    assert holds(claim, server(), server(current_term=2), request)


def test_who_hears_a_leader_follows_it() -> None:
    claim = properties.who_hears_a_leader_follows_it
    for role, lawful in [("follower", True), (LEADER, True), (PRE_CANDIDATE, False)]:
        assert holds(claim, server(role=role), server(role=role, leader=N2)) == lawful
        assert holds(claim, server(role=role), server(role=role))


def test_match_index_grows() -> None:
    def leader(match: int, term: int = 1) -> Raft:
        known = Map({N1: 3, N2: match, N3: 0})
        return server(role=LEADER, current_term=term, match_index=known)

    claim = properties.match_index_grows
    assert holds(claim, leader(1), leader(2))
    assert holds(claim, leader(2), leader(1, term=2))
    assert not holds(claim, leader(2), leader(1))


def test_never_backwards() -> None:
    claim = properties.never_backwards
    now = server(current_term=2, log=log(1, 1), commit_index=2)
    assert holds(claim, server(current_term=1), now)
    assert holds(claim, now, server(current_term=2, log=log(1, 1)), Start(True))
    assert not holds(claim, now, server(current_term=2, log=log(1, 1), commit_index=1))
    assert not holds(claim, now, server(current_term=1, log=log(1, 1), commit_index=2))
    assert not holds(claim, now, server(current_term=2, log=log(1), commit_index=2))


LED: dict[str, Any] = {"leader": N1, "commit_index": 50}


@pytest.mark.parametrize(
    ("fields", "settled"),
    [
        ({}, True),
        ({"commit_index": 45}, True),
        ({"commit_index": 10}, False),
        ({"leader": None}, False),
        ({"leader": N2}, False),
        ({"role": LEADER}, False),
        ({"commit_index": 10, "config": Config(no_op=False)}, True),
    ],
)
def test_one_leader_and_one_state(fields: dict[str, Any], settled: bool) -> None:
    nodes = [server(role=LEADER, **LED), server(N2, **LED), server(N3, **{**LED, **fields})]
    assert properties.one_leader_and_one_state.check(nodes) == settled


def test_what_is_sometimes_reached() -> None:
    quiet = [server(), server(N2)]
    entry = Entry(1, ALICE, 1, Operation("put", "x", "a"))
    reached = {
        properties.a_leader_is_elected: server(role=LEADER),
        properties.an_entry_is_committed: server(state=StateMachine().apply(1, entry, 9)[0]),
        properties.a_snapshot_is_installed: server(snapshot=Covered(3), incoming=Incoming(3)),
    }
    for claim, node in reached.items():
        assert not claim.check(quiet), claim.name
        assert claim.check([*quiet, node]), claim.name
    deposed = [server(role=LEADER, current_term=1), server(N2, current_term=2)]
    assert properties.a_leader_is_deposed.check(deposed)
    assert not properties.a_leader_is_deposed.check([server(role=LEADER), *quiet])
