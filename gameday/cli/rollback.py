"""``gameday rollback``: puts back what a run left changed, from the journal alone."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import click

from exporters.lines import PlainLines
from gameday.cli.history import alive, open_journal
from gameday.errors import Refused, RollbackIncomplete
from gameday.journal import Journal
from gameday.rollback.recovery import abandon_vanished, recover
from gameday.sdk import parse_duration
from gameday.target import reopen, vanished


def roll_back_runs(run: str | None, *, all_: bool, within: str, place: str | None) -> None:
    """Finish the rollback of one run, or of all that have ended; raises RollbackIncomplete when it cannot."""
    if bool(run) == all_:
        raise click.UsageError("name a RUN, or --all")
    seconds = _seconds(within)
    journal = open_journal(place)
    runs = [journal.run(run).run] if run else list(dict.fromkeys(s.record.run for s in journal.steps(only_open=True)))
    try:
        incomplete = [one for one in runs if not _roll_back(journal, one, seconds, only=bool(run))]
    except KeyboardInterrupt:
        incomplete = [one for one in runs if journal.steps(one, only_open=True)]
    if not runs:
        click.echo("nothing is open")
    if incomplete:
        again = f"gameday rollback {incomplete[0] if len(incomplete) == 1 else '--all'}"
        raise RollbackIncomplete(f"ROLLBACK INCOMPLETE for run {', '.join(incomplete)}; try again with: {again}")


def _seconds(within: str) -> float:
    try:
        value = parse_duration(within)
    except ValueError as error:
        raise click.UsageError(f"--within: {error}") from error
    return float(getattr(value, "total_seconds", lambda: 0.0)())


def _roll_back(journal: Journal, run: str, within: float, *, only: bool) -> bool:
    record = journal.run(run)
    if alive(record):
        end = f"to end it and put everything back: kill -INT {record.owner.pid}"
        why = f"run {run} is still running ({record.owner}); {end}"
        if only:
            raise Refused(why)
        click.echo(why, err=True)
        return True
    if not journal.steps(run, only_open=True):
        click.echo(f"run {run}: nothing is open")
        return True
    if record.target is None:
        raise Refused(f"run {run} has open undo steps but no target in the journal; put it back by hand")
    if vanished(record.target):
        abandon_vanished(journal, run)
        click.echo(f"run {run}: its embedded lab ended with it, and the key is gone with the lab; closed as abandoned")
        return True
    aws = reopen(record.target, run)
    teller = PlainLines(sys.stdout, journal.place)
    left = recover(journal, run, aws, within=within, exporter=teller, clock=time.monotonic, wall=datetime.now(UTC))
    return not left
