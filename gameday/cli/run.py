"""``gameday run``."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
import sys
from pathlib import Path

import click

from exporters.json_lines import JsonLines
from exporters.lines import PlainLines
from gameday import __version__
from gameday.cli.target_options import read_target
from gameday.cli.variables import read_vars
from gameday.engine import runner
from gameday.engine.control import Job
from gameday.journal.sql import SqlJournal, default_place
from gameday.playbook import find, load
from gameday.sdk import Exporter
from gameday.target import open_target


def run_playbook(
    playbook: str,
    var: tuple[str, ...],
    target: str,
    account: str | None,
    region: str | None,
    profile: str | None,
    preset: str,
    journal: str | None,
    as_json: bool,
    metrics_port: int | None,
    metrics_textfile: str | None,
) -> None:
    """Run a playbook; ends the process with its exit code."""
    logging.basicConfig(format="gameday: %(message)s", level=logging.WARNING)
    choice = read_target(target, account, region, profile, preset)
    loaded = load(find(playbook), read_vars(var), lab=choice.is_lab)
    place = journal or default_place()
    kept = SqlJournal(place)
    run = secrets.token_hex(4)
    if choice.kind == "embedded":
        click.echo(f"starting an embedded lab ({preset}); no real account is touched", err=True)
    job = Job(
        run=run,
        playbook=loaded,
        journal=kept,
        open_target=lambda run, started: open_target(choice, run, started),
        exporters=_exporters(kept.place, as_json, metrics_port, metrics_textfile),
        version=__version__,
        finish_with=f"gameday rollback {run}" + (f" --journal {shlex.quote(place)}" if journal else ""),
    )
    code = runner.run(job)
    # Whatever still hangs (a probe, a reader that does not read) is left behind: no atexit, no joining, no flush.
    os._exit(code)


def _exporters(place: str, as_json: bool, port: int | None, textfile: str | None) -> list[Exporter]:
    """Who listens: people on the terminal, programs on standard output, Prometheus."""
    stream = sys.stderr if as_json else sys.stdout
    listening: list[Exporter] = [JsonLines(sys.stdout)] if as_json else []
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from exporters.terminal import TerminalView

        listening.append(TerminalView(Console(file=stream), place))
    else:
        listening.append(PlainLines(stream, place))
    if port is not None or textfile:
        from exporters.prometheus import Metrics

        metrics = Metrics(Path(textfile) if textfile else None, version=__version__)
        if port is not None:
            click.echo(f"metrics on http://127.0.0.1:{metrics.serve(port)}/metrics", err=True)
        listening.append(metrics)
    return listening
