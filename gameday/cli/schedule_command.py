"""``gameday schedule``: its options; nothing heavy is imported here."""

from __future__ import annotations

import click

from gameday.cli import completion
from gameday.cli.options import journal_option, vars_option


@click.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK_OR_DIR...", shell_complete=completion.playbooks)
@vars_option
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("lab",),
    metavar="lab|lab=URL|aws|FILE",
    shell_complete=completion.targets,
    help="Which AWS, as for gameday run; repeatable: each playbook runs on each of them.  [default: lab]",
)
@click.option("--account", help="The account that you mean; needed with --target aws.")
@click.option("--region", help="The Region; needed with --target aws.")
@click.option("--profile", help="One of boto3's profiles, with --target aws.")
@click.option("--preset", type=click.Choice(["instant", "brisk", "aws"]), default="brisk", show_default=True)
@click.option("--next", "upcoming", type=click.IntRange(1, 1000), help="Print the next N due times, and start nothing.")
@click.option("--limit", type=click.IntRange(1), default=1, show_default=True, help="Game days under way at once.")
@click.option("--listen", default="127.0.0.1:9469", show_default=True, metavar="HOST:PORT", help="Metrics and health.")
@click.option("--results", type=click.Path(file_okay=False), help="Leave each run's log, report and metrics here.")
@click.option(
    "--when-stopped",
    type=click.Choice(["rollback", "finish"]),
    default="rollback",
    show_default=True,
    help="What SIGTERM does to a running game day before the daemon ends.",
)
@click.option("--patrol-every", type=float, default=5.0, hidden=True)
@journal_option
def schedule(**options: object) -> None:
    """Run playbooks by their schedule, until SIGTERM; SIGHUP reads them again.

    Several daemons that share a PostgreSQL journal share the work: each due time is run once.
    """
    from gameday.cli.schedule import run_schedule

    run_schedule(**options)  # type: ignore[arg-type]  # click made them so
