"""``gameday halt``, ``resume`` and ``abandon``: a human decides, whatever runs where."""

from __future__ import annotations

import click

from gameday.cli import completion
from gameday.cli.options import journal_option


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why; everybody who is stopped by it reads this.")
@journal_option
def halt(reason: str, journal: str | None) -> None:
    """Make every run on the journal roll back now, and let none begin until gameday resume."""
    from gameday.cli.halt import halt_all

    halt_all(journal, reason)


@click.command()
@journal_option
def resume(journal: str | None) -> None:
    """End a halt: game days may begin again."""
    from gameday.cli.halt import resume_all

    resume_all(journal)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the journal. Needed to abandon.")
@click.option("--within", default="30s", show_default=True, help="How long to wait for a living run to do so.")
@click.option("--acknowledge", is_flag=True, help="You know what RUN left as it is: status need not say so any more.")
@journal_option
def abandon(run: str, reason: str, within: str, acknowledge: bool, journal: str | None) -> None:
    """Leave what RUN changed as it is, for good: a real incident is on, and nothing may enable the key again.

    A living run disarms its watchdog and its switch, and closes its undo steps as abandoned. The steps of a run that
    has ended are closed here. RUN is its id, or the beginning of it. From then on gameday status names what was left,
    until somebody acknowledges it, or gameday status --look finds it as it was before the run.
    """
    from gameday.cli.halt import abandon_run, acknowledge_run

    if acknowledge:
        acknowledge_run(journal, run, reason)
    elif not reason.strip():
        raise click.UsageError("--reason is needed: whoever finds the key off reads it")
    else:
        abandon_run(journal, run, reason, within)
