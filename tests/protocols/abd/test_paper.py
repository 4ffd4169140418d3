"""Attiya, Bar-Noy, Dolev (1995) and Lynch, Shvartsman (1997), claim by claim."""

from collections.abc import Callable

import pytest

from quorate.kernel import NodeId, Operation, Request, Response
from quorate.kernel.env import Send
from quorate.protocols.replication.abd import (
    UNWRITTEN,
    Abd,
    Query,
    Record,
    Recorded,
    Report,
    Retransmit,
    Version,
)
from tests.protocols.network import Network
from tests.protocols.story import Story

N1, N2, N3, N4, N5 = (NodeId(f"n{number}") for number in range(1, 6))
C1, C2 = NodeId("c1"), NodeId("c2")
X = "x"


def write(network: Network[Abd], node: NodeId, client: NodeId, number: int, value: int) -> None:
    """A client asks a node to write x."""
    network.act(node, Request(number, Operation("write", X, value)), client)


def read(network: Network[Abd], node: NodeId, client: NodeId, number: int) -> None:
    """A client asks a node to read x."""
    network.act(node, Request(number, Operation("read", X)), client)


def sent(network: Network[Abd], node: NodeId, event: object, sender: NodeId) -> list[object]:
    """What a node sends in answer to one event."""
    effects = network.act(node, event, sender)  # type: ignore[arg-type]
    return [effect.message for effect in effects if isinstance(effect, Send)]


def version(number: int, writer: NodeId, value: int) -> Version:
    return (number, writer), value


def test_a_read_returns_what_was_written() -> None:
    """The register works through whichever nodes its clients ask."""
    network = Network(Abd, 3)
    read(network, N3, C2, 1)
    network.deliver()
    write(network, N1, C1, 1, 7)
    network.deliver()
    read(network, N2, C2, 2)
    network.deliver()
    assert network.answers == {C1: [Response(1, 7)], C2: [Response(1, None), Response(2, 7)]}


@pytest.mark.parametrize("size", [3, 5, 7])
def test_messages_of_an_operation(size: int) -> None:
    """Two round trips to n replicas are 4n messages, for writes as for reads."""
    network = Network(Abd, size)
    for ask in (lambda: write(network, N1, C1, 1, 7), lambda: read(network, N2, C2, 1)):
        before = len(network.sent)
        ask()
        network.deliver()
        messages = [m for _, target, m in network.sent[before:] if target in network.ids]
        kinds = [type(message) for message in messages]
        assert [kinds.count(k) for k in (Query, Report, Record, Recorded)] == [size] * 4
        assert len(kinds) == 4 * size


def test_messages_of_a_unanimous_read() -> None:
    """One round trip, 2n messages, where a whole majority reports one version."""
    network = Network(Abd, 3, unanimous_reads=True)
    write(network, N1, C1, 1, 7)
    network.deliver()
    before = len(network.sent)
    read(network, N2, C2, 1)
    network.deliver()
    kinds = [type(message) for _, _, message in network.sent[before:]]
    assert kinds == [Query] * 3 + [Report] * 3 + [Response]
    assert network.answers[C2] == [Response(1, 7)]


def test_a_unanimous_read_still_propagates_what_few_hold() -> None:
    """The shortcut is for reports that agree, and no others."""
    network = Network(Abd, 3, unanimous_reads=True)
    read(network, N2, C2, 1)
    assert sent(network, N2, Report((C2, 1), UNWRITTEN), N2) == []
    newer = version(1, N1, 7)
    assert sent(network, N2, Report((C2, 1), newer), N1) == [Record((C2, 1), X, newer)]


def test_a_write_takes_a_timestamp_above_all_reported() -> None:
    """Lynch-Shvartsman, query phase: the highest number of a majority, and one more."""
    network = Network(Abd, 3)
    write(network, N1, C1, 1, 7)
    network.act(N1, Report((C1, 1), version(4, N3, 1)), N2)
    [message] = sent(network, N1, Report((C1, 1), version(6, N2, 2)), N3)
    assert message == Record((C1, 1), X, version(7, N1, 7))


def test_concurrent_writes_have_different_timestamps() -> None:
    """Lynch-Shvartsman: the writer's name tells equal numbers apart, and a writer counts on."""
    network = Network(Abd, 3)
    write(network, N1, C1, 1, 7)
    write(network, N1, C2, 1, 8)
    write(network, N2, NodeId("c3"), 1, 9)
    network.deliver()
    timestamps = [m.version[0] for _, _, m in network.sent if isinstance(m, Record)]
    assert sorted(set(timestamps)) == [(1, N1), (1, N2), (2, N1)]
    assert {node.version(X) for node in network.nodes.values()} == {version(2, N1, 8)}


def test_a_read_returns_the_newest_reported_version() -> None:
    """ABD, read: the majorities of the read and of the last write have a member in common."""
    network = Network(Abd, 5)
    read(network, N1, C1, 1)
    reports = [(N1, UNWRITTEN), (N2, version(2, N3, 8)), (N3, version(2, N2, 9))]
    answers = [sent(network, N1, Report((C1, 1), report), id) for id, report in reports]
    assert answers == [[], [], [Record((C1, 1), X, version(2, N3, 8))]]


def test_a_replica_keeps_the_newest_version_and_acknowledges_all() -> None:
    """ABD: an older version changes nothing, yet whoever sent it must not wait."""
    network = Network(Abd, 3)
    newer, older = version(2, N2, 8), version(1, N3, 7)
    assert sent(network, N1, Record((C1, 1), X, newer), N2) == [Recorded((C1, 1))]
    assert sent(network, N1, Record((C2, 1), X, older), N3) == [Recorded((C2, 1))]
    assert network.nodes[N1].version(X) == newer


