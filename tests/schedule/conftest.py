"""A lab and a PostgreSQL for the daemons."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from tests import real_postgres


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[real_postgres.Postgres]:
    with real_postgres.running() as cluster:
        yield cluster
