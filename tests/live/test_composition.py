"""Nodes made of nodes, live: children keep what is theirs, and their steps can be run again."""

import os
import signal
import time
from pathlib import Path

import pytest

from quorate.cli.main import main
from quorate.live import supervisor
from tests.live.test_cluster import ask

SHOP = '''
"""Counters: one that all members keep, and at each member one for each key."""

import msgspec

from quorate.kernel import (
    Durable, Env, Map, Message, Node, NodeId, Request, Response, Start, Stored, Timer, ToChild,
    ms, on, run_child,
)


class Add(Message):
    amount: int


class Save(Timer):
    pass


class Counter(Node):
    """Adds up what it is told, and stores the sum now and then."""

    total: Durable[int] = 0
    saving: int = 0
    saved: int = 0

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        self.saved = event.stored.get("total", 0)
        env.after(ms(20), Save())

    @on(Add)
    def add(self, msg: Add, env: Env) -> None:
        self.total += msg.amount

    @on(Save)
    def save(self, timer: Save, env: Env) -> None:
        self.saving = self.total
        env.store("total", self.total)

    @on(Stored)
    def stored(self, event: Stored, env: Env) -> None:
        self.saved = self.saving
        env.after(ms(20), Save())


class Shop(Node):
    everywhere: Counter = msgspec.field(default_factory=lambda: Counter(id=NodeId("everywhere")))
    shards: Map[str, Counter] = Map()

    @on(Request)
    def serve(self, msg: Request, env: Env) -> None:
        key = msg.operation.key or ""
        if msg.operation.f == "buy":
            env.broadcast(ToChild("everywhere", "", Add(1)))
            if key not in self.shards:
                self.shards = self.shards.set(key, Counter(id=NodeId(key)))
                run_child(self, f"shards.{key}", Start(False, Map()), env)
            run_child(self, f"shards.{key}", Add(1), env)
        here, shard = self.everywhere, self.shards.get(key)
        told = f"{here.total} {here.saved} {shard.total if shard else 0}"
        env.reply(Response(msg.number, told))
'''


def expect(place: supervisor.Place, wanted: str) -> None:
    """Wait until the member has counted, and stored, what it should have."""
    deadline = time.monotonic() + 30
    while (found := ask(place, "look", "a.b").split("\r\n")[1]) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_children_keep_what_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    monkeypatch.chdir(tmp_path)
    up = ["up", "./shop.py:Shop", "--nodes", "2", "--dir", "c", "--detach"]
    assert main([*up, "--record", "all"]) == 0
    places = supervisor.find(Path("c"))

    try:
        for _ in range(3):
            ask(places[0], "buy", "a.b")
        ask(places[1], "buy", "a.b")
        expect(places[0], "4 4 3")
        expect(places[1], "4 4 1")
        victim = places[0].pid()
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        while places[0].pid() is not None:
            time.sleep(0.01)
        assert main(up) == 0  # The other one goes on.
        expect(places[0], "4 4 3")
        ask(places[0], "buy", "c")
        expect(places[0], "5 5 3")
        expect(places[1], "5 5 1")
    finally:
        supervisor.stop(places)
    capsys.readouterr()
    assert main(["replay", "c"]) == 0
    assert "run again by the same function" in capsys.readouterr().out
