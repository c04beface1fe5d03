"""``gameday report`` and ``gameday verify``: a run told from the journal, and whether the journal can be believed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exporters.report.build import build
from exporters.report.files import SUFFIXES, save, written
from gameday.cli.journals import open_journal
from gameday.sdk import first_broken


def write_report(place: str | None, run: str, form: str, output: str | None) -> None:
    """Write a run's report, to a file unless ``output`` is ``-``."""
    journal = open_journal(place)
    record = journal.run(run)
    text = written(build(journal.events(record.run)), form)
    if output == "-":
        sys.stdout.write(text)
        return
    path = Path(output) if output else Path(f"gameday-{record.run}{SUFFIXES[form]}")
    try:
        save(text, path)
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--output") from error
    click.echo(str(path))


def verify_run(place: str | None, run: str, head: str | None) -> None:
    """Check a run's chain of events; ends the process with 1 when it is not whole."""
    journal = open_journal(place)
    record = journal.run(run)
    events = journal.events(record.run)
    broken = first_broken(events)
    if broken is not None:
        click.echo(
            f"run {record.run}: BROKEN at event {broken}: an event is missing, or was altered after it was written"
        )
        sys.exit(1)
    last = events[-1].hash if events else ""
    if head is not None and not (len(head) >= 16 and last.startswith(head.lower())):
        click.echo(
            f"run {record.run}: the chain is whole, but its last hash is {last}, not {head}: it is another chain"
        )
        sys.exit(1)
    click.echo(f"run {record.run}: {len(events)} events, whole; the last hash is {last}")
