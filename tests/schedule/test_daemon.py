"""The daemon from outside: it runs what is due, says what it did not run, and ends and reloads in order."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gameday.journal import Owner
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from tests.processes import World, eventually, gameday
from tests.schedule.daemons import Start, dates, due, settled, soon

pytestmark = pytest.mark.timeout(110)


def test_what_comes_next_is_printed_in_local_time_and_utc_and_nothing_is_started(
    tmp_path: Path, lab: LabProcess, files: Path
) -> None:
    frozen = (
        'schedule: {cron: "0 10 25 12 *", timezone: Europe/Berlin, freeze: ["2026-01-01..2098-12-31"], jitter: 1m}\n'
    )
    World(tmp_path, lab.url, "xmas").playbook(folder=files, more=frozen)
    first, *lines = gameday(tmp_path, "schedule", str(files), "--next", "200").stdout.splitlines()
    assert "T10:00:00+01:00  " in first
    assert "-12-25T09:00:00Z  xmas@embedded  (up to 0:01:00 later)  REFUSED: " in first
    assert "2099-01-01T00:00:00+00:00  2099-01-01T00:00:00Z  someday@embedded" in lines
    assert len(lines) == 199
    assert {file.name for file in tmp_path.iterdir()} == {"playbooks", "gameday"}, "it only looked"


def test_what_was_missed_is_recorded_once_and_not_run_in_a_burst(
    tmp_path: Path, lab: LabProcess, start: Start, place: str
) -> None:
    world = World(tmp_path, lab.url, "missed")
    now = datetime.now(UTC).replace(microsecond=0)
    moments = [now - timedelta(minutes=30 - n) for n in range(5)] + [now - timedelta(seconds=20 - n) for n in range(3)]
    file = world.playbook(more=dates(*moments, more="grace: 2m"))
    daemon = start(file).ready()
    eventually(lambda: not due(place) and daemon.get("/healthz")[0] == 200, "nothing from before it was first watched")
    daemon.end()
    name = next(line for line in daemon.said.splitlines() if line.startswith("missed@lab"))
    assert "no time any more" in name
    times = DueTimes(SqlJournal(place).database)
    with times._database.writing() as db:  # it was first watched long ago, and nobody was there since
        db.exec_driver_sql("UPDATE gameday_due SET due_at = '2020-01-01T00:00:00.000000+00:00'")
    again = start(file).ready()
    records = settled(place, 8)
    assert [record.outcome for record in records] == ["missed"] * 7 + ["passed"]
    labels = 'account="",name="missed@lab",outcome="missed",region="",target="lab"'
    assert again.metric(f"gameday_schedule_due_total{{{labels}}}") == 7
    assert gameday(tmp_path, "history", "--journal", place).stdout.count("missed@lab: missed, nobody was there") == 7
    assert again.end() == 0


def test_sigterm_rolls_back_or_lets_finish_and_sighup_keeps_what_was_good(
    tmp_path: Path, lab: LabProcess, start: Start, place: str, files: Path
) -> None:
    ended, finished, patient = World(tmp_path, lab.url, "ended"), World(tmp_path, lab.url, "finished"), tmp_path / "b"
    patient.mkdir()
    finished.playbook(folder=patient, more=dates(datetime(2099, 1, 1, tzinfo=UTC)))
    daemon = start(files, "--limit", "2")
    other = start(patient, "--limit", "2", "--when-stopped", "finish", name="other")
    daemon.ready(), other.ready()
    at = soon(3)
    file = ended.playbook(folder=files, hold="50s", more=dates(at))
    finished.playbook(folder=patient, hold="5s", more=dates(at, at + timedelta(minutes=5)))
    daemon.reload("ended@lab")
    other.reload("finished@lab")
    file.write_text("playbook: ended\nnonsense: true\n")
    daemon.send(signal.SIGHUP)
    eventually(lambda: daemon.metric("gameday_schedule_broken_playbooks") == 1, "the broken one is counted")
    assert "nonsense: unknown key" in daemon.said
    assert datetime.now(UTC) < at, "the machine is too slow for this test"
    eventually(lambda: ended.state == finished.state == "Disabled", "the old one runs, and the other")
    daemon.send(signal.SIGTERM)
    assert (other.end(), daemon.end()) == (0, 0)
    assert ended.state == finished.state == "Enabled"
    outcomes = {record.name: (record.outcome, SqlJournal(place).run(record.run).exit_code) for record in due(place)}
    assert outcomes == {"ended@lab": ("aborted", 3), "finished@lab": ("passed", 0)}
    assert "told to roll back: the daemon is told to end" in daemon.said
    assert "SIGTERM: no more game days begin; 1 under way may finish" in other.said


def test_a_schedule_that_is_broken_from_the_start_starts_nothing(tmp_path: Path, lab: LabProcess, place: str) -> None:
    world = World(tmp_path, lab.url, "broken")
    here = ("--journal", place)
    none = gameday(tmp_path, "schedule", str(world.playbook()), *here, exit_code=2)
    assert "has no schedule, and neither has its target" in none.stderr
    wrong = gameday(tmp_path, "schedule", str(world.playbook(more="schedule: {cron: x}\n")), *here, exit_code=2)
    assert "schedule.cron: 'x' has 1 fields" in wrong.stderr
    assert not Path(place).exists()


def test_the_targets_schedule_outranks_the_playbooks(tmp_path: Path, lab: LabProcess) -> None:
    world = World(tmp_path, lab.url, "many")
    for name, hour in (("one", 3), ("two", 4)):
        schedule = f'schedule: {{cron: "0 {hour} * * *"}}\n'
        (tmp_path / f"{name}.yaml").write_text(f"target: {name}\nlab: {lab.url}\n{schedule}")
    file = world.playbook(more='schedule: {cron: "0 5 * * *"}\n')
    told = gameday(
        tmp_path, "schedule", str(file), "--target", "one.yaml", "--target", "two.yaml", "--next", "2"
    ).stdout
    assert {line.split()[-1]: line[11:13] for line in told.splitlines()} == {"many@one": "03", "many@two": "04"}


def test_more_game_days_at_one_time_than_may_be_under_way_are_warned_of(tmp_path: Path, lab: LabProcess) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yaml").write_text(f"target: {name}\nlab: {lab.url}\n")
    file = World(tmp_path, lab.url, "crowd").playbook(more='schedule: {cron: "0 5 * * *"}\n')
    words = ["schedule", str(file), *(w for n in ("one", "two", "three") for w in ("--target", f"{n}.yaml")), "--next"]
    told = gameday(tmp_path, *words, "1").stderr
    assert "WARNING: 3 game days are due at" in told
    assert "start the daemon with --limit 3" in told
    assert "WARNING" not in gameday(tmp_path, *words, "1", "--limit", "3").stderr


def test_of_a_run_that_comes_too_late_nothing_begins(tmp_path: Path, lab: LabProcess, place: str) -> None:
    world, journal = World(tmp_path, lab.url, "late"), SqlJournal(place)
    times, at = DueTimes(journal.database), datetime(2026, 1, 1, tzinfo=UTC)
    dead = Owner.this().model_copy(update={"boot": "another boot"})
    assert times.claim("late", at, dead, "cafe0001")
    assert not times.claim("late", at, Owner.this(), "cafe0002")
    [record] = times.under_way()
    assert record.abandoned()
    assert times.give_up(record, "missed", "its daemon died")
    words = ("run", str(world.playbook()), "--target", f"lab={lab.url}", "--journal", place)
    late = gameday(tmp_path, *words, GAMEDAY_RUN_ID="cafe0001", exit_code=5)
    assert "run cafe0001 comes too late: its daemon died" in late.stdout + late.stderr
    assert world.state == "Enabled"
