"""``gameday halt``, ``resume`` and ``abandon``."""

from __future__ import annotations

import time

from gameday.cli.journals import open_journal, rollback_command, somebody
from gameday.cli.leaving import about
from gameday.cli.options import seconds_option
from gameday.cli.rollback import roll_back_runs
from gameday.cli.say import say
from gameday.errors import Refused, RollbackIncomplete
from gameday.journal import Journal, RunRecord, StepState
from gameday.journal.left import left_on_purpose
from gameday.journal.sql import SqlJournal, default_place
from gameday.rollback.recovery import abandon
from gameday.rollback.reserve import one_arena
from gameday.sdk import AbandonmentEnded

LOOK_EVERY = 0.2
A_PULSE = 10.0
"""Seconds within which a living run has certainly heard of a halt."""


def halt_all(place: str | None, reason: str) -> None:
    """Halt, and say what still runs; the halt itself is in force once it is written."""
    journal = SqlJournal(place or default_place())
    halt = journal.halt(somebody(), reason or "no reason given")
    say(f"game days are {halt} (journal {journal.place})")
    deadline = time.monotonic() + A_PULSE
    running = _running(journal)
    for run in running:
        say(f"run {run.run} ({run.playbook}, {run.owner}) is told to roll back")
    while running and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
        ended = {run.run for run in running} - {run.run for run in _running(journal)}
        for name in sorted(ended):
            say(f"run {name} has ended")
        running = [run for run in running if run.run not in ended]
    for run in running:
        say(f"run {run.run} has not ended yet; see gameday status")


def resume_all(place: str | None) -> None:
    """End the halt."""
    journal = open_journal(place)
    ended = journal.resume(somebody())
    say(f"resumed; game days were {ended}" if ended else "game days were not halted")


def abandon_run(place: str | None, run: str, reason: str, within: str) -> None:
    """Have a run leave everything as it is; raises Refused when there is nothing to leave."""
    journal, seconds = open_journal(place), seconds_option(within, "--within")
    about([run], rollback_command(run, place))
    one_arena()
    record = journal.run(run)
    open_ = journal.steps(record.run, only_open=True)
    if not open_ and not record.alive():
        raise Refused(f"run {record.run} has ended and left nothing open; there is nothing to abandon")
    asked = journal.abandon(record.run, somebody(), reason)
    if record.alive():
        _wait(journal, record, seconds)
    if not journal.run(record.run).alive():
        abandon(
            journal,
            record.run,
            asked,
            disarm=lambda: roll_back_runs(record.run, all_=False, within=within, ours=False, place=place),
        )
    for step in journal.steps(record.run):
        if step.closed == "abandoned":
            say(f"left as it is: {step.record.resource} ({step.record.uses}); found before: {_before(step)}")
    say(f"run {record.run} is abandoned: {asked.reason} ({asked.by})")
    say(f"gameday status says so until you end it: {how_to_end(record.run)}")


def how_to_end(run: str) -> str:
    """The commands after which nobody is told any more of what a run left as it is."""
    return f"undo it by hand, then gameday status --look; or: gameday abandon --acknowledge {run}"


def acknowledge_run(place: str | None, run: str, reason: str) -> None:
    """Note that somebody knows what a run left as it is; raises Refused when it left nothing."""
    journal = open_journal(place)
    record = journal.run(run)
    left = left_on_purpose(journal, [record])
    if not left:
        raise Refused(f"run {record.run} left nothing as it is on purpose; there is nothing to acknowledge")
    why = f"acknowledged: {reason}" if reason else "acknowledged"
    for one in left:
        journal.append(record.run, AbandonmentEnded(step=one.step.id, by=somebody(), why=why))
        say(f"acknowledged: {one}")


def _before(step: StepState) -> str:
    return ", ".join(f"{name} {value}" for name, value in step.record.before.items()) or "nothing"


def _wait(journal: Journal, record: RunRecord, seconds: float) -> None:
    say(f"run {record.run} ({record.owner}) is asked to leave everything as it is")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not journal.run(record.run).alive() or not journal.steps(record.run, only_open=True):
            return
        time.sleep(LOOK_EVERY)
    raise RollbackIncomplete(
        f"run {record.run} ({record.owner}) has not answered within {seconds:g} s; it may still put the key back. "
        f"To be certain, end it with SIGKILL on its machine, its watchdog too, and ask again"
    )


def _running(journal: Journal) -> list[RunRecord]:
    return [run for run in journal.runs(1000) if run.alive()]
