"""A key stays off in silence for nobody who may write rows: what a rollback believes, the run's events say too."""

from __future__ import annotations

import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gameday.journal import Owner, RunRecord, StepState
from gameday.journal.sql import SqlJournal
from gameday.machine.spec import Timing
from gameday.rollback import recovery
from gameday.sdk import Closed, RunPrepared, StepClosed, StepFacts, StepIntended, TargetFacts
from tests.journal.test_journal import KEY, step
from tests.processes import PATIENCE, eventually, gameday, start

RUN = "aaaa1111"
REAL = TargetFacts(kind="aws", account="123456789012", region="us-east-1")
GONE = TargetFacts(
    kind="lab", account="123456789012", region="us-east-1", endpoint="http://127.0.0.1:1", lab_pid=999999
)


def died(file: Path, target: TargetFacts, key: str = KEY) -> SqlJournal:
    """A journal in which a run of another boot has died with its key off, events and all."""
    journal = SqlJournal(str(file))
    owner = Owner.this().model_copy(update={"boot": "another boot"})
    journal.open_run(RUN, "killswitch", owner)
    journal.set_target(RUN, target)
    journal.take_hold(RUN, owner, key)
    journal.intend(step(RUN).model_copy(update={"resource": key, "params": {"key": key}}))
    journal.injected(RUN, step().id, certain=True)
    facts = StepFacts(id=step().id, uses=step().uses, step=step().step, resource=key)
    journal.append(RUN, RunPrepared(target=target, probes=(), steps=(facts,), limits={}))
    journal.append(RUN, StepIntended(step=step().id, at=0.0))
    return journal


def forge(file: Path, sql: str, *values: str) -> None:
    with sqlite3.connect(file) as db:
        db.execute(sql, values)


def test_a_lab_that_is_gone_closes_the_steps_only_of_a_run_that_was_prepared_for_it(tmp_path: Path) -> None:
    file = tmp_path / "j.db"
    died(file, REAL)
    forge(file, "UPDATE gameday_runs SET target = ?", GONE.model_dump_json())
    told = gameday(tmp_path, "rollback", RUN, "--journal", str(file), exit_code=9)
    assert "was prepared for another target than the one in its row" in told.stderr
    assert SqlJournal(str(file)).steps(RUN, only_open=True)
    own = tmp_path / "own.db"
    died(own, GONE)
    assert "closed as abandoned" in gameday(tmp_path, "rollback", RUN, "--journal", str(own)).stdout


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM gameday_steps", "was intended, and its row is gone"),
        ("UPDATE gameday_steps SET state = 'closed', closed = 'restored'", "closed as restored in its row"),
    ],
)
def test_a_step_that_only_the_rows_call_closed_is_not_told_as_nothing_open(tmp_path: Path, sql: str, said: str) -> None:
    file = tmp_path / "j.db"
    died(file, REAL)
    forge(file, sql)
    told = gameday(tmp_path, "rollback", RUN, "--journal", str(file), exit_code=9)
    assert said in told.stderr
    assert "nothing is open" in gameday(tmp_path, "rollback", RUN, "--ours", "--journal", str(file)).stdout


def test_a_step_that_both_call_closed_is(tmp_path: Path) -> None:
    file = tmp_path / "j.db"
    journal = died(file, REAL)
    journal.append(RUN, StepClosed(step=step().id, at=1.0, closed=Closed.RESTORED, detail="Enabled"))
    journal.close(RUN, step().id, Closed.RESTORED, "Enabled")
    assert "nothing is open" in gameday(tmp_path, "rollback", RUN, "--journal", str(file)).stdout


def test_a_heartbeat_of_the_future_is_no_life(tmp_path: Path) -> None:
    file = tmp_path / "j.db"
    journal = died(file, REAL)
    elsewhere = Owner.this().model_copy(update={"machine": "another"}).model_dump_json()
    forge(file, "UPDATE gameday_runs SET owner = ?", elsewhere)
    assert journal.run(RUN).alive()
    forge(file, "UPDATE gameday_runs SET heartbeat_at = ?", "2999-01-01T00:00:00.000000+00:00")
    assert not journal.run(RUN).alive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_rollback_that_a_signal_ends_is_9(tmp_path: Path, number: signal.Signals) -> None:
    file, asked = tmp_path / "j.db", tmp_path / "asked"
    died(file, REAL)
    hangs = tmp_path / "credentials.sh"
    hangs.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 20\n")
    hangs.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {hangs}\n")
    env = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    running = start(tmp_path, "rollback", RUN, "--journal", str(file), **env)
    eventually(asked.exists, "credentials are asked for")
    running.send_signal(number)
    told, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 9, told
    assert f"gameday rollback {RUN}" in told


def test_a_moment_that_nobody_can_read_keeps_no_step_from_being_undone() -> None:
    state = StepState(record=step(RUN), state="intended", intended_at="x", injected_at="2026-01-01")
    at = "2026-01-01T00:00:00+00:00"
    run = RunRecord(
        run=RUN, playbook="p", started_at=at, heartbeat_at="y", finished_at="z", owner=Owner.this(), silence=9, age=9
    )
    assert 0 < recovery._may_land_for(state, run, datetime(2026, 1, 1, tzinfo=UTC), Timing()) < 120


def test_a_rollback_whose_journal_does_not_open_does_not_say_that_nothing_was_touched(tmp_path: Path) -> None:
    file = tmp_path / "j.db"
    for garbage in (b"", b"no database" * 999):
        file.unlink(missing_ok=True)
        if garbage:
            file.write_bytes(garbage)
            file.chmod(0o600)
        for words in ((RUN,), ("--all",)):
            told = gameday(tmp_path, "rollback", *words, "--journal", str(file), exit_code=9)
            assert "journal" in told.stderr
            assert "Traceback" not in told.stderr
    gameday(tmp_path, "rollback", exit_code=2)


def test_a_run_that_died_is_asked_of_its_events_too_by_whoever_asks_for_all(tmp_path: Path) -> None:
    file = tmp_path / "j.db"
    died(file, REAL)
    forge(file, "DELETE FROM gameday_steps")
    where = ("--journal", str(file))
    for words in (("status", "--check"), ("rollback", "--all")):
        told = gameday(tmp_path, *words, *where, exit_code=9)
        assert f"step {step().id} was intended, and its row is gone" in told.stdout + told.stderr
    gameday(tmp_path, "rollback", RUN, "--ours", *where)
    for words in (("status", "--check"), ("rollback", "--all"), ("rollback", RUN)):
        assert "nothing" in gameday(tmp_path, *words, *where).stdout
    assert "its row is gone" in gameday(tmp_path, "verify", RUN, *where, exit_code=1).stdout


@pytest.mark.parametrize("said", [{"run": "bbbb2222"}, {"id": "kms.disable_key/another"}])
def test_a_body_that_is_filed_elsewhere_hides_no_step_behind_a_living_run(tmp_path: Path, said: dict[str, str]) -> None:
    file = tmp_path / "j.db"
    died(file, REAL).open_run("bbbb2222", "killswitch", Owner.this())
    forge(file, "UPDATE gameday_steps SET body = ?", step(RUN).model_copy(update=said).model_dump_json())
    for words in (("status", "--check"), ("rollback", "--all"), ("rollback", RUN), ("abandon", RUN, "--reason", "x")):
        told = gameday(tmp_path, *words, "--journal", str(file), exit_code=9)
        assert f"step '{step().id}'" in told.stdout + told.stderr
