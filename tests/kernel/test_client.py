"""The client: asks, asks again, follows redirects, and gives up."""

from quorate.kernel import (
    Client,
    Env,
    Event,
    Invoke,
    NodeId,
    Operation,
    Redirect,
    Request,
    Response,
    ms,
    step,
)
from quorate.kernel.client import GiveUp, Retry
from quorate.kernel.env import CancelTimer, Complete, Effect, Send, SetTimer

CLIENT = NodeId("c1")
N1, N2, N3 = SERVERS = tuple(NodeId(f"n{number}") for number in range(1, 4))
WRITE = Operation("write", "x", 1)


class Desk:
    """A client and its effects; `pick` is the option that `choose` takes."""

    def __init__(self, **fields: int) -> None:
        self.client = Client(id=CLIENT, peers=SERVERS, **fields)  # type: ignore[arg-type]
        self.pick = 0

    def act(self, event: Event, sender: NodeId = CLIENT) -> list[Effect]:
        env = Env(CLIENT, SERVERS, lambda name, options: options[self.pick])
        env.sender = sender
        self.client = step(self.client, event, env)
        return env.effects


def asked(effects: list[Effect]) -> list[NodeId]:
    """Whom a request was sent to."""
    return [
        id
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, Request)
        for id in effect.to
    ]


def test_an_operation_is_asked_for_and_answered() -> None:
    desk = Desk()
    effects = desk.act(Invoke(WRITE))
    assert effects == [
        SetTimer(GiveUp(1), ms(1000), ms(1000)),
        Send((N1,), Request(1, WRITE)),
        SetTimer(Retry(1), ms(200), ms(200)),
    ]
    assert desk.act(Response(1, "done"), N1) == [
        CancelTimer(Retry(1)),
        CancelTimer(GiveUp(1)),
        Complete("ok", "done"),
    ]


def test_a_refusal_is_a_failure() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    assert desk.act(Response(1, None, ok=False), N1)[-1] == Complete("fail", None)


def test_the_next_operation_goes_to_the_server_that_answered() -> None:
    desk = Desk()
    desk.pick = 2
    assert asked(desk.act(Invoke(WRITE))) == [N3]
    desk.act(Response(1), N3)
    desk.pick = 0
    effects = desk.act(Invoke(WRITE))
    assert asked(effects) == [N3]
    assert Send((N3,), Request(2, WRITE)) in effects


def test_an_unanswered_request_goes_to_another_server_with_the_same_number() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    effects = desk.act(Retry(1))
    assert Send((N2,), Request(1, WRITE)) in effects
    assert SetTimer(Retry(1), ms(200), ms(200)) in effects
    assert asked(desk.act(Retry(1))) == [N1]


def test_without_retry_a_request_is_sent_once() -> None:
    desk = Desk(retry=0)
    effects = desk.act(Invoke(WRITE))
    assert asked(effects) == [N1]
    assert [type(e.timer) for e in effects if isinstance(e, SetTimer)] == [GiveUp]


def test_giving_up_leaves_the_outcome_open() -> None:
    desk = Desk(timeout=ms(50))
    assert SetTimer(GiveUp(1), ms(50), ms(50)) in desk.act(Invoke(WRITE))
    assert desk.act(GiveUp(1))[-1] == Complete("info", None)
    assert desk.act(Response(1, "late"), N1) == []
    desk.pick = 1
    assert asked(desk.act(Invoke(WRITE))) == [N2]


def test_timers_and_answers_of_earlier_operations_change_nothing() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    desk.act(Response(1), N1)
    desk.act(Invoke(WRITE))
    before = desk.client
    for event in (Retry(1), GiveUp(1), Response(1, "again"), Redirect(1, N3)):
        assert desk.act(event, N1) == []
        assert desk.client == before


def test_a_redirect_is_followed_at_once() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    assert asked(desk.act(Redirect(1, N3), N1)) == [N3]
    desk.act(Response(1), N3)
    assert asked(desk.act(Invoke(WRITE))) == [N3]


def test_a_redirect_to_nobody_waits_before_asking_anybody() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    for redirect in (Redirect(1, None), Redirect(1, N1)):
        effects = desk.act(redirect, N1)
        assert effects == [SetTimer(Retry(1), ms(20), ms(20))]
        assert desk.client.server is None
    assert asked(desk.act(Retry(1))) == [N1]


def test_after_the_end_no_redirect_is_followed() -> None:
    desk = Desk()
    desk.act(Invoke(WRITE))
    desk.act(Response(1), N1)
    assert desk.act(Redirect(1, N3), N1) == []
