"""The options of ``gameday dashboards``; nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write them; files of the same names are replaced only with --force.",
)
@click.option("--force", is_flag=True, help="Replace files that are there and differ.")
def dashboards(output: Path, force: bool) -> None:
    """Write Grafana dashboards, Prometheus rules, and a compose file that starts both with them."""
    from gameday.cli.dashboards import write_dashboards

    write_dashboards(output, force=force)
