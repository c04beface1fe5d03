"""One due time that this daemon has claimed: from the claim to its outcome in the journal."""

from __future__ import annotations

import logging
import math
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
from gameday.rollback.clock import steady
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
        self._end, self._told = math.inf, ""

    def run(self) -> None:
        """From the claim to the outcome."""
        code: int | None = None
        try:
            outcome, detail = self._may_begin()
            process = None if outcome else self._launcher.run(self.entry, self.run_id)
        except Interrupted as error:  # the other daemon settles it
            log.warning("%s: due %s: %s", self.entry.name, utc(self.due), error)
            self._settled(self, "", None, "")
            return
        except Exception as error:  # whatever it is, the due time must not stay without an outcome
            log.exception("%s: the game day of %s could not be started", self.entry.name, utc(self.due))
            outcome, detail, process = "unstarted", f"{type(error).__name__}: {error}", None
        if process is not None:
            code = self._wait(process)
            outcome, detail = self._became(code)
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
                if end := closes(schedule, now):
                    self._end = steady() + (end - now).total_seconds()  # the journal's clock counts; ours may be off
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
        try:
            return self._watch(process)
        except Exception as error:  # nobody would end it at its hours' end: it must not go on unwatched
            log.exception("%s: run %s cannot be watched, and is told to roll back", self.entry.name, self.run_id)
            self._told = f"it could not be watched: {type(error).__name__}: {error}"
            process.terminate()
            return process.wait()

    def _watch(self, process: subprocess.Popen[bytes]) -> int:
        while (code := process.poll()) is None:
            if not self._told and (why := self._why_end()):
                log.warning("%s: run %s is told to roll back: %s", self.entry.name, self.run_id, why)
                process.terminate()
                self._told = why
            self._pause(process)
        if self._told and code == -signal.SIGTERM:  # before it had begun to listen, so before it changed anything
            return Interrupted.exit_code
        return code

    def _why_end(self) -> str:
        if self._asked.now.is_set() and self._asked.rolls_back:
            return "the daemon is told to end"
        return "its hours have ended" if steady() >= self._end else ""

    def _became(self, code: int) -> tuple[str, str]:
        """What became of a run whose process has ended, and why."""
        story = self._patiently(lambda: self._times.story(self.run_id))
        verdict = self._patiently(lambda: self._times.verdict(self.run_id))
        outcome = outcome_of(code, begun=story is not None, verdict=verdict)
        last = self._launcher.last_words(self.run_id)
        how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        why = {
            "unstarted": f"its process {how} before its run began",
            "died": f"its process {how}",
            "aborted": self._told,
        }.get(outcome, "")
        return outcome, ": ".join(filter(None, (why, story or last)))

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
