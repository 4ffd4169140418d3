"""On the network `rpc` a call and its answers are one transition: what fails inside it counts."""

from collections.abc import Sequence

import pytest

from quorate.explore.exhaustive import explore
from quorate.explore.replay import replay
from quorate.kernel import Env, Message, Monitor, Node, Start, Timer, always, ms, on
from quorate.scenario.exploration import Exploration
from quorate.scenario.scenario import Scenario


class Ask(Message):
    pass


class Answer(Message):
    pass


class Begin(Timer):
    pass


class Caller(Node):
    """n1 asks n2, once; whoever is asked is busy until the answer has arrived."""

    served: int = 0
    done: bool = False

    @on(Start)
    def start(self, event: Start, env: Env) -> None:
        if self.id == self.peers[0]:
            env.after(ms(1), Begin())

    @on(Begin)
    def begin(self, timer: Begin, env: Env) -> None:
        env.send(self.peers[1], Ask())

    @on(Ask)
    def serve(self, msg: Ask, env: Env) -> None:
        self.served += 1
        env.reply(Answer())

    @on(Answer)
    def end(self, msg: Answer, env: Env) -> None:
        self.done = True


class NobodyServes(Monitor):
    """False at the first move of the call, true again at its second."""

    reads = ("served", "done")

    def watch(self, before: Caller, event: object, after: Caller) -> bool:
        return not after.served


@always
def nobody_is_done(nodes: Sequence[Caller]) -> bool:
    """False where the call has ended."""
    return not any(node.done for node in nodes)


@pytest.mark.parametrize("judges", ["monitor", "monitor and always", "always"])
def test_what_fails_in_the_middle_of_a_call_is_found_and_replays(judges: str) -> None:
    scenario = Scenario(
        name="caller",
        node=Caller,
        nodes=2,
        properties=(nobody_is_done,) if "always" in judges else (),
        monitors=(NobodyServes,) if "monitor" in judges else (),
        exploration=Exploration(nodes=2, network="rpc", timers=1),
    )
    result = explore(scenario)
    name = "NobodyServes" if "monitor" in judges else "nobody_is_done"
    assert result.violates == name
    replayed = replay(result.schedule, scenario=result.scenario)
    assert replayed.is_same_failure, replayed.sentence()
    assert replayed.schedule.violates == name
