"""What more than one room's tests stand on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import real_postgres

# Hundreds of processes are started: with it, each would compile all of gameday anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="module")
def selected(request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """The values of a parameter in the selected tests of the file, which one of xdist's workers has to itself."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    return lambda name: [call.params[name] for call in calls if call is not None and name in call.params]


@pytest.fixture(scope="session")
def postgres() -> Iterator[real_postgres.Postgres]:
    """One cluster for a worker's whole session; each test makes a database of its own in it."""
    with real_postgres.running() as cluster:
        yield cluster
