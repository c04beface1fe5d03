"""Daemons that share a PostgreSQL: each due time once, whoever dies, and nothing is left changed.

GAMEDAY_DUE_TIMES=50 runs the whole of it; without it, as many as fit into the ordinary suite.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.playbook import Schedule
from gameday.schedule.trigger import CalendarTrigger
from tests.processes import World, eventually, gameday, kill_all_of
from tests.real_postgres import Postgres
from tests.schedule.daemons import Daemon, dates, due, settled, soon

COUNT = int(os.environ.get("GAMEDAY_DUE_TIMES", "6"))
SEED = int(os.environ.get("GAMEDAY_SEED", "7"))
KEYS = 5

pytestmark = pytest.mark.timeout(120 + 8 * COUNT)


def test_each_due_time_is_run_once_or_missed_whoever_is_killed(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    url, chance, files = postgres.new_database(), random.Random(SEED), tmp_path / "playbooks"
    files.mkdir()
    worlds = [World(tmp_path, lab.url, f"key{n}") for n in range(min(KEYS, COUNT))]
    for world in worlds:  # watched, but due some day
        world.playbook(folder=files, more='schedule: {cron: "0 0 1 1 *"}\n')
    words = (str(files), "--target", f"lab={lab.url}", "--limit", "4")

    def start(n: int) -> Daemon:
        return Daemon(tmp_path / f"d{n}", *words, machine=f"host-{n}", name=f"d{n}", GAMEDAY_JOURNAL=url)

    daemons = [start(n) for n in range(3)]
    try:
        for daemon in daemons:
            daemon.ready()
        first = soon(6)
        for n, world in enumerate(worlds):
            moments = [first + timedelta(seconds=at) for at in range(n, COUNT, len(worlds))]
            world.playbook(folder=files, more=dates(*moments, more="when_busy: wait, grace: 2m"))
        for daemon in daemons:
            daemon.reload()
        names = [f'{{name="{world.name}@lab"}}' for world in worlds]
        eventually(lambda: all(name in daemons[0].get("/metrics")[1] for name in names), "reloaded")
        eventually(lambda: len(_watched(url)) >= 2 * len(worlds), "all are watched under their new dates")
        last = first + timedelta(seconds=COUNT)
        killed = restarts = 0
        while time.time() < last.timestamp():
            n = chance.randrange(3)
            if chance.random() < 0.5:
                kill_all_of(tmp_path / f"d{n}")
            daemons[n].kill()
            killed += 1
            if not restarts and time.time() > first.timestamp() + COUNT / 3:
                postgres.restart()
                restarts += 1
            daemons[n] = start(n)
            time.sleep(chance.uniform(1, 4))
        settled(url, COUNT, within=60 + 4 * COUNT)
        eventually(lambda: not SqlJournal(url).steps(only_open=True), "nothing is open any more")
        records = due(url)
    finally:
        for daemon in daemons:
            daemon.end()
    moments_dealt_with = [(record.schedule.partition("@")[0], record.due_at) for record in records]
    assert len(set(moments_dealt_with)) == len(moments_dealt_with) == COUNT
    outcomes = Counter(str(record.outcome) for record in records)
    told = [(record.schedule, record.due_at, record.outcome, record.detail) for record in records]
    assert set(outcomes) <= {"passed", "missed", "aborted", "died", "refused"}, told
    assert outcomes["passed"] >= 1, told
    journal = SqlJournal(url)
    runs = Counter(run.run for run in journal.runs(1000))
    assert set(runs.values()) == {1}
    assert set(runs) <= {record.run for record in records}, "a run that no due time asked for"
    assert {record.run for record in records if record.outcome == "passed"} <= set(runs)
    assert not journal.steps(only_open=True)
    assert {world.state for world in worlds} == {"Enabled"}
    sys.stderr.write(f"{COUNT} due times, {killed} daemons killed, PostgreSQL restarted {restarts}: {dict(outcomes)}\n")


def _watched(url: str) -> list[object]:
    with SqlJournal(url).database.reading() as db:
        return list(db.exec_driver_sql("SELECT schedule FROM gameday_due WHERE outcome = 'watched'"))


def test_a_host_that_dies_in_a_run_is_noticed_and_its_key_put_back_by_another(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    url, world, files = postgres.new_database(), World(tmp_path, lab.url, "dead-host"), tmp_path / "playbooks"
    files.mkdir()
    world.playbook(folder=files, more='schedule: {cron: "0 0 1 1 *"}\n')
    words = (str(files), "--target", f"lab={lab.url}")
    named = {"GAMEDAY_JOURNAL": url, "TEST_SILENCE": "6"}
    doomed = Daemon(tmp_path / "a", *words, machine="host-a", name="a", **named).ready()
    other = Daemon(tmp_path / "b", *words, machine="host-b", name="b", **named)
    try:
        world.playbook(folder=files, hold="50s", more=dates(soon(4)))
        doomed.reload()
        eventually(lambda: world.state == "Disabled", "its game day is on")
        other.ready()
        assert kill_all_of(tmp_path / "a") >= 2
        doomed.process.wait()
        assert world.state == "Disabled"
        eventually(lambda: world.state == "Enabled", "the other puts it back")
        [record] = settled(url, 1)
        assert record.outcome == "died"
        assert "on host-a and its daemon died in the run; everything is put back by" in record.detail
        assert "on host-b" in record.detail
        eventually(lambda: other.metric('gameday_schedule_recovered_total{outcome="died"}') == 1, "it is counted")
        assert not SqlJournal(url).steps(only_open=True)
        assert f"{world.name}@lab: died" in gameday(tmp_path, "history", GAMEDAY_JOURNAL=url).stdout
    finally:
        doomed.process.kill()
        other.end()


def test_a_clock_that_is_off_is_said_and_does_not_begin_early(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    trigger = CalendarTrigger(Schedule(cron="0 10 * * *"), "k", lambda: timedelta(seconds=30))
    now = datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert trigger.get_next_fire_time(None, now) == datetime(2026, 1, 1, 10, 0, 30, tzinfo=UTC)
