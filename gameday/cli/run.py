"""``gameday run``."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

import click

from exporters.json_lines import JsonLines
from exporters.lines import PlainLines
from gameday import __version__
from gameday.cli.journals import rollback_command, warn_of_open_steps
from gameday.cli.target_options import read_target
from gameday.cli.variables import read_vars
from gameday.engine import runner
from gameday.engine.job import Job
from gameday.journal.sql import SqlJournal, default_place
from gameday.playbook import find, load
from gameday.sdk import Exporter
from gameday.target import open_target

LOG_MAY_TAKE = 1.0
"""Seconds that the last log lines have to be read, before the process ends."""


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
    report: str | None,
) -> None:
    """Run a playbook; ends the process with its exit code."""
    listener = _log_from_a_thread()
    choice = read_target(target, account, region, profile, preset)
    loaded = load(find(playbook), read_vars(var), lab=choice.is_lab)
    place = journal or default_place()
    kept = SqlJournal(place)
    warn_of_open_steps(kept, journal)
    run = secrets.token_hex(4)
    if choice.kind == "embedded":
        click.echo(f"starting an embedded lab ({preset}); no real account is touched", err=True)
    job = Job(
        run=run,
        playbook=loaded,
        journal=kept,
        open_target=lambda run, started: open_target(choice, run, started),
        exporters=_exporters(kept.place, as_json, metrics_port, metrics_textfile, report),
        version=__version__,
        finish_with=rollback_command(run, journal),
    )
    code = runner.run(job)
    ending = threading.Thread(target=listener.stop, daemon=True)
    ending.start()
    ending.join(LOG_MAY_TAKE)
    # Whatever still hangs (a probe, a reader that does not read) is left behind: no atexit, no joining, no flush.
    os._exit(code)


def _log_from_a_thread() -> QueueListener:
    """Log through a queue: a thread that logs to a pipe nobody reads would hang, and hold logging's lock."""
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("gameday: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[QueueHandler(queue)], format="%(message)s")
    listener = QueueListener(queue, handler)
    listener.start()
    return listener


def _exporters(place: str, as_json: bool, port: int | None, textfile: str | None, report: str | None) -> list[Exporter]:
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
    if report:
        from exporters.report.files import ReportFiles

        listening.append(ReportFiles(Path(report), lambda said: click.echo(said, err=True)))
    return listening
