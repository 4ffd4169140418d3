"""What a chaos run came to: the verdict and its reasons, and everything that was counted."""

from collections.abc import Mapping, Sequence

import msgspec

from quorate.check import Explanation, History, Result
from quorate.live.chaos.nemesis import Struck
from quorate.verdict import Verdict, worst

LEAST_OPERATIONS = 20
"""Successful operations for each client, below which there is too little to judge."""
MANY_OPERATIONS = 4000
"""After so many, what a member keeps must have been cut short and used in every way."""
CRASHES = frozenset({"kill", "power-cut", "disk"})
"""Faults after which a member recovers."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One chaos run.

    Attributes:
        system, nodes, clients, seed, seconds: what was asked for.
        configuration: by its name; "" for the system's first.
        verdict: the worst of what all judges say; `reasons` says why, unless all pass.
        operations: how many ended ok, fail or info.
        injected, bit: strokes by kind, and those that proved to have bitten.
        struck: each of them.
        leaders: how many leaders there were.
        dropped: unsynced bytes that power cuts took.
        network: by its name.
        unable: kinds of faults that it cannot play, and why.
        frames: what its links did with frames.
        kept: snapshots and checkpoints, as far as members lived to tell.
        history: what the clients saw.
        explanation: why that is not linearizable, if it is not.
        steps: of the checker.
    """

    system: str
    nodes: int
    clients: int
    seed: int
    seconds: float
    configuration: str
    verdict: Verdict
    reasons: tuple[str, ...]
    operations: Mapping[str, int]
    injected: Mapping[str, int]
    bit: Mapping[str, int]
    struck: Sequence[Struck]
    leaders: int
    dropped: int
    network: str
    unable: Mapping[str, str]
    frames: Mapping[str, int]
    kept: Mapping[str, int]
    history: History
    explanation: Explanation | None
    steps: int


def judge(
    result: Result,
    kinds: Sequence[str],
    bit: Mapping[str, int],
    least: int,
    broke: str,
    unread: Sequence[str],
    is_interrupted: bool,
    missing: Sequence[str] = (),
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict of all judges together, and the reasons for it, the gravest first.

    `missing` is what was to happen, and never did, provided that there were many operations.
    """
    findings: list[tuple[Verdict, str]] = []
    if result.verdict is not Verdict.PASS:
        why = result.explanation.sentence if result.explanation else result.reason
        name = "linearizability: " if result.verdict is Verdict.FAIL else ""
        findings.append((result.verdict, f"{name}{why}"))
    if broke:
        findings.append((Verdict.FAIL, broke))
    if unread:
        some = ", ".join(unread[:3])
        findings.append(
            (
                Verdict.FAIL,
                f"progress: after the heal nobody could read {some} ({len(unread)} keys)",
            )
        )
    ok = sum(part.operations for part in result.parts)
    if ok < least:
        findings.append((Verdict.UNKNOWN, f"only {ok} operations to judge, fewer than {least}"))
    if is_interrupted:
        findings.append((Verdict.UNKNOWN, "it was interrupted"))
    toothless = [kind for kind in kinds if not bit.get(kind)]
    if toothless and not broke:
        findings.append((Verdict.UNKNOWN, f"never proved to bite: {', '.join(toothless)}"))
    if missing and ok >= MANY_OPERATIONS and not broke:
        findings.append((Verdict.UNKNOWN, f"never happened: {', '.join(missing)}"))
    verdict = worst(one for one, _ in findings) if findings else Verdict.PASS
    findings.sort(key=lambda finding: finding[0] is not Verdict.FAIL)
    return verdict, tuple(words for _, words in findings)


def never_happened(kept: Mapping[str, int], kinds: Sequence[str]) -> tuple[str, ...]:
    """What members that take snapshots were to do with them under these faults, and did not."""
    expected = ["snapshots taken", "checkpoints"]
    if CRASHES & {*kinds}:
        expected.append("recoveries from a snapshot")
    if "partition" in kinds:  # A member that is cut off long enough is behind.
        expected.append("snapshots installed")
    return tuple(name for name in expected if not kept.get(name))
