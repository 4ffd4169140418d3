"""What must hold of Zab: the paper's properties of atomic broadcast and of primary order."""

from collections.abc import Sequence

from quorate.kernel import (
    Event,
    Log,
    Map,
    Monitor,
    NodeId,
    Set,
    Start,
    always,
    each_step,
    eventually,
    sometimes,
)
from quorate.protocols.consensus.zab_state import (
    DISCOVERY,
    LEADING,
    NOTHING,
    Transaction,
    ZabState,
    Zxid,
)

ON_ITS_WAY = 10
"""Transactions that may be committed within the time that a message takes."""


class Integrity(Monitor):
    """What some process delivers, some process has broadcast (§III).

    After a crash the disk may hold what a primary broadcast in steps that nobody saw.
    """

    reads = ("history", "delivered")
    broadcast: Set[Transaction] = Set()

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        if (after.is_primary and before.is_primary) or isinstance(event, Start):
            new = after.history.changes_since(before.history).appended
            self.broadcast |= {t for t in new if t.zxid[0] == after.current_epoch}
        news = after.history[before.delivered + 1 : after.delivered + 1]
        return all(transaction in self.broadcast for transaction in news)


class TotalOrder(Monitor):
    """All deliver the same transactions in the same order: total order and agreement (§III)."""

    reads = ("delivered",)
    delivered: Log[Transaction] = Log(start=1)

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        for index in range(before.delivered + 1, after.delivered + 1):
            if index == self.delivered.end:
                self.delivered = self.delivered.append(after.history[index])
            elif self.delivered[index] != after.history[index]:
                return False
        return True


class PrimaryOrder(Monitor):
    """What primaries broadcast is delivered in their order, one after the other (§III).

    So the zxids of what is delivered only grow, and within an epoch none is left out.
    """

    reads = ("delivered",)

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        old = after.history[before.delivered].zxid if before.delivered else NOTHING
        for transaction in after.history[before.delivered + 1 : after.delivered + 1]:
            epoch, counter = transaction.zxid
            expected = old[1] + 1 if epoch == old[0] else 1
            if epoch < old[0] or counter != expected:
                return False
            old = transaction.zxid
        return True


@each_step
def primary_integrity(before: ZabState, event: Event, after: ZabState) -> bool:
    """A primary broadcasts only after it has delivered all of earlier epochs (§III)."""
    if not after.is_primary or after.last[0] != after.epoch or after.last == before.last:
        return True
    return after.delivered >= after.history.end - 1 - after.last[1]


class OneLeaderPerEpoch(Monitor):
    """An epoch has one leader, which comes to lead it once (§IV, phase 1)."""

    reads = ("role", "phase", "epoch")
    begun: Set[int] = Set()

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        if after.role != LEADING or after.phase == DISCOVERY:
            return True
        if (before.role, before.epoch) == (after.role, after.epoch) and before.phase != DISCOVERY:
            return True
        is_new = after.epoch not in self.begun
        self.begun |= {after.epoch}
        return is_new


class OneHistoryPerZxid(Monitor):
    """Histories with the same zxid are the same up to there (§V).

    It follows by induction if a zxid determines its transaction and the zxid before it.
    """

    reads = ("history",)
    seen: Map[Zxid, tuple[Zxid, Transaction]] = Map()

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        _, kept, appended = after.history.changes_since(before.history)
        last = after.history[kept - 1].zxid if kept > 1 else NOTHING
        for transaction in appended:
            place = (last, transaction)
            if self.seen.get(transaction.zxid, place) != place:
                return False
            self.seen = self.seen.set(transaction.zxid, place)
            last = transaction.zxid
        return True


