"""``gameday status`` and ``history``: what the journal holds."""

from __future__ import annotations

import click

from gameday.cli.options import journal_option


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Exit with 9 while an undo step is open, and else with 4 while something is left on purpose (for cron).",
)
@click.option("--look", is_flag=True, help="Ask AWS whether what was left as it is on purpose is still so.")
@click.option(
    "--metrics-textfile",
    type=click.Path(dir_okay=False),
    help="Leave what is open, and since when, for the node exporter (from cron).",
)
@journal_option
def status(check: bool, look: bool, metrics_textfile: str | None, journal: str | None) -> None:
    """Say what runs, what is held, and what is still changed."""
    from gameday.cli.history import print_status

    print_status(journal, check=check, look=look, textfile=metrics_textfile)


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many runs.")
@click.option(
    "--prune",
    metavar="OLDER_THAN",
    help="Forget the runs that ended longer ago than that (e.g. 400d) and left nothing open.",
)
@journal_option
def history(limit: int, prune: str | None, journal: str | None) -> None:
    """List past runs, newest first."""
    from gameday.cli.history import print_history, prune_history

    if prune is not None:
        prune_history(journal, prune)
    else:
        print_history(journal, limit)
