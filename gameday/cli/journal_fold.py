"""The runs of a journal, folded into metrics: for a watch, a schedule, and a textfile made by cron."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporters.prometheus import Metrics, refuse_textfile
from exporters.prometheus_families import Owned, Place
from gameday import __version__
from gameday.errors import JournalError
from gameday.journal import Journal, RunRecord
from gameday.journal.database import is_url
from gameday.journal.left import left_on_purpose
from gameday.journal.sql import SqlJournal

_LATEST = 200


class JournalFold:
    """Follows a journal: each playbook's last run on each target, those that go on, and those that left something open.

    Parameters
    ----------
    place: a file or URL; a file that is not there yet is an empty journal.
    """

    def __init__(self, place: str, metrics: Metrics) -> None:
        self._place, self._metrics = place, metrics
        self._journal: Journal | None = None
        self._seen: dict[str, int] = {}
        self._over: set[str] = set()

    def catch_up(self) -> None:
        """Fold what is new; a journal that does not answer is a metric, and tried again the next time."""
        try:
            journal = self._open()
            if journal is not None:
                self._fold(journal)
        except JournalError:
            self._metrics.journal(up=False)
        else:
            self._metrics.journal(up=True)

    def _open(self) -> Journal | None:
        if self._journal is None and (is_url(self._place) or Path(self._place).expanduser().exists()):
            self._journal = SqlJournal(self._place, create=False)
        return self._journal

    def _fold(self, journal: Journal) -> None:
        steps = journal.steps(only_open=True)
        left_open = {step.record.run for step in steps}
        runs = journal.runs(_LATEST)
        first, beginning = {_owned(run): run.run for run in reversed(runs)}, not self._seen
        passed = {_owned(run): run.run for run in reversed(runs) if run.verdict == "passed"}
        last = {*first.values(), *passed.values()}
        wanted = [run for run in reversed(runs) if run.run not in self._over]
        for other in left_open - {run.run for run in runs}:
            with suppress(JournalError):  # a step of a run whose row is gone, or cannot be read, hides no other
                wanted.append(journal.run(other))
        for run in wanted:
            if not beginning or run.run in last | left_open or run.finished_at is None:
                self._follow(journal, run, still_open=run.run in left_open)
            else:
                self._over.add(run.run)
        left = [_owned(one.run) for one in left_on_purpose(journal, runs)]
        owned = {run.run: _owned(run) for run in [*runs, *wanted]}
        for of in set(owned.values()):
            self._metrics.left_open(of, [step.intended_at for step in steps if owned.get(step.record.run) == of])
            self._metrics.left_on_purpose(of, left.count(of))

    def _follow(self, journal: Journal, run: RunRecord, *, still_open: bool) -> None:
        ended = not run.alive()
        for sealed in journal.events(run.run):
            if sealed.seq > self._seen.get(run.run, -1):
                self._metrics.meet(run.run, run.playbook, Place.of(run.target) if run.target else None)
                self._seen[run.run] = sealed.seq
                self._metrics.consume(sealed)
        if ended and not still_open:
            self._over.add(run.run)
            self._seen[run.run] = self._seen.get(run.run, -1)
        if ended and run.finished_at is None:
            self._metrics.died(run.run)


def _owned(run: RunRecord) -> Owned:
    return Owned.by(run.playbook, Place.of(run.target))


@contextmanager
def status_metrics(place: str, textfile: Path) -> Iterator[None]:
    """Once the block has read a journal, leave its metrics in a textfile; they say too that it did not answer.

    Raises Refused for a file that the node exporter would not read.
    """
    refuse_textfile(textfile)
    metrics = Metrics(version=__version__, source="status")
    try:
        yield
    except JournalError:
        metrics.journal(up=False)
        raise
    else:
        JournalFold(place, metrics).catch_up()
    finally:
        metrics.write_textfile(textfile)
