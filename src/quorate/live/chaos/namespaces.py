"""The network of a cluster under chaos, of the kernel's: each member on a machine of its own.

Every member has a network namespace, and a wire from there to one bridge, which is in a namespace
that this process has entered: clients and operators speak from the bridge itself, and what strikes
on the ways between members does not strike them. The bridge's own packet filter cuts and loses.

A way here is what a network knows: frames of Ethernet from one port to another. A cut one-way
swallows what one member sends to the other, its acknowledgements of what it has heard included.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Unpack

import msgspec

from quorate.live.chaos.netem import Late
from quorate.live.chaos.network import Block, Condition, Network
from quorate.live.chaos.unshare import Namespace, enter, run
from quorate.live.config import parse_address, write_config
from quorate.live.supervisor import CONFIG, Place

BRIDGE = "10.0.255.254/16"
_TABLE = "bridge quorate"
_CHAIN = f"{_TABLE} forward"
_FATES = ("forwarded", "cut", "lost")


class Way(msgspec.Struct, kw_only=True):
    """From one member to another.

    Attributes:
        block, delay, loss, bandwidth: see `Condition`.
        refused: connections that were broken.
    """

    source: str
    target: str
    block: Block = ""
    delay: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    bandwidth: int = 0
    refused: int = 0

    def rules(self) -> Iterable[str]:
        """What the filter does, in its words. What is no IP, as ARP, is let through unseen."""
        ends = f"{self.source}_{self.target}"
        link = f'meta protocol ip iifname "{self.source}" oifname "{self.target}"'
        if self.block:
            yield f"{link} counter name cut_{ends} drop"
        if self.loss:
            thousandths = round(self.loss * 1000)
            yield f"{link} numgen random mod 1000 < {thousandths} counter name lost_{ends} drop"
        yield f"{link} counter name forwarded_{ends}"


class Namespaces(Network[Way]):
    """All ways of a cluster, in namespaces that end with this process and its members."""

    name = "namespaces"
    blocks = ("drop", "reset")
    knows_frames = False

    def __init__(self, names: Iterable[str], seed: int) -> None:
        """Take this process away from its network, for good. Raises Mistake.

        What is lost is the kernel's to draw: the seed decides nothing here.
        """
        names = tuple(names)
        enter()
        self.ways = {(a, b): Way(source=a, target=b) for a in names for b in names if a != b}
        numbers = enumerate(names, 1)
        self._addresses = {name: f"10.0.{number >> 8}.{number & 255}" for number, name in numbers}
        self._ports: dict[str, int] = {}
        self._homes = {name: Namespace() for name in names}
        self._wire()
        counters = [f"add counter {_TABLE} {f}_{a}_{b}" for f in _FATES for a, b in self.ways]
        hook = f"add chain {_CHAIN} {{ type filter hook forward priority 0; }}"
        _nft([f"add table {_TABLE}", hook, *counters])
        self._filter()
        self._late = Late(self._addresses)
        self.unable = {"delay": self._late.why_not} if self._late.why_not else {}

    def _wire(self) -> None:
        plug = "link add name {name} type veth peer name eth0 netns {home.path}"
        _ip(
            "link set lo up",
            "link add name switch type bridge forward_delay 0",
            f"addr add {BRIDGE} dev switch",
            "link set switch up",
            *(plug.format(name=name, home=home) for name, home in self._homes.items()),
            *(f"link set {name} master switch up" for name in self._homes),
        )
        for name, home in self._homes.items():
            with home.inside():
                address = f"addr add {self._addresses[name]}/16 dev eth0"
                _ip("link set lo up", address, "link set eth0 up")

    async def stand_between(self, places: Iterable[Place]) -> list[Place]:
        places = list(places)
        members = {p.name: self._moved(p.name, p.config.members) for p in places}
        between = []
        for place in places:
            name = place.name
            self._ports[name] = parse_address(members[name], name)[1]
            clients = self._moved(name, {name: place.config.clients})
            config = msgspec.structs.replace(
                place.config, members=members, clients=clients, insecure=True
            )
            write_config(place.directory / CONFIG, config)
            between.append(Place(name, place.directory, config))
        return between

    def address(self, name: str) -> str:
        """The member's host."""
        return self._addresses[name]

    def _moved(self, name: str, addresses: dict[str, str]) -> str:
        return f"{self._addresses[name]}:{parse_address(addresses[name], name)[1]}"

    def inside(self, name: str) -> AbstractContextManager[object]:
        return self._homes[name].inside()

    def set(self, ways: Iterable[Way], **what: Unpack[Condition]) -> None:
        """As any network; but nothing is doubled, as TCP would not let a member see it.

        Raises Mistake.
        """
        ways = tuple(ways)
        for way in ways:
            for key, value in what.items():
                if key != "doubling":
                    setattr(way, key, value)
        self._filter()
        if what.get("block") == "reset":
            self._reset(ways)
        if "delay" not in self.unable:
            self._late.set({(w.source, w.target): (w.delay, w.bandwidth) for w in ways})

    def _filter(self) -> None:
        """Put all rules in place of the last ones: the kernel does that at one moment."""
        rules = [rule for way in self.ways.values() for rule in way.rules()]
        _nft([f"flush chain {_CHAIN}", *(f"add rule {_CHAIN} {rule}" for rule in rules)])

    def _reset(self, ways: Iterable[Way]) -> None:
        """Break the connections that the sources have made; they hear of it, the targets do not."""
        for way in ways:
            whom = f"dst {self._addresses[way.target]} dport = {self._ports[way.target]}"
            with self.inside(way.source):
                way.refused += len(run("ss", "-K", "-tnH", *whom.split()).splitlines())

    def counted(self, ways: Iterable[Way]) -> Counter[str]:
        told = msgspec.json.decode(run("nft", "-j", "list", "counters"))["nftables"]
        packets = {one["counter"]["name"]: _packets(one) for one in told if "counter" in one}
        late = self._late.counted()
        counts = Counter(dict.fromkeys((*_FATES, "late", "refused"), 0))
        for way in ways:
            for fate in _FATES:
                counts[fate] += packets[f"{fate}_{way.source}_{way.target}"]
            counts["late"] += late[way.source, way.target]
            counts["refused"] += way.refused
        return counts

    def close(self) -> None:
        for home in self._homes.values():
            home.close()


def _packets(told: dict[str, Any]) -> int:
    return int(told["counter"]["packets"])


def _nft(lines: list[str]) -> None:
    run("nft", "-f", "-", text="\n".join(lines) + "\n")


def _ip(*lines: str) -> None:
    run("ip", "-batch", "-", text="\n".join(lines) + "\n")
