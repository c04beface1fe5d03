"""Receipts: what was put back while the journal was away is in it before anybody undoes anything again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gameday.errors import JournalError
from gameday.journal import Owner, StepRecord
from gameday.journal.sql import SqlJournal
from gameday.rollback import receipts
from gameday.rollback.receipts import Receipts, merge
from gameday.sdk import Closed, RunFinished, Verdict, chain_is_whole

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ENDED = RunFinished(at=9.0, verdict=Verdict.ABORTED, exit_code=3, story="The watchdog did.")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlJournal:
    """With a run that died with a step open."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = SqlJournal(str(tmp_path / "journal.db"))
    dead = Owner.this().model_copy(update={"pid": 2**22 + 1})
    kept.open_run("aaaa1111", "killswitch", dead)
    kept.take_hold("aaaa1111", dead, KEY)
    kept.intend(
        StepRecord(
            run="aaaa1111",
            id="fault",
            uses="kms.disable_key",
            params={"key": KEY},
            step="disable",
            resource=KEY,
            rank=0,
            chain=0,
            order=0,
            before={"state": "Enabled"},
        )
    )
    return kept


def test_a_receipt_closes_the_step_the_run_and_the_hold(journal: SqlJournal) -> None:
    left = Receipts("aaaa1111", journal.place, "watchdog")
    assert left.closed("fault", Closed.RESTORED, "Enabled") == ""
    assert left.finished(ENDED) == ""
    assert left.path.stat().st_mode & 0o777 == 0o600
    assert left.path.parent.stat().st_mode & 0o777 == 0o700
    (said,) = merge(journal)
    assert "aaaa1111" in said
    (step,) = journal.steps("aaaa1111")
    assert (step.state, step.closed) == ("closed", "restored")
    assert step.detail is not None
    assert f"watchdog (process {os.getpid()}" in step.detail
    assert (journal.run("aaaa1111").exit_code, journal.holds()) == (3, [])
    events = journal.events("aaaa1111")
    assert [sealed.event.kind for sealed in events] == ["step_closed", "run_finished"]
    assert chain_is_whole(events)
    assert not left.path.exists()
    assert merge(journal) == []


def test_what_was_opened_again_stays_open(journal: SqlJournal) -> None:
    left = Receipts("aaaa1111", journal.place, "runner")
    assert left.reopened("fault") == "", "nothing said that it was closed"
    assert not left.path.exists()
    left.closed("fault", Closed.RESTORED, "Enabled")
    left.reopened("fault")
    merge(journal)
    assert journal.steps("aaaa1111", only_open=True)
    assert journal.holds()


def test_a_line_cut_in_two_by_a_power_cut_costs_only_itself(journal: SqlJournal) -> None:
    left = Receipts("aaaa1111", journal.place, "watchdog")
    left.closed("fault", Closed.RESTORED, "Enabled")
    with left.path.open("a") as file:
        file.write(ENDED.model_dump_json()[:40])
    merge(journal)
    assert journal.steps("aaaa1111", only_open=True) == []


def test_receipts_for_another_journal_or_an_unknown_run_stay(journal: SqlJournal, tmp_path: Path) -> None:
    other = Receipts("aaaa1111", "postgresql://elsewhere/journal", "watchdog")
    other.closed("fault", Closed.RESTORED, "Enabled")
    assert merge(journal) == []
    unknown = Receipts("bbbb2222", journal.place, "watchdog")
    unknown.closed("fault", Closed.RESTORED, "Enabled")
    assert "does not know" in merge(journal)[0]
    assert other.path.exists()
    assert unknown.path.exists()
    assert journal.steps("aaaa1111", only_open=True)


def test_while_the_journal_is_away_the_receipt_stays(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Receipts("aaaa1111", journal.place, "watchdog")
    left.closed("fault", Closed.RESTORED, "Enabled")

    def away(*_: object) -> None:
        raise JournalError("away")

    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, "close", away)
        with pytest.raises(JournalError):
            merge(journal)
    assert left.path.exists()
    merge(journal)
    assert journal.steps("aaaa1111", only_open=True) == []


def test_a_receipt_that_cannot_be_left_is_said(journal: SqlJournal, tmp_path: Path) -> None:
    receipts.folder().parent.mkdir(exist_ok=True)
    receipts.folder().write_text("a file where the folder should be")
    assert "no receipt could be left" in Receipts("aaaa1111", journal.place, "runner").closed(
        "fault", Closed.RESTORED, ""
    )
