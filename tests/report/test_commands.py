"""``gameday report`` and ``gameday verify`` as a user calls them, on a journal that somebody may have touched."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gameday.journal import Owner
from gameday.journal.sql import SqlJournal
from tests.exporters.recorded import RUN, passed


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    place = tmp_path / "journal.db"
    kept = SqlJournal(str(place))
    kept.open_run(RUN, "killswitch", Owner.this())
    kept.record(passed())
    return place


def gameday(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "gameday"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_report_is_made_years_later_from_the_journal_alone(journal: Path, tmp_path: Path) -> None:
    told = gameday("report", RUN[:4], "--journal", str(journal), folder=tmp_path)
    assert (told.returncode, told.stdout.strip()) == (0, f"gameday-{RUN}.html")
    assert (tmp_path / f"gameday-{RUN}.html").read_text().startswith("<!doctype html>")
    as_json = gameday("report", RUN, "--format", "json", "-o", "-", "--journal", str(journal), folder=tmp_path)
    assert json.loads(as_json.stdout)["ending"]["verdict"] == "passed"
    nowhere = gameday("report", RUN, "-o", "/proc/no/such", "--journal", str(journal), folder=tmp_path)
    assert nowhere.returncode == 2 and "/proc/no/such cannot be written" in nowhere.stderr


def test_verify_finds_what_was_altered_and_what_was_replaced(journal: Path, tmp_path: Path) -> None:
    head = passed()[-1].hash
    whole = gameday("verify", RUN, "--head", head[:16], "--journal", str(journal), folder=tmp_path)
    assert whole.returncode == 0 and head in whole.stdout
    other = gameday("verify", RUN, "--head", "0" * 64, "--journal", str(journal), folder=tmp_path)
    assert other.returncode == 1 and "another chain" in other.stdout
    with sqlite3.connect(journal) as db:
        db.execute(
            "UPDATE gameday_events SET body = replace(body, 'KMS.DisabledException', 'NoSuchThing') WHERE seq > 5"
        )
    altered = gameday("verify", RUN, "--journal", str(journal), folder=tmp_path)
    assert altered.returncode == 1 and "BROKEN at event" in altered.stdout
