"""Histories as they are recorded in a run."""

import pytest

from quorate.check import History
from quorate.errors import Mistake


def test_operations_and_events() -> None:
    history = History()
    history.invoke(0, "write", "x", 1, 10, 100)
    history.invoke(1, "read", "x", None, 20, 101)
    history.complete(0, "ok", None, 30, 102)
    history.complete(1, "info", None, 40, 103)
    history.invoke(2, "read", "x", None, 50, 104)
    write, read, last = history.operations
    assert (write.status, write.invoked, write.completed) == ("ok", 0, 2)
    assert (read.status, read.completed, read.complete_event) == ("info", 3, 103)
    assert (last.status, last.completed) == ("info", -1)
    assert len(history) == 5
    assert [(event.type, event.process, event.event) for event in history.events()] == [
        ("invoke", 0, 100),
        ("invoke", 1, 101),
        ("ok", 0, 102),
        ("info", 1, 103),
        ("invoke", 2, 104),
    ]
    assert history.pending(2) is last
    assert history.pending(0) is None


def test_two_operations_open_on_one_process() -> None:
    history = History()
    history.invoke(3, "write", "x", 1, event=7)
    with pytest.raises(Mistake, match=r"trace event 9: process 3 invokes 'read' while its 'write'"):
        history.invoke(3, "read", "x", None, event=9)


def test_a_completion_without_invocation() -> None:
    history = History("a.log")
    with pytest.raises(Mistake, match=r"a\.log:4: process 3 completes with 'ok' but has no"):
        history.complete(3, "ok", line=4)
    with pytest.raises(Mistake, match=r"event 0: process 3"):
        history.complete(3, "ok")
