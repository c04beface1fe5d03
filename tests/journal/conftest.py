"""The journal's tests, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import real_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a journal can be: each test that asks runs on both."""
    if request.param == "sqlite":
        return str(tmp_path / "state" / "journal.db")
    cluster: real_postgres.Postgres = request.getfixturevalue("postgres")
    return cluster.new_database()
