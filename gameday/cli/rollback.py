"""``gameday rollback``: puts back what a run left changed, from the journal alone."""

from __future__ import annotations

import sys
import time
import traceback
from datetime import UTC, datetime

import click

from exporters.lines import PlainLines
from exporters.text import count
from gameday.cli.journals import open_journal, rollback_command, seal_at, somebody
from gameday.cli.leaving import about
from gameday.cli.options import seconds_option
from gameday.cli.say import say
from gameday.errors import GamedayError, JournalError, Refused, RollbackIncomplete, TargetError
from gameday.journal import Journal, RunRecord, release_holds
from gameday.journal.audit import died_unaccounted
from gameday.journal.left import LATEST
from gameday.rollback.ours import readdressed
from gameday.rollback.receipts import IGNORED, merge
from gameday.rollback.recovery import abandon_vanished, lands_for, recover
from gameday.rollback.reserve import one_arena
from gameday.rollback.unsaid import in_doubt
from gameday.sdk import AWS
from gameday.target import reopen, vanished


def roll_back_runs(run: str | None, *, all_: bool, within: str, ours: bool, place: str | None) -> None:
    """Finish the rollback of one run, or of all that have ended; raises RollbackIncomplete when it cannot."""
    if bool(run) == all_:
        raise click.UsageError("name a RUN, or --all")
    if ours and all_:
        raise click.UsageError("--ours is for one RUN: you must know of each that its changes are its own")
    seconds = seconds_option(within, "--within")
    about([run or ""], rollback_command(run or "--all", place))
    one_arena()
    journal = open_journal(place)
    receipts = merge(journal)
    for said in receipts:
        say(said, err=True)
    runs = [journal.run(run).run] if run else _all(journal)
    unread = [said for said in receipts if said.startswith(IGNORED)] + [*journal.unreadable.values()]
    if not runs:
        say("of what could be read, nothing is open" if unread else "nothing is open")
    incomplete: list[str] = []
    try:
        for one in runs:
            incomplete += [] if _try(journal, one, seconds, only=bool(run), ours=ours, place=place) else [one]
    except KeyboardInterrupt:
        incomplete = [one for one in runs if journal.steps(one, only_open=True)]
    for said in journal.unreadable.values():
        say(said, err=True)
    if incomplete:
        again = rollback_command(incomplete[0] if len(incomplete) == 1 else "--all", place)
        raise RollbackIncomplete(f"ROLLBACK INCOMPLETE for run {', '.join(incomplete)}; try again with: {again}")
    if unread or journal.unreadable:
        rows = count(len(unread) or len(journal.unreadable), "row or receipt", "rows or receipts")
        raise RollbackIncomplete(
            f"ROLLBACK INCOMPLETE: {rows} could not be read, and what they stand for may still be changed; "
            "see gameday status"
        )


def _all(journal: Journal) -> list[str]:
    """The runs that have something open, by their rows or by their events."""
    open_ = [state.record.run for state in journal.steps(only_open=True)]
    return list(dict.fromkeys([*open_, *died_unaccounted(journal, journal.runs(LATEST))]))


def _try(journal: Journal, run: str, within: float, *, only: bool, ours: bool, place: str | None) -> bool:
    """Whether nothing of the run is open any more; what stops one run's rollback must not stop the next one's."""
    try:
        return _roll_back(journal, run, within, only=only, ours=ours, place=place)
    except GamedayError as error:
        if only and isinstance(error, Refused) and (not _open(journal, run) or journal.run(run).alive()):
            raise
        say(f"run {run}: {error}", err=True)
    except Exception:  # noqa: BLE001 - a bug in one run's rollback must not stop the next one's, and never says "restored"
        say(f"run {run}: a bug in gameday, please report it: {traceback.format_exc()}", err=True)
    return False


def _open(journal: Journal, run: str) -> bool:
    try:
        return bool(journal.steps(run, only_open=True))
    except JournalError:  # what cannot be read may be open
        return True


def _roll_back(journal: Journal, run: str, within: float, *, only: bool, ours: bool, place: str | None) -> bool:
    record = journal.run(run)
    if record.alive():
        end = f"to end it and put everything back: kill -TERM {record.owner.pid}"
        why = f"run {run} is still running ({record.owner}); {end}"
        if only:
            raise Refused(why)
        say(why, err=True)
        return True
    open_, events, seal = journal.steps(run, only_open=True), journal.events(run), seal_at(place)
    if not open_:
        vouched = f"{somebody()} vouched for it with --ours" if ours else ""
        doubts = in_doubt(journal, record, events, lambda: _reached(record), seal=seal, vouched=vouched)
        if doubts:
            raise JournalError(_told_otherwise(run, doubts, place))
        if not lands_for(record):  # else a new run takes them from the dead, in its time
            release_holds(journal, run)
        say(f"run {run}: nothing is open")
        return True
    if record.target is None:
        raise Refused(f"run {run} has open undo steps but no target in the journal; put it back by hand")
    if record.target.lab_pid and (doubt := readdressed(record, events, open_, ours=ours, seal=seal)):
        raise Refused(doubt)
    if vanished(record.target):
        abandon_vanished(journal, run)
        say(f"run {run}: its embedded lab ended with it, and the key is gone with the lab; closed as abandoned")
        return True
    aws = reopen(record.target, run)
    teller = PlainLines(sys.stdout, journal.place)
    again, wall = rollback_command(run, place), datetime.now(UTC)
    left = recover(
        journal,
        run,
        aws,
        within=within,
        exporter=teller,
        clock=time.monotonic,
        wall=wall,
        ours=ours,
        again=again,
        seal=seal,
    )
    return not left


def _reached(record: RunRecord) -> AWS | None:
    """The AWS that the run changed, to look at; None where it cannot be reached or is gone with its lab."""
    if record.target is None or vanished(record.target):
        return None
    try:
        return reopen(record.target, record.run)
    except TargetError:  # then nothing is known, and that is what is said
        return None


def _told_otherwise(run: str, doubts: list[str], place: str | None) -> str:
    return (
        f"nothing is open in its rows, but its events tell otherwise: {'; '.join(doubts)}. Somebody may have written "
        f"to the journal: look at what the run changed (gameday show {run}); if it is as it should be, say so with: "
        f"{rollback_command(run, place)} --ours"
    )
