"""What other daemons left behind: due times claimed by the dead, and runs that nobody puts back any more."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from datetime import datetime

from gameday.journal import DueRecord, Owner, RunRecord
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from gameday.schedule.launch import Launcher, outcome_of
from gameday.schedule.numbers import Numbers

log = logging.getLogger("gameday.schedule")

ROLLBACK_WITHIN = 120
AGAIN_AFTER = 60.0
"""Seconds after which what could not be put back is tried again."""


class Patrol:
    """Settles what nobody else will.

    Of several daemons that see the same, one takes it over; should it die as well, the next one does.
    """

    def __init__(
        self,
        journal: SqlJournal,
        times: DueTimes,
        launcher: Launcher,
        owner: Owner,
        numbers: Numbers,
        resume: Callable[[DueRecord], bool],
        labels: Callable[[DueRecord], tuple[str, ...]],
    ) -> None:
        self._journal, self._times, self._launcher = journal, times, launcher
        self._owner, self._numbers, self._resume, self._labels = owner, numbers, resume, labels
        self._tried: dict[str, float] = {}

    def look(self) -> None:
        """One round; raises JournalError when the journal does not answer."""
        for record in self._times.under_way():
            if record.abandoned():
                self._settle(record)
        left = [step for step in self._journal.steps(only_open=True) if not self._alive(step.record.run)]
        for run in dict.fromkeys(step.record.run for step in left):
            if self._is_ours(run):
                self.mend(run)
        self._numbers.open.set(len(left))

    def _alive(self, run: str) -> bool:
        known = self._journal.known(run)
        return known is not None and known.alive()

    def _is_ours(self, run: str) -> bool:
        """A game day that has ended, but whose last words the journal did not hear; not what people run by hand."""
        if time.monotonic() - self._tried.get(run, -AGAIN_AFTER) < AGAIN_AFTER:
            return False
        record = self._times.of(run)
        return (
            record is not None
            and record.outcome is not None
            and (record.claimed_by == self._owner or record.deserted())
        )

    def mend(self, run: str) -> bool:
        """Put back what a run that has ended left changed; whether nothing is open any more."""
        if not self._journal.steps(run, only_open=True):
            return True
        self._tried[run] = time.monotonic()
        log.warning("run %s left undo steps open; putting them back", run)
        try:
            code = self._launcher.rollback(run, f"{ROLLBACK_WITHIN}s").wait(ROLLBACK_WITHIN + 60)
        except subprocess.TimeoutExpired:
            code = -1
        log.warning("run %s: gameday rollback ended with %s", run, code)
        return not self._journal.steps(run, only_open=True)

    def _settle(self, record: DueRecord) -> None:
        run = self._journal.known(record.run)
        if run is None and record.began_at is None and self._resume(record):
            return
        if run is None:
            gone = f"claimed by {record.claimed_by}, which died before the run began"
            if self._times.give_up(record, "missed", gone):
                self._say(record, "missed", gone)
        elif not run.alive() and self._times.take_over(record, self._owner):
            self._after(record, run)

    def _after(self, record: DueRecord, run: RunRecord) -> None:
        """A run whose daemon is gone, and which has ended or died with it; it is ours now."""
        restored = self.mend(run.run)
        if run.finished_at is not None and run.exit_code is not None and restored:
            outcome, detail = (
                outcome_of(run.exit_code, verdict=run.verdict),
                f"its daemon ({record.claimed_by}) died meanwhile",
            )
        else:
            outcome = "died" if restored else "incomplete"
            back = "everything is put back" if restored else f"NOT PUT BACK: gameday rollback {run.run}"
            detail = f"{run.owner} and its daemon died in the run; {back} by {self._owner}"
        if self._times.settle(record.schedule, _moment(record.due_at), outcome, detail):
            self._say(record, outcome, detail)

    def _say(self, record: DueRecord, outcome: str, detail: str) -> None:
        self._numbers.recovered.labels(outcome).inc()
        self._numbers.due.labels(*self._labels(record), outcome).inc()
        log.warning("%s: due %s: %s %s", record.schedule, record.due_at, outcome, detail)


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)
