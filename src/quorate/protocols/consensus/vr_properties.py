"""What must hold of Viewstamped Replication: the claims of the paper's §8, and a few more."""

from collections.abc import Sequence

from quorate.kernel import (
    Event,
    Log,
    Map,
    Monitor,
    NodeId,
    Set,
    Start,
    each_step,
    eventually,
    sometimes,
)
from quorate.protocols.consensus.vr_state import NORMAL, Entry, VrState

ON_ITS_WAY = 10
"""Requests that may be committed within the time that a message takes."""


class OneLogPerView(Monitor):
    """In each view there is one log, of which every replica of the view has a beginning (§8.1)."""

    reads = ("log", "last_normal")
    logs: Map[int, Log[Entry]] = Map()  # the longest that was seen, by view

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        view, log = after.last_normal, after.log
        known = self.logs.get(view, Log(start=1))
        start = 1
        if view == before.last_normal:
            start = log.changes_since(before.log).kept  # What was there has been compared.
        end = min(log.end, known.end)
        if start < end and log[start:end] != known[start:end]:
            return False
        if log.end > known.end:
            self.logs = self.logs.set(view, log)
        return True


class CommittedSurvives(Monitor):
    """What is committed in a view is in the log of every later one, at the same place (§8.1)."""

    reads = ("log", "last_normal", "commit_number")
    committed: Log[Entry] = Log(start=1)
    reached: Map[int, int] = Map()  # the newest op-number that was committed, by view

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        for number in range(before.commit_number + 1, after.commit_number + 1):
            if number == self.committed.end:
                self.committed = self.committed.append(after.log[number])
                self.reached = self.reached.set(after.last_normal, number)
            elif self.committed[number] != after.log[number]:
                return False
        return all(
            number <= after.op_number and after.log[number] == self.committed[number]
            for view, number in self.reached.items()
            if view < after.last_normal
        )


class CommittedByQuorum(Monitor):
    """What is committed has been in the logs of f + 1 replicas, in that view or later (§4.1)."""

    reads = ("log", "last_normal", "commit_number")
    reached: Map[NodeId, tuple[int, int]] = Map()  # each replica's latest (view, op-number)
    committed: int = 0

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        place = (after.last_normal, after.op_number)
        if place > self.reached.get(after.id, (0, 0)):
            self.reached = self.reached.set(after.id, place)
        number = after.commit_number
        if number <= self.committed:
            return True
        self.committed = number
        there = (after.last_normal, number)
        return sum(place >= there for place in self.reached.values()) >= after.quorum


class NothingForgotten(Monitor):
    """Once it is normal again, a replica has at least what it had before the crash (§4.3)."""

    reads = ("log", "last_normal", "status")
    reached: Map[NodeId, tuple[int, int]] = Map()  # each replica's latest (view, op-number)

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        if after.status != NORMAL:
            return True
        place = (after.last_normal, after.op_number)
        known = self.reached.get(after.id, (0, 0))
        self.reached = self.reached.set(after.id, max(place, known))
        return place >= known


class AtMostOnce(Monitor):
    """A request is executed at most once, however often its client sends it (§4.1)."""

    reads = ("commit_number",)
    executed: Map[tuple[NodeId, int], int] = Map()  # (client, its number) -> op-number

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        for number in range(before.commit_number + 1, after.commit_number + 1):
            entry = after.log[number]
            request = (entry.client, entry.number)
            if self.executed.get(request, number) != number:
                return False
            self.executed = self.executed.set(request, number)
        return True


class OnePrimaryPerView(Monitor):
    """A view begins once: nobody comes to be its primary a second time (§4.2, §4.3)."""

    reads = ("status", "view")
    begun: Set[int] = Set()

    def watch(self, before: VrState, event: Event, after: VrState) -> bool:
        if not after.is_primary or (before.is_primary and before.view == after.view):
            return True
        is_new = after.view not in self.begun
        self.begun |= {after.view}
        return is_new


@each_step
def never_backwards(before: VrState, event: Event, after: VrState) -> bool:
    """View and commit-number of a replica only grow, until it crashes (§4)."""
    if isinstance(event, Start):
        return True
    place = (after.view, after.last_normal, after.commit_number)
    known = (before.view, before.last_normal, before.commit_number)
    grows = all(new >= old for new, old in zip(place, known, strict=True))
    return grows and after.commit_number <= after.op_number


@sometimes
def a_view_is_changed(nodes: Sequence[VrState]) -> bool:
    """Some replica is normal in a later view than the first."""
    return any(node.status == NORMAL and node.view > 0 for node in nodes)


@sometimes
def a_replica_recovers(nodes: Sequence[VrState]) -> bool:
    """Some replica that has crashed is normal again, and has executed something."""
    return any(
        node.status == NORMAL and node.incarnation > 0 and node.commit_number > 0 for node in nodes
    )


@sometimes
def a_request_is_given_up(nodes: Sequence[VrState]) -> bool:
    """A log of an earlier view has a request, never committed, that a later view's log has not."""
    return any(
        old.last_normal < new.last_normal
        and old.commit_number < old.op_number
        and new.log[old.commit_number + 1 : old.log.end] != old.log[old.commit_number + 1 :]
        for old in nodes
        for new in nodes
    )


@sometimes
def an_old_primary_lives_on(nodes: Sequence[VrState]) -> bool:
    """Two replicas take themselves for primaries, of two views."""
    return sum(node.is_primary for node in nodes) > 1


@eventually
def one_view_and_one_log(nodes: Sequence[VrState]) -> bool:
    """All replicas are normal in one view, and have executed the same, but for what is coming."""
    executed = [node.commit_number for node in nodes]
    is_one = len({(node.status, node.view) for node in nodes}) == 1
    return is_one and nodes[0].status == NORMAL and max(executed) - min(executed) <= ON_ITS_WAY
