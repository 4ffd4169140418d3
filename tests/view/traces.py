"""Traces written by hand, so that the drawings hang on no protocol and no simulator."""

from typing import Any

from quorate.kernel import ms
from quorate.trace import Explanation, Header, JudgedOperation, Step, Trace, Violation
from quorate.trace.trace import Assignment, Completion, LogChange, Sending, SetChange, TimerSet

NODES = ["n1", "n2", "n3"]
CLIENTS = ["c1", "c2"]


class Script:
    """Writes steps one after the other; time goes on by itself."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.time = 0

    def step(self, kind: Any, node: str, name: str, after: int = 1, **more: Any) -> Step:
        """Add a step that comes `after` so many milliseconds."""
        self.time += ms(after)
        id = len(self.steps)
        more = {"released": self.time, "now": self.time, "wall": self.time, **more}
        label = f"{kind} {node} {name} #{id}"
        step = Step(id=id, time=self.time, kind=kind, node=node, label=label, type=name, **more)
        self.steps.append(step)
        return step

    def send(self, step: Step, to: str, name: str, lost: str = "", **fields: Any) -> Sending:
        """Let a message leave."""
        label = f"deliver {step.node}→{to} {name} #{len(step.sends)}"
        sending = Sending(to=to, type=name, fields=fields, label=label, sent=step.time, lost=lost)
        step.sends.append(sending)
        return sending

    def deliver(self, origin: Step, sending: Sending, after: int = 1, **more: Any) -> Step:
        """Let it arrive."""
        sending.arrival = len(self.steps)
        arrival = self.step(
            "deliver", sending.to, sending.type, after,
            fields=sending.fields, source=origin.node, cause=origin.id, **more,
        )  # fmt: skip
        arrival.label = sending.label
        return arrival

    def fault(self, node: str, detail: str, after: int = 0, **more: Any) -> Step:
        """Let something break."""
        return self.step("fault", node, detail.split()[0], after, detail=detail, **more)


def sets(**fields: Any) -> dict[str, Any]:
    return {name: Assignment(value) for name, value in fields.items()}


def begin(script: Script, node: str, incarnation: int = 0) -> None:
    script.step(
        "start", node, "Start", 0, incarnation=incarnation, role="follower",
        changes=sets(term=incarnation, voted_for=None, votes={"$set": []}, peers=NODES,
                     log={"$log": [], "start": 1}),
    )  # fmt: skip


def campaign(script: Script, node: str, term: int, after: int) -> Step:
    votes = {"votes": SetChange([node], [])}
    changes = sets(term=term, voted_for=node, role="candidate") | votes
    step = script.step("fire", node, "ElectionTimeout", after, changes=changes, role="candidate")
    step.timers = [TimerSet(type="ElectionTimeout", low=ms(150), high=ms(300))]
    return step


def heartbeat(script: Script, number: int) -> None:
    beat = script.step("fire", "n3", "Heartbeat", 49, role="leader", changes=sets(round=number))
    for target in ("n2", "n1"):
        sending = script.send(beat, target, "Append", "cut" if target == "n1" else "", round=number)
        if not sending.lost:
            got = script.deliver(beat, sending, role="follower")
            answer = script.send(got, "n3", "Reply", round=number)
            script.deliver(got, answer, role="leader")


def two_leaders() -> Trace:
    """A vote that a crash undoes: n2 votes twice in one term, and the term has two leaders."""
    script = Script()
    for node in NODES:
        begin(script, node)
    for node in CLIENTS:
        script.step("start", node, "Start", 0, changes=sets(number=0))
    first = campaign(script, "n1", 1, 160)
    to_n2 = script.send(first, "n2", "RequestVote", term=1, candidate="n1")
    script.send(first, "n3", "RequestVote", "lost", term=1, candidate="n1")
    voted = script.deliver(first, to_n2, 2, changes=sets(term=1, voted_for="n1"), role="follower")
    late = script.send(voted, "n1", "Vote", term=1, granted=True)
    script.fault("n2", "crash n2", cause=voted.id)
    script.fault("n2", "restart n2", 5)
    begin(script, "n2", 1)
    script.steps[-1].changes["term"] = Assignment(1)
    second = campaign(script, "n3", 1, 40)
    again = script.send(second, "n2", "RequestVote", term=1, candidate="n3")
    script.send(second, "n1", "RequestVote", "down", term=1, candidate="n3")
    twice = script.deliver(second, again, 2, changes=sets(voted_for="n3"), role="follower")
    yes = script.send(twice, "n3", "Vote", term=1, granted=True)
    copy = script.send(twice, "n3", "Vote", term=1, granted=True)
    copy.label = copy.label.replace(" #", " again #")
    won = {"votes": SetChange(["n2"], []), **sets(role="leader")}
    script.deliver(twice, yes, 3, changes=won, role="leader")
    script.deliver(twice, copy, 1, role="leader")
    script.fault("", "cut n1→n2 n1→n3", links=[("n1", "n2"), ("n1", "n3")])
    for number in range(1, 6):
        heartbeat(script, number)
    asked = ask(script)
    script.fault("c2", "pause c2", 3)
    script.deliver(voted, late, 20, changes=won, role="leader")
    violation = len(script.steps) - 1
    script.step("fire", "c1", "Retry", 30, cause=asked)
    return Trace(header(violation, asked), script.steps)


def ask(script: Script) -> int:
    """A client's operation, from its beginning to its end: the id of its first step."""
    operation = {"$": "Operation", "f": "put", "key": "x", "value": "a "}
    asked = script.step(
        "invoke", "c1", "Invoke", 5, fields={"operation": operation}, changes=sets(number=1)
    )
    request = script.send(asked, "n3", "Request", number=1, operation=operation)
    entry = {"$": "Entry", "term": 1, "operation": operation}
    stored = script.deliver(
        asked, request, 0, role="leader", changes={"log": LogChange(1, 1, [entry])}
    )
    answer = script.send(stored, "c1", "Response", number=1, value=None)
    done = script.deliver(stored, answer, 0, changes=sets(operation=None))
    done.completed = [Completion("ok", None)]
    return asked.id


