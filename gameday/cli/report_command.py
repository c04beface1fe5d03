"""``gameday report`` and ``gameday verify``: their options; nothing heavy is imported here."""

from __future__ import annotations

import click

from gameday.cli import completion
from gameday.cli.options import journal_option


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json", "junit", "markdown"]),
    default="html",
    show_default=True,
    help="One self-contained page; JSON (gameday schema --report); JUnit XML for CI; Markdown for a pull request.",
)
@click.option("--output", "-o", metavar="FILE", help="Where; - for standard output.  [default: RUN and a suffix]")
@journal_option
def report(run: str, form: str, output: str | None, journal: str | None) -> None:
    """Write the report of a past RUN, from the journal alone: RUN is its id, or the beginning of it."""
    from gameday.cli.report import write_report

    write_report(journal, run, form, output)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--head", metavar="SHA256", help="The last event's hash, as a report or another copy gives it.")
@journal_option
def verify(run: str, head: str | None, journal: str | None) -> None:
    """Check that the journal's events of RUN are all there and as they were written.

    Each event carries the hash of the one before. Whoever can write to the journal can also write a new chain: keep the
    last hash, which the report and this command print, somewhere else, and give it with --head. Exits with 1 when an
    event is missing or altered, or when the last hash is another.
    """
    from gameday.cli.report import verify_run

    verify_run(journal, run, head)
