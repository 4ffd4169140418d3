"""Properties: what they are, and which fields a check can read."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from quorate.kernel import (
    Event,
    Map,
    Monitor,
    Node,
    NodeId,
    Start,
    always,
    each_step,
    eventually,
    sometimes,
)
from quorate.kernel.properties import PropertyKind, fields_read


class Machine(Node):
    speed: int = 0
    heat: int = 0
    fuel: int = 0
    load: int = 0

    @property
    def strain(self) -> int:
        return self.load * self.speed

    def burns(self) -> bool:
        return self.overheated(3)

    def overheated(self, limit: int) -> bool:
        return self.heat > limit


def is_empty(node: Machine) -> bool:
    return node.fuel == 0


def half_empty(node: Machine) -> bool:
    return is_empty(node) or node.fuel < 5


def reads_directly(nodes: Sequence[Machine]) -> bool:
    return all(node.speed < 3 for node in nodes)


def reads_in_a_lambda(nodes: Sequence[Machine]) -> bool:
    return max(nodes, key=lambda node: node.heat).id != "n9"


def reads_in_a_nested_function(nodes: Sequence[Machine]) -> bool:
    def worst() -> int:
        def of(node: Machine) -> int:
            return node.load

        return max(of(node) for node in nodes)

    return worst() < 9


def reads_by_a_method(nodes: Sequence[Machine]) -> bool:
    return not any(node.burns() for node in nodes)


def reads_by_a_property(nodes: Sequence[Machine]) -> bool:
    return all(node.strain < 9 for node in nodes)


def reads_by_a_function(nodes: Sequence[Machine]) -> bool:
    return not all(half_empty(node) for node in nodes)


def reads_nothing(nodes: Sequence[Machine]) -> bool:
    return len(nodes) > 0


def reads_by_closure() -> Callable[[Sequence[Machine]], bool]:
    def too_fast(node: Machine) -> bool:
        return node.speed > 9

    def check(nodes: Sequence[Machine]) -> bool:
        return not any(too_fast(node) for node in nodes)

    return check


def reads_by_name(nodes: Sequence[Machine]) -> bool:
    return all(getattr(node, "load") < 9 for node in nodes)  # noqa: B009


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        (reads_directly, {"speed"}),
        (reads_in_a_lambda, {"heat", "id"}),
        (reads_in_a_nested_function, {"load"}),
        (reads_by_a_method, {"heat"}),
        (reads_by_a_property, {"load", "speed"}),
        (reads_by_a_function, {"fuel"}),
        (reads_nothing, set()),
        (reads_by_closure(), {"speed"}),
        (reads_by_name, {"load"}),
    ],
)
def test_fields_read(check: Callable[..., bool], fields: set[str]) -> None:
    assert fields_read(check, Machine) == fields


@pytest.mark.parametrize(
    ("decorator", "kind"),
    [
        (always, PropertyKind.ALWAYS),
        (sometimes, PropertyKind.SOMETIMES),
        (eventually, PropertyKind.EVENTUALLY),
        (each_step, PropertyKind.EACH_STEP),
    ],
)
def test_a_property_knows_its_name_kind_claim_and_fields(
    decorator: Callable[..., Any], kind: PropertyKind
) -> None:
    def cool(nodes: Sequence[Machine]) -> bool:
        """Nobody is hot."""
        return all(node.heat < 9 for node in nodes)

    claim = decorator(cool)
    assert (claim.name, claim.kind, claim.doc) == ("cool", kind, "Nobody is hot.")
    assert claim.fields(Machine) == {"heat"}
    assert claim.check([Machine(id=NodeId("n1"))])
    assert not claim.check([Machine(id=NodeId("n1"), heat=9)])


class NeverCooler(Monitor):
    """No machine cools down."""

    reads = ("heat",)
    hottest: Map[NodeId, int] = Map()

    def watch(self, before: Machine, event: Event, after: Machine) -> bool:
        known = self.hottest.get(after.id, 0)
        self.hottest = self.hottest.set(after.id, after.heat)
        return after.heat >= known


def test_a_monitor_remembers_and_instances_do_not_share() -> None:
    first, second = NeverCooler(), NeverCooler()
    cold, hot = Machine(id=NodeId("n1")), Machine(id=NodeId("n1"), heat=5)
    assert first.watch(cold, Start(), hot)
    assert second.watch(cold, Start(), cold)
    assert not first.watch(hot, Start(), cold)
    with pytest.raises(NotImplementedError):
        Monitor().watch(cold, Start(), hot)
