"""``gameday report`` and ``gameday verify``: a run told from the journal, and whether the journal can be believed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exporters.report.build import build
from exporters.report.files import SUFFIXES, save, written
from gameday.cli.journals import open_journal
from gameday.cli.say import say
from gameday.journal.audit import disagreements
from gameday.journal.records import RowUnreadable


def write_report(place: str | None, run: str, form: str, output: str | None) -> None:
    """Write a run's report, to a file unless ``output`` is ``-``."""
    journal = open_journal(place)
    record = journal.run(run)
    text = written(build(journal.events(record.run), alive=record.alive()), form)
    if output == "-":
        sys.stdout.write(text)
        return
    path = Path(output) if output else Path(f"gameday-{record.run}{SUFFIXES[form]}")
    try:
        save(text, path)
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--output") from error
    say(str(path))


def verify_run(place: str | None, run: str, head: str | None) -> None:
    """Check a run's chain of events, its row and its steps; ends the process with 1 where they disagree."""
    journal = open_journal(place)
    try:
        record = journal.run(run)
    except RowUnreadable as error:
        say(f"run {run}: BROKEN: {error}")
        sys.exit(1)
    events = journal.events(record.run)
    steps = journal.steps(record.run)
    found = [*journal.unreadable.values()] or disagreements(record, events, steps)
    if found:
        for why in found:
            say(f"run {record.run}: BROKEN{'' if why.startswith('at event ') else ':'} {why}")
        sys.exit(1)
    last = events[-1].hash if events else ""
    if head is not None and not (len(head) >= 16 and last.startswith(head.lower())):
        say(f"run {record.run}: the chain is whole, but its last hash is {last}, not {head}: it is another chain")
        sys.exit(1)
    say(f"run {record.run}: {len(events)} events, whole; the last hash is {last}")
