"""The fuzzer's seeds: what it started from, and what it found on the way."""

from __future__ import annotations

import pytest

from tests.blastradius.fuzz_scan import SEEDS, check


@pytest.mark.parametrize("seed", sorted(SEEDS.iterdir()), ids=lambda seed: seed.name)
def test_the_scanner_takes_each_seed(seed) -> None:  # type: ignore[no-untyped-def]
    check(seed.read_bytes())
