"""``python -m tests.machine.simulate 1000000``: as many seeds as the night is long; the first that fails is printed."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.machine.promises import broken_promises
from tests.machine.simulation import Trouble, World


def play(seed: int) -> World:
    """One seed: one to three keys, and the troubles that the seed mixes."""
    return World(seed, Trouble.mixed(seed), keys=1 + seed % 3).run()


def main() -> int:
    """Play seeds; 1 as soon as one breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one and tell its events")
    asked = parser.parse_args()
    if asked.seed is not None:
        world = play(asked.seed)
        for runner in world.runs:
            for event in runner.events:
                print(runner.run, event)  # noqa: T201 - what it is for
        for resource, key in world.keys.items():
            print(resource, *key.history, sep="\n  ")  # noqa: T201
        print(world.foreign, world.closed, broken_promises(world), sep="\n")  # noqa: T201
        return bool(broken_promises(world))
    began, codes = time.monotonic(), Counter[int | None]()
    for seed in range(asked.first, asked.first + asked.seeds):
        world = play(seed)
        codes[world.runs[0].exit_code] += 1
        if wrong := broken_promises(world):
            print(f"seed {seed}: {wrong}\nreplay it with: python -m tests.machine.simulate --seed {seed}")  # noqa: T201
            return 1
    took = time.monotonic() - began
    print(f"{asked.seeds} seeds in {took:.0f} s ({1000 * took / asked.seeds:.1f} ms each); exit codes {dict(codes)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
