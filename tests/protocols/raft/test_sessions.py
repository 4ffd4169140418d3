"""Sessions of clients: every request is executed at most once (section 8; thesis section 6.3)."""

from hypothesis import given
from hypothesis import strategies as st

from quorate.kernel import NodeId, Operation, Response
from quorate.protocols.consensus.raft_sessions import Entry, StateMachine

clients = st.sampled_from([NodeId(name) for name in ("alice", "bob", "carol", "dave")])


def append(client: NodeId, number: int) -> Entry:
    return Entry(1, client, number, Operation("append", "x", f"{client} {number};"))


def executed(state: StateMachine) -> list[str]:
    text = state.machine.values.get("x")
    return text.split(";")[:-1] if isinstance(text, str) else []


@given(st.lists(st.tuples(clients, st.integers(1, 6)), max_size=40), st.integers(1, 4))
def test_nothing_is_executed_twice(log: list[tuple[NodeId, int]], max_sessions: int) -> None:
    """Not even when its session has been forgotten, however many clients there are."""
    state = StateMachine()
    for index, (client, number) in enumerate(log, 1):
        state, _ = state.apply(index, append(client, number), max_sessions)
        assert len(state.sessions) <= max_sessions
    done = executed(state)
    assert len(done) == len(set(done))


@given(st.lists(st.tuples(clients, st.integers(1, 6)), max_size=40))
def test_new_requests_are_executed_in_order(log: list[tuple[NodeId, int]]) -> None:
    """Each client's requests that are newer than all before it, and no others."""
    state, latest, expected = StateMachine(), dict.fromkeys(NodeId("abcd"), 0), []
    for index, (client, number) in enumerate(log, 1):
        state, _ = state.apply(index, append(client, number), 100)
        if number > latest.get(client, 0):
            latest[client] = number
            expected.append(f"{client} {number}")
    assert executed(state) == expected


@given(st.lists(st.tuples(clients, st.integers(1, 6)), max_size=20), st.integers(1, 4))
def test_parts_are_all_of_the_state(log: list[tuple[NodeId, int]], max_sessions: int) -> None:
    state = StateMachine()
    for index, (client, number) in enumerate(log, 1):
        state, _ = state.apply(index, append(client, number), max_sessions)
    assert StateMachine().of(state.parts()) == state


def test_a_forgotten_session_is_not_revived() -> None:
    """Its client is refused what it may have done, and served what it cannot have."""
    alice, bob = NodeId("alice"), NodeId("bob")
    state, _ = StateMachine().apply(1, append(alice, 5), 1)
    state, _ = state.apply(2, append(bob, 6), 1)
    assert set(state.sessions) == {bob}
    assert state.floor == 5
    assert state.apply(3, append(alice, 5), 1) == (state, None)
    served, answer = state.apply(3, append(alice, 6), 1)
    assert answer == Response(6)
    assert executed(served) == ["alice 5", "bob 6", "alice 6"]


def test_the_session_unused_for_longest_is_forgotten() -> None:
    alice, bob, carol = (NodeId(name) for name in ("alice", "bob", "carol"))
    state = StateMachine()
    for index, (client, number) in enumerate([(alice, 1), (bob, 1), (alice, 2), (carol, 1)], 1):
        state, _ = state.apply(index, append(client, number), 2)
    assert set(state.sessions) == {alice, carol}


def test_the_oldest_tenth_is_forgotten_at_once() -> None:
    """To look for the oldest in every step would cost more than the step."""
    names = [NodeId(f"c{number:02}") for number in range(31)]
    state = StateMachine()
    for index, client in enumerate(names, 1):
        state, _ = state.apply(index, append(client, index), 30)
    assert set(state.sessions) == set(names[4:])
    assert state.floor == 4


def test_a_repetition_is_answered_as_the_first() -> None:
    """While its session lasts; a request that the client has gone past gets no answer."""
    alice = NodeId("alice")
    swap = Entry(1, alice, 1, Operation("cas", "x", (None, "a")))
    state, first = StateMachine().apply(1, swap, 10)
    assert first == Response(1, True)
    assert state.apply(2, swap, 10) == (state, first)
    state, _ = state.apply(2, append(alice, 2), 10)
    assert state.apply(3, swap, 10) == (state, None)


def test_requests_without_identity_leave_no_session() -> None:
    """Each time that one stands in the log it is executed, whatever its number."""
    state = StateMachine()
    for index, number in enumerate([3, 3, 1], 1):
        word = Operation("append", "x", f"{number};")
        state, answer = state.apply(index, Entry(1, NodeId("alice"), number, word, once=False), 1)
        assert answer == Response(number)
    assert executed(state) == ["3", "3", "1"]
    assert not state.sessions


@given(st.data())
def test_all_at_once_is_one_after_the_other(data: st.DataObject) -> None:
    clients = st.sampled_from([None, NodeId("alice"), NodeId("bob")])
    word = st.sampled_from([None, Operation("append", "x", "w;"), Operation("read", "x")])
    entry = st.builds(Entry, st.just(1), clients, st.integers(1, 4), word, st.booleans())
    entries = data.draw(st.lists(entry, max_size=12))
    one, answers = StateMachine(), []
    for index, each in enumerate(entries, 1):
        one, answer = one.apply(index, each, 2)
        answers.append(answer)
    assert StateMachine().apply_all(1, entries, 2) == (one, answers)


def test_no_ops_belong_to_nobody() -> None:
    state = StateMachine()
    assert state.apply(1, Entry(1), 1) == (state, None)
