"""A schedule that no longer fits says at which event it parted; nothing is rebound in silence."""

import pytest

from quorate.errors import Mistake
from quorate.explore.catalogue import Aim, load
from quorate.explore.replay import Replayed, replay
from quorate.scenario.schedule import HEADER, Schedule, parse_schedule
from quorate.verdict import Verdict
from tests.explore.protocols import LOCK, LOCK_NAME, Write

LOST = "lose n2→n1 Ask #0  # caused by fire n2 Want #0"


def lock(*lines: str, name: str = LOCK_NAME) -> Schedule:
    text = "\n".join((HEADER, f"scenario {name}", "violates one_holder", *lines))
    return parse_schedule(text, "x")


def texts(replayed: Replayed) -> list[str]:
    return [parting.text for parting in replayed.partings]


def test_a_lost_question_gives_two_holders() -> None:
    replayed = replay(lock(LOST))
    assert replayed.verdict is Verdict.FAIL
    assert replayed.is_same_failure
    assert not replayed.partings
    assert replayed.sentence() == "it still violates one_holder"


def test_an_edit_by_hand_takes_effect() -> None:
    """The question may as well be late: the answer then comes after the decision."""
    late = replay(lock("deliver n2->n1 Ask #0 after 39ms"))
    early = replay(lock("deliver n2->n1 Ask #0 after 37ms"))
    assert late.is_same_failure
    assert early.verdict is Verdict.PASS
    assert early.sentence() == "it no longer violates one_holder"


def test_a_label_that_never_came_up_is_reported_with_what_did() -> None:
    replayed = replay(lock("lose n2→n1 Ask #7", "lose n2→n1 Aks #0"))
    assert replayed.verdict is Verdict.UNKNOWN
    assert texts(replayed) == [
        "deliver n2→n1 Aks #0 never came up; the nearest that did is deliver n2→n1 Ask",
        "deliver n2→n1 Ask #7 never came up: there were only 1 of these, from #0 on",
    ]
    assert "does not fit any more" in replayed.sentence()


def test_a_decision_outside_its_bounds_is_reported_at_its_event() -> None:
    replayed = replay(lock("fire n2 Want #0 after 900ms"))
    assert replayed.verdict is Verdict.UNKNOWN
    assert replayed.partings[0].event == "start n2 #0 (@1, 0ms)"
    assert "the timer was set for 50ms to 500ms" in replayed.partings[0].text


def test_a_fault_that_makes_no_sense_is_reported_at_its_event() -> None:
    replayed = replay(lock("after fire n2 Want #0: restart n3"))
    assert replayed.verdict is Verdict.UNKNOWN
    assert replayed.partings[0].event.startswith("fire n2 Want #0 (@")
    assert texts(replayed) == ["restart n3 makes no sense after fire n2 Want #0"]


def test_a_fault_after_an_event_that_never_came_up() -> None:
    replayed = replay(lock("after fire n2 Wont #0: crash n3"))
    assert texts(replayed) == [
        "fire n2 Wont #0 never came up; the nearest that did is fire n2 Want"
    ]


def test_a_message_that_another_step_sends_now_is_reported(write: Write) -> None:
    """The label is still there, but it is not the message that it was."""
    later = "env.after(ms(20), Again())"
    again = """
    @on(Again)
    def ask_again(self, event: Again, env: Env) -> None:
        env.broadcast(Ask())

"""
    source = LOCK.read_text("utf-8").replace("env.broadcast(Ask())", later)
    source = source.replace(
        "class Lock(Node):", "class Again(Timer):\n    pass\n\n\nclass Lock(Node):"
    )
    source = source.replace("    @on(Decide)", f"{again.lstrip(chr(10))}    @on(Decide)")
    replayed = replay(lock(LOST, name=write(source, "Lock", "lock_that_asks_late")))
    assert replayed.is_same_failure
    assert "was caused by fire n2 Again #0, not by fire n2 Want #0" in texts(replayed)[0]


def test_what_a_cause_no_longer_brings_about_is_reported_there(write: Write) -> None:
    source = LOCK.read_text("utf-8").replace("env.broadcast(Ask())", "pass")
    replayed = replay(lock(LOST, name=write(source, "Lock", "lock_that_asks_nobody")))
    assert replayed.partings[0].event.startswith("fire n2 Want #0 (@")
    assert "deliver n2→n1 Ask #0 never came up" in replayed.partings[0].text


def test_another_failure_is_told_from_the_one_that_was_kept() -> None:
    schedule = lock(LOST)
    schedule.violates = "no_exception"
    replayed = replay(schedule)
    assert replayed.verdict is Verdict.FAIL
    assert not replayed.is_same_failure
    assert replayed.sentence() == "it violates one_holder now, not no_exception"


def test_an_order_that_cannot_be_says_so() -> None:
    schedule = lock("in this order:", "fire n1 Want #0", "fire n1 Wunt #0", "fire n2 Want #0")
    replayed = replay(schedule)
    assert replayed.verdict is Verdict.UNKNOWN
    assert any("fire n1 Wunt #0" in text for text in texts(replayed))


@pytest.mark.parametrize(
    ("line", "words"),
    [("configuration fast", "no configuration 'fast'"), ("scenario nothing", "catalogue has no")],
)
def test_a_schedule_for_nothing_that_there_is(line: str, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        replay(lock(line))


def test_a_kept_schedule_of_few_operations_passes_once_it_does_not_fail() -> None:
    """Shrinking takes operations away; what is left need not be enough to judge a campaign."""
    schedule = Schedule(scenario="paxos", violates="agreement")
    replayed = replay(schedule, scenario=load(Aim("paxos")))
    assert replayed.outcome.verdict is Verdict.UNKNOWN
    assert replayed.verdict is Verdict.PASS
