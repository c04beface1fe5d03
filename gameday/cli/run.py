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

from exporters.json_lines import JsonLines
from exporters.lines import PlainLines
from gameday import __version__
from gameday.cli import leaving
from gameday.cli.journals import rollback_command, seal_of, warn_of_open_steps
from gameday.cli.say import say
from gameday.cli.target_options import journal_of, journal_words, load_for, read_target
from gameday.engine import runner
from gameday.engine.job import Job
from gameday.errors import JournalError
from gameday.journal.database import is_url
from gameday.journal.sql import SqlJournal, default_place
from gameday.rollback.leash import unleash
from gameday.rollback.receipts import folder as receipts_folder
from gameday.rollback.reserve import reserve
from gameday.rollback.watchdog import Errand
from gameday.sdk import EXPORTERS, Exporter
from gameday.target import TargetChoice, open_target, reopen

log = logging.getLogger(__name__)

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
    metrics_push: str | None,
    report: str | None,
) -> None:
    """Run a playbook; raises Leave with its exit code."""
    choice = read_target(target, account, region, profile, preset)
    loaded = load_for(playbook, var, choice)
    place = journal_of(journal, choice) or default_place()
    said = journal_words(journal, choice, target)
    reserve(*_folders(place))
    run = os.environ.get("GAMEDAY_RUN_ID") or secrets.token_hex(4)  # the scheduler has written its id down already
    again = rollback_command(run, said)
    seal = seal_of(choice.file)
    # Before the journal is opened and any thread is started: neither survives a fork.
    watchdog = unleash(Errand(run, lambda: SqlJournal(place, create=False), reopen, again))
    kept = SqlJournal(place, seal=seal)
    leaving.touched(kept)
    leaving.about([run], again, own=True)
    warn_of_open_steps(kept, said)
    listener = _log_from_a_thread()
    if choice.kind == "embedded":
        say(f"starting an embedded lab ({preset}); no real account is touched", err=True)
    job = Job(
        run=run,
        playbook=loaded,
        journal=kept,
        open_target=lambda run, started: open_target(choice, run, started),
        exporters=[
            *_tellers(kept.place, as_json),
            *_metrics(loaded.name, choice, metrics_port, metrics_textfile, metrics_push),
            *_report(report),
            *_asked_for_by_environment(),
        ],
        version=__version__,
        finish_with=again,
        watchdog=watchdog,
    )
    ended = runner.run(job)
    if ended.restored:
        leaving.all_is_read_back(recorded=ended.recorded)
    ending = threading.Thread(target=listener.stop, daemon=True)
    ending.start()
    ending.join(LOG_MAY_TAKE)
    raise leaving.Leave(ended.code)  # whatever still hangs (a probe, a reader that does not read) is left behind


def _folders(place: str) -> list[Path]:
    """Where the undo is written down: the journal's folder where it is a file, and the receipts'."""
    receipts = receipts_folder()
    folders = {receipts: "what is still to be undone is also kept there"}
    if not is_url(place):
        file = Path(place).expanduser().absolute()
        folders = {file.parent: f"the journal {file} is to be in it; name another with --journal", **folders}
    for folder, why in folders.items():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"the folder {folder} cannot be made: {error.strerror}: {why}") from error
    return list(folders)


def _log_from_a_thread() -> QueueListener:
    """Log through a queue: a thread that logs to a pipe nobody reads would hang, and hold logging's lock."""
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("gameday: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[QueueHandler(queue)], format="%(message)s")
    listener = QueueListener(queue, handler)
    listener.start()
    return listener


def _tellers(place: str, as_json: bool) -> list[Exporter]:
    """People on the terminal, programs on standard output."""
    stream = sys.stderr if as_json else sys.stdout
    listening: list[Exporter] = [JsonLines(sys.stdout)] if as_json else []
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from exporters.terminal import TerminalView

        listening.append(TerminalView(Console(file=stream), place))
    else:
        listening.append(PlainLines(stream, place))
    return listening


def _metrics(
    playbook: str, choice: TargetChoice, port: int | None, textfile: str | None, gateway: str | None
) -> list[Exporter]:
    if port is None and not textfile and not gateway:
        return []
    from exporters.prometheus import Metrics
    from exporters.prometheus_families import Place
    from exporters.prometheus_push import Push

    push = None
    if gateway:
        from gameday.aws import outward

        push = Push(gateway, log.warning, outward.gateway(choice.profile or None))
    place = Place(*choice.where)
    metrics = Metrics(
        Path(textfile) if textfile else None, version=__version__, push=push, place=place, playbook=playbook
    )
    if port is not None:
        say(f"metrics on http://127.0.0.1:{metrics.serve(port)}/metrics", err=True)
    return [metrics]


def _report(folder: str | None) -> list[Exporter]:
    if not folder:
        return []
    from exporters.report.files import ReportFiles

    return [ReportFiles(Path(folder), lambda said: say(said, err=True))]


def _asked_for_by_environment() -> list[Exporter]:
    """Those that a variable of the environment switches on, such as a GitHub job's summary."""
    made = (kind.wanted(os.environ, lambda said: say(said, err=True)) for kind in EXPORTERS.values())
    return [exporter for exporter in made if exporter]