class CommittedSurvives(Monitor):
    """What was delivered is in the history of every leader of a later epoch (§V)."""

    reads = ("role", "phase", "history", "delivered")
    delivered: Log[Transaction] = Log(start=1)

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        if after.delivered >= self.delivered.end:
            self.delivered = self.delivered.extend(
                after.history[self.delivered.end : after.delivered + 1]
            )
        if after.role != LEADING or after.phase == DISCOVERY:
            return True
        place = self.delivered.end - 1
        if not self.delivered or self.delivered[place].zxid[0] >= after.epoch:
            return True
        return place < after.history.end and after.history[place] == self.delivered[place]


class CommittedByQuorum(Monitor):
    """What any process delivers is on the disks of a quorum (§IV, phase 3)."""

    reads = ("history", "delivered")
    histories: Map[NodeId, Log[Transaction]] = Map()
    delivered: int = 0

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        self.histories = self.histories.set(after.id, after.history)
        index = after.delivered
        if index <= self.delivered:
            return True
        self.delivered, transaction = index, after.history[index]
        on_disk = [
            index < history.end and history[index] == transaction
            for history in self.histories.values()
        ]
        return sum(on_disk) >= after.quorum


class AtMostOnce(Monitor):
    """A request is delivered at most once, however often its client sends it."""

    reads = ("delivered",)
    executed: Map[tuple[NodeId, int], int] = Map()  # (client, its number) -> index

    def watch(self, before: ZabState, event: Event, after: ZabState) -> bool:
        for index in range(before.delivered + 1, after.delivered + 1):
            request = (after.history[index].client, after.history[index].number)
            if self.executed.get(request, index) != index:
                return False
            self.executed = self.executed.set(request, index)
        return True


@always
def epochs_in_order(nodes: Sequence[ZabState]) -> bool:
    """Nobody has a history of an epoch that it has not taken over, or takes over unpromised."""
    return all(node.last[0] <= node.current_epoch <= node.accepted_epoch for node in nodes)


@each_step
def never_backwards(before: ZabState, event: Event, after: ZabState) -> bool:
    """Both epochs only grow, also through a crash; so does what is delivered, until one."""
    if after.accepted_epoch < before.accepted_epoch or after.current_epoch < before.current_epoch:
        return False
    return after.delivered >= before.delivered or isinstance(event, Start)


@each_step
def within_an_epoch_histories_grow(before: ZabState, event: Event, after: ZabState) -> bool:
    """What a process has acknowledged in an epoch it keeps until the next (§IV, phase 3)."""
    return before.current_epoch != after.current_epoch or after.last >= before.last


@sometimes
def an_epoch_is_established(nodes: Sequence[ZabState]) -> bool:
    """Some process may broadcast, and has delivered something."""
    return any(node.is_primary and node.delivered > 0 for node in nodes)


@sometimes
def an_old_primary_lives_on(nodes: Sequence[ZabState]) -> bool:
    """Two processes take themselves for primaries, of two epochs."""
    return sum(node.is_primary for node in nodes) > 1


@sometimes
def a_follower_joins_late(nodes: Sequence[ZabState]) -> bool:
    """Some process follows an epoch that was found without it."""
    return any(
        follower not in node.promises
        for node in nodes
        if node.is_primary
        for follower in node.acked
    )


@sometimes
def a_transaction_is_given_up(nodes: Sequence[ZabState]) -> bool:
    """An old history has a transaction, not delivered by it, that a later epoch's has not."""
    return any(
        old.current_epoch < new.current_epoch
        and old.delivered < old.history.end - 1
        and new.history[old.delivered + 1 : old.history.end] != old.history[old.delivered + 1 :]
        for old in nodes
        for new in nodes
    )


@eventually
def one_primary_and_one_history(nodes: Sequence[ZabState]) -> bool:
    """One process leads, all are in step with it, and have delivered the same, or nearly so."""
    leaders = {node.id for node in nodes if node.is_primary}
    delivered = [node.delivered for node in nodes]
    in_step = len({(node.leader, node.epoch) for node in nodes}) == 1
    return len(leaders) == 1 and in_step and max(delivered) - min(delivered) <= ON_ITS_WAY
