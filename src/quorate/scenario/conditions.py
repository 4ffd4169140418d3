"""What one seed's world is like: which faults exist in it at all, and how hard they strike.

Swarm testing: a world with every fault at once hides what a world with only two of them shows, so
each seed first draws which exist. Source: Groce et al., "Swarm Testing", ISSTA 2012.
"""

from hashlib import blake2b

import msgspec

from quorate.kernel.env import MICROSECOND, ms

LOST = -1
"""The value of a `deliver` decision whose message never arrives."""

SHARES = (15, 30, 30, 60)
"""How many percent of the allowed kinds of faults a world may have."""

FAULTS = (
    "delay",
    "loss",
    "duplicate",
    "partition",
    "crash",
    "pause",
    "slow",
    "bandwidth",
    "clock",
    "disk",
)
"""Every kind of fault that a simulated world knows, by the name that `--faults` takes."""


class NetworkDomain(msgspec.Struct, frozen=True):
    """How long a message takes: nanoseconds, `LOST`, or two arrival times for a duplicate.

    Delays are uniform in [low, high]; some are `tail` times as long. Chances are of 65 536.
    """

    low: int = ms(1)
    high: int = ms(1)
    tail: int = 1
    loss_chance: int = 0
    duplicate_chance: int = 0
    tail_chance: int = 0
    default: int = ms(1)

    @property
    def is_settled(self) -> bool:
        """Whether every message takes the default time, so that there is nothing to decide."""
        chances = self.loss_chance + self.duplicate_chance + self.tail_chance
        return self.low == self.high == self.default and not chances

    def sample(self, bits: int) -> int | tuple[int, int]:
        fate = bits & 0xFFFF
        delay = self.low + ((bits >> 16 & 0xFFFFFF) * (self.high - self.low) >> 24)
        if fate < self.loss_chance:
            return LOST
        fate -= self.loss_chance
        if fate < self.duplicate_chance:
            return delay, self.low + ((bits >> 40) * (self.high - self.low) >> 24) * self.tail
        return delay * self.tail if fate - self.duplicate_chance < self.tail_chance else delay


class DurationDomain(msgspec.Struct, frozen=True):
    """A duration in nanoseconds, uniform in [low, high]; one in 16 is `tail` times as long."""

    low: int
    high: int
    tail: int = 1
    default: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether the duration is always the default, so that there is nothing to decide."""
        return self.low == self.high == self.default and self.tail == 1

    def sample(self, bits: int) -> int:
        duration = self.low + ((bits >> 16 & 0xFFFFFF) * (self.high - self.low) >> 24)
        return duration * self.tail if bits & 0xF == 0 else duration


class FractionDomain(msgspec.Struct, frozen=True):
    """64 bits for whoever knows the bounds only when the decision comes up; None is the default."""

    default: None = None

    def sample(self, bits: int) -> int:
        return bits


ZERO = DurationDomain(0, 0)
"""For links between clients and servers, and to oneself: no latency, and nothing to decide."""

QUIET_SYNC = DurationDomain(200 * MICROSECOND, 200 * MICROSECOND, default=200 * MICROSECOND)


class Conditions(msgspec.Struct, frozen=True):
    """One world, as its seed drew it; the defaults are the quiet world of a tape without seed.

    `faults` are the kinds that exist here. `gap` is the mean time between two sudden faults.
    """

    faults: frozenset[str] = frozenset()
    network: NetworkDomain = NetworkDomain()
    sync: DurationDomain = QUIET_SYNC
    batch: DurationDomain = ZERO
    gap: int = ms(400)
    adversary: int | None = None
    configuration: int = 0
    whole_core: bool = True


class Dice:
    """Draws by name: each is a pure function of (seed, name)."""

    def __init__(self, seed: int, realm: str) -> None:
        self._prefix = f"{seed}/{realm}/"

    def bits(self, name: str) -> int:
        """64 random bits."""
        digest = blake2b((self._prefix + name).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def chance(self, name: str, percent: int) -> bool:
        """True in so many of 100 seeds."""
        return self.bits(name) % 100 < percent

    def between(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return low + self.bits(name) % (high - low + 1)


def draw_conditions(
    seed: int, allowed: frozenset[str], adversaries: int, configurations: int
) -> Conditions:
    """The world of a seed, with no fault but the allowed ones.

    Args:
        seed: names the world.
        allowed: the kinds of faults that the protocol's model tolerates and the user asked for.
        adversaries: how many adversaries the scenario has; some seeds let one of them play.
        configurations: how many configurations the scenario has; each seed takes one.
    """
    dice = Dice(seed, "conditions")
    adversary = None
    if adversaries and allowed and dice.chance("adversary", 60):
        adversary = dice.between("which adversary", 0, adversaries - 1)
    # Few kinds together reach deeper than many, and leave less to explain.
    share = SHARES[dice.between("share", 0, len(SHARES) - 1)]
    if adversary is not None and dice.chance("alone", 60):
        share = 0
    faults = frozenset(kind for kind in FAULTS if kind in allowed and dice.chance(kind, share))
    # Where links were cut, some may stay so: what is left has to get on, with nobody to spare.
    cuts = allowed if adversary is not None else faults
    return Conditions(
        faults=faults,
        network=_network(dice, faults),
        sync=_sync(dice, faults),
        batch=_batch(dice, allowed),
        gap=ms(dice.between("gap", 40, 800)),
        adversary=adversary,
        configuration=dice.between("configuration", 0, configurations - 1),
        whole_core="partition" not in cuts or dice.chance("whole core", 50),
    )


def _network(dice: Dice, faults: frozenset[str]) -> NetworkDomain:
    low, high, tail, tail_chance = ms(1), ms(1), 1, 0
    if "delay" in faults:
        low, high = ms(1) // 5, ms(dice.between("delay", 2, 40))
        tail, tail_chance = dice.between("tail", 2, 20), 65536 // dice.between("tails", 10, 200)
    loss = 65536 * dice.between("loss rate", 1, 150) // 1000 if "loss" in faults else 0
    duplicate = 65536 * dice.between("twice", 1, 150) // 1000 if "duplicate" in faults else 0
    return NetworkDomain(low, high, tail, loss, duplicate, tail_chance)


def _sync(dice: Dice, faults: frozenset[str]) -> DurationDomain:
    quiet = QUIET_SYNC.default
    if "disk" not in faults:
        return QUIET_SYNC
    slowest = ms(dice.between("sync", 1, 30))
    return DurationDomain(quiet, slowest, dice.between("stall", 1, 10), default=quiet)


def _batch(dice: Dice, allowed: frozenset[str]) -> DurationDomain:
    return DurationDomain(0, ms(2)) if allowed and dice.chance("batch", 30) else ZERO
