"""Frames that are late, by the kernel's own `tc netem`: a queue for each source on a target's port.

Frames are told apart by where they come from; all else, as clients and operators, waits nowhere.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from quorate.errors import Mistake
from quorate.live.chaos.unshare import run

MOST_MEMBERS = 15
"""A `prio` has sixteen bands, the first for all else."""
_FIRST = "0 " * 16  # Whatever a frame's priority, unless a filter says otherwise.

Ends = tuple[str, str]


class Late:
    """The queues of all ways.

    Attributes:
        why_not: why there can be none; "" if there can.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """`addresses` by the members' names, which are those of their ports, too."""
        self._bands = {name: band for band, name in enumerate(addresses, 2)}
        self._addresses = addresses
        self._slow: dict[Ends, str] = {}
        self._past: Counter[Ends] = Counter()
        self.why_not = ""
        if len(addresses) > MOST_MEMBERS:
            self.why_not = f"netem here takes no more than {MOST_MEMBERS} members"
            return
        try:
            _tc([line for name in addresses for line in self._port(name)])
            _tc([f"qdisc add dev {name} parent 1:1 netem" for name in addresses])
            _tc([f"qdisc del dev {name} parent 1:1" for name in addresses])
        except Mistake:
            self.why_not = "this kernel has no tc netem"

    def _port(self, target: str) -> list[str]:
        bands = len(self._addresses) + 1
        return [
            f"qdisc add dev {target} root handle 1: prio bands {bands} priomap {_FIRST}",
            *(
                f"filter add dev {target} parent 1: protocol ip u32 "
                f"match ip src {address}/32 flowid 1:{self._bands[source]:x}"
                for source, address in self._addresses.items()
                if source != target
            ),
        ]

    def set(self, conditions: Mapping[Ends, tuple[tuple[float, float], int]]) -> None:
        """Let each way hold up what comes by it.

        So long, in seconds, at least and at most, and by so many bytes a second; 0 for no limit.
        Raises Mistake.
        """
        wanted = {ends: _words(*condition) for ends, condition in conditions.items()}
        changed = {ends: new for ends, new in wanted.items() if new != self._slow.get(ends, "")}
        if not changed:
            return
        passed, lines = self._passed(), []
        for ends, words in changed.items():
            source, target = ends
            queue = f"dev {target} parent 1:{self._bands[source]:x}"
            if self._slow.pop(ends, ""):
                self._past[ends] += passed[ends]
                lines.append(f"qdisc del {queue}")
            if words:
                self._slow[ends] = words
                lines.append(f"qdisc add {queue} netem {words}")
        _tc(lines)

    def counted(self) -> Counter[Ends]:
        """How many frames have waited, by way."""
        return self._past + self._passed()

    def _passed(self) -> Counter[Ends]:
        """What netem says of the queues that there are now."""
        if not self._slow:
            return Counter()
        sources = {f"1:{band:x}": name for name, band in self._bands.items()}
        told = msgspec.json.decode(run("tc", "-s", "-j", "qdisc", "show"))
        queues = [one for one in told if one["kind"] == "netem"]
        return Counter({(sources[one["parent"]], one["dev"]): one["packets"] for one in queues})


def _words(delay: tuple[float, float], bandwidth: int) -> str:
    low, high = (round(seconds * 1e6) for seconds in delay)
    words = f"delay {(low + high) // 2}us {(high - low) // 2}us" if high else ""
    return f"{words} rate {bandwidth}bps".strip() if bandwidth else words


def _tc(lines: list[str]) -> None:
    run("tc", "-batch", "-", text="\n".join(lines) + "\n")
