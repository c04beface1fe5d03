"""Thousands of runs full of trouble: nothing is ever left changed without being said."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machine.promises import broken_promises
from tests.machine.simulate import play
from tests.machine.simulation import Trouble, World

SEEDS = int(os.environ.get("GAMEDAY_SEEDS", "1500"))
"""`.ci/run` plays 10,000; ``python -m tests.machine.simulate 1000000`` as many as the night is long."""


def _hold(world: World, seed: int) -> World:
    wrong = broken_promises(world)
    assert not wrong, f"seed {seed}: {wrong}; replay it with: python -m tests.machine.simulate --seed {seed}"
    return world


def test_without_trouble_every_run_passes_and_undoes_once() -> None:
    for seed in range(30):
        world = _hold(World(seed, Trouble(), keys=3).run(), seed)
        assert world.runs[0].exit_code == 0
        assert world.calls == Counter(rehearse=3, inject=3, undo=3)


@pytest.mark.timeout(900)
def test_nothing_is_left_changed_in_silence() -> None:
    codes: Counter[int | None] = Counter()
    ways: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = _hold(play(seed), seed)
        codes[world.runs[0].exit_code] += 1
        ways.update(str(closed) for _, closed in world.closed.values())
        ways.update(rescued=bool(world.rescuers), rivalled=len(world.runs) > 1, told=bool(world.receipts))
    # A simulation that never got into trouble would prove nothing.
    assert {0, 1, 3, 4, 5, 9, None} <= set(codes), codes
    assert {"restored", "drifted", "abandoned"} <= set(ways), ways
    assert ways["rescued"] > SEEDS / 10
    assert ways["rivalled"] > SEEDS / 20


chances = st.floats(0, 1)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.builds(Trouble, *[chances] * 3, st.floats(0, 0.5), *[chances] * 10),
    st.integers(1, 3),
)
def test_nothing_is_left_changed_whatever_the_mix_of_trouble(seed: int, trouble: Trouble, keys: int) -> None:
    world = World(seed, trouble, keys).run()
    assert not broken_promises(world), f"seed {seed}, {trouble}, {keys} keys"


def test_who_is_overtaken_repeats_no_undo_under_a_third_runs_hold() -> None:
    _hold(play(50192), 50192)


@pytest.mark.parametrize("seed", [9886, 23775, 37473, 126936])
def test_what_seeds_have_found_stays_mended(seed: int) -> None:
    """An undo on the wire of a run that was abandoned, or died while armed; a read from before a long sleep."""
    _hold(play(seed), seed)


def test_a_seed_replays_exactly() -> None:
    for seed in (7, 18, 29):
        first, second = play(seed), play(seed)
        assert [run.events for run in first.runs] == [run.events for run in second.runs]
        assert [key.history for key in first.keys.values()] == [key.history for key in second.keys.values()]
