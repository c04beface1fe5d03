"""A journal that the version before wrote is read by this one: whole, told, and reported.

``old/*.sql.gz`` are journals as they were on 2026-11-29, at commit 06a9428: revoke-by-iam, ended by SIGTERM.
What seals an event is its JSON, so a field that is added to a stored event must leave no trace where it is not set
(``exclude_if``); this test is red where it does.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from tests.processes import gameday

OLD = sorted((Path(__file__).parent / "old").glob("*.sql.gz"))
RUN = "fbd7d308"


@pytest.fixture(params=OLD, ids=lambda file: file.name)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "gameday"
    folder.mkdir(mode=0o700)
    database = sqlite3.connect(folder / "journal.db")
    database.executescript(gzip.decompress(request.param.read_bytes()).decode())
    database.close()
    (folder / "journal.db").chmod(0o600)
    return tmp_path


def test_its_seals_hold(home: Path) -> None:
    assert "277 events, whole" in gameday(home, "verify", RUN).stdout


def test_it_is_told(home: Path) -> None:
    assert "revoke-by-iam" in gameday(home, "history").stdout
    shown = gameday(home, "show", RUN, exit_code=None).stdout
    assert "role/clock-reader" in shown
    gameday(home, "status", "--check")
    gameday(home, "report", RUN, "--format", "json", "--output", "run.json")
    report = json.loads((home / "run.json").read_text())
    assert report["chain"]["whole"]
    assert report["ending"]["verdict"] == "aborted"


def test_nothing_of_it_is_open(home: Path) -> None:
    assert "nothing" in gameday(home, "rollback", "--all").stdout