def header(violation: int, asked: int) -> Header:
    message = "No term has two leaders. n1: role=leader, term=1; n3: role=leader, term=1"
    done = JudgedOperation(process=0, f="put", key="x", value="a ", status="ok")
    done.invoke, done.complete = asked, asked + 2
    wrong = JudgedOperation(process=1, f="get", key="x", invoke=asked, role="cannot be placed")
    return Header(
        scenario="toy@vote-not-durable",
        nodes=NODES,
        clients=CLIENTS,
        title="toy@vote-not-durable",
        seed=7,
        verdict="fail",
        violation=Violation("one_leader_per_term", violation, message),
        section="5.2",
        schedule="lose n1→n3 RequestVote #0\nafter deliver n1→n2 RequestVote #0: crash n2\n",
        replay="quorate replay toy.schedule",
        decisions=3,
        explanation=Explanation("No order explains them.", [done, wrong]),
        counters={"elections": 2},
    )


HOSTILE = "\x1b[31m</script><img src=x onerror=alert(1)>\u2028\u202e\x00\r\n&amp;${x}"


def hostile() -> Trace:
    """Every text is an attack."""
    script = Script()
    script.step("start", "n1", "Start", changes=sets(x=HOSTILE), role=HOSTILE)
    first = script.step(
        "fire", "n1", HOSTILE, fields={HOSTILE: HOSTILE}, role=HOSTILE + "2",
        changes={HOSTILE: Assignment({"$": HOSTILE, "a": HOSTILE})}, choices=[HOSTILE],
        stored=[HOSTILE],
    )  # fmt: skip
    sending = script.send(first, "n2", HOSTILE, **{HOSTILE: [HOSTILE, {"$map": [[HOSTILE, 1]]}]})
    script.send(first, "n2", HOSTILE, lost=HOSTILE)
    script.deliver(first, sending, changes=sets(y=2**63))
    script.fault("n2", f"crash {HOSTILE}")
    script.fault("n1", HOSTILE)
    end = script.step("fire", "n1", "Timer", completed=[Completion(HOSTILE, HOSTILE)])
    violation = Violation(HOSTILE, end.id, HOSTILE)
    explanation = Explanation(HOSTILE, [JudgedOperation(process=1, f=HOSTILE, value=HOSTILE)])
    texts = dict.fromkeys(("title", "verdict", "section", "schedule", "replay", "paper"), HOSTILE)
    return Trace(
        Header(
            scenario=HOSTILE, nodes=["n1", "n2"], violation=violation, explanation=explanation,
            features={HOSTILE: HOSTILE}, counters={HOSTILE: 1}, configuration=HOSTILE, **texts,
        ),
        script.steps,
    )  # fmt: skip
