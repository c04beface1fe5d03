"""Whether a journal can be touched at all: SQLite maps its ``-shm`` file, and one that was cut off is SIGBUS.

A backup that is copied over a journal in use does this. A process that must not die finds out by letting another die.
"""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

ANSWERS_WITHIN = 0.5
"""Seconds; a journal that is merely locked or slow has limits of its own, wherever it is used."""


def deadly(place: str) -> str:
    """Have a forked child read the journal; returns what ended the child, or ``""`` when nothing did.

    The child has this process's mappings, so that it meets what this process would. Errors of the database are not
    told: whoever uses the journal hears of them, and lives. Only a journal in a file (``place``) is touched.
    """
    if sys.platform != "linux" or not Path(place).is_file():
        return ""
    child = os.fork()
    if child == 0:
        _touch(place)
    with suppress(OSError):
        over = os.pidfd_open(child)
        try:
            if not select.select([over], [], [], ANSWERS_WITHIN)[0]:
                signal.pidfd_send_signal(over, signal.SIGKILL)
                os.waitpid(child, 0)
                return ""
        finally:
            os.close(over)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"touching it ends a process by {signal.Signals(-code).name}" if code < 0 else ""


def _touch(place: str) -> None:
    """In the child: what every use of the journal begins with; never returns."""
    try:
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=0.1)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        os._exit(0)
