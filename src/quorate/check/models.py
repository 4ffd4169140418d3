"""Sequential models: what an object would answer if it did one operation at a time.

A model is deterministic: a state and an operation give the next state, or say that the operation
could not have returned what it did. Write your own by deriving from `Model`; only `operations`,
`initial` and `step` are needed. `effect` and `reaches` make hard histories faster to judge, and
must then be true, because the search trusts them.
"""

import difflib
from collections import Counter as Counter_
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from typing import ClassVar, Final, Literal, NamedTuple, TypeAlias

from quorate.check.history import Value
from quorate.check.texts import before_each, longest
from quorate.errors import Mistake

State: TypeAlias = Hashable
"""A model's state: immutable, hashable, compared by `==`."""


class Mark(Enum):
    """Answers that are not states or values."""

    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"
    ANY_STATE = "any state"
    SOME_STATE = "some state"
    SAME_STATE = "same state"


IMPOSSIBLE: Final = Mark.IMPOSSIBLE
"""From `step`: no object in this state returns this result."""
UNKNOWN: Final = Mark.UNKNOWN
"""As `result`: the operation may have taken effect, and nobody saw what it returned."""
ANY_STATE: Final = Mark.ANY_STATE
"""In an `Effect`: every state will do."""
SOME_STATE: Final = Mark.SOME_STATE
"""In an `Effect`: it depends; ask `step`."""
SAME_STATE: Final = Mark.SAME_STATE
"""In an `Effect`: the state is left as it was."""


class Effect(NamedTuple):
    """What is known of an operation without knowing the state.

    `before` is the only state in which it is possible, or ANY_STATE, or SOME_STATE.
    `after` is the state that it always leaves behind, or SAME_STATE, or SOME_STATE.
    """

    before: State | Literal[Mark.ANY_STATE, Mark.SOME_STATE]
    after: State | Literal[Mark.SAME_STATE, Mark.SOME_STATE]


class Seen(NamedTuple):
    """An operation as it was seen from outside; `result` is UNKNOWN if nobody saw it."""

    f: str
    value: Value
    result: Value | Mark


class Implied(NamedTuple):
    """`second` is possible only once `first`, which undoes what `cause` did, has been done.

    `first` and `second` are (f, result), `cause` is (f, value).
    """

    cause: tuple[str, Value]
    first: tuple[str, Value]
    second: tuple[str, Value]


class Model:
    """A deterministic object, without concurrency. Instances hold no state of their own."""

    operations: ClassVar[frozenset[str]]
    """The names of the operations that it understands."""
    initial: ClassVar[State]
    """Its first state; of each key, where histories have keys."""

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        """Return the state after the operation, or IMPOSSIBLE if it cannot return `result`.

        `result` is UNKNOWN if nobody saw it. A malformed `value` raises Mistake.
        """
        raise NotImplementedError

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        """Return what is known of the operation in every state. The default knows nothing."""
        return Effect(SOME_STATE, SOME_STATE)

    def watches(self, observer: Seen, other: Seen) -> bool:
        """Whether the answer of `observer` may be possible only because of `other`.

        For explanations: `other` may be left out of a story once all that watch it are.
        """
        return True

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        """Whether operations whose `effect` leaves SOME_STATE may lead from `before` to `after`.

        `used` has the (f, value) of all operations in the history.
        """
        return True

    def implies(self, before: State, after: State) -> Iterable[Implied]:
        """What must still happen, and in which order, because of this step."""
        return ()

    def pinned(self, times: Mapping[Seen, int]) -> Mapping[Seen, State]:
        """The one state that an operation must have found, where the answers of others tell it.

        `times` has all that may have happened to the object, and how often each was asked for.
        """
        return {}


def _pair(f: str, value: Value) -> tuple[Value, Value]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise Mistake(f"{f!r} takes a pair (expected, new), not {value!r}")
    return value


class Register(Model):
    """One value: `write` sets it, `read` returns it; None before the first write."""

    operations = frozenset({"read", "write"})
    initial = None

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if f == "read":
            return state if result is UNKNOWN or state == result else IMPOSSIBLE
        return value

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "read":
            return Effect(ANY_STATE if result is UNKNOWN else result, SAME_STATE)
        return Effect(ANY_STATE, value)

    def watches(self, observer: Seen, other: Seen) -> bool:
        needed = self.effect(*observer).before
        made = self.effect(*other).after
        return needed is SOME_STATE or (needed is not ANY_STATE and needed == made)


class CasRegister(Register):
    """A register with `cas`, which takes (expected, new) and swaps only if it finds `expected`.

    A `cas` that completes ok with False found another value; one that completes with `fail`
    says nothing about what it found.
    """

    operations = frozenset({"read", "write", "cas"})

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if f != "cas":
            return super().step(state, f, value, result)
        expected, new = _pair(f, value)
        if _refused(result):
            return state if state != expected else IMPOSSIBLE
        if result is UNKNOWN:
            return new if state == expected else state
        return new if state == expected else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f != "cas":
            return super().effect(f, value, result)
        expected, new = _pair(f, value)
        if _refused(result):
            return Effect(SOME_STATE, SAME_STATE)
        # Nobody can tell an unseen cas that found another value from one that never ran.
        return Effect(expected, new)


