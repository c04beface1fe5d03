"""Whatever becomes of a due time has its line in ``gameday history`` and its metric: every kind, on one daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gameday.journal import DueRecord
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.playbook import DAYS
from gameday.schedule.launch import ALL_OUTCOMES
from tests.clocks import WallClock
from tests.processes import World, eventually, gameday
from tests.schedule.daemons import Start, dates, due, settled, soon

pytestmark = pytest.mark.timeout(110)

MISFORTUNES = """\
import os, sys
words = sys.orig_argv
if "run" in words:
    file = words[words.index("run") + 1]
    playbook = open(file).readline().split()[-1]
    if playbook == "import-fails":
        sys.modules["gameday.cli"] = None
    if playbook == "killed-at-start":
        os.kill(os.getpid(), 9)
    if playbook == "tampered-with":
        open(file, "a").write("nonsense: 1\\n")
    if playbook == "has-a-bug":
        import gameday.engine.control as control
        control.prepare = lambda *_, **__: 1 / 0
if "schedule" in words:
    from gameday.schedule.entries import Entry
    longest = Entry.longest.fget
    Entry.longest = property(lambda self: longest(self) * (self.playbook.name != "hours-end"))
"""
"""What befalls the process of a game day, by its playbook; and one may begin though it could outlast its hours."""

CLOSES_AFTER = 18
"""Seconds from the due times to the end of some hours, which only a clock that is put right for it can show."""
Act = Callable[[str, SqlJournal, LabProcess], None]


def kill(number: signal.Signals) -> Act:
    def act(run: str, journal: SqlJournal, _lab: LabProcess) -> None:
        os.kill(journal.run(run).owner.pid, number)

    return act


def kill_once_another_waited_in_vain(run: str, journal: SqlJournal, lab: LabProcess) -> None:
    def missed() -> bool:
        return any(record.outcome == "missed" for record in DueTimes(journal.database).latest(1000))

    eventually(missed, "the next due time of waits-in-vain has waited until its grace was over")
    kill(signal.SIGKILL)(run, journal, lab)


def give_up(run: str, journal: SqlJournal, _lab: LabProcess) -> None:
    journal.abandon(run, "somebody", "it is theirs now")


def enable_is_refused(run: str, journal: SqlJournal, lab: LabProcess) -> None:
    lab.control.trouble("throttle", "kms", "EnableKey", user_agent=run)
    kill(signal.SIGTERM)(run, journal, lab)


def _window(at: datetime, minutes: int) -> str:
    """Hours that have begun, and end after so many minutes and CLOSES_AFTER."""
    first, last = at - timedelta(minutes=1), at + timedelta(minutes=minutes, seconds=CLOSES_AFTER)
    return f"{DAYS[first.weekday()]} {first:%H:%M}-{last:%H:%M}"


@dataclass(frozen=True)
class Case:
    """A game day: what is special about it, and what becomes of its due times, each with words of its line."""

    name: str
    becomes: tuple[tuple[str, str], ...]
    hold: str = "0s"
    more: str = ""
    swap: Mapping[str, str] = field(default_factory=dict)
    act: Act | None = None
    """What is done to it once its key is off."""

    def write(self, world: World, folder: Path, at: datetime) -> None:
        """Its playbook, as if a person had written it."""
        later = 0 if self.hold == "50s" else 4  # a dozen processes at once would only wait for each other
        moments = [at + timedelta(seconds=later + n) for n in range(len(self.becomes))]
        words = {"today": at.date(), "yesterday": DAYS[at.weekday() - 1]}
        words |= {"now": _window(at, 2), "closing": _window(at, 0)}
        file = world.playbook(folder=folder, hold=self.hold, more=dates(*moments, more=self.more.format(**words)))
        text = file.read_text()
        for old, new in self.swap.items():
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)


SHORT = "allowed: ['{now}']"
WAITS = "when_busy: wait"
NO_EVIDENCE = {
    "faults:": "  trail: {uses: cloudtrail.event, with: {name: CancelKeyDeletion}, expect: {evidence: found}}\nfaults:",
    "timing: {": "timing: {evidence_within: 1s, ",
}
CASES = (
    Case("patient", (("passed", ""), ("passed", "")), hold="2s", more=WAITS),
    Case(
        "expects-wrongly",
        (("failed", "did not hold"),),
        swap={"t: key_disabled": "t: throttled", ": 10s": ": 1s"},
    ),
    Case("never-told", (("inconclusive", "Too little was seen to judge"),), swap=NO_EVIDENCE),
    Case("no-such-key", (("refused", "alias/nowhere"),), swap={"alias/no-such-key": "alias/nowhere"}),
    Case("frozen", (("refused", "is frozen"),), more="freeze: ['{today}']"),
    Case("closed", (("refused", "is outside its allowed hours"),), more="allowed: [{yesterday}]"),
    Case("too-long", (("refused", "longer than it is allowed to"),), more=SHORT, swap={"t: 1m": "t: 5m"}),
    Case("told-to-end", (("aborted", "SIGTERM"), ("skipped", "is still on")), "50s", act=kill(signal.SIGTERM)),
    Case(
        "waits-in-vain",
        (("died", "killed by signal 9"), ("missed", "in vain: its run")),
        "50s",
        f"{WAITS}, grace: 0s",
        act=kill_once_another_waited_in_vain,
    ),
    Case("hours-end", (("aborted", "its hours have ended"),), "50s", "allowed: ['{closing}']"),
    Case("given-up", (("abandoned", "it is theirs now"),), "50s", act=give_up),
    Case("stuck", (("incomplete", "ROLLBACK INCOMPLETE"),), "50s", swap={"n: 20s": "n: 2s"}, act=enable_is_refused),
    Case("tampered-with", (("invalid", "nonsense: unknown key"),)),
    Case("has-a-bug", (("bug", "division by zero"),)),
    Case("import-fails", (("unstarted", "exited with 1 before its run began: "),)),
    Case("killed-at-start", (("unstarted", "killed by signal 9 before its run began"),)),
)


def test_each_outcome_is_in_the_table() -> None:
    assert {outcome for case in CASES for outcome, _ in case.becomes} == set(ALL_OUTCOMES)


def test_each_outcome_has_its_line_in_history_and_its_metric(
    tmp_path: Path, lab: LabProcess, start: Start, place: str, files: Path
) -> None:
    results, clock = tmp_path / "results", WallClock(tmp_path / "clock")
    befalls = MISFORTUNES + clock.code
    daemon = start(files, "--limit", "20", "--results", results, at_start=befalls).ready()
    worlds = {case.name: World(tmp_path, lab.url, case.name) for case in CASES}
    (files / "unscheduled.yaml").write_text(World(tmp_path, lab.url, "unscheduled").playbook().read_text())
    at = soon(2)
    ahead = (60 - CLOSES_AFTER - at.second) % 60  # so that a minute, and with it some hours, ends so much later
    clock.put(ahead)
    for case in CASES:
        case.write(worlds[case.name], files, at + timedelta(seconds=ahead))
    daemon.reload(*(f"{case.name}@lab" for case in CASES))
    journal = SqlJournal(place)
    for case in CASES:
        if case.act is not None:
            world = worlds[case.name]
            eventually(lambda world=world: world.state == "Disabled", f"the key of {case.name} is off")
            case.act(due_of(place, case.name)[0].run, journal, lab)
    settled(place, sum(len(case.becomes) for case in CASES))
    lines = gameday(tmp_path, "history", "--limit", "100", "--journal", place).stdout.splitlines()
    for case in CASES:
        records = due_of(place, case.name)
        assert [record.outcome for record in records] == [outcome for outcome, _ in case.becomes], records
        for outcome, words in case.becomes:
            mine = [line for line in lines if case.name in line and outcome in line and words in line]
            assert len(mine) >= 1, (case.name, outcome, words, lines)
            count = sum(outcome == other for other, _ in case.becomes)
            labels = f'account="",name="{case.name}@lab",outcome="{outcome}",region="",target="lab"'
            metric = f"gameday_schedule_due_total{{{labels}}}"
            eventually(lambda metric=metric, count=count: daemon.metric(metric) == count, metric)

    first, second = due_of(place, "patient")
    assert str(second.began_at) >= str(first.settled_at)
    assert journal.run(first.run).exit_code == 0
    assert (results / f"{first.run}.html").stat().st_size > 1000
    assert "gameday_run_verdicts_total" in (results / "patient@lab.prom").read_text()
    [ended] = due_of(place, "hours-end")
    assert journal.steps(ended.run), "its hours ended before its fault; is the machine too slow?"
    lab.control.clear_trouble()
    eventually(lambda: not journal.steps(only_open=True), "what could not be put back in time is put back later")
    assert {name for name, world in worlds.items() if world.state != "Enabled"} == {"given-up"}
    assert daemon.get("/healthz") == (200, "ok\n")
    assert daemon.end() == 0


def due_of(place: str, name: str) -> list[DueRecord]:
    return [record for record in due(place) if record.name == f"{name}@lab"]
