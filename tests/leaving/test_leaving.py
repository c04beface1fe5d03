"""The one place that commands leave through: 9 while a step is open, or while that cannot be known."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dateutil.parser import ParserError

from gameday.cli import leaving
from gameday.cli import rollback as rollback_body
from gameday.cli.app import gameday
from gameday.errors import ExitCode, GamedayError, Interrupted, JournalError, PlaybookInvalid, Refused, TargetError
from gameday.journal.sql import SqlJournal
from gameday.sdk import Closed, TargetFacts
from tests.journal.test_journal import step
from tests.journal.test_journal_commands import died

RUN = "aaaa1111"
PLANTED: tuple[BaseException, ...] = (
    RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
    ParserError("Unknown string format: %s", "tomorrow-ish"),
    ValueError("planted"),
    KeyError("planted"),
    MemoryError(),
    OSError(28, "No space left on device"),
    BrokenPipeError(),
    RecursionError(),
    UnicodeEncodeError("ascii", "é", 0, 1, "planted"),
    KeyboardInterrupt(),
    SystemExit(0),
    SystemExit(3),
    GeneratorExit(),
    Refused("planted"),
    TargetError("planted"),
    PlaybookInvalid("planted"),
    Interrupted("planted"),
    JournalError("planted"),
    GamedayError("planted"),
)
METHODS = ("steps", "run", "runs", "holds", "events", "append", "close", "finish_run", "abandon", "release_hold")
"""What ``rollback`` and ``abandon`` ask the journal for."""


def raising(error: BaseException) -> Callable[..., object]:
    def broken(*_: object, **__: object) -> object:
        raise error

    return broken


def ends(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command in this process."""
    monkeypatch.setattr(leaving, "_about", leaving._About())
    monkeypatch.setattr(sys, "argv", ["gameday", *words])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        leaving.leave(lambda: gameday.main(words, prog_name="gameday", standalone_mode=False))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal whose run has died with its key off."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "journal.db"
    facts = TargetFacts(kind="lab", account="123456789012", region="us-east-1", endpoint="http://127.0.0.1:1")
    died(path).set_target(RUN, facts)
    return path


def still_open(file: Path) -> bool:
    return bool(SqlJournal(str(file), create=False).steps(RUN, only_open=True))


@pytest.mark.parametrize("planted", PLANTED, ids=repr)
@pytest.mark.parametrize("where", ["reopen", "merge", "recover"])
def test_whatever_a_rollback_meets_it_ends_with_9_while_a_step_is_open(
    file: Path, monkeypatch: pytest.MonkeyPatch, planted: BaseException, where: str
) -> None:
    monkeypatch.setattr(rollback_body, "reopen", lambda *_: object())
    monkeypatch.setattr(rollback_body, where, raising(planted))
    for words in (("rollback", RUN), ("rollback", "--all")):
        assert ends(monkeypatch, *words, "--journal", str(file)) == 9
    assert still_open(file)


@pytest.mark.parametrize("planted", PLANTED, ids=repr)
@pytest.mark.parametrize("method", [name for name in METHODS if hasattr(SqlJournal, name)])
def test_whatever_the_journal_raises_no_command_ends_with_another_code_while_a_step_is_open(
    file: Path, monkeypatch: pytest.MonkeyPatch, planted: BaseException, method: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, method, raising(planted))
        code = ends(broken, "rollback", RUN, "--journal", str(file), "--within", "1s")
    assert still_open(file)
    assert code == 9


@pytest.mark.parametrize("words", [("history",), ("status",), ("show", RUN), ("abandon", RUN, "--reason", "x")])
def test_a_bug_in_any_command_is_not_told_as_restored_while_a_run_that_ended_has_an_open_step(
    file: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, "run", raising(ZeroDivisionError("planted")))
        broken.setattr(SqlJournal, "runs", raising(ZeroDivisionError("planted")))
        assert ends(broken, *words, "--journal", str(file)) == 9
    assert "still changed" in capsys.readouterr().err.lower()


def test_a_bug_where_nothing_is_open_is_70(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqlJournal(str(file)).close(RUN, step().id, Closed.RESTORED, "")
    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, "holds", raising(ZeroDivisionError("planted")))
        assert ends(broken, "status", "--journal", str(file)) == 70


def test_a_journal_that_does_not_answer_is_9_and_not_a_hang(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "JOURNAL_ANSWERS_WITHIN", 0.05)
    monkeypatch.setattr(leaving, "_open_steps", lambda _: __import__("threading").Event().wait())
    monkeypatch.setattr(rollback_body, "merge", raising(ZeroDivisionError("planted")))
    assert ends(monkeypatch, "rollback", RUN, "--journal", str(file)) == 9


def test_readme_and_help_show_the_exit_codes_that_there_are() -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", readme, re.MULTILINE)
    assert rows == [(str(int(code)), code.meaning) for code in ExitCode]
    assert gameday.epilog is not None
    shown = re.findall(r"^  (\d+) +(.+(?:\n {4,}.+)*)", gameday.epilog, re.MULTILINE)
    assert [(code, " ".join(meaning.split())) for code, meaning in shown] == rows


@pytest.mark.parametrize(
    ("read_back", "answers", "code"),
    [
        (True, "nothing", 9),  # what the journal calls open outranks the run's word
        (True, "an error", 0),
        (False, "an error", 9),
    ],
)
def test_a_runs_own_word_stands_where_the_journal_cannot_be_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch, read_back: bool, answers: str, code: int
) -> None:
    def command() -> None:
        leaving.touched(SqlJournal(str(file), create=False))
        leaving.about([RUN], "gameday rollback", own=True)
        if read_back:
            leaving.all_is_read_back(recorded=True)

    monkeypatch.setattr(leaving, "_about", leaving._About())
    monkeypatch.setattr("signal.signal", lambda *_: None)
    if answers == "an error":
        monkeypatch.setattr(SqlJournal, "steps", raising(JournalError("the database is restarting")))
    with pytest.raises(SystemExit) as ended:
        leaving.leave(command)
    assert ended.value.code == code
