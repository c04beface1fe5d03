"""``gameday watch``."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from exporters.prometheus import Metrics
from exporters.prometheus_families import Place
from gameday import __version__
from gameday.cli.journal_fold import JournalFold
from gameday.cli.leaving import Leave
from gameday.cli.say import say
from gameday.cli.target_options import read_target
from gameday.cli.variables import read_vars
from gameday.engine.watch import Watch, targets
from gameday.errors import ExitCode, GamedayError
from gameday.journal.sql import default_place
from gameday.playbook import Playbook, find, load
from gameday.target import Target, open_target

JOURNAL_EVERY = 2.0
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_RELOADED = b"\0"
_SETTLED = 10.0
"""Seconds after which every probe has looked once, and what lasts as long as the watch has been made."""


def watch_playbooks(
    playbooks: Sequence[str],
    var: Sequence[str],
    target: str,
    account: str | None,
    region: str | None,
    profile: str | None,
    preset: str,
    journal: str | None,
    metrics_port: int,
) -> None:
    """Watch until a signal ends it; ends the process."""
    logging.basicConfig(level=logging.WARNING, format="gameday: %(message)s")
    # A thousand looks that come back at once are more than urllib3 keeps connections for, and no reason to warn.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    choice = read_target(target, account, region, profile, preset)
    variables = read_vars(var)

    def read() -> list[Playbook]:
        return [load(find(name), variables, lab=choice.is_lab) for name in playbooks]

    loaded = read()
    opened = open_target(choice, f"watch-{secrets.token_hex(4)}", datetime.now(UTC))
    metrics = Metrics(version=__version__, source="watch", place=Place.of(opened.facts))
    watch = Watch(opened.session, metrics)
    try:
        _stage(loaded, opened)
        watch.take(targets(loaded, opened.session))
        metrics.reloaded(good=True)
        port = metrics.serve(metrics_port)
        reader, writer = _listen()
        watch.start()
        _settle()
        _follow(JournalFold(journal or default_place(), metrics))
        where = f" (a lab at {opened.facts.endpoint})" if opened.facts.endpoint else ""
        say(f"watching {opened.facts.account}/{opened.facts.region}{where}", err=True)
        say(f"metrics on http://127.0.0.1:{port}/metrics", err=True)
        _wait(reader, writer, lambda: _reload(read, opened, watch, metrics))
    finally:
        metrics.close()
        opened.close()
    raise Leave(ExitCode.PASSED)  # looks that hang are left behind


def _stage(playbooks: Sequence[Playbook], target: Target) -> None:
    """What is missing is made on a lab, as a run would."""
    for use in (use for playbook in playbooks if target.stages for use in playbook.stage):
        if use.part.check(target.session):
            use.part.make(target.session)


def _reload(read: Callable[[], list[Playbook]], target: Target, watch: Watch, metrics: Metrics) -> None:
    try:
        loaded = read()
        _stage(loaded, target)
        wanted = targets(loaded, target.session)
    except (GamedayError, OSError) as error:
        metrics.reloaded(good=False)
        say(f"the playbooks could not be read again, and are watched as they were:\n{error}", err=True)
        return
    watch.take(wanted)
    _settle()
    metrics.reloaded(good=True)
    say(f"read again: {len(wanted)} probes are watched", err=True)


def _settle() -> None:
    """Soon, have the garbage collector leave alone what stays: to go through it takes a tenth of a second each time.

    Every look waits meanwhile, and each scrape makes enough that the collector begins.
    """

    def freeze() -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    timer = threading.Timer(_SETTLED, freeze)
    timer.daemon = True
    timer.start()


def _listen() -> tuple[int, int]:
    """A descriptor on which signals arrive, whatever Python is busy with."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _noted)
    return reader, writer


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the descriptor says it all."""


def _wait(reader: int, writer: int, reload: Callable[[], None]) -> None:
    """Until a signal ends it; a reload has a thread of its own, so that one that hangs does not hold up the end."""
    busy = again = False

    def work() -> None:
        try:
            reload()
        finally:
            os.write(writer, _RELOADED)

    while True:
        for byte in os.read(reader, 64):
            if byte in (signal.SIGINT, signal.SIGTERM):
                return
            if byte == _RELOADED[0]:
                busy = False
            elif byte == signal.SIGHUP:
                again = True
            if again and not busy:
                busy, again = True, False
                threading.Thread(target=work, name="reload", daemon=True).start()


def _follow(fold: JournalFold) -> None:
    def forever() -> NoReturn:
        while True:
            fold.catch_up()
            time.sleep(JOURNAL_EVERY)

    threading.Thread(target=forever, name="journal", daemon=True).start()
