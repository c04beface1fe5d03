"""Thousands of runs full of trouble: nothing is ever left changed without being said."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machine.simulation import Trouble, World, broken_promises

SEEDS = int(os.environ.get("GAMEDAY_SEEDS", "3000"))
"""More of them: GAMEDAY_SEEDS=1000000 pytest tests/machine/test_simulation.py"""


def _check(seed: int, trouble: Trouble, keys: int) -> World:
    world = World(seed, trouble, keys).run()
    assert not broken_promises(world), f"seed {seed}, {trouble}, {keys} keys: {broken_promises(world)}"
    return world


def test_without_trouble_every_run_passes_and_undoes_once() -> None:
    for seed in range(50):
        world = _check(seed, Trouble(), keys=2)
        assert world.exit_code == 0
        assert world.undos == 2


@pytest.mark.timeout(170)
def test_nothing_is_left_changed_in_silence() -> None:
    codes: dict[int | None, int] = {}
    for seed in range(SEEDS):
        chance = (seed % 10) / 10
        trouble = Trouble(chance, chance, chance, chance / 3, foreign=0.1, signal=0.3)
        code = _check(seed, trouble, keys=1 + seed % 3).exit_code
        codes[code] = codes.get(code, 0) + 1
    # A simulation that never got into trouble would prove nothing.
    assert {0, 1, 3, 4, 5, 9} <= set(codes), codes


chances = st.floats(0, 1)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32),
    st.builds(Trouble, chances, chances, chances, st.floats(0, 0.5), chances, chances),
    st.integers(1, 3),
)
def test_nothing_is_left_changed_whatever_the_mix_of_trouble(seed: int, trouble: Trouble, keys: int) -> None:
    _check(seed, trouble, keys)


def test_a_seed_replays_exactly() -> None:
    trouble = Trouble(0.5, 0.5, 0.5, 0.2, 0.2, 0.5)
    first, second = World(7, trouble, 2).run(), World(7, trouble, 2).run()
    assert first.events == second.events