def test_an_acknowledgement_is_behind_the_disk() -> None:
    """Recovery: a version is durable before it is acknowledged, and survives a crash."""
    network = Story(Abd, 3)
    network.slow.add(N1)
    newer = version(1, N2, 8)
    network.act(N1, Record((C1, 1), X, newer), N2)
    assert not network.queue
    network.crash(N1)
    assert network.nodes[N1].version(X) == UNWRITTEN
    network.act(N1, Record((C1, 1), X, newer), N2)
    network.sync(N1)
    network.crash(N1)
    assert network.under_way(Recorded) == [Recorded((C1, 1))]
    assert network.nodes[N1].version(X) == newer


def test_only_distinct_replicas_are_a_majority() -> None:
    """ABD, communicate: a duplicate acknowledgement is no second replica."""
    network = Network(Abd, 5)
    write(network, N1, C1, 1, 7)
    for id in (N1, N2, N2, N3):
        network.act(N1, Report((C1, 1), UNWRITTEN), id)
    for id in (N1, N2, N2, N2):
        assert sent(network, N1, Recorded((C1, 1)), id) == []
    assert sent(network, N1, Recorded((C1, 1)), N3) == [Response(1, 7)]


def test_late_answers_do_not_count_for_the_next_operation() -> None:
    """ABD, communicate: an answer names the operation that asked."""
    network = Network(Abd, 3)
    write(network, N1, C1, 1, 7)
    network.deliver()
    write(network, N1, C1, 2, 8)
    for id in (N2, N3):
        assert sent(network, N1, Report((C1, 1), UNWRITTEN), id) == []
        assert sent(network, N1, Recorded((C1, 1)), id) == []
    network.deliver()
    assert network.nodes[N2].version(X) == version(2, N1, 8)


@pytest.mark.parametrize("down", [N2, N3])
def test_operations_end_with_a_minority_down(down: NodeId) -> None:
    """ABD: wait-free while fewer than half are down."""
    network = Network(Abd, 3)
    network.isolate(down)
    write(network, N1, C1, 1, 7)
    network.deliver()
    read(network, N1, C2, 1)
    network.deliver()
    assert network.answers == {C1: [Response(1, 7)], C2: [Response(1, 7)]}


def test_lost_messages_are_sent_again_to_those_who_have_not_answered() -> None:
    """Departure: the papers' channels lose nothing."""
    network = Network(Abd, 3)
    network.isolate(N1)
    write(network, N1, C1, 1, 7)
    network.deliver()
    assert C1 not in network.answers
    network.heal()
    effects = network.fire(N1, Retransmit((C1, 1)))
    assert Send((N2, N3), Query((C1, 1), X)) in effects
    network.deliver()
    assert network.answers[C1] == [Response(1, 7)]
    assert not network.timers[N1]


def test_registers_are_independent() -> None:
    """Departure: each name is a register of its own."""
    network = Network(Abd, 3)
    write(network, N1, C1, 1, 7)
    network.deliver()
    network.act(N2, Request(1, Operation("read", "y")), C2)
    network.deliver()
    assert network.answers[C2] == [Response(1, None)]


def test_new_then_old_is_prevented_by_the_write_back(golden: Callable[[str, str], None]) -> None:
    """ABD, read: once a read has returned a value, no later read returns an older one."""
    story = Story(Abd, 3)
    story.tell("n1 writes 7, but for now the new version is known to n1 alone.")
    write(story, N1, C1, 1, 7)
    story.arrive(Query, "n1")
    story.arrive(Report)
    story.lose(Record, "n1", "n2", "n3")
    story.arrive(Record, "n1", "n1")
    story.arrive(Recorded)
    story.tell("c2 reads through n2, which hears from n1: the value is new.")
    read(story, N2, C2, 1)
    story.lose(Query, "n2", "n3")
    story.arrive(Query, "n2")
    story.arrive(Report)
    story.tell("Before n2 may answer, a majority must know: it writes back to n3.")
    story.lose(Record, "n2", "n1")
    story.arrive(Record, "n2")
    story.arrive(Recorded)
    story.arrive(Response)
    story.tell("c2 reads again, through n3, which hears from n2 only: still new.")
    story.isolate(N1)
    read(story, N3, C2, 2)
    story.deliver()
    assert story.answers[C2] == [Response(1, 7), Response(2, 7)]
    assert C1 not in story.answers
    golden("write_back.txt", story.text)


def test_concurrent_writes_are_ordered_by_their_writers(
    golden: Callable[[str, str], None],
) -> None:
    """Lynch-Shvartsman: two writes may choose one number; all replicas then agree who is later."""
    story = Story(Abd, 3)
    story.tell("n1 and n2 both find the register unwritten, and both choose number 1.")
    write(story, N1, C1, 1, 7)
    write(story, N2, C2, 1, 8)
    story.arrive(Query)
    story.arrive(Report)
    story.tell("n3 hears of the write of n2 first; n1's then changes nothing there.")
    story.arrive(Record, "n2")
    story.arrive(Record, "n1")
    story.arrive(Recorded)
    story.arrive(Response)
    assert {node.version(X) for node in story.nodes.values()} == {version(1, N2, 8)}
    golden("concurrent_writes.txt", story.text)
