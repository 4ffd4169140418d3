"""`python -m quorate.bench.hasher NAME FIRST COUNT [--tapes]`: a new process that hashes runs.

Prints a line for each seed: the seed and the hash of its run's trace; with `--tapes` also that of
the replay of the run's explicit tape, which knows no seed.
"""

import sys

from quorate.explore.catalogue import Aim, load
from quorate.scenario.scenario import Scenario
from quorate.scenario.tape import Tape
from quorate.simulate.world import World, collector_at_rest
from quorate.trace.hashing import trace_hash

TAPES = "--tapes"


def main(name: str, first: int, count: int, *, tapes: bool) -> None:
    """Run the seeds, one after the other."""
    scenario = load(Aim(name))
    with collector_at_rest():
        for seed in range(first, first + count):
            world = _run(scenario, Tape(seed))
            hashes = [trace_hash(world.records)]
            if tapes:
                tape, configuration = world.tape, world.configuration.name
                explicit = Tape(None, tape.entries(), tape.faults(), configuration)
                hashes.append(trace_hash(_run(scenario, explicit).records))
            print(seed, *hashes)


def _run(scenario: Scenario, tape: Tape) -> World:
    world = World(scenario, tape)
    world.run()
    return world


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), tapes=TAPES in sys.argv)
