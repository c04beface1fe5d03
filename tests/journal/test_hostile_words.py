"""No command's output or error moves a terminal's cursor, whoever wrote what it tells."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from gameday.journal import Owner
from gameday.journal.sql import SqlJournal
from gameday.sdk import clean, clean_lines
from tests.journal.test_journal import KEY, step
from tests.processes import gameday

HOSTILE = "x\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202egnp\u2028\r\ny"
UNSAFE = set("\x1b\x07\x9b\u202e\u2028\r")


@pytest.fixture
def journal(tmp_path: Path) -> SqlJournal:
    """A journal in which everything that others may word is hostile."""
    kept = SqlJournal(str(tmp_path / "journal.db"))
    owner = Owner.this().model_copy(update={"boot": "another", "machine": HOSTILE})
    kept.open_run("aaaa1111", HOSTILE, owner)
    kept.take_hold("aaaa1111", owner, KEY + HOSTILE)
    kept.take_hold("aaaa1111", owner, KEY)
    kept.intend(step("aaaa1111"))
    kept.halt(HOSTILE, HOSTILE)
    with sqlite3.connect(kept.place) as db:
        body = json.dumps({**json.loads(step("aaaa1111").model_dump_json()), "uses": HOSTILE, "resource": HOSTILE})
        db.execute("UPDATE gameday_steps SET body = ?, state = ?", (body, HOSTILE))
        db.execute(
            "INSERT INTO gameday_due(schedule, due_at, claimed_by, claimed_at, heartbeat_at, run, outcome, detail) "
            "SELECT ?, ?, owner, heartbeat_at, heartbeat_at, ?, ?, ? FROM gameday_runs",
            (HOSTILE, "2026-01-01T00:00:00+00:00", "", HOSTILE, HOSTILE),
        )
        db.execute(
            "INSERT INTO gameday_steps(run, step, resource, body, state, intended_at) VALUES(?, ?, '', '{', 'x', 'y')",
            (HOSTILE, HOSTILE),
        )
    return kept


COMMANDS = [
    ("status", "--check"),
    ("history",),
    ("halt", "--reason", HOSTILE),
    ("resume",),
    ("rollback", "aaaa1111", "--within", "100ms"),
    ("rollback", "--all", "--within", "100ms"),
    ("rollback", HOSTILE),
    ("abandon", "aaaa1111", "--reason", HOSTILE),
    ("show", "aaaa1111"),
    ("show", HOSTILE),
    ("report", "aaaa1111", "--format", "markdown", "-o", "-"),
    ("verify", "aaaa1111"),
    ("run", "killswitch", "--target", HOSTILE),
    ("run", "killswitch", "--var", HOSTILE),
    ("plan", HOSTILE),
    ("drill", "killswitch", "--target", f"lab=http://127.0.0.1:9/{HOSTILE}"),
    ("validate", HOSTILE),
    ("stage", HOSTILE),
    ("schedule", HOSTILE, "--next"),
    ("blast-radius", HOSTILE, "--source", HOSTILE),
    ("watch", HOSTILE),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]).encode("ascii", "replace").decode())
def test_what_others_wrote_is_shown_as_text(journal: SqlJournal, tmp_path: Path, words: tuple[str, ...]) -> None:
    told = gameday(tmp_path, *words, exit_code=None, GAMEDAY_JOURNAL=journal.place)
    said = told.stdout + told.stderr
    assert said.strip(), "it says something"
    assert not UNSAFE & set(said), ascii(said)
    assert "Traceback" not in said, said


def test_lines_and_indents_stay() -> None:
    assert clean_lines("a\n  b\tc\n\n\x1b[2J") == "a\n  b c\n\n\N{REPLACEMENT CHARACTER}[2J"
    assert clean("plain ünïcode … fine") == "plain ünïcode … fine"