def _refused(result: Value | Mark) -> bool:
    return isinstance(result, int) and not result


class KeyValue(CasRegister):
    """One key of a store: `get`/`read`, `put`/`write`, `append`, `cas`, `delete`.

    An absent key reads as None. The empty string is the same as absent, since many stores
    cannot tell them apart. `append` adds to the text of the value.
    """

    operations = frozenset({"get", "read", "put", "write", "append", "cas", "delete"})

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if f == "append":
            return (_text(state) + _appended(value)) or None
        if f in _READS:
            same = result is UNKNOWN or state == result or (state is None and result == "")
            return state if same else IMPOSSIBLE
        if f == "cas":
            return super().step(state, f, _present_pair(value), result)
        return None if f == "delete" or value == "" else value

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "append":
            return Effect(ANY_STATE, SOME_STATE if _appended(value) else SAME_STATE)
        if f in _READS:
            needed = None if result == "" else result
            return Effect(ANY_STATE if result is UNKNOWN else needed, SAME_STATE)
        if f == "cas":
            return super().effect(f, _present_pair(value), result)
        return Effect(ANY_STATE, None if f == "delete" or value == "" else value)

    def watches(self, observer: Seen, other: Seen) -> bool:
        needed = self.effect(*observer).before
        if needed is ANY_STATE or needed is SOME_STATE:
            return needed is SOME_STATE
        if other.f == "append":
            return _appended(other.value) in _text(needed)
        made = self.effect(*other).after
        return made is not SAME_STATE and _text(needed).startswith(_text(made))

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        return _text(after).startswith(_text(before))

    def pinned(self, times: Mapping[Seen, int]) -> Mapping[Seen, State]:
        """A text that was read tells where each `append` stood that only one can have made."""
        appended: Counter_[str] = Counter_()
        begins, read = {""}, {""}
        for seen, count in times.items():
            before, after = self.effect(*seen)
            if after is SOME_STATE:
                appended[_appended(seen.value)] += count
            elif isinstance(after, str):
                begins.add(after)
            elif not (after is None or after is SAME_STATE):
                return {}  # An append makes text of what is not: states would look alike.
            if isinstance(before, str) and seen.result is not UNKNOWN:
                read.add(before)
        found = before_each(longest(read), begins, appended)
        return {
            seen: found[seen.value] or None
            for seen in times
            if seen.f == "append" and seen.value in found and appended[seen.value] == 1
        }


def _text(state: State) -> str:
    return "" if state is None else str(state)


def _appended(value: Value) -> str:
    if not isinstance(value, str):
        raise Mistake(f"'append' takes a string, not {value!r}")
    return value


def _present_pair(value: Value) -> tuple[Value, Value]:
    expected, new = _pair("cas", value)
    return None if expected == "" else expected, None if new == "" else new


_READS = frozenset({"get", "read"})


class Counter(Model):
    """A number from 0: `add` an integer, `increment`, `decrement`, `read`.

    What an update returns is not looked at.
    """

    operations = frozenset({"add", "increment", "decrement", "read"})
    initial = 0

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        assert isinstance(state, int)
        if f == "read":
            return state if result is UNKNOWN or state == result else IMPOSSIBLE
        return state + _amount(f, value)

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "read":
            return Effect(ANY_STATE if result is UNKNOWN else result, SAME_STATE)
        return Effect(ANY_STATE, SOME_STATE if _amount(f, value) else SAME_STATE)

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        assert isinstance(before, int)
        assert isinstance(after, int)
        amounts = [_amount(f, value) for f, value in used if f != "read"]
        return (after >= before or min(amounts) < 0) and (after <= before or max(amounts) > 0)


def _amount(f: str, value: Value) -> int:
    if f != "add":
        return 1 if f == "increment" else -1
    if not isinstance(value, int):
        raise Mistake(f"'add' takes an integer, not {value!r}")
    return value


class SetOfValues(Model):
    """A set: `add` and `remove` a value, `contains` one (True or False), `read` all of them."""

    operations = frozenset({"add", "remove", "contains", "read"})
    initial = frozenset[Value]()

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        assert isinstance(state, frozenset)
        if f == "add":
            return state | {value}
        if f == "remove":
            return state - {value}
        if result is UNKNOWN:
            return state
        seen = value in state if f == "contains" else state
        return state if seen == _members(f, result) else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f in ("add", "remove"):
            return Effect(ANY_STATE, SOME_STATE)
        if result is UNKNOWN:
            return Effect(ANY_STATE, SAME_STATE)
        return Effect(_members(f, result) if f == "read" else SOME_STATE, SAME_STATE)

    def watches(self, observer: Seen, other: Seen) -> bool:
        if observer.f == "read" and observer.result is not UNKNOWN:
            seen = _members(observer.f, observer.result)
            return isinstance(seen, frozenset) and other.f == "add" and other.value in seen
        # Without its `remove`, an `add` would be seen by those who rightly saw nothing.
        return observer.value == other.value

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        assert isinstance(before, frozenset)
        assert isinstance(after, frozenset)
        gone, new = before - after, after - before
        return all(("remove", item) in used for item in gone) and all(
            ("add", item) in used for item in new
        )


