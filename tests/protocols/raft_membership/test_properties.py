"""Each property accepts what is right, and rejects what it is there for."""

from typing import Any

from quorate.kernel import Event, Log, Map, NodeId, Operation
from quorate.kernel.properties import Property
from quorate.protocols.consensus import raft_membership_properties as claims
from quorate.protocols.consensus import raft_properties as core
from quorate.protocols.consensus.raft import Raft
from quorate.protocols.consensus.raft_configuration import Configuration
from quorate.protocols.consensus.raft_sessions import Entry
from quorate.protocols.consensus.raft_state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    PRE_CANDIDATE,
    Config,
    Covered,
    ElectionTimeout,
)
from quorate.protocols.consensus.raft_transfer import Heir, TimeoutNow
from tests.protocols.raft.cluster import ALICE, N1, N2, N3, N4, N5

TICK = ElectionTimeout()
THREE, FOUR = Configuration((N1, N2, N3)), Configuration((N1, N2, N3, N4))
TWO = Configuration((N2, N3))
FIRST = ((0, THREE),)


def server(id: NodeId = N1, **fields: Any) -> Raft:
    return Raft(id=id, peers=(N1, N2, N3, N4), **{"configurations": FIRST, **fields})


def leader(**fields: Any) -> Raft:
    return server(**{"role": LEADER, "current_term": 1, "log": log(None), **fields})


def log(*configurations: Configuration | None, term: int = 1) -> Log[Entry]:
    return Log([Entry(term, configuration=each) for each in configurations], start=1)


def holds(claim: Property, before: Raft, after: Raft, event: Event = TICK) -> bool:
    return claim.check(before, event, after)


def changed(configuration: Configuration, **fields: Any) -> Raft:
    """A leader that has just appended a configuration, at index 2."""
    stack = (*FIRST, (2, configuration))
    entries = log(None, configuration)
    return leader(**{"configurations": stack, "log": entries, "commit_index": 1, **fields})


def test_one_change_at_a_time() -> None:
    claim = claims.one_change_at_a_time
    assert holds(claim, leader(commit_index=1), changed(TWO))
    assert not holds(claim, leader(), changed(TWO, commit_index=0))
    assert not holds(
        claim, leader(commit_index=1), changed(TWO, current_term=1, log=log(None, TWO, term=0))
    )
    two = changed(TWO, configurations=(*FIRST, (1, FOUR), (2, TWO)))
    assert not holds(claim, leader(commit_index=1), two)
    assert holds(claim, server(), server(configurations=(*FIRST, (1, FOUR), (2, TWO))))


def test_majorities_overlap() -> None:
    """One voter more or less, or by way of both sides; a learner is nobody's majority."""
    claim, joint = claims.majorities_overlap, Configuration((N3, N4), THREE.voters)
    learner = Configuration(THREE.voters, (), (N4, N5))
    for configuration in (FOUR, TWO, learner, joint):
        assert holds(claim, leader(commit_index=1), changed(configuration))
    for configuration in (joint.settled(), Configuration((N3, N4), TWO.voters)):
        assert not holds(claim, leader(commit_index=1), changed(configuration))
    half_done = leader(configurations=((1, joint),), commit_index=1)
    for configuration, lawful in [(joint.settled(), True), (TWO, False), (joint, False)]:
        after = changed(configuration, configurations=((1, joint), (2, configuration)))
        assert holds(claim, half_done, after) == lawful


def test_new_voters_have_caught_up() -> None:
    claim = claims.new_voters_have_caught_up
    known = {"match_index": Map({N4: 1})}
    assert holds(claim, leader(commit_index=1), changed(FOUR, **known))
    assert not holds(claim, leader(commit_index=1), changed(FOUR, match_index=Map({N4: 0})))
    assert holds(claim, leader(commit_index=1), changed(TWO, match_index=Map()))
    far = leader(commit_index=100)
    assert not holds(claim, far, changed(FOUR, **known))


def test_who_is_removed_leads_no_more() -> None:
    claim = claims.who_is_removed_leads_no_more
    assert holds(claim, leader(), leader())
    assert holds(claim, leader(), changed(TWO))
    assert not holds(claim, leader(), leader(configurations=((2, TWO),)))


def test_only_voters_stand() -> None:
    claim = claims.only_voters_stand
    for role in (PRE_CANDIDATE, CANDIDATE):
        assert holds(claim, server(), server(role=role))
        assert not holds(claim, server(N4), server(N4, role=role))
        halfway = {"configurations": (*FIRST, (2, TWO))}
        assert holds(claim, server(**halfway), server(role=role, **halfway))
    assert holds(claim, server(N4), server(N4, role=FOLLOWER))


