"""One instant lab for all; its knobs are put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from volume_world import Account

from gameday.lab import LabControl, LabProcess, start


@pytest.fixture(scope="session")
def process() -> Iterator[LabProcess]:
    with start("instant") as running:
        yield running


@pytest.fixture(scope="session")
def account(process: LabProcess) -> Account:
    return Account(process.url)


@pytest.fixture
def lab(process: LabProcess) -> Iterator[LabControl]:
    knobs = process.control.knobs()
    yield process.control
    process.control.clear_trouble()
    process.control.knobs(**knobs)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path
