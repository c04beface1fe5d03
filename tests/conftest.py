"""What more than one room's tests stand on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests import real_postgres

# Hundreds of processes are started: with it, each would compile all of gameday anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[real_postgres.Postgres]:
    """One cluster for a worker's whole session; each test makes a database of its own in it."""
    with real_postgres.running() as cluster:
        yield cluster
