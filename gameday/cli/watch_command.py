"""The options of ``gameday watch``; nothing heavy is imported here."""

from __future__ import annotations

import click

from gameday.cli import completion
from gameday.cli.options import journal_option, quick_imports, target_options, vars_option


@click.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...", shell_complete=completion.playbooks)
@vars_option
@target_options
@journal_option
@click.option(
    "--metrics-port",
    default=9717,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Serve the metrics on 127.0.0.1:PORT; 0 for any free one.",
)
def watch(**options: object) -> None:
    """Look with the probes of PLAYBOOK... for ever, and serve what they see to Prometheus.

    Only probes that change nothing; what the runs in the journal did is served too. SIGHUP reads the playbooks again
    (a broken one is reported, and the ones before stay), SIGTERM or Ctrl-C ends it. On an embedded lab it makes what
    the playbooks need.
    """
    with quick_imports():
        from gameday.cli.watch import watch_playbooks

    watch_playbooks(**options)  # type: ignore[arg-type]  # click made them so
