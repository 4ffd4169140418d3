"""`python -m tests.identity`: what must be the same to the bit, compiled or not, a line each.

States, transitions and the fingerprints of all states; counterexamples; hashes of traces; verdicts
on histories, with the steps that each took. `make test-compiled` compares two installations.
"""

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quorate.bench import hasher
from quorate.bench.key_value import key_value_history
from quorate.bench.oracles import two_phase
from quorate.check.linearizability import check_history
from quorate.check.models import model_named
from quorate.check.readers import read_history
from quorate.explore.catalogue import CATALOGUE, Aim, load
from quorate.explore.exhaustive import Limits, explore
from quorate.scenario.scenario import Scenario
from quorate.scenario.schedule import format_schedule

STATES = 10_000
NETWORKS = ("multiset", "set", "fifo", "rpc")


def main() -> None:
    """Explore, run and judge a little of everything."""
    for name in CATALOGUE:
        told(load(Aim(name)))
    commit = load(Aim("two-phase-commit"))
    for network in NETWORKS:
        told(commit, network=network, crashes=1, drop=True)
    told(commit, network="multiset", reduce=("sleep",))
    told(two_phase.managers(5), reduce=("symmetry",))
    told(load(Aim("paxos@ignore-earlier-votes")))
    hasher.main("raft", 0, 10, tapes=True)
    hasher.main("paxos", 0, 20, tapes=True)
    for seed in range(4):
        judged(seed)


def told(scenario: Scenario, **how: Any) -> None:
    """What an exploration finds, if there is one."""
    if scenario.exploration is None:
        return
    found = explore(scenario, limits=Limits(states=STATES), **how)
    states = sha256(repr(sorted(found.visited)).encode()).hexdigest()
    seen = found.progress
    print(scenario.name, how, seen.states, seen.transitions, seen.depth, found.handlers, states)
    if found.schedule is not None:
        print(format_schedule(found.schedule))


def judged(seed: int) -> None:
    """What the checker says of a history that is right, and of one that is not."""
    for is_right in (True, False):
        with TemporaryDirectory() as folder:
            file = Path(folder, "history.txt")
            file.write_text(key_value_history(10, 200, seed, linearizable=is_right))
            history = read_history(file)
        for is_split in (True, False):
            found = check_history(history, model_named("kv"), split=is_split)
            print(repr(found).replace(folder, ""))


if __name__ == "__main__":
    main()
