"""One row, one receipt or one special file that nobody can read is named, and stops no other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gameday.journal import Owner
from gameday.journal.sql import SqlJournal
from gameday.rollback.receipts import IGNORED, Receipts, merge
from gameday.sdk import Closed
from tests.journal.test_journal import KEY, step
from tests.processes import gameday


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlJournal]:
    """A journal with a run that has died with a step open."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = SqlJournal(str(tmp_path / "journal.db"))
    owner = Owner.this().model_copy(update={"boot": "another boot"})
    journal.open_run("aaaa1111", "killswitch", owner)
    journal.open_run("bbbb2222", "killswitch", owner)
    journal.take_hold("aaaa1111", owner, KEY)
    journal.intend(step("aaaa1111"))
    yield journal


def poison(journal: SqlJournal, sql: str) -> None:
    with sqlite3.connect(journal.place) as db:
        db.execute(sql)


ROW = "INSERT INTO gameday_steps(run, step, resource, body, state, intended_at) VALUES"
POISON = [
    ROW + "('x', 'y', '', '{}', 'injected', '')",
    ROW + "('x', 'y', '', x'ff00', 'z', 'now')",
    "UPDATE gameday_runs SET heartbeat_at = 'x' WHERE run = 'bbbb2222'",
    "UPDATE gameday_runs SET started_at = '2026-01-01' WHERE run = 'bbbb2222'",
    "UPDATE gameday_runs SET owner = '[]' WHERE run = 'bbbb2222'",
    "UPDATE gameday_runs SET target = '{' WHERE run = 'bbbb2222'",
    "INSERT INTO gameday_holds(resource, run, taken_at, owner) VALUES('arn', 'x', 'y', '')",
]


@pytest.mark.parametrize("sql", POISON)
def test_a_row_that_nobody_can_read_hides_no_other(kept: SqlJournal, tmp_path: Path, sql: str) -> None:
    poison(kept, sql)
    told = gameday(tmp_path, "status", "--check", "--journal", kept.place, exit_code=9)
    assert "UNREADABLE  a row of gameday_" in told.stdout
    assert f"OPEN  kms.disable_key on {KEY}" in told.stdout, "the others are told all the same"
    assert "Traceback" not in told.stderr


def test_what_cannot_be_read_is_nine_though_nothing_else_is_open(kept: SqlJournal, tmp_path: Path) -> None:
    kept.close("aaaa1111", step().id, Closed.RESTORED, "Enabled")
    gameday(tmp_path, "status", "--check", "--journal", kept.place)
    poison(kept, POISON[0])
    told = gameday(tmp_path, "status", "--check", "--journal", kept.place, exit_code=9)
    assert "of what could be read, nothing is open" in told.stdout
    told = gameday(tmp_path, "rollback", "--all", "--journal", kept.place, exit_code=9)
    assert "a row of gameday_steps cannot be read (run 'x', step 'y')" in told.stderr
    assert "ROLLBACK INCOMPLETE: 1 row or receipt could not be read" in told.stderr


def test_a_run_can_be_held_and_written_beside_a_poisoned_one(kept: SqlJournal) -> None:
    for sql in POISON:
        poison(kept, sql) if "UPDATE" in sql else None
    kept.open_run("cccc3333", "killswitch", Owner.this())
    kept.take_hold("cccc3333", Owner.this(), KEY + "2")
    assert [run.run for run in kept.runs(9)] == ["cccc3333", "aaaa1111"]
    assert kept.prune(0) == 0


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def folder(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    path.write_bytes(b"x" * 2_000_000)


def everybodys(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def somebody_elses(path: Path) -> None:
    path.touch()
    os.chown(path, 65534, 65534)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.mark.parametrize("make", [fifo, link, folder, huge, everybodys, pytest.param(somebody_elses, marks=AS_ROOT)])
def test_what_is_no_receipt_of_ours_is_named_and_the_others_are_taken_in(
    kept: SqlJournal, make: Callable[[Path], None]
) -> None:
    left = Receipts("aaaa1111", kept.place, "watchdog")
    assert left.closed(step().id, Closed.RESTORED, "Enabled") == ""
    odd = left.path.with_name("0000-first.jsonl")
    make(odd)
    ignored, taken = merge(kept)
    assert ignored.startswith(f"{IGNORED} {odd}: ")
    assert "took in" in taken
    assert kept.steps("aaaa1111", only_open=True) == []


@pytest.mark.parametrize("bytes_", [b'{"run":"6442\xc3', b"\xff\xfe\x00", b"[" * 100_000, b'{"run": 1}'])
def test_a_line_of_any_bytes_costs_only_itself(kept: SqlJournal, tmp_path: Path, bytes_: bytes) -> None:
    left = Receipts("aaaa1111", kept.place, "watchdog")
    left.closed(step().id, Closed.RESTORED, "Enabled")
    whole = left.path.read_bytes()
    left.path.write_bytes(bytes_ + b"\n" + whole)
    skipped, taken = merge(kept)
    assert "1 of 2 lines cannot be read" in skipped
    assert "took in" in taken
    assert kept.steps("aaaa1111", only_open=True) == []


def test_a_folder_that_everybody_may_write_to_is_not_believed(kept: SqlJournal) -> None:
    left = Receipts("aaaa1111", kept.place, "watchdog")
    left.closed(step().id, Closed.RESTORED, "Enabled")
    left.path.parent.chmod(0o777)
    (said,) = merge(kept)
    assert said.startswith(IGNORED)
    assert "writable by others (mode 0777)" in said
    assert kept.steps("aaaa1111", only_open=True), "the step stays open until the receipt can be believed"


def as_found(folder: Path) -> Path:
    """The usual state directory, with a journal in it."""
    state = folder / "gameday"
    state.mkdir(mode=0o700)
    SqlJournal(str(state / "journal.db"))
    return state


@pytest.mark.parametrize(
    ("mode", "of", "said"),
    [
        (0o666, "journal.db", "writable by others (mode 0666)"),
        (0o660, "journal.db", "writable by others (mode 0660)"),
        (0o777, "", "writable by others (mode 0777)"),
        (0o770, "", "writable by others (mode 0770)"),
    ],
)
def test_a_journal_that_others_may_write_or_replace_is_refused(tmp_path: Path, mode: int, of: str, said: str) -> None:
    state = as_found(tmp_path)
    (state / of).chmod(mode)
    for words in (("status",), ("rollback", "--all"), ("run", "killswitch", "--target", "lab=http://127.0.0.1:9")):
        told = gameday(tmp_path, *words, exit_code=None)
        assert told.returncode in (5, 9), told
        assert said in told.stderr
        assert "chmod" in told.stderr
        assert "Traceback" not in told.stderr


@AS_ROOT
@pytest.mark.parametrize("of", ["journal.db", ""])
def test_a_journal_of_somebody_elses_is_refused(tmp_path: Path, of: str) -> None:
    os.chown(as_found(tmp_path) / of, 65534, 65534)
    told = gameday(tmp_path, "status", exit_code=None)
    assert told.returncode in (5, 9)
    assert "is not owned by you (user 0) but by user 65534" in told.stderr


def test_a_journal_elsewhere_may_be_in_a_folder_of_a_group_or_in_tmp_but_not_in_everybodys(tmp_path: Path) -> None:
    file = tmp_path / "shared" / "j.db"
    SqlJournal(str(file))
    for mode, fine in ((0o775, True), (0o1777, True), (0o777, False)):
        file.parent.chmod(mode)
        told = gameday(tmp_path, "status", "--journal", str(file), exit_code=None)
        assert (told.returncode == 0) is fine, told