def test_who_hands_over_takes_no_requests() -> None:
    claim = claims.who_hands_over_takes_no_requests
    heir = Heir(N2, ALICE, 1)
    request = leader(log=log(None).append(Entry(1, ALICE, 2, Operation("put", "x"))), heir=heir)
    assert not holds(claim, leader(heir=heir), request)
    assert holds(claim, leader(), request)
    assert holds(claim, leader(heir=heir), leader(log=log(None, TWO), heir=heir))


def test_an_heir_stands_at_once() -> None:
    claim = claims.an_heir_stands_at_once
    assert holds(claim, server(), server(role=CANDIDATE), TimeoutNow(0))
    assert not holds(claim, server(), server(role=PRE_CANDIDATE), TimeoutNow(0))
    assert holds(claim, server(current_term=2), server(current_term=2), TimeoutNow(0))
    late = server(current_term=3, role=CANDIDATE)
    assert not holds(claim, server(current_term=2), late, TimeoutNow(0))
    assert holds(claim, server(N4), server(N4), TimeoutNow(0))


def test_an_heir_has_the_whole_log() -> None:
    claim, heir = claims.an_heir_has_the_whole_log, Heir(N2, ALICE, 1)
    for match, lawful in [(1, True), (0, False)]:
        told = leader(heir=heir, has_yielded=True, match_index=Map({N2: match}))
        assert holds(claim, leader(heir=heir), told) == lawful
        assert holds(claim, told, told)


def test_configurations_are_committed() -> None:
    """Servers that take different configurations for committed at one index are told apart."""

    def committed(*configurations: Configuration) -> bool:
        monitor = claims.ConfigurationsAreCommitted()
        entries = log(None, TWO, None)
        first = server(log=entries, commit_index=3, configurations=((2, TWO),))
        assert monitor.watch(server(), TICK, server())
        assert monitor.watch(server(), TICK, first)
        fields = {"log": Log[Entry](start=4), "commit_index": 3}
        others = [server(N2, configurations=((3, each),), **fields) for each in configurations]
        return all(monitor.watch(server(N2), TICK, other) for other in others)

    assert committed(TWO, TWO)
    assert not committed(THREE)
    assert not committed(FOUR)


def test_commits_are_counted_by_both_sides_of_a_joint_change() -> None:
    """The majority of one side, however large, is not enough."""
    joint = Configuration((N3, N4, N5), (N1, N2, N3))

    def commits(joint_on: tuple[NodeId, ...], rest_on: tuple[NodeId, ...]) -> bool:
        monitor = core.CommittedByMajority()
        entries = log(joint, None)
        for id in joint_on:
            held = entries if id in rest_on else log(joint)
            monitor.watch(server(id), TICK, server(id, log=held))
        fields = {"log": entries, "configurations": ((1, joint),)}
        return monitor.watch(leader(**fields), TICK, leader(commit_index=2, **fields))

    assert commits((N2, N3, N4), (N3, N4))
    assert not commits((N4, N5), (N4, N5))
    assert not commits((N2, N3, N4), (N2, N3))


def test_no_change_is_left_half_done() -> None:
    joint = ((2, Configuration((N2,), (N1, N3))),)
    claim = claims.no_change_is_left_half_done
    assert claim.check([leader(), server(N2, configurations=joint)])
    assert not claim.check([leader(configurations=joint), server(N2)])


def test_what_is_sometimes_reached() -> None:
    quiet = [server(), server(N2)]
    joint = ((2, Configuration((N2,), (N1, N3))),)
    small = Config(initial=3)
    reached = {
        claims.a_newcomer_votes: [server(config=small, configurations=((2, FOUR),))],
        claims.a_joint_configuration_is_committed: [server(configurations=joint)],
        claims.a_leader_leads_others: [leader(configurations=((2, TWO),))],
        claims.a_lease_is_held: [leader(lease_end=5)],
        claims.a_leader_hands_over: [
            leader(has_yielded=True),
            server(N2, role=CANDIDATE, current_term=2),
        ],
    }
    for claim, nodes in reached.items():
        assert not claim.check([server(config=small), *quiet]), claim.name
        assert claim.check([*quiet, *nodes]), claim.name


def test_snapshots_have_their_configuration() -> None:
    """The state of a server is canonical with all that the thesis adds."""
    one, other = (server(snapshot=Covered(3, 1, each)) for each in (THREE, FOUR))
    assert one != other
