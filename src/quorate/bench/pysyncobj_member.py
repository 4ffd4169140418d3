"""One member of PySyncObj, for its benchmark: asked by lines on standard input.

    leader                   yes, or no
    load COUNT OUTSTANDING   sets so many keys, and tells how many a second

It replicates in memory, without any sync. Unbatched it is the faster one at this load: it sends at
once, where batches wait for the next period.
"""

import sys
import threading
import time
from typing import Any

VALUE = "x" * 100
KEYS = 100_000
LIMIT_SECONDS = 120.0


def main(own: str, others: list[str]) -> None:
    """Serve until standard input ends."""
    from pysyncobj import SyncObj, SyncObjConf  # type: ignore
    from pysyncobj.batteries import ReplDict  # type: ignore

    store = ReplDict()
    conf = SyncObjConf(appendEntriesUseBatch=False, commandsQueueSize=1_000_000)
    member = SyncObj(own, others, consumers=[store], conf=conf)
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "leader":
            answer = "yes" if member.isReady() and member._isLeader() else "no"
        else:
            answer = str(_load(store, *map(int, numbers)))
        print(answer, flush=True)


def _load(store: Any, count: int, outstanding: int) -> float:
    """Operations/s, with so many under way all the time. Raises if one fails."""
    begun = ended = 0
    failed: list[Any] = []
    done = threading.Event()

    def begin() -> None:
        nonlocal begun
        begun += 1
        store.set(f"key:{begun % KEYS:012}", VALUE, callback=end)

    def end(result: Any, error: Any) -> None:
        nonlocal ended
        ended += 1
        if error:
            failed.append(error)
        if ended == count or error:
            done.set()
        elif begun < count:
            begin()

    started = time.perf_counter()
    for _ in range(min(outstanding, count)):
        begin()
    if not done.wait(LIMIT_SECONDS) or failed:
        raise RuntimeError(f"{ended} of {count} operations done; failed: {failed[:1]}")
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
