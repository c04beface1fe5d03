"""A journal that cannot be written before anything is broken means that nothing is broken."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_scene import Scene
from test_e2e_watchdog import in_the_fault

from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.engine.harbour import under_key
from gameday.journal.sql import SqlJournal


def corrupt(journal: Path) -> None:
    journal.write_bytes(b"SQLite format 3\x00" + os.urandom(8000))


def somebody_elses(journal: Path) -> None:
    with sqlite3.connect(journal) as db:
        db.execute("CREATE TABLE invoices (id INTEGER)")


def newer(journal: Path) -> None:
    SqlJournal(str(journal))
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE gameday_meta SET value = '99'")


def locked(journal: Path) -> sqlite3.Connection:
    SqlJournal(str(journal))
    lock = sqlite3.connect(journal, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    return lock


def read_only(journal: Path) -> None:
    SqlJournal(str(journal))
    subprocess.run(["chattr", "+i", journal], check=True)  # what permissions say does not hold for root


@pytest.fixture
def mutable(scene: Scene) -> Iterator[None]:
    yield
    subprocess.run(["chattr", "-i", scene.journal], check=False, stderr=subprocess.DEVNULL)


@pytest.mark.usefixtures("mutable")
@pytest.mark.parametrize("broken", [corrupt, somebody_elses, newer, locked, read_only])
def test_with_a_journal_that_cannot_be_written_nothing_is_broken(scene: Scene, broken: Callable[[Path], Any]) -> None:
    scene.journal.parent.mkdir(parents=True, exist_ok=True)
    held = broken(scene.journal)
    world = scene.world()
    run = scene.start(world)
    code = run.end()
    assert code == 5, run.tale()
    assert "journal" in run.tale(), run.tale()
    assert world.disables() == 0
    assert held is None or held.execute("ROLLBACK")


def test_a_journal_that_is_deleted_in_the_fault_ends_it(scene: Scene) -> None:
    """SQLite writes on into a file that has no name any more, and says nothing."""
    run, world = in_the_fault(scene)
    for path in scene.place.glob("journal.db*"):
        path.unlink()
    code = run.end()
    assert code == 3, run.tale()
    assert "deleted or replaced" in run.tale(), run.tale()
    assert world.key_state == "Enabled"
    assert list((scene.place / "gameday" / "receipts").glob("*")), "what was put back is on a receipt"


def test_who_dies_while_it_is_armed_leaves_its_hold_for_as_long_as_its_rehearsal_may_land(scene: Scene) -> None:
    world, gate = scene.world(), scene.gate()
    run = scene.start(world, gate=gate)
    run.wait("expectation_met", probe="read-clock", phase="baseline")
    run.kill_both()
    second = scene.start(world)
    assert second.end() == 5
    assert f"is held by run {run.id}" in second.tale()
    assert "a call of its may still land" in second.tale()


def test_a_journal_under_the_key_is_warned_of(scene: Scene, tmp_path: Path) -> None:
    world = scene.world(instance=True)
    aws = Session(region="us-east-1", run="harbour", endpoint=scene.lab.url, keys=LAB_KEYS)
    tag = tmp_path / "board_asset_tag"
    keys = [world.key]
    assert under_key("/journal.db", keys, aws, tag) == ""
    tag.write_text("Google Compute Engine\n")
    assert under_key("/journal.db", keys, aws, tag) == ""
    tag.write_text(f"{world.instance}\n")
    assert world.key in under_key("/journal.db", keys, aws, tag)
    assert under_key("/journal.db", ["arn:aws:kms:us-east-1:123456789012:key/other"], aws, tag) == ""
    assert under_key("/journal.db", ["arn:aws:s3:::bucket"], aws, tag) == ""
    assert "RDS" in under_key("postgresql://g@db.abc.us-east-1.rds.amazonaws.com/gameday", keys, aws, tag)
