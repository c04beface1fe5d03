"""Daemons that share a PostgreSQL: each due time once, whoever dies, and nothing is left changed.

GAMEDAY_DUE_TIMES=50 runs the whole of it; without it, as many as fit into the ordinary suite.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.playbook import Schedule
from gameday.schedule.trigger import CalendarTrigger
from tests.clocks import WallClock
from tests.processes import World, eventually, gameday, kill_all_of
from tests.real_postgres import Postgres
from tests.schedule.daemons import Daemon, dates, due, settled, soon

COUNT = int(os.environ.get("GAMEDAY_DUE_TIMES", "6"))
SEED = int(os.environ.get("GAMEDAY_SEED", "7"))
KEYS = 5
LEASE, SILENCE = 3.0, 8.0
"""Seconds without its journal after which a run gives up, and after which it counts as dead; really 10 and 60."""

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
        names = [f'{{account="",name="{world.name}@lab",region="",target="lab"}}' for world in worlds]
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


def test_two_hosts_whose_clocks_differ_lose_their_database_and_then_one_dies(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    url, files = postgres.new_database(), tmp_path / "playbooks"
    files.mkdir()
    often, cut_off, dead_host = (World(tmp_path, lab.url, name) for name in ("often", "cut-off", "dead-host"))
    often.playbook(folder=files, more='schedule: {cron: "*/2 * * * * *", freeze: ["2020-01-01..2099-12-31"]}\n')
    daemons: dict[str, Daemon] = {}
    for host, ahead in (("a", 90.0), ("b", -45.0)):
        clock = WallClock(tmp_path / f"clock-{host}", ahead)
        words = (str(files), "--target", f"lab={lab.url}", "--limit", "2")
        env = {"GAMEDAY_JOURNAL": url, "TEST_SILENCE": str(SILENCE), "TEST_LEASE": str(LEASE)}
        daemons[host] = Daemon(tmp_path / host, *words, machine=f"host-{host}", name=host, at_start=clock.code, **env)
    try:
        for daemon in daemons.values():
            daemon.ready()
        _has_game_day(cut_off, files, soon(2), daemons)
        eventually(lambda: cut_off.state == "Disabled", "its game day is on")
        _has_game_day(dead_host, files, at := soon(2), daemons)
        assert datetime.now(UTC) < at, "the machine is too slow for this test"
        _without_the_database(postgres, at, daemons, cut_off, dead_host)
        eventually(lambda: dead_host.state == "Disabled", "what came due meanwhile is run when the database is back")
        [running] = [record for record in due(url) if record.name == "dead-host@lab"]
        dead = running.claimed_by.machine.removeprefix("host-")
        [other] = set(daemons) - {dead}
        _clocks_were_minded(url, daemons)
        assert kill_all_of(tmp_path / dead) >= 3, "the daemon, its game day and the watchdog"
        daemons[dead].process.wait()
        assert dead_host.state == "Disabled"
        eventually(lambda: dead_host.state == "Enabled", "the other puts it back")
        eventually(lambda: daemons[other].metric('gameday_schedule_recovered_total{outcome="died"}') == 1, "counted")
        labels = 'account="",name="dead-host@lab",outcome="died",region="",target="lab"'
        assert daemons[other].metric(f"gameday_schedule_due_total{{{labels}}}") == 1
    finally:
        for daemon in daemons.values():
            daemon.end()
    became = {record.name: record for record in due(url) if record.name != "often@lab"}
    outcomes = {name: record.outcome for name, record in became.items()}
    assert outcomes == {"cut-off@lab": "aborted", "dead-host@lab": "died"}
    assert "cut short: the journal" in became["cut-off@lab"].detail
    assert re.search(
        rf"on host-{dead} and its daemon died in the run; everything is put back by process \d+ on host-{other}",
        became["dead-host@lab"].detail,
    )
    runs = {run.run: run.exit_code for run in SqlJournal(url).runs(9)}
    assert runs == {became["cut-off@lab"].run: 3, became["dead-host@lab"].run: 3}
    assert not SqlJournal(url).steps(only_open=True)
    history = gameday(tmp_path, "history", "--limit", "100", GAMEDAY_JOURNAL=url).stdout
    assert "dead-host@lab: died" in history
    assert "aborted       3  cut-off" in history


def _has_game_day(world: World, files: Path, at: datetime, daemons: Mapping[str, Daemon]) -> None:
    world.playbook(folder=files, hold="50s", more=dates(at))
    for daemon in daemons.values():
        daemon.reload(f"{world.name}@lab")


def _without_the_database(
    postgres: Postgres, next_due: datetime, daemons: Mapping[str, Daemon], on: World, due_meanwhile: World
) -> None:
    """Partitioned from it, the game day that is on puts its key back before others take it for dead; none begins."""
    silent_since = time.monotonic()
    with postgres.frozen():
        eventually(lambda: on.state == "Enabled", "it puts the key back though nobody answers")
        assert time.monotonic() - silent_since < SILENCE, "too late: another may believe it dead, and begin"
        for daemon in daemons.values():
            eventually(lambda daemon=daemon: daemon.get("/readyz")[0] == 503, "a daemon without its journal says so")
            assert daemon.metric("gameday_schedule_journal_up") == 0
            assert daemon.get("/healthz")[0] == 200
        eventually(lambda: datetime.now(UTC) > next_due + timedelta(seconds=1), "another game day has come due")
        assert due_meanwhile.state == on.state == "Enabled"


def _clocks_were_minded(url: str, daemons: Mapping[str, Daemon]) -> None:
    """Each due time is claimed once, none early, and the differences are said and measured."""
    for host, ahead in (("a", 90.0), ("b", -45.0)):
        assert abs(daemons[host].metric("gameday_schedule_clock_skew_seconds") - ahead) < 1
        [said] = re.findall(r"this machine's clock is (\S+) s off the journal's", daemons[host].said)
        assert abs(float(said) - ahead) < 1, "said once"
    often = [record for record in due(url) if record.name == "often@lab" and record.outcome is not None]
    moments = [datetime.fromisoformat(record.due_at) for record in often]
    assert moments == [moments[0] + timedelta(seconds=2 * n) for n in range(len(moments))], "each once"
    assert len(moments) >= 5
    assert {record.outcome for record in often} <= {"refused", "missed"}
    assert [record.outcome for record in often].count("refused") >= 3, "most of them in time"
    for record, moment in zip(often, moments, strict=True):
        assert datetime.fromisoformat(record.claimed_at) >= moment, "not before it is due"


def test_an_alarm_is_set_by_the_clock_that_counts() -> None:
    trigger = CalendarTrigger(Schedule(cron="0 10 * * *"), "k", lambda: timedelta(seconds=30))
    now = datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert trigger.get_next_fire_time(None, now) == datetime(2026, 1, 1, 10, 0, 30, tzinfo=UTC)
