"""The journal as a file: its mode, its durability, and what is no journal at all."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from gameday.errors import JournalError
from gameday.journal import Owner
from gameday.journal.sql import SqlJournal, default_place

VERSION_1 = Path(__file__).parent / "files" / "version1.db"
"""Written by the last gameday of version 1: a run that passed, and one that was killed with its key off."""


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "journal.db")


@pytest.fixture
def journal(place: str) -> SqlJournal:
    kept = SqlJournal(place)
    for run in ("aaaa1111", "bbbb2222"):
        kept.open_run(run, "killswitch", Owner.this())
    return kept


def test_the_file_is_for_its_owner_alone(journal: SqlJournal, place: str) -> None:
    assert stat.S_IMODE(Path(place).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(place).parent.stat().st_mode) == 0o700


def test_it_is_written_through_to_the_disk(journal: SqlJournal) -> None:
    with journal.database._engine.connect() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"


def test_a_journal_of_another_version_is_refused_and_not_misread(journal: SqlJournal, place: str) -> None:
    with sqlite3.connect(place) as db:
        db.execute("UPDATE gameday_meta SET value = '99'")
    with pytest.raises(JournalError, match="has version 99, and this gameday reads 1 to 2"):
        SqlJournal(place)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be taken for one" * 40, b"\0" * 4096])
def test_a_file_that_is_no_journal_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "journal.db"
    file.write_bytes(content)
    with pytest.raises(JournalError, match=r"the journal at .*journal\.db .*cannot be opened"):
        SqlJournal(str(file))


def test_a_journal_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    empty = SqlJournal(str(tmp_path / "none.db"), create=False)
    assert empty.runs(5) == []
    assert not (tmp_path / "none.db").exists()


def test_a_locked_journal_can_still_be_read(journal: SqlJournal, place: str) -> None:
    with sqlite3.connect(place, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        assert len(SqlJournal.runs(journal, 5)) == 2
        db.execute("ROLLBACK")


def test_the_place_is_the_variable_or_the_state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("GAMEDAY_JOURNAL", raising=False)
    assert default_place() == str(tmp_path / "gameday" / "journal.db")
    monkeypatch.setenv("GAMEDAY_JOURNAL", "/elsewhere.db")
    assert default_place() == "/elsewhere.db"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copy(VERSION_1, tmp_path / "journal.db"))


def tables(file: Path) -> list[str]:
    with sqlite3.connect(file) as db:
        return [row[0] for row in db.execute("SELECT sql FROM sqlite_master ORDER BY name")]


def test_a_journal_of_version_1_is_migrated_and_goes_on(old: Path) -> None:
    kept = SqlJournal(str(old))
    assert [(r.verdict, r.exit_code) for r in kept.runs(5)] == [(None, None), ("passed", 0)]
    [step] = kept.steps(only_open=True)
    assert step.state == "injected"
    assert len(kept.events("7545c4d5")) > 20
    with sqlite3.connect(old) as db:
        assert {row[0] for row in db.execute("SELECT resource FROM gameday_steps")} == {step.record.resource}
        assert db.execute("SELECT value FROM gameday_meta").fetchall() == [("2",)]
    kept.release("39044c4f", step.record.resource)
    assert [hold.run for hold in kept.holds()] == ["39044c4f"], "a step is open under it"
    kept.halt("me", "a test")
    assert kept.pulse("39044c4f").halt is not None


def test_a_migration_that_breaks_off_leaves_the_old_journal(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gameday.journal import versions

    before = tables(old)

    def broken(*_: object, **__: object) -> None:
        raise OSError("the power went")

    monkeypatch.setattr(versions.schema.metadata, "create_all", broken)
    with pytest.raises(JournalError, match="cannot be opened: the power went"):
        SqlJournal(str(old))
    assert tables(old) == before
    monkeypatch.undo()
    assert SqlJournal(str(old)).steps(only_open=True)


def test_a_journal_that_an_older_gameday_still_writes_is_left_alone(old: Path) -> None:
    before = tables(old)
    with sqlite3.connect(old) as db:
        db.execute("UPDATE gameday_runs SET owner = ? WHERE run = '39044c4f'", (Owner.this().model_dump_json(),))
    with pytest.raises(JournalError, match=r"older gameday, whose run 39044c4f \(process .*\) still goes on"):
        SqlJournal(str(old))
    assert tables(old) == before


@pytest.mark.parametrize("version", ["3", "0", "x"])
def test_a_newer_or_unknown_version_is_refused_and_not_touched(old: Path, version: str) -> None:
    with sqlite3.connect(old) as db:
        db.execute("UPDATE gameday_meta SET value = ?", (version,))
    before = tables(old)
    with pytest.raises(JournalError, match=f"has version {version}, and this gameday reads 1 to 2"):
        SqlJournal(str(old))
    assert tables(old) == before


def test_somebody_elses_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "cookies.sqlite"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE moz_cookies (id INTEGER)")
    with pytest.raises(JournalError, match=r"is a database, but not gameday's \(it holds moz_cookies\)"):
        SqlJournal(str(file))
    assert len(tables(file)) == 1


@pytest.mark.parametrize(
    "place", ["mysql://me:hunter2@db/x", "postgresql:hunter2@db", "://hunter2", "sqlite://", "redis://:hunter2@db"]
)
def test_what_is_no_place_for_a_journal_is_one_sentence_without_a_password(place: str) -> None:
    with pytest.raises(JournalError, match=r"neither a file nor postgresql://") as caught:
        SqlJournal(place)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["pay_feature%2Frotate", "a?x", "a#b", "50%", "sqlite:x", "a b@c", "ä"])
def test_a_path_is_a_path_and_never_text_of_a_url(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / name / f"{name}.db"
    SqlJournal(str(wanted)).open_run("cccc3333", "killswitch", Owner.this())
    assert wanted.exists()
    assert SqlJournal(str(wanted), create=False).run("cccc3333").playbook == "killswitch"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name / "state"))
    monkeypatch.delenv("GAMEDAY_JOURNAL", raising=False)
    SqlJournal(default_place()).open_run("dddd4444", "killswitch", Owner.this())
    assert (tmp_path / name / "state" / "gameday" / "journal.db").exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == [name], "nothing was made under another name"


def test_without_the_extra_for_postgresql_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gameday.journal.postgres", None)
    said = r"the journal at postgresql://\S+ needs PostgreSQL support: pip install 'kms-gameday\[postgres\]'"
    with pytest.raises(JournalError, match=said):
        SqlJournal("postgresql://ann@db/gameday")
