"""``gameday schedule`` as a real process."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gameday.journal import DueRecord
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from tests.processes import GAMEDAY, environment, eventually, free_port


def soon(seconds: float) -> datetime:
    """A whole second, so far from now at least."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def dates(*moments: datetime, more: str = "") -> str:
    """A ``schedule:`` of single dates."""
    listed = ", ".join(f'"{moment.isoformat()}"' for moment in moments)
    return f"schedule: {{dates: [{listed}]{', ' if more else ''}{more}}}\n"


class Daemon:
    """One daemon; what it says goes to a file."""

    def __init__(self, folder: Path, *words: str, machine: str = "", name: str = "daemon", **env: str) -> None:
        self.port = free_port()
        self.log = folder / f"{name}.log"
        folder.mkdir(exist_ok=True)
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [GAMEDAY, "schedule", *words, "--listen", f"127.0.0.1:{self.port}", "--patrol-every", "0.5"],
                env=environment(folder, machine=machine, **env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self) -> Daemon:
        """Wait until it is."""
        eventually(lambda: self.get("/readyz")[0] == 200, f"ready\n{self.said}")
        return self

    def reload(self, *names: str) -> None:
        """Read the folder again, and wait until these are watched."""
        self.send(signal.SIGHUP)
        label = 'gameday_schedule_next_due_timestamp_seconds{account="",name="'
        eventually(lambda: all(f'{label}{name}"' in self.get("/metrics")[1] for name in names), self.said)

    def get(self, path: str) -> tuple[int, str]:
        """What it answers; 0 for nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, line: str) -> float:
        """A metric's value; 0 for one that is not there."""
        found = [one.rpartition(" ")[2] for one in self.get("/metrics")[1].splitlines() if one.startswith(line)]
        return float(found[0]) if found else 0.0

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL to it alone."""
        self.process.kill()
        self.process.wait()


Start = Callable[..., Daemon]
"""The fixture: starts a daemon on the test's journal and lab."""


def due(place: str) -> list[DueRecord]:
    """All due times of a journal, oldest first."""
    return DueTimes(SqlJournal(place).database).latest(10_000)[::-1]


def settled(place: str, count: int, within: float = 40) -> list[DueRecord]:
    """The due times, once so many are settled."""

    def done() -> bool:
        return sum(record.outcome is not None for record in due(place)) >= count

    deadline = time.monotonic() + within
    while not done():
        assert time.monotonic() < deadline, [(r.schedule, r.due_at, r.outcome, r.detail) for r in due(place)]
        time.sleep(0.1)
    return due(place)
