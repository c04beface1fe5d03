"""``gameday verify`` says BROKEN wherever a run's events, its row and its steps disagree."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from tests.processes import World, eventually, gameday, start, until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


@pytest.fixture(scope="module")
def passed(lab: LabProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a run that passed."""
    folder = tmp_path_factory.mktemp("verify")
    world = World(folder, lab.url, "verified")
    here = ("--journal", str(folder / "j.db"))
    gameday(folder, "run", str(world.playbook()), "--target", f"lab={lab.url}", *here)
    return folder / "j.db"


TAMPERED = [
    ("DELETE FROM gameday_events WHERE seq > 20", "the event that seals its end is missing"),
    ("DELETE FROM gameday_events WHERE seq = (SELECT max(seq) FROM gameday_events)", "seals its end is missing"),
    ("DELETE FROM gameday_events", "the event that seals its end is missing"),
    ("DELETE FROM gameday_events WHERE seq = 3", "at event 3: "),
    ("UPDATE gameday_events SET body = '{' WHERE seq = 10", "a row of gameday_events cannot be read"),
    ("UPDATE gameday_events SET body = x'ff' WHERE seq = 10", "a row of gameday_events cannot be read"),
    ("UPDATE gameday_runs SET verdict = 'failed'", "its verdict is 'failed' in its row, and 'passed'"),
    ("UPDATE gameday_runs SET exit_code = 1", "its exit code is 1 in its row, and 0"),
    ("UPDATE gameday_runs SET story = 'All is well.'", "its story is 'All is well.' in its row"),
    ("UPDATE gameday_runs SET finished_at = NULL, verdict = NULL", "say that it has ended, and its row does not"),
    ("UPDATE gameday_runs SET owner = '{'", "a row of gameday_runs cannot be read"),
    ("UPDATE gameday_runs SET target = replace(target, 'us-east-1', 'eu-west-1')", "its target is another one"),
    ("UPDATE gameday_steps SET closed = 'drifted'", "is closed as drifted"),
    ("UPDATE gameday_steps SET detail = 'x'", "is closed as restored (x) in its row"),
    ("UPDATE gameday_steps SET state = 'injected', closed = NULL", "is open in its row, and sealed as closed"),
    ("UPDATE gameday_steps SET body = '{}'", "a row of gameday_steps cannot be read"),
    ("UPDATE gameday_steps SET body = replace(body, ':key/', ':key/0')", "is not one that it was prepared for"),
    ("UPDATE gameday_steps SET body = replace(body, 'disable_key/', 'disable_key/0')", "its body is of step"),
    ("DELETE FROM gameday_steps", "was intended, and its row is gone"),
]


@pytest.mark.parametrize(("sql", "said"), TAMPERED)
def test_what_was_deleted_or_rewritten_is_broken(passed: Path, tmp_path: Path, sql: str, said: str) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(passed)) as source, closing(sqlite3.connect(copy)) as tampered:
        source.backup(tampered)
        [run] = tampered.execute("SELECT run FROM gameday_runs").fetchone()
        assert "whole" in gameday(tmp_path, "verify", run, "--journal", str(copy)).stdout
        tampered.execute("UPDATE gameday_runs SET owner = json_set(owner, '$.boot', 'another')")
        tampered.execute(sql)
        tampered.commit()
    told = gameday(tmp_path, "verify", run, "--journal", str(copy), exit_code=1)
    assert "BROKEN" in told.stdout
    assert said in told.stdout
    assert not told.stderr


def test_a_step_that_was_opened_again_behind_the_back_of_its_events_is_not_undone(passed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(passed)) as source, closing(sqlite3.connect(copy)) as tampered:
        source.backup(tampered)
        tampered.execute("UPDATE gameday_steps SET state = 'injected', closed = NULL")
        tampered.commit()
        [body] = tampered.execute("SELECT body FROM gameday_steps").fetchone()
    run = json.loads(body)["run"]
    told = gameday(tmp_path, "rollback", run, "--journal", str(copy), exit_code=9)
    assert "say that it was closed as restored, and that nothing was left open" in told.stdout


@pytest.mark.parametrize("watchdog", [True, False])
def test_a_run_that_died_and_was_put_back_by_others_is_whole(tmp_path: Path, lab: LabProcess, watchdog: bool) -> None:
    world = World(tmp_path, lab.url, f"died-{int(watchdog)}")
    file = tmp_path / "j.db"
    words = ("run", str(world.playbook(hold="30s")), "--target", f"lab={lab.url}", "--journal", str(file))
    process = start(tmp_path, *words)
    until(process, "effect after")
    journal = SqlJournal(str(file))
    [run] = journal.runs(1)
    if not watchdog:
        [armed] = [one.event for one in journal.events(run.run) if one.event.kind == "watchdog_armed"]
        os.kill(armed.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    if not watchdog:
        gameday(tmp_path, "rollback", run.run, "--journal", str(file))
    eventually(lambda: journal.run(run.run).finished_at is not None, "the run's end is written")
    assert world.state == "Enabled"
    assert "whole" in gameday(tmp_path, "verify", run.run, "--journal", str(file)).stdout