def _members(f: str, result: Value | Mark) -> State:
    if f == "contains":
        return result is True
    if result is None:
        return frozenset()
    if not isinstance(result, tuple):
        raise Mistake(f"'read' of a set returns a list, not {result!r}")
    return frozenset(result)


class Queue(Model):
    """First in, first out: `enqueue` a value, `dequeue` the oldest; None says it is empty."""

    operations = frozenset({"enqueue", "dequeue"})
    initial: ClassVar[State] = ()

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        assert isinstance(state, tuple)
        if f == "enqueue":
            return (*state, value)
        if result is UNKNOWN:
            return state[1:]
        if not state:
            return state if result is None else IMPOSSIBLE
        return state[1:] if state[0] == result and result is not None else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "enqueue":
            if value is None:
                raise Mistake("'enqueue' takes a value; None is what an empty queue answers")
            return Effect(ANY_STATE, SOME_STATE)
        return Effect((), SAME_STATE) if result is None else Effect(SOME_STATE, SOME_STATE)

    def watches(self, observer: Seen, other: Seen) -> bool:
        return _passed(observer) == _passed(other)

    def implies(self, before: State, after: State) -> Iterable[Implied]:
        assert isinstance(before, tuple)
        assert isinstance(after, tuple)
        last = after[-1] if len(after) > len(before) else None
        if last is None or last in before:
            return
        for earlier in before:
            yield Implied(("enqueue", earlier), ("dequeue", earlier), ("dequeue", last))


def _passed(op: Seen) -> Value | Mark:
    return op.value if op.f == "enqueue" else op.result


class Mutex(Model):
    """One lock: `acquire` takes it, `release` gives it back. Free at first."""

    operations = frozenset({"acquire", "release"})
    initial = False

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        wanted = f == "release"
        if state is wanted:
            return not wanted
        return state if result is UNKNOWN else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        return Effect(f == "release", f != "release")


class Consensus(Model):
    """One decision: every `propose` returns the value that is decided, which somebody proposed."""

    operations = frozenset({"propose"})
    initial = None

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if value is None:
            raise Mistake("'propose' takes a value; None stands for undecided")
        decided = value if state is None else state
        return decided if result is UNKNOWN or result == decided else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if result is UNKNOWN:
            return Effect(ANY_STATE, SOME_STATE)
        return Effect(SOME_STATE, result) if result == value else Effect(result, SAME_STATE)

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        return before is None or before == after


class Transaction(Model):
    """One transaction of many participants: `commit` asks for it, `look` sees it at one of them.

    `commit` returns "committed" or "aborted", the same to all who ask. `look` returns whether the
    participant's data has the transaction's change: False until it is committed, then True.
    """

    operations = frozenset({"commit", "look"})
    initial = None

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if f == "look":
            return state if result in (UNKNOWN, state == "committed") else IMPOSSIBLE
        if result is UNKNOWN:
            # Nobody can tell an unseen abort from a request that never arrived.
            return "committed" if state is None else state
        is_outcome = result in ("committed", "aborted")
        return result if is_outcome and state in (None, result) else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "look":
            return Effect("committed" if result is True else SOME_STATE, SAME_STATE)
        return Effect(SOME_STATE, SOME_STATE if result is UNKNOWN else result)

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        return before == after or (before is None and after == "committed")


class Election(Model):
    """One leader: every `elect` returns the same name."""

    operations = frozenset({"elect"})
    initial = None

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        if result is UNKNOWN:
            return state
        return result if state is None or state == result else IMPOSSIBLE

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if result is UNKNOWN:
            return Effect(ANY_STATE, SAME_STATE)
        return Effect(SOME_STATE, result)

    def reaches(self, before: State, after: State, used: frozenset[tuple[str, Value]]) -> bool:
        return before is None or before == after


class Bank(Election):
    """A fixed sum: `transfer` moves a part of it, and every `audit` returns the same total."""

    operations = frozenset({"transfer", "audit"})

    def step(self, state: State, f: str, value: Value, result: Value | Mark) -> State | Mark:
        return state if f == "transfer" else super().step(state, f, value, result)

    def effect(self, f: str, value: Value, result: Value | Mark) -> Effect:
        if f == "transfer":
            return Effect(ANY_STATE, SAME_STATE)
        return super().effect(f, value, result)


MODELS: Final[dict[str, type[Model]]] = {
    "register": Register,
    "cas-register": CasRegister,
    "kv": KeyValue,
    "counter": Counter,
    "set": SetOfValues,
    "queue": Queue,
    "mutex": Mutex,
    "consensus": Consensus,
    "election": Election,
    "bank": Bank,
    "transaction": Transaction,
}
"""The models that come with Quorate, by the names that the command line knows."""


def model_named(name: str) -> Model:
    """Return the model of that name. Raises Mistake, naming the nearest, if there is none."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(MODELS))}."
        raise Mistake(f"no model is named {name!r}; {hint}")
    return MODELS[name]()
