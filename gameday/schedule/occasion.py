"""One due time that this daemon has claimed: from the claim to its outcome in the journal."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from gameday.errors import Interrupted, JournalError
from gameday.journal import Owner
from gameday.journal.due import DueTimes
from gameday.schedule.entries import ON_TIME, Entry
from gameday.schedule.launch import Launcher, outcome_of
from gameday.schedule.windows import closes, utc, why_not

log = logging.getLogger("gameday.schedule")

LOOK_EVERY = 0.2
BEAT_EVERY = 5.0
T = TypeVar("T")


@dataclass
class Stop:
    """What the daemon asks of all its game days."""

    now: threading.Event
    """The daemon is to end."""
    rolls_back: bool
    """A running game day is ended by SIGTERM; else it may finish."""


class Occasion(threading.Thread):
    """Runs the game day of one claimed due time.

    Parameters
    ----------
    settled: told the outcome, the exit code (None where nothing ran) and the details, once they are in the journal.
    """

    def __init__(
        self,
        entry: Entry,
        due: datetime,
        run: str,
        times: DueTimes,
        launcher: Launcher,
        *,
        owner: Owner,
        limit: int,
        stop: Stop,
        settled: Callable[[Occasion, str, int | None, str], None],
    ) -> None:
        super().__init__(name=f"{entry.name} {run}", daemon=True)
        self.entry, self.due, self.run_id = entry, due, run
        self._times, self._launcher, self._limit, self._asked, self._settled = times, launcher, limit, stop, settled
        self._owner, self._beaten = owner, time.monotonic()

    def run(self) -> None:
        """From the claim to the outcome."""
        code: int | None = None
        try:
            outcome, detail = self._may_begin()
            if not outcome:
                code = self._wait(self._launcher.run(self.entry, self.run_id))
                outcome, detail = outcome_of(code), self._launcher.last_words(self.run_id)
        except Interrupted as error:  # the other daemon settles it
            log.warning("%s: due %s: %s", self.entry.name, utc(self.due), error)
            self._settled(self, "", None, "")
            return
        except Exception as error:  # whatever it is, the due time must not stay without an outcome
            log.exception("%s: the game day of %s could not be started", self.entry.name, utc(self.due))
            outcome, detail = "bug", f"{type(error).__name__}: {error}"
        self._launcher.forget(self.run_id)
        self._settle(outcome, detail)
        self._settled(self, outcome, code, detail)

    def _may_begin(self) -> tuple[str, str]:
        """Nothing, once it is noted as begun; else what becomes of it instead, and why."""
        schedule = self.entry.schedule
        until = self.entry.latest(self.due)
        while not self._asked.now.is_set():
            now = self._patiently(self._times.now)
            if now > until + ON_TIME:
                return "missed", f"it could not begin before {utc(now)}"
            if why := why_not(schedule, now, self.entry.longest):
                return "refused", why
            why = self._patiently(lambda: self._times.begin(self.entry.id, self.due, self._owner, self._limit))
            if not why:
                return "", ""
            if schedule.when_busy == "skip":
                return "skipped", why
            if now >= until:
                return "missed", f"waited until {utc(now)} in vain: {why}"
            self._pause()
        return "missed", "the daemon was told to end before it could begin"

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Until it ends, which its hours or the daemon's end may bring about."""
        log.info("%s: run %s begins, due %s", self.entry.name, self.run_id, utc(self.due))
        end, told = closes(self.entry.schedule, self._now_or(self.due)), False
        while (code := process.poll()) is None:
            if not told and (why := self._why_end(end)):
                log.warning("%s: run %s is told to roll back: %s", self.entry.name, self.run_id, why)
                process.terminate()
                told = True
            self._pause(process)
        if told and code == -signal.SIGTERM:  # before it had begun to listen, and so before it changed anything
            return Interrupted.exit_code
        return code

    def _why_end(self, end: datetime | None) -> str:
        if self._asked.now.is_set() and self._asked.rolls_back:
            return "the daemon is told to end"
        if end is not None and self._now_or(self.due) >= end:
            return f"its hours have ended ({utc(end)})"
        return ""

    def _now_or(self, otherwise: datetime) -> datetime:
        return datetime.now(otherwise.tzinfo)

    def _pause(self, process: subprocess.Popen[bytes] | None = None) -> None:
        if process is None:
            self._asked.now.wait(LOOK_EVERY)
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
        if time.monotonic() - self._beaten >= BEAT_EVERY:
            self._beaten = time.monotonic()
            try:
                self._times.beat(self.entry.id, self.due)
            except JournalError as error:  # the run has a heartbeat and a lease of its own
                log.warning("%s: %s", self.entry.name, error)

    def _settle(self, outcome: str, detail: str) -> None:
        """Write the outcome down, however long the journal is away; should we die before, another daemon does."""
        self._patiently(lambda: self._times.settle(self.entry.id, self.due, outcome, detail))
        level = logging.INFO if outcome == "passed" else logging.WARNING
        log.log(level, "%s: due %s: %s %s", self.entry.name, utc(self.due), outcome, detail)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the journal until it answers."""
        while True:
            try:
                return ask()
            except JournalError as error:
                log.warning("%s: %s", self.entry.name, error)
                time.sleep(1)
