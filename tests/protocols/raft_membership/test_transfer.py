"""Leadership transfer (section 3.10 of the thesis)."""

from msgspec.structs import replace

from quorate.kernel import Redirect, Response
from quorate.protocols.consensus.raft_state import (
    FOLLOWER,
    LEADER,
    AppendEntries,
    Config,
    RequestVote,
)
from quorate.protocols.consensus.raft_transfer import TimeoutNow, TransferTimeout
from tests.protocols.raft.cluster import ALICE, N1, N2, N3, N4, ok
from tests.protocols.raft_membership.cluster import BARE, Members

STICKY = replace(BARE, pre_vote=True, check_quorum=True)


def led(size: int = 3, initial: int = 0, config: Config = STICKY) -> Members:
    cluster = Members(size, initial, config)
    cluster.elect(N1)
    cluster.put(ALICE, 1, "a")
    cluster.heartbeat(N1)
    cluster.answered(ALICE)
    return cluster


def behind() -> Members:
    """n1 hands over to n3, which has missed an entry and hears nothing yet."""
    cluster = led()
    cluster.isolate(N3)
    cluster.put(ALICE, 2, "b")
    cluster.answered(ALICE)
    cluster.ask_for("transfer", "n3")
    return cluster


def timeouts(cluster: Members) -> int:
    return sum(isinstance(message, TimeoutNow) for _, _, message in cluster.sent)


def test_the_target_leads_the_next_term() -> None:
    """§3.10: "the target server runs an election without waiting for an election timeout to
    elapse", though all others still hear the prior leader, and would protect it (§4.2.3).
    """
    cluster = led()
    cluster.ask_for("transfer", "n3")
    assert cluster.nodes[N3].role == LEADER
    assert cluster.nodes[N3].current_term == 2
    assert (cluster.nodes[N1].role, cluster.nodes[N1].leader) == (FOLLOWER, N3)
    assert cluster.told() == [Response(1, True)]
    assert not any(m.pre for _, _, m in cluster.sent if isinstance(m, RequestVote) and m.term > 1)


def test_the_prior_leader_stops_accepting_requests() -> None:
    """§3.10, 1: "The prior leader stops accepting new client requests."""
    cluster = behind()
    end = cluster.nodes[N1].log.end
    cluster.put(ALICE, 3, "c")
    cluster.send(ALICE, N1, cluster.ask(ALICE, 4, "get"))
    cluster.ask_for("remove", "n2", number=2)
    cluster.ask_for("transfer", "n2", number=3)
    assert cluster.answered(ALICE) == [Redirect(3, None), Redirect(4, None)]
    assert cluster.told() == [Redirect(2, None), Redirect(3, None)]
    assert cluster.nodes[N1].log.end == end


def test_the_targets_log_is_brought_up_to_date_first() -> None:
    """§3.10, 2: "The prior leader fully updates the target server's log to match its own"; else
    the target would lose the election (§5.4.1).
    """
    cluster = behind()
    assert timeouts(cluster) == 0
    cluster.heal()
    cluster.heartbeat(N1)
    assert timeouts(cluster) > 0
    assert cluster.nodes[N3].role == LEADER
    assert cluster.told() == [Response(1, True)]


def test_a_transfer_that_takes_too_long_is_given_up() -> None:
    """§3.10: "If leadership transfer does not complete after about an election timeout, the prior
    leader aborts the transfer and resumes accepting client requests."
    """
    cluster = behind()
    least, _ = cluster.nodes[N1].config.election
    assert cluster.timers[N1][TransferTimeout()] == (least, least)
    cluster.fire(N1, TransferTimeout())
    cluster.put(ALICE, 3, "c")
    assert cluster.told() == [Response(1, False)]
    assert cluster.answered(ALICE) == ok(3)
    assert cluster.nodes[N1].role == LEADER


def test_a_lost_request_is_repeated() -> None:
    """With each heartbeat that the target answers, until the transfer is over."""
    cluster = led()
    cluster.cuts.add((N1, N3))
    cluster.ask_for("transfer", "n3")
    assert cluster.nodes[N3].role == FOLLOWER
    cluster.heal()
    cluster.heartbeat(N1)
    assert cluster.nodes[N3].role == LEADER


def test_a_late_request_is_ignored() -> None:
    """A TimeoutNow belongs to its term: whoever has gone on is not disturbed."""
    cluster = led()
    cluster.ask_for("transfer", "n3")
    before = cluster.nodes[N2]
    cluster.act(N2, TimeoutNow(1), N1)
    assert cluster.nodes[N2] == before


def test_only_a_voter_can_take_over() -> None:
    """§4.2.1: learners do not lead, and strangers still less."""
    cluster = led(4, 3)
    cluster.ask_for("add-learner", "n4")
    cluster.told()
    for number, target in enumerate(["n4", "n9", None], 1):
        cluster.ask_for("transfer", target, number=number)
        assert cluster.told() == [Response(number, ok=False)]
    cluster.act(N4, TimeoutNow(1), N1)
    assert cluster.nodes[N4].role == FOLLOWER
    assert cluster.nodes[N4].current_term == 1


def test_a_transfer_to_the_leader_itself_is_done() -> None:
    cluster = led()
    cluster.ask_for("transfer", "n1")
    assert cluster.told() == [Response(1, True)]
    assert cluster.nodes[N1].heir is None


def test_another_server_may_win() -> None:
    """Then the transfer has failed, and its client is told so."""
    cluster = behind()
    cluster.act(N1, AppendEntries(2, 3, 1, (), 3, 1), N2)
    cluster.deliver()
    assert cluster.nodes[N1].leader == N2
    assert cluster.told() == [Response(1, False)]
    assert TransferTimeout() not in cluster.timers[N1]


def test_no_heir_is_left_from_an_earlier_term() -> None:
    """A leader that loses its followers and wins them back has handed over to nobody."""
    cluster = behind()
    cluster.set(N1, role=FOLLOWER, leader=None)
    cluster.elect(N1)
    cluster.put(ALICE, 3, "c")
    assert cluster.answered(ALICE) == ok(3)
